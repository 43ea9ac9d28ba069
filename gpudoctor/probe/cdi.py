"""CDI specs: files that tell an engine what a GPU's container needs of the host.

https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md (2026-11)
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpudoctor.facts import CdiSpec
from gpudoctor.probe import config_files
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import DriverVersion, VersionError

KIND = "nvidia.com/gpu"

# Where engines look that are not told otherwise.
DEFAULT_FOLDERS = ("/etc/cdi", "/var/run/cdi")

_MAX_MISSING = 20

# Of libraries whose names end in the driver's version; libcuda.so.1 is the link to one.
_DRIVER_LIBRARY = re.compile(r"/(?:libcuda|libnvidia-ml)\.so\.(\d+(?:\.\d+)+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a spec says, before anybody has looked whether it is so."""

    devices: tuple[str, ...]
    """Names after nvidia.com/gpu=, in the file's order."""
    device_nodes: tuple[str, ...]
    """Where they are on the host."""
    mounts: tuple[str, ...]
    """What it mounts of the host."""
    container_paths: tuple[str, ...]
    """Where it mounts that."""


def probe(world: World, folders: Iterable[str]) -> Reading[tuple[CdiSpec, ...]]:
    """NVIDIA's specs in these folders, by path."""
    specs: list[CdiSpec] = []
    seen: set[tuple[int, int]] = set()
    # Docker's way to say that there are none is one that is empty.
    for folder in [folder for folder in folders if folder.startswith("/")] or DEFAULT_FOLDERS:
        entries = _entries(world, folder, seen)
        if isinstance(entries, Unread):
            return entries
        for entry in entries:
            if entry.endswith((".json", ".yaml")):
                found = _spec(world, folder, f"{folder.rstrip('/')}/{entry}")
                specs.extend(() if found is None else (found,))
    return tuple(sorted(specs, key=lambda spec: spec.path))


def _entries(world: World, folder: str, seen: set[tuple[int, int]]) -> Reading[tuple[str, ...]]:
    """Names in the folder; none where it is not there, or was seen under another name: /run/cdi and /var/run/cdi."""
    try:
        found = world.path(folder).stat()
    except OSError as error:
        unread = unread_os_error(folder, error)
        return () if unread.why is Why.ABSENT else unread
    except ValueError:
        return Unread(source=folder, why=Why.GARBLED, detail="no folder can have that name")
    if (found.st_dev, found.st_ino) in seen:
        return ()
    seen.add((found.st_dev, found.st_ino))
    return world.entries(folder)


def parse(text: bytes, name: str) -> Reading[Spec] | None:
    """The spec in the file of that name; None where it is another vendor's."""
    document = (config_files.parse_json if name.endswith(".json") else config_files.parse_yaml)(text, name)
    if isinstance(document, Unread):
        # Whose it is, nobody can read; but another vendor's does not speak of NVIDIA.
        return document if KIND.encode() in text or "nvidia" in name.rpartition("/")[2].lower() else None
    try:
        if config_files.text(document, "kind") != KIND:
            return None
        return _said(document)
    except config_files.FieldError as error:
        return config_files.wrong_field(name, error)


def _said(document: Mapping[str, object]) -> Spec:
    devices: list[str] = []
    edits = [document]
    for index, device in enumerate(config_files.items(document, "devices")):
        if not isinstance(device, dict):
            raise config_files.FieldError(f"devices[{index}]: expected a mapping")
        devices.append(_name(device, f"devices[{index}]."))
        edits.append(device)
    nodes: list[str] = []
    mounts: list[str] = []
    container_paths: list[str] = []
    for edit in edits:
        for node in _mappings(edit, "deviceNodes"):
            path = config_files.text(node, "path")
            nodes.append(config_files.text(node, "hostPath") or path)
        for mount in _mappings(edit, "mounts"):
            mounts.append(config_files.text(mount, "hostPath"))
            container_paths.append(config_files.text(mount, "containerPath"))
    return Spec(
        devices=tuple(devices),
        device_nodes=tuple(nodes),
        mounts=tuple(mounts),
        container_paths=tuple(container_paths),
    )


def _name(device: Mapping[str, object], place: str) -> str:
    """Engines take a number without quotes for the text that it is."""
    value = device.get("name")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    try:
        name = config_files.text(device, "name")
    except config_files.FieldError as error:
        raise config_files.FieldError(f"{place}{error}") from None
    if not name:
        raise config_files.FieldError(f"{place}name: missing")
    return name


def _mappings(edit: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for index, item in enumerate(config_files.items(edit, "containerEdits", key)):
        if not isinstance(item, dict):
            raise config_files.FieldError(f"containerEdits.{key}[{index}]: expected a mapping")
        found.append(item)
    return found


def _spec(world: World, folder: str, path: str) -> CdiSpec | None:
    text = config_files.content(world.path(path), path)
    if isinstance(text, Unread):
        # Gone since the folder was read, or one that only its name makes NVIDIA's.
        named = "nvidia" in path.rpartition("/")[2].lower()
        said: Reading[Spec] | None = text if named and text.why is not Why.ABSENT else None
    else:
        said = parse(text, path)
    if said is None:
        return None
    readable = _readable_by_all(world, folder, path)
    if isinstance(said, Unread):
        return CdiSpec(path=path, devices=said, driver_version=said, missing=said, readable_by_all=readable)
    return CdiSpec(
        path=path,
        devices=said.devices,
        driver_version=_driver_version(said, path),
        missing=_missing(world, said, path),
        readable_by_all=readable,
    )


def _driver_version(spec: Spec, path: str) -> Reading[DriverVersion]:
    for name in (*spec.mounts, *spec.container_paths):
        match = _DRIVER_LIBRARY.search(name)
        if match and match.end() == len(name):
            try:
                return DriverVersion.parse(match.group(1))
            except VersionError:
                continue
    return Unread(source=path, why=Why.ABSENT, detail="it mounts no libcuda.so or libnvidia-ml.so with a version")


def _missing(world: World, spec: Spec, path: str) -> Reading[tuple[str, ...]]:
    missing: list[str] = []
    unread: Unread | None = None
    # The last part of a device node's path is the node; a mount's is followed.
    looked = [(name, False) for name in spec.device_nodes] + [(name, True) for name in spec.mounts]
    for name, follow_last in dict.fromkeys(looked):
        if not name or name in missing:
            continue
        try:
            world.path(name, follow_last=follow_last).lstat()
        except (FileNotFoundError, NotADirectoryError):
            missing.append(name)
        except OSError as error:
            unread = unread_os_error(name, error)
        except ValueError:
            unread = Unread(source=path, why=Why.GARBLED, detail="it names a file that there cannot be")
        if len(missing) == _MAX_MISSING:
            break
    # Nothing missing is only said where everything could be looked at.
    return tuple(missing) if missing or unread is None else unread


def _readable_by_all(world: World, folder: str, path: str) -> Reading[bool]:
    try:
        of_folder, of_file = (world.path(name).stat().st_mode for name in (folder, path))
    except OSError as error:
        return unread_os_error(path, error)
    needed = stat.S_IROTH | stat.S_IXOTH
    return of_folder & needed == needed and bool(of_file & stat.S_IROTH)
