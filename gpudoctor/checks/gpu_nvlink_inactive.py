"""Every NVLink that should be up is up.

On a board with NVSwitches every link of every GPU is in use, and one that is down slows all that the GPUs send each
other, or stops it. Elsewhere links are joined by bridges that may be left out, so only a GPU with fewer links than its
like in the same machine is worth a look.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import Unread, Why, known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-fabric-manager-not-running", "gpu-fabric-unhealthy")

MENDED_BY = "reset the GPU; if the link stays down, reboot, and have board and bridge looked at"
DECIDED_BY = "nvidia-smi nvlink --status"
LINKS = (
    "https://docs.nvidia.com/health-validation/reference/checks/nvlink",
    "https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html",
)
SYMPTOMS = (r"Link \d+: <inactive>", r"NvLink link \d+ is currently down", r"DCGM_FR_NVLINK_DOWN")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """1. With MIG, links are not used. 2. NVSwitches: all are up. 3. Without: as many as on others of its kind."""
    links = known(gpu.nvlinks)
    down = [link.index for link in links if link.active is False]
    if down and not _in_instances(gpu):
        if _behind_switches(case, gpu):
            rule, than = case.policy.signals["nvlink-inactive"], "on a board with NVSwitches"
        else:
            up = sum(link.active is True for link in links)
            most = max(_up(other) for other in case.listed_gpus if other is gpu or other.name == gpu.name)
            rule = case.policy.signals["nvlink-unlike-siblings"]
            than = f"and another GPU of its kind has {most} up" if most > up else ""
        if than and rule.severity is not None:
            numbers = ", ".join(map(str, down))
            yield Finding(
                severity=rule.severity,
                message=f"{gpu_fixes.named(gpu)}: {len(down)} of {len(links)} NVLinks are down ({numbers}), {than}",
                evidence=(Evidence(source=DECIDED_BY, value=f"inactive: {numbers}"),),
                fix=Fix(
                    text=MENDED_BY,
                    commands=gpu_fixes.reset(case, gpu).commands,
                    needs_root=True,
                    url=LINKS[0],
                ),
            )
    for link in links:
        known(link.active)


def _in_instances(gpu: GpuFacts) -> bool:
    """MIG is on: instances do not use links."""
    if isinstance(gpu.mig_enabled, Unread) and gpu.mig_enabled.why is Why.UNSUPPORTED:
        return False
    return known(gpu.mig_enabled)


def _behind_switches(case: Case, gpu: GpuFacts) -> bool:
    """GPUs before Hopper say nothing of a fabric: the bus does."""
    state = gpu.fabric_state
    if not isinstance(state, Unread):
        return state != "not_supported" or known(case.facts.driver.nvswitches) > 0
    return known(case.facts.driver.nvswitches) > 0 or (state.why is not Why.UNSUPPORTED and bool(known(state)))


def _up(gpu: GpuFacts) -> int:
    links = () if isinstance(gpu.nvlinks, Unread) else gpu.nvlinks
    return sum(link.active is True for link in links)
