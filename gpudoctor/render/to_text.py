"""Reports as text for a terminal: one line per area when well, cause and fix when not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import gpudoctor
from gpudoctor.checks import AREAS
from gpudoctor.facts import EngineFacts, Facts, PythonFacts, Variable
from gpudoctor.findings import CheckResult, Evidence, Fix, Outcome, Severity
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.render.alike import Block, Words, blocks, messages, numbers_in_words, without_numbers
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

# Of these a machine has either all or none: where none of their questions makes sense, there is no line.
_ONLY_SOMEWHERE = ("cuda", "image", "slurm", "k8s")


def report(
    value: Report, *, paint: Paint = plain, verbose: bool = False, quiet: bool = False, strict: bool = False
) -> str:
    """What `check` says."""
    lines: list[str] = []
    if value.facts is not None and not quiet:
        lines.extend((_headline(value.facts), ""))
    tensorflow = list(_tensorflow(value, paint, verbose=verbose)) if not quiet or value.nothing_runs else []
    first = value.nothing_runs and not value.roots
    lines.extend(tensorflow if first else ())
    said: set[str] = set()
    for area in _in_order(value):
        still_open = _still_open(area, value, said, quiet=quiet, strict=strict)
        lines.extend(_area(area, value, still_open, said, paint, verbose=verbose, quiet=quiet))
    lines.extend(() if first else tensorflow)
    if not quiet:
        lines.extend(("", _total(value, paint, verbose=verbose, strict=strict)))
    return "\n".join(lines)


def _in_order(report: Report) -> list[str]:
    """The areas that were looked at.

    1. What is to be mended. 2. Where nothing is, what could not be looked at. 3. A machine as it is built up.
    """
    looked_at = {result.area for result in report.results}
    first = {result.area for result, _ in report.roots}
    if report.outcome == "unknown":
        first = {(result.explained_by or result.check).partition("-")[0] for result in _undecided(report)}
    return sorted((area for area in AREAS if area in looked_at), key=lambda area: area not in first)


def _undecided(report: Report) -> list[CheckResult]:
    """Questions without whose answers the host is not judged."""
    return [result for result in report.unknown if result.deciding] if report.outcome == "unknown" else []


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
    area: str, report: Report, still_open: list[str], said: set[str], paint: Paint, *, verbose: bool, quiet: bool
) -> Iterator[str]:
    """What is to be mended, but for what follows from it; else the area's own line; what is open; the rest."""
    results = [result for result in report.results if result.area == area]
    found = [(result, finding) for result in results for finding in result.findings if finding.caused_by is None]
    why_undecided = {result.explained_by for result in _undecided(report)}
    first = [pair for pair in found if pair[1].severity is Severity.ERROR or pair[0].check in why_undecided]
    others = [pair for severity in _MILDER for pair in found if pair[1].severity is severity and pair not in first]
    for block in blocks(first, apart=verbose):
        yield from _block(block, report, said, paint, verbose=verbose)
    if first or (quiet and not still_open):
        open_lines = still_open
    else:
        mark, text, open_lines = _area_line(area, results, still_open, bool(others), report)
        if text and (verbose or mark != "not_applicable" or area not in _ONLY_SOMEWHERE):
            yield from _line(mark, area, text, paint)
    for question in open_lines:
        yield from _wrapped(question, _INDENT, _INDENT)
    for block in blocks(others, apart=verbose):
        if not quiet or block.first[1].severity is not Severity.INFO:
            yield from _block(block, report, said, paint, verbose=verbose)
    if verbose and not quiet:
        for alike in _checked_alike(results):
            yield from _checked(alike, report.facts, paint)


def _still_open(area: str, report: Report, said: set[str], *, quiet: bool, strict: bool) -> list[str]:
    """Questions without an answer and why; one dead source leaves many of them open and is named once."""
    questions: list[str] = []
    counts = strict and report.outcome != "failed"
    for result in report.results:
        unexplained = result.unread is not None and (counts or result.explained_by is None)
        shown = counts or result.deciding or not quiet
        reason = _reason(result)
        if result.area == area and (result.crash or unexplained) and shown and reason not in said:
            said.add(reason)
            alike = {one.title for one in report.unknown if _reason(one) == reason} - {result.title}
            more = f", and {_count(len(alike), 'question')} more" if alike else ""
            why = f"this check crashed, please report it: {result.crash}" if result.crash else str(result.unread)
            questions.append(f"not known: whether {_inside(result.title)}{more} ({why})")
    return questions


def _reason(result: CheckResult) -> str:
    """What left a check without an answer; a GPU that refuses every call with one code is one reason."""
    unread = result.unread
    if result.crash or unread is None:
        return result.crash
    return str(unread) if unread.code is None else f"{unread.why.value} {unread.code}: {unread.detail}"


def _inside(title: str) -> str:
    """A title as it stands inside a sentence; CUDA stays CUDA."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


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
    if area in ("driver", "cuda") and any(result.check == "gpu-none-present" for result, _ in report.roots):
        return "not_applicable", "not asked: there is no GPU to drive", []
    if any(result.unread is not None and result.explained_by is None for result in results):
        return "unknown", summary or "not known, see above", []
    if elsewhere:
        return "not_applicable", f"{summary or 'not known'}; see {', '.join(elsewhere)}", []
    if has_findings:
        return "passed", summary, []
    if all(result.outcome is Outcome.NOT_APPLICABLE for result in results):
        return "not_applicable", "not asked on this machine", []
    return "passed", summary or "well", []


def _checked_alike(results: list[CheckResult]) -> list[list[CheckResult]]:
    """Each check with the GPUs on which it ended in one way."""
    groups: dict[object, list[CheckResult]] = {}
    for result in results:
        key = (result.check, result.outcome, _gravest(result), str(result.unread))
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def _gravest(result: CheckResult) -> Severity | None:
    return min((finding.severity for finding in result.findings), key=list(Severity).index, default=None)


def _checked(alike: list[CheckResult], facts: Facts | None, paint: Paint) -> Iterator[str]:
    """One check and how it ended, for --verbose."""
    result, gravest = alike[0], _gravest(alike[0])
    mark, colour = _MARKS[_CHECK_MARKS[result.outcome] if gravest is None else gravest.value]
    why = f" ({result.unread})" if result.unread is not None else ""
    gpus = () if facts is None or isinstance(facts.gpus, Unread) else facts.gpus
    here = {one.subject for one in alike}
    indices = [gpu.index for gpu in gpus if {f"gpu:{gpu.uuid}", f"gpu:{gpu.index}"} & here]
    subject = f"GPU {numbers_in_words(indices)}: " if indices else ""
    yield from _wrapped(f"{subject}{result.title}{why}", f"{_INDENT}{paint(colour, mark)} ", f"{_INDENT}  ")


def _block(block: Block, report: Report, said: set[str], paint: Paint, *, verbose: bool) -> Iterator[str]:
    """Message and id, what follows from it, what it rests on, what else is like it, what mends all of it."""
    result, finding = block.first
    first, *others = block.words
    yield from _line(finding.severity.value, result.area, f"{first.message} [{result.check}]", paint)
    following = [pair for root, _ in block.found for pair in report.consequences(root)]
    for message in messages(following, apart=verbose):
        if message not in said:
            said.add(message)
            yield from _labelled("thus", message, paint)
    in_full = verbose or finding.severity is not Severity.INFO
    shown: set[str] = set()
    yield from _seen(first, shown, paint) if in_full else ()
    for words in others:
        yield from _labelled("also", words.message, paint)
        yield from _seen(words, shown, paint) if in_full else ()
    if finding.fix is not None:
        yield from _fix(finding.fix, paint, text_only=not in_full)
        if in_full and block.has_other_commands:
            yield from _labelled("each", "of the others in the same way; -v has their commands", paint)


def _seen(words: Words, shown: set[str], paint: Paint) -> Iterator[str]:
    """The evidence, where none like it was shown before."""
    for evidence in words.evidence:
        if without_numbers(_in_line(evidence)) not in shown:
            yield from _labelled("seen", _in_line(evidence), paint)
    shown.update(without_numbers(_in_line(evidence)) for evidence in words.evidence)


def _in_line(evidence: Evidence) -> str:
    return f"{evidence.source} → {evidence.value}"


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
    summaries = {"gpu": _gpus, "driver": _driver, "cuda": _cuda, "container": _containers, "image": _images}
    return summaries.get(area, lambda _facts: "well")(facts)


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


def _cuda(facts: Facts) -> str:
    cuda = facts.cuda
    if isinstance(cuda, Unread) or isinstance(cuda.init, Unread):
        return ""
    version = "it" if isinstance(cuda.version, Unread) else str(cuda.version)
    count = cuda.device_count
    devices = "" if isinstance(count, Unread) else f" and shows {count} GPU{'' if count == 1 else 's'}"
    return f"{version} starts{devices}"


def _containers(facts: Facts) -> str:
    engine, inside = facts.engine, facts.system.container
    if isinstance(engine.version, Unread):
        if not isinstance(inside, Unread) and inside:
            return _here_inside(inside, facts.system.shm_bytes)
        return "" if isinstance(engine.podman_version, Unread) else f"podman {engine.podman_version}"
    hands_out = _how_gpus_are_handed_out(engine)
    free = (
        ""
        if isinstance(engine.data_root_free_bytes, Unread)
        else f", {bytes_in_words(engine.data_root_free_bytes)} free"
    )
    return f"Docker {engine.version}{hands_out}{free}"


def _here_inside(container: str, shm_bytes: Reading[int]) -> str:
    shm = "" if isinstance(shm_bytes, Unread) else f" with {memory_in_words(shm_bytes)} of shared memory"
    return f"this is inside {container}{shm}"


def _how_gpus_are_handed_out(engine: EngineFacts) -> str:
    if not isinstance(engine.runtimes, Unread) and "nvidia" in engine.runtimes:
        return " with the runtime nvidia"
    if not isinstance(engine.cdi_devices, Unread) and engine.cdi_devices:
        return f" with {len(engine.cdi_devices)} CDI devices"
    return ""


def _images(facts: Facts) -> str:
    """What the image around us and the Python that --python names hold."""
    return "; ".join(filter(None, (_image(facts.system.variables), _python(facts.python))))


def _image(variables: Reading[tuple[Variable, ...]]) -> str:
    """By the variables that NVIDIA's images set."""
    stated = {} if isinstance(variables, Unread) else {one.name: one.value for one in variables}
    parts = [
        f"{word} {stated[name]}"
        for name, word in (
            ("NVIDIA_TENSORFLOW_VERSION", "NVIDIA's image"),
            ("TENSORFLOW_VERSION", "TensorFlow"),
            ("CUDA_VERSION", "CUDA"),
        )
        if stated.get(name)
    ]
    return ", ".join(parts)


def _python(python: Reading[PythonFacts]) -> str:
    if isinstance(python, Unread):
        return ""
    package = python.tensorflow
    tensorflow = "" if isinstance(package, Unread) else f"{package.name} {package.version} in "
    return f"{tensorflow}Python {python.version}"


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


def _total(report: Report, paint: Paint, *, verbose: bool, strict: bool) -> str:
    """How it ended; the thing to mend first where there are several."""
    roots = blocks(report.roots, apart=verbose)
    own = [pair for pair in report.findings(Severity.WARNING) if pair[1].caused_by is None]
    warnings = _count(len(blocks(own, apart=verbose)), "warning") if own else ""
    problems = len(roots) + report.nothing_runs
    still_open = {_reason(one) for one in report.unknown if one.explained_by is None or (strict and not problems)}
    questions = f"{_count(len(still_open), 'question')} open" if still_open else ""
    if problems:
        counts = ", ".join(filter(None, (_count(problems, "problem"), warnings, questions)))
        first = f"Mend first: {roots[0].words[0].message}" if len(roots) > 1 else ""
        return "\n".join((paint("red", f"{counts}."), *_wrapped(first, "", "")))
    if report.outcome == "unknown":
        also = f"; {warnings}" if warnings else ""
        return paint("yellow", f"Could not look: what decides could not be read{also}.")
    if warnings or questions:
        counts = ", ".join(filter(None, (warnings, questions)))
        return paint("yellow", f"{counts}: too much for --strict." if strict else f"Nothing wrong, {counts}.")
    return paint("green", "Nothing wrong.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
