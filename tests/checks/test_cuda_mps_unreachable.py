"""cuda-mps-unreachable: cuInit 805, or a CUDA that waits for MPS."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, Variable
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, facts_of, unread

CHECK = "cuda-mps-unreachable"

DAEMON = ("nvidia-cuda-mps-control", "nvidia-persistenced")
PIPE = Variable(name="CUDA_MPS_PIPE_DIRECTORY", value="/tmp/nvidia-mps-1000")
WAITS = unread(Why.TIMEOUT, source="cuInit(0)")


def test_cuda_that_starts_is_well_with_mps_and_without() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED
    assert answer(CHECK, facts_of(system={"daemons": DAEMON, "variables": (PIPE,)})).outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [805, 806, 807])
def test_mps_own_numbers_are_the_root(code: int) -> None:
    facts = facts_of(cuda=cuda_says(code))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert answer("cuda-init-failed", facts).findings[0].caused_by == CHECK


@pytest.mark.parametrize("code", [46, 100, 804, 808, 999])
def test_any_other_number_is_another_fault(code: int) -> None:
    assert answer(CHECK, facts_of(system={"daemons": DAEMON}, cuda=cuda_says(code))).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("system", "word"),
    [
        ({"container": "docker"}, "--ipc=host"),
        ({"daemons": DAEMON}, "as the user"),
        ({}, "start the MPS control daemon"),
        ({"daemons": unread(), "variables": unread(), "container": unread()}, "start the MPS control daemon"),
    ],
)
def test_the_fix_is_for_where_it_fails(system: dict[str, Any], word: str) -> None:
    fix = answer(CHECK, facts_of(system=system, cuda=cuda_says(805))).findings[0].fix
    assert fix is not None
    assert word in fix.text


@pytest.mark.parametrize("system", [{"daemons": DAEMON}, {"variables": (PIPE,)}])
def test_a_cuda_that_waits_while_mps_is_on_is_a_warning(system: dict[str, Any]) -> None:
    facts = facts_of(system=system, cuda=WAITS)
    assert [finding.severity for finding in answer(CHECK, facts).findings] == [Severity.WARNING]


def test_a_cuda_that_waits_without_mps_is_unknown() -> None:
    assert answer(CHECK, facts_of(cuda=WAITS)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("why", [Why.NOT_ASKED, Why.ABSENT])
def test_a_cuda_that_gave_no_answer_is_another_checks_question(why: Why) -> None:
    facts: Facts = facts_of(cuda=unread(why))
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "Error 805: MPS client failed to connect to the MPS control daemon or the MPS server",
        (
            "failed call to cuInit: CUDA_ERROR_MPS_CONNECTION_FAILED: MPS client failed to connect to the MPS"
            " control daemon or the MPS server"
        ),
        "[[ MPS client failed to connect to the MPS control daemon or the MPS server (error 805) ]]",
        "cudaErrorMpsServerNotReady: the MPS server is not ready to accept new MPS client requests",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "nvidia-cuda-mps-server: Creating worker process")
