"""What several of these tests ask for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user may look into; those of pytest are its user's alone."""
    with tempfile.TemporaryDirectory(prefix="gpudoctor-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
