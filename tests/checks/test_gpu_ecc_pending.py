"""gpu-ecc-pending: the mode now against the one after a reset."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import unread

CHECK = "gpu-ecc-pending"


@pytest.mark.parametrize("mode", [True, False])
def test_a_mode_that_stays_is_well(mode: bool) -> None:
    assert of_data_center_gpu(CHECK, ecc_enabled=mode, ecc_pending=mode).outcome is Outcome.PASSED


@pytest.mark.parametrize(("now", "then"), [(True, False), (False, True)])
def test_a_mode_that_waits_for_a_reset_is_a_warning(now: bool, then: bool) -> None:
    (finding,) = of_data_center_gpu(CHECK, ecc_enabled=now, ecc_pending=then).findings
    assert finding.severity is Severity.WARNING
    assert f"is {'on' if now else 'off'}" in finding.message


@pytest.mark.parametrize("part", ["ecc_enabled", "ecc_pending"])
def test_unread_is_unknown(part: str) -> None:
    assert of_data_center_gpu(CHECK, **{part: unread()}).outcome is Outcome.UNKNOWN


def test_a_gpu_without_ecc_is_not_asked() -> None:
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "Enabled ECC support for GPU 00000000:01:00.0.",
        "Disabled ECC support for GPU 00000000:3B:00.0.",
        "Please reboot: toggle ECC takes effect after reboot",
        "ECC mode: current Disabled, pending Enabled",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Ecc Mode Current : Enabled",
        "ECC is not supported on this GPU",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
