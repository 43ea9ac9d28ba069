"""One page that shows, for the GPUs in question, on which driver each image runs: drivers across, images down.

`grid` judges and arranges, `draw` draws, `picture` does both. The page stands alone: it loads nothing, and without
its script it loses the filters and the arrow keys, nothing that can be read.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import gpudoctor
from gpudoctor import host as hosts
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Unread
from gpudoctor.resolve import in_words
from gpudoctor.rules import ImageRuling, judge
from gpudoctor.verdicts import Reason, Verdict
from gpudoctor.versions import DriverVersion

SHOWN = tuple(verdict for verdict in Verdict if verdict is not Verdict.NO_SUCH_IMAGE)
"""What a cell can say, best first: every image of the grid exists."""

SIGNS = {
    Verdict.RUNS: "R",
    Verdict.RUNS_WITH_FORWARD_COMPAT: "F",
    Verdict.RUNS_WITH_MINOR_VERSION_COMPAT: "M",
    Verdict.RUNS_UNSUPPORTED: "U",
    Verdict.RUNS_WITH_PTX_JIT: "J",
    Verdict.UNKNOWN: "?",
    Verdict.WILL_NOT_RUN: "\N{MULTIPLICATION SIGN}",
}
"""One sign a verdict, so that no cell depends on its colour."""

_MEANINGS = {
    Verdict.RUNS: "the driver is as new as the image's CUDA, and the image holds code for the GPU",
    Verdict.RUNS_WITH_FORWARD_COMPAT: "the image brings a newer libcuda, which this driver branch takes",
    Verdict.RUNS_WITH_MINOR_VERSION_COMPAT: "an older driver of the same CUDA major; the banner about it is harmless",
    Verdict.RUNS_UNSUPPORTED: "it works, and NVIDIA does not promise it",
    Verdict.RUNS_WITH_PTX_JIT: "no code for the GPU inside: minutes at first use, and libraries may still fail",
    Verdict.UNKNOWN: "a fact that would decide it is not known",
    Verdict.WILL_NOT_RUN: "no way to run it",
}
_CLASSES = {
    Verdict.RUNS: "r",
    Verdict.RUNS_WITH_FORWARD_COMPAT: "f",
    Verdict.RUNS_WITH_MINOR_VERSION_COMPAT: "m",
    Verdict.RUNS_UNSUPPORTED: "u",
    Verdict.RUNS_WITH_PTX_JIT: "j",
    Verdict.UNKNOWN: "q",
    Verdict.WILL_NOT_RUN: "x",
}

_UPSTREAM = "\N{DAGGER}"
_UNSURE = {"medium": "*", "low": "**"}

# Rules 4, 5 and 6 are ways round each other: when one leads through, what the others said no longer matters.
_WAYS = ("driver_native", "forward_compat", "minor_version_compat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Drivers between which no verdict changes."""

    start: DriverVersion | None
    """None: from the oldest on."""
    stop: DriverVersion | None
    """The first driver of the next column; None: up to the newest."""
    judged_at: DriverVersion
    """The driver that stands for all of them: where there is one, the first that the matrix names."""
    named: bool
    """The matrix names a driver in it; else it is what lies between two branches."""

    @property
    def label(self) -> str:
        """450, 450.51, 451-454, 570+, or what comes before the first number."""
        if self.start is None:
            return "any" if self.stop is None else f"< {self.stop}"
        if self.stop is None:
            return f"{self.start}+"
        whole = self.stop == DriverVersion(str(self.stop.branch))
        last = self.stop.branch - 1 if whole else self.stop.branch
        return str(self.start) if last <= self.start.branch else f"{self.start}\N{EN DASH}{last}"

    @property
    def in_words(self) -> str:
        """Its exact bounds."""
        start, stop = self.start, self.stop
        if start is None:
            return "any driver" if stop is None else f"drivers before {stop}"
        if stop is None:
            return f"driver {start} and newer"
        if stop != DriverVersion(str(stop.branch)):
            return f"drivers from {start} on, before {stop}"
        last = stop.branch - 1
        if start != DriverVersion(str(start.branch)):
            return f"drivers from {start} to the end of branch {last}"
        return f"branch {start}" if start.branch == last else f"branches {start} to {last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring cells of a row that say the same for the same reasons."""

    first: int
    """Index of its first column."""
    span: int
    """How many columns."""
    verdict: Verdict
    reasons: tuple[Reason, ...]
    """What the verdict rests on, at the first of its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One image on every driver."""

    image: ImageRow
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Which image runs on which driver, for a host whose GPUs are given."""

    host: Host
    """Its driver is one of many and says nothing."""
    columns: tuple[Column, ...]
    """Oldest driver first; together they hold every driver there can be."""
    rows: tuple[Row, ...]
    """Newest TensorFlow first, inside a minor version newest release first."""


def grid(
    matrix: Matrix,
    gpus: Sequence[HostGpu],
    *,
    images: Iterable[ImageRow] | None = None,
    architecture: str | None = None,
    wsl: bool = False,
) -> Grid:
    """Judge the images, or all that the matrix holds of NVIDIA's, for these GPUs on every driver.

    Raises InputError when no GPU is given, or the processor does not go with it.
    """
    ordered = sorted(matrix.images if images is None else images, key=_order)
    named = _named(matrix, ordered, windows=wsl)
    steps = _steps(named)
    # A driver that lists a GPU today says nothing of the other drivers.
    unlisted = tuple(replace(gpu, listed_by_driver=False) for gpu in gpus)
    host = hosts.what_if(driver=steps[0], gpus=unlisted, architecture=architecture, wsl=wsl, base=None)
    columns: list[Column] = []
    cells: dict[DriverVersion, list[_Cell]] = {}
    before: list[Verdict] | None = None
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        at_step = replace(host, driver=step)
        cells[step] = [_cell(judge(image, at_step, matrix)) for image in ordered]
        verdicts = [verdict for verdict, _ in cells[step]]
        if verdicts == before:
            last = columns[-1]
            better = not last.named and step in named
            judged_at = step if better else last.judged_at
            columns[-1] = replace(last, stop=after, judged_at=judged_at, named=last.named or better)
        else:
            start = step if columns else None
            columns.append(Column(start=start, stop=after, judged_at=step, named=step in named))
        before = verdicts
    rows = tuple(
        Row(image=image, runs=tuple(_runs([cells[step][number] for step in steps], steps, columns)))
        for number, image in enumerate(ordered)
    )
    return Grid(host=host, columns=tuple(columns), rows=rows)


def _order(image: ImageRow) -> tuple[bool, tuple[int, ...], bool, tuple[int, ...], str]:
    minor = () if image.tensorflow is None else tuple(-part for part in image.tensorflow.minor)
    newest_first = tuple(-part for part in (*image.release_key, 0, 0, 0)[:4])
    return (image.tensorflow is None, minor, image.upstream, newest_first, image.tag)


def _steps(named: Collection[DriverVersion]) -> list[DriverVersion]:
    """Every driver at which a verdict can change, the first of all before the lowest number in the matrix.

    Rules compare a driver with numbers of the matrix, as a whole or by branch: so a verdict changes at such a
    number, at the beginning of its branch, or behind the end of it.
    """
    steps: set[DriverVersion] = set()
    for driver in named:
        steps |= {driver, DriverVersion(str(driver.branch)), DriverVersion(str(driver.branch + 1))}
    lowest = min(steps).branch if steps else 1
    return sorted({DriverVersion(str(max(lowest - 1, 0))), *steps})


def _named(matrix: Matrix, images: Iterable[ImageRow], *, windows: bool) -> frozenset[DriverVersion]:
    """The drivers that the matrix names: those of Linux, or those of Windows."""
    named: set[DriverVersion | None] = set()
    if windows:
        named.update(row.bundled_driver_windows for row in matrix.cuda)
        named.update(row.min_driver_windows for row in matrix.minor_version)
        # Where a toolkit brings no driver of Windows, its branch is as old as that of Linux.
        branches = (row.bundled_driver.branch for row in matrix.cuda if row.bundled_driver_windows is None)
        named.update(DriverVersion(str(branch)) for branch in branches)
    else:
        named.update(row.bundled_driver for row in matrix.cuda)
        named.update(row.min_driver for row in matrix.minor_version)
        for forward in matrix.forward:
            named.update((*forward.branches, *forward.refused, *forward.disputed))
        for generation in matrix.generations:
            named.update((generation.first_branch, generation.last_branch))
        named.update(row.first_branch for row in matrix.gpus)
        for image in (*matrix.images, *images):  # the lists of some speak for others that have none
            named.update((image.bundled_driver, *(image.forward_compat or ())))
    return frozenset(driver for driver in named if driver is not None)


_Cell = tuple[Verdict, tuple[Reason, ...]]


def _runs(cells: Sequence[_Cell], steps: Sequence[DriverVersion], columns: Sequence[Column]) -> Iterator[Run]:
    # What decides on every driver in the same words leaves nothing for the driver to decide.
    (verdict, reasons), *others = cells
    always = tuple(reason for reason in reasons if all(reason in other for _, other in others))
    if always:
        yield Run(first=0, span=len(columns), verdict=verdict, reasons=always)
        return

    def sameness(cell: _Cell) -> object:
        verdict, reasons = cell
        # Among drivers that run it nothing changes by the wording; among those that do not, the way out does.
        return verdict if verdict.runs else (verdict, tuple(_NUMBERS.sub("", reason.detail) for reason in reasons))

    at = dict(zip(steps, cells, strict=True))
    first = 0
    for _, same in groupby((at[column.judged_at] for column in columns), key=sameness):
        (verdict, reasons), *others = same
        yield Run(first=first, span=1 + len(others), verdict=verdict, reasons=reasons)
        first += 1 + len(others)


# What differs in a sentence from one driver to the next.
_NUMBERS = re.compile(r"[0-9.]+")


def _cell(ruling: ImageRuling) -> _Cell:
    """The verdict, and the reasons that came to it by themselves: of the host, then of the GPUs that are the worst."""
    found = list(ruling.reasons)
    for gpu in ruling.gpus:
        if gpu.verdict is not ruling.verdict:
            continue
        through = any(reason.rule in _WAYS and reason.verdict.runs for reason in gpu.reasons)
        found.extend(
            reason for reason in gpu.reasons if not (through and reason.rule in _WAYS and not reason.verdict.runs)
        )
    return ruling.verdict, tuple(dict.fromkeys(reason for reason in found if reason.verdict is ruling.verdict))


def picture(
    matrix: Matrix,
    gpus: Sequence[HostGpu],
    *,
    images: Iterable[ImageRow] | None = None,
    architecture: str | None = None,
    wsl: bool = False,
) -> str:
    """The page, as HTML.

    Raises InputError when no GPU is given, or the processor does not go with it.
    """
    return draw(grid(matrix, gpus, images=images, architecture=architecture, wsl=wsl), matrix)


def draw(value: Grid, matrix: Matrix) -> str:
    """The page of a grid; the matrix it was judged by gives the names of what it shows."""
    return "".join(_page(value, matrix))


# What a browser shows as nothing, or not at all: control characters, and halves of a character that no file holds.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _text(value: object) -> str:
    """Any text as part of HTML, in quotes or outside."""
    return html.escape(_UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def _page(value: Grid, matrix: Matrix) -> Iterator[str]:
    gpus = () if isinstance(value.host.gpus, Unread) else value.host.gpus
    names = " and ".join(dict.fromkeys(map(_name, gpus)))
    names = names[:1].upper() + names[1:]
    sources = _Sources()
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_text(_POLICY)}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{_text(names)}: which TensorFlow image runs on which driver</title>\n"
    yield f"<style>{_STYLE}</style>\n</head>\n<body>\n"
    yield f"<header>\n<h1><bdi>{_text(names)}</bdi></h1>\n"
    several = "; the worst of the GPUs decides" if len(set(map(_name, gpus))) > 1 else ""
    yield f"<p class=lead>Which TensorFlow image runs on which driver{several}</p>\n"
    yield from _facts(value, gpus, matrix)
    yield "</header>\n"
    yield from _legend(upstream=any(row.image.upstream for row in value.rows))
    yield _CONTROLS
    yield from _table(value)
    yield from _why(value, sources)
    yield from sources.listed()
    yield f"<p id=say role=status hidden></p>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"


def _facts(value: Grid, gpus: Sequence[HostGpu], matrix: Matrix) -> Iterator[str]:
    yield "<dl class=facts>\n"
    kinds = {_name(gpu): gpu for gpu in gpus}
    for name, gpu in kinds.items():
        of = f" of <bdi>{_text(name)}</bdi>" if len(kinds) > 1 else ""
        yield f"<div><dt>Compute capability{of}</dt><dd>{_text(_capability(gpu, matrix))}</dd></div>\n"
        yield f"<div><dt>Data-centre GPU{of}</dt><dd>{_text(_data_center(gpu))}</dd></div>\n"
    system = "Jetson" if value.host.jetson else "WSL, drivers of Windows" if value.host.wsl else "Linux"
    checked = sorted({row.image.provenance.checked for row in value.rows} - {""})
    months = " to ".join(dict.fromkeys((checked[0], checked[-1]))) if checked else "not said"
    for term, fact in (
        ("Machine", f"{system}, {value.host.architecture}"),
        ("Images", str(len(value.rows))),
        ("Matrix checked", months),
        ("gpudoctor", gpudoctor.__version__),
    ):
        yield f"<div><dt>{term}</dt><dd>{_text(fact)}</dd></div>\n"
    yield "</dl>\n"


def _name(gpu: HostGpu) -> str:
    """Without its index: eight boards of a machine are one product."""
    return gpu.label if gpu.index is None else gpu.label.removeprefix(f"GPU {gpu.index}, ")


def _capability(gpu: HostGpu, matrix: Matrix) -> str:
    if isinstance(gpu.compute_capability, Unread):
        return f"not known: {gpu.compute_capability.detail}"
    row = matrix.generation(gpu.compute_capability)
    return str(gpu.compute_capability) if row is None else f"{gpu.compute_capability}, {row.architecture}"


def _data_center(gpu: HostGpu) -> str:
    if isinstance(gpu.data_center, Unread):
        return f"not known: {gpu.data_center.detail}"
    if gpu.bare_capability:
        return "no: judged as a board that is none"
    words = {
        "yes": "yes: forward compatibility is open to it",
        "ngc-ready": "no, but NGC-ready: forward compatibility is open to it",
    }
    return words.get(gpu.data_center, "no: no forward compatibility")


def _legend(*, upstream: bool) -> Iterator[str]:
    catalogue = f" {_UPSTREAM} marks images of TensorFlow's own project, the others are NVIDIA's." if upstream else ""
    yield "<section aria-label=Legend class=legend>\n<ul>\n"
    for verdict in SHOWN:
        yield f"<li><b class={_CLASSES[verdict]}>{SIGNS[verdict]}</b><span><strong>{_text(in_words(verdict))}</strong>"
        yield f" <i>{_text(_MEANINGS[verdict])}</i></span></li>\n"
    yield "</ul>\n"
    yield (
        "<p>Each bar begins with its sign. Your driver:"
        " <code>nvidia-smi --query-gpu=driver_version --format=csv,noheader</code>. Its column is the last one whose"
        " number is not above it. Numbers in <span class=gap>grey</span> are what lies between the branches that the"
        f" matrix names. * and ** mark rows of medium and low confidence.{catalogue} <span class=point>Point at a bar"
        " for the reason; its tag leads to all reasons, with their sources.</span></p>\n</section>\n"
    )


def _table(value: Grid) -> Iterator[str]:
    yield '<div class=scroll tabindex=0 role=region aria-label="Images and drivers">\n'
    yield f'<div class=sheet style="--n:{len(value.columns)}">\n<table>\n'
    yield "<caption>Rows are images, newest first; columns are drivers, oldest first</caption>\n"
    yield "<colgroup><col class=tag>" + "<col>" * len(value.columns) + "</colgroup>\n"
    yield "<thead><tr><th scope=col class=corner><span>Image<small>TensorFlow \N{MIDDLE DOT} CUDA</small></span>"
    yield "<span class=axis>Driver \N{RIGHTWARDS ARROW}</span></th>"
    for column in value.columns:
        kind = "" if column.named else " class=gap"
        start = "" if column.start is None else str(column.start)
        yield f'<th scope=col{kind} data-from="{_text(start)}" title="{_text(column.in_words)}">'
        yield f"<span>{_text(column.label)}</span></th>"
    yield "</tr></thead>\n"
    width = len(value.columns)
    numbered = enumerate(value.rows)
    for minor, rows in groupby(numbered, key=lambda pair: pair[1].image.tensorflow and pair[1].image.tensorflow.minor):
        name = "TensorFlow not known" if minor is None else f"TensorFlow {minor[0]}.{minor[1]}"
        yield f"<tbody>\n<tr class=group><th scope=rowgroup>{name}</th><td colspan={width}></td></tr>\n"
        for number, row in rows:
            yield from _row(number, row, value.columns)
        yield "</tbody>\n"
    lines = "".join(f'<s style="--k:{number}"></s>' for number in range(1, len(value.columns)))
    yield f"</table>\n<div class=lines aria-hidden=true>{lines}</div></div></div>\n"


def _row(number: int, row: Row, columns: Sequence[Column]) -> Iterator[str]:
    image = row.image
    held = " \N{MIDDLE DOT} ".join("?" if one is None else str(one) for one in (image.tensorflow, image.cuda))
    confidence = image.provenance.confidence
    marks = "" if confidence not in _UNSURE else f'<sup title="{confidence} confidence">{_UNSURE[confidence]}</sup>'
    if image.upstream:
        marks += f'<sup title="of TensorFlow\'s own project">{_UPSTREAM}</sup>'
    yield f"<tr><th scope=row><a href=#w{number}>{_text(image.tag)}</a>{marks}<small>{_text(held)}</small></th>"
    for run in row.runs:
        span = "" if run.span == 1 else f" colspan={run.span}"
        title = f"{image.tag}, {_between(run, columns)}: {in_words(run.verdict)}"
        deciding = _deciding(run)
        if deciding is not None:
            title += f": {deciding.detail}"
        yield f'<td class={_CLASSES[run.verdict]}{span} title="{_text(title)}"><b aria-hidden=true>{SIGNS[run.verdict]}'
        yield f"</b><i>{_text(in_words(run.verdict))}</i></td>"
    yield "</tr>\n"


def _deciding(run: Run) -> Reason | None:
    """The one reason for the little room there is: of a driver that runs it natively, what makes it so."""
    ways = (reason for reason in run.reasons if run.verdict.runs and reason.rule in _WAYS)
    return next(ways, run.reasons[0] if run.reasons else None)


def _between(run: Run, columns: Sequence[Column]) -> str:
    return replace(columns[run.first], stop=columns[run.first + run.span - 1].stop).in_words


class _Sources:
    """Every source once, numbered in the order in which they are first used."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, source: str) -> int:
        return self.numbers.setdefault(source, len(self.numbers) + 1)

    def listed(self) -> Iterator[str]:
        yield "<section class=sources>\n<h2>Sources</h2>\n<ol>\n"
        for source, number in self.numbers.items():
            link = source.startswith(("https://", "http://"))
            shown = f'<a href="{_text(source)}" rel=noreferrer>{_text(source)}</a>' if link else _text(source)
            yield f"<li id=s{number}>{shown}</li>\n"
        yield "</ol>\n</section>\n"


def _why(value: Grid, sources: _Sources) -> Iterator[str]:
    yield "<section class=why>\n<h2>Reasons</h2>\n"
    for number, row in enumerate(value.rows):
        yield f"<details><summary>{_text(row.image.tag)}</summary>\n<dl id=w{number}>\n"
        for run in row.runs:
            yield f"<dt><b class={_CLASSES[run.verdict]} aria-hidden=true>{SIGNS[run.verdict]}</b> "
            yield f"{_text(_between(run, value.columns))}: {_text(in_words(run.verdict))}</dt>\n"
            for reason in run.reasons:
                cited = f" <a href=#s{sources.number(reason.source)}>[{sources.number(reason.source)}]</a>"
                yield f"<dd>{_text(reason.detail)}{cited if reason.source else ''}</dd>\n"
        note = row.image.provenance.note
        yield f"</dl>{f'<p>{_text(note)}</p>' if note else ''}</details>\n"
    yield "</section>\n"


_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)

# Shades go from dark to light (on a dark screen from light to dark) in the order of the verdicts, so that they stay
# apart in grey; each pair of sign and shade is checked for a contrast of 4.5 by the tests.
_STYLE = """
:root{--page:#fff;--ink:#1b232d;--soft:#55606d;--line:#d9dfe5;--head:#f4f6f8;--mark:#b3261e;
--r:#0a5a48;--r-ink:#fff;--f:#2a69a3;--f-ink:#fff;--m:#8fc7b5;--m-ink:#0c2a22;--u:#f0d489;--u-ink:#3a2c05;
--j:#f8e8d8;--j-ink:#5a3210;--q:#fff;--q-ink:#1b232d;--x:#f1f3f5;--x-ink:#626c78;--grain:#fff8}
@media screen and (prefers-color-scheme:dark){:root{--page:#14181d;--ink:#e4e9ee;--soft:#a3adb8;--line:#2e363f;
--head:#1b2128;--mark:#ff8a80;--r:#86dcc2;--r-ink:#06251c;--f:#6fa8dc;--f-ink:#07192a;--m:#2f7d68;--m-ink:#fff;
--u:#6d5313;--u-ink:#ffeec2;--j:#45311f;--j-ink:#f7dcc0;--q:#14181d;--q-ink:#e4e9ee;--x:#1b2128;--x-ink:#8b95a0;
--grain:#0005}}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem 1.5rem 4rem;background:var(--page);color:var(--ink);
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif}
h1{margin:0;font-size:1.7rem;line-height:1.2;font-weight:650;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:.15em}
code{font:.92em ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.lead{margin:.2rem 0 1rem;color:var(--soft);font-size:1.05rem}
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:0 0 1rem;padding:.7rem 0;border:solid var(--line);
border-width:1px 0}
.facts dt{color:var(--soft);font-size:.8rem}
.facts dd{margin:0;font-weight:550;overflow-wrap:anywhere}
.legend ul{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:.4rem 1.5rem;margin:0 0 .8rem;
padding:0;list-style:none}
.legend li{display:flex;gap:.6rem;align-items:flex-start;font-size:.86rem;line-height:1.35;color:var(--soft)}
.legend strong{display:block;color:var(--ink);font-weight:600}
.legend i{display:block;font-style:normal}
.legend strong::first-letter,.legend i::first-letter{text-transform:uppercase}
.legend b,dt b{flex:none;width:1.7em;height:1.7em;line-height:1.7em;text-align:center;display:inline-block}
.legend p{margin:0 0 1rem;max-width:72rem;color:var(--soft);font-size:.86rem}
.controls{display:flex;flex-wrap:wrap;gap:.6rem 1.2rem;align-items:center;margin:0 0 .8rem;font-size:.9rem}
.controls[hidden]{display:none}
.controls input[type=search],.controls input[type=text]{font:inherit;color:inherit;background:var(--page);
border:1px solid var(--soft);border-radius:4px;padding:.25rem .5rem;width:11rem;margin-left:.4rem}
.controls output{color:var(--soft)}
.r{background-color:var(--r);color:var(--r-ink)}.f{background-color:var(--f);color:var(--f-ink)}
.m{background-color:var(--m);color:var(--m-ink)}.u{background-color:var(--u);color:var(--u-ink)}
.j{background-color:var(--j);color:var(--j-ink)}.q{background-color:var(--q);color:var(--q-ink)}
.x{background-color:var(--x);color:var(--x-ink)}
b.r,b.f,b.m,b.u,b.j,b.q,b.x{font-size:.85rem;font-weight:650}
b.q,b.x{box-shadow:inset 0 0 0 1px var(--line)}
.scroll{position:relative;overflow:auto;width:fit-content;max-width:100%;max-height:94vh;border:1px solid var(--line)}
.sheet{--tag:17rem;--w:clamp(1.45rem,(100vw - 4.5rem - var(--tag))/var(--n),3.2rem);position:relative;
width:calc(var(--tag) + var(--n)*var(--w))}
table{table-layout:fixed;border-collapse:separate;border-spacing:0;width:100%;font-size:.78rem;line-height:1.3}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
col.tag{width:var(--tag)}
thead th{position:sticky;top:0;z-index:2;height:8rem;padding:.35rem 0;background:var(--head);vertical-align:bottom;
border-bottom:1px solid var(--line);font-weight:600;font-variant-numeric:tabular-nums}
thead th span{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap;display:inline-block}
thead .gap,.legend .gap{color:var(--soft);font-weight:400}
thead .corner{left:0;z-index:4;text-align:left;padding:.35rem .6rem;border-right:1px solid var(--line)}
thead .corner span{writing-mode:horizontal-tb;transform:none;display:flex;justify-content:space-between}
thead .corner .axis{position:absolute;right:.5rem;top:.4rem;color:var(--soft);font-weight:400}
tbody th{position:sticky;left:0;z-index:3;background:var(--page);text-align:left;font-weight:500;white-space:nowrap;
border-right:1px solid var(--line)}
tbody tr:not(.group) th{display:flex;align-items:center;height:1.45rem;padding:0 .6rem;gap:.15rem}
tbody th a{text-decoration:none;overflow:hidden;text-overflow:ellipsis}
tbody th a:hover{text-decoration:underline}
small{color:var(--soft);font-weight:400;font-size:.92em}
tbody small{margin-left:auto;padding-left:.5rem}
sup{color:var(--soft);font-weight:600;line-height:1}
tbody th sup{align-self:flex-start;font-size:.9em;padding-top:.1rem}
.group th,.group td{background:var(--head);padding:.4rem .6rem .2rem;font-weight:650;border-top:1px solid var(--line);
border-bottom:1px solid var(--line)}
.group th{border-right:0}
tbody tr:not(.group) td{height:1.45rem;padding:0;border-bottom:1px solid var(--page);
border-left:1px solid var(--page);cursor:default}
.lines{position:absolute;inset:0;z-index:1;pointer-events:none}
.lines s{position:absolute;top:0;bottom:0;left:calc(var(--tag) + (100% - var(--tag))*var(--k)/var(--n));
border-left:1px solid var(--grain)}
tbody td b{position:sticky;left:var(--tag);display:inline-block;width:calc(var(--w) - 1px);text-align:center;
font-weight:650}
tbody td i{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
tbody td.x b{font-weight:400}
tbody td.j{background-image:repeating-linear-gradient(135deg,transparent 0 5px,var(--grain) 5px 7px)}
tbody tr:not(.group) td.q{border:1px solid var(--soft)}
tbody tr:hover th{background:var(--head)}
tbody td:hover{box-shadow:inset 0 0 0 2px var(--ink)}
td,tbody th a{scroll-margin:8rem 1rem 1rem 18rem}
:focus-visible{outline:3px solid var(--mark);outline-offset:-2px}
a:focus-visible{outline-offset:1px}
thead th.here{background:var(--mark);color:var(--page)}
.band{position:absolute;top:0;z-index:1;pointer-events:none;border:solid var(--mark);border-width:0 2px}
#say{position:fixed;left:0;right:0;bottom:0;z-index:9;margin:0;padding:.6rem 1.5rem;background:var(--head);
border-top:1px solid var(--line);font-size:.9rem}
.why,.sources{max-width:72rem}
.why summary{cursor:pointer;padding:.15rem 0}
.why details dl{margin:.3rem 0 1rem 1.2rem;scroll-margin-top:3rem}
.why dt{margin-top:.5rem;font-weight:550}
.why dd{margin:.1rem 0 0 2.2rem;color:var(--soft)}
.why p{margin:.3rem 0 1rem 1.2rem;color:var(--soft)}
.sources li{overflow-wrap:anywhere;font-size:.86rem;color:var(--soft)}
@media screen and (max-width:60rem){body{padding:1rem 1rem 4rem}.sheet{--tag:10.5rem}
tbody small,.corner small,.corner .axis{display:none}td{scroll-margin-left:12rem}}
@page{size:A3 landscape;margin:10mm}
@media print{body{padding:0;font-size:11px}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.controls,.why,.sources,#say,.band,.point{display:none!important}
.scroll{overflow:visible;max-height:none;border:0}
.sheet{--tag:15rem;width:min(100%,var(--tag) + var(--n)*3rem)}table{font-size:9px}
thead th,tbody th,tbody td b{position:static}thead{display:table-header-group}tr{break-inside:avoid}
thead .corner{position:relative}
tbody tr:not(.group) th,tbody tr:not(.group) td{height:13px}tbody td b{width:auto;padding-left:4px}
tbody td.j{background-image:none!important}.group{break-after:avoid}.legend ul{grid-template-columns:repeat(4,1fr)}}
"""

_CONTROLS = """<div class=controls hidden>
<label>Images<input type=search id=find placeholder="tf1, 2.10, 22.12" autocomplete=off></label>
<label>Your driver<input type=text id=driver inputmode=decimal placeholder="470.57.02" autocomplete=off></label>
<label><input type=checkbox id=only disabled> only what runs on it</label>
<output id=count></output>
</div>
"""

# Filters and arrow keys: everything that can be read is there without it. It takes nothing from the page but texts,
# and writes nothing but texts.
_SCRIPT = """
"use strict";
(() => {
const one = name => document.getElementById(name);
const scroll = document.querySelector(".scroll"), heads = [...document.querySelectorAll("thead th[data-from]")];
const rows = [...scroll.querySelectorAll("tbody tr:not(.group)")], say = one("say");
const numbers = text => text.split(".").map(Number);
const below = (a, b) => {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if ((a[i] || 0) !== (b[i] || 0)) return (a[i] || 0) < (b[i] || 0);
  }
  return false;
};
const at = (row, column) => {
  let end = 0;
  for (const cell of row.querySelectorAll("td")) { end += cell.colSpan; if (column < end) return cell; }
  return null;
};
const band = scroll.querySelector(".sheet").appendChild(document.createElement("div"));
band.className = "band";
let here = -1;
const draw = () => {
  band.hidden = here < 0;
  if (here < 0) return;
  const head = heads[here];
  band.style.left = head.offsetLeft + "px";
  band.style.width = head.offsetWidth + "px";
  band.style.height = head.closest("table").offsetHeight + "px";
};
const filter = () => {
  const typed = one("driver").value.trim(), words = one("find").value.toLowerCase().split(/[\\s,]+/).filter(Boolean);
  here = -1;
  if (/^\\d+(\\.\\d+){0,3}$/.test(typed)) {
    const from = numbers(typed);
    here = heads.findLastIndex(head => !head.dataset.from || !below(from, numbers(head.dataset.from)));
  }
  heads.forEach((head, i) => head.classList.toggle("here", i === here));
  one("driver").setAttribute("aria-invalid", String(typed !== "" && here < 0));
  one("only").disabled = here < 0;
  let shown = 0, running = 0;
  for (const row of rows) {
    const text = row.cells[0].textContent.toLowerCase();
    const runs = here >= 0 && !["x", "q"].includes(at(row, here).className);
    row.hidden = !words.every(word => text.includes(word)) || (one("only").checked && here >= 0 && !runs);
    if (!row.hidden) { shown += 1; running += runs ? 1 : 0; }
  }
  for (const body of scroll.querySelectorAll("tbody")) {
    body.hidden = ![...body.querySelectorAll("tr:not(.group)")].some(row => !row.hidden);
  }
  const wrong = typed && here < 0 ? "; a driver looks like 470.57.02" : "";
  one("count").textContent = shown + " of " + rows.length + " images" +
    (here >= 0 ? ", " + running + " run on " + typed : wrong);
  draw();
};
for (const name of ["find", "driver", "only"]) one(name).addEventListener("input", filter);
addEventListener("resize", draw);
const told = cell => {
  say.hidden = !(cell && cell.title);
  say.textContent = cell ? cell.title : "";
};
scroll.addEventListener("mouseover", event => told(event.target.closest("tbody td[title]")));
scroll.addEventListener("mouseleave", () => told(null));
scroll.addEventListener("focusin", event => told(event.target.closest("tbody td[title]")));
scroll.addEventListener("focusout", () => told(null));
// One stop for the Tab key, the arrow keys from there on.
scroll.removeAttribute("tabindex");
const stops = rows.flatMap(row => [row.querySelector("th a"), ...row.querySelectorAll("td")]);
for (const stop of stops) stop.tabIndex = -1;
let stop = stops[0], column = -1;
if (stop) stop.tabIndex = 0;
const go = (next, keep) => {
  if (!next) return;
  stop.tabIndex = -1; stop = next; stop.tabIndex = 0; stop.focus();
  if (!keep) column = spot(next);
};
const spot = cell => {
  if (cell.tagName === "A") return -1;
  let first = 0;
  for (let other = cell.previousElementSibling; other && other.tagName === "TD"; other = other.previousElementSibling) {
    first += other.colSpan;
  }
  return first;
};
const beside = (row, side) => {
  const open = rows.filter(other => !other.hidden), i = open.indexOf(row) + side;
  return open[Math.min(Math.max(i, 0), open.length - 1)];
};
const cell = (row, wanted) => wanted < 0 ? row.querySelector("th a") : at(row, wanted);
scroll.addEventListener("keydown", event => {
  const row = event.target.closest("tr");
  if (!row || event.altKey || event.metaKey || event.shiftKey) return;
  const all = [row.querySelector("th a"), ...row.querySelectorAll("td")], i = all.indexOf(event.target);
  if (i < 0) return;
  if (event.key === "ArrowRight") go(all[i + 1]);
  else if (event.key === "ArrowLeft") go(all[i - 1]);
  else if (event.key === "Home") go(event.ctrlKey ? cell(beside(row, -rows.length), -1) : all[0]);
  else if (event.key === "End") go(event.ctrlKey ? cell(beside(row, rows.length), column) : all[all.length - 1]);
  else if (event.key === "ArrowDown") go(cell(beside(row, 1), column), true);
  else if (event.key === "ArrowUp") go(cell(beside(row, -1), column), true);
  else if (event.key === "PageDown") go(cell(beside(row, 20), column), true);
  else if (event.key === "PageUp") go(cell(beside(row, -20), column), true);
  else return;
  event.preventDefault();
});
scroll.addEventListener("click", event => { const hit = event.target.closest("tbody td[title]"); if (hit) go(hit); });
document.querySelector(".controls").hidden = false;
filter();
document.documentElement.dataset.script = "ready";
})();
"""
