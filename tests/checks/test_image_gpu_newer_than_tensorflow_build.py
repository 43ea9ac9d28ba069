"""image-gpu-newer-than-tensorflow-build: Blackwell on images from before it."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import H100, NGC_24_03, NGC_25_02, RTX_5090, inside
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "image-gpu-newer-than-tensorflow-build"


def test_the_images_that_know_it_are_well() -> None:
    assert answer(CHECK, inside(NGC_25_02, driver="570.86.10", gpus=(RTX_5090,))).outcome is Outcome.PASSED


def test_the_generation_before_is_well() -> None:
    assert answer(CHECK, inside(NGC_24_03, driver="570.86.10", gpus=(H100,))).outcome is Outcome.PASSED


def test_an_older_image_is_an_error_whatever_its_driver() -> None:
    facts = inside(NGC_24_03, driver="570.86.10", driver_cuda="12.8", gpus=(RTX_5090,))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "Blackwell needs 25.01 or newer" in finding.message


@pytest.mark.parametrize("facts", [inside(NGC_24_03, gpus=unread()), inside({"CUDA_VERSION": "new"})])
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_host_is_not_asked() -> None:
    assert answer(CHECK, facts_of(gpus=(RTX_5090,))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "INTERNAL: 'cuLaunchKernel(function, ...)' failed with 'CUDA_ERROR_INVALID_PTX'",
        "'cuLaunchKernel(...)' failed with 'CUDA_ERROR_INVALID_HANDLE'",
        "LLVM ERROR: PTX version 8.5 does not support target 'sm_120'. Minimum required PTX version is 8.7.",
        "'sm_120' is not a recognized processor for this target (ignoring processor)",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "CUDA_ERROR_INVALID_VALUE: invalid argument",
        "compiled for target sm_90",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
