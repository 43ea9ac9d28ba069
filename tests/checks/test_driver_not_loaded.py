"""driver-not-loaded: a GPU is on the bus, and the kernel has no module for it."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, driver_says, event, facts_of, pci_gpu, unread

CHECK = "driver-not-loaded"
NO_NVML = driver_says(unread(code=9))


def test_a_loaded_module_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "driver",
    [
        {"kernel_module_version": unread(Why.ABSENT), "modules": unread()},
        {**NO_NVML, "modules": ()},
        {**NO_NVML, "kernel_module_version": unread(Why.GARBLED)},
    ],
    ids=["NVML answers", "version file", "listed"],
)
def test_any_sign_of_the_module_is_enough(driver: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(driver=driver)).outcome is Outcome.PASSED


def test_a_driver_that_answers_needs_no_bus() -> None:
    assert answer(CHECK, facts_of(pci_gpus=unread())).outcome is Outcome.PASSED


def test_no_module_is_an_error_and_one_on_the_disk_is_loaded() -> None:
    result = answer(CHECK, facts_of(driver=NOT_LOADED, gpus=unread(code=9)))
    (finding,) = result.findings
    assert (result.outcome, finding.severity, finding.caused_by) == (Outcome.FAILED, Severity.ERROR, None)
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo modprobe nvidia; sudo dmesg | tail -20",)


@pytest.mark.parametrize(
    ("os_id", "command"),
    [
        ("ubuntu", "sudo ubuntu-drivers install"),
        ("debian", "sudo apt-get install linux-headers-$(uname -r) nvidia-driver"),
        ("fedora", "sudo dnf install nvidia-open"),
        ("sles", "sudo zypper install nvidia-open"),
    ],
)
def test_a_driver_that_is_not_installed_is_installed_as_this_distribution_does_it(os_id: str, command: str) -> None:
    system = {"os_id": os_id, "os_like": (), "packages": ()}
    driver = {**NOT_LOADED, "module_files": (), "dkms": ()}
    (finding,) = answer(CHECK, facts_of(system=system, driver=driver, gpus=unread(code=9))).findings
    assert finding.fix is not None
    assert finding.fix.commands[0].startswith(command)
    assert finding.fix.commands[-1] == "sudo reboot"


def test_where_it_is_not_known_what_lies_on_the_disk_both_are_told() -> None:
    driver = {**NOT_LOADED, "module_files": unread(Why.FORBIDDEN)}
    (finding,) = answer(CHECK, facts_of(driver=driver, gpus=unread(code=9))).findings
    assert finding.fix is not None
    assert len(finding.fix.commands) == 2


def test_in_a_container_the_driver_is_the_hosts() -> None:
    facts = facts_of(system={"container": "docker"}, driver=NOT_LOADED, gpus=unread(code=9))
    (finding,) = answer(CHECK, facts).findings
    assert finding.fix is not None
    assert finding.fix.commands == ()


def test_what_the_kernel_says_of_the_module_is_shown() -> None:
    line = event("probe_not_called", "NVRM: The NVIDIA probe routine was not called for 1 device(s).")
    facts = facts_of(driver=NOT_LOADED, gpus=unread(code=9), kernel_log=(line,))
    (finding,) = answer(CHECK, facts).findings
    assert line.text in [evidence.value for evidence in finding.evidence]


def test_no_module_because_nouveau_holds_the_gpu_names_nouveau() -> None:
    result = answer(CHECK, facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "nouveau"),)))
    assert result.findings[0].caused_by == "driver-nouveau-bound"


def test_unread_list_of_modules_is_unknown_and_decides() -> None:
    driver = {**NO_NVML, "kernel_module_version": unread(Why.FORBIDDEN), "modules": unread(Why.FORBIDDEN)}
    result = answer(CHECK, facts_of(driver=driver))
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"system": {"wsl": True}},
        {"system": {"jetson": True}},
        {"pci_gpus": ()},
        {"pci_gpus": (pci_gpu(0, "vfio-pci"),)},
    ],
)
def test_where_no_gpu_waits_for_the_module_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(driver=NOT_LOADED, **changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
        (
            "kernel driver does not appear to be running on this host (worker-17): /proc/driver/nvidia/version"
            " does not exist"
        ),
        "WARNING: The NVIDIA Driver was not detected.  GPU functionality will not be available.",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "Failed to initialize NVML: Driver/library version mismatch")
