"""Gives pytest the option --update-golden."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest before it reads its command line."""
    parser.addoption("--update-golden", action="store_true", help="write the files in tests/golden/ anew")
