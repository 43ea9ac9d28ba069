"""Podman, which has no engine that could be asked: its version tells what it can do."""

from __future__ import annotations

from gpudoctor.facts import Package
from gpudoctor.probe import commands
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why


def version(world: World, packages: Reading[tuple[Package, ...]]) -> Reading[str]:
    """Its version, absent where it is not installed.

    1. podman --version, where the machine is this process's own. 2. The distribution's package.
    """
    said: Reading[str] = Unread(source="podman --version", why=Why.ABSENT, detail="podman is not installed")
    program = commands.find(world, "podman")
    if program:
        said = commands.version(world, program)
    if isinstance(said, Unread):
        return commands.packaged_version(packages, ("podman",)) or said
    return said
