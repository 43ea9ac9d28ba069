"""cuda-init-failed: whatever cuInit answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, cuda_says, driver_says, facts_of, pci_gpu, unread

CHECK = "cuda-init-failed"


def test_cuda_that_starts_and_sees_a_gpu_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [3, 34, 35, 46, 100, 304, 802, 803, 804, 805, 999])
def test_every_known_number_is_explained(code: int) -> None:
    (finding,) = answer(CHECK, facts_of(cuda=cuda_says(code))).findings
    assert finding.severity is Severity.ERROR
    assert f"error {code} (CUDA_ERROR_" in finding.message
    assert finding.fix is not None
    assert finding.fix.commands


def test_a_number_that_nobody_knows_is_an_error_too() -> None:
    (finding,) = answer(CHECK, facts_of(cuda=cuda_says(4711))).findings
    assert "error 4711" in finding.message
    assert finding.caused_by is None


def test_cuda_without_a_gpu_is_an_error() -> None:
    (finding,) = answer(CHECK, facts_of(cuda=replace(cuda_says(0), init=True, device_count=0))).findings
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("changed", "root"),
    [
        ({"cuda": cuda_says(34)}, "cuda-stub-library-loaded"),
        ({"cuda": cuda_says(804)}, "cuda-forward-compat-on-consumer-gpu"),
        ({"cuda": cuda_says(805)}, "cuda-mps-unreachable"),
        ({"cuda": cuda_says(3)}, "cuda-uvm-hmm-failure"),
        (
            {"cuda": cuda_says(100), "driver": NOT_LOADED, "gpus": unread(code=9), "pci_gpus": (pci_gpu(0, ""),)},
            "driver-not-loaded",
        ),
        (
            {"cuda": cuda_says(803), "driver": driver_says(unread(code=18)), "gpus": unread(code=18)},
            "driver-library-mismatch",
        ),
        (
            {"cuda": cuda_says(999), "driver": {"device_nodes": ("/dev/nvidia0", "/dev/nvidiactl")}},
            "driver-uvm-missing",
        ),
        (
            {"cuda": cuda_says(100), "system": {"container": "docker"}, "driver": {"device_nodes": ()}},
            "container-gpus-not-requested",
        ),
    ],
)
def test_a_known_cause_is_the_root(changed: dict[str, Any], root: str) -> None:
    (finding,) = answer(CHECK, facts_of(**changed)).findings
    assert finding.caused_by == root


@pytest.mark.parametrize("cuda", [unread(Why.NOT_ASKED), unread(Why.TIMEOUT), replace(cuda_says(1), init=unread())])
def test_a_cuda_that_could_not_be_asked_is_unknown(cuda: Any) -> None:
    result = answer(CHECK, facts_of(cuda=cuda))
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, False)


def test_without_the_drivers_libraries_that_is_the_reason() -> None:
    absent = unread(Why.ABSENT)
    cuda = replace(cuda_says(1), init=absent, library=absent, version=absent)
    facts = facts_of(cuda=cuda, driver={"libcuda": ()})
    assert answer(CHECK, facts).explained_by == "driver-libraries-missing"


@pytest.mark.parametrize(
    "line",
    [
        "failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)",
        "ERROR: The NVIDIA Driver is present, but CUDA failed to initialize.  GPU functionality will not be available.",
        "UserWarning: CUDA initialization: CUDA unknown error",
        "cuInit(0) failed -> CUDA_ERROR_UNKNOWN",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "CUDA runtime initialized on device 0")
