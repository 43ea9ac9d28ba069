"""The InfoROM of the GPU is sound.

A small memory on the board holds its serial number, its settings and the history of its errors. Where it is damaged
the GPU computes all the same, but its counts of errors and retired memory are not to be trusted, and settings such as
ECC may not be kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "reboot; if it stays, have whoever sold the board write its InfoROM anew"
DECIDED_BY = "nvidia-smi -q | grep -i -A 6 inforom"
LINKS = ("https://docs.nvidia.com/deploy/nvidia-smi/index.html",)
SYMPTOMS = (r"infoROM is corrupted", r"NVML_ERROR_CORRUPTED_INFOROM", r"DCGM_FR_CORRUPT_INFOROM")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The driver checks its sums."""
    rule = case.policy.signals["inforom-corrupted"]
    if not known(gpu.inforom_valid) and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: its InfoROM is corrupted, so its history of errors is not to be trusted",
            evidence=(Evidence(source="nvmlDeviceValidateInforom", value="corrupted infoROM"),),
            fix=Fix(text=MENDED_BY, url=LINKS[0]),
        )
