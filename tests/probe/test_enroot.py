"""Enroot's hook for NVIDIA GPUs, where enroot would look for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gpudoctor.probe import enroot
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from tests.users import as_nobody


def world(root: Path, **environ: str) -> World:
    """A machine below the folder, or this one."""
    return World(root=root, environ=environ, deadline=time.monotonic() + 20)


def program(path: Path) -> None:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def unread(reading: object) -> Unread:
    """The reading, which has no value."""
    assert isinstance(reading, Unread), reading
    return reading


def test_a_machine_without_enroot_has_no_answer(tmp_path: Path) -> None:
    assert unread(enroot.hook(world(tmp_path))).why is Why.ABSENT


def test_enroot_without_its_hook_is_seen(tmp_path: Path) -> None:
    program(tmp_path / "usr/bin/enroot")
    assert enroot.hook(world(tmp_path)) == ""
    program(tmp_path / "etc/enroot/hooks.d/10-devices.sh")
    assert enroot.hook(world(tmp_path)) == ""


@pytest.mark.parametrize("name", ["98-nvidia.sh", "99-nvidia.sh"])
def test_the_hook_is_found(tmp_path: Path, name: str) -> None:
    program(tmp_path / "etc/enroot/hooks.d" / name)
    assert enroot.hook(world(tmp_path)) == f"/etc/enroot/hooks.d/{name}"


def test_a_hook_that_is_not_executable_is_not_run(tmp_path: Path) -> None:
    program(tmp_path / "etc/enroot/hooks.d/98-nvidia.sh")
    (tmp_path / "etc/enroot/hooks.d/98-nvidia.sh").chmod(0o644)
    assert enroot.hook(world(tmp_path)) == ""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ENROOT_SYSCONF_PATH /opt/enroot", "/opt/enroot/hooks.d/98-nvidia.sh"),
        ("ENROOT_SYSCONF_PATH='/opt/enroot'", "/opt/enroot/hooks.d/98-nvidia.sh"),
        ("#ENROOT_SYSCONF_PATH /opt/enroot", ""),
        ("ENROOT_SYSCONF_PATH /etc/enroot", ""),
    ],
)
def test_the_folder_that_the_configuration_names_is_looked_in(tmp_path: Path, line: str, found: str) -> None:
    program(tmp_path / "opt/enroot/hooks.d/98-nvidia.sh")
    (tmp_path / "etc/enroot").mkdir(parents=True)
    (tmp_path / "etc/enroot/enroot.conf").write_text(f"ENROOT_LOGIN_SHELL yes\n  {line}\nENROOT_TEMP_PATH /tmp\n")
    assert enroot.hook(world(tmp_path)) == found


def test_a_folder_that_only_a_shell_can_work_out_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "etc/enroot").mkdir(parents=True)
    (tmp_path / "etc/enroot/enroot.conf").write_text("ENROOT_SYSCONF_PATH ${HOME}/enroot\n")
    assert unread(enroot.hook(world(tmp_path))).why is Why.UNSUPPORTED


def test_folders_of_our_own_environment_count_on_this_machine_alone(tmp_path: Path) -> None:
    program(tmp_path / "bin/enroot")
    program(tmp_path / "system/hooks.d/98-nvidia.sh")
    program(tmp_path / "home/.config/enroot/hooks.d/98-nvidia.sh")
    own = {"PATH": f"{tmp_path}/bin", "HOME": f"{tmp_path}/home"}
    system = {"ENROOT_SYSCONF_PATH": f"{tmp_path}/system"}
    here = Path("/")
    assert enroot.hook(world(here, **own, **system)) == f"{tmp_path}/system/hooks.d/98-nvidia.sh"
    nothing = {"ENROOT_SYSCONF_PATH": f"{tmp_path}/nothing"}
    assert enroot.hook(world(here, **own, **nothing)) == f"{tmp_path}/home/.config/enroot/hooks.d/98-nvidia.sh"
    assert unread(enroot.hook(world(tmp_path / "other", **own, **system))).why is Why.ABSENT


def test_a_folder_that_this_user_may_not_look_into_is_a_reason(public_folder: Path) -> None:
    program(public_folder / "etc/enroot/hooks.d/98-nvidia.sh")
    (public_folder / "etc/enroot/hooks.d").chmod(0)
    with as_nobody():
        assert unread(enroot.hook(world(public_folder))).why is Why.FORBIDDEN


def test_any_configuration_is_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "etc/enroot").mkdir(parents=True)
    for text in (
        b"\xff\xfe\x00",
        b"ENROOT_SYSCONF_PATH " + b"x" * 10_000,
        b"ENROOT_SYSCONF_PATH /a\x00b",
        b"\n" * 9999,
    ):
        (tmp_path / "etc/enroot/enroot.conf").write_bytes(text)
        found = enroot.hook(world(tmp_path))
        assert found == "" or unread(found).detail.isprintable()
