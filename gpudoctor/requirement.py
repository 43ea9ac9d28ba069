"""NVIDIA_REQUIRE_*: what an image demands of driver and GPU, read as each of NVIDIA's two evaluators reads it.

A value is terms separated by blanks, of which one must hold; a term is factors separated by commas, all of which
must hold; a factor is cuda, driver, arch or brand, an operator and a literal. `cuda` is the CUDA version of the
driver, `driver` the kernel driver, `arch` the compute capability, `brand` NVML's brand.
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html#constraints (2026-11)

Where the evaluators differ, nvidia-container-cli (C, legacy mode) against nvidia-container-toolkit (Go, csv mode and
the CDI modes of 2026):

- names: CUDA>=12 is cuda>=12, against unknown; a factor with an unknown name refuses the container, against skipped;
- versions: numbers of any count, leading zeros allowed, against semantic versions (450.80.02 refuses the container);
- brands: = and != without regard to case, against all operators with regard to it;
- faults: seen when evaluation reaches them, against always; `!` alone is !=, against a fault;
- an arm of commas alone holds at the front and ends the list further on, against skipped;
- GPUs: every visible one, against the first.

https://github.com/NVIDIA/libnvidia-container/blob/main/src/cli/dsl.c (2026-11)
https://github.com/NVIDIA/nvidia-container-toolkit/tree/main/internal/requirements (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby, zip_longest

from gpudoctor.readings import Reading, Unread
from gpudoctor.verdicts import Reason, Ruling, Verdict
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion, VersionError

RULE = "requirement"

_DOCUMENT = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html#constraints"
)
_CLI_SOURCE = "https://github.com/NVIDIA/libnvidia-container/blob/main/src/cli/dsl.c"
_TOOLKIT_SOURCE = "https://github.com/NVIDIA/nvidia-container-toolkit/tree/main/internal/requirements"

_PREFIX = "NVIDIA_REQUIRE_"
_JETPACK = "NVIDIA_REQUIRE_JETPACK"
_CUDA = "NVIDIA_REQUIRE_CUDA"
_DISABLE = "NVIDIA_DISABLE_REQUIRE"
_LEGACY = "CUDA_VERSION"

# What Go's strconv.ParseBool takes for true. https://pkg.go.dev/strconv#ParseBool (2026-11)
_TRUE = ("1", "t", "T", "TRUE", "true", "True")

_NAMES = ("cuda", "driver", "arch", "brand")
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")

# The longest in NVIDIA's own images, those of CUDA 12, has some 2000 characters.
_MAX_TEXT = 16 << 10

# nvidia-container-cli keeps the failed factor in so many bytes; a longer one is a fault to it.
_CLI_EXPRESSION_MAX = 128
_CLI_NUMBER_MAX = (1 << 64) - 1


class Held(str, Enum):
    """What became of a factor, an arm or a whole requirement."""

    YES = "met"
    NO = "not met"
    UNKNOWN = "not known"
    """A fact of the host is missing."""
    REFUSED = "malformed"
    """The evaluator takes it for a fault and refuses the container."""
    SKIPPED = "skipped"
    """The evaluator takes no notice of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that the documented grammar does not know."""

    variable: str
    position: int
    """Of the first character, counted from 1."""
    message: str

    def __str__(self) -> str:
        return f"{self.variable}: character {self.position}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One comparison, such as cuda>=11.8, in the parts that it was written in."""

    text: str
    position: int
    name: str
    operator: str
    """Whatever signs stand there, also ones that are no operator."""
    literal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One arm of the list: its factors must all hold."""

    text: str
    position: int
    factors: tuple[Factor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One variable, taken apart."""

    variable: str
    text: str
    terms: tuple[Term, ...]
    """Any of them will do."""
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """All that an image demands: each variable must be met."""

    disabled: bool
    """NVIDIA_DISABLE_REQUIRE is true in the image: nothing is asked."""
    items: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a requirement is compared with: one GPU and its driver."""

    driver_cuda_version: Reading[CudaVersion]
    driver: Reading[DriverVersion]
    compute_capability: Reading[ComputeCapability]
    brand: Reading[str]
    """As NVIDIA's evaluators spell it: geforce, tesla, nvidia, nvidiartx, quadrortx; unknown where NVML has no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What became of one arm, and why."""

    number: int
    """From 1, in the order they stand in."""
    text: str
    held: Held
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the evaluators make of one variable."""

    requirement: Requirement
    cli: Held
    """nvidia-container-cli: legacy mode."""
    toolkit: Held
    """nvidia-container-toolkit: csv mode and newer."""
    arms: tuple[Arm, ...]
    """As nvidia-container-cli sees each by itself."""
    reported: str
    """What nvidia-container-cli printed for years when it is not met: the factor that the last arm failed by."""


def from_environment(environment: Mapping[str, str]) -> Requirements:
    """The requirements that an image's environment states, by variable. Total: faults are part of the value."""
    names = sorted(name for name in environment if name.startswith(_PREFIX) and not name.startswith(_JETPACK))
    items = [parse(name, environment[name]) for name in names]
    # Images from before NVIDIA_REQUIRE_CUDA say by their CUDA_VERSION what they need.
    if environment.get(_LEGACY) and not environment.get(_CUDA):
        items.append(_from_cuda_version(environment[_LEGACY]))
    return Requirements(disabled=environment.get(_DISABLE) in _TRUE, items=tuple(items))


def _from_cuda_version(text: str) -> Requirement:
    try:
        version = CudaVersion(text)
    except VersionError as error:
        fault = Fault(variable=_LEGACY, position=1, message=str(error))
        return Requirement(variable=_LEGACY, text=_shortened(text), terms=(), faults=(fault,))
    return parse(_LEGACY, f"cuda>={version.major}.{version.minor}")


def parse(variable: str, text: str) -> Requirement:
    """Take the value of one variable apart. Total: what is malformed is among its faults."""
    if len(text) > _MAX_TEXT:
        message = f"longer than {_MAX_TEXT >> 10} KiB, which no requirement is"
        fault = Fault(variable=variable, position=_MAX_TEXT + 1, message=message)
        return Requirement(variable=variable, text=_shortened(text), terms=(), faults=(fault,))
    terms = tuple(_term(word, position) for word, position in _split(text, " ", 1))
    faults = tuple(
        Fault(variable=variable, position=factor.position, message=message)
        for term in terms
        for factor in term.factors
        if (message := _fault(factor))
    )
    return Requirement(variable=variable, text=text, terms=terms, faults=faults)


def _split(text: str, separator: str, position: int) -> Iterator[tuple[str, int]]:
    """The parts that are not empty, and where each begins."""
    for part in text.split(separator):
        if part:
            yield part, position
        position += len(part) + 1


def _term(text: str, position: int) -> Term:
    return Term(
        text=text, position=position, factors=tuple(_factor(part, start) for part, start in _split(text, ",", position))
    )


_FACTOR = re.compile(r"([^<>=!]*)([<>=!]*)(.*)", re.DOTALL)


def _factor(text: str, position: int) -> Factor:
    match = _FACTOR.fullmatch(text)
    assert match is not None  # it matches anything
    name, operator, literal = match.groups()
    return Factor(text=text, position=position, name=name, operator=operator, literal=literal)


def _fault(factor: Factor) -> str:
    """What the documented grammar has against a factor; empty when nothing."""
    if not factor.operator:
        return f"{_shown(factor.text)} is no comparison; one looks like cuda>=11.8"
    if factor.name.lower() not in _NAMES:
        return f"{_shown(factor.name)} is none of {', '.join(_NAMES)}"
    if factor.operator not in _OPERATORS:
        return f"{_shown(factor.operator)} is no operator; there are {' '.join(_OPERATORS)}"
    if not factor.literal:
        return f"{_shown(factor.text)} compares with nothing"
    if factor.name.lower() == "brand":
        return "" if factor.operator in ("=", "!=") else f"brands are compared by = and != only, not {factor.operator}"
    if _cli_numbers(factor.literal) is None:
        return f"{_shown(factor.literal)} is no version; one looks like 11.8"
    return ""


# --- nvidia-container-cli ---


def _cli_factor(factor: Factor, subject: Subject) -> Held:
    # It compares as many characters as there are signs, so that `!` is found as the beginning of `!=`.
    operator = next((one for one in _OPERATORS if one.startswith(factor.operator)), "") if factor.operator else ""
    name = factor.name.lower()
    if not operator or not factor.literal or name not in _NAMES:
        return Held.REFUSED
    if name == "brand":
        if operator not in ("=", "!="):
            return Held.REFUSED
        if isinstance(subject.brand, Unread):
            return Held.UNKNOWN
        holds = (subject.brand.lower() == factor.literal.lower()) is (operator == "=")
    else:
        asked, fact = _cli_numbers(factor.literal), _version(name, subject)
        if asked is None:
            return Held.REFUSED
        if isinstance(fact, Unread):
            return Held.UNKNOWN
        order = _order(fact, asked)
        holds = _holds(operator, order)
    if not holds and len(f"{factor.name} {operator} {factor.literal}".encode(errors="replace")) >= _CLI_EXPRESSION_MAX:
        return Held.REFUSED
    return Held.YES if holds else Held.NO


def _cli_numbers(text: str) -> tuple[int, ...] | None:
    """A version as it reads one: numbers, any number of dots between them, none in front."""
    if not re.fullmatch(r"[0-9][0-9.]*", text, re.ASCII) or len(text) > _MAX_TEXT:
        return None
    parts = [part.lstrip("0") or "0" for part in text.split(".") if part]
    if any(len(part) > 20 or int(part) >= _CLI_NUMBER_MAX for part in parts):
        return None
    return tuple(int(part) for part in parts)


def _order(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """-1, 0 or 1; numbers that are missing count as zero."""
    for one, other in zip_longest(left, right, fillvalue=0):
        if one != other:
            return -1 if one < other else 1
    return 0


def _holds(operator: str, order: int) -> bool:
    return {
        "=": order == 0,
        "!=": order != 0,
        "<": order < 0,
        "<=": order <= 0,
        ">": order > 0,
        ">=": order >= 0,
    }[operator]


def _version(name: str, subject: Subject) -> Reading[tuple[int, ...]]:
    fact = _version_fact(name, subject)
    return fact if isinstance(fact, Unread) else fact.numbers


def _version_fact(name: str, subject: Subject) -> Reading[CudaVersion | DriverVersion | ComputeCapability]:
    if name == "cuda":
        return subject.driver_cuda_version
    return subject.driver if name == "driver" else subject.compute_capability


def _cli(requirement: Requirement, subject: Subject) -> Held:
    """Walks as it does: an arm is left at its first factor that fails, and the list at its first arm that holds.

    Facts that are not known leave several ways open; only where all end alike is the end known.
    """
    ends: set[Held] = set()
    walked = False
    for term in requirement.terms:
        if not term.factors:  # commas alone leave what the arm before came to, and end the list
            ends.add(Held.NO if walked else Held.YES)
            return _one_of(ends)
        walked = True
        fails = False
        for factor in term.factors:
            held = _cli_factor(factor, subject)
            if held is Held.REFUSED:
                ends.add(held)
                break
            fails = fails or held is not Held.YES
            if held is Held.NO:
                break
        else:
            ends.add(Held.YES)
        if not fails:
            return _one_of(ends)
    ends.add(Held.NO if walked else Held.YES)
    return _one_of(ends)


def _one_of(ends: set[Held]) -> Held:
    return next(iter(ends)) if len(ends) == 1 else Held.UNKNOWN


# --- nvidia-container-toolkit ---

# In the order in which it looks for them.
_TOOLKIT_OPERATORS = ("!=", "<=", ">=", "=", "<", ">")

# golang.org/x/mod/semver: minor and patch may be missing, pre-release and build may not follow anything shorter.
# https://pkg.go.dev/golang.org/x/mod/semver (2026-11)
_NUMBER = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMANTIC = re.compile(
    rf"v?{_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}(-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?(?:\+[0-9A-Za-z.-]+)?)?)?", re.ASCII
)


def _toolkit_factor(factor: Factor, subject: Subject) -> Held:
    if not factor.text.strip():
        return Held.SKIPPED
    if not factor.operator:
        return Held.REFUSED
    if factor.name not in _NAMES:
        return Held.SKIPPED
    rest = factor.text[len(factor.name) :]
    operator = next((one for one in _TOOLKIT_OPERATORS if rest.startswith(one)), "")
    literal = rest[len(operator) :]
    if factor.name == "brand":
        if isinstance(subject.brand, Unread):
            return Held.UNKNOWN
        brand = "" if subject.brand == "unknown" else subject.brand
        if not operator:
            return Held.NO
        return Held.YES if _holds(operator, (brand > literal) - (brand < literal)) else Held.NO
    asked = _SEMANTIC.fullmatch(literal)
    if asked is None or len(literal) > _MAX_TEXT or any(len(part or "") > 64 for part in asked.groups()[:3]):
        return Held.REFUSED
    fact = _version(factor.name, subject)
    if isinstance(fact, Unread):
        return Held.UNKNOWN
    if len(fact) > 3:
        order = -1  # no semantic version, and those sort before all that are
    else:
        # A pre-release comes before its release, and no driver is one.
        order = _order(fact, tuple(int(part or 0) for part in asked.groups()[:3])) or (1 if asked[4] else 0)
    return Held.YES if _holds(operator, order) else Held.NO


def _toolkit(requirement: Requirement, subject: Subject) -> Held:
    """Reads all of it first; then any arm whose factors all hold will do."""
    terms = [[_toolkit_factor(factor, subject) for factor in term.factors] for term in requirement.terms]
    if any(Held.REFUSED in term for term in terms):
        return Held.REFUSED
    asked = [[held for held in term if held is not Held.SKIPPED] for term in terms]
    arms = [_all(term) for term in asked if term]
    if not arms or Held.YES in arms:
        return Held.YES
    return Held.UNKNOWN if Held.UNKNOWN in arms else Held.NO


def _all(factors: Sequence[Held]) -> Held:
    for held in (Held.REFUSED, Held.NO, Held.UNKNOWN):
        if held in factors:
            return held
    return Held.YES


# --- what to say of it ---


def evaluate(requirement: Requirement, subject: Subject) -> Answer:
    """What both evaluators make of one variable for one GPU, and why."""
    arms = tuple(_arm(number, term, subject) for number, term in enumerate(requirement.terms, start=1))
    unreadable = bool(requirement.faults) and not requirement.terms
    return Answer(
        requirement=requirement,
        cli=Held.REFUSED if unreadable else _cli(requirement, subject),
        toolkit=Held.REFUSED if unreadable else _toolkit(requirement, subject),
        arms=arms,
        reported=_reported(requirement, subject),
    )


def _arm(number: int, term: Term, subject: Subject) -> Arm:
    held = [_cli_factor(factor, subject) for factor in term.factors]
    whole = _all(held)
    if whole is Held.REFUSED:
        why = "; ".join(
            _fault(factor) or "too long" for factor, one in zip(term.factors, held, strict=True) if one is whole
        )
    else:
        deciding = [factor for factor, one in zip(term.factors, held, strict=True) if one is whole]
        why = " and ".join(dict.fromkeys(_words(factor.name.lower(), subject) for factor in deciding))
    return Arm(number=number, text=term.text, held=whole, why=why)


def _words(name: str, subject: Subject) -> str:
    if name == "brand":
        brand = subject.brand
        return f"the brand is not known ({brand.detail})" if isinstance(brand, Unread) else f"the brand is {brand}"
    fact = _version_fact(name, subject)
    what = {
        "cuda": "the CUDA version of the driver",
        "driver": "the driver version",
        "arch": "the compute capability",
    }[name]
    return f"{what} is not known ({fact.detail})" if isinstance(fact, Unread) else f"{what} is {fact}"


def _reported(requirement: Requirement, subject: Subject) -> str:
    for term in reversed(requirement.terms):
        for factor in term.factors:
            if _cli_factor(factor, subject) is Held.NO:
                return f"{factor.name} {factor.operator} {factor.literal}"
    return ""


def judge(requirements: Requirements, subject: Subject, *, first: bool = True) -> Ruling:
    """What the requirements of an image come to for one GPU: one reason a variable, and one for its arms.

    Not being met is no reason that CUDA would not run: the check is left out in most CDI modes, and by
    NVIDIA_DISABLE_REQUIRE. So the worst that comes out of it is `runs_unsupported`. `first`: the first GPU of the
    host, the only one that nvidia-container-toolkit looks at.
    """
    if requirements.disabled:
        detail = f"{_DISABLE} is set in the image: its requirements are not checked"
        return Ruling.of(Verdict.RUNS, RULE, detail, _DOCUMENT)
    reasons = tuple(reason for item in requirements.items for reason in _reasons(evaluate(item, subject), first=first))
    met = all(reason.verdict is Verdict.RUNS for reason in reasons)
    return Ruling(verdict=Verdict.RUNS if met else Verdict.RUNS_UNSUPPORTED, reasons=reasons)


def _reasons(answer: Answer, *, first: bool) -> Iterator[Reason]:
    variable, count = answer.requirement.variable, len(answer.arms)
    verdict = Verdict.RUNS if answer.cli is Held.YES else Verdict.RUNS_UNSUPPORTED
    yield Reason(rule=RULE, detail=_summary(answer), source=_DOCUMENT, verdict=verdict)
    if count > 1 or answer.cli is Held.NO:
        for detail in _arms_in_words(answer):
            yield Reason(rule=RULE, detail=f"{variable}: {detail}", source=_CLI_SOURCE, verdict=Verdict.RUNS)
    for fault in answer.requirement.faults:
        yield Reason(rule=RULE, detail=f"malformed: {fault}", source=_DOCUMENT, verdict=Verdict.RUNS)
    if not first and answer.cli is not Held.YES:
        detail = f"{variable}: nvidia-container-toolkit compares with the first GPU alone, not with this one"
        yield Reason(rule=RULE, detail=detail, source=_TOOLKIT_SOURCE, verdict=Verdict.RUNS)
    elif first and answer.toolkit is not answer.cli:
        detail = (
            f"{variable}: NVIDIA's evaluators differ: to nvidia-container-cli (legacy mode) it is {answer.cli.value},"
            f" to nvidia-container-toolkit (csv mode, newer CDI modes) {answer.toolkit.value}"
        )
        verdict = Verdict.RUNS if answer.toolkit is Held.YES else Verdict.RUNS_UNSUPPORTED
        yield Reason(rule=RULE, detail=detail, source=_TOOLKIT_SOURCE, verdict=verdict)


def _summary(answer: Answer) -> str:
    variable, count = answer.requirement.variable, len(answer.arms)
    if answer.requirement.variable == _LEGACY and answer.arms:
        variable = f"{_LEGACY} (it stands for {answer.requirement.text}, as {_CUDA} is not set)"
    if answer.cli is Held.YES:
        if not count:
            return f"{variable} is empty and demands nothing"
        arm = next((one for one in answer.arms if one.held is Held.YES), answer.arms[0])
        which = f" by {_shown_term(arm.text)}" + (f", arm {arm.number} of {count}" if count > 1 else "")
        return f"{variable} is met{which}: {arm.why or 'it demands nothing'}"
    skip = f"; {_DISABLE}=true skips the check"
    if answer.cli is Held.UNKNOWN:
        return f"whether {variable} is met is not known; where it is not, NVIDIA's hook refuses the container{skip}"
    if answer.cli is Held.REFUSED:
        return f"{variable} is malformed: nvidia-container-cli refuses the container (invalid expression){skip}"
    if count == 1:
        text = f"{variable} asks for {_shown_term(answer.arms[0].text)}, and {answer.arms[0].why}"
    else:
        text = f"{variable} is not met: none of its {count} arms holds, and one would do"
    text += f": nvidia-container-cli refuses the container{skip}"
    if count > 1 and answer.reported:
        text += (
            f"; where it complains of `{answer.reported}`, that is only where the last arm failed,"
            f" the first, {_shown_term(answer.arms[0].text)}, would do as well"
        )
    return text


def _arms_in_words(answer: Answer) -> Iterator[str]:
    """Every arm; neighbours that came to the same for the same cause share a sentence."""
    for (held, why), group in groupby(answer.arms, key=lambda arm: (arm.held, arm.why)):
        arms = tuple(group)
        last = f" to {arms[-1].number}" if len(arms) > 1 else ""
        texts = " or ".join(_shown_term(arm.text) for arm in arms)
        # Which of the factors that do not hold is told by the facts: each names its own.
        yield f"arm{'s' if last else ''} {arms[0].number}{last}, {texts}: {held.value}" + (f", {why}" if why else "")


def _shown_term(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in _shortened(text))


def _shown(text: str) -> str:
    return repr(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "…"
