"""The kernel's own driver nouveau holds no NVIDIA GPU.

nouveau comes with the kernel and takes an NVIDIA GPU at boot, unless a file in /etc/modprobe.d forbids it. Packages of
NVIDIA's driver bring such a file; NVIDIA's own installer offers to write one, and it takes effect only once it is in
the boot image, too. While nouveau holds the GPU, NVIDIA's module finds none that is free.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.chips import generation_of
from gpudoctor.distributions import DRIVER_GUIDE, install_driver, rebuild_initramfs
from gpudoctor.facts import PciGpu
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

# Without a module of NVIDIA's that loads, nouveau is what is left.
CAUSED_BY = ("driver-module-missing-for-kernel", "driver-secure-boot-rejected")

MENDED_BY = "keep nouveau from loading, then reboot"
DECIDED_BY = "lspci -nnk -d 10de:"
LINKS = (
    "https://github.com/NixOS/nixpkgs/issues/16711",
    "https://github.com/negativo17/nvidia-driver/issues/73",
)
SYMPTOMS = (
    r"NVRM: The NVIDIA probe routine was not called for \d+ device",
    r"NVRM: GPU \S+ is already bound to nouveau",
    r"kernel driver in use: nouveau",
    r"The Nouveau kernel driver is currently in use by your system",
    r"This can occur when a driver such as:? *nouveau",
    r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
)

_BLACKLIST = (
    "printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf"
)


def applies(case: Case) -> bool:
    """Where there is a GPU on the bus."""
    return bool(known(case.facts.pci_gpus))


def check(case: Case) -> Iterator[Finding]:
    """The driver link of the PCI device names who holds it; beside it, NVIDIA's driver may have other GPUs."""
    gpus = known(case.facts.pci_gpus)
    held = [gpu for gpu in gpus if gpu.driver == "nouveau"]
    dropped = [gpu.address for gpu in held if case.listed_gpus and _is_dropped(case, gpu)]
    if dropped:
        yield Finding(
            severity=Severity.INFO,
            message=f"the nouveau driver holds {', '.join(dropped)}, which the loaded NVIDIA driver does not know any"
            " more: TensorFlow does without it",
            evidence=(
                *_links(dropped),
                Evidence(source="cat /proc/driver/nvidia/version", value=str(case.module_version)),
            ),
        )
    bound = [gpu.address for gpu in held if gpu.address not in dropped]
    if bound:
        log = case.facts.kernel_log
        lines = () if isinstance(log, Unread) else tuple(one.text for one in log if one.kind == "probe_not_called")
        yield Finding(
            severity=Severity.WARNING if case.listed_gpus else Severity.ERROR,
            message=f"the nouveau driver holds {', '.join(bound)}, so NVIDIA's driver cannot have it",
            evidence=(
                *_links(bound),
                *(Evidence(source="sudo dmesg", value=line) for line in lines[-1:]),
            ),
            fix=_fix(case),
        )
    for gpu in gpus:
        known(gpu.driver)


def _is_dropped(case: Case, gpu: PciGpu) -> bool:
    """Whether its generation ended before the branch that drives the others: nouveau is right to have it."""
    row = generation_of(gpu, case.matrix)
    last = None if row is None else row.last_branch
    module = case.facts.driver.kernel_module_version
    return last is not None and not isinstance(module, Unread) and module.branch > last.branch


def _links(addresses: list[str]) -> Iterator[Evidence]:
    for address in addresses:
        yield Evidence(source=f"readlink /sys/bus/pci/devices/{address}/driver", value="nouveau")


def _fix(case: Case) -> Fix:
    system, files = case.facts.system, case.facts.driver.module_files
    # A machine that never had NVIDIA's driver wants that first: its packages bring the blacklist.
    missing = files == ()
    return Fix(
        text="install NVIDIA's driver, keep nouveau from loading, then reboot" if missing else MENDED_BY,
        commands=(
            *(install_driver(system) if missing else ()),
            _BLACKLIST,
            *rebuild_initramfs(system),
            "sudo reboot",
        ),
        needs_root=True,
        needs_reboot=True,
        url=DRIVER_GUIDE if missing else "",
    )
