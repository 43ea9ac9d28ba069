"""The PCIe link of the GPU is as wide and as fast as GPU and slot allow.

Lanes are lost by a board that is not seated well, a riser, a slot that is wired for fewer, or a lane that fails; each
halving of the width halves what can be copied to and from the GPU. A link that is slow while the GPU rests is none of
that: it saves power, and is up to speed as soon as there is work.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "seat the board anew, leave out a riser, use the slot with all lanes, look at the BIOS settings of the slot"
DECIDED_BY = "nvidia-smi -q | grep -A 9 'GPU Link Info'"
LINKS = (
    "https://docs.nvidia.com/deploy/nvidia-smi/index.html",
    "https://baaz.dev/blog/understanding-power-management-in-gpu-via-pcie",
)
SYMPTOMS = (r"available PCIe bandwidth, limited by", r"PCIe replays per minute", r"DCGM_FR_PCI(E)?_(REPLAY|GEN|WIDTH)")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """1. The width, which does not change with the load. 2. The generation, where the GPU works."""
    width, width_max = known(gpu.pcie_width), known(gpu.pcie_width_max)
    rule, what = case.policy.signals["pcie-width"], gpu_fixes.named(gpu)
    if width < width_max and rule.severity is not None:
        grave = width * 100 < width_max * rule.limit or any(_wider(one, gpu, width) for one in case.listed_gpus)
        yield Finding(
            # Two boards on a desktop share the lanes: that is how it was built.
            severity=rule.severity if grave else Severity.INFO,
            message=f"{what} has {width} of {width_max} PCIe lanes",
            evidence=(Evidence(source=DECIDED_BY, value=f"width x{width}, maximum x{width_max}"),),
            fix=Fix(text=MENDED_BY),
        )
    generation, generation_max = known(gpu.pcie_generation), known(gpu.pcie_generation_max)
    if generation >= generation_max:
        return
    at_work = known(gpu.performance_state) == 0 and "gpu_idle" not in known(gpu.clocks_event_reasons)
    rule = case.policy.signals["pcie-generation"]
    if at_work and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{what} works, and its PCIe link is of generation {generation} instead of {generation_max}",
            evidence=(
                Evidence(source=DECIDED_BY, value=f"generation {generation}, maximum {generation_max}"),
                Evidence(source="nvidia-smi --query-gpu=pstate --format=csv", value="P0"),
            ),
            fix=Fix(text=MENDED_BY),
        )


def _wider(other: GpuFacts, gpu: GpuFacts, width: int) -> bool:
    """Another of the same kind in this machine has more lanes."""
    return other.name == gpu.name and not isinstance(other.pcie_width, Unread) and other.pcie_width > width
