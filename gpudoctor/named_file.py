"""Reads a small file that somebody named: whole, and never waiting for one that has no end."""

from __future__ import annotations

import errno
import os
import stat

# What a shell puts for `<(command)`, and its like: a pipe that is open already, so that it comes to an end.
_OPEN_ALREADY = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def read(name: str | os.PathLike[str], most_bytes: int) -> bytes:
    """The bytes of the file, at most one more than `most_bytes`: whoever asks sees by that one that there is more.

    Raises OSError where it cannot be read, or is a pipe or a device and not a file.
    """
    path = os.fspath(name)
    given = path.startswith(_OPEN_ALREADY)
    # Opening a pipe that nobody writes to would wait for ever; for a regular file O_NONBLOCK means nothing.
    flags = os.O_RDONLY | (0 if given else getattr(os, "O_NONBLOCK", 0))
    with open(path, "rb", opener=lambda opened, _flags: os.open(opened, flags | getattr(os, "O_BINARY", 0))) as file:
        if not given and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        return file.read(most_bytes + 1)
