"""Docker's own configuration of the user: ~/.docker/config.json, the client's and not the engine's.

It is the user's who runs gpudoctor, with --host-root too.
https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties (2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gpudoctor.probe import config_files
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why

ALL_REGISTRIES = "*"
"""Stands for whatever the credential store holds."""


def folder(world: World) -> Path:
    """DOCKER_CONFIG, else ~/.docker."""
    return Path(world.environ.get("DOCKER_CONFIG") or Path(world.environ.get("HOME", "/root")) / ".docker")


def registries(world: World) -> Reading[tuple[str, ...]]:
    """Registries for which the file names credentials or a helper; a user without the file has none."""
    path = folder(world) / "config.json"
    document = config_files.read_json(path, str(path))
    if isinstance(document, Unread):
        return () if document.why is Why.ABSENT else document
    return _registries(document, str(path))


def parse(text: bytes, name: str) -> Reading[tuple[str, ...]]:
    """Registries that the file of that name tells of."""
    document = config_files.parse_json(text, name)
    return document if isinstance(document, Unread) else _registries(document, name)


def _registries(document: Mapping[str, object], name: str) -> Reading[tuple[str, ...]]:
    try:
        store = config_files.text(document, "credsStore")
        entries = config_files.mapping(document, "auths")
        # With a store the entries are empty. Without one an empty entry is what a logout of old left behind.
        found = {_host(registry) for registry, entry in entries.items() if entry or store}
        found.update(_host(registry) for registry in config_files.names(document, "credHelpers"))
    except config_files.FieldError as error:
        return config_files.wrong_field(name, error)
    if store:
        found.add(ALL_REGISTRIES)
    return tuple(sorted(found - {""}))


def _host(registry: str) -> str:
    """https://index.docker.io/v1/ is Docker Hub's old name."""
    host = config_files.clean(registry).partition("://")[2] or config_files.clean(registry)
    host = host.partition("/")[0].rpartition("@")[2].lower()
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io") else host
