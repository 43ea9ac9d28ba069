"""The loader's order: LD_LIBRARY_PATH, its cache as ldconfig writes it, the standard folders."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.probe import libraries, loader_cache
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests.probe.worlds import why, world, write

X86, ARM, X86_32 = 0x0303, 0x0A03, 0x0003
FOLDER = f"usr/lib/{os.uname().machine}-linux-gnu"


def cache(*entries: tuple[str, str, int], old: bool = False, order: str = "<") -> bytes:
    """A cache in glibc's format 1.1, with the older table before it where glibc before 2.32 wrote it."""
    texts, header = b"", 48 + 24 * len(entries)
    table = b""
    for name, path, flags in entries:
        key = header + len(texts)
        texts += name.encode() + b"\0"
        value = header + len(texts)
        texts += path.encode() + b"\0"
        table += struct.pack(f"{order}i3IQ", flags, key, value, 0, 0)
    flag = 0 if old else (2 if order == "<" else 3)
    head = b"glibc-ld.so.cache1.1" + struct.pack(f"{order}2IB3x4I", len(entries), len(texts), flag, 0, 0, 0, 0)
    before = b"ld.so-1.7.0\0" + struct.pack("<I", 1) + struct.pack("<i2I", 3, 0, 0) + b"\0" * 4 if old else b""
    return before + head + table + texts


def found(reading: Reading[tuple[object, ...]]) -> list[tuple[str, str, str]]:
    assert not isinstance(reading, Unread), reading
    return [
        (one.path, "" if isinstance(one.version, Unread) else str(one.version), one.kind)  # type: ignore[attr-defined]
        for one in reading
    ]


def library(root: Path, folder: str, version: str = "", content: bytes = b"") -> None:
    name = f"libcuda.so.{version}" if version else "libcuda.so.1"
    write(root, f"{folder}/{name}", content)
    if version:
        (root / folder / "libcuda.so.1").symlink_to(name)


def test_the_order_is_the_loaders(tmp_path: Path) -> None:
    library(tmp_path, "usr/local/cuda/compat", "545.23.08")
    library(tmp_path, "opt/driver", "535.129.03")
    library(tmp_path, FOLDER, "530.30.02")
    write(tmp_path, "etc/ld.so.cache", cache(("libcuda.so.1", "/opt/driver/libcuda.so.1", X86)))
    environ = {"LD_LIBRARY_PATH": "/nowhere::relative:/usr/local/cuda/compat/"}
    assert found(libraries.libcuda(world(tmp_path, environ))) == [
        ("/usr/local/cuda/compat/libcuda.so.1", "545.23.08", "compat"),
        ("/opt/driver/libcuda.so.1", "535.129.03", "driver"),
        (f"/{FOLDER}/libcuda.so.1", "530.30.02", "driver"),
    ]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("usr/local/cuda-12.4/targets/x86_64-linux/lib/stubs", "stub"),
        ("usr/local/cuda/compat", "compat"),
        ("usr/local/cuda-12.4/compat", "compat"),
        ("opt/cuda-compat-12-4/lib", "compat"),
        ("usr/lib/wsl/lib", "wsl"),
        ("usr/lib64", "driver"),
    ],
)
def test_the_folder_tells_the_kind(tmp_path: Path, folder: str, kind: str) -> None:
    library(tmp_path, folder)
    reading = libraries.libcuda(world(tmp_path, {"LD_LIBRARY_PATH": f"/{folder}"}))
    assert found(reading)[0] == (f"/{folder}/libcuda.so.1", "", kind)


def test_a_link_to_stubs_is_a_stub(tmp_path: Path) -> None:
    library(tmp_path, "usr/local/cuda/lib64/stubs")
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/lib").symlink_to("/usr/local/cuda/lib64/stubs")
    reading = libraries.libcuda(world(tmp_path, {"LD_LIBRARY_PATH": "/opt/lib"}))
    assert found(reading) == [("/opt/lib/libcuda.so.1", "", "stub")]


def test_wsls_name_is_no_version(tmp_path: Path) -> None:
    library(tmp_path, "usr/lib/wsl/lib", "1.1")
    write(tmp_path, "etc/ld.so.cache", cache(("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", X86)))
    assert found(libraries.libcuda(world(tmp_path))) == [("/usr/lib/wsl/lib/libcuda.so.1", "", "wsl")]
    assert libraries.wsl_libraries(world(tmp_path)) == ("libcuda.so.1", "libcuda.so.1.1")


def test_outside_wsl_there_are_no_libraries_of_it(tmp_path: Path) -> None:
    assert libraries.wsl_libraries(world(tmp_path)) == ()
    write(tmp_path, "usr/lib/wsl/lib", "a file")
    assert libraries.wsl_libraries(world(tmp_path)) == ()


def test_one_file_under_several_names_is_one_library(tmp_path: Path) -> None:
    library(tmp_path, FOLDER, "535.129.03")
    (tmp_path / "lib").symlink_to("usr/lib")
    write(tmp_path, "etc/ld.so.cache", cache(("libcuda.so.1", f"/{FOLDER[4:]}/libcuda.so.1", X86)))
    assert found(libraries.libcuda(world(tmp_path))) == [(f"/{FOLDER[4:]}/libcuda.so.1", "535.129.03", "driver")]


def test_the_loader_passes_over_what_it_cannot_take(tmp_path: Path) -> None:
    library(tmp_path, "a", content=b"\x7fELF\x01\x01\x01")  # of 32 bits
    (tmp_path / "b/libcuda.so.1").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/libcuda.so.1").symlink_to("libcuda.so.999")
    library(tmp_path, "d", "535.129.03", content=b"\x7fELF\x02\x01\x01")
    reading = libraries.libcuda(world(tmp_path, {"LD_LIBRARY_PATH": "/a:/b:/c:/d"}))
    assert found(reading) == [("/d/libcuda.so.1", "535.129.03", "driver")]


def test_below_a_root_without_a_cache_its_configuration_counts(tmp_path: Path) -> None:
    library(tmp_path, "usr/lib/wsl/lib")
    write(tmp_path, "etc/ld.so.conf", "# folders\ninclude /etc/ld.so.conf.d/*.conf\n/opt/lib\n")
    write(tmp_path, "etc/ld.so.conf.d/ld.wsl.conf", "/usr/lib/wsl/lib\n")
    assert found(libraries.libcuda(world(tmp_path))) == [("/usr/lib/wsl/lib/libcuda.so.1", "", "wsl")]
    assert libraries.libcuda(world(tmp_path, here=True)) == ()  # a loader without a cache looks no further


def test_a_cache_that_is_none_is_garbled(tmp_path: Path) -> None:
    write(tmp_path, "etc/ld.so.cache", "no cache")
    assert why(libraries.libcuda(world(tmp_path))) is Why.GARBLED


# --- The cache ---


@pytest.mark.parametrize("old", [False, True])
def test_entries_of_64_bits_are_found_in_their_order(old: bool) -> None:
    content = cache(
        ("libc.so.6", "/lib/libc.so.6", X86),
        ("libcuda.so.1", "/lib32/libcuda.so.1", X86_32),
        ("libcuda.so.1", "/one/libcuda.so.1", X86),
        ("libcuda.so.1", "/two/libcuda.so.1", ARM),
        ("libcuda.so", "/one/libcuda.so", X86),
        old=old,
    )
    assert loader_cache.parse(content, "libcuda.so.1") == ("/one/libcuda.so.1", "/two/libcuda.so.1")


def test_a_cache_of_the_other_byte_order_is_read() -> None:
    content = cache(("libcuda.so.1", "/one/libcuda.so.1", X86), order=">")
    assert loader_cache.parse(content, "libcuda.so.1") == ("/one/libcuda.so.1",)


@pytest.mark.parametrize("length", [0, 20, 47, 60])
def test_a_cache_that_was_cut_off_is_none(length: int) -> None:
    content = cache(("libcuda.so.1", "/one/libcuda.so.1", X86))
    assert loader_cache.parse(content[:length], "libcuda.so.1") is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_bytes_crash_the_parser(data: st.DataObject) -> None:
    content = bytearray(cache(("libc.so.6", "/c", X86), ("libcuda.so.1", "/one/libcuda.so.1", X86), old=True))
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = loader_cache.parse(bytes(content[: data.draw(st.integers(0, len(content)))]), "libcuda.so.1")
    assert found is None or all(path.startswith("/") for path in found)
    loader_cache.parse(data.draw(st.binary(max_size=100)), "libcuda.so.1")


def test_this_machines_cache_says_what_ldconfig_says() -> None:
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin:/usr/bin")
    if ldconfig is None or not Path("/etc/ld.so.cache").exists():
        pytest.skip("no loader with a cache here")
    printed = subprocess.run((ldconfig, "-p"), capture_output=True, text=True, check=True).stdout
    here = World(root=Path("/"), environ={}, deadline=time.monotonic() + 20)
    lines = [line.split() for line in printed.splitlines()[1:] if "libc6,x86-64" in line or "libc6,AArch64" in line]
    names = {words[0] for words in lines if "OS" not in words}
    assert "libc.so.6" in names
    for name in sorted(names):
        expected = tuple(dict.fromkeys(words[-1] for words in lines if words[0] == name))
        assert loader_cache.paths(here, name) == expected
