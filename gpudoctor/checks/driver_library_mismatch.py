"""The driver's libraries and its loaded kernel module are of one version."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import Unread
from gpudoctor.findings import Evidence, Finding, Fix, Severity

# NVML_ERROR_LIB_RM_VERSION_MISMATCH
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_VERSION_MISMATCH = 18


def applies(case: Case) -> bool:
    """Where a module is loaded."""
    return not isinstance(case.facts.driver.kernel_module_version, Unread)


def check(case: Case) -> Iterator[Finding]:
    """NVML says so itself; an older one that does not still names its own driver version."""
    driver = case.facts.driver
    version = driver.version
    refused = isinstance(version, Unread) and version.code == _VERSION_MISMATCH
    differs = not isinstance(version, Unread) and version != driver.kernel_module_version
    if not refused and not differs:
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"the driver was upgraded and its old kernel module {driver.kernel_module_version} is still loaded",
        evidence=(
            Evidence(source="cat /proc/driver/nvidia/version", value=str(driver.kernel_module_version)),
            Evidence(source="nvidia-smi", value=str(version)),
        ),
        fix=Fix(
            text="reboot, or end what uses the GPU and load the new module; hold the package to keep it from happening"
            " again",
            commands=("sudo reboot",),
            needs_root=True,
            needs_reboot=True,
        ),
    )
