"""container-disk-full: room for the smallest image, and for the largest."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.sizes import LARGEST_PACKED_IMAGE_BYTES, SMALLEST_PACKED_IMAGE_BYTES, pull_bytes
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, facts_of, unread

CHECK = "container-disk-full"
SMALLEST, LARGEST = pull_bytes(SMALLEST_PACKED_IMAGE_BYTES), pull_bytes(LARGEST_PACKED_IMAGE_BYTES)


@pytest.mark.parametrize(
    ("free", "asked", "severities"),
    [
        (LARGEST, False, []),
        (LARGEST - 1, False, [Severity.INFO]),
        (LARGEST - 1, True, [Severity.INFO]),
        (SMALLEST, False, [Severity.INFO]),
        (SMALLEST - 1, False, [Severity.WARNING]),
        (SMALLEST - 1, True, [Severity.ERROR]),
        (0, True, [Severity.ERROR]),
    ],
)
def test_free_bytes_decide(free: int, asked: bool, severities: list[Severity]) -> None:
    result = answer(CHECK, facts_of(engine={"data_root_free_bytes": free}), engine_asked=asked)
    assert result.outcome is (Outcome.FAILED if severities else Outcome.PASSED)
    assert [finding.severity for finding in result.findings] == severities


def test_the_finding_says_how_much_there_is_and_how_much_is_needed() -> None:
    (finding,) = answer(CHECK, facts_of(engine={"data_root_free_bytes": 1_500_000_000})).findings
    assert "1.5 GB free below /var/lib/docker" in finding.message
    assert "3.5 GB" in finding.message


@pytest.mark.parametrize("why", [Why.FORBIDDEN, Why.ABSENT, Why.FAILED])
def test_unread_free_bytes_are_unknown_and_do_not_decide(why: Why) -> None:
    result = answer(CHECK, facts_of(engine={"data_root_free_bytes": unread(why)}), engine_asked=True)
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, False)


def test_an_engine_elsewhere_and_none_at_all_are_not_asked() -> None:
    elsewhere = facts_of(engine={"data_root_free_bytes": unread(Why.UNSUPPORTED)})
    assert answer(CHECK, elsewhere).outcome is Outcome.NOT_APPLICABLE
    assert answer(CHECK, facts_of(engine=NO_ENGINE)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "failed to register layer: write /usr/lib/libcublasLt.so.11: no space left on device",
        "docker: failed to register layer: mkdir /workspace/examples: no space left on device.",
        "write /var/lib/docker/tmp/GetImageBlob123456: no space left on device",
        "failed to pull image: failed to extract layer sha256:0a1b: mount callback failed: no space left on device",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "OSError: [Errno 28] No space left on device: '/home/me/checkpoint.h5'",
        "NCCL WARN posix_fallocate failed : No space left on device",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
