"""The container engine of this machine: by which way it would hand out a GPU."""

from __future__ import annotations

import re

from gpudoctor.checks import Case
from gpudoctor.distributions import REGISTER_RUNTIME
from gpudoctor.facts import EngineFacts
from gpudoctor.readings import Unread, Why, known

DEVICE_KIND = "nvidia.com/gpu"

# What makes Docker take --gpus: one of these on its PATH when it starts, and runtimes only for --runtime.
# https://github.com/moby/moby/blob/master/daemon/devices_nvidia_linux.go (2026-11)
HOOK = "nvidia-container-runtime-hook"
TOOL = "nvidia-ctk"

# From this release on --gpus asks CDI too, and from 29.3 on AMD's GPUs where NVIDIA's cannot be had.
# https://github.com/moby/moby/pull/50228 https://github.com/moby/moby/pull/52048 (2026-11)
_FIRST_DOCKER_BY_CDI = (29,)

# From this release of the toolkit on, `auto` means just-in-time CDI where it meant the hook.
# https://github.com/NVIDIA/nvidia-container-toolkit/issues/1456 (2026-11)
_FIRST_TOOLKIT_BY_CDI = (1, 18)


def answers(case: Case) -> bool:
    """An engine is there and tells of itself."""
    return not isinstance(case.facts.engine.version, Unread)


def is_local(engine: EngineFacts) -> bool:
    """It reads the files of this machine."""
    return engine.host.startswith("unix://")


def is_podman(engine: EngineFacts) -> bool:
    """Podman behind Docker's API: it hands out GPUs by CDI alone."""
    return "podman" in engine.host


def is_rootless(engine: EngineFacts) -> bool:
    """It runs without root's rights."""
    return any(option.startswith("name=rootless") for option in known(engine.security_options))


def restart(case: Case) -> str:
    """Command that starts the engine anew: the user's own, or the machine's, with systemd or without."""
    return _service(case, "restart")


def start(case: Case) -> str:
    """Command that starts an engine that does not run."""
    return _service(case, "start")


def _service(case: Case, verb: str) -> str:
    if _seems_rootless(case.facts.engine):
        return f"systemctl --user {verb} docker"
    return f"sudo service docker {verb}" if case.facts.system.systemd is False else f"sudo systemctl {verb} docker"


def register(case: Case) -> tuple[str, ...]:
    """Commands that make this engine know the runtime `nvidia`.

    https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html (2026-11)
    """
    if _seems_rootless(case.facts.engine):
        configure = "nvidia-ctk runtime configure --runtime=docker --config=$HOME/.config/docker/daemon.json"
    else:
        configure = REGISTER_RUNTIME[0]
    return configure, restart(case)


def _seems_rootless(engine: EngineFacts) -> bool:
    return not isinstance(engine.security_options, Unread) and is_rootless(engine)


def has_gpu(case: Case) -> bool:
    """There is a GPU that it could hand out; one that is kept for a virtual machine it could not."""
    return bool(case.listed_gpus or case.gpus_of_this_host)


def cdi_devices(engine: EngineFacts) -> tuple[str, ...]:
    """NVIDIA's devices that the engine found by CDI."""
    return tuple(device for device in known(engine.cdi_devices) if device.startswith(f"{DEVICE_KIND}="))


def hands_out(engine: EngineFacts) -> bool:
    """It knows the runtime `nvidia`, or a device of NVIDIA's by CDI; podman reads the specs itself."""
    runtimes, devices = known(engine.runtimes), cdi_devices(engine)
    if "nvidia" in runtimes or devices:
        return True
    return is_podman(engine) and any(known(spec.devices) for spec in known(engine.cdi_specs))


def has_toolkit(engine: EngineFacts) -> bool:
    """The toolkit, or at least its part for CDI, is installed."""
    binaries = known(engine.toolkit_binaries)
    return HOOK in binaries or TOOL in binaries


def has_configuration(engine: EngineFacts) -> bool:
    """The toolkit's config.toml is there, if perhaps unread."""
    toolkit = engine.toolkit
    return not isinstance(toolkit, Unread) or toolkit.why is not Why.ABSENT


def mode(engine: EngineFacts) -> str:
    """How the toolkit gives a container its GPU: legacy (the hook), csv, cdi or jit-cdi."""
    named = known(engine.toolkit).mode
    if named not in ("", "auto"):
        return named
    return "jit-cdi" if release(known(engine.toolkit_version)) >= _FIRST_TOOLKIT_BY_CDI else "legacy"


def needs_specification(engine: EngineFacts) -> bool:
    """The toolkit was told to read a CDI specification, which jit-cdi makes by itself."""
    return has_configuration(engine) and known(engine.toolkit).mode == "cdi"


def goes_by_cdi(engine: EngineFacts) -> bool:
    """A GPU comes by CDI, whose device rules the engine knows itself, and not by the hook behind its back."""
    return mode(engine) in ("cdi", "jit-cdi") or (asks_cdi_first(engine) and bool(cdi_devices(engine)))


def asks_cdi_first(engine: EngineFacts) -> bool:
    """--gpus is tried by CDI too."""
    return release(known(engine.version)) >= _FIRST_DOCKER_BY_CDI


def release(text: str) -> tuple[int, ...]:
    """29, 3, 0 of 29.3.0-rc.1; nothing where it begins with no number."""
    found = re.match(r"[0-9]{1,6}(?:\.[0-9]{1,6})*", text, re.ASCII)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
