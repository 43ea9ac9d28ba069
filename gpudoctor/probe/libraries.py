"""The driver's libraries as the loader finds them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gpudoctor.facts import CudaLibrary
from gpudoctor.probe import loader_cache
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import DriverVersion

_NAME = "libcuda.so.1"
_WSL_FOLDER = "/usr/lib/wsl/lib"

# The name of the driver's file; that of WSL is libcuda.so.1.1.
_VERSION = re.compile(r"libcuda\.so\.(\d{3,4}(?:\.\d{1,4}){1,2})", re.ASCII)

# Without a cache there are the folders that ldconfig would make one of.
_CONFIGURATION = "/etc/ld.so.conf"
_MORE_CONFIGURATION = "/etc/ld.so.conf.d"
_MOST_FOLDERS = 200


def libcuda(world: World) -> Reading[tuple[CudaLibrary, ...]]:
    """Every libcuda.so.1 of 64 bits, in the loader's order; one that several names lead to once.

    1. LD_LIBRARY_PATH of this process. 2. /etc/ld.so.cache; below another root that has none, what /etc/ld.so.conf
    names. 3. The standard folders. ld.so(8)
    """
    cached = loader_cache.paths(world, _NAME)
    if isinstance(cached, Unread):
        if cached.why is not Why.ABSENT:
            return cached
        cached = () if world.is_here else tuple(f"{folder}/{_NAME}" for folder in _configured(world))
    paths = (*_of_environment(world), *cached, *(f"{folder}/{_NAME}" for folder in standard_folders()))
    found: dict[Path, CudaLibrary] = {}
    for path in dict.fromkeys(paths):
        file = _file(world, path)
        if file is not None and file not in found:
            found[file] = CudaLibrary(path=path, version=_version(path, file), kind=_kind(path, file, world))
    return tuple(found.values())


def wsl_libraries(world: World) -> Reading[tuple[str, ...]]:
    """What Windows puts into /usr/lib/wsl/lib; outside WSL nothing."""
    names = world.entries(_WSL_FOLDER)
    return () if isinstance(names, Unread) and names.why is Why.ABSENT else names


def _of_environment(world: World) -> Iterator[str]:
    # An empty or relative one is the current folder's, and every program has its own.
    for folder in re.split("[:;]", world.environ.get("LD_LIBRARY_PATH", ""))[:_MOST_FOLDERS]:
        if folder.startswith("/"):
            yield f"{folder.rstrip('/')}/{_NAME}"


def standard_folders() -> tuple[str, ...]:
    """Where the loader looks last."""
    several = f"{os.uname().machine}-linux-gnu"  # Debian's way of having several architectures
    return (f"/lib/{several}", f"/usr/lib/{several}", "/lib64", "/usr/lib64", "/lib", "/usr/lib")


def _configured(world: World) -> Iterator[str]:
    names = world.entries(_MORE_CONFIGURATION)
    included = () if isinstance(names, Unread) else names
    for name in (_CONFIGURATION, *(f"{_MORE_CONFIGURATION}/{one}" for one in included if one.endswith(".conf"))):
        text = world.read(name)
        lines = () if isinstance(text, Unread) else text.splitlines()
        yield from (line.strip().rstrip("/") for line in lines[:_MOST_FOLDERS] if line.strip().startswith("/"))


def _file(world: World, path: str) -> Path | None:
    """The file that a path leads to, where the loader would take it."""
    head = world.read_bytes(path, most_bytes=5)
    # The loader passes over what it may not read, and over one of 32 bits.
    if isinstance(head, Unread) or head == b"\x7fELF\x01":
        return None
    try:
        return Path(path).resolve() if world.is_here else world.path(path)
    except (OSError, RuntimeError):
        return None


def _version(path: str, file: Path) -> Reading[DriverVersion]:
    match = _VERSION.fullmatch(file.name)
    if match is None:
        return Unread(source=path, why=Why.ABSENT, detail=f"no version in the name of its file, {file.name}")
    return DriverVersion(match[1])


def _kind(path: str, file: Path, world: World) -> str:
    parts = {*path.split("/"), *file.relative_to(world.root).parts}
    if "stubs" in parts:
        return "stub"
    if any(part == "compat" or part.startswith("cuda-compat") for part in parts):
        return "compat"
    return "wsl" if path.startswith("/usr/lib/wsl/") else "driver"
