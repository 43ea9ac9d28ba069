"""What the dynamic section of a shared library tells its loader: which libraries it needs, and where it looks.

By hand: readelf -d libtensorflow_framework.so.2. https://man7.org/linux/man-pages/man5/elf.5.html (2026-11)
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

_HEADER_BYTES = 64
_PROGRAM_HEADER_BYTES = 56
_ENTRY_BYTES = 16
# TensorFlow's framework has 10 program headers, 60 dynamic entries, and a run path of 30 kB.
_MOST_HEADERS = 1_000
_MOST_ENTRIES = 10_000
_MOST_TEXT_BYTES = 1 << 18
_MOST_NEEDED = 1_000

_LOADED, _DYNAMIC = 1, 2  # PT_LOAD, PT_DYNAMIC
_NEEDED, _STRINGS, _RPATH, _RUNPATH = 1, 5, 15, 29  # DT_…


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """What a library says to its loader. ld.so(8)"""

    needed: tuple[str, ...]
    """Names of libraries, DT_NEEDED."""
    rpath: tuple[str, ...]
    """Folders, DT_RPATH; the loader passes over it where there is a run path."""
    runpath: tuple[str, ...]
    """Folders, DT_RUNPATH."""


class _GarbledError(Exception):
    """Not what a library looks like; the message says where."""


def dynamic(world: World, path: str) -> Reading[Dynamic]:
    """The dynamic section of a library of 64 bits, however large the library is; $ORIGIN is put in."""
    source = f"readelf -d {path}"
    try:
        descriptor = os.open(world.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        return unread_os_error(source, error)
    try:
        return _Library(descriptor).dynamic(path.rpartition("/")[0] or "/")
    except _GarbledError as error:
        return Unread(source=source, why=Why.GARBLED, detail=str(error))
    except OSError as error:
        return unread_os_error(source, error)
    finally:
        os.close(descriptor)


class _Library:
    """An open file, of which only what is asked for is read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        header = self._bytes(0, _HEADER_BYTES, "ELF header")
        if header[:5] != b"\x7fELF\x02" or header[5] not in (1, 2):
            raise _GarbledError("no 64-bit ELF file")
        self._order = "<" if header[5] == 1 else ">"
        (self._table,) = struct.unpack_from(f"{self._order}Q", header, 0x20)
        self._header_bytes, self._headers = struct.unpack_from(f"{self._order}2H", header, 0x36)
        if self._header_bytes < _PROGRAM_HEADER_BYTES or self._headers > _MOST_HEADERS:
            raise _GarbledError(f"{self._headers} program headers of {self._header_bytes} bytes")

    def dynamic(self, folder: str) -> Dynamic:
        segments = tuple(self._segments())
        loaded = [segment for segment in segments if segment[0] == _LOADED]
        section = next((segment for segment in segments if segment[0] == _DYNAMIC), None)
        entries = [] if section is None else list(self._entries(section[1], section[3]))
        address = next((value for tag, value in entries if tag == _STRINGS), None)
        strings = None
        for _, offset, begin, length in loaded:
            if address is not None and begin <= address < begin + length:
                strings = offset + address - begin
        texts: dict[int, list[str]] = {_NEEDED: [], _RPATH: [], _RUNPATH: []}
        for tag, value in entries:
            if tag in texts and len(texts[tag]) < _MOST_NEEDED:
                if strings is None:
                    raise _GarbledError("its dynamic section names no table of strings")
                texts[tag].append(self._text(strings + value))
        return Dynamic(
            needed=tuple(texts[_NEEDED]),
            rpath=_folders(texts[_RPATH], folder),
            runpath=_folders(texts[_RUNPATH], folder),
        )

    def _segments(self) -> Iterator[tuple[int, int, int, int]]:
        """Kind, offset in the file, address in memory, bytes in the file."""
        for index in range(self._headers):
            place = self._table + index * self._header_bytes
            header = self._bytes(place, _PROGRAM_HEADER_BYTES, f"program header {index}")
            (kind,) = struct.unpack_from(f"{self._order}I", header)
            offset, address = struct.unpack_from(f"{self._order}2Q", header, 8)
            (length,) = struct.unpack_from(f"{self._order}Q", header, 32)
            yield kind, offset, address, length

    def _entries(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        count = min(length // _ENTRY_BYTES, _MOST_ENTRIES)
        content = self._bytes(offset, count * _ENTRY_BYTES, "dynamic section")
        for tag, value in struct.iter_unpack(f"{self._order}2Q", content):
            if tag == 0:
                return
            yield tag, value

    def _text(self, offset: int) -> str:
        # The end of the file may come before the most that a text can be.
        content = os.pread(self._descriptor, _MOST_TEXT_BYTES, self._checked(offset))
        text, end, _ = content.partition(b"\0")
        if not end:
            raise _GarbledError("a text of its dynamic section does not end")
        return text.decode("utf-8", "surrogateescape")

    def _bytes(self, offset: int, length: int, what: str) -> bytes:
        content = os.pread(self._descriptor, length, self._checked(offset))
        if len(content) < length:
            raise _GarbledError(f"the file ends before its {what}")
        return content

    def _checked(self, offset: int) -> int:
        if offset >= 1 << 62:
            raise _GarbledError(f"an offset of {offset}")
        return offset


def _folders(paths: list[str], folder: str) -> tuple[str, ...]:
    """Each once, in their order; one that is not absolute is the current folder's, and every program has its own."""
    named = (one for path in paths for one in path.split(":"))
    whole = (one.replace("${ORIGIN}", folder).replace("$ORIGIN", folder) for one in named)
    return tuple(dict.fromkeys(os.path.normpath(one) for one in whole if one.startswith("/")))
