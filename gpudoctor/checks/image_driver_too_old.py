"""The host's driver is new enough for this image's CUDA.

An image brings its own CUDA toolkit and uses the host's driver, which must be at least as new as the one that came with
that toolkit. An older one does by forward compatibility (data-centre GPUs, branches on the image's list) or, from CUDA
11 on, inside one CUDA major. Where neither holds, CUDA answers that the driver version is insufficient (error 35), and
NVIDIA's images begin with `compatibility mode is UNAVAILABLE`. The toolkit on the host does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Finding, Severity

MENDED_BY = "upgrade the host's driver, or take an image of an older CUDA"
DECIDED_BY = "echo $CUDA_VERSION $CUDA_DRIVER_VERSION; nvidia-smi --query-gpu=driver_version --format=csv"
LINKS = (
    "https://docs.nvidia.com/deploy/cuda-compatibility/",
    "https://github.com/triton-inference-server/server/issues/1838",
    "https://github.com/NVIDIA/nvidia-docker/issues/1512",
)
SYMPTOMS = (
    r"CUDA driver version is insufficient",
    r"compatibility mode is UNAVAILABLE",
    r"unsatisfied condition: cuda ?>= ?[0-9]",
    r"built for NVIDIA Driver Release [0-9.]+ or later, but",
    r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|cudaErrorInsufficientDriver",
)

CAUSED_BY = (
    *image_here.NO_GPUS_TO_JUDGE,
    "image-jetson-needs-igpu",
    "image-gpu-too-old",
    "image-gpu-newer-than-tensorflow-build",
    "image-gpu-too-new",
)

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """No route by which the driver runs it, and none that another branch would have had."""
    here = image_here.judged(case)
    for ruling in here.gpus:
        if image_here.route(ruling) is not None or image_here.branch_is_skipped(here, ruling):
            continue
        needed = here.resolution.candidates[0].min_driver
        yield Finding(
            severity=Severity.ERROR,
            message=f"driver {here.driver} is too old for {here.cuda} of this image"
            + (f", which came with {needed}" if needed is not None else "")
            + f", and {ruling.gpu.label} has no way round it",
            evidence=here.evidence,
            fix=here.fix(MENDED_BY),
        )
