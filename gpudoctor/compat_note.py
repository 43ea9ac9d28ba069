"""The list that an image's compat libcuda carries itself: on which driver branches it may be used.

Those of CUDA 12.9 and later carry an ELF note, section .note.cuda.fwd_compatibility: name "NVIDIA Corporation",
description a JSON object with Format, CUDA Version, Driver (branches) and Device. By hand:
readelf -p .note.cuda.fwd_compatibility /usr/local/cuda/compat/libcuda.so.*
https://github.com/NVIDIA/nvidia-container-toolkit/tree/main/cmd/nvidia-cdi-hook/cudacompat (2026-11)

The file comes out of somebody's image: every offset, size and count in it is checked before it is used.
"""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import CudaVersion, VersionError

SECTION = ".note.cuda.fwd_compatibility"
_OWNER = b"NVIDIA Corporation"

# libcuda has some 40 sections, and its note some 100 bytes.
_MAX_SECTIONS = 4096
_MAX_NOTE_BYTES = 64 << 10
_MAX_BRANCHES = 1000

# https://man7.org/linux/man-pages/man5/elf.5.html (2026-11)
_SHT_NOTE = 7
_SHN_XINDEX = 0xFFFF
_HEADER_BYTES = 64
_SECTION_BYTES = 64
_NOTE_HEADER_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatNote:
    """What a compat libcuda says of itself."""

    cuda: CudaVersion
    """The CUDA that it brings."""
    branches: tuple[int, ...] | None
    """Driver branches on which it may be used; None where it does not say, as on Jetson Orin."""
    devices: tuple[int, ...]
    """NVIDIA's numbers of device classes, whose meaning is not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatLibraries:
    """The compat libraries inside an image."""

    names: tuple[str, ...]
    """libcuda.so.520.61.05; empty where the image holds none."""
    note: Reading[CompatNote]
    """Of the first that carries one."""


class _GarbledError(Exception):
    """Not what an ELF file or this note looks like; the message says where."""


def read(library: Path | bytes) -> Reading[CompatNote]:
    """The note of a libcuda; Unread(absent) where it carries none. Never raises, whatever the bytes are."""
    source = f"{library}: {SECTION}" if isinstance(library, Path) else SECTION
    try:
        with io.BytesIO(library) if isinstance(library, bytes) else library.open("rb") as file:
            return read_file(file, source)
    except OSError as error:
        return Unread(source=source, why=Why.FAILED, detail=error.strerror or str(error), code=error.errno)


def read_file(file: BinaryIO, source: str) -> Reading[CompatNote]:
    """The note of a libcuda that is open and can be sought in."""
    try:
        for note in _notes(file):
            return _parse(note)
    except _GarbledError as error:
        return Unread(source=source, why=Why.GARBLED, detail=str(error))
    return Unread(source=source, why=Why.ABSENT, detail="the library carries no list of drivers")


class _Elf:
    """The section headers of a 64-bit ELF file of either byte order."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, os.SEEK_END)
        header = self.bytes_at(0, _HEADER_BYTES, "ELF header")
        if header[:4] != b"\x7fELF":
            raise _GarbledError("no ELF file")
        if header[4] != 2 or header[5] not in (1, 2):
            raise _GarbledError("no 64-bit ELF file")
        self.order = "<" if header[5] == 1 else ">"
        (self._table,) = struct.unpack_from(f"{self.order}Q", header, 0x28)
        self._entry_bytes, self.count, self._names = struct.unpack_from(f"{self.order}3H", header, 0x3A)
        if self._table:
            self._check_table()

    def _check_table(self) -> None:
        if self._entry_bytes < _SECTION_BYTES:
            raise _GarbledError(f"section headers of {self._entry_bytes} bytes")
        if self.count == 0 or self._names == _SHN_XINDEX:
            # More sections than 16 bits hold are counted in the first header.
            first = self.section(0)
            self.count = self.count or first.length
            self._names = first.link if self._names == _SHN_XINDEX else self._names
        if self.count > _MAX_SECTIONS:
            raise _GarbledError(f"{self.count} sections, more than any library has")
        if self._names >= self.count:
            raise _GarbledError("the section of names is not there")

    def bytes_at(self, offset: int, length: int, what: str) -> bytes:
        found = b""
        if offset + length <= self.size:
            self.file.seek(offset)
            found = self.file.read(length)
        if len(found) != length:
            raise _GarbledError(f"the file ends before its {what}")
        return found

    def section(self, index: int) -> _Section:
        content = self.bytes_at(self._table + index * self._entry_bytes, _SECTION_BYTES, f"section header {index}")
        name, kind, _, _, offset, length, link, _, align, _ = struct.unpack(f"{self.order}2I4Q2I2Q", content)
        return _Section(name=name, kind=kind, offset=offset, length=length, link=link, align=align)

    def notes_named(self, name: str) -> Iterator[_Section]:
        """The sections of notes that have this name."""
        if not self._table:
            return  # stripped of its sections
        names = self.section(self._names)
        wanted = name.encode() + b"\0"
        for index in range(self.count):
            section = self.section(index)
            if section.kind != _SHT_NOTE or section.name + len(wanted) > names.length:
                continue
            if self.bytes_at(names.offset + section.name, len(wanted), "name of a section") == wanted:
                yield section


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    name: int
    """Where its name begins in the section of names."""
    kind: int
    offset: int
    length: int
    link: int
    align: int


def _notes(file: BinaryIO) -> Iterator[bytes]:
    """The descriptions of the notes in question."""
    elf = _Elf(file)
    for section in elf.notes_named(SECTION):
        if section.length > _MAX_NOTE_BYTES:
            raise _GarbledError(f"a note of {section.length} bytes")
        content = elf.bytes_at(section.offset, section.length, SECTION)
        yield from _descriptions(content, elf.order, section.align)


def _descriptions(notes: bytes, order: str, align: int) -> Iterator[bytes]:
    """Of every note of NVIDIA's in a section: sizes of name and description, a type, the two padded each."""
    step = 8 if align == 8 else 4
    at = 0
    while at + _NOTE_HEADER_BYTES <= len(notes):
        name_bytes, description_bytes, _ = struct.unpack_from(f"{order}3I", notes, at)
        name_at = at + _NOTE_HEADER_BYTES
        name_end = name_at + name_bytes
        end = name_end + -name_end % step + description_bytes
        if name_end + description_bytes > len(notes):
            raise _GarbledError("a note that is longer than its section")
        if notes[name_at:name_end].rstrip(b"\0") == _OWNER and description_bytes:
            # Linkers and readers differ in what they pad to 8, the name or the place where it ends: so take it all
            # in, and leave out the NULs in front. The object ends where it ends.
            yield notes[name_end : name_end + 8 + description_bytes].strip(b"\0")
        at = end + -end % step


def _parse(description: bytes) -> CompatNote:
    try:
        document, _ = json.JSONDecoder().raw_decode(description.decode())
    except (ValueError, RecursionError):
        raise _GarbledError("the note is no JSON") from None
    if not isinstance(document, dict):
        raise _GarbledError("the note is no JSON object")
    if document.get("Format") != 1:
        raise _GarbledError(f"a note of format {str(document.get('Format'))[:20]!r}; only 1 is known")
    try:
        cuda = CudaVersion.parse(document.get("CUDA Version"))
    except VersionError as error:
        raise _GarbledError(f"CUDA Version: {error}") from None
    branches = _numbers(document, "Driver")
    return CompatNote(cuda=cuda, branches=branches, devices=_numbers(document, "Device") or ())


def _numbers(document: dict[str, object], key: str) -> tuple[int, ...] | None:
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _MAX_BRANCHES:
        raise _GarbledError(f"{key}: expected a list of numbers")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < 100_000:
            raise _GarbledError(f"{key}: expected a list of numbers")
    return tuple(value)
