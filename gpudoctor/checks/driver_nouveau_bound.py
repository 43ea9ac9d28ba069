"""The kernel's own driver nouveau holds no NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import rebuild_initramfs
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

_BLACKLIST = (
    "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf"
)


def applies(case: Case) -> bool:
    """Where there is a GPU on the bus."""
    return bool(known(case.facts.pci_gpus))


def check(case: Case) -> Iterator[Finding]:
    """The driver link of the PCI device names who holds it; beside it, NVIDIA's driver may have other GPUs."""
    gpus = known(case.facts.pci_gpus)
    bound = [gpu.address for gpu in gpus if gpu.driver == "nouveau"]
    if bound:
        yield Finding(
            severity=Severity.WARNING if case.listed_gpus else Severity.ERROR,
            message=f"the nouveau driver holds {', '.join(bound)}, so NVIDIA's driver cannot have it",
            evidence=tuple(
                Evidence(source=f"readlink /sys/bus/pci/devices/{address}/driver", value="nouveau") for address in bound
            ),
            fix=Fix(
                text="keep nouveau from loading, then reboot",
                commands=(_BLACKLIST, *rebuild_initramfs(case.facts.system), "sudo reboot"),
                needs_root=True,
                needs_reboot=True,
            ),
        )
    for gpu in gpus:
        known(gpu.driver)
