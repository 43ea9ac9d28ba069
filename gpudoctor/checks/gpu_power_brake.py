"""Nothing makes the GPU brake.

The power supply or the chassis pulls a line that makes the GPU halve its clocks, or worse: a supply that is too weak
or has failed, a cable, a limit of the rack. A laptop does so on battery. Where the hardware slows down without a
reason, look there first, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "look at the power supplies, the GPU's power cables and the rack's power limit; plug a laptop in"
DECIDED_BY = "nvidia-smi -q -d PERFORMANCE"
LINKS = (
    "https://docs.nvidia.com/deploy/nvidia-smi/index.html",
    "https://github.com/leptonai/gpud/blob/main/components/accelerator/nvidia/hw-slowdown/component.go",
)
SYMPTOMS = (r"HW Power Brake Slowdown\s*: Active", r"HW Slowdown\s*: Active", r"hw_power_brake")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """1. The brake itself. 2. A slowdown of the hardware that is neither that nor heat."""
    reasons = known(gpu.clocks_event_reasons)
    if "hw_power_brake_slowdown" in reasons:
        rule, what = case.policy.signals["power-brake"], "the power supply or the chassis makes it brake"
    elif "hw_slowdown" in reasons and "hw_thermal_slowdown" not in reasons:
        rule, what = case.policy.signals["hardware-slowdown"], "the hardware has cut the clocks without saying why"
    else:
        return
    if rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: {what}",
            evidence=(Evidence(source=DECIDED_BY, value=", ".join(reasons)),),
            fix=Fix(text=MENDED_BY),
        )
