"""Programs that are asked for their version: true ones, silent ones, endless ones."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gpudoctor.facts import Package
from gpudoctor.probe import commands, podman, toolkit
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from tests.fakes import unread as unread_reading
from tests.real.packages import command_path


def here(folder: Path, *, seconds: float = 20) -> World:
    """This machine, with the programs of the folder first."""
    path = f"{folder}:{os.environ['PATH']}"
    return World(root=Path("/"), environ={**os.environ, "PATH": path}, deadline=time.monotonic() + seconds)


def program(folder: Path, name: str, *lines: str) -> None:
    """A program of that name."""
    (folder / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))
    (folder / name).chmod(0o755)


def unread(reading: object) -> Unread:
    """The reading, which has no value."""
    assert isinstance(reading, Unread), reading
    return reading


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (["echo podman version 4.3.1"], "4.3.1"),
        (["echo 'NVIDIA Container Toolkit CLI version 1.17.8'", "echo 'commit: 1'"], "1.17.8"),
        (["echo 'cli-version: 1.17.8'", "echo 'lib-version: 1.17.8'"], "1.17.8"),
        (["echo 'time=now level=warning msg=old' >&2", "echo podman version 5.6.0-dev"], "5.6.0"),
    ],
)
def test_a_version_is_found_in_what_programs_say(tmp_path: Path, lines: list[str], version: str) -> None:
    program(tmp_path, "it", *lines)
    assert commands.version(here(tmp_path), f"{tmp_path}/it") == version


@pytest.mark.parametrize(
    ("lines", "why", "words"),
    [
        (["echo hello"], Why.GARBLED, "no version in 'hello"),
        (["exit 0"], Why.GARBLED, "no version in ''"),
        (["echo 'no \033[31mcgroup' >&2", "exit 125"], Why.FAILED, "exit code 125: no [31mcgroup"),
        (["kill -9 $$"], Why.FAILED, "exit code -9"),
        (["exec sleep 1000"], Why.TIMEOUT, "no answer within 0.5 s"),
        (["echo version 1.2.3", "exec sleep 1000"], Why.TIMEOUT, "no answer within 0.5 s"),
        (["echo version 1.2.3", "exec >&- 2>&-", "exec sleep 1000"], Why.TIMEOUT, "no answer within 0.5 s"),
        (["sleep 1000 &", "exec sleep 1000"], Why.TIMEOUT, "no answer within 0.5 s"),
    ],
)
def test_a_program_that_does_not_say_it_is_a_reason(tmp_path: Path, lines: list[str], why: Why, words: str) -> None:
    program(tmp_path, "it", *lines)
    begun = time.monotonic()
    found = unread(commands.version(here(tmp_path, seconds=0.5), f"{tmp_path}/it"))
    assert (found.why, words in found.detail) == (why, True), found
    assert time.monotonic() - begun < 1.5


def test_a_program_that_talks_without_end_is_ended(tmp_path: Path) -> None:
    program(tmp_path, "it", "exec yes version 1.2.3")
    assert unread(commands.version(here(tmp_path), f"{tmp_path}/it")).why is Why.FAILED


def test_nothing_that_was_started_stays(tmp_path: Path) -> None:
    program(tmp_path, "it", f"sleep 1000 & echo $! >{tmp_path}/pid", "exec sleep 1000")
    unread(commands.version(here(tmp_path, seconds=0.5), f"{tmp_path}/it"))
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_what_is_no_program_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "it").write_text("text")
    (tmp_path / "it").chmod(0o755)
    assert unread(commands.version(here(tmp_path), f"{tmp_path}/it")).why is Why.FAILED
    assert unread(commands.version(here(tmp_path), f"{tmp_path}/none")).why is Why.ABSENT


def test_programs_are_found_as_a_shell_finds_them(tmp_path: Path) -> None:
    program(tmp_path, "nvidia-ctk")
    assert commands.find(here(tmp_path), "nvidia-ctk") == f"{tmp_path}/nvidia-ctk"
    (tmp_path / "nvidia-ctk").chmod(0o644)
    assert commands.find(here(tmp_path), "nvidia-ctk") != f"{tmp_path}/nvidia-ctk"


def test_below_another_root_programs_are_found_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    program(tmp_path / "usr/bin", "podman", f"touch {tmp_path}/ran")
    world = World(root=tmp_path, environ={"PATH": "/nowhere"}, deadline=time.monotonic() + 20)
    assert commands.find(world, "podman") == "/usr/bin/podman"
    assert unread(podman.version(world, ())).why is Why.UNSUPPORTED
    assert not (tmp_path / "ran").exists()


# --- Podman and the toolkit ---

DEBIAN = (
    Package(name="libnvidia-container-tools", version="1.17.7-1"),
    Package(name="nvidia-container-toolkit-base", version="1.17.8-1"),
    Package(name="podman", version="4.3.1+ds1-8+deb12u1+b1"),
)
FEDORA = (
    Package(name="nvidia-container-toolkit", version="1.18.0~rc.2-1"),
    Package(name="podman", version="4:5.6.2-1"),
)


def test_versions_are_taken_from_packages_below_another_root(tmp_path: Path) -> None:
    world = World(root=tmp_path, environ={}, deadline=time.monotonic() + 20)
    assert (toolkit.version(world, DEBIAN), podman.version(world, DEBIAN)) == ("1.17.8", "4.3.1")
    assert (toolkit.version(world, FEDORA), podman.version(world, FEDORA)) == ("1.18.0", "5.6.2")
    for packages in ((), unread_reading()):
        assert unread(toolkit.version(world, packages)).why is Why.ABSENT
        assert unread(podman.version(world, packages)).why is Why.ABSENT


def test_the_toolkit_is_asked_where_no_package_tells(tmp_path: Path) -> None:
    program(tmp_path, "nvidia-container-cli", "echo 'cli-version: 1.14.6'")
    assert toolkit.version(here(tmp_path), ()) == "1.14.6"
    program(tmp_path, "nvidia-ctk", "exit 1")
    assert toolkit.version(here(tmp_path), ()) == "1.14.6"
    program(tmp_path, "nvidia-ctk", "echo NVIDIA Container Toolkit CLI version 1.17.8")
    assert toolkit.version(here(tmp_path), ()) == "1.17.8"
    assert toolkit.version(here(tmp_path), (Package(name="nvidia-container-toolkit", version="1.18.1-1"),)) == "1.18.1"


def test_a_podman_that_fails_is_known_by_its_package(tmp_path: Path) -> None:
    program(tmp_path, "podman", "echo 'no home' >&2", "exit 125")
    assert podman.version(here(tmp_path), DEBIAN) == "4.3.1"
    assert unread(podman.version(here(tmp_path), ())).why is Why.FAILED


@pytest.mark.skipif(command_path("podman") is None, reason="podman is not installed")
def test_a_real_podman_says_its_version(tmp_path: Path) -> None:
    found = podman.version(here(tmp_path), ())
    assert isinstance(found, str)
    assert found.count(".") == 2
