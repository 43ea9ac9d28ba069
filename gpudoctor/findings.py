"""What a check says: findings with their fix, and how the check ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gpudoctor.readings import Unread


class Severity(str, Enum):
    """How bad a finding is."""

    ERROR = "error"
    """GPU work fails because of it: exit 1."""
    WARNING = "warning"
    """Something will be slower or fail later: exit 0 unless --strict."""
    INFO = "info"
    """Worth knowing."""


class Outcome(str, Enum):
    """How a check ended. Only PASSED means looked at and fine."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What mends it. gpudoctor never runs the commands."""

    text: str
    """Imperative."""
    commands: tuple[str, ...] = ()
    """To be pasted into a shell, in this order."""
    needs_root: bool = False
    needs_reboot: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One reading that a finding rests on."""

    source: str
    """The command, file or call by which anyone sees the same value."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    severity: Severity
    message: str
    """One sentence, what was found and what was needed, no full stop."""
    evidence: tuple[Evidence, ...] = ()
    caused_by: str | None = None
    """Id of the check whose finding is the root of this one."""
    fix: Fix | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check on one subject."""

    check: str
    """Public id: driver-library-mismatch."""
    title: str
    """What it looks at, for people: the first line of the check's docstring."""
    area: str
    """First word of the id: driver, gpu, cuda, container, image, slurm, k8s."""
    subject: str
    """`host` or `gpu:<uuid>`."""
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    unread: Unread | None = None
    """The reading that was missing, where the outcome is unknown."""
    deciding: bool = False
    """Whether an unknown outcome of this check leaves the host unjudged: exit 3."""
    explained_by: str | None = None
    """Id of the check whose finding is why the reading was missing, where one is."""
    crash: str = ""
    """Where the outcome is crashed: the exception, one line."""
