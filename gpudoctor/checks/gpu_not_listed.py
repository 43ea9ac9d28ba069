"""The driver lists every NVIDIA GPU of the PCI bus."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import Unread, known
from gpudoctor.findings import Evidence, Finding, Fix, Severity

CAUSED_BY = (
    "driver-nouveau-bound",
    "driver-not-loaded",
    "driver-library-mismatch",
    "container-gpus-not-requested",
    "driver-libraries-missing",
)


def decides(case: Case) -> bool:
    """Without NVML's list nothing can be said of the host."""
    return applies(case)


def applies(case: Case) -> bool:
    """Where the bus shows GPUs at all, and to a process that may see them all."""
    pci = case.facts.pci_gpus
    # A container is shown the whole bus and given some of the GPUs.
    return not case.facts.system.container and not isinstance(pci, Unread) and bool(pci)


def check(case: Case) -> Iterator[Finding]:
    """Compare NVML's count with the bus; devices given away to a virtual machine do not count."""
    given_away = ("vfio-pci", "pci-stub")
    on_bus = [gpu for gpu in known(case.facts.pci_gpus) if gpu.driver not in given_away]
    listed = known(case.facts.gpus)
    if len(listed) >= len(on_bus):
        return
    seen = {gpu.pci_address for gpu in listed}
    missing = [gpu.address for gpu in on_bus if gpu.address not in seen]
    yield Finding(
        severity=Severity.ERROR,
        message=f"the driver lists {len(listed)} of the {len(on_bus)} NVIDIA GPUs on the PCI bus",
        evidence=(
            Evidence(source="nvidia-smi -L", value=f"{len(listed)} GPUs"),
            Evidence(source="lspci -D -d 10de:", value=", ".join(missing)),
        ),
        fix=Fix(
            text="the kernel log says why the driver refused them",
            commands=("sudo dmesg | grep -i -e NVRM -e nvidia",),
            needs_root=True,
        ),
    )
