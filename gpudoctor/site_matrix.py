"""Puts the files of a site over the matrix: row by row, and in a row cell by cell, the last file winning.

A row whose key is there already changes that row: the cells it names replace the old ones, those it lists as
`unset: [cell, ...]` are taken away (an empty cell would be a slip too easily made), the others stay. Any other row
is added. What a file changed or added has that file as its first source.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpudoctor import gpu_names
from gpudoctor.matrix import MAX_FAULTS, SITE, Fault, MergedRow, cell_place, stands_already
from gpudoctor.versions import ComputeCapability, CudaVersion, VersionError

UNSET = "unset"
DERIVED = "derived"

# Comparing long texts letter by letter is not free, and no key is longer.
_MAX_COMPARED = 128


def _text(value: object) -> Hashable:
    return value if isinstance(value, str) and value.strip() else None


def _product(value: object) -> Hashable:
    """GeForce RTX 3090 and NVIDIA GeForce RTX 3090 are one product: two rows of it would hide each other."""
    return frozenset(gpu_names.tokens(value)) - {"nvidia"} or None if isinstance(value, str) else None


def _whole_number(value: object) -> Hashable:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _minor_release(value: object) -> Hashable:
    """The compat package is one for a CUDA minor: 11.8.0 is 11.8."""
    version = CudaVersion.parse(value)
    return (version.major, version.minor)


# Section, the cell that is its key, and what of that cell has to be equal.
KEYS: Mapping[str, tuple[str, Callable[[object], Hashable]]] = {
    "cuda": ("version", CudaVersion.parse),
    "minor_version_compatibility": ("cuda_major", _whole_number),
    "forward_compatibility": ("cuda", _minor_release),
    "generations": ("compute_capability", ComputeCapability.parse),
    "gpus": ("name", _product),
    "images": ("tag", _text),
    "upstream_images": ("tag", _text),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One file of a site: the rows of each section, as YAML read them."""

    name: str
    sections: Mapping[str, Sequence[object]]
    sources: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The whole document, still to be parsed."""

    document: object
    origins: Mapping[str, tuple[int, str]]
    """For places of the document that a site's file decides: the number of that file, from 1, and the place there."""
    faults: tuple[tuple[int, Fault], ...]
    """What keeps rows from being merged, with the number of their file."""


def merge(base: object, sites: Sequence[Site]) -> Merged:
    """Put the files over `base`, which stays as it is."""
    if not isinstance(base, dict):
        return Merged(document=base, origins={}, faults=())
    merging = _Merging(base)
    for number, site in enumerate(sites, 1):
        merging.put(number, site)
    return Merged(document=merging.document, origins=merging.origins, faults=tuple(merging.faults))


def origin(places: Iterable[str], origins: Mapping[str, tuple[int, str]]) -> tuple[int, str]:
    """The file, 0 for the base, and the place there, of a place of the merged document.

    `places` are that place itself, then each that holds it, innermost first.
    """
    whole = ""
    for place in places:
        whole = whole or place
        if place in origins:
            number, there = origins[place]
            return number, there + whole[len(place) :]
    return 0, whole


class _Merging:
    """The document as far as it is put together."""

    def __init__(self, base: dict[Any, Any]) -> None:
        self.document = dict(base)
        self.origins: dict[str, tuple[int, str]] = {}
        self.faults: list[tuple[int, Fault]] = []
        self.positions: dict[str, dict[Hashable, int]] = {}
        # What a site's new row may have been meant to be: rows that were there before any site spoke.
        self.known: dict[str, tuple[str, ...]] = {}

    def put(self, number: int, site: Site) -> None:
        had_a_hand = False
        for section, rows in site.sections.items():
            if rows and self._open(section):
                had_a_hand |= self._put_rows(number, site, section, rows)
        sources = self.document.get("sources", {})
        if isinstance(sources, dict) and (site.sources or had_a_hand):
            sources = self.document["sources"] = dict(sources)
            self._put_sources(number, site, sources)
            if had_a_hand:
                sources[SITE + site.name] = SITE + site.name

    def _put_sources(self, number: int, site: Site, sources: dict[Any, Any]) -> None:
        for key, value in site.sources.items():
            place = f"sources.{key}"
            if str(key).startswith(SITE):
                self._fault(number, place, f"keys that begin with {SITE!r} are gpudoctor's own")
            elif key not in sources or not _same(sources[key], value):
                sources[key] = value
                self.origins[place] = (number, place)

    def _open(self, section: str) -> bool:
        """Make the section's rows ready to be changed; not where the base holds something else."""
        if section in self.positions:
            return True
        rows = self.document.get(section, [])
        if not isinstance(rows, list):
            return False
        self.document[section] = list(rows)
        positions: dict[Hashable, int] = {}
        for position, row in enumerate(rows):
            key = _key(section, row)
            if key is not None:
                positions.setdefault(key, position)
        self.positions[section] = positions
        self.known[section] = tuple(str(rows[position][KEYS[section][0]]) for position in positions.values())
        return True

    def _put_rows(self, number: int, site: Site, section: str, rows: Sequence[object]) -> bool:
        had_a_hand = False
        seen: dict[Hashable, int] = {}
        for index, row in enumerate(rows):
            key = _key(section, row)
            if isinstance(row, dict) and key is not None and key in seen:
                again = stands_already(str(row[KEYS[section][0]]), section, index, seen[key])
                self._fault(number, again.place, again.message)
                continue
            if key is not None:
                seen[key] = index
            position = None if key is None else self.positions[section].get(key)
            place = f"{section}[{index}]"
            if position is None:
                self._add(number, site, section, row, place, key)
                had_a_hand = True
            elif isinstance(row, dict):
                had_a_hand |= self._change(number, site, section, row, place, position)
        return had_a_hand

    def _add(self, number: int, site: Site, section: str, row: object, place: str, key: Hashable) -> None:
        rows: list[object] = self.document[section]
        if key is not None:
            self.positions[section][key] = len(rows)
        self.origins[f"{section}[{len(rows)}]"] = (number, place)
        if not isinstance(row, dict):
            rows.append(row)  # which the parser refuses
            return
        cells = dict(row)
        if UNSET in cells:
            del cells[UNSET]
            self._fault(number, cell_place(place, UNSET), "this row is new: it has nothing to take away")
        name, known = str(row.get(KEYS[section][0])), self.known[section]
        nearest = None if key is None else lambda: _nearest(name, known)
        rows.append(MergedRow(cells, sites=(SITE + site.name,), nearest=nearest))

    def _change(self, number: int, site: Site, section: str, row: dict[Any, Any], place: str, position: int) -> bool:
        rows: list[Any] = self.document[section]
        old = rows[position]
        there = f"{section}[{position}]"
        cells = dict(old)
        decided: set[str] = set()
        for name, value in row.items():
            # The key stays as it was first written: 11.1.0 for 11.1 changes nothing.
            if name in (KEYS[section][0], UNSET) or (name in old and _same(old[name], value)):
                continue
            cells[name] = value
            decided.add(name)
            self.origins[cell_place(there, name)] = (number, cell_place(place, name))
        unset = self._unset(number, section, row, place)
        for name, index in unset.items():
            if cells.pop(name, None) is not None:
                decided.add(name)
            self.origins[cell_place(there, name)] = (number, f"{cell_place(place, UNSET)}[{index}]")
        derived = cells.get(DERIVED)
        if DERIVED not in row and isinstance(derived, list):  # what somebody states is derived no longer
            cells[DERIVED] = [name for name in derived if name not in decided]
        sites, names = (old.sites, old.unset) if isinstance(old, MergedRow) else ((), ())
        rows[position] = MergedRow(
            cells,
            sites=(SITE + site.name, *sites) if decided else sites,
            unset=(*names, *(name for name in unset if name not in names)),
            nearest=old.nearest if isinstance(old, MergedRow) else None,
        )
        return bool(decided)

    def _unset(self, number: int, section: str, row: dict[Any, Any], place: str) -> dict[str, int]:
        """The cells to be taken away, and which item of the list says so."""
        names = row.get(UNSET, [])
        where = cell_place(place, UNSET)
        if not isinstance(names, list):
            self._fault(number, where, "expected a list of names of cells, such as [note]")
            return {}
        wanted: dict[str, int] = {}
        for index, name in enumerate(names):
            if not isinstance(name, str):
                self._fault(number, f"{where}[{index}]", "expected the name of a cell")
            elif name == KEYS[section][0]:
                self._fault(number, f"{where}[{index}]", f"{name!r} is the key of the row, which stays")
            elif name in row:
                self._fault(number, f"{where}[{index}]", "the same row names this cell as well")
            else:
                wanted.setdefault(name, index)
        return wanted

    def _fault(self, number: int, place: str, message: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append((number, Fault(place=place, message=message)))
        elif len(self.faults) == MAX_FAULTS:
            last = f"more than {MAX_FAULTS} faults; the rest was not looked at"
            self.faults.append((number, Fault(place=place, message=last)))


def _key(section: str, row: object) -> Hashable:
    """What tells the row from others, None where that cannot be read."""
    if not isinstance(row, dict):
        return None
    cell, read = KEYS[section]
    try:
        return read(row.get(cell))
    except VersionError:
        return None


def _same(old: object, new: object) -> bool:
    return type(old) is type(new) and old == new


def _nearest(name: str, known: tuple[str, ...]) -> str:
    """Of a new row that lacks cells: most likely its key is mistyped, and it was to change another row."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1) if len(name) <= _MAX_COMPARED else []
    shown = name if len(name) <= 60 else name[:60] + "…"
    return f"; there is no row {shown!r} to change" + (f", the nearest is {near[0]!r}" if near else "")
