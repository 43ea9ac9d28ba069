"""The container engine: two GETs of the Docker Engine API, the disk behind it, and NVIDIA's toolkit.

docker-py is not used here: its import alone takes longer than the whole probe.
https://docs.docker.com/reference/api/engine/ (2026-11)
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import socket
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from gpudoctor.facts import EngineFacts, Package
from gpudoctor.probe import cdi, config_files, daemon_json, docker_config, enroot, podman, toolkit
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why

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

# A busy dockerd answers /info in well under a second; one that is wedged never does. NVML comes after it, so
# that each of its two questions gets no more than a fifth of what time is left.
_ENGINE_SECONDS = 5.0
_ENGINE_SHARE = 0.2

_PACKAGES_NOT_ASKED = Unread(source="packages", why=Why.NOT_ASKED, detail="nobody read the list of packages")

# Prefix of what stands for an address where the Docker context that somebody chose is not there.
_NO_CONTEXT = "context "


def probe(world: World, packages: Reading[tuple[Package, ...]] = _PACKAGES_NOT_ASKED) -> EngineFacts:
    """Ask the engine that docker itself would ask; every failure is a reading without a value.

    The distribution's packages, where somebody has read them, save running programs for their versions.
    """
    host = engine_host(world)
    version = _get(host, "/version", world)
    info = version if isinstance(version, Unread) else _get(host, "/info", world)
    data_root = _text(info, "DockerRootDir")
    security_options = _texts(info, "SecurityOptions")
    cdi_spec_dirs = _texts(info, "CDISpecDirs")
    elsewhere = _elsewhere(host, info)
    return EngineFacts(
        host=host,
        version=_text(version, "Version"),
        operating_system=_text(info, "OperatingSystem"),
        runtimes=_keys(info, "Runtimes"),
        default_runtime=_text(info, "DefaultRuntime"),
        cdi_devices=_cdi_devices(info),
        cgroup_driver=_text(info, "CgroupDriver"),
        cgroup_version=_text(info, "CgroupVersion"),
        security_options=security_options,
        data_root=data_root,
        data_root_free_bytes=_free_bytes(world, elsewhere, data_root),
        cdi_spec_dirs=cdi_spec_dirs,
        running_containers=_count(info, "ContainersRunning"),
        daemon=(
            Unread(source="daemon.json", why=Why.UNSUPPORTED, detail=elsewhere)
            if elsewhere
            else daemon_json.probe(world, host=host, security_options=security_options, data_root=data_root)
        ),
        cdi_specs=(
            Unread(source="CDISpecDirs", why=Why.UNSUPPORTED, detail=elsewhere)
            if elsewhere
            else cdi.probe(world, () if isinstance(cdi_spec_dirs, Unread) else cdi_spec_dirs)
        ),
        toolkit_version=toolkit.version(world, packages),
        toolkit=(
            Unread(source=toolkit.CONFIGURATION, why=Why.UNSUPPORTED, detail=elsewhere)
            if elsewhere
            else toolkit.configuration(world)
        ),
        toolkit_sources=toolkit.sources(world),
        registries=docker_config.registries(world),
        podman_version=podman.version(world, packages),
        enroot_hook=enroot.hook(world),
        toolkit_binaries=_toolkit_binaries(world, host),
    )


def engine_host(world: World) -> str:
    """Where the engine is, as the docker command finds it.

    1. DOCKER_HOST. 2. DOCKER_CONTEXT, or currentContext of ~/.docker/config.json. 3. /var/run/docker.sock.
    """
    if world.environ.get("DOCKER_HOST"):
        return world.environ["DOCKER_HOST"]
    folder = docker_config.folder(world)
    context = world.environ.get("DOCKER_CONTEXT") or _json(folder / "config.json").get("currentContext")
    if isinstance(context, str) and context not in ("", "default"):
        # Docker stores a context under the SHA-256 of its name.
        digest = hashlib.sha256(context.encode()).hexdigest()
        meta = _json(folder / "contexts" / "meta" / digest / "meta.json")
        endpoint = meta.get("Endpoints", {})
        docker = endpoint.get("docker", {}) if isinstance(endpoint, dict) else {}
        if isinstance(docker, dict) and isinstance(docker.get("Host"), str) and docker["Host"]:
            return str(docker["Host"])
        return f"{_NO_CONTEXT}{context}"  # not the default one: that would be another engine than docker's
    return f"unix://{world.path(DEFAULT_SOCKET)}"


def _json(path: Path) -> Mapping[str, Any]:
    document = config_files.read_json(path, str(path))
    return {} if isinstance(document, Unread) else document


def _get(host: str, path: str, world: World) -> Reading[Mapping[str, Any]]:
    source = f"GET {path} at {host}"
    refused = unsupported(world, host)
    if refused is not None:
        return Unread(source=source, why=refused[0], detail=refused[1])
    timeout = min(_ENGINE_SECONDS, _ENGINE_SHARE * world.remaining_seconds())
    try:
        status, body = _request(host, path, timeout)
    except Exception as error:
        return _no_answer(source, host, timeout, error)
    if status != 200:
        why = Why.FORBIDDEN if status in (401, 403) else Why.FAILED
        return Unread(source=source, why=why, detail=f"HTTP status {status}{_message(body)}", code=status)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Unread(source=source, why=Why.GARBLED, detail="the answer is no JSON")
    if not isinstance(document, dict):
        return Unread(source=source, why=Why.GARBLED, detail="the answer is no JSON object")
    return document


def _no_answer(source: str, host: str, timeout: float, error: Exception) -> Unread:
    if isinstance(error, TimeoutError):
        return Unread(source=source, why=Why.TIMEOUT, detail=f"no answer within {timeout:.2g} s")
    if isinstance(error, http.client.RemoteDisconnected):
        detail = "it closed the connection without an answer"
    elif isinstance(error, OSError):
        return _unread_socket(source, host, error)
    elif isinstance(error, http.client.IncompleteRead):
        detail = "the answer broke off"
    elif isinstance(error, _TooLongError):
        detail = "an answer longer than any engine's"
    else:
        detail = f"no HTTP answer: {type(error).__name__}"
    return Unread(source=source, why=Why.GARBLED, detail=detail)


def _message(body: bytes) -> str:
    """What an engine says of a request that it refused: {"message": "..."}."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = document.get("message") if isinstance(document, dict) else None
    return f": {' '.join(text.split())[:200]}" if isinstance(text, str) and text.strip() else ""


def unsupported(world: World, host: str) -> tuple[Why, str] | None:
    """Why an engine at such an address is not asked."""
    if host.startswith(_NO_CONTEXT):
        return Why.FAILED, f"the Docker {host} is not on this machine (docker context ls)"
    kind = host.partition("://")[0]
    if kind not in ("unix", "tcp", "http"):
        return Why.UNSUPPORTED, f"gpudoctor asks engines over unix:// and tcp:// only, not {kind}://"
    if kind == "tcp" and any(world.environ.get(name) for name in ("DOCKER_TLS_VERIFY", "DOCKER_TLS")):
        return Why.UNSUPPORTED, "gpudoctor asks no engine over TLS"
    return None


def _request(host: str, path: str, timeout: float) -> tuple[int, bytes]:
    """Status and body of a GET, within `timeout` however slowly the answer drips.

    HTTP/1.0, so that the engine closes when it has said everything.
    """
    deadline = time.monotonic() + timeout
    with connect(host, timeout) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: gpudoctor\r\n\r\n".encode())
        received = _until_closed(connection, deadline)
    response = http.client.HTTPResponse(cast(socket.socket, _Received(received)))
    response.begin()
    return response.status, response.read()


def connect(host: str, timeout: float) -> socket.socket:
    """A connection to the engine at unix://, tcp:// or http://; every wait on it ends after `timeout`."""
    kind, _, address = host.partition("://")
    if kind != "unix":
        found = urllib.parse.urlsplit(f"//{address}")
        # 2375 is what docker takes where the address names no port.
        return socket.create_connection((found.hostname or "localhost", found.port or 2375), timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _until_closed(connection: socket.socket, deadline: float) -> bytes:
    parts: list[bytes] = []
    length = 0
    while True:
        if length > _MAX_ANSWER_BYTES:
            raise _TooLongError
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        part = connection.recv(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        length += len(part)


class _TooLongError(Exception):
    pass


class _Received:
    """Bytes that came in, where http.client expects a socket to read from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


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
    return config_files.clean(value) if isinstance(value, str) else _unread_key(None, key)


def _texts(info: Reading[Mapping[str, Any]], key: str) -> Reading[tuple[str, ...]]:
    if isinstance(info, Unread):
        return info
    value = info.get(key)
    if value is None:
        return ()
    return tuple(_shown(item) for item in value) if isinstance(value, list) else _unread_key(None, key)


def _keys(info: Reading[Mapping[str, Any]], key: str) -> Reading[tuple[str, ...]]:
    if isinstance(info, Unread):
        return info
    value = info.get(key)
    return tuple(sorted(_shown(name) for name in value)) if isinstance(value, dict) else _unread_key(None, key)


def _count(info: Reading[Mapping[str, Any]], key: str) -> Reading[int]:
    if isinstance(info, Unread):
        return info
    value = info.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else _unread_key(None, key)


def _shown(value: object) -> str:
    return config_files.clean(str(value))


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
    return tuple(sorted(_shown(name) for name in found))


def _elsewhere(host: str, info: Reading[Mapping[str, Any]]) -> str:
    """Why this machine's files tell nothing of the engine, "" where they do."""
    if not host.startswith(("unix://", _NO_CONTEXT)):
        return "the engine is on another machine"
    if _text(info, "OperatingSystem") == "Docker Desktop":
        return "it is inside Docker Desktop's virtual machine"
    return ""


def _free_bytes(world: World, elsewhere: str, data_root: Reading[str]) -> Reading[int]:
    if isinstance(data_root, Unread):
        return data_root
    source = f"statvfs {data_root}"
    if elsewhere:
        return Unread(source=source, why=Why.UNSUPPORTED, detail=elsewhere)
    path = world.path(data_root)
    try:
        found = os.statvfs(path)
    except PermissionError:
        # The folder is root's alone on many machines; the disk it stands on is the same one folder up.
        try:
            found = os.statvfs(path.parent)
        except OSError as error:
            return unread_os_error(source, error)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if isinstance(error, OSError):
            return unread_os_error(source, error)
        return Unread(source=source, why=Why.GARBLED, detail=str(error))
    return found.f_frsize * found.f_bavail


def _toolkit_binaries(world: World, host: str) -> Reading[tuple[str, ...]]:
    if not host.startswith("unix://"):
        detail = "the engine is on another machine"
        return Unread(source=" ".join(_BINARY_FOLDERS), why=Why.UNSUPPORTED, detail=detail)
    folders = [world.path(folder) for folder in _BINARY_FOLDERS]
    if world.is_here:
        folders.extend(Path(folder) for folder in world.environ.get("PATH", "").split(os.pathsep) if folder)
    elif not any(folder.is_dir() for folder in folders):
        detail = f"no folder of programs below {world.root}"
        return Unread(source=" ".join(_BINARY_FOLDERS), why=Why.ABSENT, detail=detail)
    return tuple(name for name in TOOLKIT_BINARIES if any(os.access(folder / name, os.X_OK) for folder in folders))
