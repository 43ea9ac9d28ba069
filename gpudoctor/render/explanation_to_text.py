"""Explanations as text for a terminal: a check's own words, or what a log tells."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from gpudoctor.checks import Check
from gpudoctor.explain import Explanation, Suspect, Verdict
from gpudoctor.findings import Fix
from gpudoctor.render.paint import WIDTH, Paint, plain

_PARAGRAPH = "\n\n"
_LEAST_SAID = 60
_SYMBOLS = {"error": ("✗", "red"), "warning": ("!", "yellow"), "info": ("i", "dim")}


def check(value: Check, *, paint: Paint = plain) -> str:
    """The long text of a check: what it looks at, the cause, how to see it, what mends it, where to read more."""
    lines = [f"{paint('bold', value.id)}: {value.title}", ""]
    for paragraph in value.cause.split("\n\n"):
        lines.extend((*_wrapped(" ".join(paragraph.split())), ""))
    lines.extend(_labelled("see", value.decided_by, paint, command=True))
    lines.extend(_labelled("mend", value.mended_by, paint))
    for number, link in enumerate(value.links):
        lines.append(f"{paint('dim', 'read') if not number else '    '}  {link}")
    return "\n".join(lines)


def explanation(value: Explanation, *, paint: Paint = plain, verbose: bool = False) -> str:
    """What a log tells: the cause, or what it may be and the command that decides."""
    if not value.suspects:
        read = f"{value.lines:,} line{'' if value.lines == 1 else 's'}"
        return f"Nothing known in {read}. What this machine itself says: gpudoctor check"
    answers = value.answers
    lines: list[str] = []
    for suspect in answers:
        lines.extend((*_answer(suspect, paint), ""))
    others = _others(value, verbose=verbose)
    if others:
        lines.append("The log allows as well:" if answers else "It may be one of these, and what to see tells which:")
        lines.extend(_candidates(others, paint))
    past = () if answers or others else value.past
    if past:
        lines.append("The log says this, and the machine does not show it, or no longer:")
        lines.extend(_candidates(past, paint))
    ruled_out = [one.check.id for one in value.suspects if one.verdict is Verdict.RULED_OUT and one not in past]
    if ruled_out:
        lines.extend((*_wrapped(f"Ruled out by this machine's facts: {', '.join(ruled_out)}."), ""))
    if not value.judged:
        lines.append("Judged by the log's words alone; --facts FILE adds what its machine says.")
    return "\n".join(lines).rstrip("\n")


def _others(value: Explanation, *, verbose: bool) -> list[Suspect]:
    """What else may be; what another's line says already is told by -v alone."""
    answers = value.answers
    others = [one for one in value.suspects if one not in answers and one.verdict is Verdict.OPEN]
    if verbose:
        return others
    told = {line.number for one in (*answers, *others) if one in answers or not one.is_sign for line in one.lines}
    by_answers = {line.number for one in answers for line in one.lines}
    return [
        one for one in others if not (told if one.is_sign else by_answers).issuperset(line.number for line in one.lines)
    ]


def _answer(suspect: Suspect, paint: Paint) -> Iterator[str]:
    check, finding = suspect.check, suspect.finding
    if finding is None:
        kind = "info" if check.mended_by.startswith("nothing") else "error"
        message = f"{check.id}: {' '.join(check.cause.split(_PARAGRAPH)[0].split())}"
    else:
        kind, message = finding.severity.value, f"{finding.message} [{check.id}]"
    symbol, colour = _SYMBOLS[kind]
    yield from _wrapped(message, paint(colour, symbol) + " ", "  ")
    if suspect.root is not None:
        yield from _labelled("because", f"of {suspect.root}: mend that first", paint, indent="  ")
    for line in suspect.lines[:1]:
        times = f" ({suspect.count} lines like it)" if suspect.count > 1 else ""
        yield from _labelled("said", f"line {line.number}: {line.text}{times}", paint, indent="  ")
    if finding is not None and finding.fix is not None:
        yield from _fix(finding.fix, paint)
    else:
        yield from _labelled("see", check.decided_by, paint, indent="  ", command=True)
        yield from _labelled("mend", check.mended_by, paint, indent="  ")


def _candidates(suspects: Iterable[Suspect], paint: Paint) -> Iterator[str]:
    """Each with the line that speaks of it, where that is not the one of its neighbour above."""
    told = None
    for suspect in suspects:
        line = suspect.lines[0]
        if line != told:
            yield from _labelled("said", f"line {line.number}: {line.text}", paint, indent="  ")
            told = line
        yield from _candidate(suspect, paint)
        yield ""


def _candidate(suspect: Suspect, paint: Paint) -> Iterator[str]:
    check = suspect.check
    yield from _wrapped(f"{check.id}: {_beginning(check.cause)}", "  - ", "    ")
    yield from _labelled("see", check.decided_by, paint, indent="    ", command=True)
    yield from _labelled("mend", check.mended_by, paint, indent="    ")


def _beginning(cause: str) -> str:
    """As many sentences of a text as say something."""
    first, *others = " ".join(cause.split(_PARAGRAPH)[0].split()).split(". ")
    while others and len(first) < _LEAST_SAID:
        first = f"{first}. {others.pop(0)}"
    return first.rstrip(".")


def _fix(fix: Fix, paint: Paint) -> Iterator[str]:
    yield from _labelled("mend", fix.text, paint, indent="  ")
    yield from (f"        $ {command}" for command in fix.commands)
    if fix.url:
        yield f"        {fix.url}"


def _labelled(label: str, text: str, paint: Paint, *, indent: str = "", command: bool = False) -> Iterator[str]:
    """A line with its label; a command is never broken, because it is there to be pasted."""
    first = f"{indent}{paint('dim', label)}  "
    if command:
        yield f"{first}{text}"
        return
    yield from _wrapped(text, first, f"{indent}{' ' * (len(label) + 2)}")


def _wrapped(text: str, first: str = "", rest: str = "") -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - len(rest), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield f"{rest if number else first}{line}"
