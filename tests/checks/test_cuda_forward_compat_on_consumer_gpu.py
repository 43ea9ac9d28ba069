"""cuda-forward-compat-on-consumer-gpu: cuInit 804."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Package, Variable
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, facts_of, unread

CHECK = "cuda-forward-compat-on-consumer-gpu"

COMPAT = Package(name="cuda-compat-12-4", version="550.54.15-1")
PATH = Variable(name="LD_LIBRARY_PATH", value="/usr/local/cuda/compat:/opt/lib")


def test_cuda_that_starts_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [100, 803, 805, 999])
def test_any_other_number_is_another_fault(code: int) -> None:
    assert answer(CHECK, facts_of(cuda=cuda_says(code))).outcome is Outcome.PASSED


def test_804_is_the_root_and_names_the_gpu() -> None:
    facts = facts_of(cuda=cuda_says(804))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "RTX 3090" in finding.message
    assert answer("cuda-init-failed", facts).findings[0].caused_by == CHECK


def test_the_hosts_compat_package_is_removed_and_its_folder_taken_off_the_path() -> None:
    facts = facts_of(system={"packages": (COMPAT,), "variables": (PATH,)}, cuda=cuda_says(804))
    fix = answer(CHECK, facts).findings[0].fix
    assert fix is not None
    assert fix.commands == (
        'export LD_LIBRARY_PATH="/opt/lib"',
        "sudo apt-get purge cuda-compat-12-4",
        "sudo ldconfig",
    )


def test_in_a_container_the_image_or_the_host_is_what_to_change() -> None:
    facts = facts_of(system={"container": "docker", "packages": (COMPAT,)}, cuda=cuda_says(804))
    fix = answer(CHECK, facts).findings[0].fix
    assert fix is not None
    assert fix.commands == ()
    assert "driver" in fix.text


def test_what_is_unread_takes_only_evidence_away() -> None:
    system = {"packages": unread(), "variables": unread(), "container": unread()}
    assert answer(CHECK, facts_of(system=system, cuda=cuda_says(804), gpus=unread())).outcome is Outcome.FAILED


@pytest.mark.parametrize("why", [Why.NOT_ASKED, Why.TIMEOUT, Why.ABSENT])
def test_a_cuda_that_gave_no_answer_is_another_checks_question(why: Why) -> None:
    cuda: Any = unread(why)
    assert answer(CHECK, facts_of(cuda=cuda)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        (
            "CUDA failed to initialize.  GPU functionality will not be available. [[ Forward compatibility was"
            " attempted on non supported HW (error 804) ]]"
        ),
        (
            "UserWarning: CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error 804: forward"
            " compatibility was attempted on non supported HW"
        ),
        (
            "failed call to cuInit: CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: forward compatibility was"
            " attempted on non supported HW"
        ),
        "cuInit(0) returned 804",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "WARNING: CUDA Minor Version Compatibility mode ENABLED.")
