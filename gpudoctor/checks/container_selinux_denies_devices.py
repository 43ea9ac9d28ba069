"""SELinux lets containers use NVIDIA's devices.

On Red Hat's systems and Fedora, SELinux confines containers; the GPU's device nodes carry a label that a confined
container may not touch, and NVML answers `Insufficient Permissions` inside while all is well outside. Where the host's
kernel has no SELinux, the same answer comes of device nodes that were made for one group alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError, Why, known

MENDED_BY = "start the container with --security-opt=label=disable, or allow containers the devices"
DECIDED_BY = "getenforce; sudo ausearch -m avc -ts recent | grep nvidia; ls -lZ /dev/nvidia*"
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/33",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/210",
)
SYMPTOMS = (
    r"Failed to initialize NVML: Insufficient Permissions",
    r"nvml error: insufficient permissions",
    r"NVMLError_NoPermission\b|NVML_ERROR_NO_PERMISSION\b",
    r"avc: +denied .*(?:nvidia|xserver_misc_device_t)",
    r"SELinux is preventing .*nvidia",
)

CAUSED_BY = ("container-gpus-not-requested",)

# NVML_ERROR_NO_PERMISSION
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_NO_PERMISSION = 4

_ENFORCING = "enforcing"


def applies(case: Case) -> bool:
    """In a container; and on a host with SELinux in force whose engine answers."""
    if case.container:
        return True
    return engine_here.answers(case) and known(case.facts.system.selinux) == _ENFORCING


def check(case: Case) -> Iterator[Finding]:
    """Inside: NVML is refused. Outside: the kernel's log tells of containers that were."""
    yield from _inside(case) if case.container else _outside(case)


def _inside(case: Case) -> Iterator[Finding]:
    readings = (case.facts.driver.version, case.facts.gpus)
    refused = next((one for one in readings if isinstance(one, Unread) and one.code == _NO_PERMISSION), None)
    if refused is None:
        for reading in readings:
            if isinstance(reading, Unread) and reading.code is None:
                raise UnreadError(reading)
        return
    if "/dev/nvidiactl" not in known(case.facts.driver.device_nodes):
        return
    selinux = case.facts.system.selinux
    # Engines hide /sys/fs/selinux from containers; that the kernel could have it mounted, they do not.
    if isinstance(selinux, Unread) and selinux.why is Why.ABSENT:
        why, seen, fix = "the host's SELinux forbids it, or their owner and mode do", selinux.detail, _ALLOW_OR_LOOK
    elif known(selinux):
        why, seen, fix = f"SELinux is {selinux}", str(selinux), Fix(text=MENDED_BY, url=LINKS[0])
    else:
        why, seen, fix = "their owner and mode forbid it, for the kernel has no SELinux", "no SELinux", _LOOK
    yield Finding(
        severity=Severity.ERROR,
        message=f"this container may not use the GPU's device nodes: {why}",
        evidence=(
            Evidence(source="nvidia-smi", value=refused.detail),
            Evidence(source="getenforce", value=seen),
        ),
        fix=fix,
    )


_ALLOW_OR_LOOK = Fix(text=MENDED_BY, commands=("ls -lZ /dev/nvidia*",), url=LINKS[0])
_LOOK = Fix(
    text="start the container as a user of the group that the device nodes belong to, or with --group-add",
    commands=("ls -l /dev/nvidia*; id",),
    url="https://docs.docker.com/reference/cli/docker/container/run/#group-add",
)


def _outside(case: Case) -> Iterator[Finding]:
    denied = tuple(event for event in case.events("avc_denied") if "nvidia" in event.text.lower())
    if not denied:
        return
    times = "once" if len(denied) == 1 else f"{len(denied)} times"
    yield Finding(
        severity=Severity.WARNING,
        message=f"SELinux kept programs from NVIDIA's devices {times} since boot",
        evidence=(
            Evidence(source="sudo dmesg | grep avc", value=denied[-1].text),
            Evidence(source="getenforce", value=_ENFORCING),
        ),
        fix=Fix(
            text=MENDED_BY, commands=("sudo setsebool -P container_use_devices on",), needs_root=True, url=LINKS[0]
        ),
    )
