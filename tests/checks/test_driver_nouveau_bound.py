"""driver-nouveau-bound: who holds the GPUs of the bus."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.fakes import NOT_LOADED, answer, facts_of, pci_gpu, unread

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
