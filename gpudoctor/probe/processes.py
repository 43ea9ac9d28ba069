"""The processes of this machine, by name."""

from __future__ import annotations

from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why

# Daemons that bear on GPUs. The kernel keeps 15 characters of a name. proc_pid_comm(5)
_DAEMONS = (
    "containerd",
    "dockerd",
    "nv-fabricmanager",
    "nv-hostengine",
    "nvidia-cuda-mps-control",  # and its nvidia-cuda-mps-server, which does not run without it
    "nvidia-persistenced",
    "slurmd",
)
_NAME_CHARACTERS = 15
_MOST_PROCESSES = 100_000

# The kernel's own second process: who does not see it does not see the machine's processes.
_KERNEL_THREAD = ("/proc/2/comm", "kthreadd")


def daemons(world: World, *, wsl: bool) -> Reading[tuple[str, ...]]:
    """Which of the daemons run, sorted; unread where not all processes can be seen.

    A container sees its own, and a user where /proc is mounted with hidepid theirs. Every distribution of WSL has
    processes of its own, and daemons among them.
    """
    names = world.entries("/proc")
    if isinstance(names, Unread):
        return names
    numbers = [name for name in names if name.isascii() and name.isdecimal()][:_MOST_PROCESSES]
    if not numbers:
        return Unread(source="/proc", why=Why.ABSENT, detail="there is no process in it")
    if world.is_here and not wsl and not _sees_all(world):
        return Unread(source="/proc", why=Why.FORBIDDEN, detail="the machine's own processes are hidden")
    short = {name[:_NAME_CHARACTERS]: name for name in _DAEMONS}
    comms = (world.read(f"/proc/{number}/comm") for number in numbers)
    found = (short.get(comm.strip()) for comm in comms if not isinstance(comm, Unread))
    return tuple(sorted({name for name in found if name is not None}))


def _sees_all(world: World) -> bool:
    name, thread = _KERNEL_THREAD
    comm = world.read(name)
    return not isinstance(comm, Unread) and comm.strip() == thread
