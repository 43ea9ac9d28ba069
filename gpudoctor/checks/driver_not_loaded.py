"""The NVIDIA kernel module is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import DRIVER_GUIDE, install_driver
from gpudoctor.facts import Unread, known
from gpudoctor.findings import Evidence, Finding, Fix, Severity

CAUSED_BY = ("driver-nouveau-bound",)


def decides(case: Case) -> bool:
    """Without the driver nothing can be said of the host."""
    return applies(case)


def applies(case: Case) -> bool:
    """Where there is a GPU on the bus; WSL and Jetson have drivers of another kind."""
    system, pci = case.facts.system, case.facts.pci_gpus
    return not system.wsl and not system.jetson and not isinstance(pci, Unread) and bool(pci)


def check(case: Case) -> Iterator[Finding]:
    """Loaded means listed by the kernel; the version file of a loaded module proves it too."""
    driver = case.facts.driver
    if not isinstance(driver.kernel_module_version, Unread) or "nvidia" in known(driver.modules):
        return
    yield Finding(
        severity=Severity.ERROR,
        message="the NVIDIA driver is not loaded: the kernel has no module nvidia",
        evidence=(
            Evidence(source="lsmod | grep nvidia", value="nothing"),
            Evidence(source="cat /proc/driver/nvidia/version", value=driver.kernel_module_version.detail),
        ),
        fix=Fix(
            text="if it is installed, load it and read why it refuses; if not, install it and reboot",
            commands=("sudo modprobe nvidia; sudo dmesg | tail -20", *install_driver(case.facts.system)),
            needs_root=True,
            needs_reboot=True,
            url=DRIVER_GUIDE,
        ),
    )
