"""How a GPU's health is judged, as data: which Xids matter and for how long, and where a reading begins to matter.

Operators differ in it, so a site may change it entry by entry, and in an entry cell by cell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.facts import KernelEvent
from gpudoctor.findings import Severity
from gpudoctor.matrix import CONFIDENCES, SITE, Fault, Provenance, cell_place, fault_line
from gpudoctor.readings import Reading, known

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "gpudoctor.policy/1"
FILE_NAME = "health_policy.yaml"

# Made from the YAML by the build of the wheel (hatch_build.py), which takes 25 times as long to read.
BUILT_NAME = "health_policy.json"

IGNORE = "ignore"
SEVERITIES = (*(severity.value for severity in Severity), IGNORE)
FAULTS = ("node", "user", "either")
CLEARED_BY = ("reset", "driver_reload", "reboot", "never")

# The shipped file is about 90 kB.
_MAX_FILE_BYTES = 1 << 20
_MAX_FAULTS = 100
# No code of either kind has more digits.
_MAX_CODE = 999_999

_SECTIONS = {"signals": "name", "xids": "code", "sxids": "code"}
_KINDS = {"xids": "xid", "sxids": "sxid"}
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """What one Xid or SXid means to us."""

    kind: str
    """xid, of a GPU, or sxid, of an NVSwitch."""
    code: int
    name: str
    """The driver's own."""
    meaning: str
    severity: Severity | None
    """None where it is to be ignored."""
    fault: str
    """Whose it most likely is: node, user or either."""
    cleared_by: str
    """The least that ends it: reset, driver_reload, reboot; never where the board is to be seen to."""
    window_seconds: float | None
    """For how long it counts; None until it is cleared."""
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRule:
    """When one thing that is read of a GPU matters."""

    name: str
    meaning: str
    severity: Severity | None
    """None where it is to be ignored."""
    limit: float
    """Where it begins to matter; 0 where the reading is yes or no."""
    unit: str
    """Of the limit; "" where there is none."""
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """Every rule."""

    events: Mapping[tuple[str, int], EventRule]
    """By kind and code."""
    signals: Mapping[str, SignalRule]
    """By name: the checks know which there are, and a file can add none."""
    sources: Mapping[str, str]
    """Addresses by key."""

    def event(self, kind: str, code: int) -> EventRule:
        """The rule for a code; of one that is not listed, what the signal `unlisted-event` says."""
        rule = self.events.get((kind, code))
        if rule is not None:
            return rule
        unlisted = self.signals["unlisted-event"]
        return EventRule(
            kind=kind,
            code=code,
            name="",
            meaning="not listed",
            severity=unlisted.severity,
            fault="either",
            cleared_by="reset",
            window_seconds=None,
            provenance=unlisted.provenance,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An Xid or SXid that still counts."""

    rule: EventRule
    pci_address: str
    """Of the GPU or NVSwitch, "" where the lines name none."""
    count: int
    """How often since it was last cleared."""
    text: str
    """The last line."""


class PolicyError(GpudoctorError):
    """A policy that cannot be used: every fault, each with its place."""

    def __init__(self, name: str, faults: tuple[Fault, ...]) -> None:
        self.name = name
        self.faults = faults
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        hint = "an entry names its code or name and the cells to change, as in gpudoctor's own " + FILE_NAME
        super().__init__(fault_line(name, faults[0]) + more, hint)


# --- What the log amounts to ---


def standing(
    policy: HealthPolicy, log: Sequence[KernelEvent], uptime_seconds: Reading[float], *, kinds: Sequence[str]
) -> tuple[Standing, ...]:
    """The events of a log, oldest first, that nothing has cleared since and that are within their window.

    Raises UnreadError where an event has a window and its age is not known.
    """
    found: dict[tuple[str, int, str], Standing] = {}
    for event in log:
        if event.kind in kinds and event.code is not None:
            rule = policy.event(event.kind, event.code)
            key = (event.kind, event.code, event.pci_address)
            if not _is_past(rule, event, uptime_seconds):
                before = found[key].count if key in found else 0
                found[key] = Standing(rule=rule, pci_address=event.pci_address, count=before + 1, text=event.text)
        clears = _cleared_by(event)
        if clears:
            # A reset that names no GPU says nothing of several.
            addresses = {one.pci_address for one in found.values()}
            everywhere = event.kind == "driver_loaded" or (not event.pci_address and len(addresses) == 1)
            found = {
                key: one
                for key, one in found.items()
                if one.rule.cleared_by not in clears or not (everywhere or one.pci_address == event.pci_address)
            }
    return tuple(found.values())


def _is_past(rule: EventRule, event: KernelEvent, uptime_seconds: Reading[float]) -> bool:
    if rule.window_seconds is None or rule.severity is None:
        return rule.severity is None
    return known(uptime_seconds) - known(event.seconds) > rule.window_seconds


def _cleared_by(event: KernelEvent) -> tuple[str, ...]:
    """Which of the words of `cleared_by` an event amounts to."""
    if event.kind == "driver_loaded":
        return ("reset", "driver_reload")
    return ("reset",) if event.kind == "gpu_reset" else ()


# --- The file ---


def load(sites: Mapping[Path, str] | None = None) -> HealthPolicy:
    """The shipped policy, with the files of a site over it, the last one winning.

    Each path has the words that say where it comes from. Raises PolicyError with every fault of the first file that
    has one, each with its line; InputError when a file cannot be read or is no YAML.
    """
    policy = _shipped()
    for path, named_by in (sites or {}).items():
        policy = parse(_read(path, named_by), str(path), over=policy)
    return policy


def parse(text: bytes, name: str = FILE_NAME, *, over: HealthPolicy | None = None) -> HealthPolicy:
    """Read a policy from YAML: a whole one, or one that changes `over`.

    Raises PolicyError with every fault and its line, InputError where the text is no YAML.
    """
    from gpudoctor import plain_yaml

    try:
        document = plain_yaml.read(text)
        policy, faults = _policy(document.value, name, over)
        if not faults and not document.repeated:
            return policy
        around = {place for fault in faults for place in _places_around(fault.place)}
        marked = plain_yaml.read(text, places=around)
    except plain_yaml.PlainYamlError as error:
        line = "" if error.line is None else f":{error.line}"
        raise InputError(f"{name}{line}: {error.message}") from None
    told = [Fault(place=one.place, message="stands twice", line=one.line) for one in marked.repeated]
    for fault in faults:
        lines = (marked.lines[place] for place in _places_around(fault.place) if place in marked.lines)
        told.append(fault._replace(line=next(lines, None)))
    raise PolicyError(name, tuple(sorted(told, key=lambda fault: fault.line or 0)))


def _shipped() -> HealthPolicy:
    """From the JSON that the build put beside this file; in a checkout, which has none, from the YAML above it."""
    import json
    from pathlib import Path

    here = Path(__file__).parent
    try:
        document = json.loads((here / BUILT_NAME).read_bytes())
    except FileNotFoundError:
        return parse((here.parent / FILE_NAME).read_bytes())
    policy, faults = _policy(document, BUILT_NAME, None)
    if faults:
        raise PolicyError(BUILT_NAME, tuple(faults))
    return policy


def _read(path: Path, named_by: str) -> bytes:
    from gpudoctor import named_file

    try:
        text = named_file.read(path, _MAX_FILE_BYTES)
    except OSError as error:
        hint = f"name a file that this user can read; this one comes from {named_by}"
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint) from None
    if len(text) > _MAX_FILE_BYTES:
        raise InputError(f"{path}: larger than {_MAX_FILE_BYTES >> 20} MiB, which no policy is")
    return text


def _places_around(place: str) -> Iterator[str]:
    """The place itself, then each thing that holds it, innermost first."""
    while place:
        yield place
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    yield ""


def _policy(document: object, name: str, over: HealthPolicy | None) -> tuple[HealthPolicy, list[Fault]]:
    """Read the document; where there are faults, what could be read all the same."""
    faults: list[Fault] = []
    root = _Cells({} if document is None and over is not None else document, "", faults)
    schema = root.text("schema", needed=over is None)
    if schema not in (None, SCHEMA):
        root.fault("schema", f"expected {SCHEMA!r}, found {_shown(schema)}")
    sources = dict(over.sources) if over is not None else {}
    sources.update(_sources(root))
    own = (SITE + name,) if over is not None else ()
    sources.update((key, key) for key in own)
    events = dict(over.events) if over is not None else {}
    signals = dict(over.signals) if over is not None else {}
    for section in _SECTIONS:
        for cells in _rows(root, section, needed=over is None):
            if section == "signals":
                signal = _signal(cells, signals, over, own, sources)
                if signal is not None:
                    signals[signal.name] = signal
            else:
                key = (_KINDS[section], cells.whole_number("code", most=_MAX_CODE))
                event = _event(cells, key, events.get(key), own, sources)
                if event is not None:
                    events[key] = event
            cells.close()
    root.close()
    return HealthPolicy(events=events, signals=signals, sources=sources), faults


def _rows(root: _Cells, section: str, *, needed: bool) -> Iterator[_Cells]:
    """The entries of a section that are mappings with a key which no other has."""
    seen: dict[object, int] = {}
    for index, row in enumerate(root.rows(section, needed=needed)):
        place = f"{section}[{index}]"
        cells = _Cells(row, place, root.faults)
        if not cells.is_mapping:
            continue
        key = cells.cells.get(_SECTIONS[section])
        if isinstance(key, (str, int)) and key in seen:
            cells.fault(_SECTIONS[section], f"{_shown(key)} stands in {section}[{seen[key]}] already")
            continue
        if isinstance(key, (str, int)):
            seen[key] = index
        yield cells


def _sources(root: _Cells) -> dict[str, str]:
    root.asked.add("sources")
    rows = _Cells(root.cells.get("sources", {}), "sources", root.faults)
    return {str(key): rows.text(str(key)) or "" for key in rows.cells}


def _event(
    cells: _Cells, key: tuple[str, int], old: EventRule | None, own: tuple[str, ...], sources: Mapping[str, str]
) -> EventRule | None:
    new = old is None
    name = cells.text("name", needed=new)
    meaning = cells.text("meaning", needed=new)
    severity = cells.choice("severity", SEVERITIES, needed=new)
    fault = cells.choice("fault", FAULTS, needed=new)
    cleared_by = cells.choice("cleared_by", CLEARED_BY, needed=new)
    hours = cells.number("window_hours")
    if hours is not None and hours < 0:
        cells.fault("window_hours", "expected hours, or 0 for an event that counts until it is cleared")
    provenance = _provenance(cells, None if old is None else old.provenance, own, sources)
    if key[1] < 0:
        return None
    base = old or EventRule(
        kind=key[0],
        code=key[1],
        name=name or "",
        meaning=meaning or "",
        severity=None,
        fault=fault or "",
        cleared_by=cleared_by or "",
        window_seconds=None,
        provenance=provenance,
    )
    return replace(
        base,
        name=base.name if name is None else name,
        meaning=base.meaning if meaning is None else meaning,
        severity=base.severity if severity is None else _severity(severity),
        fault=base.fault if fault is None else fault,
        cleared_by=base.cleared_by if cleared_by is None else cleared_by,
        window_seconds=base.window_seconds if hours is None else (hours * 3600 or None),
        provenance=provenance,
    )


def _signal(
    cells: _Cells,
    signals: Mapping[str, SignalRule],
    over: HealthPolicy | None,
    own: tuple[str, ...],
    sources: Mapping[str, str],
) -> SignalRule | None:
    name = cells.text("name", needed=True)
    old = signals.get(name or "")
    if over is not None and old is None:
        if name is not None:
            cells.fault("name", f"there is no signal {_shown(name)}{_nearest(name, tuple(over.signals))}")
        cells.asked.update(cells.cells)
        return None
    new = old is None
    meaning = cells.text("meaning", needed=new)
    severity = cells.choice("severity", SEVERITIES, needed=new)
    limit = cells.number("limit")
    unit = cells.text("unit")
    if limit is not None and limit < 0:
        cells.fault("limit", "expected 0 or more")
    if old is not None and limit is not None and not old.unit:
        cells.fault("limit", f"{name} has no limit: it is there or not")
    if old is not None and unit is not None and unit != old.unit:
        cells.fault("unit", f"expected {old.unit or 'none'}, which the checks count in")
    if new and (limit is None) != (unit is None):
        cells.fault("unit" if unit is None else "limit", "a limit has a unit, and a unit a limit")
    provenance = _provenance(cells, None if old is None else old.provenance, own, sources)
    if name is None:
        return None
    return SignalRule(
        name=name,
        meaning=(old.meaning if old else "") if meaning is None else meaning,
        severity=(old.severity if old else None) if severity is None else _severity(severity),
        limit=(old.limit if old else 0) if limit is None else limit,
        unit=(old.unit if old else "") if unit is None else unit,
        provenance=provenance,
    )


def _provenance(cells: _Cells, old: Provenance | None, own: tuple[str, ...], sources: Mapping[str, str]) -> Provenance:
    """Of an entry that a site changes or adds, the site's file is the first source; it need not name others."""
    needed = not own
    source = cells.texts("source", needed=needed)
    for index, key in enumerate(source or ()):
        if key not in sources:
            cells.fault(f"source[{index}]", f"{_shown(key)} is no key of sources{_nearest(key, tuple(sources))}")
    checked = cells.text("checked", needed=needed)
    if checked is not None and not _MONTH.fullmatch(checked):
        cells.fault("checked", f"expected a month like '2026-11', found {_shown(checked)}")
    confidence = cells.choice("confidence", CONFIDENCES, needed=needed)
    note = cells.text("note")
    base = old or Provenance(source=(), checked="", confidence="medium", note="")
    return Provenance(
        source=(*own, *(one for one in (base.source if source is None else source) if one not in own)),
        checked=base.checked if checked is None else checked,
        confidence=base.confidence if confidence is None else confidence,
        note=base.note if note is None else note,
    )


def _severity(word: str) -> Severity | None:
    return None if word == IGNORE else Severity(word)


class _Cells:
    """One mapping of the document: reads its cells, notes faults, and which cells were asked for."""

    def __init__(self, value: object, place: str, faults: list[Fault]) -> None:
        self.place = place
        self.faults = faults
        self.asked: set[str] = set()
        self.is_mapping = isinstance(value, dict)
        self.cells: dict[Any, Any] = value if isinstance(value, dict) else {}
        if not self.is_mapping:
            self._note(place, f"expected a mapping, found {_shown(value)}")

    def fault(self, key: str, message: str) -> None:
        self._note(cell_place(self.place, key) if self.place else key, message)

    def _note(self, place: str, message: str) -> None:
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append(Fault(place=place, message=message))

    def _value(self, key: str, expected: str, *, needed: bool) -> object | None:
        self.asked.add(key)
        if key not in self.cells:
            if needed and self.is_mapping:
                self.fault(key, f"missing; expected {expected}")
            return None
        value: object = self.cells[key]
        if value is None:
            self.fault(key, f"expected {expected}, found nothing")
        return value

    def text(self, key: str, *, needed: bool = False) -> str | None:
        value = self._value(key, "text", needed=needed)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.fault(key, f"expected text, found {_shown(value)}")
        return None

    def choice(self, key: str, choices: Sequence[str], *, needed: bool) -> str | None:
        expected = " or ".join(choices)
        value = self._value(key, expected, needed=needed)
        if value is None or (isinstance(value, str) and value in choices):
            return value
        self.fault(key, f"expected {expected}, found {_shown(value)}")
        return None

    def number(self, key: str) -> float | None:
        value = self._value(key, "a number", needed=False)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return value
        if value is not None:
            self.fault(key, f"expected a number, found {_shown(value)}")
        return None

    def whole_number(self, key: str, *, most: int) -> int:
        """-1, which is none, where there is a fault."""
        value = self._value(key, "a whole number", needed=True)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
            return value
        if value is not None:
            self.fault(key, f"expected a whole number from 0 to {most}, found {_shown(value)}")
        return -1

    def texts(self, key: str, *, needed: bool) -> tuple[str, ...] | None:
        value = self._value(key, "a list of texts", needed=needed)
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            if needed and not value:
                self.fault(key, "expected at least one")
            return tuple(value)
        if value is not None:
            self.fault(key, f"expected a list of texts, found {_shown(value)}")
        return None

    def rows(self, key: str, *, needed: bool) -> list[object]:
        value = self._value(key, "a list of entries", needed=needed)
        if isinstance(value, list):
            return value
        if value is not None:
            self.fault(key, f"expected a list of entries, found {_shown(value)}")
        return []

    def close(self) -> None:
        """Cells that nobody reads are typing errors: refuse them."""
        for key in self.cells:
            if key not in self.asked:
                self.fault(str(key), f"unknown key{_nearest(str(key), tuple(sorted(self.asked)))}")


def _nearest(word: str, known_words: tuple[str, ...]) -> str:
    import difflib

    near = difflib.get_close_matches(word[:64], known_words, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = value if isinstance(value, str) else str(getattr(value, "text", value))
    return repr(text if len(text) <= 60 else text[:60] + "…")
