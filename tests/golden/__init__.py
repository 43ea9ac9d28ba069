"""Whole outputs, kept as files and compared whole. `pytest --update-golden` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def compare(name: str, output: str, config: pytest.Config) -> None:
    """Hold an output against tests/golden/NAME, or write it there where that was asked for."""
    path = FOLDER / name
    if config.getoption("--update-golden", default=False):
        path.write_text(output, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert output == expected, f"{path} differs: look at the difference, then run pytest --update-golden"
