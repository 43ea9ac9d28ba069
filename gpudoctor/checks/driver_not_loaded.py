"""The NVIDIA kernel module is loaded.

A GPU is on the bus, and nothing in the kernel drives it for NVIDIA: the driver is not installed, or its module was not
loaded at boot or refused to load. Where the reason can be told, another finding names it: no module for this kernel,
Secure Boot, another driver that holds the GPU, or a GPU that this driver does not know.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import DRIVER_GUIDE, driver_packages, install_driver
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (
    "driver-module-missing-for-kernel",
    "driver-secure-boot-rejected",
    "driver-nouveau-bound",
    "driver-novacore-bound",
    "driver-gpu-unsupported",
    "driver-call-hung",
)

MENDED_BY = "if it is installed, load it and read why it refuses; if not, install it and reboot"
DECIDED_BY = "lsmod | grep nvidia; sudo modprobe nvidia; sudo dmesg | tail -20"
LINKS = (
    DRIVER_GUIDE,
    "https://github.com/NVIDIA/nvidia-docker/issues/804",
)
SYMPTOMS = (
    r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
    r"nvml error: driver not loaded",
    r"Failed to initialize NVML: Driver Not Loaded",
    r"kernel driver does not appear to be running on this host",
    r"The NVIDIA Driver was not detected",
    r"could not insert '?nvidia\S* No such device",
)

_NO_ADDRESS = "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/789"

# Of what the kernel says while it loads the module, what tells why it did not.
_TELLING = (
    "key_rejected",
    "probe_not_called",
    "nouveau_bound",
    "novacore_bound",
    "unsupported_gpu",
    "legacy_branch",
    "bar_invalid",
)


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
            *_more(case),
        ),
        fix=_fix(case),
    )


def _more(case: Case) -> Iterator[Evidence]:
    if case.facts.system.secure_boot is True:
        yield Evidence(source="mokutil --sb-state", value="SecureBoot enabled")
    log = case.facts.kernel_log
    lines = () if isinstance(log, Unread) else tuple(line for line in log if line.kind in _TELLING)
    yield from (Evidence(source="sudo dmesg", value=line.text) for line in lines[-1:])


def _has_no_address(case: Case) -> bool:
    """Whether the module went away again because the machine's firmware left no room for the GPU's memory."""
    log = case.facts.kernel_log
    return not isinstance(log, Unread) and any(line.kind == "bar_invalid" for line in log)


def _fix(case: Case) -> Fix:
    """Load what is there, install what is not; both where that is not known."""
    system, files = case.facts.system, case.facts.driver.module_files
    if isinstance(case.facts.system.container, Unread) or case.container:
        return Fix(text="load or install the driver on the host; a container brings none", url=DRIVER_GUIDE)
    if _has_no_address(case):
        text = (
            "let the machine's firmware give the GPU's memory an address: switch on Above 4G Decoding in its set-up,"
            " and update it; in a virtual machine, give it more 64-bit memory window"
        )
        return Fix(text=text, needs_root=True, needs_reboot=True, url=_NO_ADDRESS)
    load, install = "sudo modprobe nvidia; sudo dmesg | tail -20", install_driver(system)
    here = not isinstance(files, Unread) and any(file.kernel_release == system.kernel_release for file in files)
    if here:
        return Fix(text="load it, and read why it refuses", commands=(load,), needs_root=True, url=DRIVER_GUIDE)
    if files == () and not isinstance(system.packages, Unread) and not driver_packages(system):
        return Fix(
            text="install the driver and reboot",
            commands=(*install, "sudo reboot"),
            needs_root=True,
            needs_reboot=True,
            url=DRIVER_GUIDE,
        )
    return Fix(text=MENDED_BY, commands=(load, *install), needs_root=True, needs_reboot=True, url=DRIVER_GUIDE)
