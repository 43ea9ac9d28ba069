"""The driver's kernel modules on disk: real ELF files, packed as distributions pack them, and DKMS's folders."""

from __future__ import annotations

import gzip
import importlib.util
import lzma
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.facts import DkmsModule, ModuleFile
from gpudoctor.probe import module_file, modules
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests import kernel_module
from tests.probe.worlds import why, world, write
from tests.users import as_nobody

RUNNING = "6.8.0-85-generic"
OLDER = "6.8.0-71-generic"

SOURCE = """
#define INFO(name, text) \\
    static const char name[] __attribute__((section(".modinfo"), used, aligned(1))) = text
INFO(one, "srcversion=0123456789ABCDEF");
INFO(two, "version={version}");
INFO(three, "license={licence}");
INFO(four, "vermagic=6.8.0-85-generic SMP preempt mod_unload modversions");
char filling[1 << 20] = {{1}};
"""


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object file of the compiler's, with a .modinfo as a module has it."""
    return compiled(tmp_path_factory.mktemp("module"), "535.129.03", "NVIDIA")


def compiled(folder: Path, version: str, licence: str) -> Path:
    source = write(folder, "nvidia.c", SOURCE.format(version=version, licence=licence))
    subprocess.run(("gcc", "-g", "-c", "-o", folder / "nvidia.ko", source), check=True)
    return folder / "nvidia.ko"


def place(root: Path, module: Path, path: str, release: str = RUNNING, *, listed: bool = False) -> str:
    write(root, "proc/sys/kernel/osrelease", f"{RUNNING}\n")
    name = f"lib/modules/{release}/{path}"
    content = module.read_bytes()
    if path.endswith(".xz"):
        content = lzma.compress(content, check=lzma.CHECK_CRC32)  # as the kernel wants it
    elif path.endswith(".gz"):
        content = gzip.compress(content)
    elif path.endswith(".zst"):
        content = subprocess.run(("zstd", "-c", module), capture_output=True, check=True).stdout
    write(root, name, content)
    if listed:
        write(root, f"lib/modules/{release}/modules.dep", f"kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko\n{path}:\n")
    return f"/{name}"


def known(reading: Reading[tuple[ModuleFile, ...]]) -> list[tuple[str, str, str, str]]:
    assert not isinstance(reading, Unread), reading
    return [(one.path, one.kernel_release, str(one.version), str(one.flavour)) for one in reading]


@pytest.mark.parametrize("licence", ["NVIDIA", "Dual MIT/GPL"])
def test_version_and_flavour_come_from_the_file(tmp_path: Path, licence: str) -> None:
    place(tmp_path, compiled(tmp_path, "580.95.05", licence), "updates/dkms/nvidia.ko")
    flavour = "open" if licence == "Dual MIT/GPL" else "proprietary"
    path = f"/lib/modules/{RUNNING}/updates/dkms/nvidia.ko"
    assert known(modules.module_files(world(tmp_path))) == [(path, RUNNING, "580.95.05", flavour)]


def test_the_module_of_test_machines_is_read_without_a_compiler(tmp_path: Path) -> None:
    content = kernel_module.content(version="580.95.05", licence="Dual MIT/GPL")
    path = f"lib/modules/{RUNNING}/updates/dkms/nvidia.ko"
    write(tmp_path, path, content)
    assert known(modules.module_files(world(tmp_path))) == [(f"/{path}", RUNNING, "580.95.05", "open")]


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        "updates/dkms/nvidia.ko",
        "updates/dkms/nvidia.ko.xz",
        "updates/dkms/nvidia.ko.gz",
        "updates/dkms/nvidia-current.ko",
        "updates/dkms/nvidia-tesla-470.ko",
        "extra/nvidia/nvidia.ko.xz",
        "extra/drivers/video/nvidia/nvidia.ko",
        "weak-updates/nvidia/nvidia.ko.xz",
        "kernel/drivers/video/nvidia.ko",
        "kernel/nvidia-535/nvidia.ko",
        "video/nvidia.ko",
    ],
)
def test_it_is_found_where_distributions_put_it(tmp_path: Path, module: Path, path: str, listed: bool) -> None:
    place(tmp_path, module, path, listed=listed)
    expected = [(f"/lib/modules/{RUNNING}/{path}", RUNNING, "535.129.03", "proprietary")]
    assert known(modules.module_files(world(tmp_path))) == expected


@pytest.mark.parametrize("name", ["nvidia-uvm.ko", "nvidia-current-drm.ko", "nvidiafb.ko", "nvidia-fs.ko", "nvidia.c"])
def test_its_siblings_are_others(tmp_path: Path, module: Path, name: str) -> None:
    place(tmp_path, module, f"updates/dkms/{name}", listed=True)
    assert modules.module_files(world(tmp_path)) == ()


def test_the_running_kernels_comes_first_and_other_kernels_follow(tmp_path: Path, module: Path) -> None:
    for release in (OLDER, RUNNING, "6.9.0-1-generic"):
        place(tmp_path, module, "updates/dkms/nvidia.ko", release)
    releases = [one[1] for one in known(modules.module_files(world(tmp_path)))]
    assert releases == [RUNNING, OLDER, "6.9.0-1-generic"]


def test_what_is_listed_and_gone_is_not_there(tmp_path: Path, module: Path) -> None:
    (tmp_path / place(tmp_path, module, "extra/nvidia.ko", listed=True).lstrip("/")).unlink()
    assert modules.module_files(world(tmp_path)) == ()


def test_links_of_other_kernels_are_followed(tmp_path: Path, module: Path) -> None:
    path = place(tmp_path, module, "extra/nvidia/nvidia.ko", OLDER)
    weak = tmp_path / f"lib/modules/{RUNNING}/weak-updates/nvidia"
    weak.mkdir(parents=True)
    (weak / "nvidia.ko").symlink_to(path)
    found = known(modules.module_files(world(tmp_path)))
    assert [one[1:3] for one in found] == [(RUNNING, "535.129.03"), (OLDER, "535.129.03")]


def test_sources_and_the_kernels_own_modules_are_not_walked(tmp_path: Path, module: Path) -> None:
    place(tmp_path, module, "kernel/drivers/net/nvidia.ko")
    place(tmp_path, module, "build/nvidia.ko")
    assert modules.module_files(world(tmp_path)) == ()


def test_without_modules_nothing_is_known(tmp_path: Path) -> None:
    assert why(modules.module_files(world(tmp_path))) is Why.ABSENT
    (tmp_path / "lib/modules").mkdir(parents=True)
    assert modules.module_files(world(tmp_path)) == ()


def test_a_file_that_may_not_be_read_is_there_all_the_same(tmp_path: Path, module: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        path = place(root, module, "updates/nvidia.ko")
        (root / path.lstrip("/")).chmod(0)
        with as_nobody():
            reading = modules.module_files(world(root))
    assert not isinstance(reading, Unread)
    assert [(why(one.version), why(one.flavour)) for one in reading] == [(Why.FORBIDDEN, Why.FORBIDDEN)]


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd to pack with")
def test_packed_with_zstd_it_is_read_where_something_can(tmp_path: Path, module: Path) -> None:
    path = place(tmp_path, module, "updates/dkms/nvidia.ko.zst")
    (below,) = known(modules.module_files(world(tmp_path)))
    if importlib.util.find_spec("compression") is not None:
        assert below[2:] == ("535.129.03", "proprietary")
        return
    reading = modules.module_files(world(tmp_path))
    assert not isinstance(reading, Unread)
    assert why(reading[0].version) is Why.UNSUPPORTED
    if shutil.which("modinfo", path="/usr/sbin:/sbin") is not None:
        here = World(root=Path("/"), environ={}, deadline=time.monotonic() + 20)
        fields = module_file.information(here, f"{tmp_path}{path}", time.monotonic() + 2)
        assert not isinstance(fields, Unread)
        assert (fields["version"], fields["license"]) == ("535.129.03", "NVIDIA")


@pytest.mark.skipif(shutil.which("modinfo", path="/usr/sbin:/sbin") is None, reason="no modinfo to compare with")
@pytest.mark.parametrize("made", ["by the compiler", "for test machines"])
def test_modinfo_says_the_same(tmp_path: Path, module: Path, made: str) -> None:
    if made == "for test machines":
        content = kernel_module.content(version="535.129.03", licence="NVIDIA")
        module = write(tmp_path, "nvidia.ko", content)
    modinfo = shutil.which("modinfo", path="/usr/sbin:/sbin")
    here = World(root=Path("/"), environ={}, deadline=time.monotonic() + 20)
    fields = module_file.information(here, str(module), time.monotonic() + 2)
    assert not isinstance(fields, Unread)
    assert (fields["version"], fields["license"]) == ("535.129.03", "NVIDIA")
    for name, value in fields.items():
        printed = subprocess.run((str(modinfo), "-F", name, module), capture_output=True, text=True, check=True).stdout
        assert value.strip() == printed.strip()


def test_unpacking_ends_with_its_time(tmp_path: Path, module: Path) -> None:
    path = place(tmp_path, module, "updates/dkms/nvidia.ko.xz")
    assert why(module_file.information(world(tmp_path), path, time.monotonic() - 1)) is Why.TIMEOUT


@pytest.mark.parametrize("name", ["nvidia.ko", "nvidia.ko.xz", "nvidia.ko.gz"])
@pytest.mark.parametrize("content", [b"", b"no module", b"\x7fELF\x02\x01", b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_module_is_garbled(tmp_path: Path, name: str, content: bytes) -> None:
    write(tmp_path, f"lib/modules/{RUNNING}/updates/{name}", content)
    reading = modules.module_files(world(tmp_path))
    assert not isinstance(reading, Unread)
    assert [why(one.version) for one in reading] == [Why.GARBLED]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("root")
    content = bytearray(kernel_module.content(version="535.129.03", licence="NVIDIA"))
    for _ in range(data.draw(st.integers(1, 6))):
        # Where the header, the table of sections and the names are, every byte counts.
        at = data.draw(st.one_of(st.integers(0, 63), st.integers(0, len(content) - 1)))
        content[at] = data.draw(st.integers(0, 255))
    suffix = data.draw(st.sampled_from([".ko", ".ko.xz", ".ko.gz", ".ko.zst"]))
    write(root, f"nvidia{suffix}", bytes(content[: data.draw(st.integers(0, len(content)))]))
    module_file.information(world(root), f"/nvidia{suffix}", time.monotonic() + 5)


# --- DKMS ---

LOG = "DKMS make.log for nvidia-535.129.03 for kernel 6.8.0-85-generic (x86_64)\nSun Nov  1\nerror: …\n"


def built(root: Path, name: str, version: str, release: str) -> None:
    write(root, f"var/lib/dkms/{name}/{version}/{release}/x86_64/module/nvidia.ko.zst")
    write(root, f"var/lib/dkms/{name}/{version}/{release}/x86_64/log/make.log")
    (root / f"var/lib/dkms/{name}/kernel-{release}-x86_64").symlink_to(f"{version}/{release}/x86_64")


def test_dkms_tells_what_it_built_and_what_it_could_not(tmp_path: Path) -> None:
    built(tmp_path, "nvidia", "535.129.03", OLDER)
    (tmp_path / "var/lib/dkms/nvidia/535.129.03/source").symlink_to("/usr/src/nvidia-535.129.03")
    write(tmp_path, "var/lib/dkms/nvidia/535.129.03/build/make.log", LOG)
    write(tmp_path, "var/lib/dkms/nvidia/535.129.03/build/dkms.conf")
    write(tmp_path, "var/lib/dkms/nvidia/535.129.03/6.9.0/x86_64/log/make.log", "failed")
    assert modules.dkms(world(tmp_path)) == (
        DkmsModule(version="535.129.03", built_for=(OLDER,), failed_for=("6.8.0-85-generic", "6.9.0")),
    )


@pytest.mark.parametrize(
    "line", [LOG, LOG.replace("DKMS make.log for nvidia-", "DKMS (dkms-3.1.4) make.log for nvidia/")]
)
def test_a_build_that_succeeded_later_has_not_failed(tmp_path: Path, line: str) -> None:
    write(tmp_path, "var/lib/dkms/nvidia/535.129.03/build/make.log", line)
    (module,) = _dkms(tmp_path)
    assert module.failed_for == (RUNNING,)
    built(tmp_path, "nvidia", "535.129.03", RUNNING)
    (module,) = _dkms(tmp_path)
    assert (module.built_for, module.failed_for) == ((RUNNING,), ())


def _dkms(root: Path) -> tuple[DkmsModule, ...]:
    reading = modules.dkms(world(root))
    assert not isinstance(reading, Unread)
    return reading


def test_other_modules_of_dkms_are_none_of_the_driver(tmp_path: Path) -> None:
    assert _dkms(tmp_path) == ()
    for name in ("nvidia-fs", "zfs", "nvidia-current", "nvidia-open"):
        write(tmp_path, f"var/lib/dkms/{name}/550.163.01/build/dkms.conf")
    write(tmp_path, "var/lib/dkms/dkms_dbversion", "2.0.0\n")
    assert [module.version for module in _dkms(tmp_path)] == ["550.163.01"] * 2


@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=st.binary(max_size=300))
def test_no_bytes_crash_the_readers_of_texts(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    root = tmp_path_factory.mktemp("root")
    write(root, f"lib/modules/{RUNNING}/modules.dep", text)
    write(root, "proc/sys/kernel/osrelease", text)
    write(root, "var/lib/dkms/nvidia/535.129.03/build/make.log", b"make.log for nvidia for kernel " + text)
    modules.module_files(world(root))
    modules.dkms(world(root))
    modules.kernel_headers(world(root))


# --- Headers ---


def test_headers_are_there_when_the_link_leads_somewhere(tmp_path: Path) -> None:
    write(tmp_path, "proc/sys/kernel/osrelease", f"{RUNNING}\n")
    assert why(modules.kernel_headers(world(tmp_path))) is Why.ABSENT
    folder = tmp_path / f"lib/modules/{RUNNING}"
    folder.mkdir(parents=True)
    assert modules.kernel_headers(world(tmp_path)) is False
    (folder / "build").symlink_to(f"/usr/src/linux-headers-{RUNNING}")
    assert modules.kernel_headers(world(tmp_path)) is False
    (tmp_path / f"usr/src/linux-headers-{RUNNING}").mkdir(parents=True)
    assert modules.kernel_headers(world(tmp_path)) is True
