"""container-cdi-vendor-not-found: Docker 29 and newer, CDI alone, and no device of NVIDIA's."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import DaemonConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "container-cdi-vendor-not-found"
BARE: dict[str, Any] = {
    "version": "29.3.0",
    "runtimes": ("io.containerd.runc.v2", "runc"),
    "cdi_devices": ("amd.com/gpu=0",),
    "toolkit_binaries": ("nvidia-ctk",),
    "daemon": DaemonConfiguration(
        path="/etc/docker/daemon.json", runtimes=(), default_runtime="", cdi=None, exec_options=()
    ),
}


def test_without_hook_and_specification_it_is_an_error() -> None:
    (finding,) = answer(CHECK, facts_of(engine=BARE)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "Docker 29.3.0 gives GPUs by CDI here and found no nvidia.com/gpu device" in finding.message


def test_a_registered_runtime_still_works() -> None:
    (finding,) = answer(CHECK, facts_of(engine={**BARE, "runtimes": ("nvidia", "runc")})).findings
    assert (finding.severity, "--runtime=nvidia works" in finding.message) == (Severity.WARNING, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "28.5.1"},
        {"cdi_devices": ("nvidia.com/gpu=all",)},
        {"toolkit_binaries": ("nvidia-container-runtime-hook", "nvidia-ctk")},
        {"toolkit_binaries": ()},
    ],
    ids=["before 29", "a device", "the hook", "no toolkit"],
)
def test_where_there_is_another_way_or_another_fault_it_is_well(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine={**BARE, **changed})).outcome is Outcome.PASSED


@pytest.mark.parametrize("part", ["cdi_devices", "toolkit_binaries", "runtimes"])
def test_what_is_unread_is_unknown(part: str) -> None:
    assert answer(CHECK, facts_of(engine={**BARE, part: unread(Why.UNSUPPORTED)})).outcome is Outcome.UNKNOWN


def test_without_an_engine_nobody_asks() -> None:
    assert answer(CHECK, facts_of(engine=NO_ENGINE)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "docker: Error response from daemon: AMD CDI spec not found",
        "Error response from daemon: failed to discover GPU vendor from CDI: no known GPU vendor found",
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "CDI spec directories: /etc/cdi /var/run/cdi",
        "unresolvable CDI devices intel.com/gpu=all",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
