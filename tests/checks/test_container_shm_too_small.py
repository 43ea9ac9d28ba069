"""container-shm-too-small: /dev/shm against what NVIDIA asks for."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.sizes import SHM_BYTES
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
