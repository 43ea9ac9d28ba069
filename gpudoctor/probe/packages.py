"""Installed packages of the distribution: those whose names tell of NVIDIA, CUDA or a container engine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.facts import Package
from gpudoctor.probe import commands
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why

_NAMES = re.compile(
    r"nvidia|(?:^|[-_])(?:lib)?cuda|cudnn|nccl|fabricmanager|^nvlsm$|datacenter-gpu|docker|containerd|podman|^moby|nerdctl"
    r"|apptainer|singularity|enroot|pyxis|slurm|^(?:runc|crun|dkms|akmods)$"
)
_MOST_PACKAGES = 2_000

_DPKG = "/var/lib/dpkg/status"
# A workstation's has 10 MB.
_MOST_BYTES = 64 << 20
# The third word of a package's status; its files are there in all of these. dpkg(1)
_ON_DISK = ("installed", "half-configured", "unpacked", "triggers-awaited", "triggers-pending")

# Where rpm keeps its database, in whatever form. https://fedoraproject.org/wiki/Changes/RelocateRPMToUsr (2026-11)
_RPM = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_RPM_COMMAND = ("-qa", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n")
_RPM_SECONDS = 3.0

_PACMAN = "/var/lib/pacman/local"
_PACMAN_FOLDER = re.compile(r"(?P<name>.+)-(?P<version>[^-]+-[^-]+)")


def packages(world: World) -> Reading[tuple[Package, ...]]:
    """Those packages, sorted by name.

    1. dpkg's database. 2. pacman's. 3. rpm's, by asking rpm, which is done of this machine's own alone.
    """
    for read in (_of_dpkg, _of_pacman, _of_rpm):
        found = read(world)
        if not (isinstance(found, Unread) and found.why is Why.ABSENT):
            return found
    return Unread(source=_DPKG, why=Why.ABSENT, detail="no database of dpkg, pacman or rpm")


def _chosen(pairs: Iterator[tuple[str, str]]) -> tuple[Package, ...]:
    # One of several architectures, or a kernel of which several versions are installed, is there more than once.
    chosen = {(name, version) for name, version in pairs if _NAMES.search(name) and version}
    return tuple(Package(name=name, version=version) for name, version in sorted(chosen)[:_MOST_PACKAGES])


def _of_dpkg(world: World) -> Reading[tuple[Package, ...]]:
    content = world.read_bytes(_DPKG, most_bytes=_MOST_BYTES)
    if isinstance(content, Unread):
        return content
    if b"Package:" not in content:
        return Unread(source=_DPKG, why=Why.ABSENT, detail="it names no package")
    return _chosen(_stanzas(content))


def _stanzas(content: bytes) -> Iterator[tuple[str, str]]:
    """Name and version of every package in dpkg's database whose files are on disk."""
    for stanza in content.decode("utf-8", "replace").split("\n\n"):
        fields: dict[str, str] = {}
        for line in stanza.split("\n"):
            key, colon, value = line.partition(":")
            if colon and key in ("Package", "Status", "Version"):
                fields[key] = value.strip()
        name = fields.get("Package", "")
        if name and fields.get("Status", "").rpartition(" ")[2] in _ON_DISK:
            yield name, fields.get("Version", "")


def _of_pacman(world: World) -> Reading[tuple[Package, ...]]:
    folders = world.entries(_PACMAN)
    if isinstance(folders, Unread):
        return folders
    matches = (_PACMAN_FOLDER.fullmatch(folder) for folder in folders)
    return _chosen((match["name"], match["version"]) for match in matches if match)


def _of_rpm(world: World) -> Reading[tuple[Package, ...]]:
    database = next((folder for folder in _RPM if world.exists(folder)), None)
    if database is None:
        return Unread(source=_RPM[0], why=Why.ABSENT, detail="no such file")
    program = commands.find(world, "rpm") if world.is_here else ""
    if not program:
        return Unread(source=database, why=Why.UNSUPPORTED, detail="only rpm itself can read it")
    said = commands.output((program, *_RPM_COMMAND), world, seconds=_RPM_SECONDS, most_bytes=_MOST_BYTES)
    if isinstance(said, Unread):
        return said
    lines = (line.partition(" ") for line in said.splitlines())
    return _chosen((name, version) for name, blank, version in lines if blank and " " not in version)
