"""A Jetson runs the image that was made for its integrated GPU.

The GPU on a Jetson's chip has a driver of its own, which comes with JetPack. NVIDIA's images for it end in -igpu; those
for servers, also where they are for arm64, look for another driver and say that the one they found is too old.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known
from gpudoctor.versions import DriverVersion, VersionError

MENDED_BY = "take the tag that ends in -igpu"
DECIDED_BY = "cat /etc/nv_tegra_release; echo $CUDA_DRIVER_VERSION; cat /proc/driver/nvidia/version"
LINKS = (
    "https://docs.nvidia.com/deeplearning/frameworks/support-matrix/index.html",
    "https://github.com/triton-inference-server/server/issues/7798",
    "https://github.com/triton-inference-server/server/issues/8536",
)
SYMPTOMS = (
    r"built for NVIDIA Driver Release [0-9.]+ or later, but",
    r"version (?:540|35\d|36\d)\.[0-9.]+ was detected and compatibility mode is UNAVAILABLE",
    r"NvRmMemInitNvmap failed",
)

_VARIABLE = "CUDA_DRIVER_VERSION"


def applies(case: Case) -> bool:
    """Inside a container on a Jetson whose driver tells its version, of an image that says which one it was built for.

    JetPack's driver does so from 6 on.
    """
    jetson = case.facts.system.jetson and bool(case.container)
    return jetson and case.module_version is not None and bool(case.variable(_VARIABLE))


def check(case: Case) -> Iterator[Finding]:
    """A server's image names a driver of a newer branch than JetPack has; Thor's driver is a server's."""
    stated = case.variable(_VARIABLE) or ""
    try:
        wanted = DriverVersion(stated)
    except VersionError:
        return
    driver = known(case.facts.driver.kernel_module_version)
    if wanted.branch <= driver.branch:
        return
    tag = image_here.image_facts(case).tag
    yield Finding(
        severity=Severity.ERROR,
        message=f"this image was made for servers: it was built for driver {wanted}, and this Jetson has {driver}",
        evidence=(
            Evidence(source="ls /etc/nv_tegra_release", value="/etc/nv_tegra_release"),
            Evidence(source=f"echo ${_VARIABLE}", value=stated),
            Evidence(source="cat /proc/driver/nvidia/version", value=str(driver)),
        ),
        fix=Fix(text=f"{MENDED_BY}: {tag}-igpu" if tag else MENDED_BY, url=LINKS[0]),
    )
