"""cuda-stub-library-loaded: the stub of a toolkit in place of the driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import Facts, Variable
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, facts_of, unread

CHECK = "cuda-stub-library-loaded"

STUB = "/usr/local/cuda/lib64/stubs/libcuda.so"


def loads(library: Any, code: int = 34, **changed: Any) -> Facts:
    return facts_of(cuda=replace(cuda_says(code), library=library), **changed)


def test_cuda_that_starts_is_well_whatever_was_loaded() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize("library", [STUB, "/usr/lib/libcuda.so.1", unread()])
def test_34_is_the_root(library: Any) -> None:
    (finding,) = answer(CHECK, loads(library)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert answer("cuda-init-failed", loads(library)).findings[0].caused_by == CHECK


def test_an_older_stub_is_known_by_its_folder() -> None:
    assert answer(CHECK, loads(STUB, code=999)).outcome is Outcome.FAILED
    assert answer(CHECK, loads("/usr/lib/libcuda.so.1", code=999)).outcome is Outcome.PASSED
    assert answer(CHECK, loads(unread(), code=999)).outcome is Outcome.UNKNOWN


def test_the_folder_is_taken_off_the_path() -> None:
    variables = (Variable(name="LD_LIBRARY_PATH", value="/usr/local/cuda/lib64/stubs:/opt/lib"),)
    fix = answer(CHECK, loads(STUB, system={"variables": variables})).findings[0].fix
    assert fix is not None
    assert fix.commands == ('export LD_LIBRARY_PATH="/opt/lib"',)
    fix = answer(CHECK, loads(STUB, system={"variables": unread()})).findings[0].fix
    assert fix is not None
    assert "ld.so.conf.d" in fix.commands[0]


@pytest.mark.parametrize("why", [Why.NOT_ASKED, Why.TIMEOUT, Why.ABSENT])
def test_a_cuda_that_gave_no_answer_is_another_checks_question(why: Why) -> None:
    assert answer(CHECK, facts_of(cuda=unread(why))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "failed call to cuInit: UNKNOWN ERROR (-1)",
        "failed call to cuInit: CUDA_ERROR_STUB_LIBRARY: CUDA driver is a stub library",
        "CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error 34: CUDA driver is a stub library",
        "libcuda reported version is: found /usr/local/cuda-10.1/lib64/stubs/libcuda.so",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "failed call to cuInit: UNKNOWN ERROR (303)")
