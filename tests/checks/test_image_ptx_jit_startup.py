"""image-ptx-jit-startup: no native code, and PTX that serves."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import H100, NGC_22_01, NGC_24_03, inside
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "image-ptx-jit-startup"


def test_native_code_is_well() -> None:
    assert answer(CHECK, inside(NGC_24_03, gpus=(H100,))).outcome is Outcome.PASSED


def test_compiled_code_is_a_warning_that_shows_the_cache() -> None:
    image = {**NGC_22_01, "CUDA_CACHE_MAXSIZE": "268435456"}
    (finding,) = answer(CHECK, inside(image, gpus=(H100,))).findings
    assert (finding.severity, "compiles PTX of 8.6 at first use" in finding.message) == (Severity.WARNING, True)
    assert ("echo $CUDA_CACHE_MAXSIZE", "268435456") in {(one.source, one.value) for one in finding.evidence}


def test_no_image_is_named_that_does_no_better() -> None:
    (finding,) = answer(CHECK, inside(NGC_22_01, gpus=(H100,))).findings
    assert finding.fix is not None
    # All images with TensorFlow 2.7 are older than the GPU.
    assert "holds TensorFlow 2.7" not in finding.fix.text
    assert "and runs with" in finding.fix.text or "and runs as it is" in finding.fix.text


@pytest.mark.parametrize("facts", [inside(NGC_22_01, gpus=unread()), inside({"CUDA_VERSION": "new"})])
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_host_is_not_asked() -> None:
    assert answer(CHECK, facts_of(gpus=(H100,))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "TensorFlow was not built with CUDA kernel binaries compatible with compute capability 8.9.",
        "CUDA kernels will be jit-compiled from PTX, which could take 30 minutes or longer.",
        "compute capability 12.0. CUDA kernels will be jit-compiled from PTX",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "TensorFlow binary is optimized to use available CPU instructions",
        "it could take a minute or longer",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
