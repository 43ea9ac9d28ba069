"""image-gpu-too-new: GPUs that came after the image."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import NGC_20_03, NGC_20_07, NGC_22_01, NGC_24_03, RTX_5090, inside
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "image-gpu-too-new"
BARE_CUDA = {"CUDA_VERSION": "10.2.89"}


def test_native_code_is_well() -> None:
    assert answer(CHECK, inside(NGC_22_01)).outcome is Outcome.PASSED


def test_ampere_on_cuda_10_is_an_error_that_names_an_image_of_the_same_tensorflow() -> None:
    (finding,) = answer(CHECK, inside(NGC_20_03)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "on CUDA 10.2.89 it hangs" in finding.message
    assert finding.fix is not None
    assert "-tf1-py3 holds TensorFlow 1.15" in finding.fix.text


def test_an_image_that_names_no_tensorflow_may_hold_other_code() -> None:
    (finding,) = answer(CHECK, inside(BARE_CUDA)).findings
    assert finding.severity is Severity.WARNING


def test_older_code_of_the_same_generation_is_a_warning() -> None:
    (finding,) = answer(CHECK, inside(NGC_20_07)).findings
    assert (finding.severity, "not supported there" in finding.message) == (Severity.WARNING, True)


def test_blackwell_is_a_fault_of_its_own() -> None:
    facts = inside(NGC_24_03, driver="570.86.10", gpus=(RTX_5090,))
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert answer("image-gpu-newer-than-tensorflow-build", facts).outcome is Outcome.FAILED


@pytest.mark.parametrize("facts", [inside(NGC_20_03, gpus=unread()), inside({"CUDA_VERSION": "new"})])
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_host_is_not_asked() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "Detected NVIDIA NVIDIA RTX 4090 GPU, which is not yet supported in this version of the container",
        "ERROR: No supported GPU(s) detected to run this container",
        "failed to run cuBLAS routine: CUBLAS_STATUS_EXECUTION_FAILED",
        "CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available for execution on the device",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Detected NVIDIA driver 550",
        "CUBLAS_STATUS_SUCCESS",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
