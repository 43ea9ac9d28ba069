"""Installed packages, from each package manager's database."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.facts import Package
from gpudoctor.probe import packages
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests.probe.worlds import why, world, write

STATUS = """Package: nvidia-driver-535
Status: install ok installed
Priority: optional
Description: NVIDIA driver metapackage
 Version: of the description
Version: 535.161.07-0ubuntu1

Package: nvidia-dkms-535
Status: install ok half-configured
Version: 535.161.07-0ubuntu1

Package: nvidia-driver-470
Status: deinstall ok config-files
Version: 470.256.02-0ubuntu1

Package: cuda-compat-12-4
Status: hold ok installed
Version: 550.54.15-1

Package: libcuda1
Status: install ok installed
Version: 535.161.07-1

Package: python3-barracuda
Status: install ok installed
Version: 1.0

Package: bash
Status: install ok installed
Version: 5.2

Package: docker-ce
Version: 5:28.5.1-1~ubuntu.24.04~noble
Status: install ok installed
"""


def known(reading: Reading[tuple[Package, ...]]) -> dict[str, str]:
    assert not isinstance(reading, Unread), reading
    return {package.name: package.version for package in reading}


def test_dpkgs_database_tells_what_is_on_disk(tmp_path: Path) -> None:
    write(tmp_path, "var/lib/dpkg/status", STATUS)
    assert known(packages.packages(world(tmp_path))) == {
        "cuda-compat-12-4": "550.54.15-1",
        "docker-ce": "5:28.5.1-1~ubuntu.24.04~noble",
        "libcuda1": "535.161.07-1",
        "nvidia-dkms-535": "535.161.07-0ubuntu1",
        "nvidia-driver-535": "535.161.07-0ubuntu1",
    }


def test_pacmans_folders_are_its_database(tmp_path: Path) -> None:
    for name in ("nvidia-utils-570.144-1", "cuda-12.8.1-3", "bash-5.2.037-1", "ALPM_DB_VERSION"):
        write(tmp_path, f"var/lib/pacman/local/{name}/desc")
    assert known(packages.packages(world(tmp_path))) == {"nvidia-utils": "570.144-1", "cuda": "12.8.1-3"}


def test_rpms_database_below_another_root_is_for_rpm_alone(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/sysimage/rpm/rpmdb.sqlite")
    assert why(packages.packages(world(tmp_path))) is Why.UNSUPPORTED


class _HereWithRpm(World):
    @property
    def is_here(self) -> bool:
        return True

    def path(self, name: str, *, follow_last: bool = True) -> Path:
        return Path(name) if name.endswith("/rpm") and "/bin/" in name else self.root / name.lstrip("/")


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("printf 'nvidia-driver 580.95.05-1.el9\\nbash 5.1.8-9.el9\\nkmod-nvidia 1.0-1\\nkmod-nvidia 2.0-1\\n'", 3),
        ("echo 'error: cannot open Packages database' >&2; exit 1", Why.FAILED),
        ("sleep 20", Why.TIMEOUT),
    ],
)
def test_rpm_is_asked_of_this_machine(tmp_path: Path, script: str, answer: object) -> None:
    write(tmp_path, "root/var/lib/rpm/rpmdb.sqlite")
    write(tmp_path, "bin/rpm", f"#!/bin/sh\n{script}\n").chmod(0o755)
    here = _HereWithRpm(
        root=tmp_path / "root", environ={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, deadline=time.monotonic() + 20
    )
    found = packages.packages(here)
    assert (len(found) if not isinstance(found, Unread) else found.why) == answer


def test_without_any_database_packages_are_absent(tmp_path: Path) -> None:
    assert why(packages.packages(world(tmp_path))) is Why.ABSENT


def test_this_machines_packages_are_those_of_dpkg() -> None:
    dpkg_query = shutil.which("dpkg-query")
    if dpkg_query is None:
        pytest.skip("no dpkg here")
    here = World(root=Path("/"), environ={}, deadline=time.monotonic() + 20)
    said = subprocess.run(
        (dpkg_query, "-W", "-f", "${Package} ${db:Status-Status} ${Version}\\n"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [line.split() for line in said.splitlines()]
    installed = {words[0]: words[2] for words in lines if len(words) == 3}
    assert "dpkg" in installed
    for name, version in known(packages.packages(here)).items():
        assert installed[name] == version


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=st.binary(max_size=300))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    root = tmp_path_factory.mktemp("root")
    write(root, "var/lib/dpkg/status", STATUS.encode() + text)
    packages.packages(world(root))
