"""image-registry-unauthorized: the words of registries and engines."""

from __future__ import annotations

import pytest

from gpudoctor import checks
from tests.checks.logs import suspects

CHECK = "image-registry-unauthorized"


def test_only_a_log_can_tell() -> None:
    (check,) = (one for one in checks.discover() if one.id == CHECK)
    assert not check.judges
    assert check.cause
    assert check.mended_by
    assert check.decided_by


@pytest.mark.parametrize(
    "line",
    [
        "unauthorized: authentication required",
        "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
        "Error response from daemon: pull access denied for nvcr.io/nvidia/tensorrt, repository does not exist",
        "Error response from daemon: Head https://nvcr.io/v2/nvidia/tensorflow/manifests/24.03-tf2-py3: unauthorized",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "docker.io/library/foo: not found",
        "unauthorized attempt to read the log of user 401",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
