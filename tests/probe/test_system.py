"""The operating system: os-release as distributions write it, and where this process runs."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from pathlib import Path

import pytest

from gpudoctor.facts import SystemFacts
from gpudoctor.probe import system
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why


class HereWorld(World):
    """A world below a folder that passes for this process's own."""

    @property
    def is_here(self) -> bool:
        return True

    def path(self, name: str, *, follow_last: bool = True) -> Path:
        return self.root / name.lstrip("/")


def probe(root: Path, environ: Mapping[str, str] | None = None, *, here: bool = False) -> SystemFacts:
    (root / "dev/shm").mkdir(parents=True, exist_ok=True)
    kind = HereWorld if here else World
    return system.probe(kind(root=root, environ=environ or {}, deadline=float("inf")))


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


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


def test_a_host_that_is_shown_to_us_is_judged_and_not_our_own_container(tmp_path: Path) -> None:
    write(tmp_path, ".dockerenv", "")
    assert probe(tmp_path, {"container": "podman"}).container == ""


def test_unread_cgroup_leaves_it_unread(tmp_path: Path) -> None:
    assert isinstance(probe(tmp_path, here=True).container, Unread)


def test_size_of_shared_memory_is_that_of_its_file_system(tmp_path: Path) -> None:
    here = system.probe(World(root=Path("/"), environ={}, deadline=float("inf")))
    import os

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
