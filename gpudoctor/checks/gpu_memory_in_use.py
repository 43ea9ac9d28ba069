"""No other compute program holds most of the GPU's memory.

TensorFlow takes nearly all of a GPU's memory at its start, and fails with CUDA_ERROR_OUT_OF_MEMORY where another
program has it: a job of somebody else, a notebook that was left open, a process that outlived its parent.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts, GpuProcess
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import Unread, known
from gpudoctor.sizes import memory_in_words

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "end what is left over, or choose a GPU that is free with CUDA_VISIBLE_DEVICES"
DECIDED_BY = "nvidia-smi; sudo fuser -v /dev/nvidia*"
LINKS = (
    "https://github.com/tensorflow/tensorflow/issues/8170",
    "https://github.com/tensorflow/tensorflow/issues/17048",
)
SYMPTOMS = (
    r"CUDA_ERROR_OUT_OF_MEMORY",
    r"cudaErrorMemoryAllocation",
    r"CUDA out of memory",
    r"OOM when allocating tensor",
    r"\(GPU_\d+_bfc\) ran out of memory",
)

_MOST_NAMED = 4


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """What compute processes hold of the whole; MIG instances have their own memory."""
    rule = case.policy.signals["memory-held"]
    if gpu.mig_enabled is True:
        return
    processes = [one for one in known(gpu.processes) if one.kind == "compute"]
    total = known(gpu.memory_bytes)
    held = sum(one.memory_bytes for one in processes if not isinstance(one.memory_bytes, Unread))
    limit = total * rule.limit / 100
    if processes and held >= limit and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: {memory_in_words(held)} of {memory_in_words(total)} are held by"
            f" {_names(processes)}",
            evidence=tuple(
                Evidence(
                    source="nvidia-smi --query-compute-apps=pid,used_memory --format=csv",
                    value=f"{one.process_id}, {_memory(one)}",
                )
                for one in processes[:_MOST_NAMED]
            ),
            fix=Fix(
                text=MENDED_BY,
                commands=("ps -o pid,user,lstart,args -p " + ",".join(str(one.process_id) for one in processes),),
            ),
        )
        return
    for one in processes:
        known(one.memory_bytes)  # what it holds may be what is missing


def _names(processes: list[GpuProcess]) -> str:
    named = [
        f"process {one.process_id}" + ("" if isinstance(one.name, Unread) else f" ({one.name.rpartition('/')[2]})")
        for one in processes
    ]
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _memory(process: GpuProcess) -> str:
    return "?" if isinstance(process.memory_bytes, Unread) else memory_in_words(process.memory_bytes)
