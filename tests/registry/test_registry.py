"""The registry client: against Debian's docker-registry, and against servers that mean harm."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from gpudoctor.image import ImageFacts
from gpudoctor.reference import parse
from gpudoctor.registry import (
    ImageSize,
    NoSuchImageError,
    RegistryError,
    UnauthorizedError,
    describe,
    image_size,
)
from tests.real.registry import ACCOUNT, LocalRegistry
from tests.real.tensorflow_image import BuiltImages
from tests.registry import servers
from tests.registry.servers import Answer, Asked, Made, configuration, counting, serving, single, talking

SECONDS = 5.0

CUDA_12 = configuration(CUDA_VERSION="12.4.1", NVIDIA_REQUIRE_CUDA="cuda>=12.4")
IMAGE = single(CUDA_12)


def ask(address: str, name: str = "some/image:1", architecture: str = "x86_64", seconds: float = SECONDS) -> ImageFacts:
    return describe(parse(f"{address}/{name}"), architecture, seconds)


def refusal(address: str, kind: type[RegistryError] = RegistryError, seconds: float = SECONDS) -> RegistryError:
    start = time.monotonic()
    with pytest.raises(kind) as caught:
        ask(address, seconds=seconds)
    assert time.monotonic() - start < seconds + 2.0
    error = caught.value
    assert type(error) is kind
    assert error.message.isprintable()
    assert len(error.message) < 400
    return error


@pytest.fixture(autouse=True)
def _no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who never logged in, and whose ~/.netrc has something for every host."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("default login netrc password for-elsewhere\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / ".docker"))
    # A proxy that answers nobody: registries of this machine are not asked through it.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")


def log_in(monkeypatch: pytest.MonkeyPatch, folder: Path, address: str, account: tuple[str, str] = ACCOUNT) -> None:
    """What `docker login` writes where there is no credential store."""
    folder.mkdir(exist_ok=True)
    encoded = base64.b64encode(":".join(account).encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {address: {"auth": encoded}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


# --- the real registry ---


def test_describes_an_image_of_a_real_registry_in_a_few_kilobytes(registry: LocalRegistry) -> None:
    with counting(registry.address) as relay:
        found = ask(relay.address, "nvidia/tensorflow:22.12-tf1-py3")
    assert found.variables["CUDA_VERSION"] == "11.8.0.065"
    assert found.variables["CUDA_DRIVER_VERSION"] == "520.61.05"
    assert dict(found.labels) == {"com.nvidia.tensorflow.version": "22.12-tf1"}
    assert found.entrypoint == ("/opt/nvidia/nvidia_entrypoint.sh",)
    assert found.created == "2022-12-16T00:00:00Z"
    assert found.layers == 4
    assert found.packed_bytes is not None
    assert 100_000_000 < found.packed_bytes < 1_000_000_000
    assert found.digest.startswith("sha256:")
    assert 0 < found.bytes_read < relay.received_bytes < 100_000


def test_an_image_named_by_its_digest_is_the_same(registry: LocalRegistry) -> None:
    by_tag = ask(registry.address, "nvidia/tensorflow:22.12-tf1-py3")
    by_digest = ask(registry.address, f"nvidia/tensorflow@{by_tag.digest}")
    assert by_digest.environment == by_tag.environment
    assert by_digest.tag == ""


def test_its_size_is_in_the_manifest_alone(registry: LocalRegistry) -> None:
    with counting(registry.address) as relay:
        found = image_size(f"{relay.address}/nvidia/tensorflow:22.12-tf1-py3", "x86_64", SECONDS)
    described = ask(registry.address, "nvidia/tensorflow:22.12-tf1-py3")
    assert found == ImageSize(packed_bytes=described.packed_bytes or 0, layers=4)
    assert relay.received_bytes < 10_000


def test_an_unknown_tag_and_an_unknown_repository_are_no_such_image(registry: LocalRegistry) -> None:
    for name in ("nvidia/tensorflow:22.99", "nvidia/nothing:1", f"nvidia/tensorflow@sha256:{'0' * 64}"):
        with pytest.raises(NoSuchImageError) as caught:
            ask(registry.address, name)
        assert caught.value.exit_code == 1


def _put_index(registry: LocalRegistry, by_architecture: dict[str, str]) -> None:
    """Push an image for each architecture, and one tag for all."""
    repository = "tiny/several"
    entries = []
    for architecture, cuda in by_architecture.items():
        configured = configuration(architecture, CUDA_VERSION=cuda)
        assert registry.upload_blob(repository, configured) == servers.digest(configured)
        layer = b"a layer for %s" % architecture.encode()
        described = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer)}
        body: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": servers.MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(configured),
                "digest": servers.digest(configured),
            },
            "layers": [{**described, "digest": registry.upload_blob(repository, layer)}],
        }
        digest = registry.put_manifest(repository, architecture, body)
        entry = {"mediaType": servers.MANIFEST, "size": len(json.dumps(body)), "digest": digest}
        entries.append({**entry, "platform": {"os": "linux", "architecture": architecture}})
    answer = requests.put(
        f"http://{registry.address}/v2/{repository}/manifests/1",
        data=json.dumps({"schemaVersion": 2, "mediaType": servers.INDEX, "manifests": entries}),
        headers={"Content-Type": servers.INDEX},
        timeout=SECONDS,
        proxies={"http": ""},
        auth=ACCOUNT,
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(("architecture", "cuda"), [("x86_64", "12.4.1"), ("aarch64", "12.5.0")])
def test_of_several_platforms_the_one_asked_for_is_described(
    registry: LocalRegistry, architecture: str, cuda: str
) -> None:
    _put_index(registry, {"amd64": "12.4.1", "arm64": "12.5.0"})
    with counting(registry.address) as relay:
        found = ask(relay.address, "tiny/several:1", architecture)
    assert found.platforms == ("linux/amd64", "linux/arm64")
    assert found.variables["CUDA_VERSION"] == cuda
    assert relay.received_bytes < 100_000


def test_where_the_platform_is_missing_another_is_described_and_its_size_is_none(registry: LocalRegistry) -> None:
    _put_index(registry, {"arm64": "12.5.0"})
    found = ask(registry.address, "tiny/several:1")
    assert found.platform == "linux/arm64"
    with pytest.raises(NoSuchImageError, match="holds no image for amd64"):
        image_size(f"{registry.address}/tiny/several:1", "x86_64", SECONDS)


@pytest.fixture
def guarded(images: BuiltImages, htpasswd: Path, tmp_path: Path) -> LocalRegistry:
    storage = tmp_path / "storage"
    images.copy_storage(storage)
    return LocalRegistry(storage, htpasswd=htpasswd)


TENSORFLOW = "nvidia/tensorflow:22.12-tf1-py3"


def test_passwords_are_taken_from_where_docker_login_puts_them(
    guarded: LocalRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with guarded as registry:
        with pytest.raises(UnauthorizedError) as caught:
            ask(registry.address, TENSORFLOW)
        assert "wants a password" in caught.value.message
        assert caught.value.hint == f"docker login {registry.address}"
        assert caught.value.exit_code == 1

        log_in(monkeypatch, tmp_path / "right", registry.address)
        assert ask(registry.address, TENSORFLOW).variables["TENSORFLOW_VERSION"] == "1.15.5"

        log_in(monkeypatch, tmp_path / "wrong", registry.address, ("$oauthtoken", "an old key"))
        with pytest.raises(UnauthorizedError) as caught:
            ask(registry.address, TENSORFLOW)
        assert "refuses" in caught.value.message

        log_in(monkeypatch, tmp_path / "elsewhere", "nvcr.io")
        with pytest.raises(UnauthorizedError):
            ask(registry.address, TENSORFLOW)


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_passwords_are_taken_from_a_credential_helper(
    guarded: LocalRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    """Of one registry, or of all."""
    with guarded as registry:
        folder = tmp_path / "with-helper"
        folder.mkdir()
        helper = folder / "docker-credential-test"
        secret = json.dumps({"ServerURL": registry.address, "Username": ACCOUNT[0], "Secret": ACCOUNT[1]})
        helper.write_text(f'#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = {registry.address} ] || exit 1\n')
        with helper.open("a") as file:
            file.write(f"cat <<'END'\n{secret}\nEND\n")
        helper.chmod(0o755)
        value: object = "test" if key == "credsStore" else {registry.address: "test"}
        (folder / "config.json").write_text(json.dumps({key: value}))
        monkeypatch.setenv("DOCKER_CONFIG", str(folder))
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        assert ask(registry.address, TENSORFLOW).layers == 4
        helper.write_text("#!/bin/sh\necho 'the keychain is locked'\nexit 1\n")
        with pytest.raises(UnauthorizedError):
            ask(registry.address, TENSORFLOW)


# --- tokens ---


class TokenRegistry:
    """A registry that wants a bearer token, and the service that gives them."""

    def __init__(self, *, public: bool, token: object = "a-token", realm: str = "", status: int = 200) -> None:
        self.public, self.token, self.realm, self.status = public, token, realm, status
        self.address = ""

    def __call__(self, asked: Asked) -> Answer:
        if asked.path.startswith("/token"):
            known = asked.authorization == "Basic " + base64.b64encode(":".join(ACCOUNT).encode()).decode()
            if not (self.public or known):
                return Answer(401)
            return Answer(self.status, body=json.dumps({"token": self.token}).encode())
        if asked.authorization == "Bearer a-token":
            return IMAGE.behaviour(asked)
        realm = self.realm or f"http://{self.address}/token"
        challenge = f'Bearer realm="{realm}",service="registry",scope="repository:some/image:pull"'
        return Answer(401, headers={"WWW-Authenticate": challenge})


def test_a_public_image_is_read_with_an_anonymous_token_though_credentials_are_stored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = TokenRegistry(public=True)
    with serving(registry) as server:
        registry.address = server.address
        log_in(monkeypatch, tmp_path / "stale", server.address, ("$oauthtoken", "stale"))
        assert ask(server.address).variables["CUDA_VERSION"] == "12.4.1"
    assert set(server.authorizations) == {"Bearer a-token"}
    token = next(one for one in server.asked if one.path.startswith("/token"))
    assert token.path == "/token?scope=repository%3Asome%2Fimage%3Apull&service=registry"
    assert len([one for one in server.asked if one.path.startswith("/token")]) == 1


def test_a_private_image_is_read_with_a_token_for_the_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registry = TokenRegistry(public=False)
    with serving(registry) as server:
        registry.address = server.address
        error = refusal(server.address, UnauthorizedError)
        assert "wants a password" in error.message
        log_in(monkeypatch, tmp_path / "right", server.address)
        assert ask(server.address).variables["CUDA_VERSION"] == "12.4.1"
        log_in(monkeypatch, tmp_path / "wrong", server.address, ("me", "wrong"))
        assert "refuses the password" in refusal(server.address, UnauthorizedError).message


def test_an_identity_token_is_exchanged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def behaviour(asked: Asked) -> Answer:
        if asked.path.startswith("/token"):
            if asked.method == "POST" and b"refresh_token=my-identity" in asked.body and b"scope=" in asked.body:
                return Answer(body=json.dumps({"access_token": "a-token"}).encode())
            return Answer(401)
        return registry(asked)

    registry = TokenRegistry(public=False)
    with serving(behaviour) as server:
        registry.address = server.address
        folder = tmp_path / "identity"
        folder.mkdir()
        encoded = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
        stored = {"auths": {server.address: {"auth": encoded, "identitytoken": "my-identity"}}}
        (folder / "config.json").write_text(json.dumps(stored))
        monkeypatch.setenv("DOCKER_CONFIG", str(folder))
        assert ask(server.address).variables["CUDA_VERSION"] == "12.4.1"


@pytest.mark.parametrize(
    ("token", "kind", "message"),
    [
        ("another", UnauthorizedError, "wants a password"),  # one that the registry itself refuses
        ("a\r\nX-Evil: 1", RegistryError, "gives no token"),
        ("", RegistryError, "gives no token"),
        (None, RegistryError, "gives no token"),
        (["a-token"], RegistryError, "gives no token"),
        ("x" * 100_000, RegistryError, "a token of 100013 bytes"),
    ],
)
def test_a_token_service_that_lies(token: object, kind: type[RegistryError], message: str) -> None:
    registry = TokenRegistry(public=True, token=token)
    with serving(registry) as server:
        registry.address = server.address
        assert message in refusal(server.address, kind).message


@pytest.mark.parametrize(
    "realm",
    [
        "http://registry.invalid/token",
        "ftp://127.0.0.1/token",
        "file:///etc/passwd",
        "/token",
        "",
        "https://",
        "https://me@registry.invalid/",
    ],
)
def test_a_token_service_at_an_address_that_is_none_is_not_asked(realm: str) -> None:
    registry = TokenRegistry(public=True, realm=realm or " ")
    with serving(registry) as server:
        registry.address = server.address
        assert "at no https:// address" in refusal(server.address).message


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"[]"), (500, b"")])
def test_a_token_service_that_answers_something_else(status: int, body: bytes) -> None:
    registry = TokenRegistry(public=True)

    def behaviour(asked: Asked) -> Answer:
        return Answer(status, body=body) if asked.path.startswith("/token") else registry(asked)

    with serving(behaviour) as server:
        registry.address = server.address
        assert refusal(server.address).exit_code == 3


# --- redirects ---


def test_credentials_do_not_follow_a_redirect_to_another_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Blobs come from elsewhere by a redirect; the password is not for elsewhere."""
    with serving(IMAGE.behaviour) as elsewhere:

        def behaviour(asked: Asked) -> Answer:
            if not asked.authorization:
                return Answer(401, headers={"WWW-Authenticate": 'Basic realm="here"'})
            if "/blobs/" in asked.path:
                return Answer(307, headers={"Location": f"http://{elsewhere.address}{asked.path}"})
            return IMAGE.behaviour(asked)

        with serving(behaviour) as server:
            log_in(monkeypatch, tmp_path / "right", server.address)
            assert ask(server.address).variables["CUDA_VERSION"] == "12.4.1"
    assert server.authorizations
    assert elsewhere.asked
    assert elsewhere.authorizations == []


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/v2/some/image/manifests/1", "redirects in circles"),
        ("?again", "redirects in circles"),
        ("http://registry.invalid/x", "without TLS"),
        ("file:///etc/passwd", "not followed"),
        ("gopher://127.0.0.1/", "not followed"),
        ("https://", "not followed"),
        ("http://[", "to no address"),
    ],
)
def test_redirects_that_lead_nowhere(location: str, message: str) -> None:
    with serving(lambda _: Answer(302, headers={"Location": location})) as server:
        assert message in refusal(server.address).message
    assert len(server.asked) <= 6


def test_an_endless_redirect_ends() -> None:
    count = iter(range(1_000_000))
    with serving(lambda _: Answer(301, headers={"Location": f"/{next(count)}"})) as server:
        error = refusal(server.address)
    assert "redirects in circles" in error.message
    assert error.exit_code == 3
    assert len(server.asked) == 6


def test_the_body_of_a_redirect_is_not_read() -> None:
    sent = 0

    def speak(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 5000000000\r\n\r\n")
        while True:
            connection.sendall(b" " * 0x10000)
            sent += 0x10000

    with talking(speak) as address:
        assert "redirects in circles" in refusal(address).message
    assert sent < 64 << 20  # six times what fits into the buffers of a connection


# --- answers that are none ---


def _instead(what: str, answer: Answer) -> Callable[[Asked], Answer]:
    return lambda asked: answer if what in asked.path else IMAGE.behaviour(asked)


INDEX_ONLY = {"Content-Type": servers.INDEX}


@pytest.mark.parametrize(
    ("what", "answer", "message"),
    [
        ("/manifests/", Answer(body=b"<html>log in, please</html>"), "the manifest is no JSON"),
        ("/manifests/", Answer(body=b"\xff\xfe\x00"), "the manifest is no JSON"),
        ("/manifests/", Answer(body=b"[" * 100_000), "the manifest is no JSON"),
        ("/manifests/", Answer(body=b'["schemaVersion"]'), "no JSON object"),
        ("/manifests/", Answer(body=b"{}"), "names no configuration"),
        ("/manifests/", Answer(body=b'{"config": {"digest": "sha256:../../x"}}'), "names no configuration"),
        ("/manifests/", Answer(headers=INDEX_ONLY, body=b'{"manifests": []}'), "lists no image"),
        ("/manifests/", Answer(headers=INDEX_ONLY, body=b'{"manifests": {"a": [1]}}'), "lists no image"),
        ("/manifests/", Answer(body=b'{"schemaVersion": 1}'), "a manifest of schema 1"),
        ("/manifests/", Answer(headers={"Content-Length": "5000000000"}), "a manifest of 5000000000 bytes"),
        ("/manifests/", Answer(headers={"Content-Length": "9" * 4000}), "a manifest of 999"),
        ("/manifests/", Answer(headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b"), "the encoding gzip"),
        (
            "/manifests/",
            Answer(headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"}, body=b"{}"),
            "the manifest does not have its digest",
        ),
        (
            "/manifests/",
            Answer(headers={"Docker-Content-Digest": "md5:0"}, body=b"{}"),
            "digest of the manifest is none",
        ),
        ("/blobs/", Answer(body=CUDA_12 + b" "), "the configuration does not have its digest"),
        ("/blobs/", Answer(headers={"Content-Length": "1048577"}), "a configuration of 1048577 bytes"),
        ("/manifests/", Answer(500, body=b"oh\x1b[2J"), "HTTP status 500"),
        ("/manifests/", Answer(204), "HTTP status 204"),
        ("/manifests/", Answer(302), "HTTP status 302"),
        (
            "/manifests/",
            Answer(503, body=b'{"errors": [{"message": "down\\nfor\\u0000 a while"}]}'),
            "HTTP status 503 for the manifest (down for",
        ),
    ],
)
def test_an_answer_that_is_none_is_said_in_one_line(what: str, answer: Answer, message: str) -> None:
    with serving(_instead(what, answer)) as server:
        start = time.monotonic()
        with pytest.raises(RegistryError) as caught:
            ask(server.address)
        assert time.monotonic() - start < SECONDS
    assert message in caught.value.message
    assert caught.value.exit_code == 3


def test_an_index_in_an_index_is_no_image() -> None:
    inner = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    entry = {"digest": servers.digest(inner), "platform": {"os": "linux", "architecture": "amd64"}}
    outer = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    made = Made({"manifests/1": Answer(body=outer), f"manifests/{servers.digest(inner)}": Answer(body=inner)})
    with serving(made.behaviour) as server:
        assert "an index within an index" in refusal(server.address).message


def test_an_index_with_attestations_has_its_platforms_only() -> None:
    made = servers.several({"linux/amd64": CUDA_12, "linux/arm64/v8": configuration("arm64", CUDA_VERSION="12.5")})
    with serving(made.behaviour) as server:
        assert ask(server.address).platforms == ("linux/amd64", "linux/arm64/v8")
        assert ask(server.address, architecture="aarch64").variables["CUDA_VERSION"] == "12.5"


def test_a_configuration_that_says_it_is_large_is_not_fetched() -> None:
    body = servers.manifest(CUDA_12, size=2 << 20)
    with serving(Made({"manifests/1": Answer(body=body)}).behaviour) as server:
        assert "a configuration of 2097152 bytes" in refusal(server.address).message
    assert not any("/blobs/" in one.path for one in server.asked)


def test_too_many_requests_says_when_to_come_back() -> None:
    body = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}'
    with serving(lambda _: Answer(429, headers={"Retry-After": "17"}, body=body)) as server:
        error = refusal(server.address)
    assert "asked too often (HTTP status 429) (You have reached your pull rate limit.)" in error.message
    assert error.hint.startswith("try again in 17 s, or log in: docker login 127.0.0.1:")
    assert error.exit_code == 3


def test_forbidden_without_a_challenge_is_unauthorized() -> None:
    with serving(lambda _: Answer(403, body=b'{"errors": [{"code": "DENIED"}]}')) as server:
        assert "(DENIED)" in refusal(server.address, UnauthorizedError).message


# --- time, and other languages ---


def _drip(head: bytes, forever: bytes) -> Callable[[socket.socket], None]:
    def speak(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(head)
        while True:
            connection.sendall(forever)
            time.sleep(0.05)

    return speak


@pytest.mark.parametrize(
    ("head", "forever"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 1000000\r\n\r\n", b" "),
    ],
)
def test_a_server_that_drips_has_until_the_deadline_and_no_longer(head: bytes, forever: bytes) -> None:
    with talking(_drip(head, forever)) as address:
        error = refusal(address, seconds=1.0)
    assert error.message == f"the registry {address} did not answer within 1 s"
    assert error.exit_code == 3


def test_a_server_that_says_nothing_has_until_the_deadline() -> None:
    with talking(lambda connection: time.sleep(3)) as address:
        assert "did not answer within 1 s" in refusal(address, seconds=1.0).message


def test_an_endless_manifest_is_left_at_its_limit() -> None:
    sent = 0

    def speak(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            sent += 0x10000

    with talking(speak) as address:
        assert "a manifest of more than 4194304 bytes" in refusal(address, seconds=20.0).message
    assert sent < 32 << 20  # what fits into the buffers of the connection, beyond the limit


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    with talking(speak) as address:
        assert refusal(address).exit_code == 3


def test_nobody_listening_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        start = time.monotonic()
        error = refusal(address)
    assert error.message == f"the registry {address} cannot be reached: Connection refused"
    assert error.exit_code == 3
    assert time.monotonic() - start < 2


def test_a_name_that_does_not_resolve() -> None:
    assert "registry.invalid:1 cannot be reached" in refusal("registry.invalid:1").message


def test_another_protocol_is_no_registry() -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.recv(1 << 16)

    with talking(speak) as address:
        assert refusal(address).exit_code == 3


def test_a_certificate_that_nobody_signed_is_a_tls_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, context = servers.certificate(tmp_path)
    with serving(IMAGE.behaviour, tls=context) as server:
        error = refusal(server.address)
        assert "cannot be asked securely: self-signed certificate" in error.message
        assert f"/etc/docker/certs.d/{server.address}/ca.crt" in error.hint
        assert error.exit_code == 3
        assert server.asked == []
        # The same server, once it is trusted: a registry of this machine may speak HTTPS too.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert ask(server.address).variables["CUDA_VERSION"] == "12.4.1"


def test_nothing_of_netrc_is_sent() -> None:
    with serving(IMAGE.behaviour) as server:
        ask(server.address)
    assert server.asked
    assert server.authorizations == []
