"""gpu-pcie-link-degraded: lanes, and the generation at work."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import data_center_gpu, facts_of, results, unread

CHECK = "gpu-pcie-link-degraded"


AT_WORK: dict[str, Any] = {"performance_state": 0, "clocks_event_reasons": ()}


def test_a_full_link_is_well_and_so_is_one_that_rests() -> None:
    assert of_data_center_gpu(CHECK, **AT_WORK).outcome is Outcome.PASSED
    assert of_geforce(CHECK, pcie_generation=1).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("width", "severity"), [(15, Severity.INFO), (8, Severity.INFO), (7, Severity.WARNING), (4, Severity.WARNING)]
)
def test_half_the_lanes_are_worth_a_line_and_fewer_a_warning(width: int, severity: Severity) -> None:
    (finding,) = of_geforce(CHECK, pcie_width=width).findings
    assert (finding.severity, f"{width} of 16 PCIe lanes" in finding.message) == (severity, True)


def test_half_the_lanes_are_a_warning_where_another_of_its_kind_has_all() -> None:
    gpus = (data_center_gpu(0), data_center_gpu(1, pcie_width=8))
    found = [one for result in results(facts_of(gpus=gpus)) if result.check == CHECK for one in result.findings]
    assert [finding.severity for finding in found] == [Severity.WARNING]


def test_a_slow_link_at_work_is_a_warning() -> None:
    (finding,) = of_data_center_gpu(CHECK, pcie_generation=3, **AT_WORK).findings
    assert (finding.severity, "generation 3 instead of 5" in finding.message) == (Severity.WARNING, True)


@pytest.mark.parametrize(
    "resting",
    [
        {"performance_state": 8, "clocks_event_reasons": ()},
        {"performance_state": 0, "clocks_event_reasons": ("gpu_idle",)},
    ],
)
def test_a_slow_link_at_rest_is_well(resting: dict[str, Any]) -> None:
    assert of_data_center_gpu(CHECK, pcie_generation=1, **resting).outcome is Outcome.PASSED


@pytest.mark.parametrize("part", ["pcie_width", "pcie_width_max", "pcie_generation", "pcie_generation_max"])
def test_unread_is_unknown(part: str) -> None:
    assert of_data_center_gpu(CHECK, **{**AT_WORK, part: unread()}).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("part", ["performance_state", "clocks_event_reasons"])
def test_whether_it_works_matters_only_for_a_slow_link(part: str) -> None:
    changed: dict[str, Any] = {**AT_WORK, part: unread()}
    assert of_data_center_gpu(CHECK, **changed).outcome is Outcome.PASSED
    assert of_data_center_gpu(CHECK, pcie_generation=3, **changed).outcome is Outcome.UNKNOWN


def test_a_gpu_without_such_a_link_is_not_asked() -> None:
    assert of_data_center_gpu(CHECK, pcie_width=unread(Why.UNSUPPORTED)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        (
            "pci 0000:01:00.0: 63.008 Gb/s available PCIe bandwidth, limited by 8.0 GT/s PCIe x8 link at"
            " 0000:00:01.0 (capable of 252.048 Gb/s with 16.0 GT/s PCIe x16 link)"
        ),
        "Detected more than 8 PCIe replays per minute for GPU 3 : 41",
        "DCGM_FR_PCI_REPLAY_RATE gpu=2",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "pci 0000:01:00.0: 252.048 Gb/s available PCIe bandwidth (16.0 GT/s PCIe x16 link)",
        "pcieport 0000:00:01.0: AER: Corrected error received",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
