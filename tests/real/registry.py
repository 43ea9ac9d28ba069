"""A registry of the tests' own: Debian's docker-registry on 127.0.0.1, with storage that the caller gives."""

import hashlib
import http.client
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode, urlsplit

from tests.real.cannot import cannot
from tests.real.folders import temporary_folder
from tests.real.packages import need_commands
from tests.real.processes import stop

START_SECONDS = 30.0

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"

ACCOUNT = ("$oauthtoken", "not-a-real-key")
"""The user and password that HTPASSWD lets in: NVIDIA's registry wants this user name too."""

HTPASSWD = "$oauthtoken:$2y$04$grXmcWZsGGCnWB0vGODgsewRKeZ3LPOXMsDR1Tj0c6mJ1eio9wCUG\n"


class LocalRegistry:
    """Runs docker-registry for as long as the context is open."""

    def __init__(self, storage: Path, *, htpasswd: Path | None = None, port: int = 0) -> None:
        """Say how it shall run; nothing starts before the context is entered.

        storage: the folder that holds, or shall hold, its content.
        htpasswd: a file of users with bcrypt hashes, such as HTPASSWD; without it anybody may pull and push.
        port: 0 takes a free one. Give the port of one that was stopped to bring it back.
        """
        self.storage = storage
        self._htpasswd = htpasswd
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._run_folder: Path | None = None

    @property
    def address(self) -> str:
        """HOST:PORT, as it stands at the front of an image's name. Kept when the registry has stopped."""
        if self._port == 0:
            raise RuntimeError("the registry never ran")
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of docker-registry."""
        if self._process is None:
            raise RuntimeError("the registry is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        """What it wrote: a line per request among other things."""
        if self._run_folder is None:
            raise RuntimeError("the registry is not running")
        return self._run_folder / "registry.log"

    def reference(self, repository: str, tag: str) -> str:
        """The full name of an image in it."""
        return f"{self.address}/{repository}:{tag}"

    def __enter__(self) -> "LocalRegistry":
        command = need_commands("docker-registry")["docker-registry"]
        self._run_folder = temporary_folder("registry")
        try:
            self._start(command)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it; its storage stays."""
        if self._process is not None:
            stop(self._process, timeout_seconds=10.0)
        if self._run_folder is not None:
            shutil.rmtree(self._run_folder)
        self._process = self._run_folder = None

    def _start(self, command: Path) -> None:
        configuration: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            # Port 0 lets the kernel choose one that is free at that moment; the log then tells which.
            "http": {"addr": f"127.0.0.1:{self._port}"},
        }
        if self._htpasswd is not None:
            configuration["auth"] = {"htpasswd": {"realm": "gpudoctor tests", "path": str(self._htpasswd)}}
        assert self._run_folder is not None
        # JSON is YAML, which is what docker-registry reads.
        written = self._run_folder / "config.yml"
        written.write_text(json.dumps(configuration))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(need_commands("setpriv")["setpriv"]),
                    "--pdeathsig",
                    "TERM",
                    str(command),
                    "serve",
                    str(written),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                cannot(f"docker-registry did not start: {self.log.read_text(errors='replace').strip()[-500:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        listening = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log.read_text(errors="replace"))
        if listening is None:
            return False
        self._port = int(listening[1])
        try:
            # 401 is an answer too: it asks for the password.
            return self._ask("GET", "/v2/")[0] in {200, 401}
        except OSError:
            return False

    def upload_blob(self, repository: str, content: bytes) -> str:
        """Put a small blob there and give its digest."""
        with self.blob_upload(repository) as upload:
            upload.write(content)
        return upload.digest

    @contextmanager
    def blob_upload(self, repository: str) -> "Iterator[BlobUpload]":
        """An upload to write to; the blob is there, under its digest, when the context ends well."""
        status, headers, body = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
        if status != 202:
            raise RuntimeError(f"the registry refused an upload: {status} {body!r}")
        upload = BlobUpload(self.address, headers["location"])
        try:
            yield upload
            location = upload.finish()
        finally:
            upload.close()
        separator = "&" if urlsplit(location).query else "?"
        status, _, body = self._ask("PUT", f"{location}{separator}{urlencode({'digest': upload.digest})}")
        if status != 201:
            raise RuntimeError(f"the registry refused a blob: {status} {body!r}")

    def mount_blob(self, digest: str, *, source: str, repository: str) -> None:
        """Make a blob of one repository known to another, without sending it again."""
        query = urlencode({"mount": digest, "from": source})
        status, _, body = self._ask("POST", f"/v2/{repository}/blobs/uploads/?{query}")
        if status != 201:
            raise RuntimeError(f"the registry did not mount {digest}: {status} {body!r}")

    def put_manifest(self, repository: str, tag: str, manifest: Mapping[str, object]) -> str:
        """Tag an image whose blobs are there, and give its digest."""
        body = json.dumps(manifest).encode()
        status, headers, answer = self._ask("PUT", f"/v2/{repository}/manifests/{tag}", body, MANIFEST_TYPE)
        if status != 201:
            raise RuntimeError(f"the registry refused {repository}:{tag}: {status} {answer!r}")
        return headers["docker-content-digest"]

    def manifest(self, repository: str, tag: str) -> dict[str, object] | None:
        """The manifest of an image, or None when there is no such tag."""
        status, _, body = self._ask("GET", f"/v2/{repository}/manifests/{tag}")
        if status == 404:
            return None
        manifest: dict[str, object] = json.loads(body)
        return manifest

    def _ask(
        self, method: str, target: str, body: bytes | None = None, content_type: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(target)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60.0)
        try:
            headers = {"Accept": MANIFEST_TYPE}
            if content_type:
                headers["Content-Type"] = content_type
            connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
            response = connection.getresponse()
            return (
                response.status,
                {name.lower(): text for name, text in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()


class BlobUpload:
    """Streams a blob to the registry: nothing of it is kept in memory or in a file on the way."""

    def __init__(self, address: str, location: str) -> None:
        """Open the request that carries the blob."""
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._connection = http.client.HTTPConnection(address, timeout=60.0)
        parts = urlsplit(location)
        self._connection.putrequest("PATCH", f"{parts.path}?{parts.query}")
        self._connection.putheader("Content-Type", "application/octet-stream")
        self._connection.putheader("Transfer-Encoding", "chunked")
        self._connection.endheaders()

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, content: bytes) -> int:
        """Send some bytes more."""
        if content:
            self._hash.update(content)
            self.size_bytes += len(content)
            self._connection.send(b"%x\r\n%b\r\n" % (len(content), content))
        return len(content)

    def finish(self) -> str:
        """End the request; the answer says where to confirm the blob."""
        self._connection.send(b"0\r\n\r\n")
        response = self._connection.getresponse()
        body = response.read()
        location = response.getheader("location")
        if response.status != 202 or location is None:
            raise RuntimeError(f"the registry did not take the blob: {response.status} {body!r}")
        return location

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
