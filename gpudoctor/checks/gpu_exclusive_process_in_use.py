"""A program may still enter the GPU.

Somebody set the compute mode of the GPU: in exclusive_process mode it takes one program at a time, in prohibited mode
none. Whoever comes next is told that `all CUDA-capable devices are busy or unavailable`, CUDA error 46. With MPS every
program goes through one server, so that mode is then as it should be.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "choose another GPU, wait for the program to end, or set the default mode; or share the GPU through MPS"
DECIDED_BY = "nvidia-smi --query-gpu=index,compute_mode --format=csv; nvidia-smi"
LINKS = (
    "https://github.com/NVIDIA/DIGITS/issues/2005",
    "https://github.com/tensorflow/tensorflow/issues/526",
    "https://docs.nvidia.com/deploy/mps/index.html",
)
SYMPTOMS = (
    r"busy or unavailable",
    r"CUDA_ERROR_DEVICE_UNAVAILABLE",
    r"cudaErrorDevicesUnavailable",
)

_EXCLUSIVE = ("exclusive_process", "exclusive_thread")
_MPS_DAEMON, _MPS_SERVER = "nvidia-cuda-mps-control", "nvidia-cuda-mps-server"


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """1. No program is let in. 2. One is in already, and it is not the MPS server that lets others in."""
    mode = known(gpu.compute_mode)
    others = [other for other in case.listed_gpus if other is not gpu]
    if mode == "prohibited":
        what = "is in compute mode prohibited: no program may use it"
        mend = "set the default mode"
    elif mode in _EXCLUSIVE:
        inside = [one for one in known(gpu.processes) if one.kind == "compute"]
        if not inside or any(not isinstance(one.name, Unread) and _MPS_SERVER in one.name for one in inside):
            return
        if _MPS_DAEMON in known(case.facts.system.daemons):
            return
        numbers = ", ".join(str(one.process_id) for one in inside)
        what = f"is in compute mode {mode}, and process {numbers} is in it: no other gets in"
        mend = "wait for that program to end, set the default mode, or share the GPU through MPS"
    else:
        return
    yield Finding(
        # Where another GPU lets a program in, TensorFlow can still have one.
        severity=Severity.ERROR if all(map(_is_closed, others)) else Severity.WARNING,
        message=f"{gpu_fixes.named(gpu)} {what}",
        evidence=(Evidence(source="nvidia-smi --query-gpu=index,compute_mode --format=csv", value=mode),),
        fix=Fix(
            text=mend if all(map(_is_closed, others)) else f"choose another GPU, or {mend}",
            commands=(f"sudo nvidia-smi -i {gpu_fixes.by_uuid(gpu)} -c DEFAULT",),
            needs_root=True,
            url=LINKS[2],
        ),
    )


def _is_closed(gpu: GpuFacts) -> bool:
    """Surely; one that does not tell may be open."""
    if gpu.compute_mode == "prohibited":
        return True
    processes = () if isinstance(gpu.processes, Unread) else gpu.processes
    return gpu.compute_mode in _EXCLUSIVE and any(one.kind == "compute" for one in processes)
