"""driver-call-hung: a question to the driver that is never answered."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import CudaFacts, Facts, GpuProcess
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import CudaVersion
from tests.checks.symptoms import knows
from tests.fakes import answer, driver_says, event, facts_of, gpu, unread

CHECK = "driver-call-hung"

BLOCKED = event("hung_task", "INFO: task nv_queue:1234 blocked for more than 120 seconds.")


def silent(call: str, state: str = " (process state S, in poll)") -> Unread:
    return Unread(source=call, why=Why.TIMEOUT, detail=f"no answer within 20 s{state}")


STUCK = silent("nvmlInitWithFlags", " (process state D, in os_acquire_rwlock_write)")
SLOW = silent("nvmlInitWithFlags")


def with_nvml(reading: Unread, **changed: Any) -> Facts:
    return facts_of(driver=driver_says(reading), gpus=reading, **changed)


def test_a_driver_that_answers_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_a_hung_task_of_an_hour_ago_is_over_where_every_call_answers() -> None:
    assert answer(CHECK, facts_of(kernel_log=(BLOCKED,))).outcome is Outcome.PASSED


def test_state_d_is_the_nodes_fault_and_names_the_call() -> None:
    (finding,) = answer(CHECK, with_nvml(STUCK, kernel_log=unread(Why.FORBIDDEN))).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "nvmlInitWithFlags" in finding.message
    assert finding.fix is not None
    assert finding.fix.needs_reboot


def test_a_call_that_hangs_for_the_name_of_a_process_is_found_as_deep_as_it_stands() -> None:
    stuck = silent("nvmlSystemGetProcessName", " (process state D, in os_acquire_rwlock_write)")
    process = GpuProcess(process_id=7, kind="compute", memory_bytes=1, name=stuck)
    (finding,) = answer(CHECK, facts_of(gpus=(gpu(processes=(process,)),))).findings
    assert (finding.severity, "nvmlSystemGetProcessName" in finding.message) == (Severity.ERROR, True)


def test_blocked_tasks_in_the_log_make_it_the_nodes_fault_too() -> None:
    (finding,) = answer(CHECK, with_nvml(SLOW, kernel_log=(BLOCKED,))).findings
    assert finding.severity is Severity.ERROR
    assert BLOCKED.text in [evidence.value for evidence in finding.evidence]


@pytest.mark.parametrize("log", [(), unread(Why.FORBIDDEN)])
def test_a_call_that_was_merely_slow_is_a_warning_with_more_time_to_try(log: Any) -> None:
    (finding,) = answer(CHECK, with_nvml(SLOW, kernel_log=log)).findings
    assert finding.severity is Severity.WARNING
    assert "nvmlInitWithFlags" in finding.message
    assert finding.fix is not None
    assert "gpudoctor check --timeout 120" in finding.fix.commands


@pytest.mark.parametrize(
    "facts",
    [
        facts_of(gpus=(gpu(0), gpu(1, name=silent("nvmlDeviceGetName", " (process state D)")))),
        facts_of(cuda=silent("cuInit(0)", " (process state D)")),
        facts_of(
            cuda=CudaFacts(
                init=silent("cuInit(0)", " (process state D)"),
                library="/usr/lib/libcuda.so.535.129.03",
                version=CudaVersion("12.2"),
                device_count=unread(Why.NOT_ASKED),
            )
        ),
    ],
    ids=["third GPU", "CUDA", "cuInit"],
)
def test_a_hang_anywhere_is_found(facts: Facts) -> None:
    assert [finding.severity for finding in answer(CHECK, facts).findings] == [Severity.ERROR]


def test_nvmls_own_answer_that_the_gpu_was_slow_is_no_hang() -> None:
    assert answer(CHECK, with_nvml(unread(Why.TIMEOUT, code=10))).outcome is Outcome.PASSED


def test_what_could_not_be_read_otherwise_is_no_hang() -> None:
    assert answer(CHECK, with_nvml(unread(code=999))).outcome is Outcome.PASSED


def test_inside_a_container_the_node_is_somebody_elses() -> None:
    (finding,) = answer(CHECK, with_nvml(STUCK, system={"container": "kubernetes"})).findings
    assert finding.fix is not None
    assert finding.fix.commands == ()
    assert "node" in finding.fix.text


def test_questions_that_the_hang_left_open_name_it() -> None:
    facts = with_nvml(STUCK)
    assert answer("gpu-not-listed", facts).explained_by == CHECK
    assert answer("driver-library-mismatch", facts).explained_by == CHECK


@pytest.mark.parametrize(
    "line",
    [
        "INFO: task nvidia-smi:4711 blocked for more than 120 seconds.",
        "kernel: INFO: task nv_queue:733 blocked for more than 241 seconds.",
        "nvidia-smi did not return within 60 s",
        "not known: nvmlDeviceGetName: no answer within 20 s (process state D, in rm_ioctl)",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "INFO: task jbd2/sda1-8:262 blocked for more than 120 seconds.")
