"""An NVIDIA GPU is in this machine.

There is none, or none for this machine: the wrong machine, a virtual machine that was given no GPU, GPUs that are
kept for virtual machines, a Windows that gives WSL none. The engine then says `could not select device driver`, as it
does where only its toolkit is missing. Judged by the PCI bus, which shows a GPU with or without a driver.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import DriverFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, Why, known

CAUSED_BY = ("gpu-fallen-off-bus", "driver-wsl-libcuda-missing", "driver-linux-package-in-wsl", "driver-call-hung")

MENDED_BY = (
    "use a machine with an NVIDIA GPU; in a virtual machine, have the GPU passed through;"
    " TensorFlow on the CPU needs none of this: gpudoctor run --gpus none"
)
DECIDED_BY = "lspci -d 10de:"
LINKS = (
    "https://github.com/fboulnois/stable-diffusion-docker/issues/82",
    "https://docs.nvidia.com/cuda/wsl-user-guide/",
)
SYMPTOMS = (
    r"could not select device driver .*capabilities: \[\[.*gpu",
    r"NVRM: No NVIDIA (GPU|devices?|graphics adapter) (found|probed)",
    r"could not insert '?nvidia'?: No such device",
)


def decides(case: Case) -> bool:
    """Without the GPU list nothing can be said of the host."""
    return True


def check(case: Case) -> Iterator[Finding]:
    """1. NVML's list. 2. Jetson: the driver of the GPU on the chip. 3. WSL: the library. 4. The bus."""
    facts = case.facts
    if case.listed_gpus:
        return
    if facts.system.jetson:
        if not _drives_chip(facts.driver):
            known(facts.gpus)
            evidence = Evidence(source="lsmod | grep nvgpu", value="nothing")
            yield _none("the driver of this Jetson lists no GPU", evidence)
    elif facts.system.wsl:
        if not isinstance(facts.gpus, Unread) or facts.gpus.why is not Why.ABSENT:
            known(facts.gpus)
        yield _FROM_WINDOWS
    elif not known(facts.pci_gpus):
        message = "this machine has no NVIDIA GPU: no display device of vendor 10de on the PCI bus"
        yield _none(message, Evidence(source="lspci -d 10de:", value="nothing"))
    elif not case.gpus_of_this_host:
        held = tuple(f"{gpu.address} ({gpu.driver})" for gpu in known(facts.pci_gpus))
        message = f"every NVIDIA GPU of this machine is kept for virtual machines: {', '.join(held)}"
        yield Finding(
            severity=Severity.ERROR,
            message=message,
            evidence=(Evidence(source="lspci -nnk -d 10de:", value=", ".join(held)),),
            fix=Fix(
                text="look inside the virtual machine that has it, or give it back to this machine's driver",
                url="https://docs.kernel.org/driver-api/vfio.html",
            ),
        )


def _drives_chip(driver: DriverFacts) -> bool:
    """A module of its own, or the device node of a kernel that has it built in."""
    modules = () if isinstance(driver.modules, Unread) else driver.modules
    nodes = () if isinstance(driver.device_nodes, Unread) else driver.device_nodes
    return "nvgpu" in modules or "/dev/nvhost-gpu" in nodes


def _none(message: str, evidence: Evidence) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        message=message,
        evidence=(evidence,),
        fix=Fix(
            text=MENDED_BY,
        ),
    )


_FROM_WINDOWS = Finding(
    severity=Severity.ERROR,
    message="Windows gives this WSL no NVIDIA GPU",
    evidence=(Evidence(source="nvidia-smi -L", value="no library of the driver, or no GPU listed"),),
    fix=Fix(
        text="install NVIDIA's driver on Windows, none inside WSL; then, on Windows: wsl --update, wsl --shutdown;"
        " a container needs --gpus all",
        url="https://docs.nvidia.com/cuda/wsl-user-guide/",
    ),
)
