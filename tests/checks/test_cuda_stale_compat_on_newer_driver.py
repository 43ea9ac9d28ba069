"""cuda-stale-compat-on-newer-driver: cuInit 803 through a compat libcuda."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import CudaLibrary, Facts, Variable
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, driver_says, facts_of, unread

CHECK = "cuda-stale-compat-on-newer-driver"

FOLDER = "/usr/local/cuda/compat"


def compat(version: str | Any, path: str = f"{FOLDER}/libcuda.so.1") -> CudaLibrary:
    return CudaLibrary(path=path, version=DriverVersion(version), kind="compat")


def says_803(library: Any, *libraries: CudaLibrary, **changed: Any) -> Facts:
    """The driver is 535.129.03."""
    driver = {"libcuda": libraries, **changed.pop("driver", {})}
    return facts_of(cuda=replace(cuda_says(803), library=library), driver=driver, **changed)


STALE = says_803(f"{FOLDER}/libcuda.so.525.60.13", compat("525.60.13"))


def test_cuda_that_starts_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [100, 804, 999])
def test_any_other_number_is_another_fault(code: int) -> None:
    assert answer(CHECK, facts_of(cuda=cuda_says(code))).outcome is Outcome.PASSED


def test_an_older_compat_library_is_the_root() -> None:
    (finding,) = answer(CHECK, STALE).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "525.60.13" in finding.message
    assert "535.129.03" in finding.message
    assert answer("cuda-init-failed", STALE).findings[0].caused_by == CHECK


@pytest.mark.parametrize(
    ("library", "outcome"),
    [
        (f"{FOLDER}/libcuda.so.535.129.02", Outcome.FAILED),
        (f"{FOLDER}/libcuda.so.535.129.03", Outcome.PASSED),
        (f"{FOLDER}/libcuda.so.550.54.15", Outcome.PASSED),
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.525.60.13", Outcome.PASSED),
    ],
)
def test_it_must_be_a_compat_library_that_is_older_than_the_module(library: str, outcome: Outcome) -> None:
    assert answer(CHECK, says_803(library)).outcome is outcome


@pytest.mark.parametrize("library", [unread(), f"{FOLDER}/libcuda.so.1"], ids=["unread", "no version in its name"])
def test_the_loaders_list_tells_what_the_process_does_not(library: Any) -> None:
    assert answer(CHECK, says_803(library, compat("525.60.13"))).outcome is Outcome.FAILED
    assert answer(CHECK, says_803(library, compat("550.54.15"))).outcome is Outcome.PASSED


def test_the_folder_is_taken_off_the_path() -> None:
    variables = (Variable(name="LD_LIBRARY_PATH", value=f"{FOLDER}:/opt/lib"),)
    fix = answer(CHECK, replace(STALE, system=replace(STALE.system, variables=variables))).findings[0].fix
    assert fix is not None
    assert fix.commands == ('export LD_LIBRARY_PATH="/opt/lib"',)
    fix = answer(CHECK, STALE).findings[0].fix
    assert fix is not None
    assert "ld.so.conf.d" in fix.commands[0]


def test_a_driver_that_was_upgraded_under_its_module_is_the_older_fault() -> None:
    facts = says_803(f"{FOLDER}/libcuda.so.525.60.13", driver=driver_says(unread(code=18)))
    assert answer(CHECK, facts).findings[0].caused_by == "driver-library-mismatch"


@pytest.mark.parametrize(
    "facts",
    [
        says_803(unread(), driver={"libcuda": unread()}),
        says_803(f"{FOLDER}/libcuda.so.525.60.13", driver={"kernel_module_version": unread(Why.FORBIDDEN)}),
    ],
)
def test_what_is_unread_is_unknown(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("why", [Why.NOT_ASKED, Why.TIMEOUT, Why.ABSENT])
def test_a_cuda_that_gave_no_answer_is_another_checks_question(why: Why) -> None:
    assert answer(CHECK, facts_of(cuda=unread(why))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display"
            " driver / cuda driver combination"
        ),
        (
            "failed call to cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver /"
            " cuda driver combination"
        ),
        "[[ System has unsupported display driver / cuda driver combination (error 803) ]]",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "CUDA driver version is insufficient for CUDA runtime version (error 35)")
