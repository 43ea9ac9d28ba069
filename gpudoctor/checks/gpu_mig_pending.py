"""The MIG mode of the GPU is the one that was asked for.

MIG, which splits a GPU into instances, was switched on or off, and the GPU goes on as it was until it is reset:
whoever asked for instances gets none, or a whole GPU where only a part was meant.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "end what uses the GPU and reset it"
DECIDED_BY = "nvidia-smi --query-gpu=mig.mode.current,mig.mode.pending --format=csv"
LINKS = ("https://docs.nvidia.com/datacenter/tesla/mig-user-guide/",)
SYMPTOMS = (r"MIG mode is in pending", r"MIG mode .*requires? .*reset")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The mode now against the one after the next reset."""
    rule = case.policy.signals["mig-mode-pending"]
    now, then = known(gpu.mig_enabled), known(gpu.mig_pending)
    if now is not then and rule.severity is not None:
        words = {True: "on", False: "off"}
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: MIG is {words[now]} and waits for a reset to be {words[then]}",
            evidence=(Evidence(source=DECIDED_BY, value=f"{words[now]}, {words[then]}"),),
            fix=gpu_fixes.reset(case, gpu),
        )
