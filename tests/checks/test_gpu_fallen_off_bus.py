"""gpu-fallen-off-bus: what NVML, and else the kernel's log, says of a GPU that is gone."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NOT_LOADED, answer, event, facts_of, gpu, pci_gpu, unread

CHECK = "gpu-fallen-off-bus"


FELL = event("fallen_off_bus", "NVRM: GPU at PCI:0000:01:00: GPU has fallen off the bus.", pci_address="0000:01:00.0")
XID_79 = event(
    "xid", "NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.", pci_address="0000:01:00.0", code=79
)
LOST = unread(Why.FAILED, code=15, source="nvmlDeviceGetName")


def test_a_gpu_that_answers_and_a_log_without_a_word_are_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize("gpus", [LOST, (gpu(0), gpu(1, name=LOST)), (gpu(0, temperature_celsius=LOST),)])
def test_nvml_that_has_lost_a_gpu_is_an_error_and_the_root_of_what_follows(gpus: Any) -> None:
    facts = facts_of(gpus=gpus, pci_gpus=(pci_gpu(0), pci_gpu(1)))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert finding.evidence[0].source == "nvmlDeviceGetName"
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo reboot",)
    other = answer("gpu-not-listed", facts)
    assert {*(one.caused_by for one in other.findings), other.explained_by} - {None} == {CHECK}


@pytest.mark.parametrize("line", [FELL, XID_79])
def test_a_line_of_the_log_is_an_error_where_no_gpu_at_that_address_answers(line: Any) -> None:
    facts = facts_of(gpus=(gpu(1),), pci_gpus=(pci_gpu(0), pci_gpu(1)), kernel_log=(line,))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.evidence[0].value) == (Severity.ERROR, line.text)
    assert "0000:01:00.0" in finding.message
    assert [one.caused_by for one in answer("gpu-not-listed", facts).findings] == [CHECK]


@pytest.mark.parametrize("gpus", [LOST, (gpu(1), gpu(0, name=LOST, pci_address=LOST))])
def test_a_gpu_that_nvml_lost_without_a_name_is_the_one_of_the_log(gpus: Any) -> None:
    facts = facts_of(gpus=gpus, pci_gpus=(pci_gpu(0), pci_gpu(1)), kernel_log=(FELL, XID_79))
    (finding,) = answer(CHECK, facts).findings
    assert "0000:01:00.0" in finding.message
    assert [one.source for one in finding.evidence][1:] == ["nvmlDeviceGetName"]


def test_a_second_one_without_a_name_is_told_too() -> None:
    gpus = tuple(gpu(index, name=LOST, pci_address=LOST) for index in range(2))
    facts = facts_of(gpus=gpus, pci_gpus=(pci_gpu(0), pci_gpu(1)), kernel_log=(XID_79,))
    assert len(answer(CHECK, facts).findings) == 2


def test_both_lines_of_one_fall_are_one_finding() -> None:
    assert len(answer(CHECK, facts_of(gpus=(), kernel_log=(FELL, XID_79))).findings) == 1


def test_a_gpu_that_answers_again_is_a_warning() -> None:
    (finding,) = answer(CHECK, facts_of(kernel_log=(XID_79,))).findings
    assert (finding.severity, "answers again" in finding.message) == (Severity.WARNING, True)
    assert finding.fix is not None
    assert not finding.fix.commands


@pytest.mark.parametrize(("bus", "severity"), [(1, Severity.WARNING), (2, Severity.ERROR)])
def test_a_line_without_an_address_means_one_that_is_missing(bus: int, severity: Severity) -> None:
    line = event("fallen_off_bus", "NVRM: A GPU crash dump has been created, the GPU has fallen off the bus")
    facts = facts_of(kernel_log=(line,), pci_gpus=tuple(map(pci_gpu, range(bus))))
    assert [finding.severity for finding in answer(CHECK, facts).findings] == [severity]


def test_a_machine_whose_only_gpu_is_gone_from_the_bus_has_one_root() -> None:
    facts = facts_of(gpus=(), pci_gpus=(), kernel_log=(FELL,))
    assert answer(CHECK, facts).outcome is Outcome.FAILED
    assert [finding.caused_by for finding in answer("gpu-none-present", facts).findings] == [CHECK]


def test_a_log_that_is_unread_is_unknown_and_takes_nothing_from_what_nvml_says() -> None:
    closed = unread(Why.FORBIDDEN)
    assert answer(CHECK, facts_of(kernel_log=closed)).outcome is Outcome.UNKNOWN
    lost = answer(CHECK, facts_of(kernel_log=closed, gpus=(gpu(name=LOST),)))
    assert (lost.outcome, len(lost.findings)) == (Outcome.FAILED, 1)


@pytest.mark.parametrize("changed", [{"wsl": True}, {"container": "docker"}])
def test_where_the_log_is_not_this_machines_nobody_asks(changed: Any) -> None:
    facts = facts_of(system=changed, kernel_log=unread(Why.ABSENT))
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


def test_a_machine_that_never_had_a_gpu_is_not_asked_for_its_log() -> None:
    facts = facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(), kernel_log=unread(Why.FORBIDDEN))
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


def test_other_xids_are_other_checks() -> None:
    line = event("xid", code=31, pci_address="0000:01:00.0")
    assert answer(CHECK, facts_of(kernel_log=(line,))).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "line",
    [
        "[ 1234.5] NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        (
            "kernel: NVRM: The NVIDIA GPU 0000:41:00.0 (PCI ID: 10de:2204) installed in this system has"
            " fallen off the bus and is not responding to commands."
        ),
        (
            "Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.  Reboot the system to"
            " recover this GPU"
        ),
        "I1103 health.go:159] XidCriticalError: Xid=79 on Device=GPU-1b2c, the device will go unhealthy.",
        "nvmlDeviceGetMemoryInfo failed: NVML_ERROR_GPU_IS_LOST",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "pcieport 0000:00:01.0: PCIe Bus Error: severity=Corrected",
        "NVRM: Xid (PCI:0000:3b:00): 31, pid=79, Ch 00000008",
        "usb 1-1: device fell off its hub",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
