"""Facts without what names a machine or its owner: for bug reports."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from gpudoctor.facts import Facts
from gpudoctor.readings import Unread

_UUID = re.compile(r"\b(GPU|MIG)-[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_HOME = re.compile(r"/(home|Users)/[^/\s]+")
# User and host of an address; a Unix socket has a path there instead.
_ADDRESS = re.compile(r"(?<=://)(?:[^/\s@]*@)?(?:\[[^\]\s]*\]|[^/\s:@]+)")
_PLAIN_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")

# Other texts are words of the driver, the distribution and the engine: a host that is called nvidia would take
# the runtime of that name away.
_MAY_NAME_THE_HOST = ("host", "data_root", "source", "detail")


def redacted(facts: Facts) -> Facts:
    """The same facts with host name, user names, engine addresses and GPU UUIDs replaced.

    GPUs stay told apart: their UUIDs become numbered ones, the same for the same GPU.
    """
    uuids: dict[str, str] = {}
    hostname = facts.system.hostname
    names = [] if isinstance(hostname, Unread) or not hostname else [hostname, hostname.partition(".")[0]]

    def numbered(match: re.Match[str]) -> str:
        name = match.group(0)
        return uuids.setdefault(name, f"{match.group(1)}-{len(uuids):08x}-0000-0000-0000-000000000000")

    def clean(field: str, text: str) -> str:
        if field == "hostname":
            return "host"
        text = _HOME.sub(r"/\1/user", _UUID.sub(numbered, text))
        if field in _MAY_NAME_THE_HOST:
            text = _PLAIN_ADDRESS.sub("host", _ADDRESS.sub("host", text))
            for name in filter(None, names):
                text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?:\.[\w.-]*\w)?(?![\w-])", "host", text)
        return text

    cleaned: Facts = _walk("", facts, clean)
    return cleaned


def _walk(name: str, value: Any, clean: Callable[[str, str], str]) -> Any:
    """The value with every text under its field's name cleaned."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: _walk(field.name, getattr(value, field.name), clean) for field in fields(value)}
        )
    if isinstance(value, tuple):
        return tuple(_walk(name, item, clean) for item in value)
    return clean(name, value) if type(value) is str else value
