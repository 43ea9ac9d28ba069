"""Test machines: raw material that the real probe reads, and the set-up in which it reads it.

One folder a machine. `host.txt` describes the files below --host-root, `nvml.txt` what the stand-in NVML library
answers (see tests/nvml/libnvidia-ml.c), `cuda.txt` where CUDA says something else than one would expect from that
(see tests/nvml/libcuda.c), `engine-info.json` and `engine-version.json` what the container engine answers to
GET /info and GET /version. A machine without nvml.txt has no library, neither NVML's nor CUDA's, one without
engine-info.json no engine. `nvml-differs.txt` holds what NVML says otherwise than that of the machine it is like, or
that of its own nvml.txt; `policy.yaml` is a site's, named by $GPUDOCTOR_POLICY.

The files stand in one text and not as a tree because their names and kinds do not travel: Windows cannot check
out a colon, and pip refuses an sdist that holds links to device nodes. Statements of host.txt, one a line:

    # comment
    like MACHINE               start from that machine; nvml.txt, cuda.txt and the engine's answers are its own,
                               unless they stand here too
    without nvml|cuda|engine   do not take that from it; without cuda there is no libcuda to load
    env NAME = VALUE           a variable of the process that looks at the machine; the value may be empty
    file PATH                  the lines below it that begin with `|` are its text; without any it is empty
    append PATH                likewise, after what the file holds in the machine it is like
    value PATH = TEXT          a file of one line
    folder PATH
    link PATH -> TARGET        relative
    char PATH                  a character device, as a link to /dev/null
    bytes PATH = HEX           a file of other bytes than text
    forbidden PATH|engine      of the machine it is like: whoever looks at this one may not read that file, or may not
                               use the engine
    program PATH               an executable file
    module PATH VERSION LICENCE    a kernel module's file, which tells both; packed where PATH ends in .xz
    pci ADDRESS VENDOR:DEVICE CLASS DRIVER|-    a device of /sys, as the kernel lays it out
    gone PATH                  of the machine it is like: neither this nor anything below it
"""

from __future__ import annotations

import contextlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path, PurePosixPath
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, cast

from tests import kernel_module
from tests.nvml import standin

FOLDER = Path(__file__).parent

# What the machine that runs the tests would otherwise whisper to the one that is tested.
_FOREIGN_PREFIXES = (
    "APPTAINER_",
    "CUDA_",
    "DOCKER_",
    "ENROOT_",
    "GPUDOCTOR_",
    "GPU_",
    "KERAS_",
    "KUBERNETES_",
    "LD_",
    "NCCL_",
    "NVIDIA_",
    "PYXIS_",
    "SINGULARITY_",
    "SLURM_",
    "TENSORFLOW_",
    "TF_",
    "XLA_",
    "_CUDA_",
)

# What the stage needs itself: a machine that set it would be another one than it says.
_OWN_VARIABLES = frozenset({"DOCKER_HOST", "HOME", "LD_AUDIT", "PATH", "PYTHONPATH"})

# Where a driver puts its libcuda.so.1, in the order in which the first is the one that is loaded.
_LIBRARY_FOLDERS = ("usr/lib/wsl/lib", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64")


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
    """Data of the stand-in for NVML, None without one."""
    cuda_says: str | None
    """Text of cuda.txt, "" without that; None where there is no CUDA."""
    environment: Mapping[str, str]
    """Variables that it is looked at with."""
    engine: Mapping[str, bytes] | None
    """What the engine answers by request path, None without one."""
    engine_forbidden: bool = False
    """Whoever looks may not use it."""

    @classmethod
    def load(cls, name: str, folder: Path = FOLDER) -> Machine:
        """Read the machine of that name.

        Raises ValueError with file and line of the first fault.
        """
        return _read(name, folder)

    @property
    def cuda(self) -> str | None:
        """Data of the stand-in for CUDA, None without one: first its own, then what goes with NVML's."""
        if self.cuda_says is None or (self.nvml is None and not self.cuda_says):
            return None
        return f"{self.cuda_says}\n{standin.cuda_data(self.nvml or '')}"

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
                if self.engine_forbidden:
                    socket.chmod(0)
            # The Docker contexts of whoever runs the tests are in their own home.
            home = folder / "home"
            home.mkdir()
            own = {"HOME": str(home), "DOCKER_HOST": f"unix://{socket}"}
            environment = _environment() | dict(self.environment) | self._driver(folder) | own
            unprivileged = self.engine_forbidden or any(entry.forbidden for entry in self.entries.values())
            yield Stage(root=root, environment=environment, unprivileged=unprivileged)

    def _driver(self, folder: Path) -> dict[str, str]:
        """The driver's libraries, of which CUDA's stands where the machine has it: its path is a fact."""
        data: dict[str, str] = {}
        nvml = cuda = None
        if self.nvml is not None:
            nvml = standin.library_folder(standin.missing_calls(self.nvml)) / standin.SONAME
            data["GPUDOCTOR_NVML_DATA"] = str(folder / "nvml.txt")
            (folder / "nvml.txt").write_text(self.nvml, encoding="utf-8")
        if self.cuda is not None:
            cuda = self._place_of_cuda(folder / "root")
            cuda.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(standin.cuda_library(), cuda)
            data["GPUDOCTOR_CUDA_DATA"] = str(folder / "cuda.txt")
            (folder / "cuda.txt").write_text(self.cuda, encoding="utf-8")
        return data | standin.with_libraries(nvml, cuda)

    def _place_of_cuda(self, root: Path) -> Path:
        """The file that becomes the stand-in: one that is named, else what the first libcuda.so.1 leads to."""
        named = re.search(r"^library\s*=\s*(\S+)", self.cuda_says or "", re.MULTILINE)
        if named:
            links = [named[1]]
        else:
            searched = (*self.environment.get("LD_LIBRARY_PATH", "").split(":"), *_LIBRARY_FOLDERS)
            links = [f"{folder}/{standin.CUDA_SONAME}" for folder in searched if folder]
        places = [root / link.lstrip("/") for link in links]
        default = root / "usr/lib/x86_64-linux-gnu/libcuda.so.0"
        place = next((one for one in places if one.is_symlink() or one.exists()), places[0] if named else default)
        place = place.resolve()
        if not place.is_relative_to(root.resolve()):
            raise ValueError(f"{self.name}: {place} is not below its root")
        return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A test machine that can be looked at now."""

    root: Path
    environment: Mapping[str, str]
    """The whole environment of a process that looks at it."""
    unprivileged: bool = False
    """Not everything may be read there, which root's rights would hide."""

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
    """file, program, module, bytes, folder or link"""
    text: str = ""
    """Text of a file, bytes as hexadecimal digits, version and licence of a module, target of a link."""
    forbidden: bool = False
    """Nobody may read it, but for root."""


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
        elif entry.kind == "bytes":
            place.write_bytes(bytes.fromhex(entry.text))
        elif entry.kind == "module":
            version, _, licence = entry.text.partition(" ")
            content = kernel_module.content(version=version, licence=licence)
            place.write_bytes(lzma.compress(content) if path.endswith(".xz") else content)
        else:
            place.write_text(entry.text, encoding="utf-8")
            if entry.kind == "program":
                place.chmod(0o755)
        if entry.forbidden:
            place.chmod(0)


class _Reader:
    """Reads one host.txt, after the one it is like."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base: Machine | None = None
        self.entries: dict[str, Entry] = {}
        self.environment: dict[str, str] = {}
        self.without: set[str] = set()
        self.engine_forbidden = False
        self._open_file: str | None = None
        self._statements: Mapping[str, Callable[[str], None]] = {
            "like": self._like,
            "without": self._without,
            "env": self._env,
            "file": self._file,
            "append": self._append,
            "value": self._value,
            "folder": lambda rest: self._add(rest, Entry(kind="folder")),
            "link": self._link,
            "char": lambda rest: self._add(rest, Entry(kind="link", text="/dev/null")),
            "program": lambda rest: self._add(rest, Entry(kind="program", text="#!/bin/sh\nexit 0\n")),
            "module": self._module,
            "bytes": self._bytes,
            "forbidden": self._forbidden,
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
        self.environment.update(self.base.environment)

    def _without(self, part: str) -> None:
        if part not in ("nvml", "cuda", "engine"):
            raise ValueError(f"expected nvml, cuda or engine, found {part!r}")
        self.without.add(part)

    def _env(self, rest: str) -> None:
        name, separator, value = rest.partition("=")
        name = name.strip()
        if not separator or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"expected NAME = VALUE, found {rest!r}")
        if name in _OWN_VARIABLES:
            raise ValueError(f"{name} is the stage's own")
        self.environment[name] = value.strip()

    def _file(self, path: str) -> None:
        self._add(path, Entry(kind="file"))
        self._open_file = path

    def _append(self, path: str) -> None:
        if path not in self.entries or self.entries[path].kind != "file":
            raise ValueError(f"there is no file {path} to go on with")
        self._open_file = path

    def _value(self, rest: str) -> None:
        path, text = _pair(rest, " = ")
        self._add(path, Entry(kind="file", text=f"{text}\n"))

    def _link(self, rest: str) -> None:
        path, target = _pair(rest, " -> ")
        self._add(path, Entry(kind="link", text=target))

    def _module(self, rest: str) -> None:
        path, version, licence = rest.split(maxsplit=2)
        self._add(path, Entry(kind="module", text=f"{version} {licence}"))

    def _bytes(self, rest: str) -> None:
        path, text = _pair(rest, " = ")
        bytes.fromhex(text)
        self._add(path, Entry(kind="bytes", text=text))

    def _forbidden(self, path: str) -> None:
        if path == "engine":
            self.engine_forbidden = True
            return
        if path not in self.entries:
            raise ValueError(f"no {path} there that could be forbidden")
        self.entries[path] = replace(self.entries[path], forbidden=True)

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
    nvml, cuda, engine = (base.nvml, base.cuda_says, base.engine) if base else (None, "", None)
    if (folder / "nvml.txt").exists():
        nvml = (folder / "nvml.txt").read_text(encoding="utf-8")
    if (folder / "nvml-differs.txt").exists():
        nvml = merged(nvml or "", (folder / "nvml-differs.txt").read_text(encoding="utf-8"))
    if (folder / "policy.yaml").exists():
        reader.environment["GPUDOCTOR_POLICY"] = str(folder / "policy.yaml")
    if (folder / "cuda.txt").exists():
        cuda = (folder / "cuda.txt").read_text(encoding="utf-8")
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
        cuda_says=None if "cuda" in reader.without else cuda,
        environment=reader.environment,
        engine=None if "engine" in reader.without else engine,
        engine_forbidden=reader.engine_forbidden,
    )


def merged(nvml: str, differs: str) -> str:
    """One data file of two: the stand-in takes the first that it finds, which is what differs."""
    sections: dict[str, list[str]] = {"": []}
    for text in (differs, nvml):
        lines = sections[""]
        for line in text.splitlines():
            title = re.match(r"\[.*\]", line)
            if title is not None:
                lines = sections.setdefault(title[0], [])
            else:
                lines.append(line)
    return "".join(
        "".join(f"{line}\n" for line in ([title] if title else []) + lines) for title, lines in sections.items()
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
