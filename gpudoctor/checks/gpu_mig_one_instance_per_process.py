"""A program sees the one MIG instance that it is meant to have.

Whatever the number of MIG instances it was given, CUDA shows a program one of them, so TensorFlow lists one GPU. That
is how MIG works, not a fault: each instance wants a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "start one process for each instance, with CUDA_VISIBLE_DEVICES=MIG-… of its own"
DECIDED_BY = "nvidia-smi -L"
LINKS = (
    "https://docs.nvidia.com/datacenter/tesla/mig-user-guide/",
    "https://github.com/NVIDIA/k8s-device-plugin/issues/446",
    "https://github.com/pytorch/pytorch/issues/130181",
)
SYMPTOMS = (r"CUDA_VISIBLE_DEVICES=\W*MIG-.*,\s*MIG-", r"NVIDIA_VISIBLE_DEVICES=\W*MIG-.*,\s*MIG-")


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """Said once, of the first GPU with instances: a container was given several, or a machine has them."""
    if not known(gpu.mig_devices):
        return
    with_instances = [one for one in case.listed_gpus if not isinstance(one.mig_devices, Unread) and one.mig_devices]
    if with_instances[0] is not gpu:
        return
    count = sum(len(known(one.mig_devices)) for one in with_instances)
    if count == 1:
        for one in case.listed_gpus:
            known(one.mig_devices)
        return
    chosen = case.variable("CUDA_VISIBLE_DEVICES") or ""
    if chosen.startswith("MIG-") and "," not in chosen:
        return
    first = known(gpu.mig_devices)[0].uuid
    yield Finding(
        # Who was given several most likely expects to see them; on the host they are there for several programs.
        severity=Severity.WARNING if case.container else Severity.INFO,
        message=f"of {count} MIG instances a program sees one",
        evidence=(Evidence(source=DECIDED_BY, value=f"{count} MIG devices"),),
        fix=Fix(
            text=MENDED_BY,
            commands=(f"CUDA_VISIBLE_DEVICES={'MIG-…' if isinstance(first, Unread) else first} python train.py",),
            url=LINKS[0],
        ),
    )
