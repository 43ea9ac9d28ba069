"""gpu-ecc-sram-exhausted: the driver's flag."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-ecc-sram-exhausted"


def test_no_flag_is_well() -> None:
    assert of_data_center_gpu(CHECK).outcome is Outcome.PASSED


def test_the_flag_is_an_error() -> None:
    (finding,) = of_data_center_gpu(CHECK, ecc_sram_threshold_exceeded=True).findings
    assert finding.severity is Severity.ERROR


def test_unread_is_unknown_and_a_gpu_without_the_flag_is_not_asked() -> None:
    assert of_data_center_gpu(CHECK, ecc_sram_threshold_exceeded=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "                SRAM Threshold Exceeded           : Yes",
        "GPU 5: SRAM uncorrectable errors are over the threshold",
        "dcgm: DCGM_FR_SRAM_THRESHOLD on GPU 1",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "                SRAM Threshold Exceeded           : No",
        "SRAM Correctable : 0",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
