"""Configuration files as JSON, TOML or YAML: bounded, and one that is none of these says so, with its line.

What people and programs wrote there is never trusted: no size, no depth and no kind of value makes this raise.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TypeVar

from gpudoctor import plain_yaml
from gpudoctor.probe.world import unread_os_error
from gpudoctor.readings import Reading, Unread, Why

_T = TypeVar("_T")
_Default = TypeVar("_Default")

# The longest of these files, a CDI spec of sixteen GPUs cut into MIG instances, has less than 300 kB.
_MAX_BYTES = 1 << 20

# A config.toml has 2 kB in lines of at most 150 letters. The standard library's parser takes 14 s for a key of 30,000
# parts in 60 kB (measured in 2026-11 with Python 3.11); within these limits nothing takes longer than 0.4 s.
_MAX_TOML_BYTES = 1 << 16
_MAX_TOML_LINE = 1000

_MAX_SHOWN = 200

_NAMES = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


class FieldError(ValueError):
    """A field that does not hold what it should; the message names it."""


def content(path: Path, name: str, *, most_bytes: int = _MAX_BYTES) -> Reading[bytes]:
    """All of the file's bytes; `name` is how the machine calls it."""
    try:
        with io.BufferedReader(io.FileIO(path, opener=_without_waiting)) as file:
            found: bytes | None = file.read(most_bytes + 1)
    except OSError as error:
        return unread_os_error(name, error)
    except ValueError as error:  # a name that no file can have
        return Unread(source=name, why=Why.GARBLED, detail=_line(error))
    if found is None:  # nothing to be had from a device or a pipe without waiting for it
        return Unread(source=name, why=Why.GARBLED, detail="no plain file")
    if len(found) > most_bytes:
        return Unread(source=name, why=Why.GARBLED, detail=f"longer than {most_bytes >> 10} KiB, which no such file is")
    return found


def _without_waiting(path: str, flags: int) -> int:
    """Open it; a named pipe in the file's place must not keep us waiting for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_json(path: Path, name: str) -> Reading[Mapping[str, object]]:
    """A file with a JSON object; one that holds nothing at all says nothing."""
    found = content(path, name)
    return found if isinstance(found, Unread) else parse_json(found, name)


def read_toml(path: Path, name: str) -> Reading[Mapping[str, object]]:
    """A file with TOML."""
    found = content(path, name, most_bytes=_MAX_TOML_BYTES)
    return found if isinstance(found, Unread) else parse_toml(found, name)


def parse_json(data: bytes, name: str) -> Reading[Mapping[str, object]]:
    """The JSON object in the data."""
    if not data.strip():
        return {}
    try:
        document = json.loads(data, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        return _garbled(name, f"line {error.lineno}: no JSON: {error.msg}")
    except RecursionError:
        return _garbled(name, "no JSON that anybody means: nested too deep")
    except ValueError as error:  # bytes that are no text, or a number with thousands of digits
        return _garbled(name, f"no JSON: {_line(error)}")
    return _mapping(document, name)


def parse_toml(data: bytes, name: str) -> Reading[Mapping[str, object]]:
    """The TOML in the data."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    if any(len(line) > _MAX_TOML_LINE for line in data.splitlines()):
        return _garbled(name, f"no TOML that anybody means: a line longer than {_MAX_TOML_LINE}")
    try:
        return tomllib.loads(data.decode("utf-8").replace("\r\n", "\n"))
    except RecursionError:
        return _garbled(name, "no TOML that anybody means: nested too deep")
    except ValueError as error:
        return _garbled(name, f"no TOML: {_line(error)}")


def parse_yaml(data: bytes, name: str) -> Reading[Mapping[str, object]]:
    """The mapping in the plain YAML of the data."""
    try:
        document = plain_yaml.read(data)
    except plain_yaml.PlainYamlError as error:
        place = "" if error.line is None else f"line {error.line}: "
        if error.message.startswith("not YAML"):
            return _garbled(name, f"{place}{error.message}")
        # What is no fault of the file is none of ours to call one.
        detail = f"{place}more than plain YAML: an alias, a tag, a second document, or too deep"
        return Unread(source=name, why=Why.UNSUPPORTED, detail=detail)
    except RecursionError:
        return _garbled(name, "no YAML that anybody means: nested too deep")
    return _mapping({} if document.value is None else document.value, name)


def field(document: Mapping[str, object], *keys: str, kind: type[_T], default: _Default) -> _T | _Default:
    """What stands under these keys, one inside the other; `default` where it is missing or null.

    Raises FieldError where it is of another kind.
    """
    found = _under(document, keys)
    if found is None:
        return default
    if not isinstance(found, kind):
        raise FieldError(f"{'.'.join(keys)}: expected {_NAMES[kind]}, found {_kind(found)}")
    return found


def text(document: Mapping[str, object], *keys: str) -> str:
    """The text that stands there; empty where there is none.

    Raises FieldError where it is something else.
    """
    return clean(field(document, *keys, kind=str, default=""))


def names(document: Mapping[str, object], *keys: str) -> tuple[str, ...]:
    """The keys of the mapping that stands there, sorted; empty where there is none.

    Raises FieldError where it is no mapping.
    """
    return tuple(sorted(clean(name) for name in mapping(document, *keys)))


def mapping(document: Mapping[str, object], *keys: str) -> Mapping[str, object]:
    """The mapping that stands there; empty where there is none.

    Raises FieldError where it is no mapping.
    """
    found = _under(document, keys)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise FieldError(f"{'.'.join(keys)}: expected a mapping, found {_kind(found)}")
    return found


def items(document: Mapping[str, object], *keys: str) -> list[object]:
    """The list that stands there; empty where there is none.

    Raises FieldError where it is no list.
    """
    found = _under(document, keys)
    if found is None:
        return []
    if not isinstance(found, list):
        raise FieldError(f"{'.'.join(keys)}: expected a list, found {_kind(found)}")
    return found


def texts(document: Mapping[str, object], *keys: str) -> tuple[str, ...]:
    """The list of texts that stands there; empty where there is none.

    Raises FieldError where it is something else.
    """
    found = items(document, *keys)
    for index, item in enumerate(found):
        if not isinstance(item, str):
            raise FieldError(f"{'.'.join(keys)}[{index}]: expected text, found {_kind(item)}")
    return tuple(clean(item) for item in found if isinstance(item, str))


def wrong_field(name: str, error: FieldError) -> Unread:
    """A file of which one field is wrong."""
    return _garbled(name, _line(error))


def clean(text: str) -> str:
    """The text with half surrogate pairs, which JSON may hold and nothing can print, as question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _under(document: Mapping[str, object], keys: tuple[str, ...]) -> object:
    found: object = document
    for index, key in enumerate(keys):
        if found is None:
            return None
        if not isinstance(found, dict):
            raise FieldError(f"{'.'.join(keys[:index])}: expected a mapping, found {_kind(found)}")
        found = found.get(key)
    return found


def _kind(value: object) -> str:
    return _NAMES.get(type(value), "null" if value is None else "something else")


def _mapping(document: object, name: str) -> Reading[Mapping[str, object]]:
    return document if isinstance(document, dict) else _garbled(name, f"expected a mapping, found {_kind(document)}")


def _garbled(name: str, detail: str) -> Unread:
    return Unread(source=name, why=Why.GARBLED, detail=detail)


def _line(error: ValueError) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(shown.split())[:_MAX_SHOWN] or type(error).__name__


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is none of JSON's numbers")
