"""gpu-exclusive-process-in-use: who is let in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import GpuProcess
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Unread, Why
from tests.checks.gpus import of_data_center_gpu
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, facts_of, results, unread

CHECK = "gpu-exclusive-process-in-use"


GIB = 1 << 30


def process(gib: Any, kind: str = "compute", **changed: Any) -> GpuProcess:
    memory = gib if isinstance(gib, Unread) else int(gib * GIB)
    made = GpuProcess(process_id=4711, kind=kind, memory_bytes=memory, name="/usr/bin/python3")
    return replace(made, **changed)


EXCLUSIVE: dict[str, Any] = {"compute_mode": "exclusive_process", "processes": (process(1),)}


@pytest.mark.parametrize(
    "changed",
    [
        {"compute_mode": "default", "processes": (process(1),)},
        {"compute_mode": "exclusive_process"},
        {"compute_mode": "exclusive_process", "processes": (process(1, "graphics"),)},
        {"compute_mode": "exclusive_process", "processes": (process(1, name="nvidia-cuda-mps-server"),)},
    ],
)
def test_a_gpu_that_lets_one_in_is_well(changed: dict[str, Any]) -> None:
    assert of_data_center_gpu(CHECK, **changed).outcome is Outcome.PASSED


@pytest.mark.parametrize("changed", [EXCLUSIVE, {"compute_mode": "prohibited"}])
def test_one_that_lets_nobody_in_is_an_error_where_there_is_no_other(changed: dict[str, Any]) -> None:
    (finding,) = of_data_center_gpu(CHECK, **changed).findings
    assert finding.severity is Severity.ERROR
    assert finding.fix is not None
    assert finding.fix.commands[0].endswith("-c DEFAULT")


@pytest.mark.parametrize(
    ("other", "severity"),
    [
        ({}, Severity.WARNING),
        ({"compute_mode": unread()}, Severity.WARNING),
        ({"compute_mode": "prohibited"}, Severity.ERROR),
        (EXCLUSIVE, Severity.ERROR),
    ],
)
def test_another_that_lets_one_in_makes_it_a_warning(other: dict[str, Any], severity: Severity) -> None:
    facts = facts_of(gpus=(data_center_gpu(0, **EXCLUSIVE), data_center_gpu(1, **other)))
    first = next(result for result in results(facts) if result.check == CHECK)
    assert [finding.severity for finding in first.findings] == [severity]


def test_mps_lets_others_in() -> None:
    facts = facts_of(system={"daemons": ("nvidia-cuda-mps-control",)}, gpus=(data_center_gpu(**EXCLUSIVE),))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("changed", "system"),
    [
        ({"compute_mode": unread()}, {}),
        ({**EXCLUSIVE, "processes": unread()}, {}),
        (EXCLUSIVE, {"daemons": unread(Why.FORBIDDEN)}),
    ],
)
def test_unread_is_unknown(changed: dict[str, Any], system: dict[str, Any]) -> None:
    facts = facts_of(system=system, gpus=(data_center_gpu(**changed),))
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "cudaGetDevice() failed. Status: all CUDA-capable devices are busy or unavailable",
        "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
        "cuCtxCreate: CUDA_ERROR_DEVICE_UNAVAILABLE",
        "cudaErrorDevicesUnavailable (46)",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "no CUDA-capable device is detected",
        "Compute mode : Default",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
