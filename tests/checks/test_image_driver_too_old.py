"""image-driver-too-old: the host's driver against the CUDA of the image around us."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.versions import ComputeCapability
from tests.checks.inside import A100, NGC_23_02, NGC_24_03, inside
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, driver_says, facts_of, gpu, unread

CHECK = "image-driver-too-old"


@pytest.mark.parametrize("driver", ["525.60.13", "550.40.07", "570.86.10"])
def test_a_driver_that_runs_it_in_any_way_is_well(driver: str) -> None:
    assert answer(CHECK, inside(NGC_24_03, driver=driver)).outcome is Outcome.PASSED


def test_below_the_floor_of_its_cuda_it_is_an_error_that_names_a_driver_and_an_image() -> None:
    (finding,) = answer(CHECK, inside(NGC_24_03, driver="525.60.11", driver_cuda="12.0")).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "driver 525.60.11 is too old for CUDA 12.4" in finding.message
    assert "550.54.14" in finding.message
    assert finding.fix is not None
    assert "install driver 525.60.13 or newer" in finding.fix.text
    assert finding.fix.commands == ("gpudoctor resolve --tf 2.15",)


def test_an_older_cuda_major_is_too_old_on_a_geforce() -> None:
    (finding,) = answer(CHECK, inside(NGC_24_03, driver="470.256.02", driver_cuda="11.4")).findings
    assert "NVIDIA GeForce RTX 3090 has no way round it" in finding.message


def test_a_data_centre_gpu_on_a_listed_branch_is_well() -> None:
    facts = inside(NGC_24_03, driver="470.256.02", driver_cuda="11.4", gpus=(A100,))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_a_branch_that_the_list_leaves_out_is_another_fault() -> None:
    facts = inside(NGC_23_02, driver="520.61.05", driver_cuda="11.8", gpus=(A100,))
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert answer("image-driver-branch-not-forward-compatible", facts).outcome is Outcome.FAILED


def test_eight_equal_gpus_are_one_finding() -> None:
    gpus = tuple(gpu(index) for index in range(8))
    facts = inside(NGC_24_03, driver="470.256.02", driver_cuda="11.4", gpus=gpus)
    assert len(answer(CHECK, facts).findings) == 1


@pytest.mark.parametrize(
    "facts",
    [
        inside(NGC_24_03, driver_facts=driver_says(unread())),
        inside(NGC_24_03, gpus=unread()),
        inside(NGC_24_03, system={"variables": unread()}),
        inside({"CUDA_VERSION": "yes"}),
        inside(
            NGC_23_02,
            driver="520.61.05",
            driver_cuda="11.8",
            gpus=(data_center_gpu(name=unread(), compute_capability=ComputeCapability("8.0")),),
        ),
    ],
    ids=["driver", "GPUs", "environment", "no CUDA version", "which GPU"],
)
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("facts", [facts_of(), inside({}), inside(NGC_24_03, system={"jetson": True})])
def test_hosts_images_without_cuda_and_jetsons_are_not_asked(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: This container was built for NVIDIA Driver Release 550.54 or later, but",
        "       version 470.256.02 was detected and compatibility mode is UNAVAILABLE.",
        "CUDA driver version is insufficient for CUDA runtime version",
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "NOTE: CUDA Forward Compatibility mode ENABLED.",
        "unsatisfied condition: python>=3.8",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
