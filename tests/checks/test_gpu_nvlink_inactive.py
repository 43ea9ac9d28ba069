"""gpu-nvlink-inactive: links that are down, and where that is a fault."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import NvLink
from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import data_center_gpu, facts_of, results, unread

CHECK = "gpu-nvlink-inactive"


def links(up: int, of: int) -> tuple[NvLink, ...]:
    return tuple(NvLink(index=index, active=index < up) for index in range(of))


NO_FABRIC: dict[str, Any] = {"fabric_state": "not_supported"}


def test_links_that_are_all_up_and_a_gpu_without_links_are_well() -> None:
    assert of_data_center_gpu(CHECK).outcome is Outcome.PASSED
    assert of_geforce(CHECK).outcome is Outcome.PASSED


def test_one_link_that_is_down_behind_nvswitches_is_an_error_that_names_it() -> None:
    (finding,) = of_data_center_gpu(CHECK, nvlinks=links(17, 18)).findings
    assert (finding.severity, "1 of 18 NVLinks are down (17)" in finding.message) == (Severity.ERROR, True)


def test_nvswitches_on_the_bus_tell_it_of_gpus_that_say_nothing_of_their_fabric() -> None:
    gpus = (data_center_gpu(nvlinks=links(11, 12), **NO_FABRIC),)
    found = [one for one in results(facts_of(gpus=gpus, driver={"nvswitches": 6})) if one.check == CHECK]
    assert found[0].findings[0].severity is Severity.ERROR
    unknown = [one for one in results(facts_of(gpus=gpus, driver={"nvswitches": unread()})) if one.check == CHECK]
    assert unknown[0].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("other", "count"), [(0, 0), (4, 1)])
def test_without_bridges_links_are_down_and_only_a_sibling_with_more_makes_it_odd(other: int, count: int) -> None:
    gpus = (
        data_center_gpu(0, nvlinks=links(0, 4), **NO_FABRIC),
        data_center_gpu(1, nvlinks=links(other, 4), **NO_FABRIC),
    )
    found = [one for result in results(facts_of(gpus=gpus)) if result.check == CHECK for one in result.findings]
    assert [finding.severity for finding in found] == [Severity.WARNING] * count


def test_mig_uses_no_links() -> None:
    changed = {"mig_enabled": True, "mig_pending": True, "nvlinks": links(0, 18)}
    assert of_data_center_gpu(CHECK, **changed).outcome is Outcome.PASSED


def test_a_link_that_is_unread_is_unknown_and_hides_no_other() -> None:
    odd = (NvLink(index=0, active=unread()), NvLink(index=1, active=True))
    assert of_data_center_gpu(CHECK, nvlinks=odd).outcome is Outcome.UNKNOWN
    result = of_data_center_gpu(CHECK, nvlinks=(NvLink(index=0, active=unread()), NvLink(index=1, active=False)))
    assert result.outcome is Outcome.FAILED
    assert of_data_center_gpu(CHECK, nvlinks=unread()).outcome is Outcome.UNKNOWN


def test_links_that_wait_for_fabric_manager_follow_from_that() -> None:
    result = of_data_center_gpu(CHECK, nvlinks=links(0, 18), fabric_state="not_started")
    assert [finding.caused_by for finding in result.findings] == ["gpu-fabric-manager-not-running"]


@pytest.mark.parametrize(
    "line",
    [
        "         Link 3: <inactive>",
        "GPU 3's NvLink link 4 is currently down. Run a field diagnostic on the GPU.",
        "dcgm: DCGM_FR_NVLINK_DOWN on GPU 1",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "         Link 3: 26.562 GB/s",
        "e1000e: eth0 NIC Link is Down",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
