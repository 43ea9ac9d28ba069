"""container-engine-not-restarted: what daemon.json says against what the engine runs with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import DaemonConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "container-engine-not-restarted"
NAMED = DaemonConfiguration(
    path="/etc/docker/daemon.json", runtimes=("nvidia",), default_runtime="", cdi=None, exec_options=()
)
PLAIN: dict[str, Any] = {"runtimes": ("io.containerd.runc.v2", "runc"), "cdi_devices": (), "daemon": NAMED}


def test_an_engine_that_runs_with_its_file_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_a_runtime_that_only_the_file_names_is_an_error_and_the_only_one() -> None:
    facts = facts_of(engine=PLAIN)
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "it says runtime nvidia, the engine runs with runtimes io.containerd.runc.v2, runc" in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo systemctl restart docker",)
    for other in ("container-toolkit-missing", "container-runtime-not-registered", "container-cdi-vendor-not-found"):
        assert answer(other, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("daemon", "words"),
    [
        (replace(NAMED, default_runtime="nvidia"), "default runtime nvidia, the engine runs with runc"),
        (replace(NAMED, exec_options=("native.cgroupdriver=cgroupfs",)), "cgroup driver cgroupfs"),
    ],
)
def test_other_settings_that_wait_are_a_warning(daemon: DaemonConfiguration, words: str) -> None:
    (finding,) = answer(CHECK, facts_of(engine={"daemon": daemon})).findings
    assert (finding.severity, words in finding.message) == (Severity.WARNING, True)


@pytest.mark.parametrize(("version", "outcome"), [("25.0.0", Outcome.FAILED), ("24.0.7", Outcome.PASSED)])
def test_cdi_can_be_switched_on_from_docker_25_on(version: str, outcome: Outcome) -> None:
    engine = {"version": version, "daemon": replace(NAMED, cdi=True), "cdi_spec_dirs": ()}
    assert answer(CHECK, facts_of(engine=engine)).outcome is outcome


def test_the_same_cgroup_driver_and_other_options_are_well() -> None:
    daemon = replace(NAMED, exec_options=("native.cgroupdriver=systemd", "isolation=process"))
    assert answer(CHECK, facts_of(engine={"daemon": daemon})).outcome is Outcome.PASSED


@pytest.mark.parametrize("part", ["daemon", "runtimes"])
def test_what_is_unread_is_unknown(part: str) -> None:
    assert answer(CHECK, facts_of(engine={**PLAIN, part: unread(Why.GARBLED)})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("engine", [NO_ENGINE, {**PLAIN, "host": "tcp://gpu-box:2375"}])
def test_without_an_engine_of_this_machine_nobody_asks(engine: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
        "Error response from daemon: unknown or invalid runtime name: nvidia",
        "docker: Error response from daemon: AMD CDI spec not found",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Restarting docker (via systemctl): docker.service.",
        "unknown shorthand flag: 'g' in -gpus",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
