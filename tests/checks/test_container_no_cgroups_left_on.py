"""container-no-cgroups-left-on: a setting for rootless engines under one that runs as root."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import ToolkitConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "container-no-cgroups-left-on"
TOOLKIT = ToolkitConfiguration(
    path="/etc/nvidia-container-runtime/config.toml",
    mode="auto",
    no_cgroups=True,
    ldconfig="/sbin/ldconfig.real",
    ldconfig_exists=True,
    root="",
)
ROOTLESS = ("name=seccomp,profile=builtin", "name=rootless", "name=cgroupns")


def test_the_default_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_under_an_engine_of_root_it_is_an_error() -> None:
    (finding,) = answer(CHECK, facts_of(engine={"toolkit": TOOLKIT})).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert finding.fix is not None
    assert "no-cgroups=false" in finding.fix.commands[0]


def test_under_a_rootless_engine_it_is_as_it_should_be() -> None:
    engine = {"toolkit": TOOLKIT, "security_options": ROOTLESS}
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.PASSED


@pytest.mark.parametrize("changed", [{"toolkit": replace(TOOLKIT, mode="cdi")}, {"toolkit_version": "1.18.1"}])
def test_where_cdi_gives_the_gpus_it_is_a_warning(changed: dict[str, Any]) -> None:
    (finding,) = answer(CHECK, facts_of(engine={"toolkit": TOOLKIT, **changed})).findings
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize("changed", [{"toolkit": unread(Why.GARBLED)}, {"security_options": unread()}])
def test_what_is_unread_is_unknown(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine={"toolkit": TOOLKIT, **changed})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"engine": {**NO_ENGINE, "toolkit": TOOLKIT}},
        {"engine": {"toolkit": unread(Why.ABSENT)}},
        {"engine": {"toolkit": TOOLKIT, "host": "tcp://gpu-box:2375"}},
    ],
)
def test_without_an_engine_here_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "Failed to initialize NVML: Unknown Error",
        "RuntimeError: nvmlInit failed with 999",
        "NVMLError_Unknown: Unknown Error",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Failed to initialize NVML: Insufficient Permissions",
        "unknown error",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
