"""cuda-broken-after-suspend: cuInit 999 after the machine woke up."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, event, facts_of, unread

CHECK = "cuda-broken-after-suspend"

LOADED = event("driver_loaded", "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.129.03", seconds=5.0)
RESUME = event("resume", "PM: suspend exit", seconds=4000.0)


def woken(*log: Any, code: int = 999, **changed: Any) -> Facts:
    return facts_of(cuda=cuda_says(code), **{"kernel_log": log or (LOADED, RESUME), **changed})


def test_cuda_that_starts_slept_well() -> None:
    assert answer(CHECK, facts_of(kernel_log=(LOADED, RESUME))).outcome is Outcome.PASSED


def test_999_after_a_suspend_is_the_root() -> None:
    facts = woken(driver={"preserves_video_memory": False})
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert RESUME.text in [evidence.value for evidence in finding.evidence]
    assert finding.fix is not None
    assert finding.fix.commands[0] == "sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm"
    assert any("NVreg_PreserveVideoMemoryAllocations=1" in command for command in finding.fix.commands)
    assert any("systemctl enable nvidia-suspend.service" in command for command in finding.fix.commands)
    assert answer("cuda-init-failed", facts).findings[0].caused_by == CHECK


def test_without_systemd_there_are_no_units_to_enable() -> None:
    fix = answer(CHECK, woken(system={"systemd": False})).findings[0].fix
    assert fix is not None
    assert not any("systemctl" in command for command in fix.commands)


def test_memory_that_is_kept_needs_no_option() -> None:
    fix = answer(CHECK, woken(driver={"preserves_video_memory": True})).findings[0].fix
    assert fix is not None
    assert not any("NVreg" in command for command in fix.commands)


@pytest.mark.parametrize(
    "facts",
    [
        woken(LOADED),
        woken(LOADED, RESUME, LOADED),
        woken(code=3),
        woken(driver={"device_nodes": ("/dev/nvidiactl",)}),
    ],
    ids=["never slept", "loaded anew since", "another number", "the node is missing"],
)
def test_what_else_999_may_come_of_is_another_fault(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_the_missing_node_is_the_root_of_999_without_it() -> None:
    facts = woken(driver={"device_nodes": ("/dev/nvidia0", "/dev/nvidiactl")})
    assert answer("cuda-init-failed", facts).findings[0].caused_by == "driver-uvm-missing"


@pytest.mark.parametrize(
    "facts", [woken(kernel_log=unread(Why.FORBIDDEN)), woken(driver={"device_nodes": unread(Why.FORBIDDEN)})]
)
def test_what_is_unread_is_unknown(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("system", [{"wsl": True}, {"jetson": True}])
def test_where_no_such_module_sleeps_nobody_asks(system: dict[str, Any]) -> None:
    assert answer(CHECK, woken(system=system)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("why", [Why.NOT_ASKED, Why.TIMEOUT, Why.ABSENT])
def test_a_cuda_that_gave_no_answer_is_another_checks_question(why: Why) -> None:
    assert answer(CHECK, facts_of(cuda=unread(why))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error",
        "[[ Unknown error (error 999) ]]",
        "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment",
        "[12345.678901] PM: suspend exit",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected")
