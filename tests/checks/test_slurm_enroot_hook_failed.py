"""slurm-enroot-hook-failed: enroot's hook, and the program that it calls."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "slurm-enroot-hook-failed"
HOOK = "/etc/enroot/hooks.d/98-nvidia.sh"
NODE: dict[str, Any] = {**NO_ENGINE, "enroot_hook": HOOK, "toolkit_binaries": ("nvidia-container-cli",)}


def test_hook_and_program_are_well() -> None:
    assert answer(CHECK, facts_of(engine=NODE)).outcome is Outcome.PASSED


@pytest.mark.parametrize("binaries", [(), ("nvidia-ctk",)])
def test_a_hook_without_its_program_is_an_error(binaries: tuple[str, ...]) -> None:
    (finding,) = answer(CHECK, facts_of(engine={**NODE, "toolkit_binaries": binaries})).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "calls nvidia-container-cli, which is not installed" in finding.message
    assert finding.fix is not None
    assert any("nvidia-container-toolkit" in command for command in finding.fix.commands)


def test_no_hook_is_a_warning_since_nobody_else_says_so() -> None:
    (finding,) = answer(CHECK, facts_of(engine={**NODE, "enroot_hook": ""})).findings
    assert (finding.severity, "without a GPU" in finding.message) == (Severity.WARNING, True)


@pytest.mark.parametrize("part", ["enroot_hook", "toolkit_binaries"])
def test_what_is_unread_is_unknown(part: str) -> None:
    assert answer(CHECK, facts_of(engine={**NODE, part: unread(Why.FORBIDDEN)})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed", [{}, {"engine": {**NODE, "toolkit_binaries": ()}, "gpus": unread(code=12), "pci_gpus": ()}]
)
def test_without_enroot_or_gpu_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "slurmstepd: error: pyxis: [ERROR] /etc/enroot/hooks.d/98-nvidia.sh exited with return code 1",
        "[ERROR] /usr/local/etc/enroot/hooks.d/98-nvidia.sh exited with return code 127",
        "pyxis:     [ERROR] Command not found: nvidia-container-cli, see https://github.com/NVIDIA/libnvidia-container",
        "nvidia-container-cli: mount error: stat failed: /run/nvidia-persistenced/socket: no such file or directory",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "slurmstepd: error: pyxis: [ERROR] /etc/enroot/hooks.d/99-mellanox.sh exited with return code 1",
        "pyxis: importing docker image",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
