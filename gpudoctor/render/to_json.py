"""Reports and resolutions as JSON objects, by the contract's schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import gpudoctor
from gpudoctor.document import encode
from gpudoctor.readings import Unread
from gpudoctor.verdicts import Reason, deciding

if TYPE_CHECKING:
    from gpudoctor.checks import Check
    from gpudoctor.explain import Explanation
    from gpudoctor.facts import Facts
    from gpudoctor.findings import CheckResult, Finding
    from gpudoctor.host import Host
    from gpudoctor.matrix import Matrix, Provenance
    from gpudoctor.report import Report
    from gpudoctor.resolve import Candidate, Request, Resolution
    from gpudoctor.rules import GpuRuling

FACTS_SCHEMA = "gpudoctor.probe/1"
CHECK_SCHEMA = "gpudoctor.check/1"
RESOLVE_SCHEMA = "gpudoctor.resolve/1"
MATRIX_SCHEMA = "gpudoctor.matrix-list/1"
EXPLAIN_SCHEMA = "gpudoctor.explain/1"


def dumps(document: Any) -> str:
    """One object, readable and stable."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    # Some control characters may stand in JSON as they are, and a terminal obeys them; bytes of a command line that
    # are no UTF-8 no stream takes.
    return text if text.replace("\n", "").isprintable() else json.dumps(document, indent=2)


def _headed(schema: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"schema": schema, "version": gpudoctor.__version__, **body}


def facts(value: Facts) -> dict[str, Any]:
    """What `probe` prints and `--facts` reads."""
    return _headed(FACTS_SCHEMA, encode(value))


def report(value: Report, matrix: Matrix) -> dict[str, Any]:
    """What `check` prints."""
    body = {
        "outcome": value.outcome,
        "host": host(value.host),
        "results": [_result(result) for result in value.results],
        "runnable": [_runnable(candidate, matrix) for candidate in value.runnable],
    }
    return _headed(CHECK_SCHEMA, body)


def _result(value: CheckResult) -> dict[str, Any]:
    return {
        "check": value.check,
        "subject": value.subject,
        "outcome": value.outcome.value,
        "findings": [_finding(finding) for finding in value.findings],
        "unread": None if value.unread is None else encode(value.unread),
        "explained_by": value.explained_by,
        **({"crash": value.crash} if value.crash else {}),
    }


def _finding(value: Finding) -> dict[str, Any]:
    return {
        "severity": value.severity.value,
        "message": value.message,
        "evidence": [encode(evidence) for evidence in value.evidence],
        "caused_by": value.caused_by,
        "fix": None if value.fix is None else encode(value.fix),
    }


def check(value: Check) -> dict[str, Any]:
    """What `explain ID` prints."""
    return _headed(EXPLAIN_SCHEMA, _check(value))


def _check(value: Check) -> dict[str, Any]:
    return {
        "check": value.id,
        "title": value.title,
        "cause": value.cause,
        "decided_by": value.decided_by,
        "mended_by": value.mended_by,
        "links": list(value.links),
    }


def explanation(value: Explanation) -> dict[str, Any]:
    """What `explain -` prints: every suspect, likeliest first, and which of them are the answer."""
    body = {
        "lines": value.lines,
        "judged": value.judged,
        "answers": [suspect.check.id for suspect in value.answers],
        "suspects": [
            {
                **_check(suspect.check),
                "verdict": suspect.verdict.value,
                "caused_by": suspect.root,
                "finding": None if suspect.finding is None else _finding(suspect.finding),
                "log": [encode(line) for line in suspect.lines],
                "count": suspect.count,
            }
            for suspect in value.suspects
        ],
    }
    return _headed(EXPLAIN_SCHEMA, body)


def _reading(name: str, value: Any) -> dict[str, Any]:
    """A field, and beside it why it is null where it could not be read."""
    if isinstance(value, Unread):
        return {name: None, f"{name}_unread": str(value)}
    return {name: encode(value)}


def host(value: Host) -> dict[str, Any]:
    """The host that was judged."""
    if isinstance(value.gpus, Unread):
        gpus = _reading("gpus", value.gpus)
    else:
        gpus = {
            "gpus": [
                {
                    "gpu": gpu.subject,
                    "label": gpu.label,
                    **_reading("compute_capability", gpu.compute_capability),
                    **_reading("data_center", gpu.data_center),
                }
                for gpu in value.gpus
            ]
        }
    return {
        "architecture": value.architecture,
        "wsl": value.wsl,
        "jetson": value.jetson,
        "what_if": value.what_if,
        **_reading("driver", value.driver),
        **_reading("driver_cuda_version", value.driver_cuda_version),
        **gpus,
    }


def _runnable(value: Candidate, matrix: Matrix) -> dict[str, Any]:
    minor = value.image.tensorflow.minor if value.image.tensorflow is not None else ()
    return {"tensorflow_minor": ".".join(map(str, minor)), **candidate(value, matrix)}


def candidate(value: Candidate, matrix: Matrix) -> dict[str, Any]:
    """One image and its verdict; null cells are unknown to the matrix."""
    image = value.image
    return {
        "tag": image.tag,
        "image": value.reference,
        "catalogue": "upstream" if image.upstream else "ngc",
        "release": image.release,
        "tensorflow": _text(image.tensorflow),
        "cuda": _text(image.cuda),
        "python": image.python,
        "min_driver": _text(value.min_driver),
        "verdict": value.verdict.value,
        "gpus": [_gpu(gpu) for gpu in value.gpus],
        "reasons": [encode_reason(reason) for reason in value.all_reasons],
        "confidence": value.confidence,
        "derived": list(image.derived),
        "sources": list(_links(image.provenance, matrix)),
    }


def _links(provenance: Provenance, matrix: Matrix) -> tuple[str, ...]:
    return matrix.links(provenance)


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)


def _gpu(value: GpuRuling) -> dict[str, Any]:
    reason = deciding(value.verdict, value.reasons)
    return {
        "gpu": value.gpu.subject,
        "verdict": value.verdict.value,
        "reason": "" if reason is None else reason.detail,
        "reasons": [encode_reason(reason) for reason in value.reasons],
    }


def encode_reason(value: Reason) -> dict[str, str]:
    """A rule's answer."""
    return {"rule": value.rule, "detail": value.detail, "source": value.source}


def resolution(value: Resolution, matrix: Matrix) -> dict[str, Any]:
    """What `resolve` prints."""
    body = {
        "request": request(value.request),
        "host": host(value.host),
        "verdict": value.verdict.value,
        "best": None if value.best is None else candidate(value.best, matrix),
        "candidates": [candidate(one, matrix) for one in value.candidates],
        "advice": [{"text": advice.text, "unlocks": list(advice.unlocks)} for advice in value.advice],
        "message": value.message or None,
    }
    return _headed(RESOLVE_SCHEMA, body)


def request(value: Request) -> dict[str, Any]:
    """What was asked for."""
    return {
        "tf": value.tf,
        "tag": value.tag,
        **({} if value.image is None else {"image": value.image}),
        "python": value.python,
        "gpus": value.gpus,
        "registry": value.registry,
    }
