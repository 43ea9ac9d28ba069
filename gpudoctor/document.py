"""Facts as JSON and back: one rule for every frozen dataclass, so that what `probe` prints, `--facts` reads.

A NamedTuple is a record too, and is written like one.

A reading that is unread becomes null, and its reason stands beside it in the record's `unread` object, by field name.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from gpudoctor.readings import Unread, Why
from gpudoctor.versions import Version, VersionError

_T = TypeVar("_T")


class DocumentError(ValueError):
    """A document that does not fit its type; `place` is the path to the fault, such as gpus[2].name."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


def encode(value: Any) -> Any:
    """The value as JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_record(value, [field.name for field in dataclasses.fields(value)])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _encode_record(value, value._fields)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Version):
        return value.text
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def _encode_record(value: Any, names: Iterable[str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    unread: dict[str, Any] = {}
    for name in names:
        item = getattr(value, name)
        if isinstance(item, Unread):
            record[name] = None
            unread[name] = _encode_unread(item)
        else:
            record[name] = encode(item)
    if unread:
        record["unread"] = unread
    return record


def _encode_unread(unread: Unread) -> dict[str, Any]:
    return {
        "source": unread.source,
        "why": unread.why.value,
        "detail": unread.detail,
        **({} if unread.code is None else {"code": unread.code}),
    }


def decode(kind: type[_T], document: object, place: str = "") -> _T:
    """Read a frozen dataclass of `kind` from JSON types.

    Raises DocumentError with the place of the first fault. Fields that the type does not know are ignored, so
    that facts of a newer gpudoctor can still be judged.
    """
    value: _T = _decode(kind, document, place)
    return value


def _decode(kind: Any, document: object, place: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, document, place)
    if isinstance(kind, type) and issubclass(kind, (Version, Enum)):
        return _decode_text(kind, document, place)
    origin = get_origin(kind)
    if origin is tuple:
        if not isinstance(document, list):
            raise DocumentError(place, f"expected a list, found {_shown(document)}")
        return tuple(_decode(get_args(kind)[0], item, f"{place}[{i}]") for i, item in enumerate(document))
    if origin in (Union, types.UnionType):  # int | None: the only union besides Reading, which records resolve
        if document is None:
            return None
        return _decode(get_args(kind)[0], document, place)
    allowed = (int, float) if kind is float else kind  # JSON knows no difference
    if not isinstance(document, allowed) or (kind is not bool and isinstance(document, bool)):
        raise DocumentError(place, f"expected {_NAMES[kind]}, found {_shown(document)}")
    if isinstance(document, str) and not _is_unicode(document):
        raise DocumentError(place, f"half a surrogate pair, which is no text: {_shown(document)}")
    return document


def _is_unicode(text: str) -> bool:
    """JSON may hold a lone \\ud800, and nothing can print it."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _decode_text(kind: type[Version] | type[Enum], document: object, place: str) -> Version | Enum:
    try:
        return kind.parse(document) if issubclass(kind, Version) else kind(document)
    except VersionError as error:
        raise DocumentError(place, str(error)) from None
    except ValueError:
        assert issubclass(kind, Enum)
        members = ", ".join(str(member.value) for member in kind)
        raise DocumentError(place, f"expected one of {members}, found {_shown(document)}") from None


_NAMES: Mapping[Any, str] = {str: "text", int: "a whole number", bool: "true or false", float: "a number"}


def _decode_record(kind: Any, document: object, place: str) -> Any:
    if not isinstance(document, dict):
        raise DocumentError(place, f"expected an object, found {_shown(document)}")
    unread = document.get("unread", {})
    if not isinstance(unread, dict):
        raise DocumentError(_under(place, "unread"), f"expected an object, found {_shown(unread)}")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        where = _under(place, field.name)
        hint, may_be_unread = _hint(kind, field.name)
        if field.name not in document:
            if field.default is not dataclasses.MISSING:
                continue
            if may_be_unread:  # facts of an older gpudoctor: nobody asked then
                values[field.name] = Unread(source=where, why=Why.NOT_ASKED, detail="the document does not hold it")
                continue
            raise DocumentError(where, "missing")
        item = document[field.name]
        if item is None and may_be_unread:
            if field.name not in unread:
                raise DocumentError(where, f"null, and {_under(place, 'unread')} does not say why")
            values[field.name] = _decode_record(Unread, unread[field.name], _under(place, f"unread.{field.name}"))
        else:
            values[field.name] = _decode(hint, item, where)
    return kind(**values)


@cache
def _hint(kind: Any, name: str) -> tuple[Any, bool]:
    """The field's type without Unread, and whether Unread was part of it."""
    hint = get_type_hints(kind)[name]
    if get_origin(hint) in (Union, types.UnionType) and Unread in get_args(hint):
        rest = tuple(argument for argument in get_args(hint) if argument is not Unread)
        return Union[rest], True  # noqa: UP007 - the members are known at run time only
    return hint, False


def _under(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shown(document: object) -> str:
    if isinstance(document, dict):
        return "an object"
    if isinstance(document, list):
        return "a list"
    text = json.dumps(document)
    return text if len(text) <= 60 else text[:60] + "…"


def schema(kind: Any) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `encode` makes of `kind`."""
    definitions: dict[str, Any] = {}
    root = _schema(kind, definitions)
    return {**definitions.pop(root["$ref"].rpartition("/")[2]), "$defs": definitions}


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # stands in while a record that holds its own kind is described
            definitions[kind.__name__] = _schema_record(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _schema(get_args(kind)[0], definitions)}
    if get_origin(kind) in (Union, types.UnionType):
        return {"anyOf": [_schema(get_args(kind)[0], definitions), {"type": "null"}]}
    if issubclass(kind, Version):
        return {"type": "string", "examples": [kind.example]}
    if issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    return {"type": {str: "string", int: "integer", bool: "boolean", float: "number"}[kind]}


def _schema_record(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    readings: list[str] = []
    for field in dataclasses.fields(kind):
        hint, may_be_unread = _hint(kind, field.name)
        described = _schema(hint, definitions)
        if may_be_unread:
            readings.append(field.name)
            described = {"anyOf": [described, {"type": "null"}]}
        properties[field.name] = described
        if field.default is dataclasses.MISSING:
            required.append(field.name)
    if readings:
        reference = _schema(Unread, definitions)
        properties["unread"] = {
            "type": "object",
            "description": "why each null of this record is null",
            "properties": dict.fromkeys(readings, reference),
        }
    return {"type": "object", "properties": properties, "required": required}
