"""container-engine-isolated-from-driver: Docker Desktop on Linux, and the engine of the snap."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "container-engine-isolated-from-driver"
DESKTOP: dict[str, Any] = {
    "host": "unix:///home/me/.docker/desktop/docker.sock",
    "operating_system": "Docker Desktop",
    "runtimes": ("io.containerd.runc.v2", "runc"),
    "toolkit_binaries": (),
}
SNAP: dict[str, Any] = {
    "data_root": "/var/snap/docker/common/var-lib-docker",
    "runtimes": ("io.containerd.runc.v2", "runc"),
    "toolkit_binaries": (),
}


def test_an_engine_of_dockers_own_packages_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize(("engine", "words"), [(DESKTOP, "virtual machine"), (SNAP, "the snap's")])
def test_an_isolated_engine_is_the_root_and_the_missing_toolkit_follows(engine: dict[str, Any], words: str) -> None:
    facts = facts_of(engine=engine)
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by, words in finding.message) == (Severity.ERROR, None, True)
    assert [one.caused_by for one in answer("container-toolkit-missing", facts).findings] == [CHECK]


@pytest.mark.parametrize(
    ("engine", "command"),
    [(DESKTOP, "sudo apt-get install -y docker-ce containerd.io"), (SNAP, "sudo snap remove docker")],
)
def test_the_fix_installs_what_goes_with_the_client_and_keeps_the_snaps_data(
    engine: dict[str, Any], command: str
) -> None:
    (finding,) = answer(CHECK, facts_of(engine=engine)).findings
    assert finding.fix is not None
    assert finding.fix.commands[0] == command


def test_a_snap_that_found_the_driver_is_well() -> None:
    assert answer(CHECK, facts_of(engine={**SNAP, "runtimes": ("nvidia", "runc")})).outcome is Outcome.PASSED


def test_a_folder_that_only_begins_alike_is_no_snap() -> None:
    assert answer(CHECK, facts_of(engine={**SNAP, "data_root": "/var/snapshots/docker"})).outcome is Outcome.PASSED


@pytest.mark.parametrize(("engine", "part"), [(DESKTOP, "operating_system"), (SNAP, "data_root"), (SNAP, "runtimes")])
def test_what_is_unread_is_unknown(engine: dict[str, Any], part: str) -> None:
    assert answer(CHECK, facts_of(engine={**engine, part: unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("changed", [{"engine": NO_ENGINE}, {"engine": DESKTOP, "system": {"wsl": True}}])
def test_without_an_engine_and_under_windows_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: unknown",
        "mode as 'legacy' nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1",
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "load library failed: libfoo.so.1",
        "nvidia-container-cli: initialization error: nvml error: driver not loaded",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
