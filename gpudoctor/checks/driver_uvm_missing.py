"""The device node of unified memory is there, without which CUDA does not start."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = ("driver-library-mismatch", "container-gpus-not-requested")

_NODE = "/dev/nvidia-uvm"


def applies(case: Case) -> bool:
    """Where NVIDIA's module is loaded; WSL and Jetson have no such node."""
    system = case.facts.system
    return not system.wsl and not system.jetson and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """A missing node is made by nvidia-modprobe when a program first asks; without it nobody makes one."""
    driver = case.facts.driver
    if _NODE in known(driver.device_nodes):
        return
    made_on_demand = not case.container and known(driver.modprobe_helper)
    lsmod = (
        ()
        if isinstance(driver.modules, Unread)
        else (
            Evidence(
                source="lsmod | grep nvidia_uvm", value="loaded" if "nvidia_uvm" in driver.modules else "not loaded"
            ),
        )
    )
    yield Finding(
        severity=Severity.WARNING if made_on_demand else Severity.ERROR,
        message=f"{_NODE} does not exist, so cuInit fails with error 999"
        + (" until nvidia-modprobe makes it for the first program" if made_on_demand else ""),
        evidence=(Evidence(source=f"ls {_NODE}", value="no such file"), *lsmod),
        fix=Fix(
            text="load the module and make its node; the package nvidia-modprobe does it on demand",
            commands=("sudo modprobe nvidia_uvm && sudo nvidia-modprobe -c 0 -u",),
            needs_root=True,
        ),
    )
