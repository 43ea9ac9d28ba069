"""What could not be read is a value with its reason, never None, "N/A" or -1."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar, Union

T = TypeVar("T")


class Why(str, Enum):
    """Why a fact could not be read."""

    ABSENT = "absent"
    """What would have told it is not on this machine: no such file, library, program or socket."""
    FORBIDDEN = "forbidden"
    """It is there, and this user may not read it."""
    UNSUPPORTED = "unsupported"
    """The driver, GPU or engine does not offer it."""
    TIMEOUT = "timeout"
    """It did not answer within the time limit."""
    FAILED = "failed"
    """It answered with an error; the detail holds it."""
    GARBLED = "garbled"
    """It answered with something that is not what it should be."""
    NOT_ASKED = "not_asked"
    """Nobody asked: an earlier step made the question moot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A fact that could not be read."""

    source: str
    """What was asked: a file, an NVML call, an engine request, a command."""
    why: Why
    detail: str
    """What it said, one line; never empty."""
    code: int | None = None
    """Return code of the call, where it has one (nvmlReturn_t, errno, HTTP status)."""

    def __str__(self) -> str:
        return f"{self.source}: {self.detail}"


Reading = Union[T, Unread]  # noqa: UP007 - Python 3.10 cannot subscript T | Unread
"""A value, or why there is none."""


class UnreadError(Exception):
    """A judgement needed a fact that could not be read."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(str(unread))
        self.unread = unread


def known(reading: Reading[T]) -> T:
    """The value of a reading.

    Raises UnreadError where there is none: the runner of the checks turns it into the outcome `unknown`.
    """
    if isinstance(reading, Unread):
        raise UnreadError(reading)
    return reading
