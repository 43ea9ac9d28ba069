"""driver-novacore-bound: the in-tree driver nova_core has the GPU."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, event, facts_of, pci_gpu, unread

CHECK = "driver-novacore-bound"


@pytest.mark.parametrize("holder", ["nvidia", "", "nouveau", "vfio-pci"])
def test_gpu_that_nova_does_not_hold_is_well(holder: str) -> None:
    assert answer(CHECK, facts_of(pci_gpus=(pci_gpu(0, holder),))).outcome is Outcome.PASSED


@pytest.mark.parametrize("holder", ["NovaCore", "nova_core", "nova-core"])
def test_nova_is_an_error_where_nvidia_has_no_gpu_and_the_root_of_what_follows(holder: str) -> None:
    line = event("novacore_bound", "NVRM: GPU 0000:01:00.0 is already bound to NovaCore.", pci_address="0000:01:00.0")
    facts = facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, holder),), kernel_log=(line,))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert [evidence.value for evidence in finding.evidence] == [holder, line.text]
    assert finding.fix is not None
    assert "nova_drm" in finding.fix.commands[0]
    assert "sudo update-initramfs -u" in finding.fix.commands
    assert answer("driver-not-loaded", facts).findings[0].caused_by == CHECK


def test_nova_is_a_warning_beside_a_gpu_that_nvidia_drives() -> None:
    result = answer(CHECK, facts_of(pci_gpus=(pci_gpu(0), pci_gpu(1, "NovaCore"))))
    assert [finding.severity for finding in result.findings] == [Severity.WARNING]


def test_an_unread_log_takes_only_evidence_away() -> None:
    facts = facts_of(gpus=(), pci_gpus=(pci_gpu(0, "NovaCore"),), kernel_log=unread(Why.FORBIDDEN))
    assert answer(CHECK, facts).outcome is Outcome.FAILED


def test_unread_holders_and_bus_are_unknown_and_an_empty_bus_not_asked() -> None:
    assert answer(CHECK, facts_of(pci_gpus=(pci_gpu(0, unread()),))).outcome is Outcome.UNKNOWN
    assert answer(CHECK, facts_of(pci_gpus=unread())).outcome is Outcome.UNKNOWN
    assert answer(CHECK, facts_of(pci_gpus=())).outcome is Outcome.NOT_APPLICABLE


def test_each_holder_is_one_checks_finding() -> None:
    facts: Any = facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "NovaCore"),))
    assert answer("driver-nouveau-bound", facts).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "line",
    [
        "[  201.910514] NVRM: GPU 0000:01:00.0 is already bound to NovaCore.",
        "[  201.913648] NVRM: No NVIDIA devices probed.",
        "\tKernel driver in use: NovaCore",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "[  201.910514] NVRM: GPU 0000:01:00.0 is already bound to nouveau.")
