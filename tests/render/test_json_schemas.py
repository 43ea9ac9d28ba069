"""What the commands print fits the schemas that they publish."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from gpudoctor import checks, host
from gpudoctor.explain import Reader, judged
from gpudoctor.facts import Facts
from gpudoctor.render import json_schemas, to_json
from gpudoctor.resolve import Request, resolve
from tests import strategies_of_facts as strategies
from tests.fakes import facts_of, gpu, results, shipped_matrix, unread
from tests.render.test_formats import REPORTS, report_of

VALIDATORS = {
    command: jsonschema.Draft202012Validator(json_schemas.of(command))
    for command in ("check", "explain", "probe", "resolve")
}


def fits(command: str, document: Any) -> None:
    VALIDATORS[command].validate(json.loads(to_json.dumps(document)))


@pytest.mark.parametrize("command", VALIDATORS)
def test_schemas_are_schemas(command: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schemas.of(command))


@pytest.mark.parametrize("command", VALIDATORS)
def test_another_command_s_answer_does_not_fit(command: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        fits(command, {"schema": "gpudoctor.other/1", "version": "0.1.0"})


@pytest.mark.parametrize("name", sorted(REPORTS.keys() - {"hostile"}))
def test_reports_fit(name: str) -> None:
    fits("check", to_json.report(REPORTS[name], shipped_matrix()))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS)
def test_report_and_facts_of_any_host_fit(facts: Facts) -> None:
    fits("check", to_json.report(report_of(facts), shipped_matrix()))
    fits("probe", to_json.facts(facts))


def test_a_field_that_is_missing_or_of_another_kind_does_not_fit() -> None:
    document = to_json.report(REPORTS["not loaded"], shipped_matrix())
    for broken in (
        {**document, "outcome": "fine"},
        {**document, "results": [{**document["results"][0], "subject": "node"}]},
        {name: value for name, value in document.items() if name != "host"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            fits("check", broken)


@pytest.mark.parametrize("check", checks.discover(), ids=lambda check: check.id)
def test_the_text_of_every_check_fits(check: checks.Check) -> None:
    fits("explain", to_json.check(check))


def test_an_explanation_fits_with_and_without_facts() -> None:
    log = b'could not select device driver "" with capabilities: [[gpu]]\nNVRM: Xid (PCI:0000:01:00): 79, pid=1\n'
    explanation = Reader(checks.discover()).read([log])
    assert explanation.suspects
    fits("explain", to_json.explanation(explanation))
    sick = facts_of(engine={"runtimes": (), "toolkit_binaries": ()})
    fits("explain", to_json.explanation(judged(explanation, results(sick))))


@pytest.mark.parametrize("tf", ["1.15", "2.17", "latest", "9.9"])
@pytest.mark.parametrize("facts", [facts_of(), facts_of(gpus=(gpu(0, name=unread()),), driver={"version": unread()})])
def test_resolutions_fit(tf: str, facts: Facts) -> None:
    judged_host = host.from_facts(facts, shipped_matrix())
    resolution = resolve(Request(tf=tf), judged_host, shipped_matrix())
    fits("resolve", to_json.resolution(resolution, shipped_matrix()))
