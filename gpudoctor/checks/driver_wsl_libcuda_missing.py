"""Windows lends this WSL its CUDA library.

Inside WSL 2 there is no NVIDIA driver of Linux: Windows puts libcuda.so.1 and libnvidia-ml.so.1 of its own driver into
/usr/lib/wsl/lib. They are missing where the driver of Windows is too old for WSL or not NVIDIA's, where WSL itself is
of version 1 or too old, or where the GPU is not attached, as an external one.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = (
    "install NVIDIA's current driver on Windows, none inside WSL; then, on Windows: wsl --update, wsl --shutdown"
)
DECIDED_BY = "ls -l /usr/lib/wsl/lib/libcuda.so.1 /dev/dxg"
LINKS = (
    "https://docs.nvidia.com/cuda/wsl-user-guide/",
    "https://github.com/NVIDIA/nvidia-docker/issues/1225",
    "https://github.com/microsoft/WSL/issues/5604",
)
SYMPTOMS = (
    r"/usr/lib/wsl/lib/libcuda\.so\S*:? (no such file|cannot open)",
    r"stat failed: /usr/lib/wsl/",
    r"could not find /usr/lib/wsl/lib/",
    r"no adapters were found.*wsl|WSL environment detected but no adapters were found",
)

_FOLDER = "/usr/lib/wsl/lib"


def applies(case: Case) -> bool:
    """In WSL itself; what a container of it is given is the toolkit's doing."""
    return case.facts.system.wsl and not case.container


def check(case: Case) -> Iterator[Finding]:
    """libcuda.so.1 and its versions are one file; any of the names will do."""
    libraries = known(case.facts.driver.wsl_libraries)
    if any(name.startswith("libcuda.so") for name in libraries):
        return
    nodes = case.facts.driver.device_nodes
    no_device = not isinstance(nodes, Unread) and "/dev/dxg" not in nodes
    yield Finding(
        severity=Severity.ERROR,
        message=f"Windows gives this WSL no libcuda.so.1: it is not in {_FOLDER}"
        + (", and there is no /dev/dxg" if no_device else ""),
        evidence=(
            Evidence(source=f"ls {_FOLDER}", value=", ".join(libraries) or "nothing"),
            *((Evidence(source="ls /dev/dxg", value="no such file"),) if no_device else ()),
        ),
        fix=Fix(
            text=MENDED_BY + ("; this may be WSL 1, which has no GPU: wsl --list --verbose" if no_device else ""),
            url=LINKS[0],
        ),
    )
