"""The GPU's memory had no uncorrectable error since the driver was loaded.

ECC found an error of more than one bit, which it cannot correct. The program that met it was ended with
`uncorrectable ECC error encountered`; others on the GPU may be hit. Errors of earlier lives of the driver are history
and do not count: the bad memory has been replaced by a spare since. One that a GPU from Ampere on has taken out of use,
to replace it at its next reset, is gpu-row-remap-pending.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding
from gpudoctor.readings import Unread, Why, known

CAUSED_BY = (
    *gpu_fixes.SILENCED_BY,
    "gpu-row-remap-failed",
    "gpu-page-retirement-exhausted",
    "gpu-ecc-sram-exhausted",
)

MENDED_BY = "reset the GPU, which puts a spare in place of the bad memory; if it comes back, have the board seen to"
DECIDED_BY = "nvidia-smi -q -d ECC"
LINKS = (
    "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/index.html",
    "https://github.com/vllm-project/vllm/issues/5222",
)
SYMPTOMS = (
    r"uncorrectable ECC error encountered",
    r"CUDA_ERROR_ECC_UNCORRECTABLE",
    r"cudaErrorECCUncorrectable",
    r"DCGM_FR_VOLATILE_DBE_DETECTED",
)


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The volatile count, which starts at 0 with the driver, where it is not that of a row that waits."""
    rule, errors = case.policy.signals["ecc-uncorrected"], known(gpu.ecc_uncorrected_volatile)
    if errors >= rule.limit and rule.severity is not None and not _waits(case, gpu):
        count = gpu_fixes.counted(errors, "uncorrectable memory error")
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: {count} since the driver was loaded",
            evidence=(Evidence(source=DECIDED_BY, value=f"volatile, uncorrectable: {errors}"),),
            fix=gpu_fixes.as_the_driver_says(case, gpu),
        )


def _waits(case: Case, gpu: GpuFacts) -> bool:
    """The row is marked and its page out of use; GPUs before Ampere have no rows to spare."""
    rows = gpu.remapped_rows
    if case.policy.signals["row-remap-pending"].severity is None:
        return False  # nobody else would tell
    if isinstance(rows, Unread) and rows.why is Why.UNSUPPORTED:
        return False
    return known(rows).pending and not known(rows).failure
