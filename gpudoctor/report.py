"""The report of `check`: every result in order, the summary of the host, what it can run, how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from gpudoctor import exit_codes
from gpudoctor.facts import Facts
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from gpudoctor.host import Host
from gpudoctor.readings import Unread
from gpudoctor.resolve import Candidate
from gpudoctor.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything `check` says of one host."""

    facts: Facts | None
    """None where the host was only thought of."""
    host: Host
    results: tuple[CheckResult, ...]
    runnable: tuple[Candidate, ...]
    """For every TensorFlow minor, newest first, its best image."""

    def findings(self, severity: Severity) -> tuple[tuple[CheckResult, Finding], ...]:
        """Findings of one severity, in order."""
        return tuple(
            (result, finding) for result in self.results for finding in result.findings if finding.severity is severity
        )

    @property
    def roots(self) -> tuple[tuple[CheckResult, Finding], ...]:
        """The errors that follow from no other, in order: the first is what to mend first."""
        return tuple(pair for pair in self.findings(Severity.ERROR) if pair[1].caused_by is None)

    def consequences(self, root: CheckResult) -> tuple[tuple[CheckResult, Finding], ...]:
        """What follows from a check's finding: on the same GPU, or on the host."""
        return tuple(
            (result, finding)
            for result in self.results
            if "host" in (root.subject, result.subject) or result.subject == root.subject
            for finding in result.findings
            if finding.caused_by == root.check
        )

    @property
    def nothing_runs(self) -> bool:
        """There are GPUs, every TensorFlow there is was judged for them, and none runs as it is."""
        has_gpus = not isinstance(self.host.gpus, Unread) and bool(self.host.gpus)
        return (
            has_gpus
            and bool(self.runnable)
            and all(
                not candidate.verdict.runs and candidate.verdict is not Verdict.UNKNOWN for candidate in self.runnable
            )
        )

    @property
    def unknown(self) -> tuple[CheckResult, ...]:
        """Checks that could not be answered, or crashed."""
        return tuple(
            result
            for result in self.results
            if result.unread is not None or result.outcome in (Outcome.UNKNOWN, Outcome.CRASHED)
        )

    @property
    def outcome(self) -> str:
        """passed, warned, failed or unknown."""
        if self.findings(Severity.ERROR) or self.nothing_runs:
            return "failed"
        if any(result.deciding for result in self.unknown):
            return "unknown"
        return "warned" if self.findings(Severity.WARNING) else "passed"

    def exit_code(self, *, strict: bool = False) -> int:
        """By the outcome; `strict` lets warnings count as errors, and every unknown as deciding."""
        if self.outcome == "failed":
            return exit_codes.WRONG
        if self.outcome == "unknown":
            return exit_codes.COULD_NOT_LOOK
        if strict and self.outcome == "warned":
            return exit_codes.WRONG
        return exit_codes.COULD_NOT_LOOK if strict and self.unknown else exit_codes.WELL
