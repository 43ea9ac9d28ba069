"""gpu-thermal-slowdown: heat among the reasons for low clocks."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-thermal-slowdown"


@pytest.mark.parametrize("reasons", [(), ("gpu_idle",), ("sw_power_cap",), ("hw_slowdown",)])
def test_other_reasons_are_not_heat(reasons: tuple[str, ...]) -> None:
    assert of_geforce(CHECK, clocks_event_reasons=reasons).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("reasons", "severity"),
    [
        (("hw_slowdown", "hw_thermal_slowdown"), Severity.ERROR),
        (("hw_thermal_slowdown", "sw_thermal_slowdown"), Severity.ERROR),
        (("sw_thermal_slowdown",), Severity.WARNING),
    ],
)
def test_the_hardwares_is_an_error_and_the_drivers_a_warning(reasons: tuple[str, ...], severity: Severity) -> None:
    result = of_geforce(CHECK, clocks_event_reasons=reasons)
    assert [finding.severity for finding in result.findings] == [severity]


def test_it_follows_from_a_gpu_that_is_too_warm() -> None:
    result = of_geforce(CHECK, clocks_event_reasons=("hw_thermal_slowdown",), temperature_celsius=97)
    assert [finding.caused_by for finding in result.findings] == ["gpu-overheating"]


def test_unread_is_unknown() -> None:
    assert of_geforce(CHECK, clocks_event_reasons=unread()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "            HW Thermal Slowdown               : Active",
        "            SW Thermal Slowdown : Active",
        "Thermal violations totaling 2.1 seconds started at 3.0s into the test for GPU 1",
        "clocks_event_reasons: hw_thermal_slowdown",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "            HW Thermal Slowdown               : Not Active",
        "            HW Power Brake Slowdown : Active",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
