"""container-shm-too-small: /dev/shm against what NVIDIA asks for."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.sizes import SHM_BYTES
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "container-shm-too-small"


@pytest.mark.parametrize(("size", "outcome"), [(SHM_BYTES, Outcome.PASSED), (SHM_BYTES - 1, Outcome.FAILED)])
def test_a_gibibyte_is_the_boundary(size: int, outcome: Outcome) -> None:
    assert answer(CHECK, facts_of(system={"shm_bytes": size})).outcome is outcome


def test_dockers_default_is_a_warning_in_the_words_that_docker_uses() -> None:
    facts = facts_of(system={"shm_bytes": 64 << 20, "container": "docker"})
    (finding,) = answer(CHECK, facts).findings
    assert finding.severity is Severity.WARNING
    assert "/dev/shm holds 64 MiB, and NVIDIA's images want 1 GiB" in finding.message
    assert finding.fix is not None
    assert "--shm-size=1g" in finding.fix.text


def test_outside_a_container_it_is_mounted_again() -> None:
    fix = answer(CHECK, facts_of(system={"shm_bytes": 64 << 20})).findings[0].fix
    assert fix is not None
    assert fix.commands == ("sudo mount -o remount,size=1g /dev/shm",)


def test_unread_size_is_unknown() -> None:
    assert answer(CHECK, facts_of(system={"shm_bytes": unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "NOTE: The SHMEM allocation limit is set to the default of 64MB.  This may be",
        "NOTE: The SHMEM allocation limit is set to the default of 64 MB. This may be insufficient for TensorFlow.",
        "misc/shmutils.cc:67 NCCL WARN posix_fallocate failed : No space left on device",
        "include/shm.h:48 NCCL WARN Error while creating segment /dev/shm/nccl-ab12: No space left on device",
        "python: line 1:  1234 Bus error               (core dumped) python train.py",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "failed to register layer: no space left on device",
        "pcieport 0000:00:01.0: PCIe Bus Error: severity=Corrected, type=Physical Layer",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
