"""image-gpu-too-old: GPUs that the image no longer knows."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import GTX_1080, NGC_22_01, NGC_24_03, NGC_25_02, inside, named
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "image-gpu-too-old"


def test_the_least_that_it_knows_is_well() -> None:
    assert (
        answer(CHECK, inside(NGC_24_03, gpus=(named("NVIDIA GeForce GTX TITAN Y", "6.0"),))).outcome is Outcome.PASSED
    )


def test_pascal_on_the_first_image_that_dropped_it_is_an_error() -> None:
    facts = inside(NGC_25_02, driver="570.86.10", gpus=(GTX_1080,))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "has compute capability 6.1" in finding.message
    assert finding.fix is not None
    assert "runs as it is" in finding.fix.text


def test_a_gpu_on_the_build_list_alone_is_a_warning() -> None:
    facts = inside(NGC_22_01, driver="535.129.03", gpus=(named("NVIDIA GeForce GTX 970", "5.2"),))
    (finding,) = answer(CHECK, facts).findings
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    "facts",
    [
        inside(NGC_24_03, gpus=unread()),
        inside(NGC_24_03, gpus=(named("a GPU of tomorrow", "6.0"),), system={"variables": unread()}),
    ],
)
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_host_is_not_asked() -> None:
    assert answer(CHECK, facts_of(gpus=(GTX_1080,))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: Detected NVIDIA Tesla K80 GPU, which is not supported by this container",
        "ERROR: No supported GPU(s) detected to run this container",
        "Ignoring visible gpu device (device: 0, name: Quadro K620). The minimum required Cuda capability is 6.0.",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Adding visible gpu devices: 0",
        "Detected NVIDIA driver",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
