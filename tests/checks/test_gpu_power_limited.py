"""gpu-power-limited: the limit in force against the default."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_data_center_gpu
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, facts_of, results, unread

CHECK = "gpu-power-limited"


@pytest.mark.parametrize("watts", [700.0, 560.0])
def test_the_default_and_a_little_less_are_well(watts: float) -> None:
    assert of_data_center_gpu(CHECK, power_limit_watts=watts).outcome is Outcome.PASSED


def test_far_less_is_a_warning_that_names_the_default() -> None:
    (finding,) = of_data_center_gpu(CHECK, power_limit_watts=559.0).findings
    assert finding.severity is Severity.WARNING
    assert finding.fix is not None
    assert finding.fix.commands[0].endswith("-pl 700")


@pytest.mark.parametrize(("other", "severity"), [(350.0, Severity.INFO), (700.0, Severity.WARNING)])
def test_the_same_limit_on_all_of_them_is_on_purpose(other: float, severity: Severity) -> None:
    gpus = (data_center_gpu(0, power_limit_watts=350.0), data_center_gpu(1, power_limit_watts=other))
    found = [one for result in results(facts_of(gpus=gpus)) if result.check == CHECK for one in result.findings]
    assert found[0].severity is severity


@pytest.mark.parametrize("part", ["power_limit_watts", "power_default_limit_watts"])
def test_unread_is_unknown(part: str) -> None:
    assert of_data_center_gpu(CHECK, **{part: unread()}).outcome is Outcome.UNKNOWN


def test_a_default_of_nothing_is_no_measure() -> None:
    facts = facts_of(gpus=(data_center_gpu(power_limit_watts=-1.0, power_default_limit_watts=0.0),))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "line",
    [
        "Power limit for GPU 00000000:01:00.0 was set to 250.00 W from 350.00 W.",
        "            SW Power Cap                      : Active",
        "DCGM: Power violations totaling 12.0 seconds",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "            SW Power Cap                      : Not Active",
        "Default Power Limit : 350.00 W",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
