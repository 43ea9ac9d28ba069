"""container-socket-permission: the engine is there and refuses this user."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, engine_unread, facts_of

CHECK = "container-socket-permission"


def test_an_engine_that_answers_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize(("asked", "severity"), [(False, Severity.INFO), (True, Severity.ERROR)])
def test_a_refusal_is_an_error_only_where_containers_are_wanted(asked: bool, severity: Severity) -> None:
    result = answer(CHECK, facts_of(engine=engine_unread(Why.FORBIDDEN)), engine_asked=asked)
    (finding,) = result.findings
    assert (result.outcome, finding.severity) == (Outcome.FAILED, severity)
    assert finding.message.endswith("/var/run/docker.sock")
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo usermod -aG docker $USER",)


def test_joining_a_group_is_no_advice_for_an_engine_on_the_network() -> None:
    engine = {**engine_unread(Why.FORBIDDEN), "host": "tcp://10.0.0.5:2375"}
    fix = answer(CHECK, facts_of(engine=engine)).findings[0].fix
    assert fix is not None
    assert fix.commands == ()


@pytest.mark.parametrize("why", [Why.TIMEOUT, Why.GARBLED])
def test_an_engine_that_let_this_user_in_and_says_nothing_is_well(why: Why) -> None:
    assert answer(CHECK, facts_of(engine=engine_unread(why))).outcome is Outcome.PASSED


@pytest.mark.parametrize("why", [Why.FAILED, Why.UNSUPPORTED, Why.NOT_ASKED])
def test_an_engine_that_was_never_reached_is_unknown(why: Why) -> None:
    assert answer(CHECK, facts_of(engine=engine_unread(why))).outcome is Outcome.UNKNOWN


def test_without_an_engine_nobody_asks() -> None:
    assert answer(CHECK, facts_of(engine=NO_ENGINE)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
        "dial unix /var/run/docker.sock: connect: permission denied",
        "Error: dial unix /run/podman/podman.sock: connect: permission denied",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "dial unix /var/run/docker.sock: connect: no such file or directory",
        "bash: ./train.sh: Permission denied",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
