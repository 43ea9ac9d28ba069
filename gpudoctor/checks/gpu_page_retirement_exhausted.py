"""The GPU has not retired as many pages of its memory as it can.

Up to Turing a GPU retires bad pages, and can note down 64 of them. When it gets there its memory is failing, and the
next bad page stays in use.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import known

CAUSED_BY = gpu_fixes.SILENCED_BY

MENDED_BY = "take the GPU out of service, run NVIDIA's field diagnostic and have the board replaced"
DECIDED_BY = "nvidia-smi -q -d PAGE_RETIREMENT"
LINKS = (
    "https://docs.nvidia.com/deploy/dynamic-page-retirement/index.html",
    "https://github.com/NVIDIA/DCGM/blob/master/common/DcgmGPUHardwareLimits.h",
)
SYMPTOMS = (
    r"Xid \(PCI:.*\): 64\b(?!.*remap)",
    r"DCGM_FR_(DBE_)?RETIRED_PAGES",
    r"retired pages? .*limit",
)


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """Pages retired for either cause."""
    rule, pages = case.policy.signals["pages-retired"], known(gpu.retired_pages)
    if pages >= rule.limit and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: {pages} pages of memory are retired, and {rule.limit:g} are too many",
            evidence=(Evidence(source=DECIDED_BY, value=f"{pages} pages"),),
            fix=Fix(text=MENDED_BY, url=LINKS[0]),
        )
