"""This image's TensorFlow was built for Blackwell, where the GPU is one.

Blackwell GPUs (compute capability 10 and 12: B200, RTX 50) need code that only CUDA 12.8 makes. TensorFlow before the
25.01 image has none, and what the driver would compile for it fails: invalid PTX, invalid handle. 25.01 and 25.02 are
the images that work; no image with TensorFlow 1 does.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Finding
from gpudoctor.verdicts import Verdict

MENDED_BY = "take nvcr.io/nvidia/tensorflow:25.02-tf2-py3, or build TensorFlow for the GPU"
DECIDED_BY = "nvidia-smi --query-gpu=name,compute_cap --format=csv; echo $NVIDIA_TENSORFLOW_VERSION"
LINKS = (
    "https://github.com/tensorflow/tensorflow/issues/101746",
    "https://github.com/tensorflow/tensorflow/issues/99592",
)
SYMPTOMS = (
    r"not built with CUDA kernel binaries compatible with compute capability 1[0-9]\.",
    r"CUDA_ERROR_INVALID_PTX",
    r"CUDA_ERROR_INVALID_HANDLE",
    r"PTX version [0-9.]+ does not support target",
    r"'sm_1[0-9]{2}a?' is not a recognized processor",
)

CAUSED_BY = image_here.NO_GPUS_TO_JUDGE

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """Blackwell, and no code for it."""
    here = image_here.judged(case)
    for ruling, said in image_here.with_verdict(here, "gpu_code", Verdict.WILL_NOT_RUN):
        if image_here.is_blackwell(ruling):
            yield Finding(
                severity=here.severity,
                message=f"the TensorFlow of this image is older than the GPU: {said.detail}",
                evidence=here.evidence,
                fix=here.fix(MENDED_BY),
            )
