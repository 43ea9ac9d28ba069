"""Facts without what names a machine or its owner: for bug reports."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

from gpudoctor.facts import Facts, Unread

_UUID = re.compile(r"\b(GPU|MIG)-[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_HOME = re.compile(r"/(home|Users)/[^/\s]+")
_HOST = re.compile(r"(?<=://)[^/\s]*@?[^/\s:]+(?=:\d|$)")


def redacted(facts: Facts) -> Facts:
    """The same facts with host name, user names, engine addresses and GPU UUIDs replaced.

    GPUs stay told apart: their UUIDs become numbered ones, the same for the same GPU.
    """
    uuids: dict[str, str] = {}
    hostname = facts.system.hostname

    def numbered(match: re.Match[str]) -> str:
        name = match.group(0)
        return uuids.setdefault(name, f"{match.group(1)}-{len(uuids):08x}-0000-0000-0000-000000000000")

    def clean(text: str) -> str:
        text = _UUID.sub(numbered, text)
        text = _HOME.sub(r"/\1/user", text)
        if not text.startswith("unix://"):
            text = _HOST.sub("host", text)
        if not isinstance(hostname, Unread) and hostname:
            text = re.sub(rf"\b{re.escape(hostname)}\b", "host", text)
        return text

    cleaned: Facts = _walk(facts, clean)
    return cleaned


def _walk(value: Any, clean: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _walk(getattr(value, field.name), clean) for field in fields(value)})
    if isinstance(value, tuple):
        return tuple(_walk(item, clean) for item in value)
    return clean(value) if type(value) is str else value
