"""Verdicts on an image for a host, and the reasons they rest on."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Verdict(str, Enum):
    """Whether an image runs. Best first: the order is the order of choice."""

    RUNS = "runs"
    RUNS_WITH_FORWARD_COMPAT = "runs_with_forward_compat"
    RUNS_WITH_MINOR_VERSION_COMPAT = "runs_with_minor_version_compat"
    RUNS_UNSUPPORTED = "runs_unsupported"
    RUNS_WITH_PTX_JIT = "runs_with_ptx_jit"
    UNKNOWN = "unknown"
    WILL_NOT_RUN = "will_not_run"
    NO_SUCH_IMAGE = "no_such_image"

    @property
    def rank(self) -> int:
        """0 for the best."""
        return _RANKS[self]

    @property
    def runs(self) -> bool:
        """Whether it may be chosen."""
        return self.rank <= _RANKS[Verdict.RUNS_WITH_PTX_JIT]


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


def worst(*verdicts: Verdict) -> Verdict:
    """The worst of several; RUNS of none."""
    return max(verdicts, key=_RANKS.__getitem__, default=Verdict.RUNS)


class Reason(NamedTuple):
    """One rule that was asked, and what it answered."""

    rule: str
    """Of the image: tensorflow, platform, as_shipped, cpu_only; of each GPU: driver_knows_gpu, gpu_range, gpu_code,
    driver_native, forward_compat, minor_version_compat; of an image that speaks for itself besides: image,
    requirement, matrix."""
    detail: str
    """One sentence, no full stop."""
    source: str
    """Link that anyone can check, or the cell it was derived from."""
    verdict: Verdict
    """What this rule alone comes to."""


class Ruling(NamedTuple):
    """What one rule makes of it."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()

    @classmethod
    def of(cls, verdict: Verdict, rule: str, detail: str, source: str) -> Ruling:
        """A verdict for one reason."""
        return cls(verdict=verdict, reasons=(Reason(rule=rule, detail=detail, source=source, verdict=verdict),))


def deciding(verdict: Verdict, reasons: tuple[Reason, ...]) -> Reason | None:
    """The reason that a verdict hangs on: the first that came to it by itself."""
    return next((reason for reason in reasons if reason.verdict is verdict), None)
