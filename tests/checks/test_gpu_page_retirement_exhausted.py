"""gpu-page-retirement-exhausted: as many pages as can be."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-page-retirement-exhausted"


@pytest.mark.parametrize("pages", [0, 1, 62])
def test_fewer_pages_are_history(pages: int) -> None:
    assert of_geforce(CHECK, retired_pages=pages).outcome is Outcome.PASSED


@pytest.mark.parametrize("pages", [63, 64])
def test_as_many_as_the_field_diagnostic_allows_is_an_error(pages: int) -> None:
    (finding,) = of_geforce(CHECK, retired_pages=pages).findings
    assert (finding.severity, str(pages) in finding.message) == (Severity.ERROR, True)


def test_unread_is_unknown_and_a_gpu_that_retires_none_is_not_asked() -> None:
    assert of_geforce(CHECK, retired_pages=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        (
            "NVRM: Xid (PCI:0000:3b:00): 64, Dynamic Page Retirement: Fatal error, unable to retire page"
            " (0x0000000000003f5a)."
        ),
        "GPU 0 retired pages are over the limit",
        "DCGM_FR_RETIRED_PAGES_LIMIT: 64 on GPU 2",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: Xid (PCI:0000:3b:00): 64, Row Remapper Error",
        "Retired Pages: Double Bit ECC : 0",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
