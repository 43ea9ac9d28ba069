"""image-driver-libraries-baked-in: a libcuda of the image beside the host's."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import CudaLibrary
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.inside import inside
from tests.checks.logs import suspects
from tests.fakes import NOT_LOADED, answer, facts_of, unread

CHECK = "image-driver-libraries-baked-in"
FOLDER = "/usr/lib/x86_64-linux-gnu"
HOST = CudaLibrary(path=f"{FOLDER}/libcuda.so.1", version=DriverVersion("535.129.03"), kind="driver")
BAKED = CudaLibrary(path="/usr/local/lib/libcuda.so.1", version=DriverVersion("470.82.01"), kind="driver")
COMPAT = CudaLibrary(path="/usr/local/cuda/compat/libcuda.so.1", version=DriverVersion("550.54.14"), kind="compat")
WINDOWS = CudaLibrary(path="/usr/lib/wsl/lib/libcuda.so.1", version=unread(Why.ABSENT), kind="wsl")
WSL: dict[str, Any] = {"wsl": True}


@pytest.mark.parametrize("libraries", [(HOST,), (COMPAT, HOST), (HOST, HOST), (BAKED,), ()])
def test_one_of_the_driver_is_well(libraries: tuple[CudaLibrary, ...]) -> None:
    assert answer(CHECK, inside({}, driver_facts={"libcuda": libraries})).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("libraries", "severity"), [((HOST, BAKED), Severity.WARNING), ((BAKED, HOST), Severity.ERROR)]
)
def test_one_of_another_version_is_an_error_where_programs_get_it(
    libraries: tuple[CudaLibrary, ...], severity: Severity
) -> None:
    (finding,) = answer(CHECK, inside({}, driver_facts={"libcuda": libraries})).findings
    assert (finding.severity, BAKED.path in finding.message) == (severity, True)


@pytest.mark.parametrize(
    ("libraries", "outcome"),
    [((WINDOWS,), Outcome.PASSED), ((WINDOWS, HOST), Outcome.FAILED), ((WINDOWS, COMPAT), Outcome.PASSED)],
)
def test_under_wsl_only_the_one_of_windows_belongs_there(libraries: tuple[CudaLibrary, ...], outcome: Outcome) -> None:
    facts = inside({}, system=WSL, driver_facts={"libcuda": libraries})
    assert answer(CHECK, facts).outcome is outcome


@pytest.mark.parametrize("libraries", [unread(), (CudaLibrary(path="/x", version=unread(), kind="driver"), HOST)])
def test_what_is_unread_is_unknown(libraries: Any) -> None:
    assert answer(CHECK, inside({}, driver_facts={"libcuda": libraries})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("facts", [facts_of(driver={"libcuda": (BAKED, HOST)}), inside({}, driver_facts=NOT_LOADED)])
def test_a_host_and_a_container_without_a_driver_are_not_asked(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "nvidia-container-cli: mount error: file creation failed: /merged/libnvidia-ml.so.1: file exists: unknown",
        "file creation failed: /var/lib/docker/overlay2/ab/merged/usr/lib/libcuda.so.1: file exists",
        "libnvidia-ml.so.1: file exists",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "mount error: file creation failed: /merged/etc/resolv.conf: file exists",
        "libnvidia-ml.so.1: cannot open shared object",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
