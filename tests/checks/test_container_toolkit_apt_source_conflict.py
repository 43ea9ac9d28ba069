"""container-toolkit-apt-source-conflict: old files of NVIDIA's package source beside the present one."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "container-toolkit-apt-source-conflict"
FOLDER = "/etc/apt/sources.list.d"
PRESENT = f"{FOLDER}/nvidia-container-toolkit.list"


@pytest.mark.parametrize(
    "files", [(), (PRESENT,), (f"{FOLDER}/nvidia-docker.list",), (PRESENT, f"{FOLDER}/cuda-nvidia.list")]
)
def test_one_file_or_unrelated_ones_are_well(files: tuple[str, ...]) -> None:
    assert answer(CHECK, facts_of(engine={"toolkit_sources": files})).outcome is Outcome.PASSED


@pytest.mark.parametrize("old", ["libnvidia-container.list", "nvidia-container-runtime.list", "nvidia-docker.list"])
def test_an_old_file_beside_the_present_one_is_a_warning_with_the_file_to_delete(old: str) -> None:
    files = (PRESENT, f"{FOLDER}/{old}")
    (finding,) = answer(CHECK, facts_of(engine={"toolkit_sources": files})).findings
    assert finding.severity is Severity.WARNING
    assert finding.fix is not None
    assert finding.fix.commands[0] == f"sudo rm {FOLDER}/{old}"


def test_unread_files_are_unknown() -> None:
    assert answer(CHECK, facts_of(engine={"toolkit_sources": unread()})).outcome is Outcome.UNKNOWN


SOURCE = "https://nvidia.github.io/libnvidia-container/stable"
CONFLICT = "E: Conflicting values set for option Signed-By regarding source"


@pytest.mark.parametrize(
    "line",
    [
        f"{CONFLICT} {SOURCE}/ubuntu18.04/amd64/ /: /usr/share/keyrings/nvidia-container-toolkit-keyring.gpg !=",
        f"{CONFLICT} {SOURCE}/deb/amd64/ /:",
        f"{CONFLICT} mirror: /usr/share/keyrings/nvidia-container-toolkit-keyring.gpg != ",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        f"{CONFLICT} https://download.docker.com/linux/ubuntu/ jammy: a != b",
        f"W: {SOURCE}/deb/amd64/InRelease: Key is stored in legacy trusted.gpg keyring",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
