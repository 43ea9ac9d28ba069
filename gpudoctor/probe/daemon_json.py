"""daemon.json: what the engine would run with after its next restart.

https://docs.docker.com/engine/daemon/ (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gpudoctor.facts import DaemonConfiguration
from gpudoctor.probe import config_files
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why

_ROOTFUL = "/etc/docker/daemon.json"
_SNAP = "/var/snap/docker/current/config/daemon.json"

# Below the home of whoever runs a rootless engine: its data, and its configuration.
_ROOTLESS_DATA = "/.local/share/docker"
_ROOTLESS_FOLDER = "/.config"


def probe(
    world: World, *, host: str, security_options: Reading[tuple[str, ...]], data_root: Reading[str]
) -> Reading[DaemonConfiguration]:
    """The configuration of the engine at `host`, which said this of itself.

    A file that is not there configures nothing: the engine then runs with its defaults.
    """
    name, path = _place(world, host, security_options, data_root)
    document = config_files.read_json(path, name)
    if isinstance(document, Unread):
        return _configuration({}, name) if document.why is Why.ABSENT else document
    return _configuration(document, name)


def parse(text: bytes, name: str) -> Reading[DaemonConfiguration]:
    """What the file of that name says."""
    document = config_files.parse_json(text, name)
    return document if isinstance(document, Unread) else _configuration(document, name)


def _place(
    world: World, host: str, security_options: Reading[tuple[str, ...]], data_root: Reading[str]
) -> tuple[str, Path]:
    """Name of the file and where it is to be found.

    1. Of a rootless engine, below the home that its data stands in, else below our own. Whether it is rootless, it
       says itself; one that does not answer is when its socket stands in a user's own folder.
    2. Of a snap, in the snap's folder. One that does not answer is one where only the snap has a file.
    3. /etc/docker.
    """
    if isinstance(security_options, Unread):
        rootless = host.startswith("unix:///run/user/")
    else:
        rootless = any(option.partition(",")[0] == "name=rootless" for option in security_options)
    if rootless:
        return _rootless(world, "" if isinstance(data_root, Unread) else data_root)
    if isinstance(data_root, Unread):
        snap = world.exists(_SNAP) and not world.exists(_ROOTFUL)
    else:
        snap = data_root.startswith("/var/snap/")
    name = _SNAP if snap else _ROOTFUL
    return name, world.path(name)


def _rootless(world: World, data_root: str) -> tuple[str, Path]:
    home = world.environ.get("HOME", "/root")
    configuration = world.environ.get("XDG_CONFIG_HOME")
    if data_root.endswith(_ROOTLESS_DATA):
        its_home = data_root.removesuffix(_ROOTLESS_DATA)
        if not (world.is_here and its_home == home and configuration):
            name = f"{its_home}{_ROOTLESS_FOLDER}/docker/daemon.json"
            return name, world.path(name)
    name = f"{configuration or home + _ROOTLESS_FOLDER}/docker/daemon.json"
    return name, Path(name)


def _configuration(document: Mapping[str, object], name: str) -> Reading[DaemonConfiguration]:
    try:
        return DaemonConfiguration(
            path=name,
            runtimes=config_files.names(document, "runtimes"),
            default_runtime=config_files.text(document, "default-runtime"),
            cdi=config_files.field(document, "features", "cdi", kind=bool, default=None),
            exec_options=config_files.texts(document, "exec-opts"),
        )
    except config_files.FieldError as error:
        return config_files.wrong_field(name, error)
