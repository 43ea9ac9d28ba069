"""Reports as text for a terminal: one line per area when well, cause and fix when not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import gpudoctor
from gpudoctor.checks import AREAS
from gpudoctor.facts import EngineFacts, Facts
from gpudoctor.findings import CheckResult, Finding, Fix, Outcome, Severity
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.render.paint import WIDTH, Paint, plain
from gpudoctor.report import Report
from gpudoctor.resolve import Candidate, in_words
from gpudoctor.sizes import bytes_in_words, memory_in_words
from gpudoctor.verdicts import Verdict

_INDENT = " " * 14

_NAMES = {
    "gpu": "GPU",
    "driver": "Driver",
    "cuda": "CUDA",
    "container": "Containers",
    "image": "Images",
    "slurm": "Slurm",
    "k8s": "Kubernetes",
    "tensorflow": "TensorFlow",
}
_MARKS = {
    "error": ("✗", "red"),
    "warning": ("!", "yellow"),
    "unknown": ("?", "yellow"),
    "info": ("i", "dim"),
    "passed": ("✓", "green"),
    "not_applicable": ("–", "dim"),
}
_CHECK_MARKS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "error",
    Outcome.UNKNOWN: "unknown",
    Outcome.NOT_APPLICABLE: "not_applicable",
    Outcome.CRASHED: "unknown",
}
_MILDER = (Severity.WARNING, Severity.INFO)


def report(
    value: Report, *, paint: Paint = plain, verbose: bool = False, quiet: bool = False, strict: bool = False
) -> str:
    """What `check` says."""
    lines: list[str] = []
    if value.facts is not None and not quiet:
        lines.extend((_headline(value.facts), ""))
    said: set[str] = set()
    for area in _in_order(value):
        still_open = _still_open(area, value, said, quiet=quiet, strict=strict)
        lines.extend(_area(area, value, still_open, paint, verbose=verbose, quiet=quiet))
    if not quiet or value.nothing_runs:
        lines.extend(_tensorflow(value, paint, verbose=verbose))
    if not quiet:
        lines.extend(("", _total(value, paint, strict=strict)))
    return "\n".join(lines)


def _in_order(report: Report) -> list[str]:
    """The areas that were looked at; what is to be mended first comes first, then a machine as it is built up."""
    looked_at = {result.area for result in report.results}
    to_mend = {result.area for result, _ in report.roots}
    return sorted((area for area in AREAS if area in looked_at), key=lambda area: area not in to_mend)


def _headline(facts: Facts) -> str:
    system = facts.system
    name = "this machine" if isinstance(system.hostname, Unread) else system.hostname
    around = [system.architecture]
    if not isinstance(system.os_name, Unread):
        around.insert(0, system.os_name)
    if system.wsl:
        around.append("WSL")
    if system.jetson:
        around.append("Jetson")
    if not isinstance(system.container, Unread) and system.container:
        around.append(f"inside {system.container}")
    return _shown(f"gpudoctor {gpudoctor.__version__} on {name} ({', '.join(around)})")


def _area(
    area: str, report: Report, still_open: list[str], paint: Paint, *, verbose: bool, quiet: bool
) -> Iterator[str]:
    """Errors, but for those that follow from another; without any the area's own line; what is open; the rest."""
    results = [result for result in report.results if result.area == area]
    found = [(result, finding) for result in results for finding in result.findings if finding.caused_by is None]
    errors = [pair for pair in found if pair[1].severity is Severity.ERROR]
    others = [pair for severity in _MILDER for pair in found if pair[1].severity is severity]
    for result, finding in errors:
        yield from _finding(result, finding, report, paint, verbose=verbose)
    if errors or (quiet and not still_open):
        open_lines = still_open
    else:
        mark, text, open_lines = _area_line(area, results, still_open, bool(others), report)
        if text:
            yield from _line(mark, area, text, paint)
    for question in open_lines:
        yield from _wrapped(question, _INDENT, _INDENT)
    for result, finding in others:
        if not quiet or finding.severity is not Severity.INFO:
            yield from _finding(result, finding, report, paint, verbose=verbose)
    if verbose and not quiet:
        for result in results:
            yield from _checked(result, paint)


def _still_open(area: str, report: Report, said: set[str], *, quiet: bool, strict: bool) -> list[str]:
    """Questions without an answer and why; one dead source leaves many of them open and is named once."""
    questions: list[str] = []
    counts = strict and report.outcome != "failed"
    for result in report.results:
        crashed = result.outcome is Outcome.CRASHED
        unexplained = result.unread is not None and (counts or result.explained_by is None)
        shown = counts or result.deciding or not quiet
        reason = f"this check crashed, please report it: {result.crash}" if crashed else str(result.unread)
        if result.area == area and (crashed or unexplained) and shown and reason not in said:
            said.add(reason)
            questions.append(f"not known: whether {result.title[:1].lower()}{result.title[1:]} ({reason})")
    return questions


def _area_line(
    area: str, results: list[CheckResult], still_open: list[str], has_findings: bool, report: Report
) -> tuple[str, str, list[str]]:
    """Mark and text of the line that says what there is in this area, and what is left to say of what is open."""
    summary = _summary(area, report.facts)
    because = {result.explained_by for result in results}
    because |= {finding.caused_by for result in results for finding in result.findings}
    elsewhere = sorted(cause for cause in because if cause is not None and not cause.startswith(f"{area}-"))
    if still_open:
        return ("unknown", summary, still_open) if summary else ("unknown", still_open[0], still_open[1:])
    if any(result.unread is not None and result.explained_by is None for result in results):
        return "unknown", summary or "not known, see above", []
    if elsewhere:
        return "not_applicable", f"{summary or 'not known'}; see {', '.join(elsewhere)}", []
    if has_findings:
        return "passed", summary, []
    if all(result.outcome is Outcome.NOT_APPLICABLE for result in results):
        return "not_applicable", _why_not_asked(area, report), []
    return "passed", summary or "well", []


def _checked(result: CheckResult, paint: Paint) -> Iterator[str]:
    """One check and how it ended, for --verbose."""
    kind = _CHECK_MARKS[result.outcome]
    if result.findings:
        kind = min((finding.severity for finding in result.findings), key=list(Severity).index).value
    mark, colour = _MARKS[kind]
    why = f" ({result.unread})" if result.unread is not None else ""
    subject = "" if result.subject == "host" else f"{result.subject}: "
    yield from _wrapped(f"{subject}{result.title}{why}", f"{_INDENT}{paint(colour, mark)} ", f"{_INDENT}  ")


def _finding(result: CheckResult, finding: Finding, report: Report, paint: Paint, *, verbose: bool) -> Iterator[str]:
    """Message and id, what follows from it, what it rests on, what mends it."""
    yield from _line(finding.severity.value, result.area, f"{finding.message} [{result.check}]", paint)
    for other in report.results:
        for consequence in other.findings:
            if consequence.caused_by == result.check:
                yield from _labelled("thus", consequence.message, paint)
    is_info = finding.severity is Severity.INFO
    if verbose or not is_info:
        for evidence in finding.evidence:
            yield from _labelled("seen", f"{evidence.source} → {evidence.value}", paint)
    if finding.fix is not None:
        yield from _fix(finding.fix, paint, text_only=is_info and not verbose)


def _fix(fix: Fix, paint: Paint, *, text_only: bool) -> Iterator[str]:
    needs = [word for needed, word in ((fix.needs_root, "as root"), (fix.needs_reboot, "with a reboot")) if needed]
    yield from _labelled("mend", fix.text + (f" ({', '.join(needs)})" if needs else ""), paint)
    if not text_only:
        # Never wrapped: they are there to be pasted.
        yield from (f"{_INDENT}      $ {_shown(command)}" for command in fix.commands)
        yield from (f"{_INDENT}      {_shown(url)}" for url in (fix.url,) if url)


def _line(mark: str, area: str, text: str, paint: Paint) -> Iterator[str]:
    sign, colour = _MARKS[mark]
    yield from _wrapped(text, f"{paint(colour, sign)} {paint('bold', _NAMES[area].ljust(11))} ", _INDENT)


def _labelled(label: str, text: str, paint: Paint) -> Iterator[str]:
    yield from _wrapped(text, f"{_INDENT}{paint('dim', label)}  ", f"{_INDENT}      ")


def _wrapped(text: str, first: str, rest: str) -> Iterator[str]:
    """The text within WIDTH columns; `first` may hold colours and takes the same columns as `rest`."""
    lines = textwrap.wrap(_shown(text), WIDTH - len(rest), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield f"{rest if number else first}{line}"


def _shown(text: str) -> str:
    """The text with nothing in it that a terminal would obey: names and details come from elsewhere."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _summary(area: str, facts: Facts | None) -> str:
    if facts is None:
        return ""
    return {"gpu": _gpus, "driver": _driver, "container": _containers}.get(area, lambda _facts: "well")(facts)


def _gpus(facts: Facts) -> str:
    if isinstance(facts.gpus, Unread) or not facts.gpus:
        if facts.system.jetson:
            return "on the chip of this Jetson"
        count = 0 if isinstance(facts.pci_gpus, Unread) else len(facts.pci_gpus)
        return f"{count} on the PCI bus" if count else ""
    kinds: dict[str, int] = {}
    for gpu in facts.gpus:
        capability = (
            "" if isinstance(gpu.compute_capability, Unread) else f", compute capability {gpu.compute_capability}"
        )
        memory = "" if isinstance(gpu.memory_bytes, Unread) else f", {memory_in_words(gpu.memory_bytes)}"
        kind = f"{_or(gpu.name, 'unnamed GPU')}{capability}{memory}"
        kinds[kind] = kinds.get(kind, 0) + 1
    return "; ".join(f"{count} × {kind}" for kind, count in kinds.items())


def _or(reading: Reading[str], default: str) -> str:
    return default if isinstance(reading, Unread) else reading


def _driver(facts: Facts) -> str:
    driver = facts.driver
    if isinstance(driver.version, Unread):
        module = driver.kernel_module_version
        if isinstance(module, Unread):
            return "no module loaded" if module.why is Why.ABSENT else ""
        return f"module {module}"
    flavour = "" if isinstance(driver.module_flavour, Unread) else f", {driver.module_flavour} kernel module"
    cuda = "" if isinstance(driver.driver_cuda_version, Unread) else f", runs CUDA up to {driver.driver_cuda_version}"
    return f"{driver.version}{flavour}{cuda}"


def _containers(facts: Facts) -> str:
    engine = facts.engine
    if isinstance(engine.version, Unread):
        return ""
    hands_out = _how_gpus_are_handed_out(engine)
    free = (
        ""
        if isinstance(engine.data_root_free_bytes, Unread)
        else f", {bytes_in_words(engine.data_root_free_bytes)} free"
    )
    return f"Docker {engine.version}{hands_out}{free}"


def _how_gpus_are_handed_out(engine: EngineFacts) -> str:
    if not isinstance(engine.runtimes, Unread) and "nvidia" in engine.runtimes:
        return " with the runtime nvidia"
    if not isinstance(engine.cdi_devices, Unread) and engine.cdi_devices:
        return f" with {len(engine.cdi_devices)} CDI devices"
    return ""


def _why_not_asked(area: str, report: Report) -> str:
    no_gpu = any(result.check == "gpu-none-present" for result, _ in report.roots)
    return "not asked: there is no GPU to drive" if no_gpu and area == "driver" else "not asked on this machine"


def _tensorflow(report: Report, paint: Paint, *, verbose: bool) -> Iterator[str]:
    """What the host can run: minors of TensorFlow by verdict, best verdict first."""
    by_verdict: dict[Verdict, list[Candidate]] = {}
    for candidate in report.runnable:
        by_verdict.setdefault(candidate.verdict, []).append(candidate)
    running = sorted((verdict for verdict in by_verdict if verdict.runs), key=lambda verdict: verdict.rank)
    if report.nothing_runs:
        text = "none of NVIDIA's images runs here as it is; why: gpudoctor resolve --tf latest"
        yield from _line("error", "tensorflow", text, paint)
    elif not running:
        unknown = "not known which of NVIDIA's images run here"
        text = unknown if Verdict.UNKNOWN in by_verdict else "none of NVIDIA's images runs here"
        until = " until the above is mended" if report.roots else ""
        yield from _line("not_applicable", "tensorflow", f"{text}{until}", paint)
    for number, verdict in enumerate(running):
        text = f"{', '.join(map(_minor, by_verdict[verdict]))}: {in_words(verdict)}"
        yield from _wrapped(text, _INDENT, _INDENT) if number else _line("passed", "tensorflow", text, paint)
    if verbose:
        for candidate in report.runnable:
            yield f"{_INDENT}{_minor(candidate):5} {candidate.image.tag:18} {in_words(candidate.verdict)}"


def _minor(candidate: Candidate) -> str:
    assert candidate.image.tensorflow is not None  # runnable() holds no other
    return ".".join(str(number) for number in candidate.image.tensorflow.minor)


def _total(report: Report, paint: Paint, *, strict: bool) -> str:
    """How it ended; the thing to mend first where there are several."""
    warnings = _count(len(report.findings(Severity.WARNING)), "warning") if report.findings(Severity.WARNING) else ""
    problems = len(report.roots) + report.nothing_runs
    still_open = {
        str(one.unread) if one.unread else one.crash
        for one in report.unknown
        if one.explained_by is None or (strict and not problems)
    }
    questions = f"{_count(len(still_open), 'question')} open" if still_open else ""
    if problems:
        counts = ", ".join(filter(None, (_count(problems, "problem"), warnings, questions)))
        first = f"Mend first: {report.roots[0][1].message}" if len(report.roots) > 1 else ""
        return "\n".join((paint("red", f"{counts}."), *_wrapped(first, "", "")))
    if report.outcome == "unknown":
        return paint("yellow", "Could not look: what decides could not be read.")
    if warnings or questions:
        counts = ", ".join(filter(None, (warnings, questions)))
        return paint("yellow", f"{counts}: too much for --strict." if strict else f"Nothing wrong, {counts}.")
    return paint("green", "Nothing wrong.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
