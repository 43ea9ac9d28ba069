"""No page of the GPU's memory waits to be retired.

Up to Turing a GPU retires a page of memory after an error of two bits in it, or two errors of one bit at one address.
The page leaves the pool only when the driver attaches to the GPU again: until then a program may be given it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding
from gpudoctor.readings import known

CAUSED_BY = (
    *gpu_fixes.SILENCED_BY,
    "gpu-page-retirement-exhausted",
    "gpu-ecc-uncorrected",
    "gpu-recovery-action",
)

MENDED_BY = "reset the GPU, or reboot"
DECIDED_BY = "nvidia-smi -q -d PAGE_RETIREMENT"
LINKS = ("https://docs.nvidia.com/deploy/dynamic-page-retirement/index.html",)
SYMPTOMS = (
    r"Xid \(PCI:.*\): 63\b(?!.*remap)",
    r"New page retired, reboot to activate",
    r"Pending Page (Blacklist|Retirement)\s*: Yes",
)


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The flag that NVML keeps until then."""
    rule = case.policy.signals["pages-retired-pending"]
    if known(gpu.retired_pages_pending) and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: a bad page of memory waits for a reset to be retired",
            evidence=(Evidence(source=DECIDED_BY, value="pending yes"),),
            fix=gpu_fixes.reset(case, gpu),
        )
