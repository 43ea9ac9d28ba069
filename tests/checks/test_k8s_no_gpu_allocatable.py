"""k8s-no-gpu-allocatable: the words of scheduler, kubelet and device plugin."""

from __future__ import annotations

import pytest

from gpudoctor import checks
from tests.checks.logs import suspects

CHECK = "k8s-no-gpu-allocatable"


def test_only_a_log_can_tell() -> None:
    (check,) = (one for one in checks.discover() if one.id == CHECK)
    assert not check.judges
    assert check.cause
    assert check.mended_by
    assert check.decided_by


@pytest.mark.parametrize(
    "line",
    [
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available",
        "Warning  FailedScheduling  12s  default-scheduler  0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        "I0101 00:00:00.000000 1 main.go:346] No devices found. Waiting indefinitely.",
        "  nvidia.com/gpu:     0",
        "If this is a GPU node, did you configure the NVIDIA Container Toolkit?",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "0/3 nodes are available: 3 Insufficient memory.",
        "  nvidia.com/gpu:     8",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
