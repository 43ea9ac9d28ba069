"""The container engine: two GETs of the Docker Engine API, the disk behind it, and NVIDIA's toolkit.

docker-py is not used here: its import alone takes longer than the whole probe.
https://docs.docker.com/reference/api/engine/ (2026-11)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpudoctor.facts import EngineFacts, Reading, Unread, Why
from gpudoctor.probe.world import World, unread_os_error

DEFAULT_SOCKET = "/var/run/docker.sock"
TOOLKIT_BINARIES = (
    "nvidia-container-cli",
    "nvidia-container-runtime",
    "nvidia-container-runtime-hook",
    "nvidia-ctk",
)
_BINARY_FOLDERS = ("/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/nvidia/toolkit", "/run/nvidia/toolkit")

# An answer of /info is some 5 kB. Something else listens there when it is longer than this.
_MAX_ANSWER_BYTES = 4 << 20

# A busy dockerd answers /info in well under a second; one that is wedged never does.
_ENGINE_SECONDS = 5.0


def probe(world: World) -> EngineFacts:
    """Ask the engine that docker itself would ask; every failure is a reading without a value."""
    host = engine_host(world)
    version = _get(host, "/version", world)
    info = version if isinstance(version, Unread) else _get(host, "/info", world)
    data_root = _text(info, "DockerRootDir")
    return EngineFacts(
        host=host,
        version=_text(version, "Version"),
        operating_system=_text(info, "OperatingSystem"),
        runtimes=_keys(info, "Runtimes"),
        default_runtime=_text(info, "DefaultRuntime"),
        cdi_devices=_cdi_devices(info),
        cgroup_driver=_text(info, "CgroupDriver"),
        cgroup_version=_text(info, "CgroupVersion"),
        security_options=_texts(info, "SecurityOptions"),
        data_root=data_root,
        data_root_free_bytes=_free_bytes(host, data_root),
        toolkit_binaries=_toolkit_binaries(world),
    )


def engine_host(world: World) -> str:
    """Where the engine is, as the docker command finds it.

    1. DOCKER_HOST. 2. DOCKER_CONTEXT, or currentContext of ~/.docker/config.json. 3. /var/run/docker.sock.
    """
    if world.environ.get("DOCKER_HOST"):
        return world.environ["DOCKER_HOST"]
    folder = Path(world.environ.get("DOCKER_CONFIG") or Path(world.environ.get("HOME", "/root")) / ".docker")
    context = world.environ.get("DOCKER_CONTEXT") or _json(folder / "config.json").get("currentContext")
    if isinstance(context, str) and context not in ("", "default"):
        # Docker stores a context under the SHA-256 of its name.
        digest = hashlib.sha256(context.encode()).hexdigest()
        meta = _json(folder / "contexts" / "meta" / digest / "meta.json")
        endpoint = meta.get("Endpoints", {})
        docker = endpoint.get("docker", {}) if isinstance(endpoint, dict) else {}
        if isinstance(docker, dict) and isinstance(docker.get("Host"), str) and docker["Host"]:
            return str(docker["Host"])
    return f"unix://{world.path(DEFAULT_SOCKET)}"


def _json(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _get(host: str, path: str, world: World) -> Reading[Mapping[str, Any]]:
    source = f"GET {path} at {host}"
    timeout = min(_ENGINE_SECONDS, world.remaining_seconds())
    try:
        status, body = _request(host, path, timeout)
    except _UnsupportedHostError as error:
        return Unread(source=source, why=Why.UNSUPPORTED, detail=str(error))
    except TimeoutError:
        return Unread(source=source, why=Why.TIMEOUT, detail=f"no answer within {timeout:.0f} s")
    except OSError as error:
        return _unread_socket(source, host, error)
    except Exception as error:  # whatever speaks no HTTP
        return Unread(source=source, why=Why.GARBLED, detail=f"no HTTP answer: {type(error).__name__}")
    if status != 200:
        why = Why.FORBIDDEN if status in (401, 403) else Why.FAILED
        return Unread(source=source, why=why, detail=f"HTTP status {status}", code=status)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Unread(source=source, why=Why.GARBLED, detail="the answer is no JSON")
    if not isinstance(document, dict):
        return Unread(source=source, why=Why.GARBLED, detail="the answer is no JSON object")
    return document


class _UnsupportedHostError(Exception):
    pass


def _request(host: str, path: str, timeout: float) -> tuple[int, bytes]:
    import http.client
    import socket

    kind, _, address = host.partition("://")
    if kind == "unix":
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout)
        connection.sock.connect(address)
    elif kind in ("tcp", "http"):
        connection = http.client.HTTPConnection(address.rstrip("/"), timeout=timeout)
    else:
        raise _UnsupportedHostError(f"gpudoctor asks engines over unix:// and tcp:// only, not {kind}://")
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(_MAX_ANSWER_BYTES)
    finally:
        connection.close()


def _unread_socket(source: str, host: str, error: OSError) -> Unread:
    if isinstance(error, FileNotFoundError):
        detail = f"{host.removeprefix('unix://')} does not exist: no engine, or it is not running"
        return Unread(source=source, why=Why.ABSENT, detail=detail, code=error.errno)
    if isinstance(error, ConnectionRefusedError):
        detail = "nobody listens there: the engine is not running"
        return Unread(source=source, why=Why.ABSENT, detail=detail, code=error.errno)
    if isinstance(error, PermissionError):
        detail = "this user may not use the socket"
        return Unread(source=source, why=Why.FORBIDDEN, detail=detail, code=error.errno)
    return unread_os_error(source, error)


def _unread_key(info: Unread | None, key: str) -> Unread:
    return info or Unread(source="GET /info", why=Why.UNSUPPORTED, detail=f"the engine does not report {key}")


def _text(info: Reading[Mapping[str, Any]], key: str) -> Reading[str]:
    if isinstance(info, Unread):
        return info
    value = info.get(key)
    return value if isinstance(value, str) else _unread_key(None, key)


def _texts(info: Reading[Mapping[str, Any]], key: str) -> Reading[tuple[str, ...]]:
    if isinstance(info, Unread):
        return info
    value = info.get(key)
    if value is None:
        return ()
    return tuple(str(item) for item in value) if isinstance(value, list) else _unread_key(None, key)


def _keys(info: Reading[Mapping[str, Any]], key: str) -> Reading[tuple[str, ...]]:
    if isinstance(info, Unread):
        return info
    value = info.get(key)
    return tuple(sorted(str(name) for name in value)) if isinstance(value, dict) else _unread_key(None, key)


def _cdi_devices(info: Reading[Mapping[str, Any]]) -> Reading[tuple[str, ...]]:
    if isinstance(info, Unread):
        return info
    devices = info.get("DiscoveredDevices")
    if devices is None:
        # Docker 28.2 lists them; older engines that can do CDI at all name the folders they look in.
        return ()
    if not isinstance(devices, list):
        return _unread_key(None, "DiscoveredDevices")
    found = (device.get("ID") for device in devices if isinstance(device, dict) and device.get("Source") == "cdi")
    return tuple(sorted(str(name) for name in found))


def _free_bytes(host: str, data_root: Reading[str]) -> Reading[int]:
    if isinstance(data_root, Unread):
        return data_root
    source = f"statvfs {data_root}"
    if not host.startswith("unix://"):
        return Unread(source=source, why=Why.UNSUPPORTED, detail="the engine is on another machine")
    try:
        found = os.statvfs(data_root)
    except OSError as error:
        # The folder is root's alone on many machines; the disk it stands on is the same one folder up.
        if not isinstance(error, PermissionError):
            return unread_os_error(source, error)
        try:
            found = os.statvfs(Path(data_root).parent)
        except OSError as inner:
            return unread_os_error(source, inner)
    return found.f_frsize * found.f_bavail


def _toolkit_binaries(world: World) -> Reading[tuple[str, ...]]:
    folders = [world.path(folder) for folder in _BINARY_FOLDERS]
    if world.is_here:
        folders.extend(Path(folder) for folder in world.environ.get("PATH", "").split(os.pathsep) if folder)
    elif not any(folder.is_dir() for folder in folders):
        detail = f"no folder of programs below {world.root}"
        return Unread(source=" ".join(_BINARY_FOLDERS), why=Why.ABSENT, detail=detail)
    return tuple(name for name in TOOLKIT_BINARIES if any(os.access(folder / name, os.X_OK) for folder in folders))
