"""gpu-fabric-unhealthy: the driver's summary of the fabric."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-fabric-unhealthy"


@pytest.mark.parametrize(
    ("health", "severities"),
    [
        ("healthy", []),
        ("not_supported", []),
        ("unhealthy", [Severity.ERROR]),
        ("limited_capacity", [Severity.WARNING]),
    ],
)
def test_what_the_driver_says_decides(health: str, severities: list[Severity]) -> None:
    result = of_data_center_gpu(CHECK, fabric_health=health)
    assert [finding.severity for finding in result.findings] == severities


def test_a_fabric_that_nobody_set_up_is_the_root_of_one_that_is_sick() -> None:
    (finding,) = of_data_center_gpu(CHECK, fabric_health="unhealthy", fabric_state="not_started").findings
    assert finding.caused_by == "gpu-fabric-manager-not-running"


def test_unread_is_unknown_and_a_gpu_without_fabric_is_not_asked() -> None:
    assert of_data_center_gpu(CHECK, fabric_health=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "            Route Unhealthy                   : True",
        "            Route Unhealthy : Yes",
        "gpu 3 fabric health summary: Unhealthy",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "            Route Unhealthy                   : False",
        "Fabric State : Completed",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
