"""This image is new enough for the GPU.

A CUDA toolkit makes code for the GPUs that it knows. A GPU of a newer generation runs none of it; the driver may
compile what the image holds for it at the first use, but the libraries need code of their own. TensorFlow 1.15 on
CUDA 10 with an Ampere GPU is the well-known case: it hangs, fails with CUBLAS_STATUS_EXECUTION_FAILED, or computes
wrong numbers. Within one generation an older image's code runs, though NVIDIA does not support it and says so in the
banner.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Finding, Severity
from gpudoctor.verdicts import Verdict

MENDED_BY = "take a newer image of the same TensorFlow"
DECIDED_BY = "nvidia-smi --query-gpu=name,compute_cap --format=csv; echo $CUDA_VERSION $NVIDIA_TENSORFLOW_VERSION"
LINKS = (
    "https://docs.nvidia.com/deeplearning/frameworks/support-matrix/index.html",
    "https://github.com/NVIDIA/DeepLearningExamples/issues/803",
    "https://github.com/alexanderkroner/saliency/issues/25",
)
SYMPTOMS = (
    r"Detected .* GPU, which is not yet supported in this version of the container",
    r"No supported GPU\(s\) detected",
    r"CUBLAS_STATUS_EXECUTION_FAILED",
    r"failed to run cuBLAS routine",
    r"no kernel image is available for execution on the device",
    r"CUDA_ERROR_NO_BINARY_FOR_GPU",
)

CAUSED_BY = image_here.NO_GPUS_TO_JUDGE

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """No code that would do; or older code of the same generation, which does."""
    here = image_here.judged(case)
    for ruling, said in image_here.with_verdict(here, "gpu_code", Verdict.WILL_NOT_RUN):
        if image_here.is_newer(here, ruling) and not image_here.is_blackwell(ruling):
            yield Finding(
                severity=here.severity,
                message=f"this image is too old for the GPU: {said.detail}",
                evidence=here.evidence,
                fix=here.fix(MENDED_BY),
            )
    for _, said in image_here.with_verdict(here, "gpu_code", Verdict.RUNS_UNSUPPORTED):
        yield Finding(
            severity=Severity.WARNING,
            message=f"this image runs on the GPU and is not supported there: {said.detail}",
            evidence=here.evidence,
            fix=here.fix(MENDED_BY),
        )
