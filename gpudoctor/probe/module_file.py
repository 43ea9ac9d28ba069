"""A kernel module's file: what its ELF section .modinfo says of it.

By hand: modinfo /lib/modules/$(uname -r)/updates/dkms/nvidia.ko
https://man7.org/linux/man-pages/man5/elf.5.html (2026-11)
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable, Mapping
from typing import IO, cast

from gpudoctor.probe import commands
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

# nvidia.ko has some 100 MB, most of it debugging symbols, some 100 sections, and a .modinfo of some 15 kB.
_MOST_BYTES = 512 << 20
_MOST_SECTIONS = 10_000
_MOST_SECTION_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20

_HEADER_BYTES = 64
_SECTION_BYTES = 64
_SECTION = b".modinfo\0"

_MODINFO_SECONDS = 2.0


class _GarbledError(Exception):
    """Not what a module looks like; the message says where."""


class _TooSlowError(Exception):
    """The time for it is over."""


def information(world: World, path: str, until: float) -> Reading[Mapping[str, str]]:
    """Fields of .modinfo, of a packed file too; until that time.monotonic() at most.

    Packed with zstd, which Python has from 3.14 on, modinfo(8) is asked where the file is this machine's own.
    """
    source = f"{path}: .modinfo"
    try:
        with world.path(path).open("rb") as file:
            if path.endswith(".ko"):
                return _read(file)
            import tempfile

            # The sections' headers stand at the end of the file, and a packed one cannot be sought in.
            with _unpacked(file, path) as stream, tempfile.TemporaryFile() as copy:
                _copy(stream, copy, until)
                return _read(copy)
    except ImportError:
        return _by_modinfo(world, path)
    except _TooSlowError:
        return Unread(source=source, why=Why.TIMEOUT, detail="unpacking it takes too long")
    except _GarbledError as error:
        return Unread(source=source, why=Why.GARBLED, detail=str(error))
    except OSError as error:
        if error.errno is None:
            return Unread(source=source, why=Why.GARBLED, detail=f"cannot be unpacked: {error}")
        return unread_os_error(source, error)
    except Exception as error:  # lzma, zlib and zstd have errors of their own, that know nothing of each other
        return Unread(source=source, why=Why.GARBLED, detail=f"cannot be unpacked: {error or type(error).__name__}")


def _unpacked(file: IO[bytes], path: str) -> IO[bytes]:
    if path.endswith(".xz"):
        import lzma

        return cast("IO[bytes]", lzma.open(file))
    if path.endswith(".gz"):
        import gzip

        return cast("IO[bytes]", gzip.open(file))
    from compression import zstd  # type: ignore[import-not-found, unused-ignore] # Python 3.14

    return cast("IO[bytes]", zstd.open(file))


def _copy(stream: IO[bytes], copy: IO[bytes], until: float) -> None:
    left = _MOST_BYTES
    while part := stream.read(_CHUNK_BYTES):
        left -= len(part)
        if left < 0:
            raise _GarbledError("longer than any module")
        if time.monotonic() > until:
            raise _TooSlowError
        copy.write(part)


def _by_modinfo(world: World, path: str) -> Reading[Mapping[str, str]]:
    program = commands.find(world, "modinfo") if world.is_here else ""
    if not program:
        detail = "packed with zstd, which this Python cannot read"
        return Unread(source=f"{path}: .modinfo", why=Why.UNSUPPORTED, detail=detail)
    said = commands.output((program, path), world, seconds=_MODINFO_SECONDS)
    if isinstance(said, Unread):
        return said
    lines = (line.partition(":") for line in said.splitlines())
    return _first_of_each((name.strip(), value.strip()) for name, colon, value in lines if colon)


def _read(file: IO[bytes]) -> Mapping[str, str]:
    size = file.seek(0, os.SEEK_END)

    def bytes_at(offset: int, length: int, what: str) -> bytes:
        if offset + length > size:
            raise _GarbledError(f"the file ends before its {what}")
        file.seek(offset)
        return file.read(length)

    header = bytes_at(0, _HEADER_BYTES, "ELF header")
    if header[:5] != b"\x7fELF\x02" or header[5] not in (1, 2):
        raise _GarbledError("no 64-bit ELF file")
    order = "<" if header[5] == 1 else ">"
    (table,) = struct.unpack_from(f"{order}Q", header, 0x28)
    entry_bytes, count, names = struct.unpack_from(f"{order}3H", header, 0x3A)
    if entry_bytes < _SECTION_BYTES or names >= count or count > _MOST_SECTIONS:
        raise _GarbledError(f"{count} sections with headers of {entry_bytes} bytes")

    def section(index: int) -> tuple[int, int, int]:
        """Where its name begins among the names, where it begins itself, its length."""
        content = bytes_at(table + index * entry_bytes, _SECTION_BYTES, f"section header {index}")
        (name,) = struct.unpack_from(f"{order}I", content)
        offset, length = struct.unpack_from(f"{order}2Q", content, 0x18)
        return name, offset, length

    _, names_at, names_bytes = section(names)
    for index in range(count):
        name, offset, length = section(index)
        if name + len(_SECTION) > names_bytes:
            continue
        if bytes_at(names_at + name, len(_SECTION), "name of a section") == _SECTION:
            content = bytes_at(offset, min(length, _MOST_SECTION_BYTES), ".modinfo")
            return _fields(content)
    raise _GarbledError("no section .modinfo")


def _fields(content: bytes) -> Mapping[str, str]:
    lines = (line.decode("utf-8", "replace").partition("=") for line in content.split(b"\0"))
    return _first_of_each((name, value) for name, equals, value in lines if equals)


def _first_of_each(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
