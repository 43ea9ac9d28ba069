"""The NVIDIA kernel module is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import DRIVER_GUIDE, install_driver
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = ("driver-nouveau-bound",)


def decides(case: Case) -> bool:
    """Without the driver nothing can be said of the host."""
    return applies(case)


def applies(case: Case) -> bool:
    """Where it answers or a GPU on the bus waits for it; WSL and Jetson have drivers of another kind."""
    system = case.facts.system
    if system.wsl or system.jetson:
        return False
    return not isinstance(case.facts.driver.version, Unread) or bool(case.gpus_of_this_host)


def check(case: Case) -> Iterator[Finding]:
    """1. NVML reaches it. 2. A loaded module has a version file. 3. The kernel lists it."""
    driver = case.facts.driver
    module = driver.kernel_module_version
    if not isinstance(driver.version, Unread) or not isinstance(module, Unread) or "nvidia" in known(driver.modules):
        return
    yield Finding(
        severity=Severity.ERROR,
        message="the NVIDIA driver is not loaded: the kernel has no module nvidia",
        evidence=(
            Evidence(source="lsmod | grep nvidia", value="nothing"),
            Evidence(source=f"cat {module.source}", value=module.detail),
        ),
        fix=Fix(
            text="if it is installed, load it and read why it refuses; if not, install it and reboot",
            commands=("sudo modprobe nvidia; sudo dmesg | tail -20", *install_driver(case.facts.system)),
            needs_root=True,
            needs_reboot=True,
            url=DRIVER_GUIDE,
        ),
    )
