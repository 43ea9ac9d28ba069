"""GPUs that only the open kernel module drives have it.

NVIDIA's driver comes with one of two kernel modules: a proprietary one and an open one, whose licence is MIT/GPL.
Blackwell, the GeForce RTX 50 series among it, is driven by the open one alone. With the proprietary one the module
loads and refuses the GPU: nvidia-smi says `No devices were found`, and the kernel's log that the GPU `requires use of
the NVIDIA open kernel modules`, beside `RmInitAdapter failed!`, which then is no fault of board or firmware.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.chips import generation_of
from gpudoctor.distributions import KERNEL_MODULES, switch_to_open_module
from gpudoctor.facts import PciGpu
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (
    "driver-gpu-unsupported",
    "driver-module-missing-for-kernel",
    "driver-secure-boot-rejected",
    "driver-nouveau-bound",
    "driver-novacore-bound",
    "driver-library-mismatch",
    "driver-libraries-missing",
    "driver-call-hung",
)

MENDED_BY = "install the open kernel module of the same driver in place of the proprietary one, and reboot"
DECIDED_BY = "modinfo -F license nvidia; lspci -nn -d 10de:; sudo dmesg | grep NVRM"
LINKS = (
    KERNEL_MODULES,
    "https://github.com/oddmario/NVIDIA-Ubuntu-Driver-Guide/issues/10",
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/872",
)
SYMPTOMS = (
    r"requires use of (the )?NVIDIA open kernel modules",
    r"No devices were found",
    r"RmInitAdapter failed! \(0x22:0x56",
)

_SAYS_SO = "requires use of the nvidia open kernel modules"


def applies(case: Case) -> bool:
    """Where a GPU of this machine is not listed; a container is not given all of them."""
    system = case.facts.system
    if system.wsl or system.jetson or case.container:
        return False
    return bool(case.gpus_of_this_host)


def check(case: Case) -> Iterator[Finding]:
    """1. The open module wants no other. 2. The generation wants the open one. 3. The kernel's log says so."""
    driver = case.facts.driver
    missing = case.unlisted_gpus
    if not missing or (case.module_version is None and isinstance(driver.version, Unread)):
        return
    version = case.module_version or known(driver.version)
    if known(driver.module_flavour) != "proprietary":
        return
    refused = [gpu for gpu in missing if _wants_open(case, gpu)]
    if not refused:
        return
    addresses = ", ".join(gpu.address for gpu in refused)
    yield Finding(
        severity=Severity.ERROR,
        message=f"the proprietary kernel module {version} does not drive {addresses}, which only the open one does",
        evidence=(
            Evidence(source="modinfo -F license nvidia", value="NVIDIA (proprietary)"),
            *(Evidence(source=f"lspci -nn -s {gpu.address}", value=f"[10de:{_shown(gpu)}]") for gpu in refused),
            *(Evidence(source="sudo dmesg", value=line) for line in _lines(case)[-1:]),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=(*switch_to_open_module(case.facts.system, version.branch), "sudo reboot"),
            needs_root=True,
            needs_reboot=True,
            url=KERNEL_MODULES,
        ),
    )


def _wants_open(case: Case, gpu: PciGpu) -> bool:
    row = generation_of(gpu, case.matrix)
    if row is not None:
        return row.open_module == "required"
    # A chip that is newer than the list of chips: the driver's own word.
    known(gpu.device_id)
    known(case.facts.kernel_log)
    return bool(_lines(case))


def _lines(case: Case) -> list[str]:
    log = case.facts.kernel_log
    return [] if isinstance(log, Unread) else [line.text for line in log if _SAYS_SO in line.text.lower()]


def _shown(gpu: PciGpu) -> str:
    return "?" if isinstance(gpu.device_id, Unread) else gpu.device_id
