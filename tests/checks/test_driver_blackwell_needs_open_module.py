"""driver-blackwell-needs-open-module: the proprietary module on a GPU that only the open one drives."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, PciGpu
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, event, facts_of, gpu, unread

CHECK = "driver-blackwell-needs-open-module"

RTX_5090, B200, RTX_4090, UNKNOWN = "2b85", "2901", "2684", "4fff"
SAYS_SO = event(
    "rm_init_adapter_failed", "NVRM: installed in this system requires use of the NVIDIA open kernel modules."
)
FAILED = event("rm_init_adapter_failed", "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)")


def refused(device_id: Any = RTX_5090, flavour: Any = "proprietary", version: str = "580.95.05", **more: Any) -> Facts:
    """The module is loaded, and NVML lists nothing."""
    driver = {
        "version": DriverVersion(version),
        "kernel_module_version": DriverVersion(version),
        "module_flavour": flavour,
    }
    bus = (PciGpu(address="0000:01:00.0", device_id=device_id, driver="nvidia"),)
    return facts_of(driver=driver, **{"gpus": (), "pci_gpus": bus, **more})


@pytest.mark.parametrize("device_id", [RTX_5090, B200])
def test_the_proprietary_module_on_blackwell_is_the_root_of_what_follows(device_id: str) -> None:
    facts = refused(device_id, kernel_log=(SAYS_SO, FAILED))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert SAYS_SO.text in [evidence.value for evidence in finding.evidence]
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo apt-get install nvidia-driver-580-open", "sudo reboot")
    for other in ("driver-rm-init-adapter-failed", "gpu-not-listed"):
        assert [one.caused_by for one in answer(other, facts).findings] == [CHECK]
    assert answer("driver-gpu-unsupported", facts).findings == ()


def test_no_log_is_needed_where_the_chip_is_known() -> None:
    assert answer(CHECK, refused(kernel_log=unread(Why.FORBIDDEN))).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "facts",
    [refused(flavour="open"), refused(RTX_4090), refused(UNKNOWN, kernel_log=()), facts_of()],
    ids=["open module", "Ada", "unknown chip", "healthy"],
)
def test_what_the_module_drives_is_well(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_a_newer_chip_is_judged_by_the_drivers_own_word() -> None:
    assert answer(CHECK, refused(UNKNOWN, kernel_log=(SAYS_SO,))).outcome is Outcome.FAILED
    assert answer(CHECK, refused(UNKNOWN, kernel_log=unread(Why.FORBIDDEN))).outcome is Outcome.UNKNOWN


def test_a_listed_gpu_is_driven_whatever_the_flavour() -> None:
    assert answer(CHECK, refused(gpus=(gpu(0),))).outcome is Outcome.PASSED


def test_a_branch_that_never_heard_of_it_is_the_older_fault() -> None:
    facts = refused(version="550.163.01")
    assert answer(CHECK, facts).findings[0].caused_by == "driver-gpu-unsupported"


@pytest.mark.parametrize(
    ("os_id", "word"), [("debian", "--purge nvidia-open"), ("fedora", "--allowerasing nvidia-open"), ("sles", "zypper")]
)
def test_the_module_is_changed_as_this_distribution_does_it(os_id: str, word: str) -> None:
    fix = answer(CHECK, refused(system={"os_id": os_id, "os_like": ()})).findings[0].fix
    assert fix is not None
    assert word in fix.commands[0]


@pytest.mark.parametrize("facts", [refused(flavour=unread()), refused(unread()), refused(gpus=unread())])
def test_what_is_unread_is_unknown(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_module_that_is_not_loaded_refuses_nothing() -> None:
    bus = (PciGpu(address="0000:01:00.0", device_id=RTX_5090, driver=""),)
    facts = facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=bus)
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize("system", [{"wsl": True}, {"jetson": True}, {"container": "docker"}])
def test_where_not_every_gpu_is_this_systems_nobody_asks(system: dict[str, Any]) -> None:
    assert answer(CHECK, refused(system=system)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "               NVRM: installed in this system requires use of the NVIDIA open kernel modules.",
        "REQUIRES USE OF NVIDIA OPEN KERNEL MODULES",
        "No devices were found",
        "[    5.559858] NVRM: GPU 0000:02:00.0: RmInitAdapter failed! (0x22:0x56:884)",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build")
