"""A driver of the same CUDA major that is older than the image's is no fault.

NVIDIA's images begin with `CUDA Minor Version Compatibility mode ENABLED` where the driver is older than the one that
came with their CUDA, but of the same CUDA major (from 11 on). That works and is supported. One thing does not: code
that the driver would have to compile first (PTX) from the newer toolkit is refused, error 222.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Finding, Fix, Severity
from gpudoctor.verdicts import Verdict

MENDED_BY = "nothing needs mending; a newer driver takes away the banner, and the refusal of PTX (error 222)"
DECIDED_BY = "nvidia-smi | grep 'CUDA Version'; echo $CUDA_VERSION"
LINKS = (
    "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html",
    "https://github.com/triton-inference-server/server/issues/3518",
    "https://github.com/triton-inference-server/server/issues/3955",
)
SYMPTOMS = (
    r"CUDA Minor Version Compatibility mode ENABLED",
    r"the provided PTX was compiled with an unsupported toolchain",
    r"CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
)

CAUSED_BY = image_here.NO_GPUS_TO_JUDGE

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """Explains the banner; never more than that."""
    here = image_here.judged(case)
    for ruling in here.gpus:
        way = image_here.route(ruling)
        if way is not None and way.verdict is Verdict.RUNS_WITH_MINOR_VERSION_COMPAT:
            yield Finding(
                severity=Severity.INFO,
                message=f"driver {here.driver} is older than {here.cuda} of this image and runs it all the same:"
                f" {way.detail}",
                evidence=here.evidence,
                fix=Fix(text=MENDED_BY, url=LINKS[0]),
            )
            return  # of the driver, so that every GPU would say the same
