"""A Docker engine of the tests' own: started by hand, reached by a socket of its own, gone afterwards.

It shares nothing with an engine of the machine: data, state, socket, configuration and containerd namespace
are its own, and it makes no bridge and no firewall rule. Containers have the network "none"; the engine
itself reaches 127.0.0.1, which is all that pulling from the local registry needs.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tests.real.cannot import cannot
from tests.real.folders import new_folder, temporary_folder
from tests.real.interpreters import cache_folder
from tests.real.mounts import mounts_below, unmount_below
from tests.real.packages import SEARCH_PATH, need_commands
from tests.real.processes import descendants, end, processes_naming, stop

HOOK_FOLDER = Path(__file__).parent / "hook"
"""Holds the stand-in of NVIDIA's hook: on an engine's PATH it makes the engine accept GPU requests."""

START_SECONDS = 60.0
# dockerd gives containers 10 seconds of its own at shutdown; ours are removed before.
STOP_SECONDS = 20.0


class Engine(Protocol):
    """What a test needs of an engine, whoever started it."""

    @property
    def docker_host(self) -> str:
        """For DOCKER_HOST: unix://…"""

    @property
    def is_private(self) -> bool:
        """Whether the tests started it and may do with it what they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingEngine:
    """An engine that was there before: tests remove from it what they brought, and nothing else."""

    docker_host: str
    is_private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """One call of the stand-in hook: which container, and what the engine asked for on its behalf."""

    container: str
    arguments: str
    environment: tuple[str, ...]
    """The container's NVIDIA_* variables in the order of its environment, as NAME=value.

    A name can stand twice: the image's value, then that of the GPU request.
    """

    @property
    def visible_devices(self) -> str:
        """What NVIDIA's hook would have made visible: the last value of NVIDIA_VISIBLE_DEVICES."""
        name = "NVIDIA_VISIBLE_DEVICES="
        values = [text.removeprefix(name) for text in self.environment if text.startswith(name)]
        return values[-1] if values else ""


class PrivateEngine:
    """Runs dockerd for as long as the context is open."""

    is_private = True

    def __init__(
        self,
        *,
        path_prefix: Path | None = None,
        data_root: Path | None = None,
        environment: Mapping[str, str] | None = None,
        configuration: Mapping[str, object] | None = None,
    ) -> None:
        """Say how it shall run; nothing starts before the context is entered.

        path_prefix: a folder to stand first on the engine's PATH, such as HOOK_FOLDER.
        data_root: an empty folder of the caller's; by default one is made and removed again.
        configuration: what daemon.json shall hold, such as {"runtimes": …}.
        """
        self._path_prefix = path_prefix
        self._data_root = data_root
        self._environment = dict(environment or {})
        self._configuration = dict(configuration or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._run_folder: Path | None = None
        self._own_data_root: Path | None = None
        self._mounts_before: frozenset[int] = frozenset()

    @property
    def run_folder(self) -> Path:
        """Where its socket, state and log are while it runs."""
        if self._run_folder is None:
            raise RuntimeError("the engine is not running")
        return self._run_folder

    @property
    def data_root(self) -> Path:
        """Where its images and containers are while it runs."""
        root = self._data_root or self._own_data_root
        if root is None:
            raise RuntimeError("the engine is not running")
        return root

    @property
    def pid(self) -> int:
        """The process id of dockerd."""
        if self._process is None:
            raise RuntimeError("the engine is not running")
        return self._process.pid

    @property
    def socket_path(self) -> Path:
        """The engine's socket, mode 0660 of root and the group docker (root where there is no such group)."""
        return self.run_folder / "docker.sock"

    @property
    def docker_host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.socket_path}"

    @property
    def log(self) -> Path:
        """What dockerd and its containerd wrote."""
        return self.run_folder / "dockerd.log"

    @property
    def hook_fault(self) -> Path:
        """Write a message into this file and the stand-in hook fails with it, until the file is removed."""
        return self.run_folder / "hook-fault"

    def hook_calls(self) -> tuple[HookCall, ...]:
        """Every call of the stand-in hook so far, oldest first."""
        log = self.run_folder / "hook-calls"
        if not log.exists():
            return ()
        calls = []
        for line in log.read_text().splitlines():
            call = json.loads(line)
            calls.append(
                HookCall(
                    container=call["container"],
                    arguments=call["arguments"],
                    environment=tuple(call["environment"]),
                )
            )
        return tuple(calls)

    def __enter__(self) -> "PrivateEngine":
        commands = need_commands("dockerd", "containerd", "runc", "setpriv")
        if os.geteuid() != 0:
            cannot("a private Docker engine needs root")
        # Unix socket paths end at 107 bytes, and pytest's own folders are long.
        self._run_folder = new_folder(Path("/run" if os.access("/run", os.W_OK) else "/tmp"), "engine")
        # As /run itself is: who may reach the engine is for the socket's own mode to say.
        self._run_folder.chmod(0o755)
        if self._data_root is None:
            # On the disk of the cache, which has room for images; below /tmp it may be memory.
            self._own_data_root = new_folder(cache_folder(), "engine")
        self._mounts_before = frozenset(mount.number for mount in mounts_below(self.data_root))
        try:
            self._start(commands)
        except BaseException:
            self._clear_away()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.remove_containers()
        except OSError:
            # It died in a test, or a test stopped it: then its containers are ended below, as processes.
            pass
        finally:
            self._clear_away()

    def remove_containers(self) -> None:
        """Kill and remove every container."""
        for container in json.loads(_ask(self.socket_path, "GET", "/containers/json?all=1")[1]):
            _ask(self.socket_path, "DELETE", f"/containers/{container['Id']}?force=1&v=1")

    def crash(self) -> None:
        """Kill dockerd in the middle of a test: the socket's file stays behind, and refuses."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self, commands: Mapping[str, Path]) -> None:
        run = self.run_folder
        configuration = run / "daemon.json"
        configuration.write_text(json.dumps(self._configuration))
        path = f"{self._path_prefix}{os.pathsep}{SEARCH_PATH}" if self._path_prefix else SEARCH_PATH
        # dockerd uses a containerd of the machine where one runs: then under this name of ours.
        namespace = f"gpudoctor-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        # dockerd ends when the tests are killed. setpriv execs it, so the process id is dockerd's.
        command = [
            str(commands["setpriv"]), "--pdeathsig", "TERM", str(commands["dockerd"]),
            "--host", f"unix://{run / 'docker.sock'}",
            "--data-root", str(self.data_root),
            "--exec-root", str(run / "exec"),
            "--pidfile", str(run / "dockerd.pid"),
            "--config-file", str(configuration),
            "--containerd-namespace", namespace,
            "--containerd-plugins-namespace", f"{namespace}-plugins",
            "--storage-driver", "overlay2",
            "--bridge", "none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--ip-masq=false",
        ]  # fmt: skip
        environment = {
            **os.environ,
            "PATH": path,
            "GPUDOCTOR_HOOK_LOG": str(run / "hook-calls"),
            "GPUDOCTOR_HOOK_FAULT": str(run / "hook-fault"),
            **self._environment,
        }
        # A proxy of the machine must not stand between the engine and 127.0.0.1.
        environment["NO_PROXY"] = environment["no_proxy"] = "127.0.0.1,localhost"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:
                cannot(f"dockerd ended with {self._process.returncode} at its start: {_last_line(self.log)}")
            if time.monotonic() > deadline:
                cannot(f"dockerd did not answer in {START_SECONDS:.0f} s: {_last_line(self.log)}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return _ask(self.socket_path, "GET", "/_ping")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _clear_away(self) -> None:
        run = self.run_folder
        # containerd and its shims name the exec root on their command lines, a path that is ours alone;
        # the processes of containers are the shims' children.
        started = descendants(processes_naming(str(run)))
        if self._process is not None:
            stop(self._process, timeout_seconds=STOP_SECONDS)
        end(started, timeout_seconds=2.0)
        unmount_below(run)
        unmount_below(self.data_root, but=self._mounts_before)
        if self._own_data_root is not None:
            shutil.rmtree(self._own_data_root)
        shutil.rmtree(run)
        self._process = self._run_folder = self._own_data_root = None


@contextmanager
def small_data_root(size_bytes: int) -> Iterator[Path]:
    """A file system of that size in memory, to be an engine's data_root that fills up."""
    commands = need_commands("mount")
    if os.geteuid() != 0:
        cannot("mounting a small file system needs root")
    folder = temporary_folder("small")
    try:
        mounted = subprocess.run(
            [
                str(commands["mount"]),
                "-t",
                "tmpfs",
                "-o",
                f"size={size_bytes},mode=0711",
                "gpudoctor",
                str(folder),
            ],
            capture_output=True,
            text=True,
        )
        if mounted.returncode != 0:
            cannot(f"no small file system to be had: {mounted.stderr.strip()}")
        yield folder
    finally:
        unmount_below(folder)
        folder.rmdir()


@contextmanager
def engine_for_tests() -> Iterator[Engine]:
    """The engine named by GPUDOCTOR_TEST_DOCKER_HOST, else a private one that accepts GPU requests."""
    given = os.environ.get("GPUDOCTOR_TEST_DOCKER_HOST")
    if given:
        yield ExistingEngine(docker_host=given)
        return
    with PrivateEngine(path_prefix=HOOK_FOLDER) as engine:
        yield engine


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _ask(path: Path, method: str, target: str) -> tuple[int, bytes]:
    connection = _UnixConnection(path, timeout_seconds=30.0)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
