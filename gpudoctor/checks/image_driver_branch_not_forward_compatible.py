"""The image's compatibility libraries take the host's driver branch.

On data-centre GPUs an image may use its own newer libcuda, but only over the driver branches on its list: those that
NVIDIA supports for long. A branch between two of them is not on it, so that 390 and 396 fail where the older 384 works,
and 520 where 470 and 515 work. The list shrinks with time.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Finding, Severity

MENDED_BY = "move the host to a branch on the image's list, or take an image of the driver's own CUDA major"
DECIDED_BY = "echo $CUDA_VERSION; nvidia-smi --query-gpu=name,driver_version --format=csv"
LINKS = (
    "https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html",
    "https://github.com/triton-inference-server/server/issues/139",
    "https://github.com/triton-inference-server/server/issues/185",
)
SYMPTOMS = (
    r"compatibility mode is UNAVAILABLE",
    r"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    r"system has unsupported display driver / cuda driver combination",
)

CAUSED_BY = (
    *image_here.NO_GPUS_TO_JUDGE,
    "image-gpu-too-old",
    "image-gpu-newer-than-tensorflow-build",
    "image-gpu-too-new",
)

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """No route, though an older branch would have one."""
    here = image_here.judged(case)
    for ruling in here.gpus:
        if image_here.route(ruling) is not None or not image_here.branch_is_skipped(here, ruling):
            continue
        said = image_here.reason(ruling, "forward_compat")
        yield Finding(
            severity=Severity.ERROR,
            message=f"driver branch {here.driver.branch} cannot run {here.cuda} of this image"
            + (f": {said.detail}" if said is not None else ""),
            evidence=here.evidence,
            fix=here.fix(MENDED_BY),
        )
