"""How findings name a GPU, and what gives a sick one back."""

from __future__ import annotations

import re

from gpudoctor.checks import Case
from gpudoctor.distributions import package_manager
from gpudoctor.facts import GpuFacts, SystemFacts
from gpudoctor.findings import Fix
from gpudoctor.readings import Unread

SMI_GUIDE = "https://docs.nvidia.com/deploy/nvidia-smi/index.html"
RECOVERY_GUIDE = (
    "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/error-recovery-and-response-flags.html"  # (2026-11)
)

SILENCED_BY = ("gpu-fallen-off-bus", "driver-call-hung")
"""Checks whose error is why a GPU gives no answer to the questions of others."""


def named(gpu: GpuFacts) -> str:
    """GPU 0 (NVIDIA H100 80GB HBM3)"""
    return f"GPU {gpu.index}" if isinstance(gpu.name, Unread) else f"GPU {gpu.index} ({gpu.name})"


def counted(number: int, noun: str) -> str:
    """1 bank, 2 banks"""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def by_uuid(gpu: GpuFacts) -> str:
    """What `nvidia-smi -i` takes: indices change with every boot and from NVML to CUDA."""
    return str(gpu.index) if isinstance(gpu.uuid, Unread) else gpu.uuid


def reset(case: Case, gpu: GpuFacts, why: str = "") -> Fix:
    """Reset one GPU. Whatever holds it makes the driver refuse that, and persistence holds it as a program does.

    https://github.com/NVIDIA/NVSentinel/pull/1692 (2026-11); what else holds it: SMI_GUIDE (2026-11)
    """
    wanted = f"{why}: " if why else ""
    if case.facts.system.wsl:
        return Fix(text=f"{wanted}restart Windows, which resets the GPU")
    one = by_uuid(gpu)
    commands = [f"sudo nvidia-smi -pm 0 -i {one}", f"sudo nvidia-smi --gpu-reset -i {one}"]
    daemons = case.facts.system.daemons
    if not isinstance(daemons, Unread) and "nvidia-persistenced" in daemons:
        if case.facts.system.systemd is True:
            commands = [
                "sudo systemctl stop nvidia-persistenced",
                *commands,
                "sudo systemctl start nvidia-persistenced",
            ]
        else:
            commands.insert(0, "sudo kill $(pidof nvidia-persistenced)")
    container = case.facts.system.container
    where = "on the host, " if not isinstance(container, Unread) and container else ""
    return Fix(
        text=f"{wanted}{where}end what uses the GPU, a desktop and monitoring too, and reset it; where that is refused,"
        " reboot",
        commands=tuple(commands),
        needs_root=True,
        url=SMI_GUIDE,
    )


def reboot(case: Case, why: str) -> Fix:
    """Boot the machine anew."""
    if case.facts.system.wsl:
        return Fix(text=f"{why}; restart Windows")
    return Fix(text=why, commands=("sudo reboot",), needs_root=True, needs_reboot=True)


def as_the_driver_says(case: Case, gpu: GpuFacts) -> Fix:
    """What the driver itself asks for where it says so (from branch 570 on), else a reset."""
    action = gpu.recovery_action
    if isinstance(action, Unread) or action in ("none", "gpu_reset"):
        return reset(case, gpu)
    if action == "drain_p2p":
        text = "end what moves data between this GPU and others, then ask the driver again"
        return Fix(text=text, commands=("nvidia-smi -q | grep -i recovery",), url=RECOVERY_GUIDE)
    if action == "drain_and_reset":
        return reset(case, gpu, "start nothing new there, and when its programs are done")
    if action == "recover_imex_domain":
        text = "recover the IMEX domain of the rack: the service nvidia-imex runs on each of its machines"
        return Fix(text=text, commands=("sudo systemctl restart nvidia-imex",), needs_root=True, url=RECOVERY_GUIDE)
    if action == "bus_reset":
        return reboot(case, "reset the PCIe bus of the GPU; a reboot does")
    return reboot(case, "reboot: the driver asks for that")


_FABRIC_MANAGER = re.compile(r"nvidia-fabric-?manager(-\d+)?")
_PACKAGE_VERSION = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)+)")


def fabric_manager_version(system: SystemFacts) -> str:
    """Version of the Fabric Manager that is installed as a package, "" where none is known."""
    for package in () if isinstance(system.packages, Unread) else system.packages:
        version = _PACKAGE_VERSION.match(package.version)
        if _FABRIC_MANAGER.fullmatch(package.name) and version is not None:
            return version[1]
    return ""


def install_fabric_manager(case: Case) -> tuple[str, ...]:
    """Commands that install the one of the loaded driver's version.

    https://github.com/NVIDIA/apt-packaging-fabric-manager, …/yum-packaging-fabric-manager (2026-11)
    """
    driver = case.facts.driver.kernel_module_version
    if isinstance(driver, Unread):
        return ()
    branch = str(driver).partition(".")[0]
    return {
        "apt": (f"sudo apt-get install 'nvidia-fabricmanager-{branch}={driver}-*'",),
        "dnf": (f"sudo dnf module install nvidia-driver:{branch}/fm",),
        "zypper": (f"sudo zypper install cuda-drivers-fabricmanager-{branch}",),
    }.get(package_manager(case.facts.system), ())


def install_nvlsm(case: Case) -> tuple[str, ...]:
    """NVIDIA's own repository has it, under one name for every distribution.

    https://docs.nvidia.com/datacenter/tesla/pdf/fabric-manager-user-guide.pdf (2026-11)
    """
    return {
        "apt": ("sudo apt-get install nvlsm",),
        "dnf": ("sudo dnf install nvlsm",),
        "zypper": ("sudo zypper install nvlsm",),
    }.get(package_manager(case.facts.system), ())
