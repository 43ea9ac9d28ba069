"""cuda-uvm-hmm-failure: cuInit 3 or 304 with a healthy NVML."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, MigDevice
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, data_center_gpu, driver_says, facts_of, gpu, unread

CHECK = "cuda-uvm-hmm-failure"

EMPTY_MIG = {"mig_enabled": True, "mig_pending": True, "mig_devices": ()}
INSTANCE = MigDevice(uuid="MIG-1", name="NVIDIA H100 MIG 1g.10gb", memory_bytes=10 << 30)


def fails(code: int = 3, **changed: Any) -> Facts:
    return facts_of(cuda=cuda_says(code), **changed)


def test_cuda_that_starts_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [3, 304])
def test_both_numbers_with_hmm_on_are_the_root(code: int) -> None:
    (finding,) = answer(CHECK, fails(code)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert finding.fix is not None
    assert any("uvm_disable_hmm=1" in command for command in finding.fix.commands)
    assert answer("cuda-init-failed", fails(code)).findings[0].caused_by == CHECK


@pytest.mark.parametrize(
    "facts",
    [
        fails(999),
        fails(driver={"uvm_hmm_disabled": True}),
        fails(driver={"device_nodes": ("/dev/nvidiactl",)}),
        fails(gpus=()),
        fails(gpus=(data_center_gpu(0, **EMPTY_MIG),)),
    ],
    ids=["another number", "HMM off", "no node", "no GPU", "MIG without instances"],
)
def test_what_else_these_numbers_come_of_is_another_fault(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_one_instance_that_cuda_could_use_is_enough() -> None:
    full = {**EMPTY_MIG, "mig_devices": (INSTANCE,)}
    assert answer(CHECK, fails(gpus=(data_center_gpu(0, **full),))).outcome is Outcome.FAILED


@pytest.mark.parametrize(("code", "outcome"), [(3, Outcome.PASSED), (304, Outcome.FAILED)])
def test_a_gpu_that_mig_left_empty_is_why_the_first_number_comes_and_not_the_other(code: int, outcome: Outcome) -> None:
    gpus = (data_center_gpu(0, **EMPTY_MIG), data_center_gpu(1))
    assert answer(CHECK, fails(code, gpus=gpus)).outcome is outcome


def test_in_a_container_the_option_belongs_on_the_host() -> None:
    fix = answer(CHECK, fails(system={"container": "docker"})).findings[0].fix
    assert fix is not None
    assert fix.text.startswith("on the host")


@pytest.mark.parametrize(
    "facts",
    [
        fails(driver=driver_says(unread(code=999))),
        fails(driver={"uvm_hmm_disabled": unread(Why.ABSENT)}),
        fails(driver={"device_nodes": unread()}),
        fails(gpus=(gpu(0, mig_enabled=unread()),)),
    ],
)
def test_what_is_unread_is_unknown(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("system", [{"wsl": True}, {"jetson": True}])
def test_where_there_is_no_such_module_nobody_asks(system: dict[str, Any]) -> None:
    assert answer(CHECK, fails(system=system)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("why", [Why.NOT_ASKED, Why.TIMEOUT, Why.ABSENT])
def test_a_cuda_that_gave_no_answer_is_another_checks_question(why: Why) -> None:
    assert answer(CHECK, facts_of(cuda=unread(why))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "cu->cuInit(0) failed -> CUDA_ERROR_NOT_INITIALIZED: initialization error",
        (
            "Unable to load cudart library /usr/lib/x86_64-linux-gnu/libcuda.so.575.57.08: cuda driver library"
            " init failure: 3"
        ),
        "Error 304: OS call failed or operation not supported on this OS",
        "RuntimeError: CUDA driver initialization failed, you might not have a CUDA gpu.",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error")
