"""gpu-page-retirement-pending: a page that waits for the driver to attach again."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-page-retirement-pending"


def test_no_page_that_waits_is_well() -> None:
    assert of_geforce(CHECK, retired_pages_pending=False, retired_pages=3).outcome is Outcome.PASSED


def test_a_page_that_waits_is_a_warning() -> None:
    (finding,) = of_geforce(CHECK, retired_pages_pending=True).findings
    assert finding.severity is Severity.WARNING


def test_a_page_that_waits_on_a_board_that_is_used_up_follows_from_that() -> None:
    (finding,) = of_geforce(CHECK, retired_pages_pending=True, retired_pages=64).findings
    assert finding.caused_by == "gpu-page-retirement-exhausted"


def test_unread_is_unknown_and_a_gpu_that_retires_none_is_not_asked() -> None:
    assert of_geforce(CHECK, retired_pages_pending=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        (
            "NVRM: Xid (PCI:0000:3b:00): 63, Dynamic Page Retirement: New page retired, reboot to activate"
            " (0x00000000000fbf04)."
        ),
        "    Pending Page Blacklist      : Yes",
        "    Pending Page Retirement : Yes",
        "NVRM: Xid (PCI:0000:3b:00): 63",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: Xid (PCI:0000:3b:00): 63, Row Remapper: New row marked for remapping, reset gpu to activate.",
        "    Pending Page Blacklist      : No",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
