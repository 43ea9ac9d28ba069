"""No row of the GPU's memory waits for a reset to be remapped.

An uncorrectable error was found in a row of memory, and from Ampere on the GPU will replace it by a spare one, at its
next reset. Until then the bad page is kept from use, so programs may run on; the one that met the error has died with
`uncorrectable ECC error encountered`.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding
from gpudoctor.readings import known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-row-remap-failed", "gpu-recovery-action")

MENDED_BY = "reset the GPU when its programs are done"
DECIDED_BY = "nvidia-smi -q -d ROW_REMAPPER"
LINKS = (
    "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/row-remapping.html",
    "https://github.com/vllm-project/vllm/issues/5222",
    "https://github.com/leptonai/gpud/pull/80",
)
SYMPTOMS = (
    r"Xid \(PCI:.*\): 63\b(?!.*page)",
    r"marked for remapping",
    r"\bPending {3,}: Yes",
    r"row remappings? (is |are )?pending",
    r"uncorrectable ECC error encountered",
)


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The flag that NVML keeps until the reset."""
    rule = case.policy.signals["row-remap-pending"]
    if known(gpu.remapped_rows).pending and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{gpu_fixes.named(gpu)}: a bad row of memory waits for a reset to be replaced",
            evidence=(Evidence(source=DECIDED_BY, value="pending yes"),),
            fix=gpu_fixes.reset(case, gpu, "when its programs are done"),
        )
