"""The one command: build, install, measure, write RESULTS.md and results.json, exit 1 where a target is missed."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.installation import install
from benchmarks.processes import BenchmarkError, clean_environment
from benchmarks.results import Setting, setting_here, to_document, to_markdown
from benchmarks.suite import HOSTS, RUNS, Figures, measure_all
from gpudoctor import __version__

MET, MISSED, NOT_MEASURED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 every target met, 1 one missed, 2 not measured."""
    options = _options(arguments)
    try:
        figures = _measure(options.runs, options.hosts)
    except BenchmarkError as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        return NOT_MEASURED
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    text = write(figures, setting_here(version=__version__, date=today, runs=options.runs), options.into)
    sys.stdout.write(text)
    return MISSED if figures.missed and not options.report_only else MET


def write(figures: Figures, setting: Setting, folder: Path) -> str:
    """Write both files; gives the text of RESULTS.md."""
    text = to_markdown(figures, setting)
    document = json.dumps(to_document(figures, setting), indent=2, ensure_ascii=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")
    (folder / "results.json").write_text(document + "\n", encoding="utf-8")
    return text


def _measure(runs: int, hosts: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="gpudoctor-bench-") as folder:
        python = install(Path(folder))
        home = Path(folder) / "home"
        home.mkdir()
        return measure_all(python, clean_environment(home), runs=runs, hosts=hosts)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure gpudoctor as an installed wheel."
    )
    parser.add_argument("--runs", type=_positive, default=RUNS, help="rounds of whole processes (default %(default)s)")
    parser.add_argument("--hosts", type=_positive, default=HOSTS, help="hosts of one process (default %(default)s)")
    parser.add_argument("--into", type=Path, default=Path(__file__).parent, help="folder of the results")
    parser.add_argument("--report-only", action="store_true", help="exit 0 although a target is missed")
    options = parser.parse_args(arguments)
    if not options.report_only and (options.runs < RUNS or options.hosts != HOSTS):
        parser.error(f"targets hold for {RUNS} runs or more and {HOSTS} hosts; with others, say --report-only")
    return options


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, found {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
