"""image-wrong-architecture: the words of kernel and engines."""

from __future__ import annotations

import pytest

from gpudoctor import checks
from tests.checks.logs import suspects

CHECK = "image-wrong-architecture"


def test_only_a_log_can_tell() -> None:
    (check,) = (one for one in checks.discover() if one.id == CHECK)
    assert not check.judges
    assert check.cause
    assert check.mended_by
    assert check.decided_by


@pytest.mark.parametrize(
    "line",
    [
        "exec /usr/local/bin/nvidia_entrypoint.sh: exec format error",
        "standard_init_linux.go:228: exec user process caused: exec format error",
        'Error: choosing image instance: no image found in manifest list for architecture amd64, variant "", OS linux',
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "The image's platform (linux/arm64) does not match the detected host platform (linux/amd64/v3)",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "tar: this does not look like a tar archive",
        "ValueError: unknown format error in line 3",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
