"""Reports as JUnit XML, for whatever shows test results: a suite an area, a case a check and subject.

https://github.com/testmoapp/junitxml (2026-11)
"""

from __future__ import annotations

from xml.etree import ElementTree

from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from gpudoctor.report import Report


def report(value: Report) -> str:
    """What `check --format junit` prints."""
    areas = dict.fromkeys(result.area for result in value.results)
    root = ElementTree.Element("testsuites", name="gpudoctor")
    for area in areas:
        root.append(_suite(area, [result for result in value.results if result.area == area], value))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}'


def _suite(area: str, results: list[CheckResult], value: Report) -> ElementTree.Element:
    cases = [_case(result) for result in results]
    counts = {kind: sum(case.find(kind) is not None for case in cases) for kind in ("failure", "error", "skipped")}
    suite = ElementTree.Element(
        "testsuite",
        name=area,
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time="0",
    )
    if value.facts is not None:
        suite.set("timestamp", value.facts.probed_at.removesuffix("Z"))
        hostname = value.facts.system.hostname
        suite.set("hostname", _text(hostname) if isinstance(hostname, str) else "unknown")
    suite.extend(cases)
    return suite


def _case(result: CheckResult) -> ElementTree.Element:
    """Errors fail a case; a warning is told in its output; what was not looked at is skipped, never passed."""
    name = result.check if result.subject == "host" else f"{result.check} {result.subject}"
    case = ElementTree.Element("testcase", classname=f"gpudoctor.{result.area}", name=_text(name), time="0")
    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    milder = [finding for finding in result.findings if finding.severity is not Severity.ERROR]
    if errors:
        failure = ElementTree.SubElement(case, "failure", message=_text(errors[0].message), type=result.check)
        failure.text = _text("\n\n".join(map(_told, errors)))
    elif result.outcome is Outcome.CRASHED:
        ElementTree.SubElement(case, "error", message=_text(result.crash), type="crashed")
    elif result.outcome is Outcome.UNKNOWN and result.deciding:
        ElementTree.SubElement(case, "error", message=_text(f"not known: {result.unread}"), type="unknown")
    elif result.outcome is Outcome.UNKNOWN:
        ElementTree.SubElement(case, "skipped", message=_text(f"not known: {result.unread}"))
    elif result.outcome is Outcome.NOT_APPLICABLE:
        ElementTree.SubElement(case, "skipped", message="does not apply to this host")
    if milder:
        ElementTree.SubElement(case, "system-out").text = _text("\n\n".join(map(_told, milder)))
    return case


def _told(finding: Finding) -> str:
    """Severity, message, evidence and fix, a line each."""
    lines = [f"{finding.severity.value}: {finding.message}"]
    if finding.caused_by is not None:
        lines.append(f"caused by: {finding.caused_by}")
    lines.extend(f"seen: {evidence.source} -> {evidence.value}" for evidence in finding.evidence)
    if finding.fix is not None:
        lines.append(f"mend: {finding.fix.text}")
        lines.extend(f"    $ {command}" for command in finding.fix.commands)
    return "\n".join(lines)


def _text(text: str) -> str:
    """Without what XML cannot hold: control characters and halves of surrogate pairs."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text)
