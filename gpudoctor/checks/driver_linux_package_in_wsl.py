"""No NVIDIA driver of Linux is installed inside WSL.

WSL 2 uses the driver of Windows, which lends its libraries in /usr/lib/wsl/lib. A driver package of the distribution,
or one that a CUDA package drew in, brings a libcuda.so.1 of its own that looks for a kernel module which WSL never
has: CUDA then finds no device (error 100), and the container toolkit says `driver error: failed to process request`.
Of NVIDIA's CUDA packages only cuda-toolkit is meant for WSL; cuda and cuda-drivers install a driver.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import driver_packages, remove_packages
from gpudoctor.facts import CudaLibrary
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = ("driver-wsl-libcuda-missing",)

MENDED_BY = "remove the driver packages inside WSL; the driver of Windows is enough"
DECIDED_BY = "ldconfig -p | grep libcuda.so.1; dpkg -l | grep -e nvidia -e libcuda"
LINKS = (
    "https://docs.nvidia.com/cuda/wsl-user-guide/",
    "https://github.com/NVIDIA/nvidia-docker/issues/1508",
    "https://github.com/NVIDIA/cuml/issues/6218",
)
SYMPTOMS = (
    r"nvidia-container-cli: initialization error: driver error: failed to process request",
    r"driver error: failed to process request",
    r"GPU access blocked by the operating system",
    r"no CUDA-capable device is detected",
)


def applies(case: Case) -> bool:
    """In WSL itself."""
    return case.facts.system.wsl and not case.container


def check(case: Case) -> Iterator[Finding]:
    """The library that the loader finds first, and the packages: one is the fault, the others bring it about."""
    system = case.facts.system
    libraries = known(case.facts.driver.libcuda)
    first = libraries[0] if libraries else None
    shadows = first is not None and first.kind == "driver"
    packages = driver_packages(system)
    if not shadows:
        known(system.packages)
    if not shadows and not packages:
        return
    starts = not isinstance(case.facts.cuda, Unread) and case.facts.cuda.init is True
    yield Finding(
        severity=Severity.ERROR if shadows and not starts else Severity.WARNING,
        message=_message(first if shadows else None, packages),
        evidence=(
            Evidence(source="ldconfig -p | grep libcuda.so.1", value=first.path if first is not None else "nothing"),
            Evidence(source="dpkg -l or rpm -qa", value=", ".join(packages) or "no driver package"),
        ),
        fix=Fix(
            text=MENDED_BY if packages else "remove what NVIDIA's installer put inside WSL: run nvidia-uninstall",
            commands=(*remove_packages(system, packages), "sudo ldconfig")
            if packages
            else ("sudo nvidia-uninstall", "sudo ldconfig"),
            needs_root=True,
            url=LINKS[0],
        ),
    )


def _message(first: CudaLibrary | None, packages: tuple[str, ...]) -> str:
    if first is None:
        return f"driver packages of Linux are installed inside WSL: {', '.join(packages)}"
    return f"a Linux driver inside WSL hides that of Windows: programs load {first.path}, not /usr/lib/wsl/lib's"
