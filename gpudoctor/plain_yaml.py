"""Reads plain YAML: mappings, lists and scalars, with the line of each; refuses what is not plain.

PyYAML's loaders follow aliases, merge keys, tags and any depth: measured in 2026-11 with 6.0.3, 100 kB of `[` end the
process with a segmentation fault, and 600 bytes of merge keys take 38 seconds. Its parser does neither, so the
document is put together here from the parser's events.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple

# A matrix is nested four levels deep.
_MAX_DEPTH = 20

# No number in a matrix has more digits, and reading long ones is not free.
_MAX_DIGITS = 18

_MAX_SHOWN = 60

# Nobody reads more of them, and a hostile file can hold a million.
_MAX_REPEATED = 1000


class PlainYamlError(ValueError):
    """Text that is not plain YAML."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class Unquoted(NamedTuple):
    """A scalar that YAML takes for no text, number or truth value: a date, 0x1f, 1:30."""

    text: str


class Repeated(NamedTuple):
    """A key that stands twice in one mapping: YAML would let the second hide the first."""

    place: str
    line: int


class Document(NamedTuple):
    """What a file holds, and where."""

    value: object
    """dict with text as keys, list, str, int, float, bool, None or Unquoted."""
    repeated: tuple[Repeated, ...]
    """Their places are only told where `places` was given."""
    lines: dict[str, int]
    """Line of each of the `places` that is there."""


def read(text: bytes, *, places: Set[str] | None = None) -> Document:
    """Read one document; `places`, such as images[12].cuda, are those whose lines are wanted.

    Raises PlainYamlError where it is not YAML, or more than plain YAML.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # seven times as fast
    reader = _Reader(places)
    try:
        for event in yaml.parse(text, Loader=loader):
            reader.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise PlainYamlError(f"not YAML: {message}", None if mark is None else mark.line + 1) from None
    except UnicodeError:
        raise PlainYamlError("not YAML: neither UTF-8 nor UTF-16", None) from None
    return Document(value=reader.root, repeated=tuple(reader.repeated), lines=reader.lines)


def shown_key(key: str) -> str:
    """A key as it stands in a place."""
    return key if len(key) <= _MAX_SHOWN else key[:_MAX_SHOWN] + "…"


class _Reader:
    """Puts the document together event by event."""

    def __init__(self, wanted: Set[str] | None) -> None:
        from yaml import events, resolver

        self.events = events
        self.resolvers = resolver.Resolver.yaml_implicit_resolvers
        self.wanted = wanted
        self.root: object = None
        self.repeated: list[Repeated] = []
        self.lines: dict[str, int] = {}
        self.documents = 0
        # The open mappings and lists, innermost last: what they hold, the key that waits for its value, their place.
        self.holders: list[Any] = []
        self.keys: list[str | None] = []
        self.places: list[str] = []

    def take(self, event: Any) -> None:
        events = self.events
        if isinstance(event, events.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (events.MappingStartEvent, events.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (events.MappingEndEvent, events.SequenceEndEvent)):
            self.holders.pop()
            self.keys.pop()
            self.places.pop()
        elif isinstance(event, events.AliasEvent):
            raise _refused(
                event, f"alias *{shown_key(str(event.anchor))}: write the value out, a matrix has no aliases"
            )
        elif isinstance(event, events.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise _refused(event, "a second document begins here; a matrix is one")

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        if self.holders and self._wants_key():
            self._take_key(text, event)
        elif event.implicit[0]:
            self._place(self._resolved(text), event)
        else:
            if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
                raise _refused(event, f"tag {shown_key(event.tag)}: a matrix has none")
            self._place(text, event)

    def _wants_key(self) -> bool:
        return self.keys[-1] is None and isinstance(self.holders[-1], dict)

    def _take_key(self, key: str, event: Any) -> None:
        holder = self.holders[-1]
        if key in holder and len(self.repeated) < _MAX_REPEATED:
            place = "" if self.wanted is None else self._under(key)
            self.repeated.append(Repeated(place=place, line=event.start_mark.line + 1))
        self.keys[-1] = key
        if self.wanted is not None:
            self._note(self._under(key), event)

    def _open(self, event: Any) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise _refused(event, f"tag {shown_key(event.tag)}: a matrix has none")
        if self.holders and self._wants_key():
            raise _refused(event, "expected a key, found a list or a mapping")
        if len(self.holders) >= _MAX_DEPTH:
            raise _refused(event, f"nested more than {_MAX_DEPTH} levels deep, which no matrix is")
        holder: Any = {} if isinstance(event, self.events.MappingStartEvent) else []
        place = self._place(holder, event)
        self.holders.append(holder)
        self.keys.append(None)
        self.places.append(place)

    def _place(self, value: object, event: Any) -> str:
        """Put a value where it belongs; gives its place."""
        if not self.holders:
            self.root, place = value, ""
        else:
            holder, key = self.holders[-1], self.keys[-1]
            place = "" if self.wanted is None else self._under(f"[{len(holder)}]" if key is None else key)
            if key is None:
                holder.append(value)
            else:
                holder[key] = value
                self.keys[-1] = None
        self._note(place, event)
        return place

    def _note(self, place: str, event: Any) -> None:
        if self.wanted is not None and place in self.wanted:
            self.lines.setdefault(place, event.start_mark.line + 1)

    def _under(self, key: str) -> str:
        parent = self.places[-1]
        if isinstance(self.holders[-1], list):
            return parent + key
        return f"{parent}.{shown_key(key)}" if parent else shown_key(key)

    def _resolved(self, text: str) -> object:
        """What YAML takes an unquoted scalar for."""
        for tag, pattern in self.resolvers.get(text[:1], ()):
            if pattern.match(text):
                return _value(tag.rpartition(":")[2], text)
        return text


def _value(kind: str, text: str) -> object:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on", "y")
    if len(text) <= _MAX_DIGITS:
        try:
            if kind == "int":
                return int(text)
            if kind == "float":
                return float(text)
        except ValueError:  # 0x1f, 1:30, .inf
            pass
    return Unquoted(text=text)


def _refused(event: Any, message: str) -> PlainYamlError:
    return PlainYamlError(message, event.start_mark.line + 1)
