"""This image holds native code for the GPU.

Without native code the driver compiles the intermediate code (PTX) that the image holds when a kernel is first used:
TensorFlow warns that this could take 30 minutes. The result is kept in ~/.nv/ComputeCache, which a container that is
removed takes with it, so that every start is slow; a cache that is too small does the same. cuDNN, cuBLAS and NCCL may
fail all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Severity
from gpudoctor.verdicts import Verdict

MENDED_BY = "take an image with native code; until then keep the cache: a volume, CUDA_CACHE_PATH, CUDA_CACHE_MAXSIZE"
DECIDED_BY = "nvidia-smi --query-gpu=name,compute_cap --format=csv; env | grep CUDA_CACHE; du -sh ~/.nv/ComputeCache"
LINKS = (
    "https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables",
    "https://github.com/tensorflow/tensorflow/issues/62320",
    "https://github.com/tensorflow/tensorflow/issues/60739",
)
SYMPTOMS = (
    r"was not built with CUDA kernel binaries compatible with compute capability",
    r"CUDA kernels will be jit-compiled from PTX",
    r"which could take 30 minutes or longer",
)

CAUSED_BY = image_here.NO_GPUS_TO_JUDGE

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """No native code, and PTX that serves."""
    here = image_here.judged(case)
    cache = tuple(
        Evidence(source=f"echo ${name}", value=value)
        for name in ("CUDA_CACHE_DISABLE", "CUDA_CACHE_MAXSIZE", "CUDA_CACHE_PATH")
        if (value := case.variable(name))
    )
    for _, said in image_here.with_verdict(here, "gpu_code", Verdict.RUNS_WITH_PTX_JIT):
        yield Finding(
            severity=Severity.WARNING,
            message=f"every first start of this image takes minutes: {said.detail}",
            evidence=(*here.evidence, *cache),
            fix=here.fix(MENDED_BY),
        )
