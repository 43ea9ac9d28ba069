"""container-compute-capability-missing: which parts of the driver the container was given."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import inside
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "container-compute-capability-missing"
NO_LIBCUDA: dict[str, Any] = {"libcuda": ()}


@pytest.mark.parametrize("stated", ["all", "compute,utility", "utility, compute"])
def test_compute_among_them_is_well(stated: str) -> None:
    facts = inside({"NVIDIA_DRIVER_CAPABILITIES": stated}, driver_facts=NO_LIBCUDA)
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize("stated", ["utility", "utility,video", "computed"])
def test_without_compute_there_is_no_libcuda(stated: str) -> None:
    (finding,) = answer(CHECK, inside({"NVIDIA_DRIVER_CAPABILITIES": stated}, driver_facts=NO_LIBCUDA)).findings
    assert (finding.severity, f"is {stated}, without compute" in finding.message) == (Severity.ERROR, True)


def test_a_libcuda_that_came_another_way_will_do() -> None:
    assert answer(CHECK, inside({"NVIDIA_DRIVER_CAPABILITIES": "utility"})).outcome is Outcome.PASSED


@pytest.mark.parametrize("changed", [{"driver_facts": {"libcuda": unread()}}, {"system": {"variables": unread()}}])
def test_what_is_unread_is_unknown(changed: dict[str, Any]) -> None:
    facts = inside({"NVIDIA_DRIVER_CAPABILITIES": "utility"}, **changed)
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("facts", [facts_of(driver=NO_LIBCUDA), inside({}, driver_facts=NO_LIBCUDA)])
def test_a_host_and_a_container_of_which_nothing_was_said_are_not_asked(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        "Could not load dynamic library 'libcuda.so.1'; dlerror: libcuda.so.1: cannot open shared object file",
        "unsupported capabilities found in 'gfx' (allowed 'compute,utility')",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Could not load dynamic library 'libcudart.so.11.0'; dlerror: libcudart.so.11.0",
        "libcuda.so.1 => /usr/lib/libcuda.so.1",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
