"""The launch plan: one container as one value; here also spelled as docker-py's arguments. Others are in `export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpudoctor.readings import Unread
from gpudoctor.sizes import SHM_BYTES
from gpudoctor.verdicts import deciding

if TYPE_CHECKING:
    from gpudoctor.resolve import Candidate, Resolution

# What NVIDIA asks for its framework images.
# https://docs.nvidia.com/deeplearning/frameworks/user-guide/index.html (2026-11)
STACK_BYTES = 67108864
UNLIMITED = -1

LABEL = "gpudoctor"

# NVIDIA's images ask for all GPUs in their own environment, and get them where the engine's default runtime is nvidia.
# https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html (2026-11)
WITHOUT_GPUS = (("NVIDIA_VISIBLE_DEVICES", "void"),)

# Where the driver keeps what it compiled from PTX, and the most that it takes.
# https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#env-vars (2026-11)
CACHE_PATH = "/var/cache/cuda"
CACHE_BYTES = 4 << 30

_UUIDS = ("GPU-", "MIG-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of the host in the container."""

    source: str
    """Absolute, on the host."""
    target: str
    """Absolute, in the container."""
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the container that the host answers for."""

    container: int
    host: int
    address: str = ""
    """Of the host; empty: all of them."""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """A container to be started."""

    image: str
    """Full reference."""
    digest: str = ""
    """sha256:…, where it is pinned."""
    command: tuple[str, ...]
    """Empty: the image's own."""
    gpus: tuple[str, ...] | None
    """UUIDs, or indices where those are not known; empty: none, the CPU; None: all."""
    gpu_count: int = 1
    """How many those are, for a scheduler that hands them out by number."""
    name: str = ""
    mounts: tuple[Mount, ...] = ()
    environment: tuple[tuple[str, str | None], ...] = ()
    """None: the value that the variable has where the container is started; it is written nowhere."""
    user: str = ""
    """UID[:GID] or a name; empty: the image's own."""
    workdir: str = ""
    """Empty: the image's own."""
    host_ipc: bool = True
    """Share the host's /dev/shm, as NVIDIA asks for."""
    shm_bytes: int = SHM_BYTES
    """Size of its own /dev/shm, where it does not share the host's."""
    memlock: bool = True
    """Ask for unlimited locked memory; an engine that may not grant it is asked again without."""
    ports: tuple[Port, ...] = ()
    cache: str = ""
    """What keeps compiled PTX from one start to the next: name of a volume, or a folder of the host; empty: nothing."""
    labels: tuple[tuple[str, str], ...] = ()
    interactive: bool = False
    """Keep standard input open."""
    tty: bool = False

    @property
    def pinned_image(self) -> str:
        """With the digest, where there is one: NAME:TAG@DIGEST."""
        return f"{self.image}@{self.digest}" if self.digest else self.image

    @property
    def cpu_only(self) -> bool:
        """No GPU is asked for."""
        return self.gpus == ()

    @property
    def cache_is_folder(self) -> bool:
        """The cache is a folder of the host, and no volume."""
        return self.cache.startswith("/")

    @property
    def whole_environment(self) -> tuple[tuple[str, str | None], ...]:
        """With what the cache needs, unless it was named by hand."""
        if not self.cache:
            return self.environment
        named = {name for name, _ in self.environment}
        ours = (("CUDA_CACHE_PATH", CACHE_PATH), ("CUDA_CACHE_MAXSIZE", str(CACHE_BYTES)))
        return (*self.environment, *(one for one in ours if one[0] not in named))

    @property
    def folders(self) -> tuple[Mount, ...]:
        """All that comes from the host by its path, the cache too."""
        if self.cache_is_folder:
            return (*self.mounts, Mount(source=self.cache, target=CACHE_PATH))
        return self.mounts


def plan_of(best: Candidate, resolution: Resolution, command: tuple[str, ...]) -> LaunchPlan:
    """The plan that a resolution comes to, before anybody's wishes."""
    gpus = resolution.host.gpus
    asked = resolution.request.gpus
    chosen: tuple[str, ...] | None = None
    if resolution.request.cpu_only:
        chosen = ()
    elif asked not in (None, "all") and not isinstance(gpus, Unread):
        chosen = tuple(
            gpu.subject if gpu.index is None or gpu.subject.startswith(_UUIDS) else str(gpu.index) for gpu in gpus
        )
    return LaunchPlan(
        image=best.reference,
        command=command,
        gpus=chosen,
        gpu_count=1 if isinstance(gpus, Unread) else max(1, len(gpus)),
        environment=WITHOUT_GPUS if chosen == () else (),
    )


def refusal(resolution: Resolution) -> tuple[str, str]:
    """Why nothing can be started, and what would help."""
    gpus = resolution.host.gpus
    if not resolution.request.cpu_only and (isinstance(gpus, Unread) or not gpus):
        hint = "gpudoctor check names the cause and the fix; --gpus none runs TensorFlow on the CPU"
        if isinstance(gpus, Unread):
            return f"the GPUs of this machine cannot be read: {gpus}", hint
        return "the driver lists no GPU", hint
    advice = "; ".join(one.text for one in resolution.advice)
    if not resolution.candidates:
        return f"no such image: {resolution.message}", advice or "gpudoctor matrix list names all of them"
    from gpudoctor.resolve import in_words

    first, request = resolution.candidates[0], resolution.request
    reason = deciding(first.verdict, first.all_reasons)
    detail = "" if reason is None else f": {reason.detail}"
    if request.image is not None:
        return f"{first.reference} {in_words(first.verdict)}{detail}", advice or "gpudoctor resolve gives every reason"
    asked = request.tag or f"TensorFlow {request.tf}"
    return (
        f"no image with {asked} runs on this machine; {first.image.tag} {in_words(first.verdict)}{detail}",
        advice or "gpudoctor resolve gives every reason",
    )


def to_docker_kwargs(plan: LaunchPlan, passed_on: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Arguments for docker-py's containers.create(); `passed_on` holds the variables that go in by name.

    The label says that the container is gpudoctor's to remove: no line that others start has it.
    """
    from docker.types import DeviceRequest, Ulimit

    ulimits = [Ulimit(name="stack", soft=STACK_BYTES, hard=STACK_BYTES)]
    if plan.memlock:
        ulimits.append(Ulimit(name="memlock", soft=UNLIMITED, hard=UNLIMITED))
    passed_on = passed_on or {}
    variables = {name: passed_on.get(name) if value is None else value for name, value in plan.whole_environment}
    arguments: dict[str, Any] = {
        "image": plan.pinned_image,
        "command": list(plan.command) or None,
        "ulimits": ulimits,
        "security_opt": ["no-new-privileges"],
        "stdin_open": plan.interactive,
        "tty": plan.tty,
        "environment": {name: value for name, value in variables.items() if value is not None},
        "labels": {**dict(plan.labels), LABEL: "run"},
    }
    if plan.host_ipc:
        arguments["ipc_mode"] = "host"
    else:
        arguments["shm_size"] = plan.shm_bytes
    for name, wish in (("name", plan.name), ("user", plan.user), ("working_dir", plan.workdir)):
        if wish:
            arguments[name] = wish
    if mounts := _docker_mounts(plan):
        arguments["mounts"] = mounts
    if plan.ports:
        arguments["ports"] = _docker_ports(plan.ports)
    if plan.gpus is None:
        arguments["device_requests"] = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    elif plan.gpus:
        arguments["device_requests"] = [DeviceRequest(device_ids=list(plan.gpus), capabilities=[["gpu"]])]
    return arguments


def _docker_mounts(plan: LaunchPlan) -> list[Any]:
    from docker import types

    mounts = [
        types.Mount(target=one.target, source=one.source, type="bind", read_only=one.read_only) for one in plan.folders
    ]
    if plan.cache and not plan.cache_is_folder:
        mounts.append(types.Mount(target=CACHE_PATH, source=plan.cache, type="volume"))
    return mounts


def _docker_ports(ports: tuple[Port, ...]) -> dict[str, list[tuple[str, int]]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for port in ports:
        found.setdefault(f"{port.container}/{port.protocol}", []).append((port.address, port.host))
    return found


def to_json(plan: LaunchPlan) -> dict[str, Any]:
    """What a report says of a plan; of the environment the names alone."""
    return {
        "image": plan.image,
        "digest": plan.digest or None,
        "argv": list(plan.command),
        "gpus": "all" if plan.gpus is None else list(plan.gpus),
        "mounts": [{"source": one.source, "target": one.target, "read_only": one.read_only} for one in plan.folders],
        "environment": [name for name, _ in plan.whole_environment],
        "user": plan.user or None,
        "workdir": plan.workdir or None,
        "shm_bytes": None if plan.host_ipc else plan.shm_bytes,
        "ports": [
            {"host": one.host, "container": one.container, "address": one.address or None, "protocol": one.protocol}
            for one in plan.ports
        ],
        "cache": plan.cache or None,
        "labels": dict(plan.labels),
    }
