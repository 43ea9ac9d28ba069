"""This container was started with GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import Unread, known
from gpudoctor.findings import Evidence, Finding, Fix, Severity


def applies(case: Case) -> bool:
    """Inside a container, on a host whose driver is loaded."""
    return bool(known(case.facts.system.container)) and not isinstance(case.facts.driver.kernel_module_version, Unread)


def check(case: Case) -> Iterator[Finding]:
    """The kernel's files show the host's driver; the device nodes show what the container was given."""
    if "/dev/nvidiactl" in known(case.facts.driver.device_nodes):
        return
    engine = known(case.facts.system.container)
    how = {"apptainer": "--nv", "podman": "--device nvidia.com/gpu=all"}.get(engine, "--gpus all")
    yield Finding(
        severity=Severity.ERROR,
        message=f"this container was started without GPUs: the host has driver"
        f" {case.facts.driver.kernel_module_version}, and /dev/nvidiactl is not in here",
        evidence=(
            Evidence(source="ls /dev/nvidiactl", value="no such file"),
            Evidence(source="cat /proc/driver/nvidia/version", value=str(case.facts.driver.kernel_module_version)),
        ),
        fix=Fix(text=f"start it again with {how}"),
    )
