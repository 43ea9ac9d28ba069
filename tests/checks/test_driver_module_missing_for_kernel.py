"""driver-module-missing-for-kernel: the driver was built for another kernel."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import DkmsModule, Facts, ModuleFile, Package
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, facts_of, pci_gpu, unread

CHECK = "driver-module-missing-for-kernel"

OLD, NEW = "6.8.0-79-generic", "6.8.0-85-generic"
DRIVER = DriverVersion("535.129.03")


def built_for(release: str) -> ModuleFile:
    path = f"/lib/modules/{release}/updates/dkms/nvidia.ko"
    return ModuleFile(path=path, kernel_release=release, version=DRIVER, flavour="proprietary")


def updated(*, system: Any = None, **driver: Any) -> Facts:
    """A machine that runs a kernel for which nobody built the module."""
    changed = {
        **NOT_LOADED,
        "module_files": (built_for(OLD),),
        "dkms": (DkmsModule(version="535.129.03", built_for=(OLD,), failed_for=()),),
        **driver,
    }
    return facts_of(system=system, driver=changed, gpus=unread(code=9), pci_gpus=(pci_gpu(0, ""),))


def test_a_loaded_module_is_well_whatever_lies_on_the_disk() -> None:
    assert answer(CHECK, facts_of(driver={"module_files": (), "dkms": ()})).outcome is Outcome.PASSED


def test_a_module_for_this_kernel_that_is_not_loaded_is_another_fault() -> None:
    assert answer(CHECK, updated(module_files=(built_for(OLD), built_for(NEW)))).outcome is Outcome.PASSED


def test_a_module_for_another_kernel_alone_is_the_root_of_what_follows() -> None:
    facts = updated()
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert OLD in finding.message
    assert NEW in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == (
        f"sudo apt-get install linux-headers-{NEW}",
        "sudo dkms autoinstall",
        "sudo modprobe nvidia",
    )
    for other in ("driver-not-loaded", "gpu-not-listed"):
        assert {one.caused_by for one in answer(other, facts).findings} <= {CHECK}
    assert answer("driver-not-loaded", facts).findings[0].caused_by == CHECK


@pytest.mark.parametrize(
    "driver",
    [
        {"dkms": (), "module_files": (built_for(OLD),)},
        {"module_files": (), "dkms": (DkmsModule(version="535.129.03", built_for=(), failed_for=(NEW,)),)},
        {"module_files": (), "dkms": ()},
    ],
    ids=["file", "DKMS", "package"],
)
def test_any_sign_of_an_installed_driver_will_do(driver: dict[str, Any]) -> None:
    assert answer(CHECK, updated(**driver)).outcome is Outcome.FAILED


def test_without_any_sign_of_a_driver_none_is_installed() -> None:
    facts = updated(system={"packages": ()}, module_files=(), dkms=())
    assert answer(CHECK, facts).outcome is Outcome.PASSED
    assert answer("driver-not-loaded", facts).findings[0].caused_by is None


def test_the_container_toolkit_is_no_sign_of_a_driver() -> None:
    packages = (
        Package(name="nvidia-container-toolkit", version="1.17.8-1"),
        Package(name="libnvidia-container1", version="1.17.8-1"),
        Package(name="cuda-toolkit-12-4", version="12.4.1-1"),
    )
    assert answer(CHECK, updated(system={"packages": packages}, module_files=(), dkms=())).outcome is Outcome.PASSED


def test_a_build_that_failed_names_its_log() -> None:
    dkms = (DkmsModule(version="535.129.03", built_for=(OLD,), failed_for=(NEW,)),)
    (finding,) = answer(CHECK, updated(dkms=dkms)).findings
    assert finding.fix is not None
    assert "/var/lib/dkms/nvidia/535.129.03/build/make.log" in finding.fix.text


def test_missing_headers_are_named_as_what_to_mend() -> None:
    (finding,) = answer(CHECK, updated(kernel_headers=False)).findings
    assert finding.fix is not None
    assert "headers" in finding.fix.text
    assert any("build" in evidence.source for evidence in finding.evidence)


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ({"os_id": "rocky", "os_like": ("rhel",), "packages": ()}, f"sudo dnf install kernel-devel-{NEW}"),
        (
            {"os_id": "sles", "os_like": ("suse",), "packages": (), "kernel_release": "6.4.0-150600.23.47-default"},
            "sudo zypper install kernel-default-devel=6.4.0-150600.23.47",
        ),
        (
            {"os_id": "fedora", "os_like": (), "packages": (Package(name="akmod-nvidia", version="3:580.142"),)},
            f"sudo akmods --force --kernels {NEW}",
        ),
        (
            {"packages": (Package(name="linux-modules-nvidia-570-server-open-6.8.0-79-generic", version="6.8.0-79"),)},
            f"sudo apt-get install linux-modules-nvidia-570-server-open-{NEW}",
        ),
        ({"os_id": "nixos", "os_like": (), "packages": ()}, "sudo dkms autoinstall"),
    ],
    ids=["dnf", "zypper", "akmods", "ready-built", "any other"],
)
def test_the_module_is_built_as_this_distribution_builds_it(system: dict[str, Any], command: str) -> None:
    (finding,) = answer(CHECK, updated(system=system)).findings
    assert finding.fix is not None
    assert command in finding.fix.commands


@pytest.mark.parametrize("missing", ["module_files", "dkms", "modules"])
def test_what_is_unread_is_unknown(missing: str) -> None:
    assert answer(CHECK, updated(**{missing: unread(Why.FORBIDDEN)})).outcome is Outcome.UNKNOWN
    assert answer(CHECK, updated(system={"kernel_release": unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("system", [{"wsl": True}, {"jetson": True}, {"container": "docker"}])
def test_where_the_folder_is_not_the_kernels_nobody_asks(system: dict[str, Any]) -> None:
    assert answer(CHECK, updated(system=system)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.8.0-85-generic",
        "Error! Bad return status for module build on kernel: 6.8.0-85-generic (x86_64)",
        "Error! Your kernel headers for kernel 5.4.0-42-generic cannot be found.",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "modprobe: FATAL: Module nvidiafb not found in directory /lib/modules/6.8.0-85-generic")
