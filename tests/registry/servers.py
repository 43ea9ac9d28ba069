"""Servers on loopback that behave as registries, and as registries must not."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.cannot import cannot

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(slots=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass(slots=True)
class Answer:
    """What goes back."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Behaviour = Callable[[Asked], Answer]


@dataclass(slots=True)
class Server:
    """A running server and what it was asked."""

    address: str
    """HOST:PORT"""
    asked: list[Asked]

    @property
    def authorizations(self) -> list[str]:
        return [one.authorization for one in self.asked if one.authorization]


class _Threading(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nothing to print."""


@contextlib.contextmanager
def serving(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """HTTP on a free port of loopback, every request answered by one function."""
    asked: list[Asked] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): text for name, text in self.headers.items()}
            one = Asked(method=self.command, path=self.path, headers=headers, body=self.rfile.read(length))
            asked.append(one)
            answer = behaviour(one)
            self.send_response(answer.status)
            for name, text in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            """Nobody reads it."""

    server = _Threading(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Server(address=f"127.0.0.1:{server.server_address[1]}", asked=asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def talking(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server below HTTP: each connection is handed to a function. Gives the address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                speak(self.request)

    class Talker(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    server = Talker(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(slots=True)
class Relay:
    """A line to a server that counts what comes back on it."""

    address: str
    received_bytes: int = 0


@contextlib.contextmanager
def counting(target: str) -> Iterator[Relay]:
    """Everything that goes over the wire, headers too."""
    host, _, port = target.rpartition(":")
    relay = Relay(address="")

    def pump(source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(1 << 16):
                if counted:
                    relay.received_bytes += len(part)
                sink.sendall(part)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def speak(near: socket.socket) -> None:
        with socket.create_connection((host, int(port))) as far:
            there = threading.Thread(target=pump, args=(near, far, False), daemon=True)
            there.start()
            pump(far, near, True)
            there.join(5)

    with talking(speak) as address:
        relay.address = address
        yield relay


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody has signed, and a context to serve with it."""
    openssl = shutil.which("openssl") or cannot("openssl is missing (Debian: openssl)")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    options = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run([openssl, "req", *options, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


# --- an image, made of nothing but its words ---


@dataclass(frozen=True, slots=True)
class Made:
    """An image as a registry holds it: answers by path below /v2/REPOSITORY/."""

    answers: Mapping[str, Answer]

    def behaviour(self, asked: Asked) -> Answer:
        """A registry that wants no password and has this image only, under any repository."""
        for kind in ("/manifests/", "/blobs/"):
            if kind in asked.path:
                found = self.answers.get(kind[1:] + asked.path.partition(kind)[2])
                if found is not None:
                    return found
        error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
        return Answer(404, body=json.dumps(error).encode())


def configuration(architecture: str = "amd64", **environment: str) -> bytes:
    document = {
        "architecture": architecture,
        "os": "linux",
        "created": "2024-05-01T00:00:00Z",
        "config": {"Env": [f"{name}={text}" for name, text in environment.items()], "Labels": None},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return json.dumps(document).encode()


def manifest(configured: bytes, size: int | None = None) -> bytes:
    layers = [{"mediaType": "x", "size": 1000 + number, "digest": digest(b"%d" % number)} for number in range(3)]
    described = {"mediaType": "x", "size": len(configured) if size is None else size, "digest": digest(configured)}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers}).encode()


def single(configured: bytes, tag: str = "1") -> Made:
    """An image for one platform."""
    body = manifest(configured)
    answer = Answer(headers={"Content-Type": MANIFEST, "Docker-Content-Digest": digest(body)}, body=body)
    return Made({f"manifests/{tag}": answer, f"blobs/{digest(configured)}": Answer(body=configured)})


def several(by_platform: Mapping[str, bytes], tag: str = "1") -> Made:
    """An OCI index with an image for each platform, and an attestation as buildkit adds them."""
    answers: dict[str, Answer] = {}
    entries = []
    for platform, configured in by_platform.items():
        body = manifest(configured)
        system, architecture, *variant = platform.split("/")
        described = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        entries.append({"mediaType": MANIFEST, "size": len(body), "digest": digest(body), "platform": described})
        answers[f"manifests/{digest(body)}"] = Answer(headers={"Content-Type": MANIFEST}, body=body)
        answers[f"blobs/{digest(configured)}"] = Answer(body=configured)
    attestation = {"os": "unknown", "architecture": "unknown"}
    entries.append({"mediaType": MANIFEST, "size": 2, "digest": digest(b"{}"), "platform": attestation})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    answers[f"manifests/{tag}"] = Answer(
        headers={"Content-Type": INDEX, "Docker-Content-Digest": digest(index)}, body=index
    )
    return Made(answers)
