"""Finds or makes CPython interpreters, and virtual environments that hold a real TensorFlow.

An interpreter X.Y is looked for in this order:

1. pyenv's, below `$PYENV_ROOT` or `~/.pyenv`;
2. the one that runs the tests, when its version fits;
3. `uv python install X.Y`, into the tests' cache; uv itself is installed there when absent.

Environments take minutes to make, so they are kept outside the tree and survive a clean clone.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.cannot import cannot

INSTALL_TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What to install beside one TensorFlow so that it still imports today."""

    python: str
    """Minor version of CPython, as `3.7`."""
    requirements: tuple[str, ...]
    installer: str | None = None
    """A pip that is newer or older than the one the interpreter bundles; None keeps the bundled one."""
    companions: tuple[str, ...] = field(default=(), repr=False)
    """What the documented operations use beside TensorFlow where it is there. Each wheel alone, without what it
    depends on: that is TensorFlow's, and pinned above. Outside the repr, which names the environment."""


# TensorFlow of 2018 and 2019 bounds its dependencies from below only; these are the last that still
# install from a wheel on CPython 2.7 and 3.6 and that those releases import.
_PINS_OF_2018 = (
    "numpy==1.16.6",
    "protobuf==3.17.3",
    "grpcio==1.39.0",
    "h5py==2.10.0",
    "wheel==0.37.1",
    "importlib-metadata<4.9",
)

_PLOTTING_OF_2018 = ("pydot==1.4.2", "pyparsing==2.4.7")
_PLOTTING = ("pydot==3.0.4", "pyparsing==3.2.3")

PINS: dict[str, Pins] = {
    "1.12.3": Pins(
        python="3.6",
        requirements=("tensorflow==1.12.3", *_PINS_OF_2018),
        installer="pip==21.3.1",
        companions=("keras==2.2.4", "pyyaml==5.4.1", "scipy==1.2.3", *_PLOTTING_OF_2018),
    ),
    "1.15.0": Pins(
        python="2.7",
        requirements=("tensorflow==1.15.0", *_PINS_OF_2018),
        companions=("keras==2.3.1", "pyyaml==5.4.1", "scipy==1.2.3", *_PLOTTING_OF_2018),
    ),
    "1.15.5": Pins(
        python="3.7",
        requirements=("tensorflow==1.15.5", "protobuf<3.21", "numpy<1.20"),
        companions=("keras==2.3.1", "pyyaml==5.4.1", "scipy==1.2.3", *_PLOTTING_OF_2018),
    ),
    "2.3.4": Pins(
        python="3.8",
        requirements=("tensorflow==2.3.4", "protobuf<3.21"),
        companions=("bert4keras==0.11.5", "scipy==1.4.1", *_PLOTTING_OF_2018),
    ),
    "2.10.1": Pins(
        python="3.10",
        requirements=("tensorflow-cpu==2.10.1", "numpy<2"),
        companions=("scipy==1.15.3", *_PLOTTING),
    ),
    "2.15.1": Pins(
        python="3.11",
        requirements=("tensorflow-cpu==2.15.1",),
        companions=("scipy==1.15.3", *_PLOTTING),
    ),
    "2.17.1": Pins(
        python="3.11",
        requirements=("tensorflow-cpu==2.17.1", "tf-keras==2.17.0"),
        companions=("scipy==1.15.3", *_PLOTTING),
    ),
    "2.21.0": Pins(
        python="3.11",
        requirements=("tensorflow==2.21.0",),
        companions=("tf-keras==2.21.0", "scipy==1.16.3", *_PLOTTING),
    ),
}

# The last virtualenv that runs on CPython 2.7, which has no venv of its own.
# https://virtualenv.pypa.io/en/latest/changelog.html (2026-11)
_VIRTUALENV_FOR_2_7 = "virtualenv==20.15.1"


def cache_folder() -> Path:
    """Where slow things are kept between runs; made when absent."""
    chosen = os.environ.get("GPUDOCTOR_TEST_CACHE")
    if chosen:
        folder = Path(chosen)
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpudoctor-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def interpreter(version: str) -> Path:
    """The path of a CPython X.Y, which is installed when absent and possible."""
    found = _pyenv_interpreter(version) or _running_interpreter(version)
    return found or _uv_interpreter(version)


def tensorflow_environment(tensorflow: str) -> Path:
    """The python of a virtual environment that holds this TensorFlow, made on first use."""
    pins = PINS[tensorflow]
    digest = hashlib.sha256(repr(pins).encode()).hexdigest()[:8]
    name = f"tensorflow-{tensorflow}-cp{pins.python.replace('.', '')}-{digest}"
    folder = cache_folder() / name
    python = folder / "bin" / "python"
    with _locked(cache_folder() / f"{name}.lock"):
        if python.exists():
            return python
        # Only the holder of the lock writes here: whatever lies about was left by one that was killed,
        # or belongs to an interpreter that has been removed since.
        for leftover in cache_folder().glob(f"{name}.*.partial"):
            shutil.rmtree(leftover)
        if folder.exists():
            shutil.rmtree(folder)
        partial = cache_folder() / f"{name}.{os.getpid()}.partial"
        _make_environment(partial, pins)
        partial.rename(folder)
    return python


def documented_environment(tensorflow: str) -> Path:
    """The python of that environment with its companions: the environment itself stays as it is.

    They lie in a folder of their own, which the returned command appends to PYTHONPATH.
    """
    pins = PINS[tensorflow]
    python = tensorflow_environment(tensorflow)
    digest = hashlib.sha256(repr((pins, pins.companions)).encode()).hexdigest()[:8]
    name = f"companions-{tensorflow}-{digest}"
    folder = cache_folder() / name
    command = folder / "bin" / "python"
    with _locked(cache_folder() / f"{name}.lock"):
        if command.exists() and str(python) in command.read_text():
            return command
        for leftover in cache_folder().glob(f"{name}.*.partial"):
            shutil.rmtree(leftover)
        if folder.exists():
            shutil.rmtree(folder)
        partial = cache_folder() / f"{name}.{os.getpid()}.partial"
        packages = partial / "packages"
        doing = f"installing {pins.companions[0]} for TensorFlow {tensorflow}"
        _run(_pip(python, "--no-deps", "--target", str(packages), *pins.companions), doing)
        (partial / "bin").mkdir()
        script = partial / "bin" / "python"
        script.write_text(
            "#!/bin/sh\n"
            f'PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{folder / "packages"}"\n'
            f'export PYTHONPATH\nexec "{python}" "$@"\n'
        )
        script.chmod(0o755)
        partial.rename(folder)
    return command


def _make_environment(folder: Path, pins: Pins) -> None:
    base = interpreter(pins.python)
    if pins.python == "2.7":
        tool = folder.with_name(f"{folder.name}.virtualenv.partial")
        _run(_pip(base, "--target", str(tool), _VIRTUALENV_FOR_2_7), f"installing {_VIRTUALENV_FOR_2_7}")
        environment = dict(os.environ, PYTHONPATH=str(tool))
        command = [str(base), "-m", "virtualenv", "--quiet", "--no-periodic-update", str(folder)]
        _run(command, "making a virtual environment on CPython 2.7", environment)
        shutil.rmtree(tool)
    else:
        _run([str(base), "-m", "venv", str(folder)], f"making a virtual environment on CPython {pins.python}")
    python = folder / "bin" / "python"
    if pins.installer is not None:
        _run(_pip(python, pins.installer), f"installing {pins.installer}")
    _run(_pip(python, *pins.requirements), f"installing {pins.requirements[0]} for CPython {pins.python}")


def _pip(python: Path, *what: str) -> list[str]:
    # Byte code is written by the first import of what is really used; a wheel cache would hold
    # every TensorFlow a second time.
    quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-compile"]
    return [str(python), "-m", "pip", "install", *quiet, *what]


def _pyenv_interpreter(version: str) -> Path | None:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    fits = [
        (int(match[1]), folder / "bin" / "python")
        for folder in root.glob(f"versions/{version}.*")
        if (match := re.fullmatch(rf"{re.escape(version)}\.(\d+)", folder.name))
    ]
    newest_first = [python for _, python in sorted(fits, reverse=True)]
    return next((python for python in newest_first if os.access(python, os.X_OK)), None)


def _running_interpreter(version: str) -> Path | None:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable).resolve()
    return None


def _uv_interpreter(version: str) -> Path:
    installed = cache_folder() / "interpreters"
    environment = dict(os.environ, UV_PYTHON_INSTALL_DIR=str(installed))
    with _locked(cache_folder() / "uv.lock"):
        uv = _uv()
        missing = f"CPython {version} is neither pyenv's nor to be had by `uv python install {version}`"
        _run([str(uv), "python", "install", "--no-bin", version], missing, environment)
        find = [str(uv), "python", "find", "--managed-python", "--no-project", version]
        return Path(_run(find, missing, environment).strip())


def _uv() -> Path:
    found = shutil.which("uv")
    if found is not None:
        return Path(found)
    folder = cache_folder() / "uv"
    uv = folder / "bin" / "uv"
    if not uv.exists():
        if folder.exists():
            shutil.rmtree(folder)
        _run([sys.executable, "-m", "venv", str(folder)], "making a virtual environment for uv")
        _run(_pip(folder / "bin" / "python", "uv"), "installing uv")
    return uv


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, which the kernel drops when its holder dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], doing: str, environment: dict[str, str] | None = None) -> str:
    """Run a command to its end; one that fails ends the test by name."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        cannot(f"{doing}: no end within {INSTALL_TIMEOUT_SECONDS:.0f} s on {platform.node()}")
    except OSError as error:
        cannot(f"{doing}: {error}")
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        # pip and uv put the cause first and advice after it.
        causes = [line for line in lines if re.match(r"\s*(ERROR|error|Caused by)\b", line)]
        cannot(f"{doing}: {' | '.join(line.strip() for line in (causes or lines)[-3:])}")
    return done.stdout
