"""Reports as Prometheus metrics, for node_exporter's textfile collector.

Labels are those of NVIDIA's own exporter where it has them: gpu, UUID, modelName, pci_bus_id.
https://prometheus.io/docs/instrumenting/exposition_formats/ and https://github.com/NVIDIA/dcgm-exporter (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import gpudoctor
from gpudoctor.facts import Facts, GpuFacts
from gpudoctor.findings import CheckResult, Outcome, Severity
from gpudoctor.readings import Unread
from gpudoctor.report import Report

_OUTCOMES = ("passed", "warned", "failed", "unknown")

_Sample = tuple[Mapping[str, str], float]


def report(value: Report) -> str:
    """What `check --format prometheus` prints."""
    families = [
        _family("gpudoctor_info", "gpudoctor itself.", [({"version": gpudoctor.__version__}, 1)]),
        _family(
            "gpudoctor_outcome",
            "How the report ended: 1 for the outcome that holds.",
            [({"outcome": name}, float(name == value.outcome)) for name in _OUTCOMES],
        ),
        _family(
            "gpudoctor_findings",
            "Findings by severity.",
            [({"severity": severity.value}, len(value.findings(severity))) for severity in Severity],
        ),
        _family(
            "gpudoctor_check_outcome",
            "How each check ended on its subject: always 1.",
            [({**_of(result), "outcome": result.outcome.value}, 1) for result in value.results],
        ),
        _family("gpudoctor_finding", "What was found, by check: number of findings.", _found(value)),
        _family(
            "gpudoctor_check_unknown",
            "Checks that could not be answered, by check and subject: always 1.",
            [(_of(one), 1) for one in value.results if one.outcome in (Outcome.UNKNOWN, Outcome.CRASHED)],
        ),
    ]
    if value.facts is not None:
        families.extend(_facts(value.facts))
    return "\n".join(family for family in families if family)


def _of(result: CheckResult) -> dict[str, str]:
    labels = {"check": result.check}
    kind, _, uuid = result.subject.partition(":")
    return {**labels, "UUID": uuid} if kind == "gpu" else labels


def _found(value: Report) -> list[_Sample]:
    """One sample a check, subject, severity and root, because a metric may name a set of labels only once."""
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    for result in value.results:
        for finding in result.findings:
            labels = {**_of(result), "severity": finding.severity.value, "caused_by": finding.caused_by or ""}
            key = tuple(labels.items())
            counts[key] = counts.get(key, 0) + 1
    return [(dict(key), count) for key, count in counts.items()]


def _facts(facts: Facts) -> Iterable[str]:
    probed = datetime.fromisoformat(facts.probed_at.replace("Z", "+00:00")).timestamp()
    yield _family("gpudoctor_probe_timestamp_seconds", "When the host was read.", [({}, probed)])
    driver = {
        "driver_version": facts.driver.version,
        "cuda_version": facts.driver.driver_cuda_version,
        "module_flavour": facts.driver.module_flavour,
    }
    known = {name: str(reading) for name, reading in driver.items() if not isinstance(reading, Unread)}
    yield _family("gpudoctor_driver_info", "The driver in use.", [(known, 1)] if known else [])
    gpus = () if isinstance(facts.gpus, Unread) else facts.gpus
    yield _family("gpudoctor_gpu_info", "A GPU that the driver lists.", [(_gpu(gpu), 1) for gpu in gpus])


def _gpu(gpu: GpuFacts) -> dict[str, str]:
    readings = {
        "UUID": gpu.uuid,
        "modelName": gpu.name,
        "pci_bus_id": gpu.pci_address,
        "compute_capability": gpu.compute_capability,
    }
    return {
        "gpu": str(gpu.index),
        **{name: str(reading) for name, reading in readings.items() if not isinstance(reading, Unread)},
    }


def _family(name: str, help_: str, samples: list[_Sample]) -> str:
    """A metric with its samples; without any it is left out, so that none is mistaken for zero."""
    if not samples:
        return ""
    lines = [f"# HELP {name} {help_}", f"# TYPE {name} gauge"]
    for labels, number in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{inside}}} {number:.15g}" if inside else f"{name} {number:.15g}")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    shown = "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)
    return shown.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
