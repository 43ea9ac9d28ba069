"""Reports as SARIF 2.1.0, for whatever gathers the results of analysis tools.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html (2026-11)
"""

from __future__ import annotations

from typing import Any

import gpudoctor
from gpudoctor.checks import Check
from gpudoctor.document import encode
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from gpudoctor.report import Report

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_KINDS = {
    Outcome.PASSED: "pass",
    Outcome.NOT_APPLICABLE: "notApplicable",
    Outcome.UNKNOWN: "open",
    Outcome.CRASHED: "open",
}


def report(value: Report, checks: tuple[Check, ...]) -> dict[str, Any]:
    """What `check --format sarif` prints: a result a finding, and one for every check that ended without any."""
    known = {check.id: number for number, check in enumerate(checks)}
    results = [one for result in value.results for one in _results(result, known)]
    driver = {
        "name": "gpudoctor",
        "version": gpudoctor.__version__,
        "semanticVersion": gpudoctor.__version__,
        "rules": [_rule(check) for check in checks],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.cause},
        "help": {"text": f"{check.mended_by}\n\nSee: {check.decided_by}"},
        **({"helpUri": check.links[0]} if check.links else {}),
        "properties": {"area": check.area},
    }


def _results(result: CheckResult, known: dict[str, int]) -> list[dict[str, Any]]:
    place = {
        "ruleId": result.check,
        "ruleIndex": known[result.check],
        "locations": [{"logicalLocations": [{"fullyQualifiedName": result.subject, "kind": "resource"}]}],
    }
    if result.findings:
        return [{**place, **_finding(finding)} for finding in result.findings]
    why = result.crash or (str(result.unread) if result.unread is not None else "")
    text = f"{result.title}: {why}" if why else result.title
    return [{**place, "kind": _KINDS[result.outcome], "level": "none", "message": {"text": text}}]


def _finding(finding: Finding) -> dict[str, Any]:
    text = finding.message if finding.fix is None else f"{finding.message}. Mend: {finding.fix.text}"
    return {
        "kind": "fail" if finding.severity is not Severity.INFO else "informational",
        "level": _LEVELS[finding.severity] if finding.severity is not Severity.INFO else "none",
        "message": {"text": text},
        "properties": {
            "severity": finding.severity.value,
            "caused_by": finding.caused_by,
            "evidence": [encode(evidence) for evidence in finding.evidence],
            "fix": None if finding.fix is None else encode(finding.fix),
        },
    }
