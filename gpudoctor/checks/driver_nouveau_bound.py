"""No foreign kernel driver holds an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import rebuild_initramfs
from gpudoctor.facts import Unread, known
from gpudoctor.findings import Evidence, Finding, Fix, Severity


def applies(case: Case) -> bool:
    """Where there is a GPU on the bus."""
    pci = case.facts.pci_gpus
    return isinstance(pci, Unread) or bool(pci)


def check(case: Case) -> Iterator[Finding]:
    """The driver link of the PCI device names who holds it."""
    bound = [gpu.address for gpu in known(case.facts.pci_gpus) if gpu.driver == "nouveau"]
    if not bound:
        return
    blacklist = (
        "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf"
    )
    yield Finding(
        severity=Severity.ERROR,
        message=f"the nouveau driver holds {', '.join(bound)}, so NVIDIA's driver cannot have it",
        evidence=tuple(
            Evidence(source=f"readlink /sys/bus/pci/devices/{address}/driver", value="nouveau") for address in bound
        ),
        fix=Fix(
            text="keep nouveau from loading, then reboot",
            commands=(blacklist, *rebuild_initramfs(case.facts.system), "sudo reboot"),
            needs_root=True,
            needs_reboot=True,
        ),
    )
