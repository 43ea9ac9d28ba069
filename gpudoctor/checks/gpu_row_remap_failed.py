"""The GPU could replace every bad row of its memory.

From Ampere on a GPU replaces a row of memory with an uncorrectable error by a spare one. Where there is none left,
where that row was replaced before, or where the note of it could not be kept, the remapping fails, for good: the next
error in that row kills a program, or falsifies what it computes. The board is a case for replacement.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.health_policy import SignalRule
from gpudoctor.readings import known

CAUSED_BY = gpu_fixes.SILENCED_BY

MENDED_BY = "take the GPU out of service, run NVIDIA's field diagnostic and have the board replaced"
DECIDED_BY = "nvidia-smi -q -d ROW_REMAPPER"
LINKS = (
    "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/rma-policy-thresholds-for-row-remapping.html",
    "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/row-remapping.html",
    "https://github.com/awslabs/awsome-distributed-ai/pull/1190",
)
SYMPTOMS = (
    r"Xid \(PCI:.*\): 64\b(?!.*page)",
    r"Remapping Failure Occurred\s*: Yes",
    r"row remapp?ing fail",
)


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """1. The flag of a failure. 2. As many rows as can be. 3. Banks whose next error would be one."""
    signals = case.policy.signals
    rows = known(gpu.remapped_rows)
    what = gpu_fixes.named(gpu)
    seen = Evidence(source=DECIDED_BY, value=f"failure {'yes' if rows.failure else 'no'}, {rows.uncorrectable} rows")
    failed, used_up = signals["row-remap-failed"], signals["row-remap-uncorrectable"]
    if rows.failure and failed.severity is not None:
        message = f"{what}: a row of memory could not be remapped, which is final"
        yield Finding(severity=failed.severity, message=message, evidence=(seen,), fix=_REPLACE)
    elif rows.uncorrectable >= used_up.limit and used_up.severity is not None:
        message = f"{what}: {rows.uncorrectable} rows of memory were remapped, which is as many as can be"
        yield Finding(severity=used_up.severity, message=message, evidence=(seen,), fix=_REPLACE)
    else:
        yield from _nearly(gpu, signals["row-remap-exhausted-banks"])


def _nearly(gpu: GpuFacts, rule: SignalRule) -> Iterator[Finding]:
    banks = known(gpu.exhausted_banks)
    if banks >= rule.limit and rule.severity is not None:
        count = gpu_fixes.counted(banks, "bank")
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: {count} of memory {'has' if banks == 1 else 'have'} no spare row left",
            evidence=(Evidence(source=DECIDED_BY, value=f"{count} without a spare row"),),
            fix=Fix(text="plan to replace the board: the next uncorrectable error in them is final", url=LINKS[0]),
        )


_REPLACE = Fix(text=MENDED_BY, url=LINKS[0])
