"""The world as the probe sees it: one folder for the host's files, the environment, a deadline."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpudoctor.readings import Reading, Unread, Why

# Files of /proc and /sys end by themselves; a log or a device that somebody put in their place does not.
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the probe may look at."""

    root: Path
    """Below it stand the host's /proc, /sys, /dev, /etc and /usr: `--host-root`."""
    environ: Mapping[str, str]
    deadline: float
    """time.monotonic() by which the probe has to be done."""

    @property
    def is_here(self) -> bool:
        """Whether the host's files are this process's own."""
        return self.root == Path("/")

    def path(self, name: str, *, follow_last: bool = True) -> Path:
        """Where a file of the host is to be found: /proc/modules below the root.

        Links are followed as the host follows them, so that an absolute one starts at `root` again; the last
        part only with `follow_last`.
        """
        return Path(name) if self.is_here else _below(self.root, name, follow_last=follow_last)

    def remaining_seconds(self) -> float:
        """Until the deadline; never below zero."""
        return max(0.0, self.deadline - time.monotonic())

    def exists(self, name: str) -> bool:
        """Whether something is there that this user can see."""
        try:
            return self.path(name).exists()
        except (OSError, ValueError):
            return False

    def read(self, name: str) -> Reading[str]:
        """The text of a file, bytes that are no UTF-8 replaced."""
        content = self.read_bytes(name)
        return content if isinstance(content, Unread) else content.decode("utf-8", "replace")

    def read_bytes(self, name: str, *, most_bytes: int = _MAX_FILE_BYTES) -> Reading[bytes]:
        """The beginning of a file. A pipe that nobody writes to is empty; nothing is waited for."""
        try:
            with open(self.path(name), "rb", opener=_without_waiting) as file:
                return file.read(most_bytes) or b""
        except (OSError, ValueError) as error:
            return unread_os_error(name, error)

    def entries(self, name: str) -> Reading[tuple[str, ...]]:
        """The names in a folder, sorted."""
        try:
            return tuple(sorted(entry.name for entry in self.path(name).iterdir()))
        except (OSError, ValueError) as error:
            return unread_os_error(name, error)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


# As many as Linux follows before it gives up. path_resolution(7)
_MOST_LINKS = 40


def _below(root: Path, name: str, *, follow_last: bool) -> Path:
    walked: list[str] = []
    ahead = _parts(name)
    links = 0
    while ahead:
        part = ahead.pop(0)
        if part == "..":
            walked = walked[:-1]
            continue
        walked.append(part)
        if not (ahead or follow_last):
            continue
        if links > _MOST_LINKS:
            return Path("/dev/null", *walked)  # a circle: nothing is there
        try:
            target = str(root.joinpath(*walked).readlink())
        except (OSError, ValueError):
            continue  # no link, or nothing that can be read or named: whoever opens it will say
        links += 1
        walked = [] if target.startswith("/") else walked[:-1]
        ahead = _parts(target) + ahead
    return root.joinpath(*walked)


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


_WHY = {errno.ENOENT: Why.ABSENT, errno.ENOTDIR: Why.ABSENT, errno.EACCES: Why.FORBIDDEN, errno.EPERM: Why.FORBIDDEN}


def unread_os_error(source: str, error: OSError | ValueError) -> Unread:
    """A failed system call as a reason; ValueError is a name that no file can have."""
    if isinstance(error, ValueError):
        return Unread(source=source, why=Why.FAILED, detail=str(error))
    why = _WHY.get(error.errno or 0, Why.FAILED)
    detail = {Why.ABSENT: "no such file", Why.FORBIDDEN: "this user may not read it"}.get(why)
    return Unread(source=source, why=why, detail=detail or error.strerror or str(error), code=error.errno)
