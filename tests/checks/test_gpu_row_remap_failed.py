"""gpu-row-remap-failed: a row that could not be replaced, and how near that is."""

from __future__ import annotations

import pytest

from gpudoctor.facts import RemappedRows
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-row-remap-failed"


def rows(uncorrectable: int = 0, *, failure: bool = False) -> RemappedRows:
    return RemappedRows(correctable=0, uncorrectable=uncorrectable, pending=False, failure=failure)


@pytest.mark.parametrize("uncorrectable", [0, 1, 511])
def test_rows_that_were_replaced_are_history(uncorrectable: int) -> None:
    assert of_data_center_gpu(CHECK, remapped_rows=rows(uncorrectable)).outcome is Outcome.PASSED


@pytest.mark.parametrize("remapped", [rows(failure=True), rows(512), rows(600, failure=True)])
def test_a_failure_or_as_many_as_can_be_is_one_error(remapped: RemappedRows) -> None:
    result = of_data_center_gpu(CHECK, remapped_rows=remapped)
    assert [finding.severity for finding in result.findings] == [Severity.ERROR]


@pytest.mark.parametrize(("banks", "outcome"), [(0, Outcome.PASSED), (1, Outcome.FAILED)])
def test_a_bank_without_a_spare_row_is_a_warning(banks: int, outcome: Outcome) -> None:
    result = of_data_center_gpu(CHECK, exhausted_banks=banks)
    assert result.outcome is outcome
    assert all(finding.severity is Severity.WARNING for finding in result.findings)


@pytest.mark.parametrize("part", ["remapped_rows", "exhausted_banks"])
def test_what_is_unread_is_unknown(part: str) -> None:
    assert of_data_center_gpu(CHECK, **{part: unread()}).outcome is Outcome.UNKNOWN


def test_a_gpu_that_remaps_no_rows_is_not_asked() -> None:
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


def test_a_gpu_that_is_lost_is_explained_by_that() -> None:
    lost = of_data_center_gpu(CHECK, remapped_rows=unread(Why.FAILED, code=15))
    assert (lost.outcome, lost.explained_by) == (Outcome.UNKNOWN, "gpu-fallen-off-bus")


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: Xid (PCI:0000:3b:00): 64, pid=8842, Row Remapper: Failed to record the remapping of row 0x1a2b",
        "NVRM: Xid (PCI:0000:07:00): 64, Row Remapper Error: (0x00000000000001b2)",
        "            Remapping Failure Occurred   : Yes",
        "GPU 3: row remapping failure detected, RMA candidate",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        (
            "NVRM: Xid (PCI:0000:3b:00): 64, Dynamic Page Retirement: Fatal error, unable to retire page"
            " (0x0000000000003f5a)."
        ),
        "            Remapping Failure Occurred   : No",
        "Remapped Rows: Pending : Yes",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
