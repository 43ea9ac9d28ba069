"""container-engine-unreachable: no engine is no fault unless one is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, engine_unread, facts_of, unread

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


def mended(engine_asked: bool = False, **system: Any) -> tuple[str, ...]:
    result = answer(CHECK, facts_of(system=system, engine=NO_ENGINE), engine_asked=engine_asked)
    fix = result.findings[0].fix
    assert fix is not None
    return fix.commands


@pytest.mark.parametrize(("os_id", "commands"), [("debian", ("sudo apt-get install -y docker.io",)), ("alpine", ())])
def test_the_fix_installs_with_the_distributions_own_tool_or_not_at_all(os_id: str, commands: tuple[str]) -> None:
    assert mended(os_id=os_id, os_like=()) == commands


def test_an_engine_that_is_installed_is_started_and_not_installed_again() -> None:
    assert mended(programs=("/usr/bin/docker", "/usr/bin/dockerd")) == ("sudo systemctl start docker",)
    assert mended(programs=("/usr/bin/dockerd",), systemd=False) == ("sudo service docker start",)


def test_where_nobody_knows_what_is_installed_both_are_said() -> None:
    assert mended(programs=unread()) == ("sudo systemctl start docker", "sudo apt-get install -y docker.io")


def test_podman_is_asked_for_its_socket() -> None:
    assert mended(engine_asked=True, programs=("/usr/bin/podman",))[0] == "systemctl --user enable --now podman.socket"


@pytest.mark.parametrize(
    "system", [{"container": "docker"}, {"programs": ("/usr/bin/podman",)}, {"programs": ("/usr/local/bin/apptainer",)}]
)
def test_inside_a_container_and_beside_another_engine_nobody_asks_unless_one_is_wanted(system: dict[str, Any]) -> None:
    facts = facts_of(system=system, engine=NO_ENGINE)
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE
    assert answer(CHECK, facts, engine_asked=True).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "line",
    [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "ERROR: Cannot connect to the Docker daemon at tcp://localhost:2375. Is the docker daemon running?",
        "dial unix /var/run/docker.sock: connect: no such file or directory",
        "error during connect: dial unix /run/user/1000/docker.sock: connect: connection refused",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "connect: connection refused",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
