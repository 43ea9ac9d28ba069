"""Writes plain YAML that every reader takes for the same: mappings, lists, text, whole numbers and truth values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

# Text that no version of YAML takes for anything else; all other text is quoted.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*[A-Za-z0-9]", re.ASCII)
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off"))

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def dump(value: Mapping[str, object]) -> str:
    """A whole document."""
    return ("\n".join(_mapping(value)) or "{}") + "\n"


def quoted(text: str) -> str:
    """A scalar between double quotes: they hold every letter, the others do not."""
    return '"' + "".join(_letter(letter) for letter in text) + '"'


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is not plain")
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else quoted(value)


def _mapping(value: Mapping[str, object]) -> Iterator[str]:
    for key, inner in value.items():
        yield from _entry(f"{_scalar(key)}:", inner)


def _entry(head: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield head
        yield from (f"  {line}" for line in _mapping(value))
    elif isinstance(value, (list, tuple)) and value:
        yield head
        yield from _list(value)
    elif isinstance(value, (Mapping, list, tuple)):
        yield f"{head} {{}}" if isinstance(value, Mapping) else f"{head} []"
    else:
        yield f"{head} {_scalar(value)}"


def _list(values: Sequence[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping) and value:
            first, *rest = _mapping(value)
        elif isinstance(value, (list, tuple)) and value:
            first, *rest = _list(value)
        else:
            first, *rest = _entry("", value)
            first = first.lstrip()
        yield f"- {first}"
        yield from (f"  {line}" for line in rest)
