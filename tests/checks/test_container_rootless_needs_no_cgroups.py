"""container-rootless-needs-no-cgroups: a rootless engine, and a hook that changes cgroups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import ToolkitConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "container-rootless-needs-no-cgroups"
TOOLKIT = ToolkitConfiguration(
    path="/etc/nvidia-container-runtime/config.toml",
    mode="auto",
    no_cgroups=False,
    ldconfig="/sbin/ldconfig.real",
    ldconfig_exists=True,
    root="",
)
ROOTLESS: dict[str, Any] = {"security_options": ("name=seccomp,profile=builtin", "name=rootless")}


def test_an_engine_of_root_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_a_rootless_engine_with_the_default_is_an_error() -> None:
    (finding,) = answer(CHECK, facts_of(engine=ROOTLESS)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place",)


@pytest.mark.parametrize(
    "changed",
    [
        {"toolkit": replace(TOOLKIT, no_cgroups=True)},
        {"toolkit": replace(TOOLKIT, mode="cdi")},
        {"toolkit_version": "1.18.0"},
        {"version": "29.1.0", "cdi_devices": ("nvidia.com/gpu=all",)},
    ],
)
def test_told_so_or_by_cdi_it_is_well(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine={**ROOTLESS, **changed})).outcome is Outcome.PASSED


@pytest.mark.parametrize("part", ["toolkit", "security_options", "toolkit_version"])
def test_what_is_unread_is_unknown(part: str) -> None:
    assert answer(CHECK, facts_of(engine={**ROOTLESS, part: unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("engine", [NO_ENGINE, {**ROOTLESS, "toolkit": unread(Why.ABSENT)}])
def test_without_engine_or_toolkit_nobody_asks(engine: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters",
        "nvidia-container-cli: mount error: open failed: /sys/fs/cgroup/devices/devices.allow: permission denied",
        "bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "nvidia-container-cli: mount error: mount operation failed: permission denied",
        "operation not permitted",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
