"""This container was started with GPUs.

A container has a GPU only where it was asked for: Docker wants `--gpus all`, podman a CDI device, Kubernetes a limit in
the pod, Apptainer `--nv`. The kernel's files show the host's driver in any container, so that a program finds the
driver and no device, and says that the driver was not detected or is too old.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = "start it again with its GPUs: --gpus all"
DECIDED_BY = "ls /dev/nvidiactl; on the host: docker inspect -f '{{json .HostConfig.DeviceRequests}}' CONTAINER"
LINKS = (
    "https://docs.docker.com/reference/cli/docker/container/run/#gpus",
    "https://github.com/NVIDIA/nvidia-docker/issues/400",
    "https://github.com/triton-inference-server/tensorrtllm_backend/issues/336",
)
SYMPTOMS = (
    r"The NVIDIA Driver was not detected",
    r"Use the NVIDIA Container Toolkit to start this container with GPU support",
    r"Use 'nvidia-docker run' to start this container",
    r"no NVIDIA GPU device is present: /dev/nvidia0 does not exist",
    r"CUDA_ERROR_NO_DEVICE",
    r"CUDA driver version is insufficient",
)

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
            *_asked(case),
        ),
        fix=Fix(text=f"start it again with {_HOW.get(case.container, '--gpus all')}"),
    )


def _asked(case: Case) -> Iterator[Evidence]:
    """What the container was asked to have: void where a scheduler gave it none."""
    variables = case.facts.system.variables
    for one in () if isinstance(variables, Unread) else variables:
        if one.name == "NVIDIA_VISIBLE_DEVICES":
            yield Evidence(source=f"echo ${one.name}", value=one.value or "empty")
