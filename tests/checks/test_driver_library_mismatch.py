"""driver-library-mismatch: NVML's code 18, or two version numbers."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.fakes import answer, driver_says, facts_of, unread

CHECK = "driver-library-mismatch"


def test_equal_versions_are_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_versions_that_differ_in_spelling_alone_are_equal() -> None:
    assert answer(CHECK, facts_of(driver={"version": DriverVersion("535.129.3")})).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "driver",
    [driver_says(unread(code=18)), {"version": DriverVersion("535.161.07")}, {"version": DriverVersion("535.129.02")}],
    ids=["NVML says so", "newer library", "older library"],
)
def test_a_mismatch_is_an_error_that_a_reboot_mends(driver: dict[str, Any]) -> None:
    result = answer(CHECK, facts_of(driver=driver))
    (finding,) = result.findings
    assert (result.outcome, finding.severity) == (Outcome.FAILED, Severity.ERROR)
    assert "535.129.03" in finding.message
    assert finding.fix is not None
    assert finding.fix.needs_reboot


@pytest.mark.parametrize("code", [None, 9, 12, 17, 19, 999])
def test_any_other_code_of_nvml_is_unknown(code: int | None) -> None:
    assert answer(CHECK, facts_of(driver=driver_says(unread(code=code)))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("why", [Why.FORBIDDEN, Why.GARBLED, Why.FAILED])
def test_unread_module_version_is_unknown(why: Why) -> None:
    assert answer(CHECK, facts_of(driver={"kernel_module_version": unread(why)})).outcome is Outcome.UNKNOWN


def test_without_a_module_there_is_nothing_to_compare() -> None:
    facts = facts_of(driver={"kernel_module_version": unread(Why.ABSENT)})
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


def test_the_module_of_a_jetson_is_that_of_its_display() -> None:
    facts = facts_of(system={"jetson": True}, driver={"kernel_module_version": DriverVersion("540.4.0")})
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE
