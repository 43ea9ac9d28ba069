"""An NVIDIA GPU is in this machine.

Judged by the PCI bus, which shows a GPU with or without a driver. WSL and Jetson have theirs elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import Unread, known
from gpudoctor.findings import Evidence, Finding, Fix, Severity


def decides(case: Case) -> bool:
    """Without the GPU list nothing can be said of the host."""
    return True


def check(case: Case) -> Iterator[Finding]:
    """NVML's list first, then the bus."""
    facts = case.facts
    if not isinstance(facts.gpus, Unread) and facts.gpus:
        return
    if facts.system.wsl or facts.system.jetson:
        known(facts.gpus)
        return
    if known(facts.pci_gpus):
        return
    yield Finding(
        severity=Severity.ERROR,
        message="this machine has no NVIDIA GPU: no display device of vendor 10de on the PCI bus",
        evidence=(Evidence(source="lspci -d 10de:", value="nothing"),),
        fix=Fix(
            text="use a machine with an NVIDIA GPU; in a virtual machine, have the GPU passed through;"
            " TensorFlow on the CPU needs none of this: gpudoctor run --gpus none",
        ),
    )
