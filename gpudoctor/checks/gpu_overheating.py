"""The GPU is cooler than where it slows down.

At its slowdown temperature the hardware halves the clocks, or worse, and a little above it switches itself off, which
looks like a GPU that fell off the bus. Mostly airflow: dust, a fan, a board without a fan of its own outside a server,
a rack that is too warm.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import Unread, known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "see to the cooling: fans, dust, airflow, the temperature of the room"
DECIDED_BY = "nvidia-smi -q -d TEMPERATURE"
LINKS = ("https://docs.nvidia.com/deploy/nvidia-smi/index.html",)
SYMPTOMS = (r"Temperature \d+ of GPU \d+ exceeded", r"DCGM_FR_TEMP_VIOLATION", r"GPU.* (is |has )?overheat")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The temperature against the two that the board itself names; newer GPUs do not name them."""
    celsius = known(gpu.temperature_celsius)
    thresholds = (
        ("temperature-shutdown", gpu.temperature_shutdown_celsius, "switches itself off"),
        ("temperature-slowdown", gpu.temperature_slowdown_celsius, "slows down"),
    )
    for signal, limit, then in thresholds:
        rule = case.policy.signals[signal]
        if not isinstance(limit, Unread) and rule.severity is not None and celsius >= limit - rule.limit:
            yield Finding(
                severity=rule.severity,
                message=f"{gpu_fixes.named(gpu)} is {celsius} °C warm and {then} at {limit} °C",
                evidence=(Evidence(source=DECIDED_BY, value=f"{celsius} C, limit {limit} C"),),
                fix=Fix(text=MENDED_BY),
            )
            return
    for _, limit, _ in thresholds:
        known(limit)
