"""Programs of this machine, run for one line of text: found as a shell finds them, never waited for past a limit."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence

from gpudoctor.facts import Package
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/snap/bin")

_SECONDS = 2.0
# Whatever these programs say of their version stands in the first lines.
_MAX_BYTES = 1 << 16
# How long a program that was killed may take to be gone. One in state D does not go: it is left behind.
_BURIAL_SECONDS = 0.2

_VERSION = re.compile(r"\bversion:?\s+v?(\d+(?:\.\d+)+)", re.ASCII | re.IGNORECASE)
# An epoch may stand before it: 4:5.2.2-1.fc41.
_PACKAGED = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)+)", re.ASCII)


def find(world: World, name: str) -> str:
    """Path of an installed program as the machine calls it, "" where it has none.

    1. PATH, where the machine is this process's own. 2. The folders where distributions put programs.
    """
    own = world.environ.get("PATH", "").split(os.pathsep) if world.is_here else []
    for folder in (*(folder for folder in own if folder.startswith("/")), *FOLDERS):
        path = f"{folder.rstrip('/')}/{name}"
        with contextlib.suppress(OSError, ValueError):
            if world.path(path).is_file() and os.access(world.path(path), os.X_OK):
                return path
    return ""


def version(world: World, path: str) -> Reading[str]:
    """What `PATH --version` says; of this machine's own programs only."""
    source = f"{path} --version"
    if not world.is_here:
        return Unread(source=source, why=Why.UNSUPPORTED, detail="gpudoctor runs no program below another root")
    said = output((path, "--version"), world)
    if isinstance(said, Unread):
        return said
    match = _VERSION.search(said)
    if match is None:
        return Unread(source=source, why=Why.GARBLED, detail=f"no version in {said[:80]!r}")
    return match.group(1)


def packaged_version(packages: Reading[tuple[Package, ...]], names: Sequence[str]) -> str:
    """Version of the first of these packages that is installed, without what the distribution adds to it.

    "" where none is, or nobody could read the packages.
    """
    if isinstance(packages, Unread):
        return ""
    found = {package.name: package.version for package in packages}
    for name in names:
        match = _PACKAGED.match(found.get(name, ""))
        if match:
            return match.group(1)
    return ""


def output(
    command: Sequence[str], world: World, *, seconds: float = _SECONDS, most_bytes: int = _MAX_BYTES
) -> Reading[str]:
    """All that a program of this machine says until it ends, errors among it."""
    source = " ".join(command)
    limit = min(seconds, world.remaining_seconds())
    deadline = time.monotonic() + limit
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**world.environ, "LC_ALL": "C"},
            cwd="/",
            start_new_session=True,  # what it starts itself can be ended with it
        )
    except OSError as error:
        return unread_os_error(source, error)
    except ValueError as error:
        return Unread(source=source, why=Why.FAILED, detail=str(error))
    assert process.stdout is not None
    try:
        with process.stdout as stream:
            said = _until_closed(stream.fileno(), deadline, most_bytes)
        if said is not None:
            process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        said = None
    finally:
        _end(process)
    if said is None:
        return Unread(source=source, why=Why.TIMEOUT, detail=f"no answer within {limit:.2g} s")
    text = said.decode("utf-8", "replace")
    if process.returncode != 0:
        first = " ".join("".join(c if c.isprintable() else " " for c in text.strip().partition("\n")[0]).split())
        detail = f"exit code {process.returncode}{f': {first[:200]}' if first else ''}"
        return Unread(source=source, why=Why.FAILED, detail=detail, code=process.returncode)
    return text


def _until_closed(stream: int, deadline: float, most_bytes: int) -> bytes | None:
    """All that is said, or its beginning where it is long; None where it does not end in time."""
    said = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while len(said) < most_bytes:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not selector.select(remaining):
                return None
            part = os.read(stream, 1 << 16)
            if not part:
                break
            said += part
    return bytes(said)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_BURIAL_SECONDS)
