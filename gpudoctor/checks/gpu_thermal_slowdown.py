"""Heat does not hold the GPU's clocks down.

The GPU is so warm that the hardware has halved its clocks, or worse, or that the driver lowers them to keep it from
that. Under load the second comes and goes on boards that are cooled by air; the first means that the cooling fails.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-overheating", "gpu-recovery-action")

MENDED_BY = "see to the cooling: fans, dust, airflow, the temperature of the room"
DECIDED_BY = "nvidia-smi -q -d PERFORMANCE"
LINKS = ("https://docs.nvidia.com/deploy/nvidia-smi/index.html",)
SYMPTOMS = (r"(HW|SW) Thermal Slowdown\s*: Active", r"Thermal violations", r"(hw|sw)_thermal_slowdown")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The reasons why the clocks are low now; the graver first."""
    reasons = known(gpu.clocks_event_reasons)
    for reason, signal, who in (
        ("hw_thermal_slowdown", "thermal-slowdown-hardware", "the hardware has cut the clocks because of heat"),
        ("sw_thermal_slowdown", "thermal-slowdown-software", "the driver lowers the clocks because of heat"),
    ):
        rule = case.policy.signals[signal]
        if reason in reasons and rule.severity is not None:
            yield Finding(
                severity=rule.severity,
                message=f"{gpu_fixes.named(gpu)}: {who}",
                evidence=(Evidence(source=DECIDED_BY, value=", ".join(reasons)),),
                fix=Fix(text=MENDED_BY),
            )
            return
