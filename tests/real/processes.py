"""Waits for processes that the tests started, and ends them by their ids alone."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process of that id runs; one that ended and waits for its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def processes_naming(text: str) -> tuple[int, ...]:
    """The processes, but this one, whose command line holds the text: give a path that is ours alone."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            command_line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in command_line and alive(int(folder.name)):
            found.append(int(folder.name))
    return tuple(found)


def descendants(pids: Iterable[int]) -> tuple[int, ...]:
    """These processes and all that descend from them."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.append(pid)
            waiting.extend(children.get(pid, ()))
    return tuple(found)


def stop(process: "subprocess.Popen[bytes]", *, timeout_seconds: float) -> None:
    """Ask a child to end, and make it when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end(pids: Iterable[int], *, timeout_seconds: float) -> None:
    """Give processes that are about to go time to do so, then kill what is left."""
    deadline = time.monotonic() + timeout_seconds
    left = [pid for pid in pids if alive(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [pid for pid in left if alive(pid)]
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
