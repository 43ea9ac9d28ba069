"""container-gpus-not-requested: the host's driver is seen from inside, its devices are not."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import NOT_LOADED, answer, facts_of, unread

CHECK = "container-gpus-not-requested"


def test_a_container_with_its_device_is_well() -> None:
    assert answer(CHECK, facts_of(system={"container": "docker"})).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("engine", "how"),
    [
        ("docker", "--gpus all"),
        ("podman", "--device nvidia.com/gpu=all"),
        ("apptainer", "--nv"),
        ("kubernetes", "nvidia.com/gpu: 1"),
    ],
)
def test_a_container_without_the_device_is_an_error_with_its_engines_own_fix(engine: str, how: str) -> None:
    result = answer(CHECK, facts_of(system={"container": engine}, driver={"device_nodes": ("/dev/nvidia-uvm",)}))
    (finding,) = result.findings
    assert (result.outcome, finding.severity) == (Outcome.FAILED, Severity.ERROR)
    assert finding.fix is not None
    assert how in finding.fix.text


@pytest.mark.parametrize(
    "changed",
    [
        {"system": {"container": unread(Why.FORBIDDEN)}},
        {"system": {"container": "docker"}, "driver": {"device_nodes": unread(Why.FORBIDDEN)}},
        {"system": {"container": "docker"}, "driver": {"kernel_module_version": unread(Why.FORBIDDEN)}},
    ],
)
def test_what_is_unread_is_unknown(changed: dict[str, dict[str, object]]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.UNKNOWN


def test_outside_a_container_and_without_a_driver_nobody_asks() -> None:
    assert answer(CHECK, facts_of(driver={"device_nodes": ()})).outcome is Outcome.NOT_APPLICABLE
    facts = facts_of(system={"container": "docker"}, driver=NOT_LOADED)
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: The NVIDIA Driver was not detected.  GPU functionality will not be available.",
        "   Use the NVIDIA Container Toolkit to start this container with GPU support; see",
        "   Use 'nvidia-docker run' to start this container; see https://github.com/NVIDIA/nvidia-docker",
        "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
        "no NVIDIA GPU device is present: /dev/nvidia0 does not exist",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "NVIDIA Driver Release 550.54 was detected",
        "failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
