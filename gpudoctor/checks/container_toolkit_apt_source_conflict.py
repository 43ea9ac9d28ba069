"""One file alone names the package source of the NVIDIA Container Toolkit.

Files from the time of nvidia-docker2 name the same source without a key of its own; beside the present file, which
names the key, apt refuses to read any source at all. Nothing is updated then, neither driver nor toolkit.
"""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import basename

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "delete the old files"
DECIDED_BY = "grep -l nvidia.github.io /etc/apt/sources.list.d/*"
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html",
    "https://github.com/NVIDIA/nvidia-docker/issues/1631",
)
SYMPTOMS = (
    r"Conflicting values set for option Signed-By regarding source \S*nvidia\.github\.io",
    r"Conflicting values set for option Signed-By.*nvidia-container-toolkit-keyring",
)

_PRESENT = ("nvidia-container-toolkit.list", "nvidia-container-toolkit.sources")
# Source: the first of LINKS (2026-11)
_OLD = ("libnvidia-container.list", "nvidia-container-runtime.list", "nvidia-docker.list")


def check(case: Case) -> Iterator[Finding]:
    """An old file beside the present one."""
    files = known(case.facts.engine.toolkit_sources)
    names = {basename(file) for file in files}
    old = tuple(file for file in files if basename(file) in _OLD)
    if not old or names.isdisjoint(_PRESENT):
        return
    yield Finding(
        severity=Severity.WARNING,
        message=f"apt reads no package source: {', '.join(old)} and the present file of the NVIDIA Container Toolkit"
        " name one source with different keys",
        evidence=(Evidence(source=DECIDED_BY, value=", ".join(files)),),
        fix=Fix(
            text=MENDED_BY,
            commands=(f"sudo rm {' '.join(old)}", "sudo apt-get update"),
            needs_root=True,
            url=LINKS[0],
        ),
    )
