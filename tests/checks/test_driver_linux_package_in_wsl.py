"""driver-linux-package-in-wsl: a Linux driver inside WSL."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import CudaLibrary, Package
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, facts_of, unread

CHECK = "driver-linux-package-in-wsl"

WINDOWS = CudaLibrary(path="/usr/lib/wsl/lib/libcuda.so.1", version=unread(Why.GARBLED), kind="wsl")
LINUX = CudaLibrary(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", version=DriverVersion("550.163.01"), kind="driver")
DRIVER = Package(name="libnvidia-compute-550", version="550.163.01-0ubuntu1")
TOOLKIT = (
    Package(name="nvidia-container-toolkit", version="1.17.8-1"),
    Package(name="cuda-toolkit-12-4", version="12.4.1-1"),
    Package(name="docker-ce", version="28.5.1"),
)


def in_wsl(libraries: Any, packages: Any, **changed: Any) -> Any:
    return facts_of(
        system={"wsl": True, "packages": packages, **changed.pop("system", {})},
        driver={"libcuda": libraries, "wsl_libraries": ("libcuda.so.1",), "device_nodes": ("/dev/dxg",)},
        pci_gpus=(),
        **changed,
    )


def test_windows_library_and_the_toolkit_are_well() -> None:
    assert answer(CHECK, in_wsl((WINDOWS,), TOOLKIT)).outcome is Outcome.PASSED


def test_a_linux_library_before_that_of_windows_is_the_root_of_cudas_failure() -> None:
    facts = in_wsl((LINUX, WINDOWS), (DRIVER, *TOOLKIT), cuda=cuda_says(100))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert LINUX.path in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo apt-get purge libnvidia-compute-550", "sudo ldconfig")
    assert answer("cuda-init-failed", facts).findings[0].caused_by == CHECK


def test_what_the_runfile_put_there_is_removed_by_its_own_uninstaller() -> None:
    (finding,) = answer(CHECK, in_wsl((LINUX, WINDOWS), TOOLKIT, cuda=cuda_says(100))).findings
    assert finding.fix is not None
    assert "sudo nvidia-uninstall" in finding.fix.commands


def test_a_package_that_hides_nothing_yet_is_a_warning() -> None:
    assert [one.severity for one in answer(CHECK, in_wsl((WINDOWS,), (DRIVER,))).findings] == [Severity.WARNING]


def test_a_library_that_cuda_starts_with_all_the_same_is_a_warning() -> None:
    assert [one.severity for one in answer(CHECK, in_wsl((LINUX,), ())).findings] == [Severity.WARNING]


@pytest.mark.parametrize("name", ["nvidia-driver-535", "cuda-drivers-550", "libcuda1", "nvidia-utils-535-server"])
def test_driver_packages_of_every_kind_are_known(name: str) -> None:
    facts = in_wsl((WINDOWS,), (Package(name=name, version="1"),))
    assert answer(CHECK, facts).outcome is Outcome.FAILED


def test_windows_own_missing_library_comes_first() -> None:
    facts = facts_of(
        system={"wsl": True},
        driver={"libcuda": (LINUX,), "wsl_libraries": (), "device_nodes": ("/dev/dxg",)},
        cuda=cuda_says(100),
        pci_gpus=(),
    )
    assert answer(CHECK, facts).findings[0].caused_by == "driver-wsl-libcuda-missing"


def test_what_is_unread_is_unknown() -> None:
    assert answer(CHECK, in_wsl(unread(), (DRIVER,))).outcome is Outcome.UNKNOWN
    assert answer(CHECK, in_wsl((WINDOWS,), unread())).outcome is Outcome.UNKNOWN


def test_outside_of_wsl_and_in_its_containers_nobody_asks() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE
    facts = in_wsl((LINUX,), (DRIVER,), system={"container": "docker"})
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "nvidia-container-cli: initialization error: driver error: failed to process request: unknown.",
        "docker: Error response from daemon: OCI runtime create failed: driver error: failed to process request",
        "Failed to initialize NVML: GPU access blocked by the operating system",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown.")
