"""gpu-memory-in-use: what compute programs hold."""

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

CHECK = "gpu-memory-in-use"


GIB = 1 << 30


def process(gib: Any, kind: str = "compute", **changed: Any) -> GpuProcess:
    memory = gib if isinstance(gib, Unread) else int(gib * GIB)
    made = GpuProcess(process_id=4711, kind=kind, memory_bytes=memory, name="/usr/bin/python3")
    return replace(made, **changed)


@pytest.mark.parametrize(
    "processes", [(), (process(11.9),), (process(20, "graphics"),), (process(6), process(5, process_id=12))]
)
def test_less_than_half_and_what_a_desktop_holds_are_well(processes: Any) -> None:
    assert of_geforce(CHECK, processes=processes).outcome is Outcome.PASSED


def test_half_of_it_is_a_warning_that_names_who_has_it() -> None:
    (finding,) = of_geforce(CHECK, processes=(process(7), process(5, process_id=12, name=unread()))).findings
    assert finding.severity is Severity.WARNING
    assert "12 GiB of 24 GiB are held by process 4711 (python3), process 12" in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == ("ps -o pid,user,lstart,args -p 4711,12",)


def test_many_are_counted() -> None:
    many = tuple(process(4, process_id=number) for number in range(6))
    assert "and 2 more" in of_geforce(CHECK, processes=many).findings[0].message


def test_what_one_holds_that_does_not_tell_is_unknown_unless_the_others_are_enough() -> None:
    assert of_geforce(CHECK, processes=(process(unread()), process(3))).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK, processes=(process(unread()), process(13))).outcome is Outcome.FAILED
    windows = (process(unread(Why.UNSUPPORTED)),)
    assert of_geforce(CHECK, processes=windows).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("part", ["processes", "memory_bytes"])
def test_unread_is_unknown(part: str) -> None:
    assert of_geforce(CHECK, **{part: unread()}).outcome is Outcome.UNKNOWN


def test_instances_have_their_own_memory() -> None:
    changed: dict[str, Any] = {"mig_enabled": True, "mig_pending": True, "processes": (process(70),)}
    assert of_data_center_gpu(CHECK, **changed).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "line",
    [
        (
            "E tensorflow/stream_executor/cuda/cuda_driver.cc:806] failed to allocate 10.76G (11553966080"
            " bytes) from device: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
        ),
        "ResourceExhaustedError: OOM when allocating tensor with shape[256,512,512,64]",
        "Allocator (GPU_0_bfc) ran out of memory trying to allocate 2.50GiB",
        "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Out of memory: Killed process 4711 (python) total-vm:92838324kB",
        "could not create cudnn handle",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
