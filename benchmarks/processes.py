"""Whole processes, measured in turns: wall, processor and peak memory of each."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STARTER = Path(__file__).with_name("starter.py")
DEADLINE_SECONDS = 120.0


class BenchmarkError(Exception):
    """What was to be measured did not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command line to be measured."""

    name: str
    """For the table, as a person types it."""
    arguments: tuple[str, ...]
    exit_codes: frozenset[int] = frozenset({0})
    """With any other, the figures would be those of something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one process cost."""

    wall_seconds: float
    cpu_seconds: float
    """User and system."""
    peak_bytes: int
    """Largest resident set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How much more one program costs than another that ran right beside it."""

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Every run of one program, in the order of the rounds."""

    program: Program
    runs: tuple[Run, ...]

    @property
    def wall_seconds(self) -> float:
        return statistics.median(run.wall_seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        return round(statistics.median(run.peak_bytes for run in self.runs))

    def ratio_to(self, other: Series) -> Ratio:
        """Of wall time, round by round: what slows the machine for a while slows both of a round."""
        pairs = zip(self.runs, other.runs, strict=True)
        ratios = sorted(mine.wall_seconds / theirs.wall_seconds for mine, theirs in pairs)
        if len(ratios) == 1:
            return Ratio(median=ratios[0], low=ratios[0], high=ratios[0])
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return Ratio(median=median, low=low, high=high)


def clean_environment(home: Path, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the programs see: no setting of this user, of this Python or of gpudoctor, least of all
    PYTHONDONTWRITEBYTECODE, and an empty home."""
    kept = {name: value for name, value in inherited.items() if name in ("PATH", "TMPDIR")}
    return {**kept, "LANG": "C.UTF-8", "HOME": str(home), "XDG_CONFIG_HOME": str(home)}


def in_turns(programs: Sequence[Program], environment: Mapping[str, str], *, runs: int) -> Iterator[tuple[Run, ...]]:
    """Rounds in which every program runs once, after a round that warms up and is not counted.

    Each round begins with another program, so that none of them always follows the same one.
    """
    for number in range(runs + 1):
        begin = number % len(programs)
        order = [*range(begin, len(programs)), *range(begin)]
        measured = {index: measure(programs[index], environment) for index in order}
        if number:
            yield tuple(measured[index] for index in range(len(programs)))


def series(programs: Sequence[Program], environment: Mapping[str, str], *, runs: int) -> tuple[Series, ...]:
    """Every program, as often as `runs` says."""
    rounds = tuple(in_turns(programs, environment, runs=runs))
    return tuple(
        Series(program=program, runs=tuple(one[index] for one in rounds)) for index, program in enumerate(programs)
    )


def measure(program: Program, environment: Mapping[str, str]) -> Run:
    """Run it once, from a process that is smaller than anything measured here.

    Raises BenchmarkError when it cannot run, takes too long, or exits with a code that it should not.
    """
    starter = subprocess.Popen(
        (sys.executable, "-I", "-S", str(STARTER), *program.arguments),
        env=dict(environment),
        cwd=environment["HOME"],  # Python looks there first for what it imports: not in the source tree
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, complaint = starter.communicate(timeout=DEADLINE_SECONDS)
    except BaseException as error:
        # The program is the starter's child: only the group ends both.
        os.killpg(starter.pid, signal.SIGKILL)
        starter.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BenchmarkError(f"{program.name}: not done after {DEADLINE_SECONDS:g} seconds") from None
        raise
    if starter.returncode != 0:
        raise BenchmarkError(f"{program.name}: could not be started: {last_line(complaint)}")
    wall, user, system, peak, code = said.split()
    if int(code) not in program.exit_codes:
        raise BenchmarkError(f"{program.name}: exit code {code}: {last_line(complaint)}")
    return Run(wall_seconds=int(wall) / 1e9, cpu_seconds=float(user) + float(system), peak_bytes=int(peak) * 1024)


def last_line(text: str) -> str:
    """Where most programs say what went wrong."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
