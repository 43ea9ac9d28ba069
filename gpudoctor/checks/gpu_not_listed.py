"""The driver lists every NVIDIA GPU of the PCI bus.

A GPU is on the bus, and the driver did not take it: nvidia-smi says `No devices were found`, or lists fewer than there
are. The kernel's log says why: the driver is too new or too old for it, its kernel module is of the wrong flavour, the
GPU could not be initialised, or has fallen off the bus.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import Facts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Reading, Unread, known

CAUSED_BY = (
    "gpu-none-present",
    "gpu-fallen-off-bus",
    "gpu-recovery-action",
    "driver-call-hung",
    "driver-module-missing-for-kernel",
    "driver-secure-boot-rejected",
    "driver-nouveau-bound",
    "driver-novacore-bound",
    "driver-gpu-unsupported",
    "driver-blackwell-needs-open-module",
    "driver-rm-init-adapter-failed",
    "driver-not-loaded",
    "driver-library-mismatch",
    "container-gpus-not-requested",
    "container-apptainer-without-nv",
    "container-lost-gpu-after-daemon-reload",
    "container-selinux-denies-devices",
    "driver-libraries-missing",
)

MENDED_BY = "read in the kernel's log why the driver refused the GPU"
DECIDED_BY = "nvidia-smi -L; lspci -D -d 10de:; sudo dmesg | grep -i -e NVRM -e nvidia"
LINKS = (
    "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/",
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/862",
)
SYMPTOMS = (r"No devices were found",)


# Set in a job. Slurm may forbid it the device nodes of the others, which NVML then does not list.
# https://slurm.schedmd.com/cgroup.conf.html (2026-11), ConstrainDevices
_GIVEN_BY_SLURM = "SLURM_GPUS_ON_NODE"


def decides(case: Case) -> bool:
    """Without NVML's list nothing can be said of the host; without the bus to compare it with, much can."""
    return any(isinstance(reading, Unread) for reading in _answers(case.facts))


def applies(case: Case) -> bool:
    """Where there is a GPU that NVML should list; it does not list the one on a Jetson's chip."""
    system = case.facts.system
    return not system.jetson and bool(system.wsl or case.listed_gpus or case.gpus_of_this_host)


def check(case: Case) -> Iterator[Finding]:
    """Compare NVML's count with the bus: every GPU answers, and none is missing."""
    for reading in _answers(case.facts):
        known(reading)
    listed = case.listed_gpus
    if case.facts.system.wsl or (listed and case.container):
        return  # WSL has them on no bus; a container is shown the whole bus and given some of the GPUs
    # One that nouveau holds is a finding of its own.
    on_bus = [gpu for gpu in case.gpus_of_this_host if gpu.driver != "nouveau"]
    if len(listed) >= len(on_bus) or (listed and case.variable(_GIVEN_BY_SLURM) == str(len(listed))):
        return
    seen = {gpu.pci_address for gpu in listed}
    missing = [gpu.address for gpu in on_bus if gpu.address not in seen]
    yield Finding(
        severity=Severity.ERROR,
        message=f"the driver lists {len(listed)} of the {len(on_bus)} NVIDIA GPUs on the PCI bus",
        evidence=(
            Evidence(source="nvidia-smi -L", value=case.listed_in_words),
            Evidence(source="lspci -D -d 10de:", value=", ".join(missing)),
        ),
        fix=_GIVE_GPUS if case.container else _READ_LOG,
    )


def _answers(facts: Facts) -> Iterator[Reading[object]]:
    """What NVML tells of every driver and GPU that are well."""
    yield facts.driver.version
    yield facts.gpus
    for gpu in () if isinstance(facts.gpus, Unread) else facts.gpus:
        yield from (gpu.uuid, gpu.name, gpu.compute_capability)


_GIVE_GPUS = Fix(text="start the container again with --gpus all: it has the driver and was given no GPU")
_READ_LOG = Fix(
    text="the kernel log says why the driver refused them",
    commands=("sudo dmesg | grep -i -e NVRM -e nvidia",),
    needs_root=True,
)
