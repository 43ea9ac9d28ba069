"""JSON Schemas (draft 2020-12) of what the commands print with --format json."""

from __future__ import annotations

from typing import Any

from gpudoctor.document import schema
from gpudoctor.explain import LogLine
from gpudoctor.explain import Verdict as SuspectVerdict
from gpudoctor.facts import Facts
from gpudoctor.findings import Evidence, Fix, Outcome, Severity
from gpudoctor.readings import Unread
from gpudoctor.render import to_json
from gpudoctor.verdicts import Verdict

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_OUTCOMES = ("passed", "warned", "failed", "unknown")


def of(command: str) -> dict[str, Any]:
    """The schema of one command's answer: check, explain, probe or resolve."""
    name, body = {"check": _check, "explain": _explain, "probe": _probe, "resolve": _resolve}[command]()
    properties = {"schema": {"const": name}, "version": _TEXT, **body["properties"]}
    required = ["schema", "version", *body["required"]]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name}
    return {**head, **body, "properties": properties, "required": required}


def _record(optional: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """An object with these fields, all of them there but the optional ones."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(kind: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [kind, {"type": "null"}]}


def _reading(name: str, kind: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A field that may be null, and beside it why."""
    return {name: _or_null(kind), f"{name}_unread": _TEXT}, (f"{name}_unread",)


def _plain(kind: Any) -> dict[str, Any]:
    """The schema of a record that holds no other."""
    return {name: part for name, part in schema(kind).items() if name != "$defs"}


def _probe() -> tuple[str, dict[str, Any]]:
    return to_json.FACTS_SCHEMA, schema(Facts)


def _finding() -> dict[str, Any]:
    return _record(
        severity={"enum": [one.value for one in Severity]},
        message=_TEXT,
        evidence=_list(_plain(Evidence)),
        caused_by=_TEXT_OR_NULL,
        fix=_or_null(_plain(Fix)),
    )


def _check() -> tuple[str, dict[str, Any]]:
    result = _record(
        ("crash",),
        check=_TEXT,
        subject={"type": "string", "pattern": "^(host$|gpu:)"},
        outcome={"enum": [one.value for one in Outcome]},
        findings=_list(_finding()),
        unread=_or_null(_plain(Unread)),
        explained_by=_TEXT_OR_NULL,
        crash=_TEXT,
    )
    runnable = _candidate()
    runnable["properties"]["tensorflow_minor"] = _TEXT
    return to_json.CHECK_SCHEMA, _record(
        outcome={"enum": list(_OUTCOMES)}, host=_host(), results=_list(result), runnable=_list(runnable)
    )


def _host() -> dict[str, Any]:
    capability, no_capability = _reading("compute_capability", _TEXT)
    data_center, no_data_center = _reading("data_center", _TEXT)
    gpu = _record((*no_capability, *no_data_center), gpu=_TEXT, label=_TEXT, **capability, **data_center)
    driver, no_driver = _reading("driver", _TEXT)
    cuda, no_cuda = _reading("driver_cuda_version", _TEXT)
    gpus, no_gpus = _reading("gpus", _list(gpu))
    optional = (*no_driver, *no_cuda, *no_gpus)
    plain = {"architecture": _TEXT, "wsl": _FLAG, "jetson": _FLAG, "what_if": _FLAG}
    return _record(optional, **plain, **driver, **cuda, **gpus)


def _candidate() -> dict[str, Any]:
    verdict = {"enum": [one.value for one in Verdict]}
    reason = _record(rule=_TEXT, detail=_TEXT, source=_TEXT)
    return _record(
        tag=_TEXT,
        image=_TEXT,
        catalogue={"enum": ["ngc", "upstream"]},
        release=_TEXT_OR_NULL,
        tensorflow=_TEXT_OR_NULL,
        cuda=_TEXT_OR_NULL,
        python=_TEXT_OR_NULL,
        min_driver=_TEXT_OR_NULL,
        verdict=verdict,
        gpus=_list(_record(gpu=_TEXT, verdict=verdict, reason=_TEXT, reasons=_list(reason))),
        reasons=_list(reason),
        confidence={"enum": ["high", "medium", "low"]},
        derived=_list(_TEXT),
        sources=_list(_TEXT),
    )


def _resolve() -> tuple[str, dict[str, Any]]:
    request = _record(
        ("image",),
        tf=_TEXT_OR_NULL,
        tag=_TEXT_OR_NULL,
        image=_TEXT,
        python=_TEXT_OR_NULL,
        gpus=_TEXT_OR_NULL,
        registry=_TEXT,
    )
    return to_json.RESOLVE_SCHEMA, _record(
        request=request,
        host=_host(),
        verdict={"enum": [one.value for one in Verdict]},
        best=_or_null(_candidate()),
        candidates=_list(_candidate()),
        advice=_list(_record(text=_TEXT, unlocks=_list(_TEXT))),
        message=_TEXT_OR_NULL,
    )


def _explain() -> tuple[str, dict[str, Any]]:
    """A check's own text, or what a log tells."""
    check = {
        "check": _TEXT,
        "title": _TEXT,
        "cause": _TEXT,
        "decided_by": _TEXT,
        "mended_by": _TEXT,
        "links": _list(_TEXT),
    }
    suspect = _record(
        **check,
        verdict={"enum": [one.value for one in SuspectVerdict]},
        caused_by=_TEXT_OR_NULL,
        finding=_or_null(_finding()),
        log=_list(_plain(LogLine)),
        count={"type": "integer", "minimum": 1},
    )
    log = _record(lines={"type": "integer"}, judged=_FLAG, answers=_list(_TEXT), suspects=_list(suspect))
    either = {"oneOf": [_record(**check), log]}
    return to_json.EXPLAIN_SCHEMA, {"type": "object", "properties": {}, "required": [], **either}
