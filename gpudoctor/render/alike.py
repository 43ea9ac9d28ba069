"""Findings that say the same of several GPUs, put together for people: one block in place of eight."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpudoctor.findings import CheckResult, Evidence, Finding

Found = tuple[CheckResult, Finding]

# How findings name a GPU: by its index, or by its place on the bus.
_PLACE = re.compile(r"\bGPU (?P<index>\d+)\b|\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]\b")

# What differs between GPUs that suffer from the same: numbers and UUIDs.
_VARYING = re.compile(r"\b(?:GPU|MIG)-[0-9a-f-]+|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The same words, said of one GPU or of several."""

    message: str
    """Names every GPU that it is said of."""
    evidence: tuple[Evidence, ...]
    """Of the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Findings of one check that the same mends."""

    found: tuple[Found, ...]
    words: tuple[Words, ...]
    """More than one where the GPUs differ in more than their names."""

    @property
    def first(self) -> Found:
        """The one that is said in full."""
        return self.found[0]

    @property
    def has_other_commands(self) -> bool:
        """Whether the others are mended by the same commands with another GPU in them."""
        return len({finding.fix.commands for _, finding in self.found if finding.fix is not None}) > 1


def blocks(found: Iterable[Found], *, apart: bool = False) -> tuple[Block, ...]:
    """Put together what the same mends, in order; `apart` leaves every finding alone."""
    together = _grouped(found, _of_one_block, apart=apart)
    return tuple(Block(found=tuple(pairs), words=_words(pairs, apart=apart)) for pairs in together)


def messages(found: Iterable[Found], *, apart: bool = False) -> tuple[str, ...]:
    """What findings say, each thing once."""
    return tuple(words.message for words in _words(found, apart=apart))


def _words(found: Iterable[Found], *, apart: bool) -> tuple[Words, ...]:
    together = _grouped(found, _of_the_same_words, apart=apart)
    return tuple(Words(message=_of_all(pairs), evidence=pairs[0][1].evidence) for pairs in together)


def _grouped(found: Iterable[Found], key: Callable[[Found], object], *, apart: bool) -> list[list[Found]]:
    groups: dict[object, list[Found]] = {}
    for number, pair in enumerate(found):
        names_a_gpu = _PLACE.search(pair[1].message) is not None
        groups.setdefault(number if apart or not names_a_gpu else key(pair), []).append(pair)
    return list(groups.values())


def _of_one_block(pair: Found) -> object:
    result, finding = pair
    fix = finding.fix
    mended = () if fix is None else (fix.text, *fix.commands)
    by = tuple(_VARYING.sub("", _PLACE.sub("", line)) for line in mended)
    return result.check, finding.severity, by


def _of_the_same_words(pair: Found) -> object:
    result, finding = pair
    return result.check, finding.severity, _PLACE.sub("", finding.message, count=1)


def _of_all(pairs: list[Found]) -> str:
    """The message of the first, with all GPUs named that it holds for."""
    message = pairs[0][1].message
    places = [match for _, one in pairs if (match := _PLACE.search(one.message)) is not None]
    if len(pairs) == 1:
        return message
    indices = [match["index"] for match in places]
    if None in indices:
        named = ", ".join(sorted({match[0] for match in places}))
    else:
        named = f"each of GPUs {numbers_in_words(int(index) for index in indices)}"
    return _PLACE.sub(named, message, count=1)


def numbers_in_words(numbers: Iterable[int]) -> str:
    """0, 1, 2, 3, 5 as `0 to 3, 5`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def without_numbers(text: str) -> str:
    """The text without what differs from GPU to GPU."""
    return _VARYING.sub("", _PLACE.sub("", text))
