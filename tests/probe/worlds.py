"""Worlds below a folder that a test lays out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why


class HereWorld(World):
    """A world below a folder that passes for this process's own."""

    @property
    def is_here(self) -> bool:
        return True

    def path(self, name: str, *, follow_last: bool = True) -> Path:
        return self.root / name.lstrip("/")


def world(root: Path, environ: Mapping[str, str] | None = None, *, here: bool = False) -> World:
    """What a probe is given to look at."""
    kind = HereWorld if here else World
    return kind(root=root, environ=environ or {}, deadline=float("inf"))


def write(root: Path, name: str, text: str | bytes = "") -> Path:
    """A file below the root, with its folders."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def why(reading: Reading[object]) -> Why | None:
    """Why there is no value, None where there is one."""
    return reading.why if isinstance(reading, Unread) else None
