"""This Apptainer container was started with the host's driver libraries.

Apptainer and Singularity show a container the host's device nodes, but the driver's libraries only with `--nv`: it
looks for the names of nvliblist.conf in the host's library cache and mounts what it finds. Without it, or where the
node has its driver in an unusual place, there is no libcuda inside, and NVIDIA's images say that no supported GPU was
detected.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "start it again with --nv; if it was, make the node's ldconfig find libcuda.so.1"
DECIDED_BY = "ls /.singularity.d/libs; on the host: ldconfig -p | grep libcuda.so.1"
LINKS = (
    "https://apptainer.org/docs/user/main/gpu.html",
    "https://github.com/apptainer/singularity/issues/4687",
    "https://github.com/tensorflow/tensorflow/issues/4267",
)
SYMPTOMS = (
    r"Could not find any nv files on this host",
    r"(?:singularity|apptainer).*libcuda\.so\.1: cannot open shared object",
    r"No supported GPU\(s\) detected",
    r"libcuda\.so\.1: cannot open shared object file",
)

CAUSED_BY = ("container-gpus-not-requested",)


def applies(case: Case) -> bool:
    """Inside Apptainer, on a host whose driver is loaded."""
    return case.container == "apptainer" and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """Stubs and an image's compat libraries are no driver."""
    libraries = known(case.facts.driver.libcuda)
    if any(library.kind in ("driver", "wsl") for library in libraries):
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"this container was started without --nv: the host has driver {case.module_version}, and its libcuda"
        " is not in here",
        evidence=(
            Evidence(source="cat /proc/driver/nvidia/version", value=str(case.module_version)),
            Evidence(
                source="ldconfig -p | grep libcuda.so.1; ls /.singularity.d/libs",
                value=", ".join(library.path for library in libraries) or "nothing",
            ),
        ),
        fix=Fix(text=MENDED_BY, url=LINKS[0]),
    )
