"""The driver's user-space libraries are installed beside its kernel module.

The kernel module alone is half a driver: nvidia-smi needs libnvidia-ml.so.1 and CUDA needs libcuda.so.1, both of the
very same version. Distributions split them into packages of their own, and a set-up that was made for a display or for
a container host alone may have left them out.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import DRIVER_GUIDE
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError, Why, known

CAUSED_BY = ("container-gpus-not-requested", "container-apptainer-without-nv", "driver-call-hung")

MENDED_BY = "install the driver's libraries, of the version of its kernel module, from where that came from"
DECIDED_BY = "ldconfig -p | grep -e libnvidia-ml.so.1 -e libcuda.so.1"
LINKS = (
    DRIVER_GUIDE,
    "https://github.com/NVIDIA/nvidia-docker/issues/1711",
)
SYMPTOMS = (
    r"libnvidia-ml\.so\S* cannot open shared object file",
    r"couldn't find libnvidia-ml\.so",
    r"NVML Shared Library Not Found",
    r"load library failed: libnvidia-ml\.so",
    r"libcuda\.so\S*:? cannot open shared object file",
    r"Could not find cuda drivers",
    r"Could not load dynamic library '?libcuda\.so",
)

# NVML_ERROR_LIBRARY_NOT_FOUND
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_LIBRARY_NOT_FOUND = 12


def applies(case: Case) -> bool:
    """Where a module is loaded that has such a library; Jetsons before Thor have none."""
    return not case.facts.system.jetson and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """1. pynvml could not find libnvidia-ml.so.1; any other code of NVML comes out of it. 2. No libcuda.so.1."""
    version = case.facts.driver.version
    if isinstance(version, Unread) and version.code in (None, _LIBRARY_NOT_FOUND):
        if version.why is not Why.ABSENT:
            raise UnreadError(version)
        yield from _without_nvml(case)
    elif not case.container and _has_no_libcuda(case):
        yield _missing(case, "libcuda.so.1")


def _without_nvml(case: Case) -> Iterator[Finding]:
    if not case.container:
        yield _missing(case, "libnvidia-ml.so.1")
        return
    module = case.module_version
    yield Finding(
        severity=Severity.WARNING,
        message=f"the host has driver {module}, and libnvidia-ml.so.1 is not in this container, so nothing can be"
        " said of its GPUs",
        evidence=_evidence(case, "libnvidia-ml.so.1"),
        fix=Fix(text="start it again with NVIDIA_DRIVER_CAPABILITIES=compute,utility"),
    )


def _has_no_libcuda(case: Case) -> bool:
    """The loader finds none, and CUDA could not be asked for that very reason."""
    cuda, found = case.facts.cuda, case.facts.driver.libcuda
    init = cuda if isinstance(cuda, Unread) else cuda.init
    could_not_be_loaded = isinstance(init, Unread) and init.why is Why.ABSENT
    if could_not_be_loaded:
        return known(found) == ()
    if found == () and isinstance(init, Unread) and init.code is None:
        raise UnreadError(init)
    return False


def _missing(case: Case, library: str) -> Finding:
    module = case.module_version
    return Finding(
        severity=Severity.ERROR,
        message=f"kernel module {module} is loaded, but {library} of the same driver is not installed",
        evidence=_evidence(case, library),
        fix=Fix(
            text=f"install the libraries of driver {module} from where its kernel module came from",
            commands=_commands(case, library),
            needs_root=True,
            url=DRIVER_GUIDE,
        ),
    )


def _evidence(case: Case, library: str) -> tuple[Evidence, ...]:
    return (
        Evidence(source="cat /proc/driver/nvidia/version", value=str(case.module_version)),
        Evidence(source=f"ldconfig -p | grep {library}", value="nothing"),
    )


def _commands(case: Case, library: str) -> tuple[str, ...]:
    """Where one package is known to hold the library."""
    system, module = case.facts.system, case.module_version
    if module is None:
        return ()
    if system.os_id == "debian":
        return (f"sudo apt-get install {'libcuda1' if library.startswith('libcuda') else 'libnvidia-ml1'}",)
    if system.os_id == "ubuntu":
        return (f"sudo apt-get install libnvidia-compute-{module.branch}",)
    return ()
