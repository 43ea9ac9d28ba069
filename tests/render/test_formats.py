"""Reports in the formats of other programs, each held against its own schema or read by its own library."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import jsonschema
import prometheus_client.parser
import pytest
import xmlschema
from hypothesis import given, settings

from gpudoctor import checks, host
from gpudoctor.facts import Facts
from gpudoctor.findings import CheckResult, Evidence, Finding, Fix, Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.render import to_junit, to_markdown, to_prometheus, to_sarif
from gpudoctor.report import Report
from gpudoctor.resolve import runnable
from tests import strategies_of_facts as strategies
from tests.fakes import NOT_LOADED, facts_of, gpu, pci_gpu, results, shipped_matrix, unread
from tests.real.published import JUNIT, SARIF

HOSTILE = "a\x1b[2J\x00\ud800 ]]> <b>&\"'\\ | `x` ``y``\n\u2028\ufffe"


def report_of(facts: Facts, *more: CheckResult) -> Report:
    judged = host.from_facts(facts, shipped_matrix())
    return Report(
        facts=facts,
        host=judged,
        results=(*results(facts), *more),
        runnable=runnable(judged, shipped_matrix()),
    )


_GPUS = tuple(gpu(index) for index in range(2))
_CRASHED = CheckResult(
    check="gpu-none-present", title="A claim", area="gpu", subject="host", outcome=Outcome.CRASHED, crash=HOSTILE
)
_WORST = CheckResult(
    check="gpu-not-listed",
    title="A claim",
    area="gpu",
    subject="gpu:GPU-1",
    outcome=Outcome.FAILED,
    findings=tuple(
        Finding(
            severity=severity,
            message=HOSTILE,
            evidence=(Evidence(source=HOSTILE, value=""),),
            caused_by=None if severity is Severity.ERROR else "gpu-none-present",
            fix=Fix(text=HOSTILE, commands=(HOSTILE,)),
        )
        for severity in Severity
    ),
)
REPORTS: Mapping[str, Report] = {
    "healthy": report_of(facts_of()),
    "two GPUs": report_of(facts_of(gpus=_GPUS, pci_gpus=(pci_gpu(0), pci_gpu(1)))),
    "not loaded": report_of(facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, ""),))),
    "nothing known": report_of(facts_of(gpus=unread(Why.TIMEOUT), pci_gpus=unread(), driver={"version": unread()})),
    "hostile": report_of(facts_of(system={"hostname": HOSTILE}), _CRASHED, _WORST),
    "no machine": replace(report_of(facts_of()), facts=None, results=()),
}


@pytest.mark.parametrize("name", REPORTS)
def test_junit_is_valid_by_its_schema_and_counts_as_the_report_does(name: str) -> None:
    text = to_junit.report(REPORTS[name])
    xmlschema.XMLSchema(io.StringIO(JUNIT.text())).validate(text)
    root = ElementTree.fromstring(text)
    assert len(root.findall(".//testcase")) == len(REPORTS[name].results)
    failing = [result for result in REPORTS[name].results if _severities(result) & {Severity.ERROR}]
    assert len(root.findall(".//failure")) == len(failing)
    assert sum(int(suite.get("failures", "")) for suite in root) == len(failing)


def _severities(result: CheckResult) -> set[Severity]:
    return {finding.severity for finding in result.findings}


def test_junit_passes_nothing_that_was_not_looked_at() -> None:
    root = ElementTree.fromstring(to_junit.report(REPORTS["nothing known"]))
    by_name = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    for result in REPORTS["nothing known"].results:
        said = by_name[result.check if result.subject == "host" else f"{result.check} {result.subject}"]
        if result.outcome in (Outcome.UNKNOWN, Outcome.CRASHED, Outcome.NOT_APPLICABLE):
            assert {"skipped", "error"} & set(said), result.check
    assert root.find(".//error") is not None


@pytest.mark.parametrize("name", REPORTS)
def test_sarif_is_valid_by_its_schema_and_holds_every_finding(name: str) -> None:
    known = tuple(check for check in checks.discover() if check.judges)
    document = json.loads(json.dumps(to_sarif.report(REPORTS[name], known)))
    jsonschema.validate(document, json.loads(SARIF.text()), cls=jsonschema.Draft7Validator)
    (run,) = document["runs"]
    found = [one for one in run["results"] if one["kind"] in ("fail", "informational")]
    assert len(found) == sum(len(result.findings) for result in REPORTS[name].results)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])


def _samples(text: str) -> list[Any]:
    families = prometheus_client.parser.text_string_to_metric_families(text + "\n")
    return [sample for family in families for sample in family.samples]


@pytest.mark.parametrize("name", REPORTS)
def test_prometheus_reads_every_sample_once(name: str) -> None:
    text = to_prometheus.report(REPORTS[name])
    samples = _samples(text)
    keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(keys) == len(set(keys))
    assert len(samples) == sum(not line.startswith("#") for line in text.splitlines())
    (holds,) = (sample for sample in samples if sample.name == "gpudoctor_outcome" and sample.value == 1)
    assert holds.labels["outcome"] == REPORTS[name].outcome


def test_prometheus_gives_labels_back_as_they_were() -> None:
    name = 'a "quoted" \\ back\\slash\nand a line'
    report = report_of(facts_of(gpus=(gpu(0, name=name, uuid="GPU-1"),)))
    (found,) = (one for one in _samples(to_prometheus.report(report)) if one.name == "gpudoctor_gpu_info")
    assert found.labels["modelName"] == name


@pytest.mark.parametrize("name", REPORTS)
def test_markdown_holds_every_root_and_lets_no_text_out_of_its_place(name: str) -> None:
    text = to_markdown.report(REPORTS[name])
    for result in REPORTS[name].results:
        if any(finding.caused_by is None for finding in result.findings):
            assert f"(`{result.check}`)" in text
    outside = [line for line in text.splitlines() if not line.startswith(("- `", "  "))]
    assert not any("<b>" in line.replace("\\<b\\>", "") for line in outside)
    assert all(letter.isprintable() or letter == "\n" for letter in text)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS)
def test_every_format_takes_any_facts(facts: Facts) -> None:
    report = report_of(replace(facts, probed_at="2026-11-23T00:00:00Z"))
    known = tuple(check for check in checks.discover() if check.judges)
    ElementTree.fromstring(to_junit.report(report))
    json.dumps(to_sarif.report(report, known))
    _samples(to_prometheus.report(report))
    to_markdown.report(report)
