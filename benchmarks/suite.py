"""What is measured, and what it may cost: the programs, the core, and a target beside each that has one."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError, Program, Ratio, Series, last_line, series

IN_PROCESS = Path(__file__).with_name("in_process.py")
_DEADLINE_SECONDS = 300.0

RUNS = 15
HOSTS = 10_000

# At most so many times `python -c "import click"`: both start Python and the library that every command needs.
_VERSION_RATIO = 1.3
_RESOLVE_RATIO = 1.8

_LOAD_SHARE = 0.5
_JUDGE_SECONDS = 0.020
_HOSTS_SECONDS = 30.0
_GROWTH_BYTES = 5_000_000

# Past its target by so much, the rest of the hosts would only tell how much longer they take.
_GIVE_UP_SECONDS = 35.0

_SOME_HOST = ("--driver", "455.45.01", "--gpu", "RTX 3090")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFigure:
    """A whole process, beside `python -c "import click"`."""

    series: Series
    ratio: Ratio
    limit: float | None = None

    @property
    def met(self) -> bool | None:
        """None where there is no target."""
        return None if self.limit is None else self.ratio.median <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreFigure:
    """A number from inside one process."""

    what: str
    value: float | None
    """None where the work was given up before there was anything to tell."""
    unit: str
    """seconds, bytes or share."""
    limit: float | None = None
    note: str = ""
    complete: bool = True
    """False where the work was given up before its end: the target is missed then, whatever the value says."""

    @property
    def met(self) -> bool | None:
        """None where there is no target."""
        if self.limit is None:
            return None
        return self.complete and self.value is not None and self.value <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that one run of the benchmarks found."""

    processes: tuple[ProcessFigure, ...]
    core: tuple[CoreFigure, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """What did not meet its target."""
        programs = [figure.series.program.name for figure in self.processes if figure.met is False]
        return (*programs, *(figure.what for figure in self.core if figure.met is False))


def measure_all(python: Path, environment: Mapping[str, str], *, runs: int = RUNS, hosts: int = HOSTS) -> Figures:
    """Measure the gpudoctor that is installed for this Python."""
    measured = series(programs(python), environment, runs=runs)
    return Figures(
        processes=process_figures(measured),
        core=(_load_share(measured), *_inside_one_process(python, environment, runs=runs, hosts=hosts)),
    )


def programs(python: Path) -> tuple[Program, ...]:
    """Every program, the one that the others are compared with second."""

    def snippet(name: str, code: str) -> Program:
        return Program(name=name, arguments=(str(python), "-c", code))

    def command(name: str, *arguments: str, exit_codes: frozenset[int] = frozenset({0})) -> Program:
        gpudoctor = python.parent / "gpudoctor"
        return Program(name=name, arguments=(str(gpudoctor), *arguments), exit_codes=exit_codes)

    imports = "from gpudoctor.cli import resolve; from gpudoctor import matrix"
    return (
        snippet("python -c pass", "pass"),
        snippet('python -c "import click"', "import click"),
        command("gpudoctor --version", "--version"),
        command("gpudoctor --help", "--help"),
        command("gpudoctor resolve --tf 1.15, what-if", "resolve", "--tf", "1.15", *_SOME_HOST),
        snippet("the imports of resolve alone", imports),
        snippet("the imports and the matrix", f"{imports}; matrix.load()"),
        command("gpudoctor check, on this machine", "check", exit_codes=frozenset({0, 1, 3})),
    )


_CLICK, _VERSION, _HELP, _RESOLVE, _IMPORTS, _IMPORTS_AND_MATRIX = range(1, 7)
"""Places in `programs`."""

_LIMITS = {_VERSION: _VERSION_RATIO, _HELP: _VERSION_RATIO, _RESOLVE: _RESOLVE_RATIO}


def process_figures(measured: tuple[Series, ...]) -> tuple[ProcessFigure, ...]:
    """Each beside `import click` in the same rounds."""
    click = measured[_CLICK]
    return tuple(
        ProcessFigure(series=one, ratio=one.ratio_to(click), limit=_LIMITS.get(index))
        for index, one in enumerate(measured)
    )


def _load_share(measured: tuple[Series, ...]) -> CoreFigure:
    """How much of `resolve` goes into loading the matrix: what a process with it takes longer than one without."""
    rounds = zip(measured[_IMPORTS].runs, measured[_IMPORTS_AND_MATRIX].runs, measured[_RESOLVE].runs, strict=True)
    shares = [(loaded.wall_seconds - bare.wall_seconds) / whole.wall_seconds for bare, loaded, whole in rounds]
    return CoreFigure(
        what="share of loading the matrix in resolve", value=statistics.median(shares), unit="share", limit=_LOAD_SHARE
    )


def _inside_one_process(
    python: Path, environment: Mapping[str, str], *, runs: int, hosts: int
) -> tuple[CoreFigure, ...]:
    def ask(*arguments: str) -> dict[str, Any]:
        return _ask(python, environment, *arguments)

    loaded, judged = ask("load", str(runs)), ask("judge", str(runs))
    figures = [CoreFigure(what="load the matrix, again in one process", value=loaded["seconds"], unit="seconds")]
    for host in judged["hosts"]:
        gpus = "" if host["gpus"] == 1 else f"{host['gpus']} × "
        what = f"judge all {judged['tags']} tags for a host with {gpus}{host['gpu']}"
        figures.append(CoreFigure(what=what, value=host["seconds"], unit="seconds", limit=_JUDGE_SECONDS))
    for tf in ("1.15", "latest"):
        figures += _many(ask("many", tf, str(hosts), str(_GIVE_UP_SECONDS)))
    return tuple(figures)


def _many(found: Mapping[str, Any]) -> tuple[CoreFigure, CoreFigure]:
    """The time that the hosts took, and what memory they left behind; targets for the full number only."""
    asked, done, early = found["hosts_asked"], found["hosts"], found["early_hosts"]
    full, complete = asked == HOSTS, done == asked
    what = f"resolve --tf {found['tf']} for {asked:,} hosts of 200 kinds"
    given_up = "" if complete else f"given up after {done:,} hosts"
    early_bytes = found["early_bytes"]
    grown = None if early_bytes is None else found["late_bytes"] - early_bytes
    return (
        CoreFigure(
            what=f"{what}, processor time",
            value=found["cpu_seconds"],
            unit="seconds",
            limit=_HOSTS_SECONDS if full else None,
            note=given_up,
            complete=complete,
        ),
        CoreFigure(
            what=f"{what}, memory grown after the first {early:,}",
            value=grown,
            unit="bytes",
            limit=_GROWTH_BYTES if full else None,
            note=given_up,
            complete=complete,
        ),
    )


def _ask(python: Path, environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    try:
        ended = subprocess.run(
            (str(python), "-I", str(IN_PROCESS), *arguments),
            env=dict(environment),
            cwd=environment["HOME"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{arguments[0]}: not done after {_DEADLINE_SECONDS:g} seconds") from None
    if ended.returncode != 0:
        raise BenchmarkError(f"{arguments[0]}: {last_line(ended.stderr)}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
