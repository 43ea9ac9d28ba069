"""The operating system, what surrounds it, and this process's limits."""

from __future__ import annotations

import os
import resource

from gpudoctor.facts import SystemFacts
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

_UNLIMITED = (1 << 63) - 1

# Docker lays files of its own over these in every container.
# https://docs.docker.com/engine/network/#dns-services (2026-11)
_DOCKER_MOUNTS = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")

# Parts of a cgroup's path, and whose they are.
_CGROUP_MARKS = {
    "/kubepods": "kubernetes",
    "/docker/": "docker",
    "/docker-": "docker",  # of systemd: docker-0123….scope; docker.service is the engine itself
    "/libpod-": "podman",
    "/lxc": "lxc",
}


def probe(world: World) -> SystemFacts:
    """Read everything; nothing here can hang or raise."""
    release = world.read("/etc/os-release")
    kernel = world.read("/proc/sys/kernel/osrelease")
    if not isinstance(kernel, Unread):
        kernel = kernel.strip()
    like = _os_release(release, "ID_LIKE", "")
    return SystemFacts(
        hostname=_hostname(world),
        architecture=os.uname().machine,
        kernel_release=kernel,
        os_id=_os_release(release, "ID", "linux"),
        os_like=like if isinstance(like, Unread) else tuple(like.split()),
        os_name=_os_release(release, "PRETTY_NAME", "Linux"),
        container=_container(world),
        wsl=world.exists("/dev/dxg") or (not isinstance(kernel, Unread) and "microsoft" in kernel.lower()),
        jetson=world.exists("/etc/nv_tegra_release"),
        shm_bytes=_shm_bytes(world),
        memlock_limit_bytes=_memlock(),
    )


def _hostname(world: World) -> Reading[str]:
    name = world.read("/proc/sys/kernel/hostname")
    return name if isinstance(name, Unread) else name.strip()


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
    """The engine that this process runs inside.

    1. $KUBERNETES_SERVICE_HOST: Kubernetes, whatever engine it uses. 2. /.dockerenv and the mounts that Docker
    makes: Docker; a virtual machine made from an image keeps the file alone. 3. /run/.containerenv: podman.
    4. /.singularity.d: Apptainer. 5. $container, as systemd-nspawn and others set it. 6. the path of the cgroup.
    """
    if not world.is_here:
        return ""  # somebody shows us a host's files, so the host is what we judge
    if world.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if world.exists("/.dockerenv") and _has_docker_mounts(world):
        return "docker"
    for path, engine in (("/run/.containerenv", "podman"), ("/.singularity.d", "apptainer")):
        if world.exists(path):
            return engine
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


def _has_docker_mounts(world: World) -> bool:
    """Where mounts cannot be listed, the file is all there is to go by."""
    mounts = world.read("/proc/self/mountinfo")
    if isinstance(mounts, Unread):
        return True
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
