"""The NVLink fabric around the GPU is well.

On Hopper and later the driver sums up what it knows of the links, routes and partitions between a GPU and its
NVSwitches. A sick fabric means that GPUs do not reach each other, or not at full rate.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-fabric-manager-not-running")

MENDED_BY = "read which part is sick, look at Fabric Manager's log, then reset the GPU or reboot"
DECIDED_BY = "nvidia-smi -q | grep -A 12 Fabric"
LINKS = (
    "https://docs.nvidia.com/deploy/nvml-api/group__nvmlFabricDefs.html",
    "https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html",
)
SYMPTOMS = (r"Route Unhealthy\s*: (True|Yes)", r"fabric health .*unhealthy", r"DCGM_FR_FABRIC")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The driver's own summary."""
    health = known(gpu.fabric_health)
    for word, signal, what in (
        ("unhealthy", "fabric-unhealthy", "is sick"),
        ("limited_capacity", "fabric-limited-capacity", "has less to offer than it should"),
    ):
        rule = case.policy.signals[signal]
        if health == word and rule.severity is not None:
            yield Finding(
                severity=rule.severity,
                message=f"{gpu_fixes.named(gpu)}: the NVLink fabric around it {what}",
                evidence=(Evidence(source=DECIDED_BY, value=health.replace("_", " ")),),
                fix=Fix(
                    text=MENDED_BY,
                    commands=(DECIDED_BY, "sudo tail -50 /var/log/fabricmanager.log"),
                    needs_root=True,
                    url=LINKS[1],
                ),
            )
