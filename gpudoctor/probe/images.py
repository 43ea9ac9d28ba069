"""An image that the container engine has: its configuration, and the list in its compat libraries.

GET /images/{name}/json. For the libraries a container is created, never started, read from and removed:
GET /containers/{id}/archive. https://docs.docker.com/reference/api/engine/ (2026-11)
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import tarfile
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from gpudoctor import compat_note
from gpudoctor.compat_note import CompatLibraries
from gpudoctor.image import CompatList, ImageFacts, pairs, texts
from gpudoctor.plan import LABEL
from gpudoctor.probe import containers
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.reference import Reference
from gpudoctor.versions import CudaVersion, DriverVersion

# Answers about one image have some 20 kB; compat libraries some 200 MB in all, libcuda up to 100.
_MAX_ANSWER_BYTES = 4 << 20
_MAX_LIBRARY_BYTES = 512 << 20
_MAX_ARCHIVE_BYTES = 4 << 30
_CHUNK_BYTES = 1 << 20

# A container is waited for so long at its making and its removal, whatever time is left: one that is made after
# nobody waits any more would stay.
_CONTAINER_SECONDS = 10.0
_LEAST_SECONDS = 1.0

_LIBRARY = re.compile(r"libcuda\.so\.[0-9][0-9.]*", re.ASCII)


def inspect(reference: Reference, world: World) -> Reading[ImageFacts]:
    """What the engine says of an image; Unread(absent) where it has none, or there is no engine."""
    host = containers.engine_host(world)
    path = f"/images/{urllib.parse.quote(str(reference), safe='/:@')}/json"
    source = f"GET {path} at {host}"
    try:
        status, document = _ask(world, host, "GET", path)
    except OSError as error:
        return unread_os_error(source, error)
    except (http.client.HTTPException, ValueError, RecursionError) as error:
        return Unread(source=source, why=Why.GARBLED, detail=f"no answer of an engine: {type(error).__name__}")
    if status != 200:
        why = Why.ABSENT if status == 404 else Why.FAILED
        return Unread(source=source, why=why, detail=f"HTTP status {status}", code=status)
    return _facts(document, reference, host)


def _facts(document: dict[str, Any], reference: Reference, host: str) -> ImageFacts:
    inner = document.get("Config")
    inner = inner if isinstance(inner, dict) else {}
    root = document.get("RootFS")
    layers = texts(root.get("Layers")) if isinstance(root, dict) else ()
    platform = "/".join(str(document[key])[:60] for key in ("Os", "Architecture", "Variant") if document.get(key))
    digests = (text.partition("@")[2] for text in texts(document.get("RepoDigests")))
    return ImageFacts(
        reference=str(reference),
        repository=reference.name,
        tag=reference.tag,
        digest=next(digests, "") or str(document.get("Id", ""))[:80],
        platforms=(platform,) if platform else (),
        platform=platform,
        packed_bytes=None,
        layers=len(layers),
        environment=pairs(inner.get("Env")),
        labels=pairs(inner.get("Labels")),
        entrypoint=texts(inner.get("Entrypoint")),
        created=str(document.get("Created") or "")[:60],
        source=f"the engine at {host}",
        bytes_read=0,
    )


def compat_libraries(reference: Reference, cuda: CudaVersion | None, world: World) -> Reading[CompatLibraries]:
    """The libcuda below /usr/local/cuda/compat of an image that the engine has, and its list of drivers."""
    host = containers.engine_host(world)
    source = f"/usr/local/cuda/compat of {reference}"
    if world.remaining_seconds() < _LEAST_SECONDS:
        return Unread(source=source, why=Why.TIMEOUT, detail="no time was left to read it")
    folders = ["/usr/local/cuda/compat"]
    if cuda is not None:
        folders.append(f"/usr/local/cuda-{cuda.major}.{cuda.minor}/compat")
    try:
        with _container(world, host, reference) as container:
            for folder in folders:
                found = _libraries(world, host, container, folder, source)
                if found is not None:
                    return found
    except _RefusedError as error:
        return Unread(source=source, why=Why.FAILED, detail=str(error))
    except OSError as error:
        return unread_os_error(source, error)
    except (http.client.HTTPException, tarfile.TarError, ValueError, RecursionError) as error:
        return Unread(source=source, why=Why.GARBLED, detail=f"no answer of an engine: {type(error).__name__}")
    absent = Unread(source=source, why=Why.ABSENT, detail="the image holds no compat libraries")
    return CompatLibraries(names=(), note=absent)


class _RefusedError(Exception):
    """The engine does not want to; the message is its own."""


@contextmanager
def _container(world: World, host: str, reference: Reference) -> Iterator[str]:
    """A container that never starts, and is gone afterwards, whatever happens."""
    name = f"{LABEL}-{os.getpid()}-{secrets.token_hex(4)}"
    # An image without a command wants one named, though it will never run.
    body = {"Image": str(reference), "Cmd": ["-"], "Labels": {LABEL: "inspect"}, "NetworkDisabled": True}
    try:
        path = f"/containers/create?name={name}"
        status, document = _ask(world, host, "POST", path, body, seconds=_CONTAINER_SECONDS)
        if status != 201:
            raise _RefusedError(f"the engine makes no container: {str(document.get('message'))[:200]}")
        yield name
    finally:
        # By its name: one that was made after we stopped waiting is removed too.
        _ask(world, host, "DELETE", f"/containers/{name}?force=1&v=1", seconds=_CONTAINER_SECONDS)


def _libraries(world: World, host: str, container: str, folder: str, source: str) -> CompatLibraries | None:
    """What a folder holds; None where there is none."""
    path = f"/containers/{container}/archive?path={urllib.parse.quote(folder + '/.', safe='')}"
    with _response(world, host, "GET", path) as response:
        if response.status == 404:
            return None
        if response.status != 200:
            raise _RefusedError(f"the engine hands out no files: HTTP status {response.status}")
        names: list[str] = []
        note: Reading[compat_note.CompatNote] = Unread(source=source, why=Why.ABSENT, detail="no libcuda in it")
        stream = cast("IO[bytes]", _Bounded(response, world))
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if not member.isreg() or not _LIBRARY.fullmatch(name) or member.size > _MAX_LIBRARY_BYTES:
                    continue
                names.append(name)
                content = archive.extractfile(member)
                if content is not None and isinstance(note, Unread):
                    note = _note(content, f"{folder}/{name}: {compat_note.SECTION}")
    return CompatLibraries(names=tuple(sorted(set(names))), note=note)


def _note(content: IO[bytes], source: str) -> Reading[compat_note.CompatNote]:
    """A stream cannot be sought in, and libraries are too large to keep: by way of a file."""
    with tempfile.TemporaryFile() as file:
        while part := content.read(_CHUNK_BYTES):
            file.write(part)
        return compat_note.read_file(file, source)


class _Bounded:
    """An answer that is read within the deadline and up to a limit."""

    def __init__(self, response: http.client.HTTPResponse, world: World) -> None:
        self._response = response
        self._world = world
        self._left = _MAX_ARCHIVE_BYTES

    def read(self, length: int) -> bytes:
        if self._world.remaining_seconds() <= 0:
            raise TimeoutError
        part = self._response.read(min(length, self._left))
        self._left -= len(part)
        return part


def _ask(
    world: World, host: str, method: str, path: str, body: object = None, *, seconds: float | None = None
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one request."""
    with _response(world, host, method, path, body, seconds=seconds) as response:
        content = response.read(_MAX_ANSWER_BYTES + 1)
        if len(content) > _MAX_ANSWER_BYTES:
            raise ValueError("an answer longer than any engine's")
        document = json.loads(content) if content.strip() else {}
        return response.status, document if isinstance(document, dict) else {}


@contextmanager
def _response(
    world: World, host: str, method: str, path: str, body: object = None, *, seconds: float | None = None
) -> Iterator[http.client.HTTPResponse]:
    unsupported = containers.unsupported(world, host)
    if unsupported is not None:
        raise ConnectionError(unsupported[1])
    connection = http.client.HTTPConnection("localhost")
    connection.sock = containers.connect(host, max(0.001, seconds or world.remaining_seconds()))
    try:
        content = None if body is None else json.dumps(body)
        headers = {"User-Agent": "gpudoctor", **({} if body is None else {"Content-Type": "application/json"})}
        connection.request(method, path, content, headers)
        yield connection.getresponse()
    finally:
        connection.close()


def compat_list(libraries: CompatLibraries) -> CompatList:
    """What the libraries come to, in place of the matrix's list."""
    names, note = ", ".join(libraries.names[:8]), libraries.note
    if isinstance(note, Unread):
        if not libraries.names:
            detail = f"{note.detail}: forward compatibility is out"
            return CompatList(branches=(), detail=detail, source=note.source)
        detail = f"{names} in the image: {note.detail}; the table decides"
        return CompatList(branches=None, detail=detail, source=note.source)
    source = f"{compat_note.SECTION} of {names}"
    if note.branches is None:
        detail = f"{names} in the image names no driver branches; the table decides"
        return CompatList(branches=None, detail=detail, source=source)
    listed = ", ".join(map(str, note.branches)) or "none"
    branches = tuple(DriverVersion(str(branch)) for branch in note.branches)
    detail = f"{names} in the image lists the driver branches {listed}: that decides, not the table"
    return CompatList(branches=branches, detail=detail, source=source)
