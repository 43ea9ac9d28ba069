"""This image still knows the GPU.

Every image holds code for the generations of its time and drops old ones: Kepler since 18.x, Maxwell since 18.12
(built in all the same for some years, and not documented), Pascal and Volta with 25.01. NVIDIA's images then say that
the GPU is not supported by this container; TensorFlow ignores the GPU and names the least capability that it wants.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Finding, Severity
from gpudoctor.verdicts import Verdict

MENDED_BY = "take an older image that still knows the GPU, or another GPU"
DECIDED_BY = "nvidia-smi --query-gpu=name,compute_cap --format=csv; echo $NVIDIA_TENSORFLOW_VERSION"
LINKS = (
    "https://docs.nvidia.com/deeplearning/frameworks/support-matrix/index.html",
    "https://github.com/NVlabs/stylegan2-ada/issues/65",
    "https://github.com/coqui-ai/STT/issues/1936",
)
SYMPTOMS = (
    r"Detected .* GPU, which is not supported by this container",
    r"Ignoring visible gpu device .*minimum required Cuda capability",
    r"no kernel image is available for execution on the device",
    r"No (?:NVIDIA )?supported GPU\(s\) detected",
)

CAUSED_BY = image_here.NO_GPUS_TO_JUDGE

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """Below the image's range, with or without code for it."""
    here = image_here.judged(case)
    for verdict, severity in ((Verdict.WILL_NOT_RUN, here.severity), (Verdict.RUNS_UNSUPPORTED, Severity.WARNING)):
        for _, said in image_here.with_verdict(here, "gpu_range", verdict):
            yield Finding(
                severity=severity,
                message=f"this image is too new for the GPU: {said.detail}",
                evidence=here.evidence,
                fix=here.fix(MENDED_BY),
            )
    for ruling, said in image_here.with_verdict(here, "gpu_code", Verdict.WILL_NOT_RUN):
        if not image_here.is_newer(here, ruling):
            yield Finding(
                severity=here.severity,
                message=f"this image holds no code for the GPU: {said.detail}",
                evidence=here.evidence,
                fix=here.fix(MENDED_BY),
            )
