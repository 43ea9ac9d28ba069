"""image-driver-branch-not-forward-compatible: a data-centre GPU, and a branch that the image's list leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.versions import ComputeCapability
from tests.checks.inside import A100, NGC_23_02, inside
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, facts_of, unread

CHECK = "image-driver-branch-not-forward-compatible"
SKIPPED: dict[str, Any] = {"driver": "520.61.05", "driver_cuda": "11.8"}


@pytest.mark.parametrize("driver", ["515.65.01", "525.60.13", "470.256.02"])
def test_a_listed_branch_and_a_new_enough_driver_are_well(driver: str) -> None:
    assert answer(CHECK, inside(NGC_23_02, driver=driver, gpus=(A100,))).outcome is Outcome.PASSED


def test_a_branch_between_two_listed_ones_is_an_error() -> None:
    (finding,) = answer(CHECK, inside(NGC_23_02, gpus=(A100,), **SKIPPED)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "driver branch 520 cannot run CUDA 12.0" in finding.message


def test_a_geforce_could_use_no_branch_and_its_driver_is_too_old() -> None:
    facts = inside(NGC_23_02, **SKIPPED)
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert answer("image-driver-too-old", facts).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "facts",
    [
        inside(NGC_23_02, gpus=unread(), **SKIPPED),
        inside(
            NGC_23_02, gpus=(data_center_gpu(name=unread(), compute_capability=ComputeCapability("8.0")),), **SKIPPED
        ),
    ],
)
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_host_is_not_asked() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "       version 520.61.05 was detected and compatibility mode is UNAVAILABLE.",
        "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: forward compatibility was attempted on non supported HW",
        "[[System has unsupported display driver / cuda driver combination (cuInit(0) returned 803)]]",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "NOTE: CUDA Forward Compatibility mode ENABLED.",
        "compatibility mode is on",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
