"""gpu-memory-exhausted-at-init: little is free though no compute program has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import GpuProcess
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Unread, Why
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-memory-exhausted-at-init"


GIB = 1 << 30


def process(gib: Any, kind: str = "compute", **changed: Any) -> GpuProcess:
    memory = gib if isinstance(gib, Unread) else int(gib * GIB)
    made = GpuProcess(process_id=4711, kind=kind, memory_bytes=memory, name="/usr/bin/python3")
    return replace(made, **changed)


@pytest.mark.parametrize(("free", "outcome"), [(23, Outcome.PASSED), (4.8, Outcome.PASSED), (4.7, Outcome.FAILED)])
def test_a_fifth_that_is_free_is_enough(free: float, outcome: Outcome) -> None:
    assert of_geforce(CHECK, memory_free_bytes=round(free * GIB + 0.5)).outcome is outcome


def test_a_desktop_that_holds_it_is_named() -> None:
    result = of_geforce(CHECK, memory_free_bytes=GIB, processes=(process(20, "graphics", name="/usr/bin/gnome-shell"),))
    (finding,) = result.findings
    assert (finding.severity, "gnome-shell" in finding.message) == (Severity.WARNING, True)
    assert finding.fix is not None
    assert "TF_FORCE_GPU_ALLOW_GROWTH" in finding.fix.text


def test_memory_that_nobody_seems_to_hold_is_a_process_that_is_not_seen() -> None:
    (finding,) = of_geforce(CHECK, memory_free_bytes=GIB).findings
    assert "no process that is to be seen" in finding.message


@pytest.mark.parametrize(("held", "outcome"), [(12, Outcome.PASSED), (11, Outcome.FAILED)])
def test_what_compute_programs_hold_is_another_check(held: int, outcome: Outcome) -> None:
    assert of_geforce(CHECK, memory_free_bytes=0, processes=(process(held),)).outcome is outcome
    told = of_geforce("gpu-memory-in-use", memory_free_bytes=0, processes=(process(held),))
    assert told.outcome is (Outcome.FAILED if outcome is Outcome.PASSED else Outcome.PASSED)


@pytest.mark.parametrize("part", ["processes", "memory_bytes", "memory_free_bytes"])
def test_unread_is_unknown(part: str) -> None:
    assert of_geforce(CHECK, **{"memory_free_bytes": 0, part: unread()}).outcome is Outcome.UNKNOWN


def test_what_one_holds_that_does_not_tell_matters_where_little_is_free() -> None:
    assert of_geforce(CHECK, processes=(process(unread()),)).outcome is Outcome.PASSED
    assert of_geforce(CHECK, memory_free_bytes=0, processes=(process(unread()),)).outcome is Outcome.UNKNOWN


def test_instances_have_their_own_memory_and_shared_memory_is_not_asked() -> None:
    changed: dict[str, Any] = {"mig_enabled": True, "mig_pending": True, "memory_free_bytes": 0}
    assert of_data_center_gpu(CHECK, **changed).outcome is Outcome.PASSED
    assert of_geforce(CHECK, memory_bytes=unread(Why.UNSUPPORTED)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        (
            "E tensorflow/stream_executor/cuda/cuda_dnn.cc:329] Could not create cudnn handle:"
            " CUDNN_STATUS_NOT_INITIALIZED"
        ),
        "Could not create cudnn handle: CUDNN_STATUS_INTERNAL_ERROR",
        "UnknownError: Failed to get convolution algorithm. This is probably because cuDNN failed to initialize",
        "failed to create cublas handle: CUBLAS_STATUS_NOT_INITIALIZED",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Loaded cuDNN version 8907",
        "CUDNN_STATUS_NOT_SUPPORTED",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
