"""CUDA itself starts.

nvidia-smi asks NVML, which needs half of what CUDA needs. So gpudoctor calls cuInit in a process of its own, as every
CUDA program does first. Where it fails, its number narrows the cause down: 3 not initialised, 34 a stub library, 35 the
driver is too old, 46 every GPU is taken, 100 no GPU is visible, 304 a call to the operating system failed, 802 the
fabric is not ready, 803 library and driver do not go together, 804 forward compatibility on a GPU that has none, 805
MPS cannot be reached, 999 unknown. Where a cause is found, that finding stands first and this one follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import explained, in_words, init_code
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (
    "gpu-none-present",
    "container-gpus-not-requested",
    "container-compute-capability-missing",
    "container-apptainer-without-nv",
    "container-lost-gpu-after-daemon-reload",
    "container-no-cgroups-left-on",
    "container-selinux-denies-devices",
    "image-driver-libraries-baked-in",
    "driver-wsl-libcuda-missing",
    "driver-linux-package-in-wsl",
    "driver-not-loaded",
    "driver-libraries-missing",
    "driver-library-mismatch",
    "cuda-stub-library-loaded",
    "cuda-forward-compat-on-consumer-gpu",
    "cuda-stale-compat-on-newer-driver",
    "cuda-visible-devices-invalid",
    "cuda-mps-unreachable",
    "driver-gpu-unsupported",
    "driver-blackwell-needs-open-module",
    "gpu-fallen-off-bus",
    "driver-rm-init-adapter-failed",
    "gpu-mig-enabled-without-instances",
    "gpu-exclusive-process-in-use",
    "gpu-fabric-manager-not-running",
    "driver-uvm-missing",
    "cuda-uvm-hmm-failure",
    "cuda-broken-after-suspend",
    "container-toolkit-cdi-regression",
    "image-driver-too-old",
    "driver-call-hung",
    "gpu-not-listed",
)

MENDED_BY = "find which of the causes of this error it is, by the command, and mend that"
DECIDED_BY = """python3 -c "import ctypes; print(ctypes.CDLL('libcuda.so.1').cuInit(0))\""""
LINKS = (
    "https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html",
    "https://docs.nvidia.com/deploy/cuda-compatibility/",
)
SYMPTOMS = (
    r"failed call to cuInit",
    r"cuInit\(0\) failed",
    r"CUDA failed to initialize. +GPU functionality will not be available",
    r"CUDA initialization: ",
    r"cudaGetDeviceCount\(\) (returned|failed|-> )",
    r"CUDA driver initialization failed",
)


def check(case: Case) -> Iterator[Finding]:
    """1. cuInit. 2. It found a GPU: without one there is nothing to compute on."""
    facts = case.facts
    code = init_code(facts)
    cuda = known(facts.cuda)
    if code != 0:
        meaning = explained(code)
        library = () if isinstance(cuda.library, Unread) else (_loaded(cuda.library),)
        yield Finding(
            severity=Severity.ERROR,
            message=f"CUDA does not start: cuInit ends in {in_words(code)}",
            evidence=(Evidence(source="cuInit(0)", value=in_words(code)), *library),
            fix=Fix(text=f"{meaning.meaning}; {MENDED_BY}", commands=(meaning.look_at,), url=LINKS[0]),
        )
    elif known(cuda.device_count) == 0:
        yield Finding(
            severity=Severity.ERROR,
            message="CUDA starts and sees no GPU",
            evidence=(Evidence(source="cuDeviceGetCount", value="0"),),
            fix=Fix(text=MENDED_BY, commands=(explained(100).look_at,), url=LINKS[0]),
        )


def _loaded(path: str) -> Evidence:
    return Evidence(source="libcuda that was loaded", value=path)
