"""The operating system, what surrounds it, and this process's limits."""

from __future__ import annotations

import math
import os
import resource

from gpudoctor.facts import SystemFacts
from gpudoctor.probe import packages, processes, processor, variables
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

_UNLIMITED = (1 << 63) - 1

# Docker lays files of its own over these in every container.
# https://docs.docker.com/engine/network/#dns-services (2026-11)
_DOCKER_MOUNTS = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")

# https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ (2026-11)
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

# Parts of a cgroup's path, and whose they are.
_CGROUP_MARKS = {
    "/kubepods": "kubernetes",
    "/docker/": "docker",
    "/docker-": "docker",  # of systemd: docker-0123….scope; docker.service is the engine itself
    "/libpod-": "podman",
    "/lxc": "lxc",
}

_FIRMWARE = "/sys/firmware"
_EFI_VARIABLES = f"{_FIRMWARE}/efi/efivars"

_FOLDERS = (
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/snap/bin",
    "/opt/nvidia/nvidia-fabricmanager",
    "/usr/lib/wsl/lib",
)
_PROGRAMS = (
    "apptainer",
    "dcgmi",
    "dkms",
    "docker",
    "dockerd",
    "enroot",
    "k3s",
    "kubelet",
    "mokutil",
    "nerdctl",
    "nv-fabricmanager",
    "nv-hostengine",
    "nvidia-cuda-mps-control",
    "nvidia-modprobe",
    "nvidia-persistenced",
    "nvidia-smi",
    "podman",
    "singularity",
    "slurmd",
    "srun",
)


def probe(world: World) -> SystemFacts:
    """Read everything; nothing here can hang or raise."""
    release = world.read("/etc/os-release")
    kernel = world.read("/proc/sys/kernel/osrelease")
    if not isinstance(kernel, Unread):
        kernel = kernel.strip()
    like = _os_release(release, "ID_LIKE", "")
    wsl = world.exists("/dev/dxg") or (not isinstance(kernel, Unread) and "microsoft" in kernel.lower())
    return SystemFacts(
        hostname=_line(world, "/proc/sys/kernel/hostname"),
        architecture=os.uname().machine,
        kernel_release=kernel,
        os_id=_os_release(release, "ID", "linux"),
        os_like=like if isinstance(like, Unread) else tuple(like.split()),
        os_name=_os_release(release, "PRETTY_NAME", "Linux"),
        container=_container(world),
        wsl=wsl,
        jetson=world.exists("/etc/nv_tegra_release"),
        shm_bytes=_shm_bytes(world),
        memlock_limit_bytes=_memlock(),
        systemd=_systemd(world),
        virtual_machine=processor.virtual_machine(world),
        cpu_flags=processor.flags(world),
        secure_boot=_secure_boot(world),
        selinux=_selinux(world),
        boot_id=_line(world, "/proc/sys/kernel/random/boot_id"),
        uptime_seconds=_uptime(world),
        daemons=processes.daemons(world, wsl=wsl),
        programs=_programs(world),
        packages=packages.packages(world),
        variables=variables.variables(world.environ),
    )


def _line(world: World, name: str) -> Reading[str]:
    text = world.read(name)
    return text if isinstance(text, Unread) else text.strip()


def _os_release(text: Reading[str], key: str, default: str) -> Reading[str]:
    """A value of os-release; its format is a list of shell assignments, os-release(5)."""
    if isinstance(text, Unread):
        return text
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == key:
            return value.strip().strip("\"'")
    return default


def _container(world: World) -> Reading[str]:
    """The engine that this process runs inside; below another root, the one inside which that root is.

    1. $KUBERNETES_SERVICE_HOST, or the files of a service account: Kubernetes, whatever engine it uses.
    2. /.dockerenv and the mounts that Docker makes: Docker; a virtual machine made from an image keeps the file
    alone. 3. /run/.containerenv: podman. 4. /.singularity.d: Apptainer. 5. $container, as systemd-nspawn and others
    set it. 6. the path of the cgroup. Of another root our own environment and cgroup tell nothing.
    """
    if world.is_here and world.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    by_files = _container_by_files(world)
    if by_files or not world.is_here:
        return by_files
    if world.environ.get("container"):
        return world.environ["container"]
    # Not that of process 1: /proc mounted with hidepid hides it from everybody but root.
    cgroup = world.read("/proc/self/cgroup")
    if isinstance(cgroup, Unread):
        return cgroup
    for mark, engine in _CGROUP_MARKS.items():
        if mark in cgroup:
            return engine
    return ""


def _container_by_files(world: World) -> Reading[str]:
    if world.exists(_SERVICE_ACCOUNT):
        return "kubernetes"
    if world.exists("/.dockerenv"):
        mounted = _has_docker_mounts(world)
        if isinstance(mounted, Unread):
            return mounted
        if mounted:
            return "docker"
    for path, engine in (("/run/.containerenv", "podman"), ("/.singularity.d", "apptainer")):
        if world.exists(path):
            return engine
    return ""


def _has_docker_mounts(world: World) -> Reading[bool]:
    """Where no list of mounts is, the file is all there is to go by."""
    mounts = world.read("/proc/self/mountinfo" if world.is_here else "/proc/1/mountinfo")
    if isinstance(mounts, Unread):
        return True if world.is_here or mounts.why is Why.ABSENT else mounts
    # Fifth field: where it is mounted. proc_pid_mountinfo(5)
    points = {fields[4] for fields in map(str.split, mounts.splitlines()) if len(fields) > 4}
    return not points.isdisjoint(_DOCKER_MOUNTS)


def _shm_bytes(world: World) -> Reading[int]:
    try:
        found = os.statvfs(world.path("/dev/shm"))
    except OSError as error:
        return unread_os_error("/dev/shm", error)
    return found.f_frsize * found.f_blocks


def _memlock() -> Reading[int]:
    try:
        soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    except (OSError, ValueError) as error:
        return Unread(source="getrlimit(RLIMIT_MEMLOCK)", why=Why.FAILED, detail=str(error))
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


def _systemd(world: World) -> Reading[bool]:
    """As sd_booted(3) tells it; a root without /run tells nothing."""
    run = world.entries("/run")
    return run if isinstance(run, Unread) else world.exists("/run/systemd/system")


def _secure_boot(world: World) -> Reading[bool]:
    """The variable's fifth byte; four of attributes stand before it. A machine without EFI has none.

    https://docs.kernel.org/filesystems/efivarfs.html (2026-11)
    """
    firmware = world.entries(_FIRMWARE)
    if isinstance(firmware, Unread):
        return firmware
    if not firmware:
        # Engines cover the folder with an empty one.
        return Unread(source=_FIRMWARE, why=Why.FORBIDDEN, detail="it is empty, as in a container")
    if "efi" not in firmware:
        return False
    names = world.entries(_EFI_VARIABLES)
    if isinstance(names, Unread):
        return names
    name = next((name for name in names if name.startswith("SecureBoot-")), None)
    if name is None:
        # Firmware that cannot do it has no such variable, but has others.
        return False if names else Unread(source=_EFI_VARIABLES, why=Why.ABSENT, detail="efivarfs is not mounted")
    content = world.read_bytes(f"{_EFI_VARIABLES}/{name}")
    if isinstance(content, Unread):
        return content
    if len(content) < 5:
        return Unread(source=f"{_EFI_VARIABLES}/{name}", why=Why.GARBLED, detail=f"{len(content)} bytes, of five")
    return content[4] == 1


def _selinux(world: World) -> Reading[str]:
    """1. /sys/fs/selinux/enforce. 2. Where that is not mounted, whether the kernel would have it."""
    source = "/sys/fs/selinux/enforce"
    text = world.read(source)
    if isinstance(text, Unread):
        if text.why is not Why.ABSENT:
            return text
        kinds = world.read("/proc/filesystems")
        hidden = not isinstance(kinds, Unread) and "selinuxfs" in kinds.split()
        return Unread(source=source, why=Why.ABSENT, detail="selinuxfs is not mounted here") if hidden else ""
    mode = {"1": "enforcing", "0": "permissive"}.get(text.strip())
    return mode or Unread(source=source, why=Why.GARBLED, detail=f"neither 0 nor 1 in {text[:20]!r}")


def _uptime(world: World) -> Reading[float]:
    source = "/proc/uptime"
    text = world.read(source)
    if isinstance(text, Unread):
        return text
    try:
        seconds = float(text.split()[0])
    except (IndexError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        return Unread(source=source, why=Why.GARBLED, detail=f"no number of seconds in {text[:40]!r}")
    return seconds


def _programs(world: World) -> Reading[tuple[str, ...]]:
    found: list[str] = []
    for folder in _FOLDERS:
        names = world.entries(folder)
        if not isinstance(names, Unread):
            found.extend(f"{folder}/{name}" for name in names if name in _PROGRAMS)
        elif names.why is not Why.ABSENT or folder == _FOLDERS[0]:
            return names
    return tuple(sorted(found))
