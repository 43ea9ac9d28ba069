"""container-engine-unreachable: no engine is no fault unless one is wanted."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.fakes import NO_ENGINE, answer, engine_unread, facts_of

CHECK = "container-engine-unreachable"


def test_an_engine_that_answers_is_well() -> None:
    assert answer(CHECK, facts_of(), engine_asked=True).outcome is Outcome.PASSED


@pytest.mark.parametrize(("asked", "severity"), [(False, Severity.INFO), (True, Severity.ERROR)])
def test_no_engine_is_an_error_only_where_one_is_wanted(asked: bool, severity: Severity) -> None:
    result = answer(CHECK, facts_of(engine=NO_ENGINE), engine_asked=asked)
    assert (result.outcome, [finding.severity for finding in result.findings]) == (Outcome.FAILED, [severity])


@pytest.mark.parametrize("why", [Why.TIMEOUT, Why.GARBLED, Why.FAILED, Why.UNSUPPORTED, Why.NOT_ASKED])
@pytest.mark.parametrize("asked", [False, True])
def test_an_engine_that_gives_no_answer_is_unknown_and_decides_where_one_is_wanted(why: Why, asked: bool) -> None:
    result = answer(CHECK, facts_of(engine=engine_unread(why)), engine_asked=asked)
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, asked)


def test_an_engine_that_refuses_this_user_is_explained_by_that() -> None:
    result = answer(CHECK, facts_of(engine=engine_unread(Why.FORBIDDEN)))
    assert (result.outcome, result.explained_by) == (Outcome.UNKNOWN, "container-socket-permission")


@pytest.mark.parametrize(("os_id", "commands"), [("debian", 2), ("alpine", 1)])
def test_the_fix_installs_with_the_distributions_own_tool_or_not_at_all(os_id: str, commands: int) -> None:
    fix = answer(CHECK, facts_of(system={"os_id": os_id, "os_like": ()}, engine=NO_ENGINE)).findings[0].fix
    assert fix is not None
    assert len(fix.commands) == commands
