"""container-cdi-spec-missing-or-stale: the specifications that count, against the driver and the engine's user."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import CdiSpec, ToolkitConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, NOT_LOADED, answer, facts_of, unread

CHECK = "container-cdi-spec-missing-or-stale"
GOOD = CdiSpec(
    path="/etc/cdi/nvidia.yaml",
    devices=("0", "all"),
    driver_version=DriverVersion("535.129.03"),
    missing=(),
    readable_by_all=True,
)
OLD = replace(GOOD, driver_version=DriverVersion("535.104.05"), missing=("/usr/lib/libcuda.so.535.104.05",))
GONE = replace(GOOD, missing=("/dev/nvidia1", "/dev/nvidia2"))
CLOSED = replace(GOOD, readable_by_all=False)
ROOTLESS = {"security_options": ("name=seccomp", "name=rootless")}
PODMAN: dict[str, Any] = {**NO_ENGINE, "podman_version": "4.9.3"}
CDI_MODE = ToolkitConfiguration(
    path="/etc/nvidia-container-runtime/config.toml",
    mode="cdi",
    no_cgroups=False,
    ldconfig="",
    ldconfig_exists=None,
    root="",
)


@pytest.mark.parametrize(
    "engine",
    [
        {},
        {"toolkit_version": unread()},
        {"cdi_specs": (GOOD,)},
        {"cdi_specs": (replace(GOOD, driver_version=unread(Why.ABSENT)),)},
        {"cdi_specs": (OLD, replace(GOOD, path="/var/run/cdi/nvidia.yaml"))},
    ],
    ids=["not used", "an unread toolkit", "of this driver", "without libraries", "shadowed"],
)
def test_no_specification_that_would_not_do_is_used(engine: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("spec", "words", "command"),
    [
        (OLD, "is of driver 535.104.05, and driver 535.129.03 is loaded", "cdi generate --output=/etc/cdi/nvidia.yaml"),
        (GONE, "names 2 files that do not exist, first /dev/nvidia1", "cdi generate"),
    ],
)
def test_a_stale_specification_says_what_is_stale(spec: CdiSpec, words: str, command: str) -> None:
    (finding,) = answer(CHECK, facts_of(engine={"cdi_specs": (spec,)})).findings
    assert (finding.severity, words in finding.message) == (Severity.WARNING, True)
    assert finding.fix is not None
    assert command in finding.fix.commands[0]


@pytest.mark.parametrize(
    ("engine", "asked", "severity"),
    [
        ({}, False, Severity.WARNING),
        ({"toolkit": CDI_MODE}, False, Severity.ERROR),
        ({"host": "unix:///run/podman/podman.sock"}, False, Severity.ERROR),
        ({"cdi_devices": ("nvidia.com/gpu=all",), "toolkit_binaries": ("nvidia-ctk",)}, False, Severity.ERROR),
        ({"version": "29.0.0"}, False, Severity.WARNING),
        ({"version": "29.0.0"}, True, Severity.ERROR),
        ({"version": "28.5.1"}, True, Severity.WARNING),
        (PODMAN, False, Severity.WARNING),
    ],
)
def test_it_is_an_error_where_nothing_else_gives_gpus(engine: dict[str, Any], asked: bool, severity: Severity) -> None:
    facts = facts_of(engine={**engine, "cdi_specs": (OLD,)})
    (finding,) = answer(CHECK, facts, engine_asked=asked).findings
    assert finding.severity is severity


@pytest.mark.parametrize(
    ("engine", "severity"),
    [(ROOTLESS, Severity.ERROR), ({"podman_version": "4.9.3"}, Severity.WARNING), ({}, Severity.INFO)],
)
def test_engines_of_users_need_permission_to_read(engine: dict[str, Any], severity: Severity) -> None:
    (finding,) = answer(CHECK, facts_of(engine={**engine, "cdi_specs": (CLOSED,)})).findings
    assert finding.severity is severity
    assert finding.fix is not None
    assert finding.fix.commands[0] == "sudo chmod a+r /etc/cdi/nvidia.yaml"


@pytest.mark.parametrize(
    ("engine", "asked", "severity"),
    [
        ({"toolkit": CDI_MODE}, False, Severity.ERROR),
        ({"host": "unix:///run/podman/podman.sock"}, True, Severity.ERROR),
        ({"host": "unix:///run/podman/podman.sock"}, False, Severity.WARNING),
        (PODMAN, False, Severity.INFO),
    ],
)
def test_none_at_all_matters_where_cdi_is_used(engine: dict[str, Any], asked: bool, severity: Severity) -> None:
    (finding,) = answer(CHECK, facts_of(engine={**engine, "cdi_specs": ()}), engine_asked=asked).findings
    assert (finding.severity, "there is no CDI specification" in finding.message) == (severity, True)


@pytest.mark.parametrize(
    ("programs", "binaries", "severity"),
    [
        (("/usr/bin/podman",), ("nvidia-ctk",), Severity.WARNING),
        (("/usr/bin/podman",), (), Severity.INFO),
        (("/usr/bin/dockerd", "/usr/bin/podman"), ("nvidia-ctk",), Severity.INFO),
    ],
)
def test_a_toolkit_that_can_only_be_podmans_is_worth_a_warning(
    programs: tuple[str, ...], binaries: tuple[str, ...], severity: Severity
) -> None:
    engine = {**PODMAN, "cdi_specs": (), "toolkit_binaries": binaries}
    (finding,) = answer(CHECK, facts_of(system={"programs": programs}, engine=engine)).findings
    assert finding.severity is severity


def test_without_the_toolkit_that_is_the_fault() -> None:
    facts = facts_of(engine={"host": "unix:///run/podman/podman.sock", "toolkit_binaries": (), "runtimes": ("crun",)})
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert answer("container-toolkit-missing", facts).outcome is Outcome.FAILED


def test_part_of_the_devices_in_a_later_folder_shadows_nothing() -> None:
    later = replace(GOOD, path="/var/run/cdi/nvidia.yaml", devices=("0",))
    assert answer(CHECK, facts_of(engine={"cdi_specs": (OLD, later)})).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "engine",
    [
        {"cdi_specs": unread(Why.FORBIDDEN)},
        {"cdi_specs": (replace(GOOD, devices=unread(Why.GARBLED)),)},
        {"cdi_specs": (replace(GOOD, driver_version=unread(Why.GARBLED)),)},
        {"cdi_specs": (replace(GOOD, missing=unread()),)},
        {"cdi_specs": (replace(GOOD, readable_by_all=unread()),)},
    ],
)
def test_what_is_unread_is_unknown(engine: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"engine": {**NO_ENGINE, "cdi_specs": (OLD,)}},
        {"engine": {"cdi_specs": (OLD,)}, "driver": NOT_LOADED, "gpus": unread(code=9)},
        {"engine": {"cdi_specs": (OLD,)}, "system": {"wsl": True}},
        {"engine": {"cdi_specs": (OLD,), "host": "tcp://gpu-box:2375"}},
    ],
)
def test_without_engine_or_driver_here_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "docker: Error response from daemon: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
        "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
        "failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=0",
        'error mounting "/usr/lib/libcuda.so.535.104.05" to rootfs: no such file or directory',
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "unresolvable CDI devices amd.com/gpu=all",
        'error mounting "/data/train" to rootfs: no such file or directory',
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
