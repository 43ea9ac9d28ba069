"""The driver's libraries and its loaded kernel module are of one version."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError

CAUSED_BY = ("container-gpus-not-requested", "driver-libraries-missing")

# NVML_ERROR_LIB_RM_VERSION_MISMATCH
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_VERSION_MISMATCH = 18


def applies(case: Case) -> bool:
    """Where a module is loaded; a Jetson's is that of its display."""
    return not case.facts.system.jetson and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """NVML says so itself; an older one that does not still names its own driver version."""
    version, module = case.facts.driver.version, case.module_version
    if isinstance(version, Unread):
        if version.code != _VERSION_MISMATCH:
            raise UnreadError(version)
        says = version.detail
    elif version != module:
        says = str(version)
    else:
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"the driver was upgraded and its old kernel module {module} is still loaded",
        evidence=(
            Evidence(source="cat /proc/driver/nvidia/version", value=str(module)),
            Evidence(source="nvidia-smi", value=says),
        ),
        fix=Fix(
            text="reboot, or end what uses the GPU and load the new module; hold the package to keep it from happening"
            " again",
            commands=("sudo reboot",),
            needs_root=True,
            needs_reboot=True,
        ),
    )
