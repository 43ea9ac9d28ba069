"""The smoke test as JUnit XML: a suite, and a case for every operation, package and device.

https://github.com/testmoapp/junitxml (2026-11)
"""

from __future__ import annotations

from xml.etree import ElementTree

from gpudoctor.readings import Unread
from gpudoctor.smoke import Operation, OperationOutcome, SmokeOutcome, SmokeReport, shown_name


def report(value: SmokeReport) -> str:
    """What `smoke --format junit` prints."""
    cases = [_case(operation) for operation in value.operations]
    if value.error is not None:
        cases.append(_broken(value))
    counts = {kind: sum(case.find(kind) is not None for case in cases) for kind in ("failure", "error", "skipped")}
    root = ElementTree.Element("testsuites", name="gpudoctor")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name="smoke",
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=_seconds(value.timings.total_seconds),
    )
    suite.append(_properties(value))
    suite.extend(cases)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}'


def _properties(value: SmokeReport) -> ElementTree.Element:
    properties = ElementTree.Element("properties")
    for name, told in (
        ("tensorflow", value.tensorflow),
        ("keras", value.keras),
        ("numpy", value.numpy),
        ("python", value.python),
        ("device_asked", value.device_asked),
        ("level", value.level),
        ("seed", str(value.seed)),
    ):
        if not isinstance(told, Unread):
            ElementTree.SubElement(properties, "property", name=name, value=told)
    for remark in value.remarks:
        ElementTree.SubElement(properties, "property", name="remark", value=remark)
    return properties


def _case(operation: Operation) -> ElementTree.Element:
    device = operation.device_asked if isinstance(operation.device, Unread) else operation.device
    name = f"{shown_name(operation)} on {device}" if device else shown_name(operation)
    case = ElementTree.Element("testcase", classname="gpudoctor.smoke", name=name, time=_seconds(operation.seconds))
    if operation.outcome is OperationOutcome.FAILED:
        failure = ElementTree.SubElement(case, "failure", message=operation.note, type=operation.name)
        failure.text = f"expected {operation.expected}\ngot      {operation.got}"
    elif operation.outcome is OperationOutcome.SKIPPED:
        ElementTree.SubElement(case, "skipped", message=operation.note)
    elif operation.note:
        ElementTree.SubElement(case, "system-out").text = operation.note
    return case


def _broken(value: SmokeReport) -> ElementTree.Element:
    """What ended the test before its operations could: a failure, or an error where nothing could be looked at."""
    assert value.error is not None
    case = ElementTree.Element("testcase", classname="gpudoctor.smoke", name=value.error.stage, time="0")
    kind = "error" if value.outcome is SmokeOutcome.UNKNOWN else "failure"
    told = ElementTree.SubElement(case, kind, message=value.error.message, type="smoke")
    told.text = "\n".join((*value.error.causes, *([f"fix: {value.error.fix}"] if value.error.fix else [])))
    return case


def _seconds(value: float | Unread) -> str:
    return "0" if isinstance(value, Unread) else f"{value:.3f}"
