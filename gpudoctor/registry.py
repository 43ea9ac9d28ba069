"""What an image weighs, asked of its registry before it is pulled: manifest only, a few kB.

https://distribution.github.io/distribution/spec/api/ (2026-11)
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

_MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_MAX_MANIFEST_BYTES = 4 << 20
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')

# The architecture as Docker's platforms name it.
_PLATFORM = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSize:
    """Packed size of an image."""

    packed_bytes: int
    layers: int


class RegistryError(Exception):
    """The registry did not tell; the message says why in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """host[:port]/repository:tag, taken apart."""

    registry: str
    repository: str
    tag: str


def parse_reference(text: str) -> Reference:
    """Take a full reference apart: everything before the first slash is the registry."""
    registry, _, rest = text.partition("/")
    repository, _, tag = rest.rpartition(":")
    return Reference(registry=registry, repository=repository, tag=tag)


def image_size(text: str, architecture: str, timeout_seconds: float) -> ImageSize:
    """Ask for the manifest of a full reference, anonymously, and add up its layers.

    Raises RegistryError when the registry cannot be asked, refuses, or answers something else.
    """
    import requests

    reference = parse_reference(text)
    try:
        with requests.Session() as session:
            return _image_size(session, reference, architecture, timeout_seconds)
    except requests.RequestException as error:
        raise RegistryError(f"{reference.registry} cannot be asked: {_one_line(error)}") from None


def _image_size(session: requests.Session, reference: Reference, architecture: str, timeout: float) -> ImageSize:
    manifest = _manifest(session, reference, reference.tag, timeout)
    if "manifests" in manifest:
        wanted = _PLATFORM.get(architecture, architecture)
        digests = [
            entry.get("digest")
            for entry in manifest["manifests"]
            if isinstance(entry, dict) and entry.get("platform", {}).get("architecture") == wanted
        ]
        if not digests:
            raise RegistryError(f"the tag holds no image for {wanted}")
        manifest = _manifest(session, reference, str(digests[0]), timeout)
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not all(
        isinstance(layer, dict) and isinstance(layer.get("size"), int) for layer in layers
    ):
        raise RegistryError("the manifest lists no layers with sizes")
    return ImageSize(packed_bytes=sum(layer["size"] for layer in layers), layers=len(layers))


def _manifest(session: requests.Session, reference: Reference, name: str, timeout: float) -> dict[str, Any]:
    # Docker, too, speaks plain HTTP to registries of this machine.
    scheme = "http" if _is_loopback(reference.registry) else "https"
    url = f"{scheme}://{reference.registry}/v2/{reference.repository}/manifests/{name}"
    headers = {"Accept": ", ".join(_MANIFEST_TYPES)}
    response = session.get(url, headers=headers, timeout=timeout, stream=True)
    if response.status_code == 401:
        token = _anonymous_token(session, response, timeout)
        response = session.get(
            url, headers={**headers, "Authorization": f"Bearer {token}"}, timeout=timeout, stream=True
        )
    if response.status_code != 200:
        raise RegistryError(f"HTTP status {response.status_code} for {reference.repository}:{name}")
    body = response.raw.read(_MAX_MANIFEST_BYTES + 1, decode_content=True)
    if len(body) > _MAX_MANIFEST_BYTES:
        raise RegistryError("the manifest is larger than any manifest")
    import json

    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RegistryError("the manifest is no JSON") from None
    if not isinstance(document, dict):
        raise RegistryError("the manifest is no JSON object")
    return document


def _anonymous_token(session: requests.Session, response: requests.Response, timeout: float) -> str:
    """nvcr.io and most others hand one to anybody for public images."""
    kind, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
    fields = dict(_CHALLENGE.findall(rest))
    if kind.lower() != "bearer" or not fields.get("realm", "").startswith("https://"):
        raise RegistryError("it wants a password")
    parameters = {key: fields[key] for key in ("service", "scope") if key in fields}
    answer = session.get(fields["realm"], params=parameters, timeout=timeout)
    if answer.status_code != 200:
        raise RegistryError("it gives no anonymous token")
    document = answer.json()
    token = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str):
        raise RegistryError("its token service answers something else")
    return token


def _is_loopback(registry: str) -> bool:
    host = registry.rpartition(":")[0] or registry
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _one_line(error: Exception) -> str:
    return type(error).__name__
