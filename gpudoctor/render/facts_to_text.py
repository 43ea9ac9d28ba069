"""Facts as text: every field under the name it has in JSON, and at the end of each part what could not be read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from gpudoctor.facts import Facts
from gpudoctor.readings import Unread
from gpudoctor.render.paint import WIDTH, Paint, plain, printable
from gpudoctor.sizes import memory_in_words

# A record of a list with no more fields stands on one line: a link, a process, a line of the kernel's log.
_MOST_ON_A_LINE = 8

_WIDEST_NAME = 29


def facts(value: Facts, *, paint: Paint = plain) -> str:
    """What `probe --format text` prints."""
    lines = [f"{paint('bold', 'facts')} of {_shown('', value.probed_at)}"]
    alone = {}
    for field in fields(value):
        item = getattr(value, field.name)
        if is_dataclass(item) and not isinstance(item, Unread):
            lines.extend(_part(field.name, item, paint))
        elif _is_records(item) and not _on_a_line(item[0]):
            for index, record in enumerate(item):
                lines.extend(_part(f"{field.name}[{index}]", record, paint))
        elif field.name != "probed_at":
            alone[field.name] = item
    lines.extend(("", paint("bold", "machine"), *_rows(alone)))
    return "\n".join(lines)


def _part(name: str, record: Any, paint: Paint) -> Iterator[str]:
    yield ""
    yield paint("bold", name)
    yield from _rows({field.name: getattr(record, field.name) for field in fields(record)})


def _rows(items: dict[str, Any]) -> Iterator[str]:
    """One row a field; then the unread ones, those of one reason together: without a driver that is dozens."""
    unread: dict[str, list[str]] = {}
    for name, item in items.items():
        if isinstance(item, Unread):
            unread.setdefault(f"{item.why.value}: {item}", []).append(name)
        elif _is_records(item):
            yield f"  {name}"
            for record in item:
                yield from _wrapped(_inline(record), "    - ", "      ")
        elif is_dataclass(item):
            yield from _wrapped(_inline(item), f"  {name:{_WIDEST_NAME}} ", " " * (_WIDEST_NAME + 3))
        else:
            yield from _wrapped(_shown(name, item), f"  {name:{_WIDEST_NAME}} ", " " * (_WIDEST_NAME + 3))
    for reason, names in unread.items():
        yield from _wrapped(f"not read: {', '.join(names)}", "  ", "    ")
        yield from _wrapped(reason, "    ", "    ")


def _is_records(item: object) -> bool:
    return isinstance(item, tuple) and bool(item) and is_dataclass(item[0])


def _on_a_line(record: Any) -> bool:
    return len(fields(record)) <= _MOST_ON_A_LINE


def _inline(record: Any) -> str:
    """name=value of each field, and why not for the unread ones."""
    return ", ".join(_pair(field.name, getattr(record, field.name)) for field in fields(record))


def _pair(name: str, item: object) -> str:
    if isinstance(item, Unread):
        return f"{name} not read ({item.why.value}: {item})"
    if _is_records(item):
        assert isinstance(item, tuple)
        return f"{name}=[{'; '.join(_inline(one) for one in item)}]"
    return f"{name}={_inline(item) if is_dataclass(item) else _shown(name, item)}"


def _shown(name: str, item: object) -> str:
    if item is None:
        return "not said"
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, int) and name.endswith("_bytes"):
        return f"{item} ({memory_in_words(item)})" if item >= 1024 else str(item)
    if isinstance(item, tuple):
        return ", ".join(_shown(name, one) for one in item) or "none"
    return str(item) or "none"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    """The text in lines, the first of them after `first`, with nothing in it that a terminal would obey."""
    lines = textwrap.wrap(printable(text), WIDTH - len(rest), break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{rest if number else first}{line}".rstrip() for number, line in enumerate(lines)]
