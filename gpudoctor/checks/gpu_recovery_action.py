"""The driver asks for nothing to be done to the GPU.

After a fault the driver itself says what a GPU needs before it can be relied on again: a reset, a reboot, or that its
programs end first. Until then NVML may refuse to answer, and CUDA programs find the GPU `busy or unavailable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding
from gpudoctor.readings import Unread, known

CAUSED_BY = (
    *gpu_fixes.SILENCED_BY,
    "gpu-row-remap-failed",
    "gpu-page-retirement-exhausted",
    "gpu-ecc-sram-exhausted",
    "gpu-ecc-uncorrected",
    "gpu-xid",
)

MENDED_BY = "do what the driver asks for: reset the GPU, or reboot"
DECIDED_BY = "nvidia-smi -q | grep -i recovery"
LINKS = (
    "https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/error-recovery-and-response-flags.html",
    "https://github.com/scitix/sichek/issues/51",
)
SYMPTOMS = (
    r"GPU Recovery Action\s*: (?!None|N/A)\w",
    r"recovery action changed from .* to 0x0*[1-9a-f]",
    r"NV(ML)?_ERR(OR)?_RESET_REQUIRED",
    r"GPU requires (a )?reset",
    r"busy or unavailable",
)

# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_RESET_REQUIRED = 16


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """1. NVML refuses to speak of it. 2. The driver's verdict, from branch 570 on."""
    signals, what = case.policy.signals, gpu_fixes.named(gpu)
    refused = _refused(gpu)
    if refused is not None:
        rule = signals["reset-required"]
        if rule.severity is not None:
            yield Finding(
                severity=rule.severity,
                message=f"{what} must be reset before it can be used",
                evidence=(Evidence(source=refused.source, value=refused.detail),),
                fix=gpu_fixes.as_the_driver_says(case, gpu),
            )
        return
    action = known(gpu.recovery_action)
    if action == "none":
        return
    rule = signals.get(f"recovery-{action.replace('_', '-')}", signals["recovery-unlisted"])
    if rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"{what}: the driver asks for {_WORDS.get(action, f'the recovery action {action!r}')}",
            evidence=(Evidence(source=DECIDED_BY, value=action.replace("_", " ")),),
            fix=gpu_fixes.as_the_driver_says(case, gpu),
        )


_WORDS = {
    "gpu_reset": "a reset of the GPU",
    "node_reboot": "a reboot of the machine",
    "drain_p2p": "an end of the traffic between this GPU and others",
    "drain_and_reset": "a reset when the GPU's programs are done",
    "recover_imex_domain": "the IMEX domain to be recovered",
    "bus_reset": "a reset of the GPU's PCIe bus",
    "system_reboot": "a reboot of the system",
}


def _refused(gpu: GpuFacts) -> Unread | None:
    readings = (getattr(gpu, field.name) for field in fields(gpu))
    return next((one for one in readings if isinstance(one, Unread) and one.code == _RESET_REQUIRED), None)
