"""This container was started with GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

_HOW = {
    "apptainer": "--nv",
    "kubernetes": "the limit nvidia.com/gpu: 1 in the pod's resources",
    "podman": "--device nvidia.com/gpu=all",
}


def applies(case: Case) -> bool:
    """Inside a container, on a host whose driver is loaded."""
    return bool(case.container) and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """The kernel's files show the host's driver; the device nodes show what the container was given."""
    if "/dev/nvidiactl" in known(case.facts.driver.device_nodes):
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"this container was started without GPUs: the host has driver {case.module_version}, and"
        " /dev/nvidiactl is not in here",
        evidence=(
            Evidence(source="ls /dev/nvidiactl", value="no such file"),
            Evidence(source="cat /proc/driver/nvidia/version", value=str(case.module_version)),
        ),
        fix=Fix(text=f"start it again with {_HOW.get(case.container, '--gpus all')}"),
    )
