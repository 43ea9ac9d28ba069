"""image-requirement-unsatisfied: the alternatives of NVIDIA_REQUIRE_CUDA, every one of them."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import NGC_24_03, inside
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, gpu, unread

CHECK = "image-requirement-unsatisfied"
ARMS = "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=tesla,driver<385"
DEMANDING = {**NGC_24_03, "NVIDIA_REQUIRE_CUDA": ARMS}


@pytest.mark.parametrize("cuda", ["12.4", "12.8"])
def test_an_arm_that_holds_is_enough(cuda: str) -> None:
    assert answer(CHECK, inside(DEMANDING, driver="550.54.14", driver_cuda=cuda)).outcome is Outcome.PASSED


def test_no_arm_says_which_was_named_and_which_number_would_do() -> None:
    (finding,) = answer(CHECK, inside(DEMANDING)).findings
    assert finding.severity is Severity.WARNING
    assert "none of the 3 alternatives of NVIDIA_REQUIRE_CUDA holds" in finding.message
    assert "the hook complains of `brand = tesla`" in finding.message
    assert "a driver of CUDA 12.4, such as 550.54.14, would do" in finding.message
    # Of the alternatives for other brands only the last, which the hook complains of.
    assert [one.source.rpartition(": ")[2] for one in finding.evidence] == ["cuda>=12.4", "brand=tesla,driver<385"]


def test_where_the_driver_is_too_old_anyway_that_is_the_root() -> None:
    facts = inside(DEMANDING, driver="470.256.02", driver_cuda="11.4")
    assert [one.caused_by for one in answer(CHECK, facts).findings] == ["image-driver-too-old"]


def test_a_malformed_value_is_told_apart() -> None:
    (finding,) = answer(CHECK, inside({**NGC_24_03, "NVIDIA_REQUIRE_CUDA": "cuda>=new"})).findings
    assert "malformed" in finding.message


@pytest.mark.parametrize("image", [{**DEMANDING, "NVIDIA_DISABLE_REQUIRE": "true"}, NGC_24_03])
def test_nothing_is_asked_where_the_image_says_so_or_asks_little(image: dict[str, str]) -> None:
    assert answer(CHECK, inside(image)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "facts",
    [
        inside(DEMANDING, gpus=unread()),
        inside({**NGC_24_03, "NVIDIA_REQUIRE_CUDA": "brand=tesla"}, gpus=(gpu(brand=unread()),)),
        inside(DEMANDING, system={"variables": unread()}),
    ],
)
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_host_is_not_asked() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "nvidia-container-cli: requirement error: unsatisfied condition: brand = tesla: unknown",
        "nvidia-container-cli: requirement error: unsatisfied condition: driver < 385: unknown",
        "nvidia-container-cli: requirement error: invalid expression",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "unsatisfied condition: memory >= 16",
        "requirement already satisfied: cuda-python",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
