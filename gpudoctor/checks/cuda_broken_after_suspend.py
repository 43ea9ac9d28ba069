"""CUDA outlived the last suspend.

After a laptop or workstation wakes up, nvidia_uvm may have lost its state: every CUDA program ends in error 999 until
the module is loaded anew, while nvidia-smi and the screen are fine. The driver keeps the GPUs' memory over a suspend
only where it is told to, by a module option and by units that run before and after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import answered, in_words, init_code
from gpudoctor.distributions import enable_units
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (
    "driver-uvm-missing",
    "driver-library-mismatch",
    "gpu-fallen-off-bus",
    "container-toolkit-cdi-regression",
)

MENDED_BY = "end what uses CUDA and load nvidia_uvm anew; then have the driver keep the GPUs' memory over a suspend"
DECIDED_BY = "sudo dmesg | grep 'suspend exit'; grep PreserveVideoMemory /proc/driver/nvidia/params"
LINKS = (
    "https://download.nvidia.com/XFree86/Linux-x86_64/595.45.04/README/powermanagement.html",
    "https://github.com/tensorflow/tensorflow/issues/5777",
    "https://github.com/pop-os/default-settings/pull/64",
)
SYMPTOMS = (
    r"CUDA_ERROR_UNKNOWN",
    r"unknown error \(error 999\)",
    r"(?<!UNAVAILABLE \()cuInit\S* .{0,40}(?:error|code|returned|[(:=>])\W?999\b",
    r"CUDA unknown error - this may be due to an incorrectly set up environment",
    r"PM: suspend exit",
)

_UNKNOWN = 999
_NODE = "/dev/nvidia-uvm"
_RELOAD = "sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm"
_PRESERVE = (
    "echo 'options nvidia NVreg_PreserveVideoMemoryAllocations=1' | sudo tee /etc/modprobe.d/nvidia-suspend.conf"
)


def applies(case: Case) -> bool:
    """Where cuInit answered; Windows and Jetson go to sleep in other ways."""
    return not case.facts.system.wsl and not case.facts.system.jetson and answered(case.facts)


def check(case: Case) -> Iterator[Finding]:
    """cuInit's 999 has several causes: here the node is there, and the machine slept since the driver was loaded."""
    if init_code(case.facts) != _UNKNOWN or _NODE not in known(case.facts.driver.device_nodes):
        return
    events = case.events("resume", "driver_loaded")
    if not events or events[-1].kind != "resume":
        return  # it never slept, or the driver was loaded anew since
    kept = case.facts.driver.preserves_video_memory
    yield Finding(
        severity=Severity.ERROR,
        message="CUDA does not start since the machine woke up: nvidia_uvm did not survive the suspend",
        evidence=(
            Evidence(source="cuInit(0)", value=in_words(_UNKNOWN)),
            Evidence(source="sudo dmesg", value=events[-1].text),
            Evidence(source=f"ls {_NODE}", value="it is there"),
            *_preserves(kept),
        ),
        fix=_fix(case, kept is True),
    )


def _preserves(kept: object) -> Iterator[Evidence]:
    if not isinstance(kept, Unread):
        yield Evidence(source="grep PreserveVideoMemory /proc/driver/nvidia/params", value="1" if kept else "0")


def _fix(case: Case, kept: bool) -> Fix:
    if case.container:
        text = "on the host: end what uses CUDA and load nvidia_uvm anew; then create this container anew"
        return Fix(text=text, commands=(_RELOAD,), needs_root=True, url=LINKS[0])
    units = enable_units(
        case.facts.system, "nvidia-suspend.service", "nvidia-resume.service", "nvidia-hibernate.service"
    )
    text = "end what uses CUDA and load nvidia_uvm anew" if kept else MENDED_BY
    commands = (_RELOAD, *(() if kept else (_PRESERVE,)), *units)
    return Fix(text=text, commands=commands, needs_root=True, url=LINKS[0])
