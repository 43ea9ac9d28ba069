"""The kernel's own driver nova_core holds no NVIDIA GPU.

nova_core is the successor to nouveau that grows inside the kernel. Kernels that have it as a module, as that of Ubuntu
26.04 at its release, let it take Turing, Ampere and Ada GPUs at boot, long before it can drive them; a blacklist made
for nouveau does not stop it. NVIDIA's module then finds the GPU taken and unloads again.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import rebuild_initramfs
from gpudoctor.facts import PciGpu
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = ("driver-module-missing-for-kernel", "driver-secure-boot-rejected")

MENDED_BY = "keep nova_core and nova_drm from loading, then reboot"
DECIDED_BY = "lspci -nnk -d 10de:"
LINKS = (
    "https://github.com/beclab/Olares/pull/3963",
    "https://docs.kernel.org/gpu/nova/index.html",
)
SYMPTOMS = (
    r"NVRM: GPU \S+ is already bound to nova",
    r"kernel driver in use: nova",
    r"NVRM: No NVIDIA devices probed",
    r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
)

_BLACKLIST = "printf 'blacklist nova_core\\nblacklist nova_drm\\n' | sudo tee /etc/modprobe.d/blacklist-nova.conf"


def applies(case: Case) -> bool:
    """Where there is a GPU on the bus."""
    return bool(known(case.facts.pci_gpus))


def check(case: Case) -> Iterator[Finding]:
    """The driver link of the PCI device names who holds it; beside it, NVIDIA's driver may have other GPUs."""
    gpus = known(case.facts.pci_gpus)
    bound = [gpu for gpu in gpus if _is_nova(gpu)]
    if bound:
        addresses = ", ".join(gpu.address for gpu in bound)
        log = case.facts.kernel_log
        lines = () if isinstance(log, Unread) else tuple(line.text for line in log if line.kind == "novacore_bound")
        yield Finding(
            severity=Severity.WARNING if case.listed_gpus else Severity.ERROR,
            message=f"the nova_core driver holds {addresses}, so NVIDIA's driver cannot have it",
            evidence=(
                *(
                    Evidence(source=f"readlink /sys/bus/pci/devices/{gpu.address}/driver", value=str(gpu.driver))
                    for gpu in bound
                ),
                *(Evidence(source="sudo dmesg", value=line) for line in lines[-1:]),
            ),
            fix=Fix(
                text=MENDED_BY,
                commands=(_BLACKLIST, *rebuild_initramfs(case.facts.system), "sudo reboot"),
                needs_root=True,
                needs_reboot=True,
                url=LINKS[0],
            ),
        )
    for gpu in gpus:
        known(gpu.driver)


def _is_nova(gpu: PciGpu) -> bool:
    """The module is nova_core, and the driver that it registers NovaCore."""
    return not isinstance(gpu.driver, Unread) and gpu.driver.lower().replace("_", "").replace("-", "") == "novacore"
