"""The driver's user-space libraries are installed beside its kernel module."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import DRIVER_GUIDE
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError, Why

CAUSED_BY = ("container-gpus-not-requested",)

# NVML_ERROR_LIBRARY_NOT_FOUND
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_LIBRARY_NOT_FOUND = 12


def applies(case: Case) -> bool:
    """Where a module is loaded that has such a library; Jetsons before Thor have none."""
    return not case.facts.system.jetson and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """pynvml could not find libnvidia-ml.so.1; any other code of NVML comes out of the library itself."""
    version = case.facts.driver.version
    if not isinstance(version, Unread) or version.code not in (None, _LIBRARY_NOT_FOUND):
        return
    if version.why is not Why.ABSENT:
        raise UnreadError(version)
    module = case.module_version
    evidence = (
        Evidence(source="cat /proc/driver/nvidia/version", value=str(module)),
        Evidence(source="ldconfig -p | grep libnvidia-ml", value="nothing"),
    )
    if case.container:
        yield Finding(
            severity=Severity.WARNING,
            message=f"the host has driver {module}, and libnvidia-ml.so.1 is not in this container, so nothing can be"
            " said of its GPUs",
            evidence=evidence,
            fix=Fix(text="start it again with NVIDIA_DRIVER_CAPABILITIES=compute,utility"),
        )
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"kernel module {module} is loaded, but libnvidia-ml.so.1 of the same driver is not installed",
        evidence=evidence,
        fix=Fix(
            text=f"install the libraries of driver {module} from where its kernel module came from",
            needs_root=True,
            url=DRIVER_GUIDE,
        ),
    )
