"""The GPU may draw about as much power as it is made for.

Somebody, or the board's management, set a power limit far below the default: the GPU works, and is slower than its
kind. Where every GPU of the machine has the same limit, a site most likely did so on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "set the default power limit again, unless it was lowered on purpose"
DECIDED_BY = "nvidia-smi -q -d POWER"
LINKS = ("https://docs.nvidia.com/deploy/nvidia-smi/index.html",)
SYMPTOMS = (
    r"Power limit for GPU .* was set to",
    r"SW Power Cap\s*: Active",
    r"DCGM_FR_POWER_UNREADABLE|Power violations",
)


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The limit in force as a share of the default."""
    rule = case.policy.signals["power-limit"]
    limit, default = known(gpu.power_limit_watts), known(gpu.power_default_limit_watts)
    if rule.severity is None or default <= 0 or limit * 100 >= default * rule.limit:
        return
    others = [one.power_limit_watts for one in case.listed_gpus if one.name == gpu.name]
    on_purpose = len(others) > 1 and all(other == limit for other in others)
    yield Finding(
        severity=Severity.INFO if on_purpose else rule.severity,
        message=f"{gpu_fixes.named(gpu)} may draw {limit:g} W, and {default:g} W by default",
        evidence=(Evidence(source=DECIDED_BY, value=f"limit {limit:g} W, default {default:g} W"),),
        fix=Fix(
            text=MENDED_BY,
            commands=(f"sudo nvidia-smi -i {gpu_fixes.by_uuid(gpu)} -pl {default:g}",),
            needs_root=True,
        ),
    )
