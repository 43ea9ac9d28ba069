"""driver-rm-init-adapter-failed: the driver knows the GPU and could not set it up."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, PciGpu
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, event, facts_of, gpu, pci_gpu, unread

CHECK = "driver-rm-init-adapter-failed"

HERE, ELSEWHERE = "0000:01:00.0", "0000:41:00.0"
FAILED = event(
    "rm_init_adapter_failed", "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x62:0x55:2477)", pci_address=HERE
)
GSP = event("gsp_failed", "NVRM: GPU 0000:01:00.0: Cannot initialize GSP firmware RM", pci_address=HERE)


def dead(**changed: Any) -> Facts:
    """The module is loaded, and NVML lists nothing."""
    return facts_of(**{"gpus": (), "kernel_log": (FAILED,), **changed})


def test_a_gpu_that_could_not_be_set_up_is_the_root_of_what_follows() -> None:
    (finding,) = answer(CHECK, dead()).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert HERE in finding.message
    assert FAILED.text in [evidence.value for evidence in finding.evidence]
    assert finding.fix is not None
    assert "Above 4G" in finding.fix.text
    assert answer("gpu-not-listed", dead()).findings[0].caused_by == CHECK


def test_a_gpu_that_is_listed_was_set_up_after_all() -> None:
    assert answer(CHECK, facts_of(kernel_log=(FAILED,))).outcome is Outcome.PASSED


def test_a_healthy_machine_needs_no_log() -> None:
    assert answer(CHECK, facts_of(kernel_log=unread(Why.FORBIDDEN))).outcome is Outcome.PASSED


def test_lines_of_another_gpu_accuse_this_one_of_nothing() -> None:
    other = event("rm_init_adapter_failed", "NVRM: GPU 0000:41:00.0: RmInitAdapter failed!", pci_address=ELSEWHERE)
    assert answer(CHECK, dead(kernel_log=(other,))).outcome is Outcome.PASSED
    two = (pci_gpu(0), PciGpu(address=ELSEWHERE, device_id="2204", driver="nvidia"))
    (finding,) = answer(CHECK, dead(gpus=(gpu(0),), pci_gpus=two, kernel_log=(other,))).findings
    assert ELSEWHERE in finding.message


def test_a_line_without_an_address_speaks_of_the_gpu_that_is_missing() -> None:
    line = event("rm_init_adapter_failed", "NVRM: RmInitAdapter failed! (0x26:0xffff:1265)")
    (finding,) = answer(CHECK, dead(kernel_log=(line,))).findings
    assert HERE in finding.message


def test_gsp_firmware_may_be_switched_off_with_the_proprietary_module_alone() -> None:
    (closed,) = answer(CHECK, dead(kernel_log=(FAILED, GSP))).findings
    (opened,) = answer(CHECK, dead(kernel_log=(FAILED, GSP), driver={"module_flavour": "open"})).findings
    assert "GSP" in closed.message
    assert closed.fix is not None
    assert opened.fix is not None
    assert any("NVreg_EnableGpuFirmware=0" in command for command in closed.fix.commands)
    assert opened.fix.commands == ()


def test_a_gpu_whose_memory_has_no_address_wants_the_firmware_of_the_board() -> None:
    line = event("bar_invalid", "NVRM: BAR1 is 0M @ 0x0 (PCI:0000:01:00.0)", pci_address=HERE)
    (finding,) = answer(CHECK, dead(kernel_log=(line,))).findings
    assert "no address" in finding.message
    assert finding.fix is not None
    assert "Above 4G" in finding.fix.text
    alone = facts_of(driver=NOT_LOADED, gpus=unread(code=9), kernel_log=(line,))
    fix = answer("driver-not-loaded", alone).findings[0].fix
    assert fix is not None
    assert "Above 4G" in fix.text


def test_in_a_virtual_machine_the_fix_is_on_its_host() -> None:
    (finding,) = answer(CHECK, dead(system={"virtual_machine": "KVM"})).findings
    assert finding.fix is not None
    assert "KVM" in finding.fix.text


@pytest.mark.parametrize(
    "facts", [dead(kernel_log=unread(Why.FORBIDDEN)), dead(gpus=unread(code=999)), dead(pci_gpus=unread())]
)
def test_what_is_unread_is_unknown(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"system": {"wsl": True}},
        {"system": {"jetson": True}},
        {"system": {"container": "docker"}},
        {"driver": NOT_LOADED},
        {"pci_gpus": ()},
    ],
)
def test_where_no_module_should_list_a_gpu_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, dead(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "[   12.345678] NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x62:0x55:2477)",
        "NVRM: GPU 0000:01:00.0: rm_init_adapter failed, device minor number 0",
        "NVRM: GPU 0000:01:00.0: Cannot initialize GSP firmware RM",
        "NVRM: Xid (PCI:0000:01:00): 119, pid=1234, Timeout after 6s of waiting for RPC from GSP1!",
        "NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(
        CHECK, "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
    )
