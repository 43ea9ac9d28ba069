"""The GPU's on-chip memory had no more uncorrectable errors than a board may have.

SRAM, the memory inside the chip, has no spare rows: when it gave more uncorrectable errors than NVIDIA allows for a
board, the driver raises a flag, and the board is a case for replacement.
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
DECIDED_BY = "nvidia-smi -q -d ECC | grep -i threshold"
LINKS = ("https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/rma-policy-thresholds-for-row-remapping.html",)
SYMPTOMS = (r"SRAM Threshold Exceeded\s*: Yes", r"SRAM uncorrectable .*threshold", r"DCGM_FR_SRAM_THRESHOLD")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The driver's own flag."""
    rule = case.policy.signals["ecc-sram-threshold"]
    if known(gpu.ecc_sram_threshold_exceeded) and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: more uncorrectable errors in SRAM than a board may have",
            evidence=(Evidence(source=DECIDED_BY, value="SRAM Threshold Exceeded: Yes"),),
            fix=Fix(text=MENDED_BY, url=LINKS[0]),
        )
