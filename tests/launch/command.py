"""Runs `gpudoctor run` as people do: as a process, with pipes or on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import docker

SECONDS = 60.0

WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
"""Root whom file modes bind like anybody else: a user who can still run an interpreter below /root."""

GPUDOCTOR = (sys.executable, "-m", "gpudoctor")
PROJECT = Path(__file__).parents[2]


def environment(docker_host: str, **more: str) -> dict[str, str]:
    """The environment of a user who has that engine and none of our settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "GPUDOCTOR_"))}
    return {**kept, "DOCKER_HOST": docker_host, "PYTHONPATH": str(PROJECT), **more}


def gpudoctor_run(
    arguments: Sequence[str], env: Mapping[str, str], stdin: bytes = b"", before: Sequence[str] = ()
) -> subprocess.CompletedProcess[bytes]:
    """To its end, both outputs kept; `before` is a command that runs it, such as WITHOUT_ROOTS_RIGHTS."""
    return subprocess.run(
        (*before, *GPUDOCTOR, "run", *arguments),
        env=dict(env),
        input=stdin,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


def faults(finished: subprocess.CompletedProcess[bytes]) -> list[str]:
    """The last line and its hint, as a user reads them after the talk."""
    lines = finished.stderr.decode().splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith("gpudoctor: ")]
    return lines[starts[-1] :] if starts else lines


@dataclass(slots=True)
class Started:
    """A run under way."""

    process: subprocess.Popen[bytes]
    output: bytearray = field(default_factory=bytearray)

    def wait_for(self, text: bytes, descriptor: int, seconds: float = SECONDS) -> None:
        """Read until the text has come."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"{text!r} did not come; there was {bytes(self.output)!r}"
            if select.select([descriptor], [], [], min(remaining, 0.5))[0]:
                try:
                    chunk = os.read(descriptor, 1 << 16)
                except OSError:  # the other end of a terminal was closed
                    chunk = b""
                assert chunk, f"it ended without {text!r}; there was {bytes(self.output)!r}"
                self.output += chunk

    def end(self) -> int:
        """Its exit code."""
        return self.process.wait(timeout=SECONDS)


@contextlib.contextmanager
def started(arguments: Sequence[str], env: Mapping[str, str]) -> Iterator[Started]:
    """A run with pipes whose outputs come together in one."""
    process = subprocess.Popen(
        (*GPUDOCTOR, "run", *arguments),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Started(process=process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextlib.contextmanager
def on_terminal(
    arguments: Sequence[str], env: Mapping[str, str], rows: int = 40, columns: int = 120
) -> Iterator[tuple[Started, int]]:
    """A run on a terminal of its own, and our end of it."""
    ours, theirs = pty.openpty()
    resize(ours, rows, columns)
    process = subprocess.Popen(
        (*GPUDOCTOR, "run", *arguments),
        env={**env, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield Started(process=process), ours
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


def resize(terminal: int, rows: int, columns: int) -> None:
    """As when somebody drags the corner of the window."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def containers(docker_host: str) -> list[str]:
    """Names of all containers, running or not: `docker ps -a`."""
    with contextlib.closing(docker.DockerClient(base_url=docker_host)) as client:
        return [str(container.name) for container in client.containers.list(all=True)]


def kill_containers_of(docker_host: str, pid: int) -> None:
    """SIGKILL to the container of one run, as an operator or the kernel would."""
    with contextlib.closing(docker.DockerClient(base_url=docker_host)) as client:
        mine = [one for one in client.containers.list() if str(one.name).startswith(f"gpudoctor-{pid}-")]
        assert len(mine) == 1
        mine[0].kill()


def remove_image(docker_host: str, reference: str) -> None:
    """Have it pulled anew."""
    with (
        contextlib.closing(docker.DockerClient(base_url=docker_host)) as client,
        contextlib.suppress(docker.errors.ImageNotFound),
    ):
        client.images.remove(reference, force=True)


ENDING_SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
