"""The kernel's log of this boot: where it can be read.

dmesg(1), syslog(2), journalctl(1). https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg (2026-11)
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable

from gpudoctor.facts import KernelEvent
from gpudoctor.probe import commands, kernel_lines
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

_KMSG = "/dev/kmsg"
_KMSG_DEVICE = (1, 11)
# A record has 8 kB at most; the kernel's buffer some thousand of them.
_RECORD_BYTES = 16 << 10
_MOST_RECORDS = 200_000

# Debian and Ubuntu; Red Hat and SUSE. Each with the part before it, which the rotation of logs has set aside.
_FILES = ("/var/log/kern.log", "/var/log/messages")
# A boot's part of a log is a few MB: of a longer one the end is read.
_MOST_BYTES = 64 << 20

_JOURNAL = ("journalctl", "-k", "-b", "-o", "short-monotonic", "--no-pager", "-n", "100000")
_SECONDS = 3.0


def probe(world: World) -> Reading[tuple[KernelEvent, ...]]:
    """What the log of this boot tells of the GPU.

    1. /dev/kmsg, which the sysctl kernel.dmesg_restrict closes to everybody but root; where its oldest records are
    gone, 2. and 3. make them good. 2. /var/log/kern.log, else messages, from the last boot in it on. 3. The journal.

    /var/log/dmesg is none of them: it ends with the boot, so that nothing in it proves that all went well.
    """
    refused: list[Unread] = []
    for source, read in _sources(world):
        log = read()
        if isinstance(log, Unread):
            refused.append(log)
            continue
        found = kernel_lines.events(log, source)
        return kernel_lines.newest(_older(world, log) + found) if source == _KMSG else found
    order = (Why.FORBIDDEN, Why.TIMEOUT, Why.FAILED, Why.GARBLED)
    return min(refused, key=lambda one: order.index(one.why) if one.why in order else len(order))


def _sources(world: World) -> tuple[tuple[str, Callable[[], Reading[bytes]]], ...]:
    return (
        (_KMSG, lambda: _kmsg(world)),
        *((name, lambda name=name: _file(world, name)) for name in _FILES),
        (" ".join(_JOURNAL), lambda: _journal(world)),
    )


def _older(world: World, kmsg: bytes) -> tuple[KernelEvent, ...]:
    """What was said before the oldest record that the kernel still has."""
    first = kernel_lines.first_seconds(kmsg)
    if first is None or kmsg.partition(b",")[2].startswith(b"0,"):
        return ()  # the second field counts the records from 0 on
    for source, read in _sources(world)[1:]:
        log = read()
        if not isinstance(log, Unread):
            events = kernel_lines.events(log, source)
            return tuple(one for one in events if not isinstance(one.seconds, Unread) and one.seconds < first)
    return ()


def _kmsg(world: World) -> Reading[bytes]:
    """Records of the kernel's own buffer, one a line; or of a file that holds a copy of them."""
    try:
        stream = os.open(world.path(_KMSG), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return unread_os_error(_KMSG, error)
    try:
        found = os.fstat(stream)
        if stat.S_ISREG(found.st_mode):
            log = _tail(stream, found.st_size)
        elif stat.S_ISCHR(found.st_mode) and (os.major(found.st_rdev), os.minor(found.st_rdev)) == _KMSG_DEVICE:
            log = _records(stream, world)
        else:
            log = b""  # engines put /dev/null there
    except OSError as error:
        return unread_os_error(_KMSG, error)
    finally:
        os.close(stream)
    return log if log.strip() else Unread(source=_KMSG, why=Why.ABSENT, detail="it holds no record")


def _records(stream: int, world: World) -> bytes:
    records: list[bytes] = []
    until = time.monotonic() + min(_SECONDS, world.remaining_seconds())
    while len(records) < _MOST_RECORDS and time.monotonic() < until:
        try:
            record = os.read(stream, _RECORD_BYTES)
        except BlockingIOError:
            break  # that was the newest
        except OSError as error:
            # The record was overwritten before it was read, and the next one is the oldest now.
            if error.errno == errno.EPIPE:
                continue
            raise
        if not record:
            break
        # What follows the first line are properties of the device that it is about.
        records.append(record.partition(b"\n")[0])
    return b"\n".join(records)


def _file(world: World, name: str) -> Reading[bytes]:
    log = _end_of(world, name)
    if isinstance(log, Unread) or kernel_lines.has_boot(log):
        return log
    before = _end_of(world, f"{name}.1")
    return log if isinstance(before, Unread) else before + log


def _end_of(world: World, name: str) -> Reading[bytes]:
    try:
        stream = os.open(world.path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return unread_os_error(name, error)
    try:
        found = os.fstat(stream)
        if not stat.S_ISREG(found.st_mode) or not found.st_size:
            return Unread(source=name, why=Why.ABSENT, detail="no file, or an empty one")
        if _is_stale(world, found.st_mtime):
            return Unread(source=name, why=Why.ABSENT, detail="nothing was written to it since the boot")
        return _tail(stream, found.st_size)
    except OSError as error:
        return unread_os_error(name, error)
    finally:
        os.close(stream)


def _is_stale(world: World, written_at: float) -> bool:
    """Whether a file is of an earlier boot; copies below another root bear times of their own."""
    uptime = world.read("/proc/uptime") if world.is_here else ""
    if isinstance(uptime, Unread):
        return False
    try:
        return written_at < time.time() - float(uptime.split()[0])
    except (IndexError, ValueError):
        return False


def _tail(stream: int, size: int) -> bytes:
    """The end of a file, from the beginning of a line on."""
    begin = max(0, size - _MOST_BYTES)
    os.lseek(stream, begin, os.SEEK_SET)
    parts: list[bytes] = []
    left = _MOST_BYTES
    while left > 0:
        part = os.read(stream, min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    log = b"".join(parts)
    return log.partition(b"\n")[2] if begin else log


def _journal(world: World) -> Reading[bytes]:
    source = " ".join(_JOURNAL)
    if not world.is_here:
        return Unread(source=source, why=Why.ABSENT, detail="gpudoctor runs no program below another root")
    program = commands.find(world, _JOURNAL[0])
    if not program:
        return Unread(source=source, why=Why.ABSENT, detail="no journalctl")
    said = commands.output((program, *_JOURNAL[1:]), world, seconds=_SECONDS, most_bytes=_MOST_BYTES)
    # A user without the right to it gets a hint and an empty log, with exit code 0 or 1.
    words = said.detail if isinstance(said, Unread) else said[:4096]
    if "insufficient permissions" in words or "not seeing messages" in words:
        return Unread(source=source, why=Why.FORBIDDEN, detail="this user may not read the journal")
    if isinstance(said, Unread):
        return said
    log = said.encode()
    if kernel_lines.first_seconds(log) is None:
        return Unread(source=source, why=Why.ABSENT, detail="the journal holds nothing of this boot's kernel")
    return log
