"""The figures as RESULTS.md and results.json: the same numbers, for people and for programs."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.suite import CoreFigure, Figures, ProcessFigure

SCHEMA = "gpudoctor.benchmarks/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where, when and how often it was measured. Names no machine."""

    version: str
    """Of gpudoctor."""
    python: str
    cpus: int
    kernel: str
    date: str
    runs: int


def setting_here(*, version: str, date: str, runs: int) -> Setting:
    """The machine that this runs on; of its kernel only the number, because builders put names behind it."""
    number = re.match(r"[0-9]+(\.[0-9]+)*", platform.release())
    return Setting(
        version=version,
        python=platform.python_version(),
        cpus=len(os.sched_getaffinity(0)),
        kernel=f"{platform.system()} {number[0] if number else ''}".strip(),
        date=date,
        runs=runs,
    )


def to_document(figures: Figures, setting: Setting) -> dict[str, Any]:
    """What results.json holds."""
    return {
        "schema": SCHEMA,
        "version": setting.version,
        "date": setting.date,
        "machine": {"cpus": setting.cpus, "python": setting.python, "kernel": setting.kernel},
        "runs": setting.runs,
        "reference": 'python -c "import click"',
        "processes": [_process_document(figure) for figure in figures.processes],
        "core": [
            {
                "what": figure.what,
                "value": figure.value,
                "unit": figure.unit,
                "target": figure.limit,
                "met": figure.met,
                "note": figure.note or None,
            }
            for figure in figures.core
        ],
        "missed": list(figures.missed),
    }


def _process_document(figure: ProcessFigure) -> dict[str, Any]:
    ratio = figure.ratio
    return {
        "what": figure.series.program.name,
        "wall_seconds": figure.series.wall_seconds,
        "cpu_seconds": figure.series.cpu_seconds,
        "peak_bytes": figure.series.peak_bytes,
        "ratio": ratio.median,
        "ratio_quartiles": [ratio.low, ratio.high],
        "target": figure.limit,
        "met": figure.met,
    }


def to_markdown(figures: Figures, setting: Setting) -> str:
    """What RESULTS.md holds."""
    return "\n".join((*_heading(figures, setting), *_process_table(figures), *_core_table(figures))) + "\n"


def _heading(figures: Figures, setting: Setting) -> Iterator[str]:
    yield "# Results"
    yield ""
    yield (
        f"gpudoctor {setting.version} as an installed wheel, measured on {setting.date}: {setting.cpus} CPUs,"
        f" Python {setting.python}, {setting.kernel}; medians of {_runs(setting.runs)}. How: [README](README.md)."
    )
    yield ""
    if figures.missed:
        yield f"Targets missed: {len(figures.missed)}."
    else:
        yield "Every target is met."


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} interleaved runs"


def _process_table(figures: Figures) -> Iterator[str]:
    yield ""
    yield "## Whole processes"
    yield ""
    yield 'The ratio is that of wall time to `python -c "import click"` in the same round, with its quartiles.'
    yield ""
    yield "| what | wall | CPU | peak memory | ratio | target | met? |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for figure in figures.processes:
        one, ratio = figure.series, figure.ratio
        target = "" if figure.limit is None else f"≤ {figure.limit:g}"
        yield (
            f"| `{one.program.name}` | {in_unit(one.wall_seconds, 'seconds')} | {in_unit(one.cpu_seconds, 'seconds')}"
            f" | {in_unit(one.peak_bytes, 'bytes')} | {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
            f" | {target} | {_met(figure)} |"
        )


def _core_table(figures: Figures) -> Iterator[str]:
    yield ""
    yield "## Inside one process"
    yield ""
    yield "| what | median | target | met? |"
    yield "|---|---:|---:|---|"
    for figure in figures.core:
        target = "" if figure.limit is None else f"≤ {in_unit(figure.limit, figure.unit)}"
        note = f", {figure.note}" if figure.note else ""
        yield f"| {figure.what} | {in_unit(figure.value, figure.unit)}{note} | {target} | {_met(figure)} |"


def _met(figure: ProcessFigure | CoreFigure) -> str:
    return {None: "", True: "yes", False: "**no**"}[figure.met]


def in_unit(value: float | None, unit: str) -> str:
    """5.2 ms, 21.3 s, 14.2 MB, 23 %"""
    if value is None:
        return "not measured"
    if unit == "share":
        return f"{value:.0%}".replace("%", " %")
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB"
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.1f} s"
