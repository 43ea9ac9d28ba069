"""The operating system: os-release as distributions write it, and where this process runs."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.facts import SystemFacts
from gpudoctor.probe import system
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from tests.probe.worlds import why, world, write
from tests.users import as_nobody


def probe(root: Path, environ: Mapping[str, str] | None = None, *, here: bool = False) -> SystemFacts:
    (root / "dev/shm").mkdir(parents=True, exist_ok=True)
    return system.probe(world(root, environ, here=here))


@pytest.mark.parametrize(
    ("text", "os_id", "like", "name"),
    [
        ('ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu 24.04"\n', "ubuntu", ("debian",), "Ubuntu 24.04"),
        ("ID='rocky'\nID_LIKE=\"rhel centos fedora\"\n", "rocky", ("rhel", "centos", "fedora"), "Linux"),
        ("# ID=comment\nVERSION_ID=12\n ID = debian \n", "debian", (), "Linux"),
        ("", "linux", (), "Linux"),
    ],
)
def test_os_release_is_read_as_its_manual_says(
    tmp_path: Path, text: str, os_id: str, like: tuple[str, ...], name: str
) -> None:
    write(tmp_path, "etc/os-release", text)
    found = probe(tmp_path)
    assert (found.os_id, found.os_like, found.os_name) == (os_id, like, name)


def test_without_os_release_its_values_are_unread(tmp_path: Path) -> None:
    found = probe(tmp_path)
    for reading in (found.os_id, found.os_like, found.os_name, found.hostname, found.kernel_release):
        assert isinstance(reading, Unread)
        assert reading.why is Why.ABSENT


@pytest.mark.parametrize(
    ("release", "wsl"),
    [
        ("5.15.153.1-microsoft-standard-WSL2", True),
        ("4.4.0-19041-Microsoft", True),
        ("6.8.0-1021-azure", False),
        ("6.8.0-85-generic", False),
    ],
)
def test_wsl_is_known_by_its_kernel(tmp_path: Path, release: str, wsl: bool) -> None:
    write(tmp_path, "proc/sys/kernel/osrelease", f"{release}\n")
    found = probe(tmp_path)
    assert (found.wsl, found.kernel_release) == (wsl, release)


def test_jetson_is_known_by_its_release_file(tmp_path: Path) -> None:
    assert not probe(tmp_path).jetson
    write(tmp_path, "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3\n")
    assert probe(tmp_path).jetson


MOUNTED = "27 1 0:50 / / rw - overlay overlay rw\n28 27 254:1 /x/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda rw\n"
UNMOUNTED = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n24 27 0:23 / /dev/shm rw - tmpfs tmpfs rw\n"


@pytest.mark.parametrize(
    ("files", "environ", "engine"),
    [
        ({}, {}, ""),
        ({".dockerenv": "", "proc/self/mountinfo": MOUNTED}, {}, "docker"),
        ({".dockerenv": "", "proc/self/mountinfo": UNMOUNTED}, {}, ""),
        ({".dockerenv": ""}, {}, "docker"),
        ({"run/.containerenv": ""}, {}, "podman"),
        ({".singularity.d/env": ""}, {}, "apptainer"),
        ({}, {"container": "systemd-nspawn"}, "systemd-nspawn"),
        ({".dockerenv": "", "proc/self/mountinfo": MOUNTED}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ({"var/run/secrets/kubernetes.io/serviceaccount/namespace": "default"}, {}, "kubernetes"),
        ({"proc/self/cgroup": "12:devices:/docker/0123456789abcdef\n0::/\n"}, {}, "docker"),
        ({"proc/self/cgroup": "0::/kubepods.slice/kubepods-pod1.slice/cri-1.scope\n"}, {}, "kubernetes"),
        ({"proc/self/cgroup": "0::/machine.slice/libpod-1.scope\n"}, {}, "podman"),
        ({"proc/self/cgroup": "0::/lxc.payload.box/init.scope\n"}, {}, "lxc"),
        ({"proc/self/cgroup": "0::/user.slice/user-1000.slice/session-2.scope\n"}, {}, ""),
        ({"proc/self/cgroup": "0::/system.slice/docker.service\n"}, {}, ""),
    ],
)
def test_the_engine_around_this_process_leaves_its_marks(
    tmp_path: Path, files: Mapping[str, str], environ: Mapping[str, str], engine: str
) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    for name, text in files.items():
        write(tmp_path, name, text)
    assert probe(tmp_path, environ, here=True).container == engine


@pytest.mark.parametrize(
    ("files", "engine"),
    [
        ({}, ""),
        ({".dockerenv": ""}, "docker"),
        ({".dockerenv": "", "proc/1/mountinfo": MOUNTED}, "docker"),
        ({".dockerenv": "", "proc/1/mountinfo": UNMOUNTED}, ""),
        ({".dockerenv": "", "proc/1/mountinfo": UNMOUNTED, "proc/self/mountinfo": MOUNTED}, ""),
        ({"run/.containerenv": ""}, "podman"),
        ({".singularity.d/env": ""}, "apptainer"),
        ({"var/run/secrets/kubernetes.io/serviceaccount/namespace": "default", ".dockerenv": ""}, "kubernetes"),
        ({"proc/self/cgroup": "0::/docker/0123\n"}, ""),
    ],
)
def test_another_root_is_judged_by_its_files_and_not_by_our_own_container(
    tmp_path: Path, files: Mapping[str, str], engine: str
) -> None:
    for name, text in files.items():
        write(tmp_path, name, text)
    ours = {"container": "podman", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert probe(tmp_path, ours).container == engine


def test_another_root_whose_mounts_are_hidden_is_not_called_a_container() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        write(root, ".dockerenv", "")
        write(root, "proc/1/mountinfo", UNMOUNTED).chmod(0)
        (root / "dev/shm").mkdir(parents=True)
        with as_nobody():
            assert why(probe(root).container) is Why.FORBIDDEN


def test_unread_cgroup_leaves_it_unread(tmp_path: Path) -> None:
    assert isinstance(probe(tmp_path, here=True).container, Unread)


def test_size_of_shared_memory_is_that_of_its_file_system(tmp_path: Path) -> None:
    here = system.probe(World(root=Path("/"), environ={}, deadline=float("inf")))
    found = os.statvfs("/dev/shm")
    assert here.shm_bytes == found.f_frsize * found.f_blocks


def test_without_shared_memory_its_size_is_unread(tmp_path: Path) -> None:
    found = system.probe(World(root=tmp_path, environ={}, deadline=float("inf")))
    assert isinstance(found.shm_bytes, Unread)
    assert found.shm_bytes.why is Why.ABSENT


def test_the_limit_of_locked_memory_is_this_process_own(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, hard))
        assert probe(tmp_path).memlock_limit_bytes == 65536
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))


# --- systemd, boot, security ---


def test_systemd_is_known_as_it_says_itself(tmp_path: Path) -> None:
    assert why(probe(tmp_path).systemd) is Why.ABSENT  # a root without /run tells nothing
    (tmp_path / "run/systemd/seats").mkdir(parents=True)
    assert probe(tmp_path).systemd is False
    (tmp_path / "run/systemd/system").mkdir()
    assert probe(tmp_path).systemd is True


def test_boot_and_uptime_are_the_kernels(tmp_path: Path) -> None:
    assert why(probe(tmp_path).uptime_seconds) is Why.ABSENT
    write(tmp_path, "proc/sys/kernel/random/boot_id", "0b1d6f5e-9a53-4d4e-8f0c-5b1f7f0a3c11\n")
    write(tmp_path, "proc/uptime", "86400.53 160000.00\n")
    found = probe(tmp_path)
    assert (found.boot_id, found.uptime_seconds) == ("0b1d6f5e-9a53-4d4e-8f0c-5b1f7f0a3c11", 86400.53)


@pytest.mark.parametrize("text", ["", "\n", "soon 1", "nan 1", "inf 1"])
def test_an_uptime_that_is_no_number_is_garbled(tmp_path: Path, text: str) -> None:
    write(tmp_path, "proc/uptime", text)
    assert why(probe(tmp_path).uptime_seconds) is Why.GARBLED


VARIABLE = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({VARIABLE: b"\x06\0\0\0\x01"}, True),
        ({VARIABLE: b"\x06\0\0\0\0"}, False),
        ({VARIABLE: b"\x16\0\0\0\x01"}, True),
        ({VARIABLE: b"\x06\0"}, Why.GARBLED),
        ({"sys/firmware/acpi/tables/DSDT": b""}, False),  # no EFI
        ({"sys/firmware/efi/efivars/BootOrder-8be4df61": b""}, False),  # EFI that has no Secure Boot
        ({"sys/firmware/efi/config_table": b""}, Why.ABSENT),  # efivarfs is not mounted
        ({}, Why.ABSENT),
    ],
)
def test_secure_boot_is_the_variables_fifth_byte(tmp_path: Path, files: Mapping[str, bytes], answer: object) -> None:
    for name, content in files.items():
        write(tmp_path, name, content)
    found = probe(tmp_path).secure_boot
    assert (why(found) or found) == answer


def test_a_covered_folder_of_firmware_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "sys/firmware").mkdir(parents=True)
    assert why(probe(tmp_path).secure_boot) is Why.FORBIDDEN


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"sys/fs/selinux/enforce": "1"}, "enforcing"),
        ({"sys/fs/selinux/enforce": "0\n"}, "permissive"),
        ({"sys/fs/selinux/enforce": "x"}, Why.GARBLED),
        ({"proc/filesystems": "nodev\tsysfs\nnodev\tselinuxfs\n\text4\n"}, Why.ABSENT),
        ({"proc/filesystems": "nodev\tsysfs\n\text4\n"}, ""),
        ({}, ""),
    ],
)
def test_selinux_is_in_force_or_not_there(tmp_path: Path, files: Mapping[str, str], answer: object) -> None:
    for name, text in files.items():
        write(tmp_path, name, text)
    found = probe(tmp_path).selinux
    assert (why(found) or found) == answer


def test_programs_are_found_where_they_are_installed(tmp_path: Path) -> None:
    assert why(probe(tmp_path).programs) is Why.ABSENT
    for name in (
        "usr/bin/docker",
        "snap/bin/docker",
        "usr/bin/ls",
        "usr/local/bin/podman",
        "usr/lib/wsl/lib/nvidia-smi",
    ):
        write(tmp_path, name)
    assert probe(tmp_path).programs == (
        "/snap/bin/docker",
        "/usr/bin/docker",
        "/usr/lib/wsl/lib/nvidia-smi",
        "/usr/local/bin/podman",
    )


def test_this_machine_is_read_without_a_gap_that_another_user_would_not_have() -> None:
    here = World(root=Path("/"), environ=os.environ, deadline=time.monotonic() + 20)
    begin = time.monotonic()
    found = system.probe(here)
    assert time.monotonic() - begin < 5
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert isinstance(found.uptime_seconds, float)
    assert isinstance(found.systemd, bool)
    assert found.systemd == Path("/run/systemd/system").is_dir()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=st.binary(max_size=200))
def test_no_bytes_crash_the_readers(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    root = tmp_path_factory.mktemp("root")
    for name in (
        "etc/os-release",
        "proc/1/mountinfo",
        "proc/cpuinfo",
        "proc/filesystems",
        "proc/sys/kernel/osrelease",
        "proc/sys/kernel/random/boot_id",
        "proc/uptime",
        "proc/7/comm",
        "sys/class/dmi/id/product_name",
        "sys/class/dmi/id/sys_vendor",
        "sys/fs/selinux/enforce",
        "var/lib/dpkg/status",
        ".dockerenv",
        VARIABLE,
    ):
        write(root, name, text)
    probe(root)
    write(root, "var/lib/dpkg/status", b"Package: nvidia" + text + b"\nStatus: install ok installed\nVersion: " + text)
    write(root, "proc/cpuinfo", b"flags : " + text)
    probe(root)
