"""Of the GPU's memory enough is free for cuDNN and cuBLAS to start.

cuDNN wants memory of its own when it starts, and says CUDNN_STATUS_NOT_INITIALIZED or CUDNN_STATUS_INTERNAL_ERROR
where there is none: a desktop and its browser hold it, a process that died without giving it back, one in another
container, or TensorFlow itself, which took everything before cuDNN was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import Unread, known
from gpudoctor.sizes import memory_in_words

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "end what holds the memory, or let TensorFlow take only what it needs: TF_FORCE_GPU_ALLOW_GROWTH=true"
DECIDED_BY = "nvidia-smi; sudo fuser -v /dev/nvidia*"
LINKS = (
    "https://github.com/tensorflow/tensorflow/issues/24496",
    "https://github.com/tensorflow/tensorflow/issues/45028",
)
SYMPTOMS = (
    r"CUDNN_STATUS_NOT_INITIALIZED",
    r"CUDNN_STATUS_INTERNAL_ERROR",
    r"CUDNN_STATUS_ALLOC_FAILED",
    r"Could not create cudnn handle",
    r"failed to create cublas handle",
    r"Failed to get convolution algorithm",
)


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """Little is free, and it is not that compute processes hold it; MIG instances have their own memory."""
    rule, held_rule = case.policy.signals["memory-scarce"], case.policy.signals["memory-held"]
    if gpu.mig_enabled is True:
        return
    total, free = known(gpu.memory_bytes), known(gpu.memory_free_bytes)
    processes = known(gpu.processes)
    if free * 100 >= total * rule.limit or rule.severity is None:
        return
    held = 0
    for one in processes:
        held += known(one.memory_bytes) if one.kind == "compute" else 0
    if held * 100 >= total * held_rule.limit:
        return  # which gpu-memory-in-use tells
    graphics = ", ".join(
        f"process {one.process_id}" if isinstance(one.name, Unread) else one.name.rpartition("/")[2]
        for one in processes
        if one.kind != "compute"
    )
    who = f"a desktop is on it: {graphics}" if graphics else "no process that is to be seen here holds the rest"
    yield Finding(
        severity=rule.severity,
        message=f"{gpu_fixes.named(gpu)}: only {memory_in_words(free)} of {memory_in_words(total)} are free, and {who}",
        evidence=(
            Evidence(
                source="nvidia-smi --query-gpu=memory.free,memory.total --format=csv",
                value=f"{memory_in_words(free)}, {memory_in_words(total)}",
            ),
        ),
        fix=Fix(text=MENDED_BY, commands=("sudo fuser -v /dev/nvidia*",)),
    )
