"""container-runtime-not-registered: an installed toolkit, and an engine whose configuration does not name it."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import DaemonConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "container-runtime-not-registered"
SILENT = DaemonConfiguration(path="/etc/docker/daemon.json", runtimes=(), default_runtime="", cdi=None, exec_options=())
UNKNOWN: dict[str, Any] = {
    "runtimes": ("io.containerd.runc.v2", "runc"),
    "cdi_devices": (),
    "daemon": SILENT,
    "toolkit_binaries": ("nvidia-container-runtime-hook", "nvidia-ctk"),
}


@pytest.mark.parametrize(
    "engine",
    [
        {},
        {**UNKNOWN, "cdi_devices": ("nvidia.com/gpu=all",)},
        {**UNKNOWN, "toolkit_binaries": ("nvidia-container-cli",)},
    ],
    ids=["runtime", "CDI", "no toolkit"],
)
def test_what_the_engine_knows_or_nobody_installed_is_well(engine: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("binaries", "severity", "words"),
    [
        (("nvidia-ctk",), Severity.ERROR, "neither a runtime nor a device"),
        (("nvidia-container-runtime-hook",), Severity.WARNING, "only if the engine was started after"),
    ],
)
def test_what_is_installed_decides_how_bad_it_is(binaries: tuple[str, ...], severity: Severity, words: str) -> None:
    (finding,) = answer(CHECK, facts_of(engine={**UNKNOWN, "toolkit_binaries": binaries})).findings
    assert (finding.severity, words in finding.message) == (severity, True)
    assert finding.fix is not None
    assert finding.fix.commands == (
        "sudo nvidia-ctk runtime configure --runtime=docker",
        "sudo systemctl restart docker",
    )


def test_a_rootless_engine_has_a_file_and_a_service_of_its_own() -> None:
    engine = {**UNKNOWN, "security_options": ("name=seccomp", "name=rootless")}
    fix = answer(CHECK, facts_of(engine=engine)).findings[0].fix
    assert fix is not None
    assert "$HOME/.config/docker/daemon.json" in fix.commands[0]
    assert fix.commands[1] == "systemctl --user restart docker"


def test_a_configuration_that_names_it_waits_for_a_restart_and_is_another_fault() -> None:
    named = DaemonConfiguration(
        path="/etc/docker/daemon.json", runtimes=("nvidia",), default_runtime="", cdi=None, exec_options=()
    )
    facts = facts_of(engine={**UNKNOWN, "daemon": named})
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert answer("container-engine-not-restarted", facts).outcome is Outcome.FAILED


def test_an_engine_that_asks_cdi_alone_lacks_a_specification_and_no_runtime() -> None:
    facts = facts_of(engine={**UNKNOWN, "version": "29.4.0", "toolkit_binaries": ("nvidia-ctk",)})
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert answer("container-cdi-vendor-not-found", facts).outcome is Outcome.FAILED


@pytest.mark.parametrize("part", ["runtimes", "cdi_devices", "toolkit_binaries", "daemon"])
@pytest.mark.parametrize("asked", [False, True])
def test_unread_parts_are_unknown_and_decide_where_containers_are_wanted(part: str, asked: bool) -> None:
    result = answer(CHECK, facts_of(engine={**UNKNOWN, part: unread(Why.UNSUPPORTED)}), engine_asked=asked)
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, asked)


@pytest.mark.parametrize(
    "changed",
    [
        {"engine": NO_ENGINE},
        {"engine": {**UNKNOWN, "host": "unix:///run/podman/podman.sock"}},
        {"engine": UNKNOWN, "gpus": unread(Why.ABSENT, code=12), "pci_gpus": ()},
    ],
    ids=["no engine", "podman", "no GPU"],
)
def test_without_engine_or_gpu_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "docker: Error response from daemon: unknown or invalid runtime name: nvidia.",
        "docker: Error response from daemon: Unknown runtime specified nvidia.",
        'failed to get sandbox runtime: no runtime for "nvidia" is configured',
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "unknown or invalid runtime name: kata",
        "Runtimes: io.containerd.runc.v2 nvidia runc",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
