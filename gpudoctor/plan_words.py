"""Mounts, ports, variables and sizes as people type them, for the launch plan."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable

from gpudoctor.errors import InputError
from gpudoctor.plan import CACHE_PATH, LaunchPlan, Mount, Port

_MOUNT_HINT = "as in /data:/data:ro, or type=bind,source=/a:b,target=/data,readonly where a path has a colon"
_PORT_HINT = "as in 8888, 8080:80, 127.0.0.1:8888:8888 or 53:53/udp"

_MOUNT_KEYS = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_LONG_MOUNT = re.compile(r'"?(?:type|source|src|target|destination|dst|readonly|ro)(?:=|$|,)')
_TRUTH = {"": True, "1": True, "true": True, "0": False, "false": False}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# What Docker takes for the name of a container or a volume.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
# What Docker, Compose and Kubernetes (there as an annotation) all take for the name of a label.
_LABEL = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII
)
_USER = re.compile(r"(?:[0-9]{1,10}|[a-z_][a-z0-9_-]{0,31})(?::(?:[0-9]{1,10}|[a-z_][a-z0-9_-]{0,31}))?", re.ASCII)
_PORT = re.compile(
    r"(?:(?:(?P<address>[0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\]):)?(?P<host>[0-9]{1,5}):)?"
    r"(?P<container>[0-9]{1,5})(?:/(?P<protocol>tcp|udp))?",
    re.ASCII,
)
_SIZE = re.compile(r"([0-9]{1,12})([bkmgt]?)", re.ASCII | re.IGNORECASE)
_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}

# Below it, nothing that NVIDIA's images do with shared memory works; Docker's own 64 MiB are too little already.
_LEAST_SHM_BYTES = 1 << 20


def mount(text: str, absolute: Callable[[str], str]) -> Mount:
    """SOURCE[:TARGET][:ro], or Docker's long form; `absolute` completes a source that is none.

    Raises InputError.
    """
    if _has_control(text):
        raise InputError(f"--mount {text!r}: a path with a line break or another control character", _MOUNT_HINT)
    return _long_mount(text, absolute) if _LONG_MOUNT.match(text) else _short_mount(text, absolute)


def _short_mount(text: str, absolute: Callable[[str], str]) -> Mount:
    parts = text.split(":")
    mode = parts.pop() if len(parts) > 1 and parts[-1] in ("ro", "rw") else "rw"
    if len(parts) > 2 or not all(parts):
        raise InputError(f"--mount {_shortened(text)}: expected SOURCE:TARGET[:ro]", _MOUNT_HINT)
    source = absolute(parts[0])
    return _mount(text, source, parts[1] if len(parts) == 2 else source, read_only=mode == "ro")


def _long_mount(text: str, absolute: Callable[[str], str]) -> Mount:
    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise InputError(f"--mount {_shortened(text)}: quotes that do not match", _MOUNT_HINT) from None
    found: dict[str, str] = {}
    for part in row:
        key, _, value = part.partition("=")
        key = _MOUNT_KEYS.get(key, key)
        if key not in ("type", "source", "target", "readonly") or key in found:
            what = "stands twice" if key in found else "is no part of a mount"
            raise InputError(f"--mount {_shortened(text)}: {_shortened(key)} {what}", _MOUNT_HINT)
        found[key] = value
    if found.get("type", "bind") != "bind":
        raise InputError(f"--mount {_shortened(text)}: type: expected bind", "a volume for compiled PTX is --cache")
    if not found.get("source") or not found.get("target"):
        raise InputError(f"--mount {_shortened(text)}: expected source= and target=", _MOUNT_HINT)
    if found.get("readonly", "0") not in _TRUTH:
        raise InputError(f"--mount {_shortened(text)}: readonly: expected true or false", _MOUNT_HINT)
    read_only = _TRUTH[found.get("readonly", "0")]
    return _mount(text, absolute(found["source"]), found["target"], read_only=read_only)


def _mount(text: str, source: str, target: str, *, read_only: bool) -> Mount:
    if not target.startswith("/"):
        raise InputError(f"--mount {_shortened(text)}: the path in the container must begin with /", _MOUNT_HINT)
    if not target.strip("/"):
        raise InputError(f"--mount {_shortened(text)}: nothing can be put over the whole container", _MOUNT_HINT)
    return Mount(source=source, target=target, read_only=read_only)


def check_targets(plan: LaunchPlan) -> None:
    """Refuse two mounts at one place: engines refuse them, each in other words."""
    targets = [one.target.rstrip("/") for one in plan.folders]
    if plan.cache and not plan.cache_is_folder:
        targets.append(CACHE_PATH)
    for target in targets:
        if targets.count(target) > 1:
            raise InputError(f"--mount: two of them at {_shortened(target)}", "leave one out")


def variable(text: str) -> tuple[str, str | None]:
    """NAME=VALUE, or NAME alone for the value it has where the container starts; raises InputError."""
    name, equals, value = text.partition("=")
    if not _VARIABLE.fullmatch(name):
        # Not the text: what was meant as a value may be a secret.
        raise InputError(f"--env {_shortened(name)}: no name of a variable", "as in TF_CPP_MIN_LOG_LEVEL=2, or TOKEN")
    return name, value if equals else None


def label(text: str) -> tuple[str, str]:
    """NAME=VALUE, or NAME for an empty value; raises InputError."""
    name, _, value = text.partition("=")
    if not _LABEL.fullmatch(name):
        raise InputError(f"--label {_shortened(name)}: no name of a label", "as in project=vision")
    return name, value


def port(text: str) -> Port:
    """[[ADDRESS:]HOST:]CONTAINER[/udp]; raises InputError."""
    found = _PORT.fullmatch(text)
    numbers = [] if found is None else [int(found["container"]), int(found["host"] or found["container"])]
    if found is None or not all(0 < number < 65536 for number in numbers):
        raise InputError(f"--port {_shortened(text)}: expected [[ADDRESS:]HOST:]CONTAINER", _PORT_HINT)
    return Port(
        container=numbers[0], host=numbers[1], address=found["address"] or "", protocol=found["protocol"] or "tcp"
    )


def size(text: str, option: str) -> int:
    """Bytes out of 1g, 512m or 1073741824, as Docker has it; raises InputError."""
    found = _SIZE.fullmatch(text)
    size_bytes = 0 if found is None else int(found[1]) << _UNITS[found[2].lower()]
    if not _LEAST_SHM_BYTES <= size_bytes < 1 << 50:
        raise InputError(f"{option} {_shortened(text)}: expected a size from 1m", "as in 8g")
    return size_bytes


def user(text: str) -> str:
    """UID[:GID] or NAME[:GROUP]; raises InputError."""
    if not _USER.fullmatch(text):
        raise InputError(f"--user {_shortened(text)}: expected UID[:GID] or a name", 'as in --user "$(id -u):$(id -g)"')
    return text


def name(text: str, option: str) -> str:
    """What may name a container or a volume; raises InputError."""
    if not _NAME.fullmatch(text):
        raise InputError(f"{option} {_shortened(text)}: letters, digits, _ . and -, 128 at most", "as in train-1")
    return text


def folder(text: str, option: str) -> str:
    """An absolute path in the container or on the host; raises InputError."""
    if not text.startswith("/") or _has_control(text):
        raise InputError(f"{option} {_shortened(text)}: expected a path that begins with /", "as in /workspace")
    return text


def _has_control(text: str) -> bool:
    return any(ord(letter) < 32 or ord(letter) == 127 for letter in text)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
