"""What a registry says of an image before it is pulled: manifest and configuration, a few kB.

The requests of the OCI distribution API and of the token services around it, on `requests`:

1. The manifest, anonymously: stored credentials that have expired are refused where none would be needed.
2. Refused: an anonymous token from the service that the registry names, and the manifest again.
3. Refused again: the credentials that `docker login` stored, by token or by password.
4. Of several platforms the manifest of the one that was asked for; then its configuration.

One deadline holds for all of it, names that do not resolve and answers that drip included.
https://github.com/opencontainers/distribution-spec/blob/main/spec.md (2026-11)
https://distribution.github.io/distribution/spec/auth/token/ (2026-11)
"""

from __future__ import annotations

import base64
import errno
import hashlib
import ipaddress
import json
import os
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import gpudoctor
from gpudoctor import exit_codes
from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.image import ImageFacts, pairs, texts
from gpudoctor.reference import DOCKER_HUB, Reference, is_digest, parse

if TYPE_CHECKING:
    import requests

_T = TypeVar("_T")

_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFEST_TYPES = (
    *_INDEX_TYPES,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"

# Registries take manifests of up to 4 MiB (specification, pushing manifests); a configuration has some 30 kB.
_MAX_MANIFEST_BYTES = 4 << 20
_MAX_CONFIGURATION_BYTES = 1 << 20
_MAX_TOKEN_BYTES = 64 << 10
_MAX_REFUSAL_BYTES = 16 << 10
_CHUNK_BYTES = 16 << 10

# nvcr.io and Docker Hub send blobs from elsewhere by one redirect.
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)

# Docker Hub's API does not stand where its name says.
_HUB_HOST = "registry-1.docker.io"

# Where docker keeps what it trusts for one registry.
_CERTIFICATES = Path("/etc/docker/certs.d")

# The architecture as Docker's platforms name it.
_PLATFORM = {"x86_64": "amd64", "aarch64": "arm64"}


class RegistryError(GpudoctorError):
    """The registry did not tell; the message says why in one line."""

    exit_code = exit_codes.COULD_NOT_LOOK


class NoSuchImageError(RegistryError):
    """The registry answers, and has no such image."""

    exit_code = exit_codes.WRONG


class UnauthorizedError(RegistryError):
    """The registry wants a password, or another one."""

    exit_code = exit_codes.WRONG


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSize:
    """Packed size of an image."""

    packed_bytes: int
    layers: int


def image_size(text: str, architecture: str, timeout_seconds: float) -> ImageSize:
    """What an image weighs, from its manifest alone.

    Raises RegistryError when the registry cannot be asked, refuses, or answers something else.
    """
    try:
        reference = parse(text)
    except InputError as error:
        raise RegistryError(error.message, error.hint) from None

    def ask(client: _Client) -> ImageSize:
        found = client.manifest_for(architecture)
        if found.packed_bytes is None:
            raise RegistryError(f"the manifest of {reference} lists no layers with sizes")
        if not found.fits:
            raise NoSuchImageError(f"{reference} holds no image for {_architecture(architecture)}")
        return ImageSize(packed_bytes=found.packed_bytes, layers=found.layers)

    return _within(timeout_seconds, reference, ask)


def describe(reference: Reference, architecture: str, timeout_seconds: float) -> ImageFacts:
    """All that manifest and configuration say of an image; of several platforms, of the one for `architecture`.

    Raises NoSuchImageError, UnauthorizedError, or RegistryError where the registry cannot be asked or answers
    something else.
    """
    return _within(timeout_seconds, reference, lambda client: _describe(client, architecture))


def _describe(client: _Client, architecture: str) -> ImageFacts:
    found = client.manifest_for(architecture)
    document = client.configuration(found)
    inner = document.get("config")
    inner = inner if isinstance(inner, dict) else {}
    own = _platform(document) if document.get("architecture") else ""
    created = document.get("created")
    return ImageFacts(
        reference=str(client.reference),
        tag=client.reference.tag,
        repository=client.reference.name,
        digest=found.digest,
        platforms=found.platforms or ((own,) if own else ()),
        platform=found.platform or own,
        packed_bytes=found.packed_bytes,
        layers=found.layers,
        environment=pairs(inner.get("Env")),
        labels=pairs(inner.get("Labels")),
        entrypoint=texts(inner.get("Entrypoint")),
        created=created if isinstance(created, str) else "",
        source=client.reference.registry,
        bytes_read=client.bytes_read,
    )


def _within(timeout_seconds: float, reference: Reference, ask: Callable[[_Client], _T]) -> _T:
    """Ask in a thread that can be left behind: neither resolving a name nor a server that drips keeps to a limit."""
    answers: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()
    deadline = time.monotonic() + timeout_seconds

    def work() -> None:
        try:
            with _session(reference.registry) as session:
                answers.put((ask(_Client(session, reference, deadline)), None))
        except BaseException as error:  # raised where somebody waits for it
            answers.put((None, error))

    threading.Thread(target=work, daemon=True, name="registry").start()
    try:
        answer, error = answers.get(timeout=timeout_seconds)
    except queue.Empty:
        raise _too_late(reference.registry, timeout_seconds) from None
    if isinstance(error, _TimedOutError):
        raise _too_late(reference.registry, timeout_seconds) from None
    if error is not None:
        raise error
    assert answer is not None
    return answer


class _TimedOutError(Exception):
    """The deadline has passed."""


def _too_late(registry: str, timeout_seconds: float) -> RegistryError:
    message = f"the registry {registry} did not answer within {timeout_seconds:.3g} s"
    return RegistryError(message, "try again, or give it longer: --timeout SECONDS")


def _session(registry: str) -> requests.Session:
    import requests

    session = requests.Session()
    # Proxies of the environment are for elsewhere; docker, too, leaves them out for this machine.
    session.trust_env = not _is_loopback(registry)
    # It would read the body of every redirect, of any size, before it hands it out.
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
    session.headers.clear()
    # Compressed answers would be of any size once unpacked; registries send these two as they are.
    session.headers.update({"User-Agent": f"gpudoctor/{gpudoctor.__version__}", "Accept-Encoding": "identity"})
    return session


def _architecture(name: str) -> str:
    return _PLATFORM.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    """What the manifests say of an image."""

    digest: str
    """Of what the reference names: the index, where there is one."""
    platforms: tuple[str, ...]
    """linux/amd64, of an index; empty where there is none."""
    platform: str
    """The one described here."""
    fits: bool
    """Whether that is the one asked for."""
    packed_bytes: int | None
    layers: int
    configuration: str
    """Digest."""
    configuration_bytes: int


class _Client:
    """One conversation with one registry about one image."""

    def __init__(self, session: requests.Session, reference: Reference, deadline: float) -> None:
        self.reference = reference
        self.bytes_read = 0
        self._session = session
        self._deadline = deadline
        self._authorization = ""
        host = _HUB_HOST if reference.registry == DOCKER_HUB else reference.registry
        # Docker speaks plain HTTP to registries of this machine, and to no other that is not listed for it.
        self._local = _is_loopback(reference.registry)
        self._base = f"{'http' if self._local else 'https'}://{host}"

    # --- what is asked ---

    def manifest_for(self, architecture: str) -> _Manifest:
        """The manifest of the image for an architecture, else of the first there is."""
        document, digest = self._manifest(self.reference.version)
        platforms: tuple[str, ...] = ()
        platform, fits = "", True
        if "manifests" in document:
            images = tuple(_images(document["manifests"]))
            if not images:
                raise self._garbled("the index lists no image")
            wanted = f"linux/{_architecture(architecture)}"
            fitting = [one for one in images if one[0] == wanted or one[0].startswith(f"{wanted}/")]
            platforms = tuple(dict.fromkeys(name for name, _ in images))
            (platform, inner), fits = (fitting or images)[0], bool(fitting)
            document, _ = self._manifest(inner)
            if "manifests" in document:
                raise self._garbled("an index within an index")
        configuration = document.get("config")
        if not isinstance(configuration, dict) or not is_digest(str(configuration.get("digest"))):
            raise self._garbled("the manifest names no configuration")
        size = configuration.get("size")
        packed_bytes, layers = _weight(document.get("layers"))
        return _Manifest(
            digest=digest,
            platforms=platforms,
            platform=platform,
            fits=fits,
            packed_bytes=packed_bytes,
            layers=layers,
            configuration=configuration["digest"],
            configuration_bytes=size if isinstance(size, int) else 0,
        )

    def configuration(self, manifest: _Manifest) -> dict[str, Any]:
        """The configuration that a manifest names."""
        what = "configuration"
        if manifest.configuration_bytes > _MAX_CONFIGURATION_BYTES:
            raise self._garbled(f"a {what} of {_shortened(str(manifest.configuration_bytes))} bytes")
        path = f"blobs/{manifest.configuration}"
        answer = self._get(path, "application/json, */*", _MAX_CONFIGURATION_BYTES, what)
        self._verify(answer.body, manifest.configuration, what)
        return self._json(answer.body, what)

    def _manifest(self, version: str) -> tuple[dict[str, Any], str]:
        """A manifest or index, and its digest."""
        answer = self._get(f"manifests/{version}", ", ".join(_MANIFEST_TYPES), _MAX_MANIFEST_BYTES, "manifest")
        stated = version if is_digest(version) else answer.headers.get("docker-content-digest", "")
        if stated:
            self._verify(answer.body, stated, "manifest")
        kind = answer.headers.get("content-type", "")
        document = self._json(answer.body, "manifest")
        if kind.startswith(_SCHEMA_1) or document.get("schemaVersion") == 1:
            message = f"{self.reference} has a manifest of schema 1, which names no configuration"
            raise RegistryError(message, "pull it once and judge it from the engine: docker pull")
        return document, stated or f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    def _verify(self, body: bytes, digest: str, what: str) -> None:
        kind, _, expected = digest.partition(":")
        if not is_digest(digest):
            raise self._garbled(f"the digest of the {what} is none")
        found = hashlib.new(kind, body).hexdigest()
        if found != expected:
            raise self._garbled(f"the {what} does not have its digest: {kind}:{expected[:12]}… against {found[:12]}…")

    def _json(self, body: bytes, what: str) -> dict[str, Any]:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise self._garbled(f"the {what} is no JSON") from None
        if not isinstance(document, dict):
            raise self._garbled(f"the {what} is no JSON object")
        return document

    def _garbled(self, what: str) -> RegistryError:
        message = f"the registry {self.reference.registry} answers something else than a registry does: {what}"
        return RegistryError(message, "is that a registry, and not a proxy or a login page?")

    # --- who asks ---

    def _get(self, path: str, accept: str, limit: int, what: str) -> _Answer:
        """The answer to a GET below the repository, with whatever authorization it takes."""
        path = f"/v2/{self.reference.repository}/{path}"
        answer = self._ask_base(path, accept, limit, what)
        if answer.status in (401, 403) and not self._authorization:
            challenge = _challenge(answer)
            for authorize in (self._anonymously, self._with_credentials):
                authorization = authorize(challenge)
                if authorization:
                    self._authorization = authorization
                    answer = self._ask_base(path, accept, limit, what)
                if answer.status not in (401, 403):
                    break
        if answer.status == 200:
            return answer
        raise self._refused(answer, what)

    def _refused(self, answer: _Answer, what: str) -> RegistryError:
        registry, status, said = self.reference.registry, answer.status, _said(answer)
        if status in (401, 403):
            return self._unauthorized(f"the registry {registry} refuses {self.reference}{said}")
        if status == 404:
            return NoSuchImageError(f"the registry {registry} has no {self.reference}{said}")
        if status == 429:
            after = answer.headers.get("retry-after", "")
            again = f" in {after} s" if after.isascii() and after.isdecimal() and len(after) < 8 else " later"
            message = f"the registry {registry} is asked too often (HTTP status 429){said}"
            return RegistryError(message, f"try again{again}, or log in: {_login(registry)}")
        return RegistryError(f"the registry {registry} answers HTTP status {status} for the {what}{said}")

    def _unauthorized(self, message: str) -> UnauthorizedError:
        return UnauthorizedError(message, _login(self.reference.registry))

    def _anonymously(self, challenge: _Challenge) -> str:
        """nvcr.io and most others hand a token to anybody, for public images."""
        if challenge.kind != "bearer":
            return ""
        return self._token(challenge, authorization="", form=None)

    def _with_credentials(self, challenge: _Challenge) -> str:
        """By the credentials that docker has for this registry.

        Raises UnauthorizedError where there are none, or they are refused.
        """
        registry = self.reference.registry
        if not challenge.kind:
            return ""
        stored = _stored(registry)
        if isinstance(stored, str):
            raise self._unauthorized(f"the registry {registry} wants a password for {self.reference}, and {stored}")
        if challenge.kind == "basic":
            return stored.basic
        if stored.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": stored.identity_token, "client_id": "gpudoctor"}
            token = self._token(challenge, authorization="", form=form)
        else:
            token = self._token(challenge, authorization=stored.basic, form=None)
        if not token:
            raise self._unauthorized(f"the registry {registry} refuses the password that docker has for it")
        return token

    def _token(self, challenge: _Challenge, *, authorization: str, form: dict[str, str] | None) -> str:
        """A bearer token from the service that the registry names; "" where that refuses."""
        realm = urlsplit(challenge.realm)
        secure = realm.scheme == "https"
        local = realm.scheme == "http" and self._local and _is_loopback(realm.netloc)
        if not realm.hostname or realm.username or not (secure or local):
            raise self._garbled("its token service is at no https:// address")
        if secure and not self._local and _is_loopback(realm.netloc):
            raise self._garbled("its token service is on this machine")
        scope = challenge.scope or f"repository:{self.reference.repository}:pull"
        query = {"scope": scope, **({"service": challenge.service} if challenge.service else {})}
        url = challenge.realm
        if form is None:
            url += ("&" if realm.query else "?") + urlencode(query)
        else:
            form = {**query, **form}
        answer = self._ask(url, "application/json", _MAX_TOKEN_BYTES, "token", authorization=authorization, form=form)
        if answer.status in (400, 401, 403, 404):
            return ""
        if answer.status != 200:
            raise self._refused(answer, "token")
        document = self._json(answer.body, "token")
        token = document.get("token") or document.get("access_token")
        # A token becomes a header: nothing may stand in it that ends one.
        if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise self._garbled("its token service gives no token")
        return f"Bearer {token}"

    # --- how it is asked ---

    def _ask_base(self, path: str, accept: str, limit: int, what: str) -> _Answer:
        """Ask the registry itself; one of this machine by HTTPS where it does not speak HTTP."""
        try:
            answer = self._ask(self._base + path, accept, limit, what, authorization=self._authorization)
        except _NoHttpError:
            if not self._base.startswith("http:"):
                raise self._garbled("it speaks no HTTP") from None
            answer = None
        if answer is not None and not (
            self._base.startswith("http:") and answer.status == 400 and b"HTTPS" in answer.body.upper()
        ):
            return answer
        self._base = f"https{self._base.removeprefix('http')}"
        return self._ask_base(path, accept, limit, what)

    def _ask(
        self,
        url: str,
        accept: str,
        limit: int,
        what: str,
        *,
        authorization: str,
        form: dict[str, str] | None = None,
    ) -> _Answer:
        """One request, and those that it is redirected to. Credentials stay with the host that they are for."""
        home = _origin(url)
        for _ in range(_MAX_REDIRECTS + 1):
            own = authorization if _origin(url) == home else ""
            with closing(self._send(url, accept, own, form)) as response:
                location = response.headers.get("Location", "")
                if response.status_code not in _REDIRECTS or not location:
                    return self._received(response, limit, what)
                url, form = self._redirected(url, location), None
        raise RegistryError(f"the registry {self.reference.registry} redirects in circles when asked for the {what}")

    def _redirected(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            parts = urlsplit(target)
            host = parts.netloc.rpartition("@")[2]
        except ValueError:
            raise self._garbled("a redirect to no address") from None
        allowed = parts.scheme == "https" or (parts.scheme == "http" and url.startswith("http:"))
        if not allowed or not host or (_is_loopback(host) and not self._local):
            raise self._garbled(f"a redirect that is not followed, to {_shortened(target)}")
        if parts.scheme == "http" and not _is_loopback(host):
            raise self._garbled(f"a redirect to an address without TLS, {_shortened(target)}")
        return target

    def _send(self, url: str, accept: str, authorization: str, form: dict[str, str] | None) -> requests.Response:
        import requests

        try:
            return self._session.request(
                "GET" if form is None else "POST",
                url,
                headers={"Accept": accept},
                data=form,
                auth=_Authorization(authorization),
                timeout=self._remaining(),
                stream=True,
                allow_redirects=False,
                verify=self._trusted(url),
            )
        except requests.RequestException as error:
            raise self._failed(url, error) from None
        except (ValueError, UnicodeError) as error:  # an address or a header that http.client refuses
            raise self._garbled(f"{type(error).__name__}: {_shortened(str(error))}") from None

    def _received(self, response: requests.Response, limit: int, what: str) -> _Answer:
        """The body, whole; of a refusal no more than its beginning."""
        import requests
        import urllib3

        well = response.status_code == 200
        encoding = response.headers.get("Content-Encoding", "identity")
        if well and encoding != "identity":
            raise self._garbled(f"a {what} in the encoding {_shortened(encoding)}, which nobody asked for")
        most = limit if well else _MAX_REFUSAL_BYTES
        stated = response.headers.get("Content-Length", "")
        if well and stated.isascii() and stated.isdecimal() and (len(stated) > 18 or int(stated) > limit):
            raise self._garbled(f"a {what} of {_shortened(stated)} bytes")
        body = bytearray()
        try:
            while len(body) <= most:
                self._remaining()
                part = response.raw.read(min(_CHUNK_BYTES, most + 1 - len(body)), decode_content=False)
                if not part:
                    break
                body += part
                self.bytes_read += len(part)
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            raise self._failed(response.url, error) from None
        if well and len(body) > limit:
            raise self._garbled(f"a {what} of more than {limit} bytes")
        if well and stated.isascii() and stated.isdecimal() and len(body) < int(stated):
            raise self._garbled(f"the {what} broke off after {len(body)} of {stated} bytes")
        headers = {name.lower(): text for name, text in response.headers.items()}
        return _Answer(status=response.status_code, headers=headers, body=bytes(body[:most]))

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise _TimedOutError
        return remaining

    def _trusted(self, url: str) -> bool | str:
        """The authority that docker trusts for this registry, where there is one; else that of the environment."""
        own = _CERTIFICATES / self.reference.registry / "ca.crt"
        if urlsplit(url).netloc == urlsplit(self._base).netloc and own.is_file():
            return str(own)
        return os.environ.get("REQUESTS_CA_BUNDLE") or True

    def _failed(self, url: str, error: Exception) -> Exception:
        """What a request died of."""
        import requests
        import urllib3

        host = urlsplit(url).netloc
        causes = tuple(_causes(error))
        timeouts = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
        if any(isinstance(one, (ssl.SSLError, requests.exceptions.SSLError)) for one in causes):
            return _tls_fault(host, causes)
        if any(isinstance(one, socket.gaierror) for one in causes):
            return RegistryError(f"the registry {host} cannot be reached: its name does not resolve", _REACH)
        system = next((one for one in causes if isinstance(one, OSError) and one.errno), None)
        # Asked last: urllib3 counts every connection that failed among its timeouts.
        if system is None and any(isinstance(one, timeouts) for one in causes):
            return _TimedOutError()
        # What is no HTTP may be TLS: a connection that a server cuts off, or bytes that are no answer.
        if system is None or (system.errno == errno.ECONNRESET and url.startswith("http:")):
            return _NoHttpError(f"the registry {host} speaks no HTTP", "is that the registry's port?")
        return RegistryError(f"the registry {host} cannot be reached: {system.strerror or system}", _REACH)


_REACH = "check the network, the proxy and the name; is the registry running?"


class _NoHttpError(RegistryError):
    """The other end answers in another language than HTTP."""


class _Authorization:
    """Sets the header, or sees to it that there is none: `requests` would take one from ~/.netrc."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._text:
            request.headers["Authorization"] = self._text
        return request


def _tls_fault(host: str, causes: tuple[BaseException, ...]) -> RegistryError:
    refused = next((one for one in causes if isinstance(one, ssl.SSLCertVerificationError)), None)
    fault = next((one for one in causes if isinstance(one, ssl.SSLError)), None)
    why = refused.verify_message if refused is not None else (fault.reason if fault is not None else "") or "TLS fault"
    hint = (
        f"trust its authority: copy it to {_CERTIFICATES}/{host}/ca.crt, as docker wants it, or set REQUESTS_CA_BUNDLE"
    )
    message = f"the registry {host} cannot be asked securely: {_shortened(str(why))}"
    return RegistryError(message, hint if refused is not None else "is that the registry's port?")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of: `requests` and urllib3 wrap in arguments, `reason` and causes."""
    ahead: list[object] = [error]
    seen: set[int] = set()
    while ahead:
        one = ahead.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        ahead.extend((*one.args, getattr(one, "reason", None), one.__cause__, one.__context__))


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


# --- what registries write ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Challenge:
    """How a registry wants to be asked, by its WWW-Authenticate."""

    kind: str
    """bearer, basic, or "" where it says neither."""
    realm: str
    service: str
    scope: str


_PARAMETER = re.compile(r'([A-Za-z_]+)="([^"]*)"')


def _challenge(answer: _Answer) -> _Challenge:
    text = answer.headers.get("www-authenticate", "")[:4096]
    lower = text.lower()
    kind = next((one for one in ("bearer", "basic") if lower.startswith(f"{one} ") or f", {one} " in lower), "")
    start = lower.find(f"{kind} ") if kind else 0
    fields = {name.lower(): value for name, value in reversed(_PARAMETER.findall(text[start:]))}
    return _Challenge(
        kind=kind,
        realm=fields.get("realm", ""),
        service=fields.get("service", ""),
        scope=fields.get("scope", ""),
    )


def _images(entries: object) -> Iterator[tuple[str, str]]:
    """Platform and digest of the images in an index; signatures and attestations are listed there too."""
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("platform"), dict):
            continue
        name, digest = _platform(entry["platform"]), entry.get("digest")
        if not name.startswith("unknown/") and isinstance(digest, str) and is_digest(digest):
            yield name, digest


def _platform(document: dict[str, Any]) -> str:
    """linux/arm64/v8 of the object that says so."""
    names = (document.get("os") or "linux", document.get("architecture"), document.get("variant"))
    return "/".join(_shortened(str(name)) for name in names if name)


# Sizes are signed 64-bit numbers there: https://github.com/opencontainers/image-spec/blob/main/descriptor.md (2026-11)
_MAX_LAYER = (1 << 63) - 1


def _weight(layers: object) -> tuple[int | None, int]:
    """Bytes and number of layers; None where they do not say."""
    if not isinstance(layers, list):
        return None, 0
    sizes = [layer.get("size") if isinstance(layer, dict) else None for layer in layers]
    known = [size for size in sizes if isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _MAX_LAYER]
    return (sum(known) if len(known) == len(sizes) else None), len(layers)


def _said(answer: _Answer) -> str:
    """What a registry says of a refusal: {"errors": [{"code": …, "message": …}]}."""
    try:
        errors = json.loads(answer.body)["errors"]
        text = errors[0].get("message") or errors[0].get("code")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""
    return f" ({_shortened(' '.join(text.split()))})" if isinstance(text, str) and text.strip() else ""


def _shortened(text: str) -> str:
    return text if len(text) <= 120 else text[:120] + "…"


# --- what docker has stored ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    basic: str
    """Value of the header Authorization."""
    identity_token: str


def _stored(registry: str) -> _Stored | str:
    """What `docker login` stored, by docker's own ways: file, store or helper; or why there is none."""
    try:
        from docker import auth, errors
    except ImportError:
        return "the Python package docker, which reads stored ones, is not installed"
    try:
        found = auth.load_config().resolve_authconfig(None if registry == DOCKER_HUB else registry)
    except (errors.DockerException, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        return f"the stored ones cannot be read: {_shortened(' '.join(str(error).split()))}"
    if not isinstance(found, dict) or not found:
        return "docker has none for it"
    user = found.get("username", found.get("Username")) or ""
    password = found.get("password", found.get("Password")) or ""
    identity_token = found.get("identitytoken", found.get("IdentityToken")) or ""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return _Stored(basic=f"Basic {encoded}", identity_token=str(identity_token))


def _login(registry: str) -> str:
    """How to give docker the credentials of a registry."""
    if registry == "nvcr.io":
        return "docker login nvcr.io with user $oauthtoken and an API key of https://ngc.nvidia.com as password"
    return f"docker login {registry}" if registry != DOCKER_HUB else "docker login"
