"""A GPU that is split by MIG has instances.

With MIG on, CUDA sees the instances of a GPU and never the GPU itself. Without any, or in a container that was given
none, cuInit fails with error 3 or 100 though nvidia-smi lists the GPU, and NVIDIA's images say `Possible MIG
misconfiguration detected`. Where other GPUs are not split, CUDA may fail over the one that is. Instances do not outlive
a reboot.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (*gpu_fixes.SILENCED_BY, "gpu-recovery-action")

MENDED_BY = "create instances, or switch MIG off"
DECIDED_BY = "nvidia-smi -L; sudo nvidia-smi mig -lgi"
LINKS = (
    "https://docs.nvidia.com/datacenter/tesla/mig-user-guide/",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/86",
)
SYMPTOMS = (
    r"Possible MIG misconfiguration detected",
    r"No MIG devices? (was |were )?found",
    r"CUDA_ERROR_NOT_INITIALIZED",
)

# https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html (2026-11)
_NOT_INITIALIZED = 3
_NO_DEVICE = 100


def applies(case: Case) -> bool:
    """Where NVML lists GPUs."""
    return bool(case.listed_gpus)


def check_gpu(case: Case, gpu: GpuFacts) -> Iterator[Finding]:
    """The mode now, and what NVML lists of instances."""
    if not known(gpu.mig_enabled) or known(gpu.mig_devices):
        return
    one = gpu_fixes.by_uuid(gpu)
    if case.container:
        what = "this container was given no instance of it"
        fix = Fix(
            text="start the container with an instance, not the whole GPU; instances have to be there first",
            commands=("docker run --gpus device=MIG-…  # as nvidia-smi -L lists it on the host",),
            url=LINKS[0],
        )
    else:
        what = "it has no instance, so CUDA sees nothing of it"
        fix = Fix(
            text=f"{MENDED_BY}: the profiles are those that the first command lists, 0 stands for the whole GPU",
            commands=(
                f"sudo nvidia-smi mig -i {gpu.index} -lgip",
                f"sudo nvidia-smi mig -i {gpu.index} -cgi 0 -C",
                f"sudo nvidia-smi -i {one} -mig 0  # to switch it off instead",
            ),
            needs_root=True,
            url=LINKS[0],
        )
    usable = any(other is not gpu and not _is_empty(other) for other in case.listed_gpus) and not _cuda_fails(case)
    yield Finding(
        severity=Severity.WARNING if usable else Severity.ERROR,
        message=f"{gpu_fixes.named(gpu)}: MIG is on, and {what}",
        evidence=(
            Evidence(source="nvidia-smi --query-gpu=mig.mode.current --format=csv", value="Enabled"),
            Evidence(source="nvidia-smi -L", value="no MIG device"),
        ),
        fix=fix,
    )


def _cuda_fails(case: Case) -> bool:
    """In one of the ways that an empty GPU makes it fail; 100 comes of CUDA_VISIBLE_DEVICES, too.

    https://github.com/wilicc/gpu-burn/issues/122, https://github.com/wilicc/gpu-burn/issues/36 (2026-11)
    """
    cuda = case.facts.cuda
    init = cuda if isinstance(cuda, Unread) else cuda.init
    if not isinstance(init, Unread) or isinstance(case.facts.system.variables, Unread):
        return False
    return init.code == _NOT_INITIALIZED or (init.code == _NO_DEVICE and case.variable("CUDA_VISIBLE_DEVICES") is None)


def _is_empty(gpu: GpuFacts) -> bool:
    """Surely; one that does not tell may be of use."""
    return gpu.mig_enabled is True and gpu.mig_devices == ()
