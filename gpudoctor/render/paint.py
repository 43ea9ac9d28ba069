"""How text is coloured, and how wide it is."""

from __future__ import annotations

from collections.abc import Callable

Paint = Callable[[str, str], str]
"""Colours a text by a name: red, yellow, green, bold, dim."""

WIDTH = 100


def printable(text: str) -> str:
    """The text with nothing in it that a terminal would obey: names and notes come from elsewhere."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def plain(_colour: str, text: str) -> str:
    """Paints nothing."""
    return text
