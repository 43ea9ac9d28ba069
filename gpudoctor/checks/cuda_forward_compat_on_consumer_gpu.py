"""A newer libcuda is used only on GPUs that forward compatibility is for.

The packages cuda-compat-* and most CUDA images bring a libcuda.so.1 that is newer than the host's driver. Forward
compatibility makes it work on data-centre GPUs, on some NGC-ready RTX boards and on Jetson. On any other GPU, a GeForce
above all, cuInit ends in error 804, `forward compatibility was attempted on non supported HW`, although the driver's
own libcuda, which the newer one hides, would have run every CUDA of the same major version.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import answered, in_words, init_code
from gpudoctor.distributions import remove_packages
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread

MENDED_BY = (
    "take the compat library off the loader's path, or remove the host's cuda-compat packages: inside one CUDA major"
    " the driver's own libcuda is enough; across majors upgrade the driver"
)
DECIDED_BY = "ldconfig -p | grep libcuda.so.1; echo $LD_LIBRARY_PATH; nvidia-smi -L"
LINKS = (
    "https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html",
    "https://github.com/mistralai/mistral-inference/issues/144",
    "https://github.com/oobabooga/textgen/issues/4407",
)
SYMPTOMS = (
    r"forward compatibility was attempted on non[- ]supported HW",
    r"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    r"cudaErrorCompatNotSupportedOnDevice",
    r"(?<!UNAVAILABLE \()cuInit\S* .{0,40}(?:error|code|returned|[(:=>])\W?804\b",
)

_NOT_SUPPORTED_ON_DEVICE = 804


def applies(case: Case) -> bool:
    """Where cuInit answered; that it did not is another check's question."""
    return answered(case.facts)


def check(case: Case) -> Iterator[Finding]:
    """cuInit says so, in so many words."""
    if init_code(case.facts) != _NOT_SUPPORTED_ON_DEVICE:
        return
    gpus = [gpu.name for gpu in case.listed_gpus if not isinstance(gpu.name, Unread)]
    yield Finding(
        severity=Severity.ERROR,
        message=f"a compat libcuda, newer than the driver, is used on {gpus[0] if gpus else 'a GPU'}, which forward"
        " compatibility is not for",
        evidence=tuple(_evidence(case)),
        fix=_fix(case),
    )


def _evidence(case: Case) -> Iterator[Evidence]:
    cuda, driver = case.facts.cuda, case.facts.driver
    yield Evidence(source="cuInit(0)", value=in_words(_NOT_SUPPORTED_ON_DEVICE))
    if not isinstance(cuda, Unread) and not isinstance(cuda.library, Unread):
        yield Evidence(source="libcuda that was loaded", value=cuda.library)
    if not isinstance(driver.kernel_module_version, Unread):
        yield Evidence(source="cat /proc/driver/nvidia/version", value=str(driver.kernel_module_version))
    path = _path(case)
    if path:
        yield Evidence(source="echo $LD_LIBRARY_PATH", value=path)


def _path(case: Case) -> str:
    variables = case.facts.system.variables
    if isinstance(variables, Unread):
        return ""
    return next((one.value for one in variables if one.name == "LD_LIBRARY_PATH"), "")


def _fix(case: Case) -> Fix:
    system = case.facts.system
    if not isinstance(system.container, Unread) and system.container:
        return Fix(
            text="upgrade the host's driver to the image's, or start the container without its compat folder on"
            " LD_LIBRARY_PATH and in /etc/ld.so.conf.d: inside one CUDA major the host's libcuda is enough",
            url=LINKS[0],
        )
    packages = () if isinstance(system.packages, Unread) else system.packages
    compat = tuple(one.name for one in packages if one.name.startswith("cuda-compat"))
    kept = ":".join(part for part in _path(case).split(":") if part and "compat" not in part)
    shell = (f'export LD_LIBRARY_PATH="{kept}"',) if "compat" in _path(case) else ()
    commands = (*shell, *remove_packages(system, compat), *(("sudo ldconfig",) if compat else ()))
    return Fix(text=MENDED_BY, commands=commands, needs_root=bool(compat), url=LINKS[0])
