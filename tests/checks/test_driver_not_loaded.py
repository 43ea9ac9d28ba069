"""driver-not-loaded: a GPU is on the bus, and the kernel has no module for it."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.fakes import NOT_LOADED, answer, driver_says, facts_of, pci_gpu, unread

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


def test_no_module_is_an_error_with_the_command_for_this_distribution() -> None:
    result = answer(CHECK, facts_of(driver=NOT_LOADED, gpus=unread(code=9)))
    (finding,) = result.findings
    assert (result.outcome, finding.severity, finding.caused_by) == (Outcome.FAILED, Severity.ERROR, None)
    assert finding.fix is not None
    assert "sudo ubuntu-drivers install" in finding.fix.commands


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
