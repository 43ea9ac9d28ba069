"""gpu-row-remap-pending: a row that waits for a reset."""

from __future__ import annotations

import pytest

from gpudoctor.facts import RemappedRows
from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_data_center_gpu, of_geforce, under
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, facts_of, results, unread

CHECK = "gpu-row-remap-pending"


WAITS = RemappedRows(correctable=0, uncorrectable=1, pending=True, failure=False)
DONE = RemappedRows(correctable=2, uncorrectable=1, pending=False, failure=False)


def test_rows_that_have_been_replaced_are_well() -> None:
    assert of_data_center_gpu(CHECK, remapped_rows=DONE).outcome is Outcome.PASSED


def test_a_row_that_waits_is_a_warning_that_names_the_reset_of_that_gpu() -> None:
    (finding,) = of_data_center_gpu(CHECK, remapped_rows=WAITS).findings
    assert finding.severity is Severity.WARNING
    assert finding.fix is not None
    assert any("--gpu-reset -i GPU-00000000" in command for command in finding.fix.commands)
    assert finding.fix.commands[0] == "sudo systemctl stop nvidia-persistenced"


def test_the_memory_error_that_it_is_there_for_is_no_root_beside_it() -> None:
    facts = facts_of(gpus=(data_center_gpu(remapped_rows=WAITS, ecc_uncorrected_volatile=2),))
    assert [one.check for one in results(facts) if one.findings] == [CHECK]


def test_each_gpu_is_judged_alone() -> None:
    facts = facts_of(gpus=(data_center_gpu(0), data_center_gpu(1, remapped_rows=DONE)))
    with pytest.raises(ValueError, match="too many values"):
        answer(CHECK, facts)


def test_unread_is_unknown_and_a_gpu_without_spare_rows_is_not_asked() -> None:
    assert of_data_center_gpu(CHECK, remapped_rows=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("word", ["error", "info"])
def test_a_site_may_take_it_more_or_less_gravely(word: str) -> None:
    facts = facts_of(gpus=(data_center_gpu(remapped_rows=WAITS),))
    result = under(f"signals: [{{name: row-remap-pending, severity: {word}}}]", CHECK, facts)
    assert [finding.severity for finding in result.findings] == [Severity(word)]


@pytest.mark.parametrize(
    "line",
    [
        (
            "NVRM: Xid (PCI:0000:3b:00): 63, pid=<unknown>, name=<unknown>, Row Remapper: New row"
            " (0x000000003d4bc75a) marked for remapping, reset gpu to activate."
        ),
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        "gpud: GPU-3f1 row remapping is pending",
        "NVRM: Xid (PCI:0000:3b:00): 63",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        (
            "NVRM: Xid (PCI:0000:3b:00): 63, Dynamic Page Retirement: New page retired, reboot to activate"
            " (0x00000000000fbf04)."
        ),
        "corrected ECC error encountered",
        "Remapped Rows: Correctable Error : 0",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
