"""driver-wsl-libcuda-missing: Windows lends this WSL no library."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, facts_of, unread

CHECK = "driver-wsl-libcuda-missing"

WSL = {"wsl": True, "packages": ()}
LIBRARIES = ("libcuda.so", "libcuda.so.1", "libcuda.so.1.1", "libnvidia-ml.so.1", "nvidia-smi")


def in_wsl(libraries: Any, nodes: tuple[str, ...] = ("/dev/dxg",), **system: Any) -> Any:
    return facts_of(
        system={**WSL, **system},
        driver={"wsl_libraries": libraries, "device_nodes": nodes, "libcuda": ()},
        gpus=unread(Why.ABSENT, code=12),
        pci_gpus=(),
    )


def test_windows_libraries_are_well() -> None:
    assert answer(CHECK, in_wsl(LIBRARIES)).outcome is Outcome.PASSED
    assert answer(CHECK, in_wsl(("libcuda.so.1.1",))).outcome is Outcome.PASSED


@pytest.mark.parametrize("libraries", [(), ("libd3d12.so", "libdxcore.so"), ("libnvidia-ml.so.1",)])
def test_no_libcuda_is_an_error_that_windows_mends(libraries: tuple[str, ...]) -> None:
    (finding,) = answer(CHECK, in_wsl(libraries)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert finding.fix is not None
    assert "wsl --update" in finding.fix.text
    assert "WSL 1" not in finding.fix.text


def test_without_the_device_it_may_be_wsl_1() -> None:
    (finding,) = answer(CHECK, in_wsl((), nodes=())).findings
    assert "/dev/dxg" in finding.message
    assert finding.fix is not None
    assert "WSL 1" in finding.fix.text


def test_unread_folder_is_unknown() -> None:
    assert answer(CHECK, in_wsl(unread(Why.FORBIDDEN))).outcome is Outcome.UNKNOWN


def test_outside_of_wsl_and_in_its_containers_nobody_asks() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE
    assert answer(CHECK, in_wsl((), container="docker")).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        (
            "nvidia-container-cli: mount error: stat failed: /usr/lib/wsl/lib/libcuda.so.1: no such file or"
            " directory: unknown"
        ),
        "ls: cannot access: /usr/lib/wsl/lib/libcuda.so.1: No such file or directory",
        "nvidia-container-cli: initialization error: WSL environment detected but no adapters were found: unknown",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(
        CHECK,
        "nvidia-container-cli: mount error: file creation failed: /usr/lib/x86_64-linux-gnu/libcuda.so.1: file exists",
    )
