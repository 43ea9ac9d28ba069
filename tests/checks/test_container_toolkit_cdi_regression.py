"""container-toolkit-cdi-regression: CDI gave the GPU, NVML lists it, and CUDA answers 999."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import inside
from tests.checks.logs import suspects
from tests.fakes import answer, cuda_says, driver_says, facts_of, unread

CHECK = "container-toolkit-cdi-regression"
BY_CDI = {"NVIDIA_VISIBLE_DEVICES": "void"}


def test_where_cuda_starts_it_is_well() -> None:
    assert answer(CHECK, inside(BY_CDI)).outcome is Outcome.PASSED


def test_error_999_beside_a_node_is_it() -> None:
    (finding,) = answer(CHECK, inside(BY_CDI, cuda=cuda_says(999))).findings
    assert finding.severity is Severity.ERROR
    assert "CUDA does not start (error 999)" in finding.message


@pytest.mark.parametrize(
    "changed",
    [{"cuda": cuda_says(804)}, {"cuda": cuda_says(999), "driver_facts": {"device_nodes": ("/dev/nvidiactl",)}}],
    ids=["another error", "no node"],
)
def test_other_errors_and_a_missing_node_are_other_faults(changed: dict[str, Any]) -> None:
    assert answer(CHECK, inside(BY_CDI, **changed)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "facts",
    [
        inside(BY_CDI, cuda=unread()),
        inside(BY_CDI, cuda=cuda_says(999), driver_facts=driver_says(unread()), gpus=unread()),
        inside(BY_CDI, cuda=cuda_says(999), driver_facts={"device_nodes": unread()}),
        inside(BY_CDI, cuda=cuda_says(999), system={"variables": unread()}),
    ],
)
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "facts", [facts_of(cuda=cuda_says(999)), inside({"NVIDIA_VISIBLE_DEVICES": "all"}, cuda=cuda_says(999))]
)
def test_a_host_and_a_container_by_the_hook_are_not_asked(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "[CUDA @ 0x55d0] cu->cuInit(0) failed -> CUDA_ERROR_UNKNOWN: unknown error",
        "failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error",
        "cuInit (+device uvm): 999",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
        "CUDA_ERROR_UNKNOWN",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
