"""This container was given the driver's libraries for CUDA.

NVIDIA_DRIVER_CAPABILITIES names the parts of the driver that a container is given: `utility` brings nvidia-smi and
NVML, `compute` brings libcuda. With `utility` alone nvidia-smi works, and every CUDA program misses libcuda.so.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "start it again with NVIDIA_DRIVER_CAPABILITIES=compute,utility"
DECIDED_BY = "echo $NVIDIA_DRIVER_CAPABILITIES; ldconfig -p | grep libcuda.so.1"
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html",
    "https://github.com/mudler/LocalAI/issues/11973",
)
SYMPTOMS = (
    r"libcuda\.so\.1: cannot open shared object file",
    r"Could not load dynamic library 'libcuda\.so\.1'",
    r"unsupported (?:driver )?capabilities found in '[^']*' \(allowed",
)

CAUSED_BY = ("container-gpus-not-requested",)

_VARIABLE = "NVIDIA_DRIVER_CAPABILITIES"


def applies(case: Case) -> bool:
    """Inside a container, on a host whose driver is loaded, where somebody said which parts; unsaid, compute is one."""
    return bool(case.container) and case.module_version is not None and bool(case.variable(_VARIABLE))


def check(case: Case) -> Iterator[Finding]:
    """Not asked for, and not there by any other way."""
    stated = case.variable(_VARIABLE) or ""
    if {"compute", "all"} & {word.strip() for word in stated.split(",")}:
        return
    if any(library.kind in ("driver", "wsl") for library in known(case.facts.driver.libcuda)):
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"this container was given no libcuda: {_VARIABLE} is {stated}, without compute",
        evidence=(
            Evidence(source=f"echo ${_VARIABLE}", value=stated),
            Evidence(source="ldconfig -p | grep libcuda.so.1", value="nothing of the driver"),
        ),
        fix=Fix(text=MENDED_BY, url=LINKS[0]),
    )
