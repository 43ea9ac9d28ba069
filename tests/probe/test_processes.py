"""Daemons by the names that the kernel has for their processes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from gpudoctor.probe import processes
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from tests.probe.worlds import why, world, write

# As /proc shows them: 15 characters at most.
COMMS = ("systemd", "dockerd", "containerd", "containerd-shim", "nv-fabricmanage", "nvidia-persiste", "nvidia-cuda-mps")


def lay_out(root: Path, *comms: str) -> None:
    for number, comm in enumerate(comms, start=1000):
        write(root, f"proc/{number}/comm", f"{comm}\n")
    write(root, "proc/self/comm", "dockerd\n")
    write(root, "proc/uptime", "1 1\n")


def test_daemons_are_known_by_their_short_names(tmp_path: Path) -> None:
    lay_out(tmp_path, *COMMS, "slurmd", "nv-hostengine", "dockerd")
    assert processes.daemons(world(tmp_path), wsl=False) == (
        "containerd",
        "dockerd",
        "nv-fabricmanager",
        "nv-hostengine",
        "nvidia-cuda-mps-control",
        "nvidia-persistenced",
        "slurmd",
    )


def test_a_machine_without_them_has_none(tmp_path: Path) -> None:
    lay_out(tmp_path, "systemd", "bash", "containerd-shim", "nv_queue")
    assert processes.daemons(world(tmp_path), wsl=False) == ()


def test_a_copy_that_holds_no_process_tells_nothing(tmp_path: Path) -> None:
    assert why(processes.daemons(world(tmp_path), wsl=False)) is Why.ABSENT
    lay_out(tmp_path)
    assert why(processes.daemons(world(tmp_path), wsl=False)) is Why.ABSENT


@pytest.mark.parametrize(
    ("wsl", "second", "seen"), [(False, "bash", False), (False, "kthreadd", True), (True, "init", True)]
)
def test_who_sees_only_some_processes_does_not_know(tmp_path: Path, wsl: bool, second: str, seen: bool) -> None:
    lay_out(tmp_path, "dockerd")
    write(tmp_path, "proc/2/comm", f"{second}\n")
    found = processes.daemons(world(tmp_path, here=True), wsl=wsl)
    assert found == ("dockerd",) if seen else why(found) is Why.FORBIDDEN


def test_a_daemon_that_runs_here_is_found(tmp_path: Path) -> None:
    here = World(root=Path("/"), environ={}, deadline=time.monotonic() + 20)
    if isinstance(processes.daemons(here, wsl=False), Unread):
        pytest.skip("not all processes can be seen here")
    program = tmp_path / "nv-fabricmanager"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen((str(program), "30"), executable=str(program)) as process:
        try:
            until = time.monotonic() + 5
            found: tuple[str, ...] = ()
            while "nv-fabricmanager" not in found and time.monotonic() < until:
                time.sleep(0.05)
                reading = processes.daemons(here, wsl=False)
                assert not isinstance(reading, Unread)
                found = reading
            assert "nv-fabricmanager" in found
        finally:
            os.kill(process.pid, 9)
