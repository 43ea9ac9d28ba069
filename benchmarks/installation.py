"""The wheel as a user gets it: built, installed into an environment of its own, every module compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import BenchmarkError, last_line

ROOT = Path(__file__).resolve().parent.parent
_DEADLINE_SECONDS = 300.0


def install(folder: Path, source: Path = ROOT) -> Path:
    """Build and install below `folder`; gives the path of the new environment's Python.

    Raises BenchmarkError with pip's last line when that fails.
    """
    wheels = folder / "wheels"
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source))
    built = tuple(wheels.glob("gpudoctor-*.whl"))
    if len(built) != 1:
        raise BenchmarkError(f"expected one wheel of gpudoctor, found {len(built)}")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    _pip("--python", str(python), "install", "--compile", str(built[0]))
    return python


def _pip(*arguments: str) -> None:
    # Without these, pip writes no compiled file, whatever --compile says, and the figures are the compiler's.
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONPATH", "PIP_NO_COMPILE", "PIP_TARGET")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    _succeed((sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments), environment)


def _succeed(command: Sequence[str], environment: dict[str, str]) -> None:
    try:
        ended = subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"pip: not done after {_DEADLINE_SECONDS:g} seconds") from None
    if ended.returncode != 0:
        raise BenchmarkError(f"the wheel cannot be installed: {last_line(ended.stderr)}")
