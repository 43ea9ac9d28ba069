"""Enroot's hook for NVIDIA GPUs: a script that it runs before each container.

https://github.com/NVIDIA/enroot/blob/master/doc/configuration.md (2026-11)
"""

from __future__ import annotations

import os
import re

from gpudoctor.probe import commands, config_files
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

_CONFIGURATION = "/etc/enroot/enroot.conf"
_DEFAULT_FOLDER = "/etc/enroot"

# The hook's name, and the one that it had before enroot 2.1.
_HOOKS = ("98-nvidia.sh", "99-nvidia.sh")

_FOLDER_LINE = re.compile(r"^[ \t]*ENROOT_SYSCONF_PATH[ \t=]+(\S.*?)[ \t]*$", re.MULTILINE)


def hook(world: World) -> Reading[str]:
    """Path of the hook, "" where enroot is there and would run none; absent without enroot.

    Enroot runs what is executable and passes over the rest without a word. It looks in
    1. hooks.d of ENROOT_SYSCONF_PATH: of the environment, where that is ours, else of enroot.conf, else /etc/enroot
    2. hooks.d of the user's own configuration, where that is ours.
    """
    if not commands.find(world, "enroot") and not world.exists(_DEFAULT_FOLDER):
        return Unread(source="enroot", why=Why.ABSENT, detail="enroot is not installed")
    folder = _folder(world)
    if isinstance(folder, Unread):
        return folder
    for place in (folder, *_own_folders(world)):
        for name in _HOOKS:
            path = f"{place.rstrip('/')}/hooks.d/{name}"
            try:
                world.path(path).stat()
            except (FileNotFoundError, NotADirectoryError, ValueError):
                continue
            except OSError as error:
                return unread_os_error(path, error)
            if os.access(world.path(path), os.X_OK):
                return path
    return ""


def _folder(world: World) -> Reading[str]:
    if world.is_here and world.environ.get("ENROOT_SYSCONF_PATH"):
        return world.environ["ENROOT_SYSCONF_PATH"]
    found = config_files.content(world.path(_CONFIGURATION), _CONFIGURATION)
    if isinstance(found, Unread):
        return _DEFAULT_FOLDER if found.why is Why.ABSENT else found
    match = _FOLDER_LINE.search(found.decode("utf-8", "replace"))
    if match is None:
        return _DEFAULT_FOLDER
    named = match.group(1).strip("\"'")
    if not named.startswith("/") or any(letter in named for letter in "$`\\"):
        detail = f"ENROOT_SYSCONF_PATH is {named[:80]!r}, which only enroot's shell can work out"
        return Unread(source=_CONFIGURATION, why=Why.UNSUPPORTED, detail=detail)
    return named


def _own_folders(world: World) -> tuple[str, ...]:
    if not world.is_here:
        return ()
    home = world.environ.get("HOME", "/root")
    configuration = world.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return (world.environ.get("ENROOT_CONFIG_PATH") or f"{configuration}/enroot",)
