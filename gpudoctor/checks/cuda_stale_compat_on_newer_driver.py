"""No compat libcuda hides a driver that is newer than itself.

A compat libcuda serves an older driver. When the driver is upgraded past it and the folder stays first on
LD_LIBRARY_PATH or in the loader's configuration, programs load a libcuda that is older than the kernel module, and
cuInit ends in error 803, `system has unsupported display driver / cuda driver combination`. nvidia-smi, which uses
another library, is fine. Images do the same where they force the folder, whatever the host's driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import answered, in_words, init_code
from gpudoctor.distributions import remove_packages
from gpudoctor.facts import CudaFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known
from gpudoctor.versions import DriverVersion, VersionError

CAUSED_BY = ("driver-library-mismatch",)

MENDED_BY = "take the compat folder off the loader's path: it is for drivers that are older than the library"
DECIDED_BY = "ldconfig -p | grep libcuda.so.1; echo $LD_LIBRARY_PATH; cat /proc/driver/nvidia/version"
LINKS = (
    "https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html",
    "https://github.com/NVIDIA-NeMo/labs-molt/pull/44",
    "https://github.com/NVIDIA/nvidia-docker/issues/1256",
)
SYMPTOMS = (
    r"unsupported display driver / cuda driver combination",
    r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    r"cudaErrorSystemDriverMismatch",
    r"(?<!UNAVAILABLE \()cuInit\S* .{0,40}(?:error|code|returned|[(:=>])\W?803\b",
)

_MISMATCH = 803


def applies(case: Case) -> bool:
    """Where cuInit answered; that it did not is another check's question."""
    return answered(case.facts)


def check(case: Case) -> Iterator[Finding]:
    """cuInit's 803 has two causes: the library that was loaded, and its version, tell this one from an upgrade."""
    if init_code(case.facts) != _MISMATCH:
        return
    path, version = _loaded(case, known(case.facts.cuda))
    if "compat" not in path or version is None:
        return
    module = case.module_version or known(case.facts.driver.version)
    if version >= module:
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"programs load the compat libcuda {version}, which is older than the driver {module}",
        evidence=(
            Evidence(source="cuInit(0)", value=in_words(_MISMATCH)),
            Evidence(source="libcuda that was loaded", value=path),
            Evidence(source="cat /proc/driver/nvidia/version", value=str(module)),
        ),
        fix=_fix(case),
    )


def _loaded(case: Case, cuda: CudaFacts) -> tuple[str, DriverVersion | None]:
    """The library as it was found in the process, else the first that the loader would take."""
    if not isinstance(cuda.library, Unread):
        suffix = cuda.library.rpartition("libcuda.so.")[2]
        with suppress(VersionError):
            if "." in suffix:  # not so where /usr/local/cuda/compat/libcuda.so.1 is a file of its own
                return cuda.library, DriverVersion(suffix)
    libraries = known(case.facts.driver.libcuda)
    first = libraries[0] if libraries else None
    path = cuda.library if not isinstance(cuda.library, Unread) else (first.path if first is not None else "")
    if first is None or "compat" not in path:
        return path, None
    return path, known(first.version)


def _fix(case: Case) -> Fix:
    system, variables = case.facts.system, case.facts.system.variables
    path = ""
    if not isinstance(variables, Unread):
        path = next((one.value for one in variables if one.name == "LD_LIBRARY_PATH"), "")
    kept = ":".join(part for part in path.split(":") if part and "compat" not in part)
    shell = (f'export LD_LIBRARY_PATH="{kept}"',) if "compat" in path else ()
    if not isinstance(system.container, Unread) and system.container:
        text = "start the container without its compat folder on LD_LIBRARY_PATH; the host's driver is newer"
        return Fix(text=text, commands=shell, url=LINKS[0])
    packages = () if isinstance(system.packages, Unread) else system.packages
    compat = tuple(one.name for one in packages if one.name.startswith("cuda-compat"))
    if not shell and not compat:
        look = ("grep -rl compat /etc/ld.so.conf.d  # remove what it names", "sudo ldconfig")
        return Fix(text=MENDED_BY, commands=look, needs_root=True, url=LINKS[0])
    commands = (*shell, *remove_packages(system, compat), *(("sudo ldconfig",) if compat else ()))
    return Fix(text=MENDED_BY, commands=commands, needs_root=bool(compat), url=LINKS[0])
