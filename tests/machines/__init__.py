"""Test machines: raw material that the real probe reads, and the set-up in which it reads it.

One folder a machine. `host.txt` describes the files below --host-root, `nvml.txt` what the stand-in NVML library
answers (see tests/nvml/libnvidia-ml.c), `engine-info.json` and `engine-version.json` what the container engine
answers to GET /info and GET /version. A machine without nvml.txt has no library, one without engine-info.json no
engine.

The files stand in one text and not as a tree because their names and kinds do not travel: Windows cannot check
out a colon, and pip refuses an sdist that holds links to device nodes. Statements of host.txt, one a line:

    # comment
    like MACHINE               start from that machine; nvml.txt and the engine's answers are its own, unless
                               they stand here too
    without nvml|engine        do not take that from it
    file PATH                  the lines below it that begin with `|` are its text; without any it is empty
    value PATH = TEXT          a file of one line
    folder PATH
    link PATH -> TARGET        relative
    char PATH                  a character device, as a link to /dev/null
    program PATH               an executable file
    pci ADDRESS VENDOR:DEVICE CLASS DRIVER|-    a device of /sys, as the kernel lays it out
    gone PATH                  of the machine it is like: neither this nor anything below it
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path, PurePosixPath
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, cast

from tests.nvml import standin

FOLDER = Path(__file__).parent

# What the machine that runs the tests would otherwise whisper to the one that is tested.
_FOREIGN_PREFIXES = ("CUDA_", "DOCKER_", "KUBERNETES_", "LD_", "NVIDIA_", "SLURM_")


def names() -> tuple[str, ...]:
    """Every test machine."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/host.txt")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One test machine, as its folder describes it."""

    name: str
    entries: Mapping[str, Entry]
    """Files below --host-root by their path."""
    nvml: str | None
    """Data of the stand-in library, None without one."""
    engine: Mapping[str, bytes] | None
    """What the engine answers by request path, None without one."""

    @classmethod
    def load(cls, name: str, folder: Path = FOLDER) -> Machine:
        """Read the machine of that name.

        Raises ValueError with file and line of the first fault.
        """
        return _read(name, folder)

    @contextlib.contextmanager
    def stage(self) -> Iterator[Stage]:
        """Lay out the files, start the engine's stand-in, and say how to look at the machine."""
        # Short, because the path of a socket may have no more than 107 bytes.
        with tempfile.TemporaryDirectory(prefix="gpudoctor-") as temporary, contextlib.ExitStack() as stack:
            folder = Path(temporary)
            root = folder / "root"
            lay_out(self.entries, root)
            socket = folder / "docker.sock"
            if self.engine is not None:
                stack.enter_context(_engine(socket, self.engine))
            # The Docker contexts of whoever runs the tests are in their own home.
            home = folder / "home"
            home.mkdir()
            own = {"HOME": str(home), "DOCKER_HOST": f"unix://{socket}"}
            yield Stage(root=root, environment=_environment() | self._nvml_environment(folder) | own)

    def _nvml_environment(self, folder: Path) -> dict[str, str]:
        if self.nvml is None:
            return standin.without_library()
        data = folder / "nvml.txt"
        data.write_text(self.nvml, encoding="utf-8")
        return standin.environment(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A test machine that can be looked at now."""

    root: Path
    environment: Mapping[str, str]
    """The whole environment of a process that looks at it."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Options of gpudoctor that make it look there."""
        return ("--host-root", str(self.root))

    def run(self, command: str, *arguments: str, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """`gpudoctor COMMAND` on this machine, in a process of its own."""
        return subprocess.run(
            (sys.executable, "-m", "gpudoctor", command, *self.arguments, *arguments),
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)}
    return kept | {"PYTHONPATH": str(FOLDER.parent.parent)}


# --- The files ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, folder or link."""

    kind: str
    """file, program, folder or link"""
    text: str = ""
    """Text of a file, target of a link."""


def lay_out(entries: Mapping[str, Entry], root: Path) -> None:
    """Write the files below `root`, which is made."""
    root.mkdir(parents=True)
    for path, entry in entries.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "folder":
            place.mkdir(exist_ok=True)
        elif entry.kind == "link":
            place.symlink_to(entry.text)
        else:
            place.write_text(entry.text, encoding="utf-8")
            if entry.kind == "program":
                place.chmod(0o755)


class _Reader:
    """Reads one host.txt, after the one it is like."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base: Machine | None = None
        self.entries: dict[str, Entry] = {}
        self.without: set[str] = set()
        self._open_file: str | None = None
        self._statements: Mapping[str, Callable[[str], None]] = {
            "like": self._like,
            "without": self._without,
            "file": self._file,
            "value": self._value,
            "folder": lambda rest: self._add(rest, Entry(kind="folder")),
            "link": self._link,
            "char": lambda rest: self._add(rest, Entry(kind="link", text="/dev/null")),
            "program": lambda rest: self._add(rest, Entry(kind="program", text="#!/bin/sh\nexit 0\n")),
            "pci": self._pci,
            "gone": self._gone,
        }

    def read(self) -> None:
        """Every statement; ValueError with the place of the first that is wrong."""
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                self._line(line)
            except ValueError as error:
                raise ValueError(f"{self.path}:{number}: {error}") from None

    def _line(self, line: str) -> None:
        if line.startswith("|"):
            if self._open_file is None:
                raise ValueError("text without a file")
            entry = self.entries[self._open_file]
            text = f"{entry.text}{line[1:].removeprefix(' ')}\n"
            self.entries[self._open_file] = Entry(kind="file", text=text)
            return
        self._open_file = None
        word, _, rest = line.partition(" ")
        if not word or word.startswith("#"):
            return
        if word not in self._statements:
            raise ValueError(f"no statement begins with {word!r}")
        self._statements[word](rest)

    def _add(self, path: str, entry: Entry) -> None:
        pure = PurePosixPath(path)
        if not path or pure.is_absolute() or ".." in pure.parts or path != str(pure):
            raise ValueError(f"{path!r} is no plain path below the root")
        self.entries[path] = entry

    def _like(self, name: str) -> None:
        if self.base or self.entries:
            raise ValueError("like goes first, and once")
        self.base = _read(name, self.path.parent.parent)
        self.entries.update(self.base.entries)

    def _without(self, part: str) -> None:
        if part not in ("nvml", "engine"):
            raise ValueError(f"expected nvml or engine, found {part!r}")
        self.without.add(part)

    def _file(self, path: str) -> None:
        self._add(path, Entry(kind="file"))
        self._open_file = path

    def _value(self, rest: str) -> None:
        path, text = _pair(rest, " = ")
        self._add(path, Entry(kind="file", text=f"{text}\n"))

    def _link(self, rest: str) -> None:
        path, target = _pair(rest, " -> ")
        self._add(path, Entry(kind="link", text=target))

    def _pci(self, rest: str) -> None:
        """Device folder, its link on the bus and its driver's link, as sysfs has them."""
        address, identity, kind, driver = rest.split()
        vendor, device = _pair(identity, ":")
        folder = f"sys/devices/pci{address[:7]}/{address}"
        for name, text in (("vendor", f"0x{vendor}"), ("device", f"0x{device}"), ("class", kind)):
            self._add(f"{folder}/{name}", Entry(kind="file", text=f"{text}\n"))
        self._add(
            f"sys/bus/pci/devices/{address}", Entry(kind="link", text=f"../../../devices/pci{address[:7]}/{address}")
        )
        self.entries.pop(f"{folder}/driver", None)
        if driver != "-":
            self._add(f"sys/bus/pci/drivers/{driver}", Entry(kind="folder"))
            self._add(f"{folder}/driver", Entry(kind="link", text=f"../../../bus/pci/drivers/{driver}"))

    def _gone(self, path: str) -> None:
        below = [name for name in self.entries if name == path or name.startswith(f"{path}/")]
        if not below:
            raise ValueError(f"nothing there that {path} could take away")
        for name in below:
            del self.entries[name]


def _pair(text: str, separator: str) -> tuple[str, str]:
    before, found, after = text.partition(separator)
    if not found:
        raise ValueError(f"expected A{separator}B, found {text!r}")
    return before, after


def _read(name: str, machines: Path) -> Machine:
    reader = _Reader(machines / name / "host.txt")
    reader.read()
    folder, base = reader.path.parent, reader.base
    nvml, engine = (base.nvml, base.engine) if base else (None, None)
    if (folder / "nvml.txt").exists():
        nvml = (folder / "nvml.txt").read_text(encoding="utf-8")
    own = {
        f"/{part}": (folder / f"engine-{part}.json").read_bytes()
        for part in ("info", "version")
        if (folder / f"engine-{part}.json").exists()
    }
    if own:
        engine = {**(engine or {}), **own}
    return Machine(
        name=name,
        entries=reader.entries,
        nvml=None if "nvml" in reader.without else nvml,
        engine=None if "engine" in reader.without else engine,
    )


# --- The engine ---


class _EngineServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    answers: Mapping[str, bytes]


class _EngineHandler(BaseHTTPRequestHandler):
    """GET /_ping, /info and /version, with and without the API version before them."""

    def do_GET(self) -> None:
        answers = cast(_EngineServer, self.server).answers
        path = "/" + self.path.partition("?")[0].rpartition("/")[2]
        body = b"OK" if path == "/_ping" else answers.get(path)
        self.send_response(200 if body is not None else 404)
        body = b'{"message":"page not found"}\n' if body is None else body
        self.send_header("Content-Type", "text/plain" if path == "/_ping" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Who asks; the peer of a Unix socket has no address."""
        return "local"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the name in http.server
        """Nothing: a test's output is not the place."""


@contextlib.contextmanager
def _engine(socket: Path, answers: Mapping[str, bytes]) -> Iterator[None]:
    with _EngineServer(str(socket), _EngineHandler) as server:
        server.answers = answers
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
