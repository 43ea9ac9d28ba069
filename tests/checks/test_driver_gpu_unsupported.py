"""driver-gpu-unsupported: branch and flavour of the driver against the generation of the GPU."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, ModuleFile, Package, PciGpu
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, driver_says, event, facts_of, gpu, pci_gpu, unread

CHECK = "driver-gpu-unsupported"

GT_710, GTX_1050, TITAN_V, RTX_3090, RTX_5090, UNKNOWN = "128b", "1c81", "1d81", "2204", "2b85", "4fff"


def bus(device_id: str | Any, index: int = 0, driver: str = "nvidia") -> PciGpu:
    return PciGpu(address=f"0000:{index + 1:02x}:00.0", device_id=device_id, driver=driver)


def ignored(device_id: Any, version: str, flavour: Any = "proprietary", **changed: Any) -> Facts:
    """The module is loaded, and NVML lists nothing."""
    driver = {
        "version": DriverVersion(version),
        "kernel_module_version": DriverVersion(version),
        "module_flavour": flavour,
        **changed.pop("driver", {}),
    }
    return facts_of(driver=driver, **{"gpus": (), "pci_gpus": (bus(device_id),), **changed})


def unloaded(device_id: str, version: str, flavour: str = "proprietary", **changed: Any) -> Facts:
    """The module found no GPU that it knows, and went again."""
    release = "6.8.0-85-generic"
    path = f"/lib/modules/{release}/updates/dkms/nvidia.ko"
    file = ModuleFile(path=path, kernel_release=release, version=DriverVersion(version), flavour=flavour)
    driver = {**NOT_LOADED, "module_files": (file,)}
    return facts_of(driver=driver, gpus=unread(code=9), pci_gpus=(bus(device_id, driver=""),), **changed)


def test_listed_gpus_are_supported() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("device_id", "version", "flavour", "word"),
    [
        (GT_710, "535.129.03", "proprietary", "470"),
        (GTX_1050, "590.44.01", "open", "580"),
        (TITAN_V, "595.71.05", "open", "580"),
        (RTX_3090, "450.80.02", "proprietary", "455"),
        (RTX_5090, "550.163.01", "open", "570"),
        (GTX_1050, "580.95.05", "open", "Turing"),
        (TITAN_V, "535.129.03", "open", "Turing"),
    ],
)
def test_a_generation_outside_of_the_branch_or_the_module_is_an_error(
    device_id: str, version: str, flavour: str, word: str
) -> None:
    for facts in (ignored(device_id, version, flavour), unloaded(device_id, version, flavour)):
        (finding,) = answer(CHECK, facts).findings
        assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
        assert word in finding.message
        assert finding.fix is not None
        assert finding.fix.commands


@pytest.mark.parametrize(
    ("device_id", "version", "flavour"),
    [
        (GT_710, "470.256.02", "proprietary"),
        (GTX_1050, "580.95.05", "proprietary"),
        (TITAN_V, "580.95.05", "proprietary"),
        (RTX_3090, "455.45.01", "proprietary"),
        (RTX_5090, "570.86.16", "open"),
    ],
)
def test_the_first_and_the_last_branch_are_inside(device_id: str, version: str, flavour: str) -> None:
    assert answer(CHECK, ignored(device_id, version, flavour)).outcome is Outcome.PASSED


def test_a_module_that_went_again_is_why_none_is_loaded() -> None:
    facts = unloaded(GT_710, "535.129.03")
    assert answer("driver-not-loaded", facts).findings[0].caused_by == CHECK


@pytest.mark.parametrize(
    ("os_id", "command"),
    [
        ("ubuntu", "sudo apt-get install nvidia-driver-580"),
        ("debian", "nvidia-driver-pinning-580"),
        ("rocky", "'*nvidia*580*'"),
        ("sles", "cuda-drivers-580"),
    ],
)
def test_the_last_branch_is_installed_as_this_distribution_does_it(os_id: str, command: str) -> None:
    facts = ignored(GTX_1050, "590.44.01", system={"os_id": os_id, "os_like": ()})
    (finding,) = answer(CHECK, facts).findings
    assert finding.fix is not None
    assert command in finding.fix.commands[0]
    assert "open" not in finding.fix.commands[0]


@pytest.mark.parametrize(
    ("os_id", "package", "device_id", "command"),
    [
        ("debian", "nvidia-driver", GT_710, "nvidia-tesla-470-driver"),
        ("fedora", "akmod-nvidia", GT_710, "akmod-nvidia-470xx"),
        ("fedora", "akmod-nvidia", GTX_1050, "akmod-nvidia-580xx"),
    ],
)
def test_legacy_branches_have_packages_of_their_own(os_id: str, package: str, device_id: str, command: str) -> None:
    system = {"os_id": os_id, "os_like": (), "packages": (Package(name=package, version="595.71.05"),)}
    (finding,) = answer(CHECK, ignored(device_id, "595.71.05", system=system)).findings
    assert finding.fix is not None
    assert command in finding.fix.commands[0]


def test_enterprise_linux_9_has_a_stream_for_each_branch() -> None:
    system = {"os_id": "rhel", "os_like": ("fedora",), "kernel_release": "5.14.0-570.23.1.el9_6.x86_64"}
    (finding,) = answer(CHECK, ignored(GTX_1050, "590.44.01", system=system)).findings
    assert finding.fix is not None
    assert "nvidia-driver:580-dkms" in finding.fix.commands[0]


def test_a_chip_that_nobody_knows_is_judged_by_the_drivers_own_word() -> None:
    text = "NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:4fff) is not supported by the NVIDIA 580.95.05 driver"
    line = event("unsupported_gpu", text, pci_address="0000:01:00.0")
    (finding,) = answer(CHECK, ignored(UNKNOWN, "580.95.05", kernel_log=(line,))).findings
    assert text in [evidence.value for evidence in finding.evidence]
    assert answer(CHECK, ignored(UNKNOWN, "580.95.05", kernel_log=())).outcome is Outcome.PASSED
    elsewhere = event("unsupported_gpu", text, pci_address="0000:41:00.0")
    assert answer(CHECK, ignored(UNKNOWN, "580.95.05", kernel_log=(elsewhere,))).outcome is Outcome.PASSED
    assert answer(CHECK, ignored(UNKNOWN, "580.95.05", kernel_log=unread(Why.FORBIDDEN))).outcome is Outcome.UNKNOWN


def test_the_branch_that_the_driver_names_is_the_one_to_install() -> None:
    line = event("legacy_branch", "NVRM: supported through the NVIDIA 470.xx Legacy drivers.", code=470)
    (finding,) = answer(CHECK, ignored(UNKNOWN, "580.95.05", kernel_log=(line,))).findings
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo apt-get install nvidia-driver-470",)


def test_of_two_gpus_the_one_that_is_listed_is_not_accused() -> None:
    facts = ignored(RTX_3090, "535.129.03", gpus=(gpu(0),), pci_gpus=(bus(RTX_3090), bus(GT_710, 1)))
    (finding,) = answer(CHECK, facts).findings
    assert "0000:02:00.0" in finding.message
    assert answer("gpu-not-listed", facts).findings[0].caused_by == CHECK


def test_a_gpu_that_another_driver_holds_is_not_refused_by_this_one() -> None:
    facts = ignored(RTX_3090, "535.129.03", gpus=(gpu(0),), pci_gpus=(bus(RTX_3090), bus(GT_710, 1, "nouveau")))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_without_any_module_on_the_disk_nothing_refuses_a_gpu() -> None:
    facts = facts_of(driver={**NOT_LOADED, "module_files": ()}, gpus=unread(code=9), pci_gpus=(bus(GT_710, driver=""),))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "facts",
    [
        ignored(unread(), "535.129.03"),
        ignored(GT_710, "535.129.03", gpus=unread(Why.TIMEOUT)),
        ignored(GTX_1050, "580.95.05", unread()),
        facts_of(pci_gpus=unread()),
        facts_of(pci_gpus=(pci_gpu(0), pci_gpu(1)), gpus=(gpu(0, pci_address=unread()),)),
    ],
)
def test_what_is_unread_is_unknown(facts: Facts) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_mismatch_is_the_root_of_what_cannot_be_told() -> None:
    facts = facts_of(driver=driver_says(unread(code=18)), gpus=unread(code=18))
    assert answer(CHECK, facts).explained_by == "driver-library-mismatch"


@pytest.mark.parametrize("system", [{"wsl": True}, {"jetson": True}, {"container": "docker"}])
def test_where_not_every_gpu_is_this_systems_nobody_asks(system: dict[str, Any]) -> None:
    assert answer(CHECK, ignored(GT_710, "535.129.03", system=system)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "NVRM:  supported through the NVIDIA 470.xx Legacy drivers. Please",
        (
            "NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:1c81) installed in this system is not supported by"
            " the NVIDIA 590.44.01 driver release."
        ),
        (
            "nvidia 0000:01:00.0: probe failed: NVRM: The NVIDIA GPU 0000:01:00.0 is not supported by open"
            " nvidia.ko because it does not include the required GPU System Processor (GSP)."
        ),
        "NVRM:  information.  The 595.71.05 NVIDIA driver will ignore",
        "No devices were found",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024")
