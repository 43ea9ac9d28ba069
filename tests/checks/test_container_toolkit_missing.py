"""container-toolkit-missing: how the engine would hand out a GPU."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import CdiSpec
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, NOT_LOADED, answer, facts_of, unread

CHECK = "container-toolkit-missing"
SPEC = CdiSpec(
    path="/etc/cdi/nvidia.yaml",
    devices=("0", "all"),
    driver_version=DriverVersion("535.129.03"),
    missing=(),
    readable_by_all=True,
)
PLAIN: dict[str, Any] = {"runtimes": ("io.containerd.runc.v2", "runc"), "cdi_devices": (), "toolkit_binaries": ()}


@pytest.mark.parametrize(
    "engine",
    [
        {**PLAIN, "runtimes": ("nvidia", "runc")},
        {**PLAIN, "cdi_devices": ("nvidia.com/gpu=0", "nvidia.com/gpu=all")},
    ],
    ids=["runtime", "CDI"],
)
def test_a_runtime_or_a_device_is_well(engine: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.PASSED


def test_devices_of_another_vendor_do_not_count() -> None:
    engine = {**PLAIN, "cdi_devices": ("amd.com/gpu=0", "nvidia.com/nic=0")}
    assert answer(CHECK, facts_of(engine=engine)).outcome is Outcome.FAILED


@pytest.mark.parametrize("binaries", [(), ("nvidia-container-cli",), ("nvidia-container-runtime",)])
def test_without_its_programs_it_is_not_installed(binaries: tuple[str, ...]) -> None:
    (finding,) = answer(CHECK, facts_of(engine={**PLAIN, "toolkit_binaries": binaries})).findings
    assert (finding.severity, "not installed" in finding.message) == (Severity.ERROR, True)
    assert finding.fix is not None
    assert any("install" in command for command in finding.fix.commands)
    assert "sudo systemctl restart docker" in finding.fix.commands


@pytest.mark.parametrize("binary", ["nvidia-ctk", "nvidia-container-runtime-hook"])
def test_an_installed_toolkit_that_the_engine_does_not_know_is_another_fault(binary: str) -> None:
    assert answer(CHECK, facts_of(engine={**PLAIN, "toolkit_binaries": (binary,)})).outcome is Outcome.PASSED


def test_podman_hands_out_what_its_specifications_name() -> None:
    podman = {**PLAIN, "host": "unix:///run/podman/podman.sock"}
    assert answer(CHECK, facts_of(engine={**podman, "cdi_specs": (SPEC,)})).outcome is Outcome.PASSED
    assert answer(CHECK, facts_of(engine=podman)).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("systemd", "command"), [(True, "systemctl"), (False, "service docker"), (unread(), "systemctl")]
)
def test_the_engine_is_restarted_as_this_machine_does_it(systemd: object, command: str) -> None:
    fix = answer(CHECK, facts_of(system={"systemd": systemd}, engine=PLAIN)).findings[0].fix
    assert fix is not None
    assert command in fix.commands[-1]


@pytest.mark.parametrize(
    ("os_id", "like", "tool"),
    [
        ("ubuntu", ("debian",), "apt-get"),
        ("rocky", ("rhel", "centos", "fedora"), "dnf"),
        ("opensuse-leap", ("suse",), "zypper"),
        ("linuxmint", ("ubuntu",), "apt-get"),
    ],
)
def test_the_fix_speaks_the_distributions_language(os_id: str, like: tuple[str, ...], tool: str) -> None:
    fix = answer(CHECK, facts_of(system={"os_id": os_id, "os_like": like}, engine=PLAIN)).findings[0].fix
    assert fix is not None
    assert any(tool in command for command in fix.commands)


@pytest.mark.parametrize("part", ["runtimes", "cdi_devices", "toolkit_binaries"])
@pytest.mark.parametrize("asked", [False, True])
def test_unread_parts_are_unknown_and_decide_where_containers_are_wanted(part: str, asked: bool) -> None:
    result = answer(CHECK, facts_of(engine={**PLAIN, part: unread(Why.UNSUPPORTED)}), engine_asked=asked)
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, asked)


def test_a_gpu_on_the_bus_is_enough_to_ask() -> None:
    facts = facts_of(driver=NOT_LOADED, gpus=unread(code=9), engine=PLAIN)
    assert answer(CHECK, facts).outcome is Outcome.FAILED


def test_unread_gpus_are_unknown_and_no_reason_to_call_it_well() -> None:
    assert answer(CHECK, facts_of(gpus=unread(), pci_gpus=unread(), engine=PLAIN)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"engine": NO_ENGINE},
        {"engine": PLAIN, "system": {"jetson": True}},
        {"engine": PLAIN, "gpus": unread(Why.ABSENT, code=12), "pci_gpus": ()},
    ],
    ids=["no engine", "Jetson", "no GPU"],
)
def test_without_engine_or_gpu_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
        'Error response from daemon: could not select device driver "nvidia" with capabilities: [[gpu]]',
        'Cannot start service: could not select device driver "nvidia" with capabilities: [[compute utility gpu]]',
        "docker: Error response from daemon: failed to discover GPU vendor from CDI: no known GPU vendor found",
        "docker: Error response from daemon: AMD CDI spec not found",
        'exec: "nvidia-container-runtime-hook": executable file not found in $PATH',
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        'could not select device driver "cdi" with capabilities: [[tpu]]',
        "CDI spec directories: /etc/cdi",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
