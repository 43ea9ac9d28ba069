"""driver-nouveau-bound: who holds the GPUs of the bus."""

from __future__ import annotations

import pytest

from gpudoctor.facts import PciGpu
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, event, facts_of, pci_gpu, unread

CHECK = "driver-nouveau-bound"


@pytest.mark.parametrize("holder", ["nvidia", "", "vfio-pci"])
def test_gpu_that_nouveau_does_not_hold_is_well(holder: str) -> None:
    assert answer(CHECK, facts_of(pci_gpus=(pci_gpu(0, holder),))).outcome is Outcome.PASSED


def test_nouveau_is_an_error_where_nvidia_has_no_gpu() -> None:
    facts = facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "nouveau"), pci_gpu(1, "nouveau")))
    result = answer(CHECK, facts)
    (finding,) = result.findings
    assert (result.outcome, finding.severity) == (Outcome.FAILED, Severity.ERROR)
    assert "0000:01:00.0, 0000:02:00.0" in finding.message


def test_nouveau_is_a_warning_beside_a_gpu_that_nvidia_drives() -> None:
    result = answer(CHECK, facts_of(pci_gpus=(pci_gpu(0), pci_gpu(1, "nouveau"))))
    assert [finding.severity for finding in result.findings] == [Severity.WARNING]


@pytest.mark.parametrize(("device", "severity"), [("128b", Severity.INFO), ("2204", Severity.WARNING)])
def test_beside_others_nouveau_is_right_to_have_a_gpu_that_the_loaded_driver_has_dropped(
    device: str, severity: Severity
) -> None:
    second = PciGpu(address="0000:02:00.0", device_id=device, driver="nouveau")
    (finding,) = answer(CHECK, facts_of(pci_gpus=(pci_gpu(0), second))).findings
    assert (finding.severity, finding.fix is None) == (severity, severity is Severity.INFO)
    alone = facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(second,))
    assert answer(CHECK, alone).findings[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    ("os_id", "command"),
    [("ubuntu", "sudo update-initramfs -u"), ("rocky", "sudo dracut --force"), ("sles", "sudo dracut --force")],
)
def test_boot_image_is_rebuilt_as_the_distribution_does_it(os_id: str, command: str) -> None:
    facts = facts_of(system={"os_id": os_id, "os_like": ()}, pci_gpus=(pci_gpu(0, "nouveau"),))
    fix = answer(CHECK, facts).findings[0].fix
    assert fix is not None
    assert command in fix.commands


def test_a_holder_that_is_unread_is_unknown() -> None:
    assert answer(CHECK, facts_of(pci_gpus=(pci_gpu(0, unread(Why.FORBIDDEN)),))).outcome is Outcome.UNKNOWN


def test_a_holder_that_is_unread_hides_no_other() -> None:
    result = answer(CHECK, facts_of(pci_gpus=(pci_gpu(0, unread()), pci_gpu(1, "nouveau"))))
    assert (result.outcome, len(result.findings), result.unread) == (Outcome.FAILED, 1, unread())


def test_unread_bus_is_unknown_and_an_empty_one_not_asked() -> None:
    assert answer(CHECK, facts_of(pci_gpus=unread())).outcome is Outcome.UNKNOWN
    assert answer(CHECK, facts_of(pci_gpus=())).outcome is Outcome.NOT_APPLICABLE


def test_a_machine_without_nvidias_driver_is_told_to_install_it_first() -> None:
    facts = facts_of(driver={**NOT_LOADED, "module_files": ()}, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "nouveau"),))
    fix = answer(CHECK, facts).findings[0].fix
    assert fix is not None
    assert fix.commands[0] == "sudo ubuntu-drivers install"


def test_the_kernels_own_word_is_shown() -> None:
    line = event("probe_not_called", "NVRM: The NVIDIA probe routine was not called for 1 device(s).")
    facts = facts_of(gpus=(), pci_gpus=(pci_gpu(0, "nouveau"),), kernel_log=(line,))
    assert line.text in [evidence.value for evidence in answer(CHECK, facts).findings[0].evidence]


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: The NVIDIA probe routine was not called for 1 device(s).",
        "\tKernel driver in use: nouveau",
        "ERROR: The Nouveau kernel driver is currently in use by your system.  This driver is incompatible",
        "NVRM: GPU 0000:01:00.0 is already bound to nouveau.",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "NVRM: GPU 0000:01:00.0 is already bound to vfio-pci.")
