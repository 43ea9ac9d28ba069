"""How text is coloured, and how wide it is."""

from __future__ import annotations

from collections.abc import Callable

Paint = Callable[[str, str], str]
"""Colours a text by a name: red, yellow, green, bold, dim."""

WIDTH = 100


def plain(_colour: str, text: str) -> str:
    """Paints nothing."""
    return text
