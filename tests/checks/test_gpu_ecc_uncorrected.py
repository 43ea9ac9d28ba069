"""gpu-ecc-uncorrected: errors since the driver was loaded."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import RemappedRows
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.gpus import of_data_center_gpu, of_geforce, under
from tests.checks.logs import suspects
from tests.fakes import data_center_gpu, facts_of, unread

CHECK = "gpu-ecc-uncorrected"


def test_errors_of_earlier_lives_are_history() -> None:
    assert of_data_center_gpu(CHECK, ecc_uncorrected_aggregate=12).outcome is Outcome.PASSED


@pytest.mark.parametrize("errors", [1, 4])
def test_an_error_since_the_driver_was_loaded_is_an_error(errors: int) -> None:
    (finding,) = of_data_center_gpu(CHECK, ecc_uncorrected_volatile=errors).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)


@pytest.mark.parametrize(
    ("action", "command"), [("gpu_reset", "--gpu-reset"), ("node_reboot", "reboot"), ("none", "--gpu-reset")]
)
def test_the_driver_decides_what_mends_it(action: str, command: str) -> None:
    (finding,) = of_data_center_gpu(CHECK, ecc_uncorrected_volatile=1, recovery_action=action).findings
    assert finding.fix is not None
    assert any(command in one for one in finding.fix.commands)


def test_a_board_that_is_used_up_is_the_root() -> None:
    (finding,) = of_data_center_gpu(CHECK, ecc_uncorrected_volatile=1, ecc_sram_threshold_exceeded=True).findings
    assert finding.caused_by == "gpu-ecc-sram-exhausted"


def rows(*, pending: bool = False, failure: bool = False) -> RemappedRows:
    return RemappedRows(correctable=0, uncorrectable=1, pending=pending, failure=failure)


def test_one_whose_row_waits_to_be_replaced_is_told_as_that() -> None:
    waiting = {"ecc_uncorrected_volatile": 1, "remapped_rows": rows(pending=True)}
    assert of_data_center_gpu(CHECK, **waiting).outcome is Outcome.PASSED
    assert of_data_center_gpu("gpu-row-remap-pending", **waiting).outcome is Outcome.FAILED


def test_a_site_that_ignores_rows_that_wait_is_told_of_the_error() -> None:
    facts = facts_of(gpus=(data_center_gpu(ecc_uncorrected_volatile=1, remapped_rows=rows(pending=True)),))
    ignored = 'schema: "gpudoctor.policy/1"\nsignals:\n  - name: row-remap-pending\n    severity: ignore\n'
    assert under(ignored, CHECK, facts).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("remapped", "outcome"),
    [
        (rows(), Outcome.FAILED),
        (rows(pending=True, failure=True), Outcome.FAILED),
        (unread(Why.UNSUPPORTED), Outcome.FAILED),
        (unread(), Outcome.UNKNOWN),
    ],
)
def test_it_counts_where_no_row_waits(remapped: Any, outcome: Outcome) -> None:
    assert of_data_center_gpu(CHECK, ecc_uncorrected_volatile=1, remapped_rows=remapped).outcome is outcome


def test_unread_is_unknown_and_a_gpu_without_ecc_is_not_asked() -> None:
    assert of_data_center_gpu(CHECK, ecc_uncorrected_volatile=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "torch.cuda: CUDA error: uncorrectable ECC error encountered",
        (
            "F tensorflow/stream_executor: failed to synchronize: CUDA_ERROR_ECC_UNCORRECTABLE:"
            " uncorrectable ECC error encountered"
        ),
        "NCCL WARN Cuda failure 'uncorrectable ECC error encountered'",
        "cudaErrorECCUncorrectable (214)",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0",
        "corrected ECC errors: 5",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
