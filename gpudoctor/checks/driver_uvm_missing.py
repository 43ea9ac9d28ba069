"""The device node of unified memory is there, without which CUDA does not start.

nvidia-smi needs /dev/nvidiactl and /dev/nvidia0 alone; CUDA needs /dev/nvidia-uvm, too, and the module nvidia_uvm
behind it. On a desktop the helper nvidia-modprobe loads the one and makes the other when a program first asks. Without
the helper, or in a container that was given the other nodes only, cuInit ends in error 999 while nvidia-smi is fine.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import answered, init_code
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

CAUSED_BY = (
    "container-gpus-not-requested",
    "driver-library-mismatch",
    "driver-gpu-unsupported",
    "driver-blackwell-needs-open-module",
    "driver-rm-init-adapter-failed",
)

MENDED_BY = "load the module and make its node; the package nvidia-modprobe does it on demand"
DECIDED_BY = "ls -l /dev/nvidia-uvm; lsmod | grep nvidia_uvm"
LINKS = (
    "https://github.com/pytorch/pytorch/issues/49081",
    "https://github.com/tensorflow/tensorflow/issues/394",
)
SYMPTOMS = (
    r"CUDA_ERROR_UNKNOWN",
    r"unknown error \(error 999\)",
    r"(?<!UNAVAILABLE \()cuInit\S* .{0,40}(?:error|code|returned|[(:=>])\W?999\b",
    r"CUDA unknown error - this may be due to an incorrectly set up environment",
    r"/dev/nvidia-uvm\W{1,4}(no such file|cannot|does not exist)",
    r"Module nvidia[-_]uvm not found",
)

_NODE = "/dev/nvidia-uvm"
_MAKE = "sudo modprobe nvidia_uvm && sudo nvidia-modprobe -c 0 -u"
_ANEW = "make the node on the host, then create this container anew: it is given the nodes that exist when it starts"


def applies(case: Case) -> bool:
    """Where NVIDIA's module is loaded; WSL and Jetson have no such node."""
    system = case.facts.system
    return not system.wsl and not system.jetson and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """A missing node is made by nvidia-modprobe when a program first asks; without it nobody makes one."""
    driver = case.facts.driver
    if _NODE in known(driver.device_nodes):
        return
    asked = answered(case.facts)
    made_on_demand = not case.container and known(driver.modprobe_helper)
    if made_on_demand and asked:
        if init_code(case.facts) == 0:
            return  # it was made meanwhile, when gpudoctor itself asked for CUDA
        made_on_demand = False
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
        fix=Fix(text=_ANEW if case.container else MENDED_BY, commands=(_MAKE,), needs_root=True),
    )
