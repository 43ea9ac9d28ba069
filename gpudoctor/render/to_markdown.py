"""Reports as Markdown, for a bug report: what is wrong, what it rests on, what was not known."""

from __future__ import annotations

from collections.abc import Iterator

import gpudoctor
from gpudoctor.facts import Facts
from gpudoctor.findings import CheckResult, Finding, Severity
from gpudoctor.readings import Reading, Unread
from gpudoctor.report import Report
from gpudoctor.resolve import in_words

_NO_REPORT = "Nothing wrong was found."


def report(value: Report) -> str:
    """What `check --format markdown` prints."""
    lines = [f"## gpudoctor {gpudoctor.__version__}: {value.outcome}", ""]
    if value.facts is not None:
        lines.extend((*_host(value.facts), ""))
    roots = [pair for severity in Severity for pair in value.findings(severity) if pair[1].caused_by is None]
    if not roots:
        lines.extend((_NO_REPORT, ""))
    for result, finding in roots:
        lines.extend((*_finding(result, finding, value), ""))
    unknown = [result for result in value.unknown if result.explained_by is None]
    if unknown:
        lines.extend(("### Not known", ""))
        lines.extend(f"- `{one.check}` ({one.subject}): {_plain(one.crash or str(one.unread))}" for one in unknown)
        lines.append("")
    if value.runnable:
        lines.extend(("### TensorFlow", "", "| TensorFlow | image | verdict |", "|---|---|---|"))
        for candidate in value.runnable:
            assert candidate.image.tensorflow is not None  # runnable() holds no other
            verdict = in_words(candidate.verdict)
            lines.append(f"| {candidate.image.tensorflow} | `{candidate.image.tag}` | {verdict} |")
    return "\n".join(lines).rstrip("\n")


def _host(facts: Facts) -> Iterator[str]:
    system, driver = facts.system, facts.driver
    yield "| | |"
    yield "|---|---|"
    rows = (
        ("System", _or(system.os_name)),
        ("Kernel", f"{_or(system.kernel_release)}, {system.architecture}"),
        ("Inside", _or(system.container) or "no container"),
        ("Driver", f"{_or(driver.version)}, module {_or(driver.module_flavour)}"),
        ("CUDA of the driver", _or(driver.driver_cuda_version)),
        ("GPUs", _gpus(facts)),
        ("Engine", _or(facts.engine.version)),
        ("Container toolkit", _or(facts.engine.toolkit_version)),
        ("Read", facts.probed_at),
    )
    yield from (f"| {name} | {_plain(text)} |" for name, text in rows)


def _gpus(facts: Facts) -> str:
    if isinstance(facts.gpus, Unread):
        return _or(facts.gpus)
    counts: dict[str, int] = {}
    for gpu in facts.gpus:
        kind = f"{_or(gpu.name)} ({_or(gpu.compute_capability)})"
        counts[kind] = counts.get(kind, 0) + 1
    return ", ".join(f"{count} × {kind}" for kind, count in counts.items()) or "none"


def _or(reading: Reading[object]) -> str:
    return f"not known: {reading}" if isinstance(reading, Unread) else str(reading)


def _finding(result: CheckResult, finding: Finding, value: Report) -> Iterator[str]:
    yield f"### {finding.severity.value}: {_plain(finding.message)} (`{result.check}`)"
    yield ""
    if result.subject != "host":
        yield f"- on `{result.subject}`"
    for evidence in finding.evidence:
        yield f"- {_code(evidence.source)}: {_code(evidence.value)}"
    for other, consequence in value.consequences(result):
        yield f"- thus: {_plain(consequence.message)} (`{other.check}`)"
    if finding.fix is not None:
        yield f"- mend: {_plain(finding.fix.text)}"
        if finding.fix.commands:
            yield ""
            yield "  ```sh"
            yield from (f"  {_line(command)}" for command in finding.fix.commands)
            yield "  ```"


def _plain(text: str) -> str:
    """Words of the machine, on one line, with nothing that Markdown or HTML would take for its own."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#~" else letter for letter in _line(text))


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _code(text: str) -> str:
    """As code; a text that holds backticks gets more of them around it."""
    line = _line(text).strip() or " "
    longest = max((len(run) for run in _backticks(line)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if longest else ""
    return f"{fence}{blank}{line}{blank}{fence}"


def _backticks(text: str) -> Iterator[str]:
    run = ""
    for letter in f"{text} ":
        if letter == "`":
            run += letter
        elif run:
            yield run
            run = ""
