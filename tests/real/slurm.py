"""A Slurm of the tests' own: one controller, one node with GPUs that are device nodes of nothing, munge between them.

It shares nothing with a Slurm of the machine: ports, sockets, key, state and configuration are its own.
"""

import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.real.cannot import cannot
from tests.real.folders import new_folder
from tests.real.packages import SEARCH_PATH, need_commands
from tests.real.processes import descendants, end, stop

GPUS = 4
START_SECONDS = 60.0

# Major number of NVIDIA's devices; nothing opens these nodes.
_NVIDIA_MAJOR = 195

_CONFIGURATION = """\
ClusterName=gpudoctor
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
MailProg=/bin/true
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs={processors} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""


class Slurm:
    """Runs munged, slurmctld and slurmd for as long as the context is open."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self._commands: Mapping[str, Path] = {}

    @property
    def folder(self) -> Path:
        """Configuration, sockets and logs while it runs."""
        if self._folder is None:
            raise RuntimeError("Slurm is not running")
        return self._folder

    @property
    def environment(self) -> dict[str, str]:
        """For sbatch and its like."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        return {**kept, "PATH": SEARCH_PATH, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def __enter__(self) -> "Slurm":
        self._commands = need_commands("munged", "sbatch", "setpriv", "slurmctld", "slurmd")
        if os.geteuid() != 0:
            cannot("a Slurm of the tests' own needs root")
        self._folder = new_folder(Path("/run" if os.access("/run", os.W_OK) else "/tmp"), "slurm")
        try:
            self._write_configuration()
            self._start()
        except BaseException:
            self._clear_away()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear_away()

    def run(self, command: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands to its end."""
        return subprocess.run(
            command,
            env={**self.environment, **more},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )

    def _write_configuration(self) -> None:
        folder = self.folder
        for name in ("state", "spool", "devices"):
            (folder / name).mkdir()
        for number in range(GPUS):
            try:
                os.mknod(folder / "devices" / f"gpu{number}", stat.S_IFCHR | 0o600, os.makedev(_NVIDIA_MAJOR, number))
            except OSError as error:
                cannot(f"no device nodes can be made for Slurm's GPUs: {error}")
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        controller_port, node_port = _free_ports(2)
        text = _CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            folder=folder,
            controller_port=controller_port,
            node_port=node_port,
            processors=os.cpu_count() or 1,
            gpus=GPUS,
        )
        (folder / "slurm.conf").write_text(text)
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/devices/gpu[0-{GPUS - 1}]\n")

    def _start(self) -> None:
        folder = self.folder
        self._spawn(
            "munged", "--foreground", "--force", f"--socket={folder}/munge.sock", f"--key-file={folder}/munge.key",
            f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed",
        )  # fmt: skip
        self._wait_until(lambda: (folder / "munge.sock").exists(), "munged made no socket")
        self._spawn("slurmctld", "-D", "-i", "-f", f"{folder}/slurm.conf")
        self._spawn("slurmd", "-D", "-N", "node1", "-f", f"{folder}/slurm.conf")
        self._wait_until(lambda: self.run(("sinfo", "-h", "-o", "%T")).stdout == "idle\n", "the node is not idle")

    def _spawn(self, command: str, *arguments: str) -> None:
        with (self.folder / f"{command}.log").open("wb") as log:
            # They end when the tests are killed.
            process = subprocess.Popen(
                [str(self._commands["setpriv"]), "--pdeathsig", "TERM", str(self._commands[command]), *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)

    def _wait_until(self, ready: Callable[[], bool], trouble: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            ended = [process for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = " | ".join(f"{log.name}: {_last_line(log)}" for log in sorted(self.folder.glob("*.log")))
                cannot(f"Slurm does not start: {trouble}; {logs}")
            time.sleep(0.1)

    def _clear_away(self) -> None:
        started = descendants(process.pid for process in self._processes)
        for process in reversed(self._processes):
            stop(process, timeout_seconds=10.0)
        end(started, timeout_seconds=2.0)
        if self._folder is not None:
            shutil.rmtree(self._folder)
        self._processes, self._folder = [], None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
