"""gpu-not-listed: NVML's list against the bus."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Variable
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NOT_LOADED, answer, driver_says, event, facts_of, gpu, pci_gpu, unread

CHECK = "gpu-not-listed"
EIGHT = tuple(pci_gpu(index) for index in range(8))


def test_as_many_listed_as_on_the_bus_is_well() -> None:
    assert answer(CHECK, facts_of(pci_gpus=EIGHT, gpus=tuple(map(gpu, range(8))))).outcome is Outcome.PASSED


def test_one_that_is_missing_from_the_list_is_an_error_that_names_its_address() -> None:
    result = answer(CHECK, facts_of(pci_gpus=EIGHT, gpus=tuple(map(gpu, range(7)))))
    assert result.outcome is Outcome.FAILED
    (finding,) = result.findings
    assert finding.severity is Severity.ERROR
    assert "7 of the 8" in finding.message
    assert [one.value for one in finding.evidence] == ["7 GPUs", "0000:08:00.0"]


@pytest.mark.parametrize("holder", ["vfio-pci", "pci-stub", "nouveau"])
def test_one_that_another_driver_holds_is_not_missed(holder: str) -> None:
    bus = (pci_gpu(0), pci_gpu(1, holder))
    assert answer(CHECK, facts_of(pci_gpus=bus)).outcome is Outcome.PASSED


def test_one_that_no_driver_holds_is_missed() -> None:
    assert answer(CHECK, facts_of(pci_gpus=(pci_gpu(0), pci_gpu(1, "")))).outcome is Outcome.FAILED


def test_one_whose_holder_is_unread_is_unknown_and_does_not_decide_beside_nvmls_list() -> None:
    result = answer(CHECK, facts_of(pci_gpus=(pci_gpu(0), pci_gpu(1, unread()))))
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, False)


def test_a_bus_that_is_unread_leaves_the_comparison_open_and_does_not_decide() -> None:
    result = answer(CHECK, facts_of(pci_gpus=unread(Why.FORBIDDEN)))
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, False)


def test_a_container_with_one_of_eight_gpus_is_well() -> None:
    assert answer(CHECK, facts_of(system={"container": "docker"}, pci_gpus=EIGHT)).outcome is Outcome.PASSED


@pytest.mark.parametrize(("given", "outcome"), [("2", Outcome.PASSED), ("3", Outcome.FAILED), ("", Outcome.FAILED)])
def test_a_slurm_job_misses_none_but_its_own(given: str, outcome: Outcome) -> None:
    facts = facts_of(
        system={"variables": (Variable(name="SLURM_GPUS_ON_NODE", value=given),)},
        pci_gpus=EIGHT,
        gpus=tuple(map(gpu, range(2))),
    )
    assert answer(CHECK, facts).outcome is outcome


def test_a_container_that_was_given_no_gpu_is_told_how_to_get_one() -> None:
    result = answer(CHECK, facts_of(system={"container": "docker"}, pci_gpus=EIGHT, gpus=()))
    assert result.outcome is Outcome.FAILED
    assert result.findings[0].fix is not None
    assert "--gpus all" in result.findings[0].fix.text


@pytest.mark.parametrize(
    ("reading", "explained_by"),
    [
        (unread(Why.TIMEOUT), "driver-call-hung"),
        (unread(Why.FAILED, code=999), None),
        (unread(Why.FORBIDDEN, code=4), None),
        (unread(Why.NOT_ASKED), None),
    ],
)
def test_unread_list_is_unknown_and_decides(reading: Any, explained_by: str | None) -> None:
    result = answer(CHECK, facts_of(driver=driver_says(reading), gpus=reading))
    assert (result.outcome, result.deciding, result.explained_by) == (Outcome.UNKNOWN, True, explained_by)


def test_unread_driver_version_is_unknown_though_the_list_is_there() -> None:
    result = answer(CHECK, facts_of(driver={"version": unread(Why.GARBLED)}))
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize("part", ["uuid", "name", "compute_capability"])
def test_a_gpu_that_does_not_answer_is_unknown(part: str) -> None:
    lost = unread(Why.FAILED, code=15)
    result = answer(CHECK, facts_of(pci_gpus=EIGHT[:2], gpus=(gpu(0), gpu(1, **{part: lost}))))
    assert (result.outcome, result.unread, result.deciding) == (Outcome.UNKNOWN, lost, True)


def test_list_that_is_missing_because_the_driver_is_not_loaded_is_explained_by_that() -> None:
    result = answer(CHECK, facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, ""),)))
    assert (result.outcome, result.explained_by) == (Outcome.UNKNOWN, "driver-not-loaded")


def test_list_that_is_missing_because_of_nouveau_is_explained_by_nouveau() -> None:
    result = answer(CHECK, facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "nouveau"),)))
    assert result.explained_by == "driver-nouveau-bound"


def test_wsl_has_its_gpus_on_no_bus() -> None:
    assert answer(CHECK, facts_of(system={"wsl": True}, pci_gpus=())).outcome is Outcome.PASSED


def test_jetson_and_a_machine_without_gpu_are_not_asked() -> None:
    no_library = unread(Why.ABSENT, code=12)
    for facts in (
        facts_of(system={"jetson": True}, gpus=no_library, pci_gpus=()),
        facts_of(driver=NOT_LOADED, gpus=no_library, pci_gpus=()),
    ):
        assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


def test_one_that_fell_off_the_bus_is_missed_because_of_that() -> None:
    fell = event("fallen_off_bus", "NVRM: GPU has fallen off the bus", pci_address="0000:02:00.0")
    result = answer(CHECK, facts_of(pci_gpus=EIGHT[:2], kernel_log=(fell,)))
    assert [finding.caused_by for finding in result.findings] == ["gpu-fallen-off-bus"]


@pytest.mark.parametrize(
    "line", ["No devices were found", "$ nvidia-smi\tNo devices were found", "NO DEVICES WERE FOUND"]
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


def test_lines_that_are_near_and_tell_of_something_else() -> None:
    assert CHECK not in suspects("No supported GPU(s) detected to run this container")
