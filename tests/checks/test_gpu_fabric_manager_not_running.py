"""gpu-fabric-manager-not-running: GPUs that wait for their fabric, and CUDA with them."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, Package
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import answer, cuda_says, data_center_gpu, facts_of, gpu, unread

CHECK = "gpu-fabric-manager-not-running"


RUNS: dict[str, Any] = {"daemons": ("nv-fabricmanager",)}
NO_FABRIC_WORD = unread(Why.UNSUPPORTED, code=3)


def hopper(state: Any, *, system: Any = None, nvswitches: Any = 4, **changed: Any) -> Facts:
    """Of an HGX H100, whose GPUs tell."""
    gpus = (data_center_gpu(0), data_center_gpu(1, fabric_state=state))
    return facts_of(gpus=gpus, driver={"nvswitches": nvswitches}, system=system, **changed)


def ampere(*, system: Any = None, **changed: Any) -> Facts:
    """Of an HGX A100, whose GPUs say nothing of their fabric."""
    gpus = (data_center_gpu(fabric_state=NO_FABRIC_WORD, fabric_health=NO_FABRIC_WORD),)
    return facts_of(gpus=gpus, driver={"nvswitches": 6}, system=system, **changed)


@pytest.mark.parametrize(
    "facts", [hopper("completed", system=RUNS), hopper("completed"), ampere(system=RUNS), ampere()]
)
def test_gpus_that_are_registered_or_that_cuda_takes_are_well(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize("state", ["not_started", "in_progress"])
def test_a_gpu_that_waits_is_an_error_that_says_who_does_not_run(state: str) -> None:
    (finding,) = answer(CHECK, hopper(state)).findings
    assert finding.severity is Severity.ERROR
    assert "1 of 2 GPUs wait" in finding.message
    assert "Fabric Manager does not run" in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == (
        "sudo apt-get install 'nvidia-fabricmanager-535=535.129.03-*'",
        "sudo systemctl enable --now nvidia-fabricmanager",
    )


@pytest.mark.parametrize(
    ("system", "first"),
    [
        ({"os_id": "rocky", "os_like": ("rhel",)}, "sudo dnf module install nvidia-driver:535/fm"),
        ({"os_id": "sles", "os_like": ()}, "sudo zypper install cuda-drivers-fabricmanager-535"),
        ({"os_id": "arch", "os_like": (), "systemd": False}, None),
    ],
)
def test_it_is_installed_as_the_distribution_does_it(system: dict[str, Any], first: str | None) -> None:
    fix = answer(CHECK, hopper("not_started", system=system)).findings[0].fix
    assert fix is not None
    assert (fix.commands[:1] or (None,))[0] == first


def test_cuda_that_says_802_is_an_error_where_gpus_say_nothing() -> None:
    (finding,) = answer(CHECK, ampere(cuda=cuda_says(802))).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "CUDA waits" in finding.message


@pytest.mark.parametrize("cuda", [cuda_says(999), unread(Why.TIMEOUT)])
def test_cuda_that_says_something_else_or_nothing_is_unknown_where_gpus_say_nothing(cuda: Any) -> None:
    assert answer(CHECK, ampere(cuda=cuda)).outcome is Outcome.UNKNOWN
    assert answer(CHECK, hopper("completed", cuda=cuda)).outcome is Outcome.PASSED


@pytest.mark.parametrize(("uptime", "severity"), [(299.0, Severity.INFO), (300.0, Severity.ERROR)])
def test_right_after_the_boot_it_is_at_work(uptime: float, severity: Severity) -> None:
    facts = hopper("in_progress", system={**RUNS, "uptime_seconds": uptime})
    assert [finding.severity for finding in answer(CHECK, facts).findings] == [severity]


def test_right_after_the_boot_cuda_that_waits_is_explained() -> None:
    facts = hopper("in_progress", system={**RUNS, "uptime_seconds": 70.0}, cuda=cuda_says(802))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, "booted 70 s ago" in finding.message) == (Severity.ERROR, True)
    assert [one.caused_by for one in answer("cuda-init-failed", facts).findings] == [CHECK]


def test_where_nobody_runs_the_uptime_does_not_matter_and_else_it_must_be_known() -> None:
    assert answer(CHECK, hopper("not_started", system={"uptime_seconds": 1.0})).findings[0].severity is Severity.ERROR
    facts = hopper("not_started", system={**RUNS, "uptime_seconds": unread()})
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("name", ["nvidia-fabricmanager-535", "nvidia-fabricmanager", "nvidia-fabric-manager"])
def test_one_of_another_version_than_the_driver_is_named_as_the_cause(name: str) -> None:
    package = Package(name=name, version="535.104.05-1")
    (finding,) = answer(CHECK, hopper("not_started", system={"packages": (package,)})).findings
    assert "Fabric Manager is 535.104.05, the driver 535.129.03" in finding.message


@pytest.mark.parametrize("system", [{"architecture": "aarch64"}, {"virtual_machine": "KVM"}])
def test_a_rack_or_the_host_of_a_virtual_machine_sets_the_fabric_up_from_elsewhere(system: dict[str, Any]) -> None:
    (finding,) = answer(CHECK, hopper("not_started", nvswitches=0, system=system)).findings
    assert "set up from elsewhere" in finding.message


BESIDE = Package(name="nvlsm", version="2025.06.11-1")
OF_THE_DRIVER = Package(name="nvidia-fabricmanager-535", version="535.129.03-1")


@pytest.mark.parametrize(
    ("packages", "wanted"),
    [
        ((OF_THE_DRIVER,), True),
        ((OF_THE_DRIVER, BESIDE), False),
        ((), True),
    ],
)
def test_a_board_whose_switches_are_on_no_bus_needs_the_subnet_manager(
    packages: tuple[Package, ...], wanted: bool
) -> None:
    (finding,) = answer(CHECK, hopper("in_progress", nvswitches=0, system={"packages": packages})).findings
    assert finding.fix is not None
    assert ("NVLSM is not installed" in finding.message) is wanted
    assert ("sudo apt-get install nvlsm" in finding.fix.commands) is wanted
    assert any("nvidia-fabricmanager-535=" in one for one in finding.fix.commands) is (not packages)


def test_what_is_installed_in_the_drivers_version_is_only_started() -> None:
    (finding,) = answer(CHECK, hopper("in_progress", system={"packages": (OF_THE_DRIVER,)})).findings
    assert finding.fix is not None
    assert finding.fix.commands[0] == "sudo systemctl enable --now nvidia-fabricmanager"


def test_gpus_in_instances_need_no_fabric() -> None:
    split = data_center_gpu(fabric_state="not_supported", mig_enabled=True)
    facts = facts_of(gpus=(split,), driver={"nvswitches": 6}, cuda=cuda_says(3))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_a_container_is_told_to_look_at_its_host() -> None:
    (finding,) = answer(CHECK, hopper("not_started", system={"container": "docker"})).findings
    assert finding.fix is not None
    assert finding.fix.text.startswith("on the host")


def test_a_state_that_is_unread_is_unknown() -> None:
    assert answer(CHECK, hopper(unread(Why.TIMEOUT))).outcome is Outcome.UNKNOWN


def test_a_machine_without_fabric_is_not_asked_whatever_cuda_says() -> None:
    for changed in ({}, {"cuda": cuda_says(802)}, {"system": {"wsl": True}}):
        assert answer(CHECK, facts_of(gpus=(gpu(),), **changed)).outcome is Outcome.NOT_APPLICABLE
    assert answer(CHECK, facts_of(driver={"nvswitches": unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
        "failed call to cuInit: CUDA_ERROR_SYSTEM_NOT_READY: system not yet initialized",
        (
            "fabric manager NVIDIA GPU driver interface version 535.54.03 don't match with driver version"
            " 535.129.03. Please update with matching NVIDIA driver package."
        ),
        "cudaErrorSystemNotReady",
        "nv-hostengine: Fabric Manager is not running",
        "request to query NVSwitch device information failed with error:WARNING Nothing to do [NV_WARN_NOTHING_TO_DO]",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Error 803: system has unsupported display driver / cuda driver combination",
        "nvidia-fabricmanager.service: Deactivated successfully.",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
