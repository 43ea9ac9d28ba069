"""NVIDIA's Container Toolkit: its configuration, its version, and the package sources it comes from."""

from __future__ import annotations

import re

from gpudoctor.facts import Package, ToolkitConfiguration
from gpudoctor.probe import commands, config_files
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why

CONFIGURATION = "/etc/nvidia-container-runtime/config.toml"

_SOURCES = "/etc/apt/sources.list.d"
_REPOSITORY = "nvidia.github.io"
# apt passes over files with other names. sources.list(5)
_SOURCE_FILE = re.compile(r"[A-Za-z0-9_.-]+\.(list|sources)", re.ASCII)

# Released together under one number; the last is what the oldest ones had.
_PACKAGES = ("nvidia-container-toolkit-base", "nvidia-container-toolkit", "libnvidia-container-tools")
_PROGRAMS = ("nvidia-ctk", "nvidia-container-cli")


def configuration(world: World) -> Reading[ToolkitConfiguration]:
    """config.toml of the toolkit; absent where there is none, which leaves the toolkit with its defaults."""
    document = config_files.content(world.path(CONFIGURATION), CONFIGURATION)
    return document if isinstance(document, Unread) else parse(document, CONFIGURATION, world)


def parse(text: bytes, name: str, world: World) -> Reading[ToolkitConfiguration]:
    """What the file of that name says; `world` tells whether the ldconfig is there that it names."""
    document = config_files.parse_toml(text, name)
    if isinstance(document, Unread):
        return document
    try:
        ldconfig = config_files.text(document, "nvidia-container-cli", "ldconfig")
        return ToolkitConfiguration(
            path=name,
            mode=config_files.text(document, "nvidia-container-runtime", "mode"),
            no_cgroups=config_files.field(document, "nvidia-container-cli", "no-cgroups", kind=bool, default=False),
            ldconfig=ldconfig.removeprefix("@"),
            ldconfig_exists=_is_there(world, ldconfig),
            root=config_files.text(document, "nvidia-container-cli", "root"),
        )
    except config_files.FieldError as error:
        return config_files.wrong_field(name, error)


def _is_there(world: World, ldconfig: str) -> bool | None:
    """Without the @ it is a path inside the container: this host has no answer."""
    if not ldconfig.startswith("@/"):
        return None
    try:
        world.path(ldconfig.removeprefix("@")).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return None
    return True


def version(world: World, packages: Reading[tuple[Package, ...]]) -> Reading[str]:
    """Version of the installed toolkit.

    1. The distribution's package. 2. What nvidia-ctk, else nvidia-container-cli says of itself.
    """
    packaged = commands.packaged_version(packages, _PACKAGES)
    if packaged:
        return packaged
    found: Reading[str] = Unread(source="nvidia-ctk --version", why=Why.ABSENT, detail="the toolkit is not installed")
    for name in _PROGRAMS:
        program = commands.find(world, name)
        if program:
            found = commands.version(world, program)
            if not isinstance(found, Unread):
                break
    return found


def sources(world: World) -> Reading[tuple[str, ...]]:
    """Files of apt's package sources that name the toolkit's repository; a machine without apt has none."""
    entries = world.entries(_SOURCES)
    if isinstance(entries, Unread):
        return () if entries.why is Why.ABSENT else entries
    found: list[str] = []
    for entry in entries:
        path = f"{_SOURCES}/{entry}"
        if not _SOURCE_FILE.fullmatch(entry):
            continue
        text = config_files.content(world.path(path), path)
        if isinstance(text, Unread):
            if text.why is Why.ABSENT:  # a link that leads nowhere
                continue
            return text
        if names_repository(text.decode("utf-8", "replace"), deb822=entry.endswith(".sources")):
            found.append(path)
    return tuple(found)


def names_repository(text: str, *, deb822: bool) -> bool:
    """Whether a file of package sources names the toolkit's repository in a line that apt heeds."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    if not deb822:
        return any(_REPOSITORY in line for line in lines)
    return any(
        _REPOSITORY in stanza and not re.search(r"^enabled:\s*(no|false|0)\b", stanza, re.IGNORECASE | re.MULTILINE)
        for stanza in re.split(r"\n[ \t]*\n", "\n".join(lines))
    )
