"""The ECC mode of the GPU is the one that was asked for.

ECC was switched on or off, and the GPU goes on as it was until it is reset. With ECC off, errors of its memory pass
unseen into the results.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "reset the GPU, or take the switch back with nvidia-smi -e"
DECIDED_BY = "nvidia-smi --query-gpu=ecc.mode.current,ecc.mode.pending --format=csv"
LINKS = ("https://docs.nvidia.com/deploy/nvidia-smi/index.html",)
SYMPTOMS = (r"(Enabled|Disabled) ECC support for GPU", r"ECC mode\b.*pending", r"toggle ECC .*re(boot|set)")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The mode now against the one after the next reset."""
    rule = case.policy.signals["ecc-mode-pending"]
    now, then = known(gpu.ecc_enabled), known(gpu.ecc_pending)
    if now is not then and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: ECC is {_word(now)} and waits for a reset to be {_word(then)}",
            evidence=(Evidence(source=DECIDED_BY, value=f"{_word(now)}, {_word(then)}"),),
            fix=gpu_fixes.reset(case, gpu),
        )


def _word(enabled: bool) -> str:
    return "on" if enabled else "off"
