"""The benchmarks measure what they say, and their table tells a met target from a missed one. No clock is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.__main__ import MET, NOT_MEASURED, main, write
from benchmarks.processes import BenchmarkError, Program, Run, Series, clean_environment, measure, series
from benchmarks.results import Setting
from benchmarks.suite import CoreFigure, Figures, ProcessFigure, process_figures, programs

ROOT = Path(__file__).resolve().parent.parent
SETTING = Setting(version="1.2.3", python="3.11.7", cpus=2, kernel="Linux 6.1", date="2026-11-23", runs=15)


def _series(name: str, *wall_seconds: float) -> Series:
    runs = tuple(Run(wall_seconds=wall, cpu_seconds=wall / 2, peak_bytes=9_000_000) for wall in wall_seconds)
    return Series(program=Program(name=name, arguments=("true",)), runs=runs)


def _python(code: str, exit_codes: frozenset[int] = frozenset({0})) -> Program:
    return Program(name="python", arguments=(sys.executable, "-I", "-S", "-c", code), exit_codes=exit_codes)


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return clean_environment(home)


def test_one_command_measures_an_installed_wheel_and_writes_both_files(tmp_path: Path) -> None:
    arguments = ("--runs", "1", "--hosts", "10", "--report-only", "--into", str(tmp_path / "new" / "folder"))
    done = subprocess.run(
        (sys.executable, "-m", "benchmarks", *arguments), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == MET, done.stderr
    text = (tmp_path / "new" / "folder" / "RESULTS.md").read_text(encoding="utf-8")
    assert done.stdout == text
    document = json.loads((tmp_path / "new" / "folder" / "results.json").read_text(encoding="utf-8"))
    assert document["schema"] == "gpudoctor.benchmarks/1"
    assert len(document["processes"]) == len(programs(Path(sys.executable)))
    for process in document["processes"]:
        assert f"| `{process['what']}` |" in text
        assert process["wall_seconds"] > 0
        assert process["cpu_seconds"] > 0
        assert process["peak_bytes"] > 1_000_000
    by_name = {process["what"]: process for process in document["processes"]}
    resolve = by_name["gpudoctor resolve --tf 1.15, what-if"]
    assert (by_name['python -c "import click"']["ratio"], resolve["target"]) == (1, 1.8)
    assert resolve["peak_bytes"] > by_name["python -c pass"]["peak_bytes"]
    for figure in document["core"]:
        assert f"| {figure['what']} |" in text
    assert not any(word in text for word in (str(ROOT), str(tmp_path), sys.prefix))


def test_too_few_runs_are_refused_where_targets_count(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--runs", "14"])
    assert refused.value.code == NOT_MEASURED
    assert "say --report-only" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
def test_a_number_of_runs_that_is_none_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--report-only", f"--runs={number}"])
    assert refused.value.code == NOT_MEASURED
    assert f"found {number!r}" in capsys.readouterr().err


def test_the_peak_is_that_of_the_program_and_not_of_the_benchmark(environment: Mapping[str, str]) -> None:
    ballast = bytearray(64 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = measure(_python("pass"), environment)
    large = measure(_python("x = b'x' * (48 << 20)"), environment)
    assert small.peak_bytes < len(ballast) / 2
    assert 48 << 20 <= large.peak_bytes - small.peak_bytes + (1 << 20) < 64 << 20


def test_processor_time_is_that_of_the_program(environment: Mapping[str, str]) -> None:
    idle = measure(_python("import time; time.sleep(0.3)"), environment)
    busy = measure(_python("import time\nwhile time.process_time() < 0.3: pass"), environment)
    assert idle.wall_seconds >= 0.3 > idle.cpu_seconds
    assert busy.cpu_seconds >= 0.3


def test_a_program_that_fails_is_not_measured(environment: Mapping[str, str]) -> None:
    with pytest.raises(BenchmarkError, match="python: exit code 1: ValueError: of its own"):
        measure(_python("raise ValueError('of its own')"), environment)
    assert measure(_python("raise SystemExit(3)", frozenset({0, 3})), environment).wall_seconds > 0
    with pytest.raises(BenchmarkError, match="absent: could not be started: FileNotFoundError"):
        measure(Program(name="absent", arguments=("/nowhere/absent",)), environment)


def test_programs_are_measured_in_turns_after_a_warm_up_that_does_not_count(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    two = tuple(_python(f"open({str(log)!r}, 'a').write({name!r})") for name in "ab")
    found = series(two, environment, runs=3)
    assert log.read_text() == "ab" + "ba" + "ab" + "ba"
    assert [len(one.runs) for one in found] == [3, 3]


def test_programs_see_no_setting_of_the_user(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "GPUDOCTOR_MATRIX": "/site.yaml", "HOME": "/home/me"}
    seen = clean_environment(tmp_path, inherited)
    assert seen == {"PATH": "/bin", "LANG": "C.UTF-8", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}


def test_ratios_are_taken_round_by_round() -> None:
    # The machine was ten times slower in the second round: that is no property of either program.
    ratio = _series("one", 2.0, 20.0, 2.4).ratio_to(_series("other", 1.0, 10.0, 1.0))
    assert (ratio.low, ratio.median, ratio.high) == pytest.approx((2.0, 2.0, 2.2))
    assert _series("one", 3.0).ratio_to(_series("other", 2.0)).high == 1.5


def test_a_target_on_its_boundary_is_met_and_past_it_is_missed() -> None:
    names = [program.name for program in programs(Path("/venv/bin/python"))]
    walls = dict.fromkeys(names, 0.1) | {"gpudoctor resolve --tf 1.15, what-if": 0.18}
    on = process_figures(tuple(_series(name, walls[name]) for name in names))
    walls["gpudoctor resolve --tf 1.15, what-if"] = 0.1801
    past = process_figures(tuple(_series(name, walls[name]) for name in names))
    assert Figures(processes=on, core=()).missed == ()
    assert Figures(processes=past, core=()).missed == ("gpudoctor resolve --tf 1.15, what-if",)
    assert [figure.met for figure in on if figure.limit is None] == [None] * 5


@pytest.mark.parametrize(
    ("value", "limit", "complete", "met"),
    [(0.02, 0.02, True, True), (0.021, 0.02, True, False), (0.01, 0.02, False, False), (None, 0.02, False, False)],
)
def test_work_that_was_given_up_misses_its_target(value: float | None, limit: float, complete: bool, met: bool) -> None:
    assert CoreFigure(what="work", value=value, unit="seconds", limit=limit, complete=complete).met is met
    assert CoreFigure(what="work", value=value, unit="seconds", complete=complete).met is None


def test_the_table_shows_median_ratio_target_and_whether_it_is_met(tmp_path: Path) -> None:
    one, click = _series("gpudoctor resolve", 0.06, 0.06, 0.07), _series("click", 0.04, 0.03, 0.035)
    figures = Figures(
        processes=(ProcessFigure(series=one, ratio=one.ratio_to(click), limit=1.8),),
        core=(
            CoreFigure(what="judge", value=0.0123, unit="seconds", limit=0.02),
            CoreFigure(what="grown", value=1_500_000, unit="bytes"),
            CoreFigure(what="share", value=0.25, unit="share", limit=0.5),
            CoreFigure(what="many", value=None, unit="bytes", limit=5e6, note="given up", complete=False),
        ),
    )
    text = write(figures, SETTING, tmp_path)
    assert "gpudoctor 1.2.3" in text
    assert "measured on 2026-11-23: 2 CPUs, Python 3.11.7, Linux 6.1; medians of 15 interleaved runs" in text
    assert "Targets missed: 2." in text
    for row in (
        "| `gpudoctor resolve` | 60.0 ms | 30.0 ms | 9.0 MB | 2.00 (1.75 to 2.00) | ≤ 1.8 | **no** |",
        "| judge | 12.3 ms | ≤ 20.0 ms | yes |",
        "| grown | 1.5 MB |  |  |",
        "| share | 25 % | ≤ 50 % | yes |",
        "| many | not measured, given up | ≤ 5.0 MB | **no** |",
    ):
        assert f"\n{row}\n" in text
    document = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert document["missed"] == ["gpudoctor resolve", "many"]
    assert (document["core"][3]["value"], document["core"][3]["met"]) == (None, False)
