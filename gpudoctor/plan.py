"""The launch plan: one container, spelled as docker-py's arguments or as a `docker run` line."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from gpudoctor.sizes import SHM_BYTES

# What NVIDIA asks for its framework images.
# https://docs.nvidia.com/deeplearning/frameworks/user-guide/index.html (2026-11)
STACK_BYTES = 67108864
UNLIMITED = -1

LABEL = "gpudoctor"

# NVIDIA's images ask for all GPUs in their own environment, and get them where the engine's default runtime is nvidia.
# https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html (2026-11)
WITHOUT_GPUS = (("NVIDIA_VISIBLE_DEVICES", "void"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """A container to be started."""

    image: str
    """Full reference."""
    command: tuple[str, ...]
    """Empty: the image's own."""
    gpus: tuple[str, ...] | None
    """UUIDs or indices; empty: none, the CPU; None: all."""
    name: str = ""
    shm_bytes: int = SHM_BYTES
    memlock: bool = True
    """Ask for unlimited locked memory; an engine that may not grant it is asked again without."""
    interactive: bool = False
    """Keep standard input open."""
    tty: bool = False
    environment: tuple[tuple[str, str], ...] = ()


def to_docker_kwargs(plan: LaunchPlan) -> dict[str, Any]:
    """Arguments for docker-py's containers.create()."""
    from docker.types import DeviceRequest, Ulimit

    ulimits = [Ulimit(name="stack", soft=STACK_BYTES, hard=STACK_BYTES)]
    if plan.memlock:
        ulimits.append(Ulimit(name="memlock", soft=UNLIMITED, hard=UNLIMITED))
    arguments: dict[str, Any] = {
        "image": plan.image,
        "command": list(plan.command) or None,
        "ipc_mode": "host",
        "ulimits": ulimits,
        "security_opt": ["no-new-privileges"],
        "stdin_open": plan.interactive,
        "tty": plan.tty,
        "environment": dict(plan.environment),
        "labels": {LABEL: "run"},
    }
    if plan.name:
        arguments["name"] = plan.name
    if plan.gpus is None:
        arguments["device_requests"] = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    elif plan.gpus:
        arguments["device_requests"] = [DeviceRequest(device_ids=list(plan.gpus), capabilities=[["gpu"]])]
    return arguments


def to_shell(plan: LaunchPlan) -> str:
    """The equal `docker run` line, quoted for a POSIX shell."""
    words = ["docker", "run", "--rm"]
    if plan.interactive:
        words.append("--interactive")
    if plan.tty:
        words.append("--tty")
    if plan.gpus is None:
        words.extend(("--gpus", "all"))
    elif plan.gpus:
        # docker reads the value as one line of CSV: a list of devices needs quotes of its own.
        words.extend(("--gpus", f'"device={",".join(plan.gpus)}"'))
    words.append("--ipc=host")
    if plan.memlock:
        words.extend(("--ulimit", f"memlock={UNLIMITED}"))
    words.extend(("--ulimit", f"stack={STACK_BYTES}"))
    words.append("--security-opt=no-new-privileges")
    for name, value in plan.environment:
        words.extend(("--env", f"{name}={value}"))
    words.append(plan.image)
    words.extend(plan.command)
    return shlex.join(words)
