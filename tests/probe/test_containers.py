"""The engine's answers, true and false, over real Unix sockets."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from gpudoctor.facts import CdiSpec, DaemonConfiguration, EngineFacts, Package, ToolkitConfiguration
from gpudoctor.probe import containers
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from tests.probe.engines import Answer, engine, http, says, sends
from tests.users import as_nobody

VERSION = {"Version": "28.5.1", "ApiVersion": "1.51"}
INFO = {
    "OperatingSystem": "Ubuntu 24.04.3 LTS",
    "Runtimes": {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}},
    "DefaultRuntime": "runc",
    "CgroupDriver": "systemd",
    "CgroupVersion": "2",
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"],
    "DockerRootDir": "/var/lib/docker",
    "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
    "ContainersRunning": 3,
    "DiscoveredDevices": [
        {"Source": "cdi", "ID": "nvidia.com/gpu=all"},
        {"Source": "cdi", "ID": "nvidia.com/gpu=0"},
        {"Source": "other", "ID": "x"},
    ],
}

FILES = {
    "etc/apt/sources.list.d/nvidia.list": "deb https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /\n",
    "etc/docker/daemon.json": '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}',
    "etc/enroot/enroot.conf": "#ENROOT_SYSCONF_PATH /etc/enroot\n",
    "etc/nvidia-container-runtime/config.toml": '[nvidia-container-runtime]\nmode = "cdi"\n',
    "home/.docker/config.json": '{"auths": {"nvcr.io": {"auth": "c2VjcmV0"}}}',
    "var/run/cdi/nvidia.json": '{"kind": "nvidia.com/gpu", "devices": [{"name": "all"}]}',
}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Short, because the path of a socket may have no more than 107 bytes."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="gpudoctor-") as name:
        yield Path(name)


def probe(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    seconds: float = 20,
    root: Path | None = None,
    packages: tuple[Package, ...] = (),
) -> EngineFacts:
    named = {"DOCKER_HOST": f"unix://{folder}/docker.sock"} if environ is None else environ
    return containers.probe(
        World(
            root=root or folder,
            environ={"HOME": str(folder / "home"), **named},
            deadline=time.monotonic() + seconds,
        ),
        packages,
    )


def unread(reading: object) -> Unread:
    assert isinstance(reading, Unread)
    return reading


def test_a_sound_engine_is_read_whole(folder: Path) -> None:
    (folder / "var/lib/docker").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with engine(folder / "docker.sock", says({"/version": VERSION, "/info": INFO})):
        found = probe(folder, packages=(Package(name="nvidia-container-toolkit", version="1.17.8-1"),))
    disk = os.statvfs(folder)
    assert isinstance(found.cdi_specs, tuple)
    assert found == EngineFacts(
        host=f"unix://{folder}/docker.sock",
        version="28.5.1",
        operating_system="Ubuntu 24.04.3 LTS",
        runtimes=("nvidia", "runc"),
        default_runtime="runc",
        cdi_devices=("nvidia.com/gpu=0", "nvidia.com/gpu=all"),
        cgroup_driver="systemd",
        cgroup_version="2",
        security_options=("name=apparmor", "name=seccomp,profile=builtin"),
        data_root="/var/lib/docker",
        data_root_free_bytes=found.data_root_free_bytes,
        cdi_spec_dirs=("/etc/cdi", "/var/run/cdi"),
        running_containers=3,
        daemon=DaemonConfiguration(
            path="/etc/docker/daemon.json", runtimes=("nvidia",), default_runtime="", cdi=None, exec_options=()
        ),
        cdi_specs=(
            CdiSpec(
                path="/var/run/cdi/nvidia.json",
                devices=("all",),
                driver_version=found.cdi_specs[0].driver_version,
                missing=(),
                readable_by_all=True,
            ),
        ),
        toolkit_version="1.17.8",
        toolkit=ToolkitConfiguration(
            path="/etc/nvidia-container-runtime/config.toml",
            mode="cdi",
            no_cgroups=False,
            ldconfig="",
            ldconfig_exists=None,
            root="",
        ),
        toolkit_sources=("/etc/apt/sources.list.d/nvidia.list",),
        registries=("nvcr.io",),
        podman_version=found.podman_version,
        enroot_hook="",
        toolkit_binaries=found.toolkit_binaries,
    )
    assert unread(found.podman_version).why is Why.ABSENT
    assert isinstance(found.data_root_free_bytes, int)
    assert abs(found.data_root_free_bytes - disk.f_frsize * disk.f_bavail) < 1 << 30


def test_a_real_engine_is_read_as_its_own_client_reads_it(folder: Path, docker_host: str) -> None:
    found = probe(folder, {"DOCKER_HOST": docker_host}, root=Path("/"))
    client = docker.DockerClient(base_url=docker_host)
    try:
        version, info = client.version(), client.info()
    finally:
        client.close()
    assert (found.host, found.version) == (docker_host, version["Version"])
    assert found.runtimes == tuple(sorted(info["Runtimes"]))
    assert (found.cgroup_driver, found.data_root) == (info["CgroupDriver"], info["DockerRootDir"])
    assert found.security_options == tuple(info["SecurityOptions"] or ())
    assert found.running_containers == info["ContainersRunning"]
    assert found.cdi_spec_dirs == tuple(info.get("CDISpecDirs") or ())
    assert isinstance(found.data_root_free_bytes, int)


def test_an_engine_older_than_cdi_lists_no_devices(folder: Path) -> None:
    info = {key: value for key, value in INFO.items() if key not in ("DiscoveredDevices", "SecurityOptions")}
    with engine(folder / "docker.sock", says({"/version": VERSION, "/info": info})):
        found = probe(folder)
    assert (found.cdi_devices, found.security_options) == ((), ())


def test_an_engine_older_than_cdi_has_no_folders_for_it_and_the_usual_ones_are_read(folder: Path) -> None:
    (folder / "etc/cdi").mkdir(parents=True)
    (folder / "etc/cdi/nvidia.json").write_text(FILES["var/run/cdi/nvidia.json"])
    info = {key: value for key, value in INFO.items() if key != "CDISpecDirs"}
    with engine(folder / "docker.sock", says({"/version": VERSION, "/info": info})):
        found = probe(folder)
    assert (found.cdi_spec_dirs, isinstance(found.cdi_specs, tuple)) == ((), True)
    assert isinstance(found.cdi_specs, tuple)
    assert [spec.path for spec in found.cdi_specs] == ["/etc/cdi/nvidia.json"]


def test_files_of_this_machine_tell_nothing_of_an_engine_in_a_virtual_machine(folder: Path) -> None:
    info = {**INFO, "OperatingSystem": "Docker Desktop"}
    with engine(folder / "docker.sock", says({"/version": VERSION, "/info": info})):
        found = probe(folder)
    for reading in (found.daemon, found.toolkit, found.cdi_specs):
        assert "virtual machine" in unread(reading).detail


def test_files_are_read_where_no_engine_answers(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    found = probe(folder)
    assert unread(found.running_containers).why is Why.ABSENT
    assert isinstance(found.daemon, DaemonConfiguration)
    assert isinstance(found.toolkit, ToolkitConfiguration)
    assert isinstance(found.cdi_specs, tuple)


def test_what_an_engine_says_can_be_printed(folder: Path) -> None:
    """JSON may hold half a surrogate pair, which no output can encode."""
    broken = "x\ud800"
    info = {**INFO, "Runtimes": {broken: {}}, "DefaultRuntime": broken, "SecurityOptions": [broken]}
    with engine(folder / "docker.sock", says({"/version": {**VERSION, "Version": broken}, "/info": info})):
        found = probe(folder)
    assert (found.version, found.runtimes, found.default_runtime, found.security_options) == (
        "x?",
        ("x?",),
        "x?",
        ("x?",),
    )


def hang(connection: socket.socket, path: str) -> None:
    """Says nothing, and keeps the connection open."""


def drip(connection: socket.socket, path: str) -> None:
    """A byte now and then, so that no single wait is long."""
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def half(connection: socket.socket, path: str) -> None:
    """Half an answer, and the connection stays open."""
    connection.sendall(http(200, b'{"Version": "28', length=100))


@pytest.mark.parametrize("answer", [hang, drip, half])
def test_an_engine_that_never_ends_its_answer_times_out_within_its_share(folder: Path, answer: Answer) -> None:
    begun = time.monotonic()
    with engine(folder / "docker.sock", answer):
        found = probe(folder, seconds=2)
    assert unread(found.version).why is Why.TIMEOUT
    assert "0.4 s" in unread(found.version).detail
    assert time.monotonic() - begun < 1.2


@pytest.mark.parametrize(
    ("answer", "why", "words"),
    [
        (b"", Why.GARBLED, "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Why.GARBLED, "no HTTP answer"),
        (os.urandom(4096), Why.GARBLED, "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}", Why.GARBLED, "no HTTP answer"),
        (http(200, b"<html>"), Why.GARBLED, "no JSON"),
        (http(200, b"[1, 2]"), Why.GARBLED, "no JSON object"),
        (http(200, b"[" * 100_000), Why.GARBLED, "no JSON"),
        (http(200, b'{"Version": "28', length=100), Why.GARBLED, "broke off"),
        (http(200, b" " * (9 << 20)), Why.GARBLED, "longer than"),
        (http(500, b'{"message": "database is\\nlocked"}'), Why.FAILED, "HTTP status 500: database is locked"),
        (http(500, b"oops"), Why.FAILED, "HTTP status 500"),
        (http(404, b"{}"), Why.FAILED, "HTTP status 404"),
        (http(400, b"Client sent an HTTP request to an HTTPS server.\n"), Why.FAILED, "HTTP status 400"),
        (http(403, b'{"message": "denied by policy"}'), Why.FORBIDDEN, "denied by policy"),
    ],
)
def test_whatever_else_answers_is_a_reason(folder: Path, answer: bytes, why: Why, words: str) -> None:
    with engine(folder / "docker.sock", sends(answer)):
        found = unread(probe(folder).version)
    assert (found.why, words in found.detail) == (why, True), found
    assert found.detail.splitlines() == [found.detail]


def test_an_engine_whose_info_fails_has_its_version_all_the_same(folder: Path) -> None:
    with engine(folder / "docker.sock", says({"/version": VERSION})):
        found = probe(folder)
    assert found.version == "28.5.1"
    for reading in (found.runtimes, found.cdi_devices, found.data_root, found.data_root_free_bytes):
        assert unread(reading).why is Why.FAILED


@pytest.mark.parametrize("wrong", [None, 7, "text", [1], {"a": 1}])
def test_fields_of_another_kind_are_unread_and_crash_nothing(folder: Path, wrong: Any) -> None:
    answers: dict[str, object] = {
        "/version": dict.fromkeys(VERSION, wrong),
        "/info": dict.fromkeys(INFO, wrong),
    }
    with engine(folder / "docker.sock", says(answers)):
        found = probe(folder)
    if not isinstance(wrong, str):
        assert unread(found.version).why is Why.UNSUPPORTED
    if not isinstance(wrong, dict):
        assert unread(found.runtimes).why is Why.UNSUPPORTED


def test_no_socket_and_a_dead_one_are_absent(folder: Path) -> None:
    assert unread(probe(folder).version).why is Why.ABSENT
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(folder / "docker.sock"))
    dead.close()
    found = unread(probe(folder).version)
    assert (found.why, "nobody listens" in found.detail) == (Why.ABSENT, True)


def test_a_plain_file_in_the_sockets_place_is_absent(folder: Path) -> None:
    (folder / "docker.sock").write_text("")
    assert unread(probe(folder).version).why is Why.ABSENT


def test_a_socket_that_this_user_may_not_use_is_forbidden(folder: Path) -> None:
    folder.chmod(0o755)
    with engine(folder / "docker.sock", says({"/version": VERSION})):
        (folder / "docker.sock").chmod(0)
        with as_nobody():
            found = unread(probe(folder).version)
    assert found.why is Why.FORBIDDEN


def test_a_path_too_long_for_a_socket_is_a_reason(folder: Path) -> None:
    found = unread(probe(folder, {"DOCKER_HOST": f"unix:///{'x' * 200}"}).version)
    assert (found.why, "too long" in found.detail) == (Why.FAILED, True)


def test_no_time_left_is_a_timeout_and_no_error(folder: Path) -> None:
    with engine(folder / "docker.sock", says({"/version": VERSION})):
        assert unread(probe(folder, seconds=0).version).why is Why.TIMEOUT


# --- Where the engine is ---


def test_an_engine_over_tcp_is_asked_and_its_disk_and_programs_are_not(folder: Path) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    answer = says({"/version": VERSION, "/info": INFO})

    def serve() -> None:
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                answer(connection, connection.recv(65536).decode().split(" ")[1])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    found = probe(folder, {"DOCKER_HOST": f"tcp://127.0.0.1:{server.getsockname()[1]}"})
    thread.join()
    server.close()
    assert found.version == "28.5.1"
    files = (found.data_root_free_bytes, found.toolkit_binaries, found.daemon, found.toolkit, found.cdi_specs)
    for reading in files:
        assert unread(reading).why is Why.UNSUPPORTED


@pytest.mark.parametrize(
    "environ",
    [
        {"DOCKER_HOST": "ssh://alice@box"},
        {"DOCKER_HOST": "npipe:////./pipe/docker_engine"},
        {"DOCKER_HOST": "box:2375"},
        {"DOCKER_HOST": "tcp://box:2376", "DOCKER_TLS_VERIFY": "1"},
    ],
)
def test_an_engine_that_is_not_asked_says_why(folder: Path, environ: Mapping[str, str]) -> None:
    assert unread(probe(folder, environ).version).why is Why.UNSUPPORTED


@pytest.mark.parametrize("host", ["tcp://", "tcp://:x", "unix://", "tcp://[::1", "tcp://127.0.0.1:99999"])
def test_a_host_that_is_no_address_is_a_reason(folder: Path, host: str) -> None:
    unread(probe(folder, {"DOCKER_HOST": host}).version)


def _context(folder: Path, name: str, host: str) -> None:
    meta = folder / "home/.docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))


@pytest.mark.parametrize("by", ["variable", "configuration"])
def test_the_context_that_docker_would_use_is_used(folder: Path, by: str) -> None:
    _context(folder, "rootless", f"unix://{folder}/other.sock")
    environ = {"DOCKER_CONTEXT": "rootless"} if by == "variable" else {}
    if by == "configuration":
        (folder / "home/.docker/config.json").write_text('{"currentContext": "rootless"}')
    with engine(folder / "other.sock", says({"/version": VERSION, "/info": INFO})):
        assert probe(folder, environ).version == "28.5.1"


def test_a_context_that_is_not_there_is_not_replaced_by_another_engine(folder: Path) -> None:
    (folder / "run").mkdir()
    with engine(folder / "run/docker.sock", says({"/version": VERSION})):
        found = unread(probe(folder, {"DOCKER_CONTEXT": "gone"}).version)
    assert (found.why, "gone" in found.detail) == (Why.FAILED, True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"currentContext": 7}', "[" * 100_000])
def test_a_broken_configuration_leaves_the_default(folder: Path, text: str) -> None:
    (folder / "home/.docker").mkdir(parents=True)
    (folder / "home/.docker/config.json").write_text(text)
    assert probe(folder, {}).host == f"unix://{folder}/var/run/docker.sock"


def test_the_default_socket_is_the_shown_hosts_own(folder: Path) -> None:
    """Where /var/run is an absolute link, as on Debian, it leads to the shown host's /run and not to ours."""
    (folder / "var").mkdir()
    (folder / "var/run").symlink_to("/run")
    (folder / "run").mkdir()
    with engine(folder / "run/docker.sock", says({"/version": VERSION, "/info": INFO})):
        assert probe(folder, {}).version == "28.5.1"


# --- Disk and programs ---


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ({**INFO, "DockerRootDir": "/no/such/folder"}, Why.ABSENT),
        ({**INFO, "DockerRootDir": "/a\0b"}, Why.GARBLED),
        ({**INFO, "OperatingSystem": "Docker Desktop"}, Why.UNSUPPORTED),
    ],
)
def test_a_disk_that_cannot_be_looked_at_is_unread(folder: Path, info: dict[str, Any], why: Why) -> None:
    with engine(folder / "docker.sock", says({"/version": VERSION, "/info": info})):
        assert unread(probe(folder).data_root_free_bytes).why is why


def test_programs_of_the_toolkit_are_looked_for_below_the_root(folder: Path) -> None:
    assert unread(probe(folder).toolkit_binaries).why is Why.ABSENT
    (folder / "usr/bin").mkdir(parents=True)
    assert probe(folder).toolkit_binaries == ()
    for name in ("nvidia-ctk", "nvidia-container-runtime-hook", "nvidia-container-cli"):
        (folder / "usr/bin" / name).write_text("#!/bin/sh\n")
        (folder / "usr/bin" / name).chmod(0o755)
    (folder / "usr/bin/nvidia-container-cli").chmod(0o644)
    assert probe(folder).toolkit_binaries == ("nvidia-container-runtime-hook", "nvidia-ctk")
