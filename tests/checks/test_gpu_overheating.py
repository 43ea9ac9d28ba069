"""gpu-overheating: the temperature against the board's own limits."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.gpus import of_geforce, under
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, gpu, unread

CHECK = "gpu-overheating"


@pytest.mark.parametrize("celsius", [41, 92])
def test_below_both_limits_is_well(celsius: int) -> None:
    assert of_geforce(CHECK, temperature_celsius=celsius).outcome is Outcome.PASSED


@pytest.mark.parametrize(("celsius", "limit"), [(93, 98), (95, 98), (110, 98)])
def test_near_where_it_switches_itself_off_is_an_error(celsius: int, limit: int) -> None:
    (finding,) = of_geforce(CHECK, temperature_celsius=celsius).findings
    assert (finding.severity, f"at {limit} °C" in finding.message) == (Severity.ERROR, True)


@pytest.mark.parametrize(("celsius", "outcome"), [(86, Outcome.PASSED), (87, Outcome.FAILED)])
def test_where_it_slows_down_the_degree_decides(celsius: int, outcome: Outcome) -> None:
    changed = {"temperature_slowdown_celsius": 87, "temperature_shutdown_celsius": 100}
    assert of_geforce(CHECK, temperature_celsius=celsius, **changed).outcome is outcome


def test_one_limit_is_enough_to_be_too_warm_and_not_to_be_well() -> None:
    missing = {"temperature_shutdown_celsius": unread()}
    assert of_geforce(CHECK, temperature_celsius=96, **missing).outcome is Outcome.FAILED
    assert of_geforce(CHECK, temperature_celsius=60, **missing).outcome is Outcome.UNKNOWN


def test_unread_is_unknown_and_a_gpu_that_names_no_limit_is_not_asked() -> None:
    assert of_geforce(CHECK, temperature_celsius=unread()).outcome is Outcome.UNKNOWN
    nothing = unread(Why.UNSUPPORTED, code=3)
    result = of_geforce(CHECK, temperature_slowdown_celsius=nothing, temperature_shutdown_celsius=nothing)
    assert result.outcome is Outcome.NOT_APPLICABLE


def test_a_site_may_want_a_margin() -> None:
    facts = facts_of(gpus=(gpu(temperature_celsius=88),))
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert (
        under("signals: [{name: temperature-slowdown, limit: 10, severity: warning}]", CHECK, facts).outcome
        is Outcome.FAILED
    )


@pytest.mark.parametrize(
    "line",
    [
        "Temperature 96 of GPU 2 exceeded user-specified maximum allowed temperature 90",
        "[dcgm] DCGM_FR_TEMP_VIOLATION gpu=0",
        "kernel: GPU 0000:01:00.0 is overheating",
        "GPU 3 has overheated",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "CPU temperature above threshold, cpu clock throttled",
        "GPU Current Temp : 41 C",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
