"""The note of compat libraries: out of real ELF files, and out of files that mean harm."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.compat_note import SECTION, CompatNote, read
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import CudaVersion
from tests.real.cannot import cannot

# What libcuda.so.575.57.08 and that of 590.44.01 carry.
# https://github.com/NVIDIA/nvidia-container-toolkit/tree/main/testdata/compat (2026-11)
CUDA_12_9 = {
    "Format": 1,
    "CUDA Version": "12.9",
    "Driver": [535, 550, 560, 565, 570, 575],
    "Device": [1, 2, 7, 8, 9, 10, 11, 12, 13, 14],
}


TOOLS = ("gcc", "objcopy")


def note(description: bytes, owner: bytes = b"NVIDIA Corporation\0", pad: int = 4) -> bytes:
    padded = owner + b"\0" * (-len(owner) % pad)
    return (
        struct.pack("<3I", len(owner), len(description), 1) + padded + description + b"\0" * (-len(description) % pad)
    )


def library(folder: Path, content: bytes | None, section: str = SECTION, align: int = 4) -> Path:
    """A shared library, as gcc and objcopy make one, with that section of notes."""
    commands = {name: shutil.which(name) or cannot(f"{name} is missing (Debian: gcc binutils)") for name in TOOLS}
    source, plain, made = folder / "libcuda.c", folder / "plain.so", folder / "libcuda.so.575.57.08"
    source.write_text("int cuInit(unsigned flags) { return (int)flags; }\n")
    subprocess.run([commands["gcc"], "-shared", "-fPIC", "-o", plain, source], check=True)
    if content is None:
        plain.rename(made)
        return made
    notes = folder / "note"
    notes.write_bytes(content)
    options = [f"--add-section={section}={notes}", f"--set-section-flags={section}=noload,readonly"]
    options.append(f"--set-section-alignment={section}={align}")
    # objcopy takes sections of that name for notes by itself.
    subprocess.run([commands["objcopy"], *options, plain, made], check=True)
    return made


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp("compat"), note(json.dumps(CUDA_12_9).encode()))


def test_reads_the_note_of_a_real_library(sound: Path) -> None:
    expected = CompatNote(
        cuda=CudaVersion("12.9"),
        branches=(535, 550, 560, 565, 570, 575),
        devices=(1, 2, 7, 8, 9, 10, 11, 12, 13, 14),
    )
    assert read(sound) == expected
    assert read(sound.read_bytes()) == expected


def test_readelf_sees_the_same_note(sound: Path) -> None:
    readelf = shutil.which("readelf") or cannot("readelf is missing (Debian: binutils)")
    shown = subprocess.run([readelf, "-p", SECTION, sound], capture_output=True, text=True, check=True).stdout
    assert '"CUDA Version": "12.9"' in shown
    assert "NVIDIA Corporation" in shown
    kinds = subprocess.run([readelf, "-SW", sound], capture_output=True, text=True, check=True).stdout
    assert any(SECTION in line and " NOTE " in line for line in kinds.splitlines())


@pytest.mark.parametrize(("align", "pad"), [(4, 4), (8, 8), (1, 1)])
def test_takes_the_padding_as_the_linker_left_it(tmp_path: Path, align: int, pad: int) -> None:
    made = library(tmp_path, note(json.dumps(CUDA_12_9).encode(), pad=pad), align=align)
    found = read(made)
    assert isinstance(found, CompatNote)
    assert found.branches == (535, 550, 560, 565, 570, 575)


def test_a_note_of_somebody_else_in_front_is_passed_over(tmp_path: Path) -> None:
    both = note(b"something else", owner=b"GNU\0") + note(json.dumps(CUDA_12_9).encode())
    found = read(library(tmp_path, both))
    assert isinstance(found, CompatNote)


def test_without_drivers_it_does_not_say(tmp_path: Path) -> None:
    # As the compat libraries of Jetson Orin.
    found = read(library(tmp_path, note(b'{"Format": 1, "CUDA Version": "13.2"}')))
    assert found == CompatNote(cuda=CudaVersion("13.2"), branches=None, devices=())


def test_a_library_without_the_note_is_absent_not_empty(tmp_path: Path) -> None:
    found = read(library(tmp_path, None))
    assert isinstance(found, Unread)
    assert found.why is Why.ABSENT


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 30_000, "no JSON"),
        (b'{"Format": 1, "Driver": [' + b"9" * 5000 + b"]}", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"Format": 2, "CUDA Version": "14.0"}', "format '2'"),
        (b'{"Format": 1}', "CUDA Version: expected"),
        (b'{"Format": 1, "CUDA Version": "13.0", "Driver": 535}', "Driver: expected a list of numbers"),
        (b'{"Format": 1, "CUDA Version": "13.0", "Driver": [true]}', "Driver: expected a list of numbers"),
        (b'{"Format": 1, "CUDA Version": "13.0", "Driver": ["535"]}', "Driver: expected a list of numbers"),
        (b'{"Format": 1, "CUDA Version": "13.0", "Driver": [-1]}', "Driver: expected a list of numbers"),
    ],
)
def test_a_note_that_is_something_else_is_garbled(tmp_path: Path, description: bytes, message: str) -> None:
    found = read(library(tmp_path, note(description)))
    assert isinstance(found, Unread)
    assert found.why is Why.GARBLED
    assert message in found.detail


def test_sizes_that_lie_are_seen(tmp_path: Path) -> None:
    for header in ((19, 0xFFFFFFFF, 1), (0xFFFFFFFF, 8, 1), (0xFFFFFFFF, 0xFFFFFFFF, 1)):
        found = read(library(tmp_path, struct.pack("<3I", *header) + b"NVIDIA Corporation\0\0{}"))
        assert isinstance(found, Unread)
        assert found.detail == "a note that is longer than its section"


def test_what_is_no_file_or_no_elf_is_a_reading(tmp_path: Path, sound: Path) -> None:
    for content in (b"", b"\x7fELF", b"\x7fELF" + b"\1" * 100, b"#!/bin/sh\n" * 20):
        found = read(content)
        assert isinstance(found, Unread)
        assert found.why is Why.GARBLED
    missing = read(tmp_path / "nothing")
    assert isinstance(missing, Unread)
    assert missing.why is Why.FAILED
    assert isinstance(read(tmp_path), Unread)  # a folder


def test_every_shorter_file_is_read_without_a_crash(sound: Path) -> None:
    content = sound.read_bytes()
    for length in range(0, len(content), 61):
        read(content[:length])


def test_every_changed_byte_of_the_headers_is_read_without_a_crash(sound: Path) -> None:
    content = sound.read_bytes()
    (table,) = struct.unpack_from("<Q", content, 0x28)
    places = [*range(64), *range(table, len(content))]
    for place in places:
        for value in (0, 0x7F, 0xFF):
            changed = bytearray(content)
            changed[place] = value
            read(bytes(changed))


def test_many_changed_bytes_are_read_without_a_crash(sound: Path) -> None:
    content = sound.read_bytes()
    dice = random.Random(1)
    for _ in range(300):
        changed = bytearray(content)
        for _ in range(8):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        read(bytes(changed))


@given(st.binary(max_size=300))
def test_any_bytes_have_a_reading(content: bytes) -> None:
    read(content)
    read(b"\x7fELF\2\1\1" + content)


def test_more_sections_than_sixteen_bits_hold_are_counted_in_the_first(tmp_path: Path, sound: Path) -> None:
    changed = bytearray(sound.read_bytes())
    (table,) = struct.unpack_from("<Q", changed, 0x28)
    _, count, names = struct.unpack_from("<3H", changed, 0x3A)
    struct.pack_into("<2H", changed, 0x3C, 0, 0xFFFF)
    struct.pack_into("<Q", changed, table + 0x20, count)
    struct.pack_into("<I", changed, table + 0x28, names)
    assert isinstance(read(bytes(changed)), CompatNote)
    struct.pack_into("<Q", changed, table + 0x20, 1 << 60)
    found = read(bytes(changed))
    assert isinstance(found, Unread)
    assert "more than any library has" in found.detail
