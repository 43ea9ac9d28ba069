"""The driver's user-space libraries are installed beside its kernel module."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import DRIVER_GUIDE
from gpudoctor.facts import Unread
from gpudoctor.findings import Evidence, Finding, Fix, Severity

CAUSED_BY = ("container-gpus-not-requested",)

# NVML_ERROR_LIBRARY_NOT_FOUND
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_LIBRARY_NOT_FOUND = 12


def applies(case: Case) -> bool:
    """Where a module is loaded."""
    return not isinstance(case.facts.driver.kernel_module_version, Unread)


def check(case: Case) -> Iterator[Finding]:
    """pynvml could not find libnvidia-ml.so.1."""
    version = case.facts.driver.version
    if not isinstance(version, Unread) or version.code != _LIBRARY_NOT_FOUND:
        return
    module = case.facts.driver.kernel_module_version
    yield Finding(
        severity=Severity.ERROR,
        message=f"kernel module {module} is loaded, but libnvidia-ml.so.1 of the same driver is not installed",
        evidence=(
            Evidence(source="cat /proc/driver/nvidia/version", value=str(module)),
            Evidence(source="ldconfig -p | grep libnvidia-ml", value="nothing"),
        ),
        fix=Fix(
            text=f"install the libraries of driver {module} from where its kernel module came from",
            needs_root=True,
            url=DRIVER_GUIDE,
        ),
    )
