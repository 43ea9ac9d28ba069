"""gpu-power-brake: a brake, or a slowdown that nothing explains."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-power-brake"


@pytest.mark.parametrize("reasons", [("gpu_idle",), ("hw_slowdown", "hw_thermal_slowdown"), ("sw_power_cap",)])
def test_rest_heat_and_the_power_limit_are_no_brake(reasons: tuple[str, ...]) -> None:
    assert of_geforce(CHECK, clocks_event_reasons=reasons).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("reasons", "word"),
    [(("hw_power_brake_slowdown", "hw_slowdown"), "brake"), (("hw_slowdown",), "without saying why")],
)
def test_a_brake_and_a_slowdown_alone_are_warnings(reasons: tuple[str, ...], word: str) -> None:
    (finding,) = of_geforce(CHECK, clocks_event_reasons=reasons).findings
    assert (finding.severity, word in finding.message) == (Severity.WARNING, True)


def test_unread_is_unknown() -> None:
    assert of_geforce(CHECK, clocks_event_reasons=unread()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "            HW Power Brake Slowdown           : Active",
        "        HW Slowdown                           : Active",
        "throttle: hw_power_brake_slowdown",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "            HW Power Brake Slowdown           : Not Active",
        "            SW Power Cap : Active",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
