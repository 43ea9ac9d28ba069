"""Plants one fault in a real TensorFlow, from outside: neither the installed copy nor the script is touched.

A folder on PYTHONPATH holds a package `tensorflow` that steps aside for the installed one and then alters one
function of it, or a `sitecustomize` that runs before the script's first line.
"""

import textwrap
from pathlib import Path

import pytest

_STEP_ASIDE = """
import os, signal, sys, time
sys.path.remove(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
del sys.modules["tensorflow"]
import tensorflow as real
"""

_STEP_IN = """
sys.modules["tensorflow"] = real
"""


def plant_in_tensorflow(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """`fault` runs right after the real TensorFlow, called `real`, has been imported."""
    _plant(folder, monkeypatch, "tensorflow/__init__.py", _STEP_ASIDE + textwrap.dedent(fault) + _STEP_IN)


def plant_instead_of_tensorflow(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """`fault` is all that `import tensorflow` does."""
    _plant(folder, monkeypatch, "tensorflow/__init__.py", textwrap.dedent(fault))


def plant_before_script(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """`fault` runs while the interpreter starts, before the script."""
    _plant(folder, monkeypatch, "sitecustomize.py", textwrap.dedent(fault))


def _plant(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> None:
    path = folder / "planted" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(folder / "planted"))
    # The interpreter that reads it must not leave byte code that outlives the next fault.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
