"""The interpreter that `--python` names, and the TensorFlow in it: read from files, nothing of it is imported.

Only where it looks for packages is asked of the interpreter itself, in a process of its own with a limit.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gpudoctor.errors import InputError
from gpudoctor.facts import Package, PythonFacts, PythonLibrary
from gpudoctor.probe import commands, elf, libraries, loader_cache
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import CudaVersion, VersionError

# A cold start from a cluster's network file system takes seconds.
_SECONDS = 5.0

# A user's own environment decides which TensorFlow is imported: PYTHONPATH and the user's packages are part of it.
# What makes an interpreter talk, wait or write is not.
_KEPT = (
    "HOME",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONPATH",
    "PYTHONUSERBASE",
)

_MARK = "gpudoctor-python"
# For every Python from 2.7 on. It writes bytes, whatever the interpreter would encode them as.
_QUESTION = f"""
import sys
version = ".".join([str(n) for n in sys.version_info[:3]])
words = ["{_MARK}", version, sys.platform, sys.prefix] + [p for p in sys.path if p]
text = "\\0".join(words) + "\\0\\0"
sys.stdout.flush()
out = getattr(sys.stdout, "buffer", sys.stdout)
out.write(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
"""

_MOST_FOLDERS = 64
_MOST_REQUIREMENTS = 200

_RELEVANT = re.compile(
    r"tensorflow(?:-(?:gpu|cpu|cpu-aws|intel|macos|rocm|aarch64|metal|directml-plugin))?|tf-nightly(?:-(?:gpu|cpu))?"
    r"|intel-tensorflow(?:-avx512)?|nvidia-[a-z0-9-]+|(?:tf-)?keras|h5py|numpy|protobuf|ml-dtypes"
)

# Distributions that hold the package `tensorflow`. `tensorflow` itself may be no more than a requirement of the next
# ones, and is called first because it is what people ask for.
_TENSORFLOW = (
    "tensorflow",
    "nvidia-tensorflow",
    "tensorflow-gpu",
    "tensorflow-cpu",
    "tensorflow-intel",
    "intel-tensorflow",
    "intel-tensorflow-avx512",
    "tensorflow-rocm",
    "tensorflow-cpu-aws",
    "tensorflow-aarch64",
    "tensorflow-macos",
    "tf-nightly",
    "tf-nightly-gpu",
    "tf-nightly-cpu",
)

_REQUIRED = re.compile(r"(?:numpy|protobuf|h5py|keras|nvidia-[a-z0-9-]+)\b", re.IGNORECASE)

# Up to 2.1 the package stands in a folder of another name.
_PACKAGES = ("tensorflow", "tensorflow_core")
_BUILD_INFO = "python/platform/build_info.py"

_LIBRARY_VERSION = re.compile(r"\.so\.(\d+(?:\.\d+)+)")


def interpreter(path: str) -> str:
    """The interpreter that a path means: itself, or that of an environment of venv or conda; one of PATH by its name.

    Raises InputError where there is none.
    """
    if "\0" in path:
        raise InputError("--python: a path has no NUL character")
    if os.sep not in path and (not path or not Path(path).exists()):
        found = shutil.which(path)
        if found is None:
            raise InputError(f"--python {path!r}: there is no such program on PATH", "name an interpreter by its path")
        return str(Path(found).absolute())
    named = Path(path).expanduser()
    try:
        if named.is_dir():
            for inside in ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe"):
                if (named / inside).exists():
                    return str((named / inside).absolute())
            raise InputError(
                f"--python {path}: no interpreter in this folder, neither bin/python nor Scripts/python.exe",
                "name the interpreter, or the folder of a virtual environment",
            )
        if named.exists():
            return str(named.absolute())
    except OSError as error:
        raise InputError(f"--python {path}: cannot be looked at: {error.strerror}") from None
    raise InputError(f"--python {path}: no such file or folder", "name an interpreter by its path")


def probe(world: World, executable: str | None) -> Reading[PythonFacts]:
    """Everything about the interpreter. Never raises for its sake, never waits for it past a limit."""
    if executable is None:
        return Unread(source="--python", why=Why.NOT_ASKED, detail="no interpreter was named")
    asked = _ask(world, executable)
    if isinstance(asked, Unread):
        return asked
    found = _distributions(world, asked.folders)
    distributions = tuple(
        sorted((Package(name=name, version=one.version) for name, one in found.items()), key=lambda one: one.name)
    )
    provider = next((name for name in _TENSORFLOW if name in found), None)
    absent = Unread(
        source=f"{executable} -m pip list", why=Why.ABSENT, detail="no distribution of TensorFlow is installed there"
    )
    package = _package(world, asked.folders)
    build = _build_info(world, package, absent)
    cuda = _cuda(build)
    cudnn = _text(build, "cudnn_version", "cudnn_version_number")
    return PythonFacts(
        executable=executable,
        version=asked.version,
        platform=asked.platform,
        distributions=distributions,
        conda_packages=_conda_packages(world, asked.prefix),
        tensorflow=absent if provider is None else Package(name=provider, version=found[provider].version),
        tensorflow_requires=absent if provider is None else _requirements(world, found[provider].folder),
        tensorflow_gpu_build=_gpu_build(build),
        tensorflow_cuda=cuda,
        tensorflow_cudnn=cudnn,
        tensorflow_capabilities=_capabilities(build),
        libraries=_libraries(world, asked, package, build, cuda, cudnn, distributions),
    )


# --- the interpreter ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    executable: str
    version: str
    platform: str
    prefix: str
    folders: tuple[str, ...]
    """sys.path, without what is no folder."""


def _ask(world: World, executable: str) -> Reading[_Answer]:
    source = f"{executable} -c 'import sys; print(sys.path)'"
    if not world.is_here:
        return Unread(source=source, why=Why.UNSUPPORTED, detail="gpudoctor runs no program below another root")
    # Windows' programs run in WSL, and leave PATH alone.
    environ = {name: world.environ[name] for name in _KEPT if name in world.environ}
    calm = World(root=world.root, environ={**environ, "PYTHONDONTWRITEBYTECODE": "1"}, deadline=world.deadline)
    said = commands.output((executable, "-c", _QUESTION), calm, seconds=_SECONDS)
    if isinstance(said, Unread):
        return Unread(source=source, why=said.why, detail=said.detail, code=said.code)
    # Whatever a start-up file of the interpreter printed stands before it.
    _, mark, answer = said.rpartition(f"{_MARK}\0")
    words = answer.partition("\0\0")[0].split("\0")
    if not mark or len(words) < 3 or not re.fullmatch(r"\d+\.\d+\.\d+", words[0], re.ASCII):
        return Unread(source=source, why=Why.GARBLED, detail=f"no answer of a Python: {_shown(said)!r}")
    version, platform, prefix, *paths = words
    folders = tuple(dict.fromkeys(_as_here(path, platform) for path in paths if path))[:_MOST_FOLDERS]
    return _Answer(
        executable=executable,
        version=version,
        platform="linux" if platform == "linux2" else _shown(platform),  # as Python 2 spells it
        prefix=_as_here(prefix, platform),
        folders=tuple(folder for folder in folders if folder.startswith("/")),
    )


def _as_here(path: str, platform: str) -> str:
    """A path of Windows where WSL shows it: C:\\Users is /mnt/c/Users."""
    if platform != "win32" or not re.match(r"[A-Za-z]:", path):
        return path
    return f"/mnt/{path[0].lower()}{path[2:].replace(chr(92), '/')}"


def _shown(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return "".join(one if one.isprintable() else "?" for one in line)[:80]


# --- what is installed ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Distribution:
    version: str
    folder: str
    """Its .dist-info or .egg-info, or the file that stands for that."""


def _distributions(world: World, folders: tuple[str, ...]) -> dict[str, _Distribution]:
    """By normalised name, of each name the first on sys.path, as the interpreter finds it."""
    found: dict[str, _Distribution] = {}
    for folder in folders:
        names = world.entries(folder)
        if isinstance(names, Unread):
            continue  # sys.path names folders that are not there, and archives
        for entry in names:
            stem, dot, _ = entry.rpartition(".")
            if not dot or not entry.endswith((".dist-info", ".egg-info")):
                continue
            name, _, version = stem.partition("-")
            if not _RELEVANT.fullmatch(_normalised(name)):
                continue
            place = f"{folder}/{entry}"
            metadata = dict(_metadata(world, place))
            name = _normalised(metadata.get("Name", name))
            version = metadata.get("Version", version.partition("-py")[0])
            if name not in found and version:
                found[name] = _Distribution(version=_shown(version), folder=place)
    return found


def _normalised(name: str) -> str:
    """As package indexes compare names. https://peps.python.org/pep-0503/ (2026-11)"""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _metadata(world: World, place: str) -> Iterator[tuple[str, str]]:
    """Fields of its metadata; none where that cannot be read."""
    for file in ("METADATA", "PKG-INFO"):
        text = world.read(f"{place}/{file}")
        if isinstance(text, Unread):
            continue
        yield from _fields(text)
        return
    text = world.read(place)  # an .egg-info of Debian's or distutils' is a file
    if not isinstance(text, Unread):
        yield from _fields(text)


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if not line.strip():
            return  # the description follows
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()


def _requirements(world: World, place: str) -> Reading[tuple[str, ...]]:
    """Requires-Dist of METADATA, spelled without blanks and brackets: numpy<2.0.0,>=1.23.5"""
    fields = tuple(_metadata(world, place))
    if not fields:
        return Unread(source=f"{place}/METADATA", why=Why.ABSENT, detail="no metadata to be read")
    asked = (value for name, value in fields if name == "Requires-Dist" and _REQUIRED.match(value))
    spelled = (_spelled(value) for value in asked)
    return tuple(_shown(one) for one in spelled)[:_MOST_REQUIREMENTS]


def _spelled(requirement: str) -> str:
    what, semicolon, condition = requirement.partition(";")
    what = re.sub(r"[\s()]", "", what)
    return f"{what}; {condition.strip()}" if semicolon else what


def _conda_packages(world: World, prefix: str) -> tuple[Package, ...]:
    """Of conda-meta, one file for each package: tensorflow-base-2.10.0-gpu_py310hb074053_0.json."""
    names = world.entries(f"{prefix}/conda-meta")
    if isinstance(names, Unread):
        return ()
    found: list[Package] = []
    for entry in names:
        if not re.match(
            r"(?:_?tensorflow|_tflow_select|cudatoolkit|cuda-cudart|cudnn|numpy|h5py|(?:lib)?protobuf)", entry
        ):
            continue
        package = _conda_package(world.read(f"{prefix}/conda-meta/{entry}"), entry)
        if package is not None:
            found.append(package)
    return tuple(found)


def _conda_package(text: Reading[str], entry: str) -> Package | None:
    record: object = None
    if not isinstance(text, Unread):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None  # longer than what is read of a file, or broken: its name says the same
    if isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("name", "version", "build")):
        return Package(name=_shown(record["name"]), version=_shown(f"{record['version']}={record['build']}"))
    name, _, rest = entry.removesuffix(".json").rpartition("-")
    name, _, version = name.rpartition("-")
    return Package(name=name, version=f"{version}={rest}") if name and version and entry.endswith(".json") else None


# --- how TensorFlow was built ---


def _package(world: World, folders: tuple[str, ...]) -> str:
    """The folder of the TensorFlow that would be imported, "" where there is none."""
    for folder in folders:
        if world.exists(f"{folder}/tensorflow/__init__.py"):
            return next(
                (f"{folder}/{package}" for package in _PACKAGES if world.exists(f"{folder}/{package}/{_BUILD_INFO}")),
                f"{folder}/tensorflow",
            )
    return ""


def _build_info(world: World, package: str, absent: Unread) -> Reading[Mapping[str, object]]:
    """Literals of build_info.py, read as text: a dictionary from 2.3 on, variables before."""
    if not package:
        return absent
    source = f"{package}/{_BUILD_INFO}"
    text = world.read(source)
    if isinstance(text, Unread):
        return text
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Unread(source=source, why=Why.GARBLED, detail="it is no Python")
    found: dict[str, object] = {}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        name = statement.targets[0].id
        value = _literal(statement.value)
        if name != "build_info":
            found[name] = value
        elif isinstance(value, dict):
            found.update((key, item) for key, item in value.items() if isinstance(key, str))
        elif isinstance(value, list):
            found.update(_pairs(value))
    return found


def _literal(node: ast.expr) -> object:
    """The value of a literal, and of the list of pairs in OrderedDict([…]); None of anything else."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _pairs(items: list[object]) -> Iterator[tuple[str, object]]:
    for item in items:
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            yield item[0], item[1]


def _not_said(key: str) -> Unread:
    return Unread(source=_BUILD_INFO, why=Why.ABSENT, detail=f"it does not say {key}")


def _gpu_build(build: Reading[Mapping[str, object]]) -> Reading[bool]:
    if isinstance(build, Unread):
        return build
    value = build.get("is_cuda_build")
    return value if isinstance(value, bool) else _not_said("is_cuda_build")


def _text(build: Reading[Mapping[str, object]], *keys: str) -> Reading[str]:
    if isinstance(build, Unread):
        return build
    value = next((build[key] for key in keys if key in build), None)
    return _shown(value) if isinstance(value, str) and value.strip() else _not_said(keys[0])


def _cuda(build: Reading[Mapping[str, object]]) -> Reading[CudaVersion]:
    text = _text(build, "cuda_version", "cuda_version_number")
    if isinstance(text, Unread):
        return text
    try:
        return CudaVersion(text)
    except VersionError as error:
        return Unread(source=_BUILD_INFO, why=Why.GARBLED, detail=str(error))  # 64_112 on Windows


def _capabilities(build: Reading[Mapping[str, object]]) -> Reading[tuple[str, ...]]:
    if isinstance(build, Unread):
        return build
    value = build.get("cuda_compute_capabilities")
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        return _not_said("cuda_compute_capabilities")
    return tuple(_shown(one) for one in value)


# --- the libraries of CUDA ---


def _libraries(
    world: World,
    asked: _Answer,
    package: str,
    build: Reading[Mapping[str, object]],
    cuda: Reading[CudaVersion],
    cudnn: Reading[str],
    distributions: tuple[Package, ...],
) -> Reading[tuple[PythonLibrary, ...]]:
    gpu_build = _gpu_build(build)
    if isinstance(gpu_build, Unread):
        return gpu_build
    if not gpu_build:
        return ()
    if asked.platform != "linux":
        return Unread(
            source=package, why=Why.UNSUPPORTED, detail=f"where {asked.platform} looks for libraries is not read"
        )
    opener = _opener(world, package)
    if isinstance(opener, Unread):
        return opener
    names = _linked(opener) or _opened(cuda, cudnn)
    if isinstance(names, Unread):
        return names
    executable = elf.dynamic(world, os.path.realpath(asked.executable))
    program = () if isinstance(executable, Unread) or executable.runpath else executable.rpath
    finder = _Finder(world, asked, opener, program, distributions)
    found: list[PythonLibrary] = []
    for name in names:
        library = finder.find(name)
        if isinstance(library, Unread):
            return library
        found.append(library)
    return tuple(found)


def _opener(world: World, package: str) -> Reading[elf.Dynamic]:
    """The library whose code opens the others: where it looks is where the loader looks for them.

    Up to 1.13 nothing is opened at run time: the one that holds everything is linked with them.
    """
    everything = elf.dynamic(world, f"{package}/python/_pywrap_tensorflow_internal.so")
    if not isinstance(everything, Unread) and _linked(everything):
        return everything
    for name in ("libtensorflow_framework.so.2", "libtensorflow_framework.so.1", "libtensorflow_framework.so"):
        framework = elf.dynamic(world, f"{package}/{name}")
        if not isinstance(framework, Unread) or framework.why is not Why.ABSENT:
            return framework
    return everything


_CUDA_NAME = re.compile(r"lib(?:cudart|cublas|cublasLt|cufft|curand|cusolver|cusparse|cudnn)\.so\.\d+(?:\.\d+)*")


def _linked(library: elf.Dynamic) -> tuple[str, ...]:
    return tuple(name for name in library.needed if _CUDA_NAME.fullmatch(name))


def _opened(cuda: Reading[CudaVersion], cudnn: Reading[str]) -> Reading[tuple[str, ...]]:
    """Names of what TryDlopenCUDALibraries opens: the one that is missing makes TensorFlow skip every GPU.

    tensorflow/tensorflow: tensorflow/stream_executor/platform/default/dlopen_checker.cc, later
    third_party/xla/xla/tsl/platform/default. The numbers are those of the sonames in NVIDIA's toolkits. Called in the
    published wheels of 1.15.5, 2.3.4 and 2.21.0, it asked the loader for these names. (2026-11)
    """
    if isinstance(cuda, Unread):
        return cuda
    if isinstance(cudnn, Unread):
        return cudnn
    number = (cuda.major, cuda.minor)
    whole = f"{cuda.major}.{cuda.minor}"
    if number < (10, 1):
        numbers = dict.fromkeys(("cudart", "cublas", "cufft", "curand", "cusolver", "cusparse"), whole)
    elif cuda.major == 10:
        numbers = {"cudart": whole, **dict.fromkeys(("cublas", "cufft", "curand", "cusolver", "cusparse"), "10")}
    elif cuda.major == 11:
        numbers = {"cudart": "11.0", "cublas": "11", "cublasLt": "11", "cufft": "10"}
        # The generator of random numbers was asked for up to 2.11, which is of CUDA 11.2.
        numbers |= {"curand": "10"} if cuda.minor < 8 else {}
        numbers |= {"cusolver": "10" if cuda.minor == 0 else "11", "cusparse": "11"}
    elif cuda.major == 12:
        numbers = {"cudart": "12", "cublas": "12", "cublasLt": "12", "cufft": "11", "cusolver": "11", "cusparse": "12"}
    else:
        detail = f"which libraries a TensorFlow of CUDA {cuda} opens is not known to this gpudoctor"
        return Unread(source=_BUILD_INFO, why=Why.UNSUPPORTED, detail=detail)
    numbers["cudnn"] = cudnn.partition(".")[0]
    return tuple(f"lib{name}.so.{number}" for name, number in numbers.items())


class _Finder:
    """Looks for a library as the loader does for the one that opens it. ld.so(8)

    1. DT_RPATH of the opener and of the program, where the opener has no DT_RUNPATH. 2. LD_LIBRARY_PATH.
    3. DT_RUNPATH of the opener. 4. /etc/ld.so.cache. 5. The standard folders.
    """

    def __init__(
        self,
        world: World,
        asked: _Answer,
        opener: elf.Dynamic,
        program: tuple[str, ...],
        distributions: tuple[Package, ...],
    ) -> None:
        self._world = world
        self._prefix = asked.prefix
        self._versions = {package.name: package.version for package in distributions}
        self._own = opener.runpath or (*opener.rpath, *program)
        path = world.environ.get("LD_LIBRARY_PATH", "")
        # An empty or relative one is the current folder's, and every program has its own.
        named = tuple(folder for folder in re.split("[:;]", path)[:_MOST_FOLDERS] if folder.startswith("/"))
        own = tuple((folder, "") for folder in self._own)
        named_first = tuple((folder, "LD_LIBRARY_PATH") for folder in named)
        self._order = (*named_first, *own) if opener.runpath else (*own, *named_first)
        self._wheels = tuple(
            f"{folder}/nvidia/{name}/lib"
            for folder in asked.folders
            for name in _names(world.entries(f"{folder}/nvidia"))
        )

    def find(self, name: str) -> Reading[PythonLibrary]:
        path, origin = "", ""
        for folder, word in self._order:
            candidate = f"{folder.rstrip('/')}/{name}"
            if self._takes(candidate):
                path, origin = candidate, word or self._word(candidate)
                break
        if not path:
            cached = loader_cache.paths(self._world, name)
            if isinstance(cached, Unread) and cached.why is not Why.ABSENT:
                return cached
            listed = () if isinstance(cached, Unread) else cached
            standard = tuple(f"{folder}/{name}" for folder in libraries.standard_folders())
            path = next((one for one in (*listed, *standard) if self._takes(one)), "")
            origin = "system" if path else ""
        wheel = next((one for one in (f"{folder}/{name}" for folder in self._wheels) if self._takes(one)), "")
        same = bool(path) and os.path.realpath(path) == os.path.realpath(wheel)
        return PythonLibrary(
            name=name,
            path=path,
            origin="wheel" if same else origin,
            version=self._version(path) if path else "",
            elsewhere="" if same else wheel,
        )

    def _takes(self, path: str) -> bool:
        """Whether the loader would: it passes over what it may not read, and over libraries of 32 bits."""
        head = self._world.read_bytes(path, most_bytes=5)
        return not isinstance(head, Unread) and head == b"\x7fELF\x02"

    def _word(self, path: str) -> str:
        if any(path.startswith(f"{folder}/") for folder in self._wheels):
            return "wheel"
        return "conda" if path.startswith(f"{self._prefix}/lib/") else "system"

    def _version(self, path: str) -> str:
        folder, _, _ = path.rpartition("/")
        if folder in self._wheels:
            # The wheel of nvidia/cuda_runtime/lib is nvidia-cuda-runtime-cu12.
            wheel = re.compile(rf"nvidia-{re.escape(_normalised(folder.split('/')[-2]))}(?:-cu\d+)?")
            versions = [version for name, version in self._versions.items() if wheel.fullmatch(name)]
            return versions[0] if len(versions) == 1 else ""
        match = _LIBRARY_VERSION.search(os.path.realpath(path).rpartition("/")[2])
        return match[1] if match else ""


def _names(reading: Reading[tuple[str, ...]]) -> tuple[str, ...]:
    return () if isinstance(reading, Unread) else reading
