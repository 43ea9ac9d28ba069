"""gpu-inforom-corrupted: the board's own memory."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.gpus import of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-inforom-corrupted"


def test_a_sound_inforom_is_well_and_a_damaged_one_a_warning() -> None:
    assert of_geforce(CHECK, inforom_valid=True).outcome is Outcome.PASSED
    (finding,) = of_geforce(CHECK, inforom_valid=False).findings
    assert finding.severity is Severity.WARNING


def test_unread_is_unknown_and_a_gpu_without_one_is_not_asked() -> None:
    assert of_geforce(CHECK, inforom_valid=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK, inforom_valid=unread(Why.UNSUPPORTED)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: infoROM is corrupted at gpu 0000:0A:00.0",
        "nvmlDeviceValidateInforom: NVML_ERROR_CORRUPTED_INFOROM",
        "DCGM_FR_CORRUPT_INFOROM: a corrupt InfoROM has been detected in GPU 2",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "    Inforom Version",
        "    Image Version : G001.0000.02.04",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
