"""image-minor-version-compat: a banner that frightens, and means no harm."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import NGC_24_03, inside
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, gpu, unread

CHECK = "image-minor-version-compat"


@pytest.mark.parametrize("driver", ["550.54.14", "550.40.07", "470.256.02"])
def test_a_driver_of_its_branch_or_one_that_fails_needs_no_word(driver: str) -> None:
    assert answer(CHECK, inside(NGC_24_03, driver=driver)).outcome is Outcome.PASSED


def test_an_older_driver_of_its_cuda_major_is_explained_once_and_is_no_fault() -> None:
    facts = inside(NGC_24_03, gpus=(gpu(0), gpu(1, name="NVIDIA GeForce RTX 3080")))
    (finding,) = answer(CHECK, facts).findings
    assert finding.severity is Severity.INFO
    assert "driver 535.129.03 is older than CUDA 12.4" in finding.message
    assert "runs it all the same" in finding.message


@pytest.mark.parametrize("facts", [inside(NGC_24_03, gpus=unread()), inside(NGC_24_03, system={"variables": unread()})])
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_host_is_not_asked() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "NOTE: CUDA Minor Version Compatibility mode ENABLED.",
        "WARNING: CUDA Minor Version Compatibility mode ENABLED.  Using driver version 535.129.03",
        "the provided PTX was compiled with an unsupported toolchain.",
        "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "NOTE: CUDA Forward Compatibility mode ENABLED.",
        "CUDA_ERROR_INVALID_PTX",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
