"""The driver could set up every GPU that it found.

The module is loaded and knows the GPU, and setting it up failed: `RmInitAdapter failed!` in the kernel's log, with
three numbers that say where, or a failure of the GPU's own processor, the GSP. What helps lies outside of the driver:
the firmware's settings for large BARs (Above 4G Decoding, Resizable BAR), the memory window of a virtual machine, a
riser or a slot, the board itself, or another version of the driver with another GSP firmware.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import KernelEvent
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread

CAUSED_BY = (
    "gpu-fallen-off-bus",
    "driver-blackwell-needs-open-module",
    "driver-gpu-unsupported",
    "driver-library-mismatch",
    "driver-libraries-missing",
    "driver-call-hung",
)

MENDED_BY = (
    "switch on Above 4G Decoding and Resizable BAR in the firmware's set-up and update it, take the power away for a"
    " minute, reseat the board; then try another driver version"
)
DECIDED_BY = "sudo dmesg | grep -e NVRM -e 'BAR '"
LINKS = (
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/862",
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/789",
)
SYMPTOMS = (
    r"RmInitAdapter failed!",
    r"rm_init_adapter failed",
    r"Cannot initialize GSP firmware RM",
    r"waiting for RPC from GSP",
    r"GSP heartbeat",
    r"GSP firmware boot",
    r"This PCI I/O region assigned to your NVIDIA device is invalid",
    r"No devices were found",
)


def applies(case: Case) -> bool:
    """Where a module is loaded that should list a GPU of this machine; a container is not given all of them."""
    system = case.facts.system
    if system.wsl or system.jetson or case.container:
        return False
    return bool(case.gpus_of_this_host) and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """A GPU that is listed was set up after all, whatever the log says of an earlier try."""
    missing = {gpu.address for gpu in case.unlisted_gpus}
    if not missing:
        return
    failed = [
        line
        for line in case.events("rm_init_adapter_failed", "gsp_failed", "bar_invalid")
        if line.pci_address in ("", *missing)
    ]
    if not failed:
        return
    named = sorted({line.pci_address for line in failed} - {""}) or sorted(missing)
    gsp = any(line.kind == "gsp_failed" for line in failed)
    bar = any(line.kind == "bar_invalid" for line in failed)
    yield Finding(
        severity=Severity.ERROR,
        message=f"the driver could not set up {', '.join(named)}{_why(gsp, bar)}",
        evidence=(
            *(Evidence(source="sudo dmesg", value=line.text) for line in _last_of_each(failed)),
            Evidence(source="nvidia-smi -L", value=case.listed_in_words),
        ),
        fix=_fix(case, gsp),
    )


def _why(gsp: bool, bar: bool) -> str:
    if gsp:
        return ": its GSP firmware did not start"
    return ": the machine's firmware gave its memory no address (BAR)" if bar else " (RmInitAdapter failed)"


def _last_of_each(failed: list[KernelEvent]) -> tuple[KernelEvent, ...]:
    """The newest line of each kind: drivers try again and again."""
    return tuple({line.kind: line for line in failed}.values())


def _fix(case: Case, gsp: bool) -> Fix:
    virtual = case.facts.system.virtual_machine
    if not isinstance(virtual, Unread) and virtual:
        text = (
            f"this is a virtual machine ({virtual}): let its host give it a memory window for large BARs (64-bit MMIO,"
            " OVMF in place of SeaBIOS), reset the GPU there, and pass the whole board through"
        )
        return Fix(text=text, url=LINKS[0])
    flavour = case.facts.driver.module_flavour
    if gsp and flavour == "proprietary":
        # The open module cannot do without the GSP.
        # https://download.nvidia.com/XFree86/Linux-x86_64/595.45.04/README/gsp.html (2026-11)
        option = "echo 'options nvidia NVreg_EnableGpuFirmware=0' | sudo tee /etc/modprobe.d/nvidia-gsp.conf"
        text = "take the power away for a minute and start again; if that does not help, run the driver without GSP"
        return Fix(text=text, commands=(option, "sudo reboot"), needs_root=True, needs_reboot=True, url=LINKS[0])
    if gsp:
        # What a warm boot leaves running in the GPU, only the loss of power ends.
        # https://github.com/NVIDIA/open-gpu-kernel-modules/issues/862 (2026-11)
        text = (
            "take the power away for a minute and start again; if that does not help, switch on Above 4G Decoding and"
            " Resizable BAR in the firmware's set-up and update it, or try another driver version"
        )
        return Fix(text=text, needs_root=True, needs_reboot=True, url=LINKS[0])
    return Fix(text=MENDED_BY, needs_root=True, needs_reboot=True, url=LINKS[0])
