"""Reports and resolutions as text for a terminal: one line per area when well, cause and fix when not."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator

import gpudoctor
from gpudoctor.checks import AREAS
from gpudoctor.facts import EngineFacts, Facts, Reading, Unread
from gpudoctor.findings import CheckResult, Finding, Fix, Outcome, Severity
from gpudoctor.host import Host
from gpudoctor.report import Report
from gpudoctor.resolve import Candidate, Resolution, in_words
from gpudoctor.sizes import bytes_in_words
from gpudoctor.verdicts import Reason, Verdict, deciding

Paint = Callable[[str, str], str]
"""Colours a text by a name: red, yellow, green, bold, dim."""

WIDTH = 100
_INDENT = " " * 14

_NAMES = {
    "gpu": "GPU",
    "driver": "Driver",
    "cuda": "CUDA",
    "container": "Containers",
    "image": "Images",
    "slurm": "Slurm",
    "k8s": "Kubernetes",
}
_MARKS = {
    "error": ("✗", "red"),
    "warning": ("!", "yellow"),
    "unknown": ("?", "yellow"),
    "info": ("i", "dim"),
    "passed": ("✓", "green"),
    "not_applicable": ("–", "dim"),
}


def plain(_colour: str, text: str) -> str:
    """Paints nothing."""
    return text


def report(value: Report, *, paint: Paint = plain, verbose: bool = False, quiet: bool = False) -> str:
    """What `check` says."""
    lines: list[str] = []
    if value.facts is not None and not quiet:
        lines.extend((_headline(value.facts), ""))
    for area in AREAS:
        results = [result for result in value.results if result.area == area]
        if results:
            lines.extend(_area(area, results, value, paint, verbose=verbose, quiet=quiet))
    if not quiet:
        lines.extend(_tensorflow(value, paint, verbose=verbose))
        lines.extend(("", _total(value, paint)))
    return "\n".join(lines)


def _headline(facts: Facts) -> str:
    system = facts.system
    name = "this machine" if isinstance(system.hostname, Unread) else system.hostname
    around = [system.architecture]
    if not isinstance(system.os_name, Unread):
        around.insert(0, system.os_name)
    if system.wsl:
        around.append("WSL")
    if not isinstance(system.container, Unread) and system.container:
        around.append(f"inside {system.container}")
    return f"gpudoctor {gpudoctor.__version__} on {name} ({', '.join(around)})"


def _area(
    area: str, results: list[CheckResult], report: Report, paint: Paint, *, verbose: bool, quiet: bool
) -> Iterator[str]:
    """The area's line, then each finding that is no consequence of another, its consequences below it."""
    roots = [(result, finding) for result in results for finding in result.findings if finding.caused_by is None]
    unread = [result for result in results if result.unread is not None or result.outcome is Outcome.CRASHED]
    folded = any(finding.caused_by is not None for result in results for finding in result.findings)
    state = _state(results, roots, unread)
    if quiet and state in ("passed", "not_applicable", "info"):
        return
    if roots:
        for result, finding in sorted(roots, key=lambda pair: list(Severity).index(pair[1].severity)):
            mark = _MARKS[finding.severity.value]
            yield _line(mark, area, finding.message, paint)
            yield from _details(finding, paint, verbose=verbose)
            yield from _consequences(result.check, report)
        well = (
            "" if any(finding.severity is not Severity.INFO for _, finding in roots) else _summary(area, report.facts)
        )
        if well and not quiet:
            yield f"{_INDENT}{well}"
    elif state == "passed":
        yield _line(_MARKS[state], area, _summary(area, report.facts), paint)
    elif state == "not_applicable":
        yield _line(_MARKS[state], area, _why_not_asked(area, report), paint)
    elif folded and not unread:
        yield _line(_MARKS["error"], area, "follows from the above", paint)
    said: set[str] = set()
    for result in unread:
        reason = result.crash if result.outcome is Outcome.CRASHED else str(result.unread)
        # One dead source leaves many questions open; it is named once.
        if reason not in said and (state == "unknown" or verbose or result.deciding):
            yield _line(_MARKS["unknown"], area, f"{result.title}: not known, {reason}", paint)
        said.add(reason)


def _state(results: list[CheckResult], roots: list[tuple[CheckResult, Finding]], unread: list[CheckResult]) -> str:
    severities = {finding.severity.value for _, finding in roots}
    for severity in ("error", "warning"):
        if severity in severities:
            return severity
    if unread:
        return "unknown"
    if "info" in severities:
        return "info"
    if any(result.findings for result in results):
        return "folded"
    if all(result.outcome is Outcome.NOT_APPLICABLE for result in results):
        return "not_applicable"
    return "passed"


def _line(mark: tuple[str, str], area: str, text: str, paint: Paint) -> str:
    sign, colour = mark
    wrapped = textwrap.fill(
        text, WIDTH, initial_indent=" " * 14, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )
    return f"{paint(colour, sign)} {paint('bold', _NAMES[area].ljust(11))} {wrapped[14:]}"


def _details(finding: Finding, paint: Paint, *, verbose: bool) -> Iterator[str]:
    if verbose or finding.severity is not Severity.INFO:
        for evidence in finding.evidence:
            yield f"{_INDENT}{paint('dim', 'seen')}  {evidence.source}: {evidence.value}"
    if finding.fix is not None:
        yield from _fix(finding.fix, paint)


def _fix(fix: Fix, paint: Paint) -> Iterator[str]:
    needs = [word for needed, word in ((fix.needs_root, "as root"), (fix.needs_reboot, "with a reboot")) if needed]
    text = fix.text + (f" ({', '.join(needs)})" if needs else "")
    wrapped = textwrap.fill(text, WIDTH, initial_indent=_INDENT + " " * 6, subsequent_indent=_INDENT + " " * 6)
    yield f"{_INDENT}{paint('bold', 'mend')}  {wrapped.lstrip()}"
    for command in fix.commands:
        yield f"{_INDENT}      $ {command}"
    if fix.url:
        yield f"{_INDENT}      {fix.url}"


def _consequences(root: str, report: Report) -> Iterator[str]:
    for result in report.results:
        for finding in result.findings:
            if finding.caused_by == root:
                yield f"{_INDENT}      therefore: {finding.message}"


def _summary(area: str, facts: Facts | None) -> str:
    if facts is None:
        return ""
    return {"gpu": _gpus, "driver": _driver, "container": _containers}.get(area, lambda _facts: "well")(facts)


def _gpus(facts: Facts) -> str:
    if isinstance(facts.gpus, Unread) or not facts.gpus:
        count = 0 if isinstance(facts.pci_gpus, Unread) else len(facts.pci_gpus)
        return f"{count} on the PCI bus"
    kinds: dict[str, int] = {}
    for gpu in facts.gpus:
        capability = (
            "" if isinstance(gpu.compute_capability, Unread) else f", compute capability {gpu.compute_capability}"
        )
        memory = "" if isinstance(gpu.memory_bytes, Unread) else f", {bytes_in_words(gpu.memory_bytes)}"
        kind = f"{_or(gpu.name, 'unnamed GPU')}{capability}{memory}"
        kinds[kind] = kinds.get(kind, 0) + 1
    return "; ".join(f"{count} × {kind}" for kind, count in kinds.items())


def _or(reading: Reading[str], default: str) -> str:
    return default if isinstance(reading, Unread) else reading


def _driver(facts: Facts) -> str:
    driver = facts.driver
    if isinstance(driver.version, Unread):
        return (
            "not loaded"
            if isinstance(driver.kernel_module_version, Unread)
            else f"module {driver.kernel_module_version}"
        )
    flavour = "" if isinstance(driver.module_flavour, Unread) else f", {driver.module_flavour} kernel module"
    cuda = "" if isinstance(driver.driver_cuda_version, Unread) else f", runs CUDA up to {driver.driver_cuda_version}"
    return f"{driver.version}{flavour}{cuda}"


def _containers(facts: Facts) -> str:
    engine = facts.engine
    if isinstance(engine.version, Unread):
        return "no engine"
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
    no_gpu = any(result.check == "gpu-none-present" and result.findings for result in report.results)
    return "not asked: there is no GPU to drive" if no_gpu and area == "driver" else "not asked on this machine"


def _tensorflow(report: Report, paint: Paint, *, verbose: bool) -> Iterator[str]:
    """What the host can run: minors of TensorFlow by verdict, best verdict first."""
    label = paint("bold", "TensorFlow ")
    running = [candidate for candidate in report.runnable if candidate.verdict.runs]
    if not running:
        why = "none of NVIDIA's images runs here as it is"
        if any(candidate.verdict is Verdict.UNKNOWN for candidate in report.runnable):
            why = "which images run here is not known"
        yield f"{paint('dim', '–')} {label} {why}"
        return
    mark = paint("green", "✓")
    by_verdict: dict[Verdict, list[Candidate]] = {}
    for candidate in running:
        by_verdict.setdefault(candidate.verdict, []).append(candidate)
    for verdict in sorted(by_verdict, key=lambda one: one.rank):
        minors = ", ".join(_minor(candidate) for candidate in by_verdict[verdict])
        yield f"{mark} {label} {minors}: {in_words(verdict)}"
        mark, label = " ", " " * 11
    if verbose:
        for candidate in report.runnable:
            yield f"{_INDENT}{_minor(candidate):5} {candidate.image.tag:18} {in_words(candidate.verdict)}"


def _minor(candidate: Candidate) -> str:
    assert candidate.image.tensorflow is not None  # runnable() holds no other
    return ".".join(str(number) for number in candidate.image.tensorflow.minor)


def _total(report: Report, paint: Paint) -> str:
    errors, warnings = report.findings(Severity.ERROR), report.findings(Severity.WARNING)
    roots = [finding for _, finding in errors if finding.caused_by is None] or [finding for _, finding in errors]
    if roots:
        first = _first_to_mend(report)
        more = f", {_count(len(warnings), 'warning')}" if warnings else ""
        return paint("red", f"{_count(len(roots), 'problem')}{more}.") + f" Mend first: {first}"
    if report.outcome == "unknown":
        return paint("yellow", "Could not look: what decides was not readable.")
    if warnings:
        return paint("yellow", f"{_count(len(warnings), 'warning')}, nothing wrong.")
    return paint("green", "Nothing wrong.")


def _first_to_mend(report: Report) -> str:
    for result, finding in report.findings(Severity.ERROR):
        if finding.caused_by is None:
            return result.check
    return report.findings(Severity.ERROR)[0][0].check


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


# --- resolve ---


def resolution(value: Resolution, *, paint: Paint = plain) -> str:
    """What `resolve` says: the choice and why, then why not the others."""
    lines = list(_best(value, paint)) if value.best is not None else list(_none(value, paint))
    rest = [candidate for candidate in value.candidates if candidate is not value.best]
    if rest:
        lines.extend(("", "Others:"))
        lines.extend(_others(rest))
    return "\n".join(lines)


def _on(host: Host) -> str:
    driver = "an unread driver" if isinstance(host.driver, Unread) else f"driver {host.driver}"
    if isinstance(host.gpus, Unread):
        return f"{driver}, GPUs unread"
    kinds: dict[str, int] = {}
    for gpu in host.gpus:
        name = gpu.label.partition(", ")[2] if gpu.index is not None and ", " in gpu.label else gpu.label
        kinds[name] = kinds.get(name, 0) + 1
    gpus = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in kinds.items())
    return f"{gpus or 'no GPU'}, {driver}, {host.architecture}" + (", WSL" if host.wsl else "")


def _best(value: Resolution, paint: Paint) -> Iterator[str]:
    best = value.best
    assert best is not None
    yield paint("green", best.reference)
    yield f"  {_contents(best)}"
    where = "without a GPU" if value.request.cpu_only else f"on {_on(value.host)}"
    yield f"  {in_words(best.verdict)} {where}:"
    for reason in best.all_reasons:
        yield from _bullet(reason)
    if best.confidence != "high":
        yield f"  confidence of this row: {best.confidence}" + (
            f" ({best.image.provenance.note})" if best.image.provenance.note else ""
        )
    tail = " --gpus none" if value.request.cpu_only else ""
    yield f"  start it: gpudoctor run --tag {best.image.tag}{tail}"


def _contents(candidate: Candidate) -> str:
    image = candidate.image
    derived = set(image.derived)
    cells = (
        ("TensorFlow", "tensorflow", image.tensorflow),
        ("CUDA", "cuda", image.cuda),
        ("Python", "python", image.python),
    )
    return ", ".join(
        f"{name} {'unknown' if cell is None else cell}" + (" (derived)" if key in derived else "")
        for name, key, cell in cells
    )


def _none(value: Resolution, paint: Paint) -> Iterator[str]:
    asked = value.request.tag or f"TensorFlow {value.request.tf or 'latest'}"
    if not value.candidates:
        yield paint("red", f"no such image: {value.message}")
    else:
        yield paint("red", f"{asked}: {in_words(value.verdict)} on {_on(value.host)}")
        for reason in value.candidates[0].all_reasons:
            yield from _bullet(reason)
    for advice in value.advice:
        yield textwrap.fill(f"→ {advice.text}", WIDTH, initial_indent="  ", subsequent_indent="    ")


def _bullet(reason: Reason) -> Iterator[str]:
    yield textwrap.fill(
        reason.detail,
        WIDTH,
        initial_indent="    - ",
        subsequent_indent="      ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    yield f"      {reason.source}"


def _others(candidates: list[Candidate]) -> Iterator[str]:
    """By verdict, then by the reason that decided, so that twenty tags of one fate take one line."""
    groups: dict[tuple[Verdict, str], list[str]] = {}
    for candidate in candidates:
        reason = "" if candidate.verdict is Verdict.RUNS else _deciding(candidate)
        groups.setdefault((candidate.verdict, reason), []).append(candidate.image.tag)
    for (verdict, reason), tags in groups.items():
        text = f"{in_words(verdict)}: {', '.join(tags)}" + (f" – {reason}" if reason else "")
        yield textwrap.fill(
            text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
        )


def _deciding(candidate: Candidate) -> str:
    """The reason that the verdict hangs on."""
    reason = deciding(candidate.verdict, candidate.all_reasons)
    return "" if reason is None else reason.detail
