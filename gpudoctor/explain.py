"""Which of the known faults a log speaks of, and which of them the facts of its machine allow.

Many faults share one text: `could not select device driver` has three causes. So every check that knows a line is a
suspect, and the check itself, asked with the facts, says whether it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from gpudoctor.checks import Check
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity

# As much of a line as is looked at; the longest of the texts that are known is a tenth of it.
MOST_LINE_BYTES = 8192

# Lines kept of each suspect: enough to recognise the text, the rest is counted.
_MOST_LINES = 3
_MOST_SHOWN = 200
_SHOWN_BEFORE = 40

# Checks whose texts are those of any fault of their kind: beside them a text still tells its fault.
_SIGNS = frozenset({"cuda-init-failed", "gpu-not-listed", "gpu-xid", "driver-not-loaded"})

# Small letters and the ends of lines; everything else is a blank.
_LETTERS = bytes(
    byte if byte == 10 else ord(letter) if (letter := chr(byte).lower()).isascii() and letter.isalpha() else 32
    for byte in range(256)
)

# Colours of terminals; JSON's \u001b and \u003e, which Go writes for > too; quotes within quotes.
_COLOUR = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
_JSON = re.compile(rb"\\u00(1b|2[267]|3[ce])", re.IGNORECASE)
_QUOTED = re.compile(rb"""\\+(["'])""")


class Verdict(str, Enum):
    """What becomes of a suspect when the facts are asked."""

    HOLDS = "holds"
    """Its check finds it on the machine."""
    OPEN = "open"
    """The facts do not tell, or there are none."""
    RULED_OUT = "ruled_out"
    """Its check looked, and it is not so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that a suspect's symptom was found in."""

    number: int
    """From 1."""
    text: str
    """At most 200 characters of it and what stands for the others, nothing unprintable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A check whose symptom stands in the log."""

    check: Check
    lines: tuple[LogLine, ...]
    """The first of them."""
    count: int
    """How many lines in all."""
    rivals: frozenset[str]
    """Ids of the other checks that know its plainest line, too: none where the text alone tells."""
    verdict: Verdict = Verdict.OPEN
    finding: Finding | None = None
    """What its check found, where it holds."""
    root: str | None = None
    """Id of the check that its finding follows from."""

    @property
    def is_sign(self) -> bool:
        """Its texts are those of any fault of its kind: it is the answer where nothing else is."""
        return self.check.id in _SIGNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a log tells."""

    lines: int
    """Read."""
    suspects: tuple[Suspect, ...]
    """Likeliest first."""
    judged: bool
    """The facts of a machine were asked."""

    @property
    def answers(self) -> tuple[Suspect, ...]:
        """What is the matter: what holds, and what lines that this does not explain name all by themselves."""
        holding = self._of(Verdict.HOLDS)
        explained = {line.number for one in holding for line in one.lines}
        ruled_out = {one.check.id for one in self._of(Verdict.RULED_OUT)}
        named = [
            one
            for one in self._of(Verdict.OPEN)
            if one.rivals <= ruled_out and not explained.issuperset(line.number for line in one.lines)
        ]
        known = {one.check.id for one in (*holding, *named)}
        alone = not holding and all(one.is_sign for one in self._of(Verdict.OPEN))
        return (
            *holding,
            *(one for one in named if known.isdisjoint(one.check.caused_by) and (alone or not one.is_sign)),
        )

    @property
    def past(self) -> tuple[Suspect, ...]:
        """What the log names all by itself, and the machine does not show, or no longer."""
        return tuple(one for one in self._of(Verdict.RULED_OUT) if not one.rivals)

    def _of(self, verdict: Verdict) -> tuple[Suspect, ...]:
        return tuple(one for one in self.suspects if one.verdict is verdict)


class Reader:
    """Finds symptoms in lines.

    A block of a log is first asked for its words, once for all lines that differ in their numbers alone. Where those of
    a symptom are missing, which is nearly everywhere, it need not be looked for. On one core of a busy machine: the log
    of a training at 140 MB/s, that of a cluster that speaks of GPUs in every line at 65, the source of Python, which
    holds nearly every word, at 20; by a search for each literal in each block and line, 7 and 0.4 for the first and
    the last (3.11, 2026-11).
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = {check.id: check for check in checks}
        self._needs = [
            (literal, literal.translate(_LETTERS), *_words(branch), (check.id, symptom))
            for check in self._checks.values()
            for symptom in check.symptoms
            for literal, branch in zip(literals(symptom), _branches(symptom), strict=True)
        ]
        self._compiled: dict[str, re.Pattern[str]] = {}

    def read(self, blocks: Iterable[bytes]) -> Explanation:
        """The suspects of a log, in memory that does not grow with it. Each block ends where a line does."""
        total = 0
        hits: dict[str, list[LogLine]] = {}
        counts: dict[str, int] = {}
        rivals: dict[str, frozenset[str]] = {}
        for block in blocks:
            for number, text, found in self._found(_undressed(block)):
                for id_, place in found.items():
                    others = frozenset(found.keys() - {id_} - _SIGNS)
                    counts[id_] = counts.get(id_, 0) + 1
                    rivals[id_] = min(rivals.get(id_, others), others, key=len)
                    if len(hits.setdefault(id_, [])) < _MOST_LINES:
                        hits[id_].append(LogLine(number=total + number, text=_shown(text, place)))
            total += block.count(b"\n") + (not block.endswith(b"\n") and bool(block))
        suspects = (
            Suspect(check=self._checks[id_], lines=tuple(lines), count=counts[id_], rivals=rivals[id_])
            for id_, lines in hits.items()
        )
        return Explanation(lines=total, suspects=tuple(sorted(suspects, key=_likelihood)), judged=False)

    def _found(self, block: bytes) -> Iterator[tuple[int, str, dict[str, int]]]:
        """Lines that symptoms stand in: their number from 1, their text, the checks and where they speak."""
        number, counted = 1, 0
        for start, asked in sorted(self._candidates(block).items()):
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            text = block[start : min(end, start + MOST_LINE_BYTES)].decode("utf-8", "replace")
            found: dict[str, int] = {}
            for id_, symptom in asked:
                match = self._pattern(symptom).search(text)
                if match is not None:
                    found[id_] = min(found.get(id_, match.start()), match.start())
            if found:
                number, counted = number + block.count(b"\n", counted, start), start
                yield number, text, found

    def _candidates(self, block: bytes) -> dict[int, set[tuple[str, str]]]:
        """By where a line begins: the symptoms of which it holds a literal."""
        # Lines that differ in their numbers alone hold the same words.
        spoken = b"\n".join(frozenset(block.translate(_LETTERS).split(b"\n")))
        words = frozenset(spoken.split())
        spelt = b" ".join(words)
        there: dict[bytes, bool] = {}
        candidates: dict[int, set[tuple[str, str]]] = {}
        lowered = b""
        for literal, letters, whole, parts, symptom in self._needs:
            if not whole <= words:
                continue
            for part in parts - there.keys():
                there[part] = part in words or part in spelt
            if all(there[part] for part in parts) and letters in spoken:
                lowered = lowered or block.lower()
                place = lowered.find(literal)
                while place >= 0:
                    start = lowered.rfind(b"\n", 0, place) + 1
                    candidates.setdefault(start, set()).add(symptom)
                    end = lowered.find(b"\n", place)
                    place = lowered.find(literal, end) if end >= 0 else -1
        return candidates

    def _pattern(self, symptom: str) -> re.Pattern[str]:
        if symptom not in self._compiled:
            self._compiled[symptom] = re.compile(symptom, re.IGNORECASE)
        return self._compiled[symptom]


def judged(explanation: Explanation, results: Iterable[CheckResult], *, in_container: bool = True) -> Explanation:
    """The same suspects, each with what its check says of the machine.

    Outside of any container, a question about GPU, driver or CUDA that makes no sense there is answered: no WSL, no
    MIG. Questions about containers stay open, because the log may be one's.
    """
    by_check: dict[str, list[CheckResult]] = {}
    for result in results:
        by_check.setdefault(result.check, []).append(result)
    suspects = tuple(_judged(one, by_check.get(one.check.id, []), in_container) for one in explanation.suspects)
    return Explanation(lines=explanation.lines, suspects=tuple(sorted(suspects, key=_likelihood)), judged=True)


def _judged(suspect: Suspect, results: list[CheckResult], in_container: bool) -> Suspect:
    found = [
        finding
        for result in results
        for finding in result.findings
        if finding.severity in (Severity.ERROR, Severity.WARNING) or finding.caused_by is None
    ]
    well = {Outcome.PASSED}
    if not in_container and suspect.check.area in ("gpu", "driver", "cuda"):
        well.add(Outcome.NOT_APPLICABLE)
    if found:
        worst = min(found, key=lambda finding: list(Severity).index(finding.severity))
        return replace(suspect, verdict=Verdict.HOLDS, finding=worst, root=worst.caused_by)
    if results and all(result.outcome in well for result in results):
        return replace(suspect, verdict=Verdict.RULED_OUT)
    return suspect


def _likelihood(suspect: Suspect) -> tuple[int, bool, bool, int, int, str]:
    """What holds before what may, roots before what follows from them, plain texts before shared ones, then age."""
    place = list(Verdict).index(suspect.verdict)
    return (
        place,
        suspect.root is not None,
        suspect.is_sign,
        len(suspect.rivals),
        suspect.lines[0].number,
        suspect.check.id,
    )


def _undressed(block: bytes) -> bytes:
    """The block without what a terminal, a logger or JSON put around and into its words; as many lines."""
    if b"\\u00" in block:
        block = _JSON.sub(lambda match: bytes((int(match[1], 16),)), block)
    if b'\\"' in block or b"\\'" in block:
        block = _QUOTED.sub(rb"\1", block)
    return _COLOUR.sub(b"", block) if b"\x1b" in block else block


def _words(branch: str) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """The words, and the parts of words, that a block must hold where an alternative of a symptom matches."""
    whole: set[bytes] = set()
    parts: set[bytes] = set()
    for run in _runs(branch):
        words = run.encode().translate(_LETTERS).split()
        if words and run[:1].isalpha():
            parts.add(words.pop(0))
        if words and run[-1:].isalpha():
            parts.add(words.pop())
        whole.update(words)
    return frozenset(whole), frozenset(parts)


def _shown(text: str, place: int) -> str:
    """The line, or the stretch of it that speaks; nothing that a terminal would obey: logs hold colours, and worse."""
    start = 0 if len(text) <= _MOST_SHOWN else max(0, place - _SHOWN_BEFORE)
    shown = "".join(letter for letter in text[start:].strip() if letter.isprintable())
    return ("…" if start else "") + (shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…")


def literals(symptom: str) -> tuple[bytes, ...]:
    """Of every alternative of a regular expression, the longest text that a line must hold, lower case.

    Reads the expressions of the checks, which are plain: what stands in brackets, and what may be left out, counts
    for nothing. An alternative without a literal gives an empty one.
    """
    return tuple(max(_runs(branch), key=len, default="").lower().encode() for branch in _branches(symptom))


def _branches(symptom: str) -> list[str]:
    """Split at each | outside of brackets."""
    branches, depth, start, place = [], 0, 0, 0
    while place < len(symptom):
        letter = symptom[place]
        if letter == "\\":
            place += 1
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "|" and depth == 0:
            branches.append(symptom[start:place])
            start = place + 1
        place += 1
    return [*branches, symptom[start:]]


def _runs(branch: str) -> Iterator[str]:
    """Stretches of plain letters outside of brackets."""
    run, depth, place = "", 0, 0
    while place < len(branch):
        letter = branch[place]
        plain: str | None = letter
        if letter == "\\":
            place += 1
            plain = branch[place] if place < len(branch) and not branch[place].isalnum() else None
        elif letter in "([":
            depth += 1
            plain = None
        elif letter in ")]":
            depth -= 1
            plain = None
        elif letter in "^$.":
            plain = None
        elif letter in "*?+{":
            # What stands before it may be missing, or come more than once.
            yield run[:-1]
            run, plain = "", None
            if letter == "{":
                place = branch.find("}", place)
        if plain is None or depth:
            yield run
            run = ""
        else:
            run += plain
        place += 1
    yield run
