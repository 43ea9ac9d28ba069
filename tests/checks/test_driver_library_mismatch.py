"""driver-library-mismatch: NVML's code 18, or two version numbers."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import CudaLibrary, ModuleFile
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.symptoms import knows
from tests.fakes import answer, driver_says, event, facts_of, unread

CHECK = "driver-library-mismatch"


def test_equal_versions_are_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_versions_that_differ_in_spelling_alone_are_equal() -> None:
    assert answer(CHECK, facts_of(driver={"version": DriverVersion("535.129.3")})).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "driver",
    [driver_says(unread(code=18)), {"version": DriverVersion("535.161.07")}, {"version": DriverVersion("535.129.02")}],
    ids=["NVML says so", "newer library", "older library"],
)
def test_a_mismatch_is_an_error_that_a_reboot_mends(driver: dict[str, Any]) -> None:
    result = answer(CHECK, facts_of(driver=driver))
    (finding,) = result.findings
    assert (result.outcome, finding.severity) == (Outcome.FAILED, Severity.ERROR)
    assert "535.129.03" in finding.message
    assert finding.fix is not None
    assert finding.fix.needs_reboot


@pytest.mark.parametrize("code", [None, 9, 12, 17, 19, 999])
def test_any_other_code_of_nvml_is_unknown(code: int | None) -> None:
    assert answer(CHECK, facts_of(driver=driver_says(unread(code=code)))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("why", [Why.FORBIDDEN, Why.GARBLED, Why.FAILED])
def test_unread_module_version_is_unknown(why: Why) -> None:
    assert answer(CHECK, facts_of(driver={"kernel_module_version": unread(why)})).outcome is Outcome.UNKNOWN


def test_without_a_module_there_is_nothing_to_compare() -> None:
    facts = facts_of(driver={"kernel_module_version": unread(Why.ABSENT)})
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


def test_the_module_of_a_jetson_is_that_of_its_display() -> None:
    facts = facts_of(system={"jetson": True}, driver={"kernel_module_version": DriverVersion("540.4.0")})
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


NEW = DriverVersion("535.161.07")
LIBRARY = CudaLibrary(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", version=NEW, kind="driver")


def upgraded(on_disk: DriverVersion, **changed: Any) -> Any:
    path = "/lib/modules/6.8.0-85-generic/updates/dkms/nvidia.ko"
    file = ModuleFile(path=path, kernel_release="6.8.0-85-generic", version=on_disk, flavour="proprietary")
    driver = {**driver_says(unread(code=18)), "libcuda": (LIBRARY,), "module_files": (file,)}
    return facts_of(driver=driver, gpus=unread(code=18), **changed)


def test_both_sides_and_the_kernels_own_word_are_the_evidence() -> None:
    line = event("api_mismatch", "NVRM: API mismatch: the client has the version 535.161.07, but")
    (finding,) = answer(CHECK, upgraded(NEW, kernel_log=(line,))).findings
    values = [evidence.value for evidence in finding.evidence]
    assert values[0] == "535.129.03"
    assert {"535.161.07", line.text} <= set(values)
    assert "535.161.07" in finding.message


def test_a_new_module_on_the_disk_is_loaded_by_a_reboot_and_the_packages_held() -> None:
    fix = answer(CHECK, upgraded(NEW)).findings[0].fix
    assert fix is not None
    assert fix.commands[0] == "sudo reboot"
    assert fix.commands[-1] == "sudo apt-mark hold nvidia-driver-535"


@pytest.mark.parametrize(("os_id", "verb"), [("fedora", "dnf versionlock add"), ("sles", "zypper addlock")])
def test_packages_are_held_as_this_distribution_does_it(os_id: str, verb: str) -> None:
    fix = answer(CHECK, upgraded(NEW, system={"os_id": os_id, "os_like": ()})).findings[0].fix
    assert fix is not None
    assert fix.commands[-1] == f"sudo {verb} nvidia-driver-535"


def test_an_old_module_on_the_disk_is_built_anew_before_a_reboot_helps() -> None:
    fix = answer(CHECK, upgraded(DriverVersion("535.129.03"))).findings[0].fix
    assert fix is not None
    assert fix.commands == (
        "sudo apt-get install linux-headers-6.8.0-85-generic",
        "sudo dkms autoinstall",
        "sudo reboot",
    )


def test_in_a_container_the_host_is_what_to_reboot() -> None:
    fix = answer(CHECK, upgraded(NEW, system={"container": "docker"})).findings[0].fix
    assert fix is not None
    assert fix.text.startswith("on the host")
    assert fix.commands == ()


@pytest.mark.parametrize(
    "line",
    [
        "Failed to initialize NVML: Driver/library version mismatch",
        "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
        (
            "kernel version 535.129.3 does not match DSO version 535.161.7 -- cannot find working devices in"
            " this configuration"
        ),
        "NVRM: API mismatch: the client has the version 535.161.07, but",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "kernel reported version is: 535.129.3")
