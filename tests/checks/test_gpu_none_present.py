"""gpu-none-present: the bus, and the machines that have their GPU elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NOT_LOADED, answer, driver_says, facts_of, pci_gpu, unread

CHECK = "gpu-none-present"
NO_LIBRARY = unread(Why.ABSENT, code=12)


def test_a_gpu_that_nvml_lists_is_enough() -> None:
    assert answer(CHECK, facts_of(pci_gpus=unread(Why.ABSENT))).outcome is Outcome.PASSED


def test_a_gpu_on_the_bus_is_enough() -> None:
    assert answer(CHECK, facts_of(gpus=unread(code=9), driver=NOT_LOADED)).outcome is Outcome.PASSED


def test_an_empty_bus_is_an_error_with_evidence_and_fix() -> None:
    result = answer(CHECK, facts_of(gpus=NO_LIBRARY, pci_gpus=()))
    assert result.outcome is Outcome.FAILED
    (finding,) = result.findings
    assert finding.severity is Severity.ERROR
    assert "no NVIDIA GPU" in finding.message
    assert finding.evidence
    assert finding.fix is not None


def test_unread_bus_is_unknown_and_decides() -> None:
    result = answer(CHECK, facts_of(gpus=NO_LIBRARY, pci_gpus=unread(Why.FORBIDDEN)))
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize("driver", ["vfio-pci", "pci-stub"])
def test_gpus_that_are_all_kept_for_virtual_machines_are_none_for_this_host(driver: str) -> None:
    result = answer(CHECK, facts_of(gpus=NO_LIBRARY, driver=NOT_LOADED, pci_gpus=(pci_gpu(0, driver),)))
    assert result.outcome is Outcome.FAILED
    assert f"0000:01:00.0 ({driver})" in result.findings[0].message


def test_one_gpu_that_is_left_to_this_host_is_enough() -> None:
    bus = (pci_gpu(0, "vfio-pci"), pci_gpu(1, ""))
    assert answer(CHECK, facts_of(gpus=NO_LIBRARY, driver=NOT_LOADED, pci_gpus=bus)).outcome is Outcome.PASSED


def test_a_gpu_whose_driver_is_unread_is_not_called_given_away() -> None:
    bus = (pci_gpu(0, unread(Why.FORBIDDEN)),)
    assert answer(CHECK, facts_of(gpus=NO_LIBRARY, pci_gpus=bus)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("gpus", "outcome"),
    [
        ((), Outcome.FAILED),
        (NO_LIBRARY, Outcome.FAILED),
        (unread(Why.TIMEOUT), Outcome.UNKNOWN),
        (unread(Why.FAILED, code=999), Outcome.UNKNOWN),
    ],
)
def test_wsl_has_the_gpu_that_windows_gives_it(gpus: Any, outcome: Outcome) -> None:
    driver = {**driver_says(NO_LIBRARY), "kernel_module_version": unread(Why.ABSENT)}
    assert answer(CHECK, facts_of(system={"wsl": True}, driver=driver, gpus=gpus, pci_gpus=())).outcome is outcome


@pytest.mark.parametrize(
    ("driver", "outcome"),
    [
        ({"modules": ("nvgpu",), "device_nodes": ()}, Outcome.PASSED),
        ({"modules": unread(), "device_nodes": ("/dev/nvhost-gpu",)}, Outcome.PASSED),
        ({"modules": (), "device_nodes": ()}, Outcome.UNKNOWN),
        ({"modules": unread(), "device_nodes": unread()}, Outcome.UNKNOWN),
    ],
)
def test_jetson_has_its_gpu_on_the_chip(driver: dict[str, Any], outcome: Outcome) -> None:
    facts = facts_of(system={"jetson": True}, driver=driver, gpus=NO_LIBRARY, pci_gpus=())
    assert answer(CHECK, facts).outcome is outcome


def test_jetson_whose_nvml_lists_nothing_has_no_gpu() -> None:
    facts = facts_of(system={"jetson": True}, driver={"modules": (), "device_nodes": ()}, gpus=(), pci_gpus=())
    assert answer(CHECK, facts).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "line",
    [
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
        'ERROR: could not select device driver "nvidia" with capabilities: [[gpu]]',
        "[    5.4] NVRM: No NVIDIA GPU found.",
        "modprobe: ERROR: could not insert 'nvidia': No such device",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


def test_lines_that_are_near_and_tell_of_something_else() -> None:
    assert CHECK not in suspects("modprobe: ERROR: could not insert 'nvidia': Key was rejected by service")
