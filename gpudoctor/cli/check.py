"""gpudoctor check: probe, judge, print findings with their fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gpudoctor import checks
from gpudoctor.cli import options
from gpudoctor.render import to_json, to_text
from gpudoctor.report import Report
from gpudoctor.resolve import runnable


@click.command(epilog="Example: gpudoctor check --engine && sbatch job.sh")
@click.option("--engine", is_flag=True, help="Containers are wanted: without a working engine something is wrong.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings, 3 for anything that could not be read.")
@options.source_options
@options.what_if_options
@options.matrix_option
@options.format_option
@options.quiet_option
@options.verbose_option
@options.colour_option
def command(
    engine: bool,
    strict: bool,
    facts_path: str | None,
    host_root: Path,
    timeout_seconds: float,
    driver: str | None,
    gpus_named: tuple[str, ...],
    arch: str | None,
    wsl: bool,
    matrix_path: Path | None,
    format_: str,
    quiet: bool,
    verbose: bool,
    no_color: bool,
) -> int:
    """Probe this machine, say what is wrong, why, and what mends it.

    Exit code: 0 nothing wrong, 1 something is, 3 could not look. With --driver and --gpu only the images are
    judged, for there is no machine to look at: 1 when none of them runs there.
    """
    matrix = options.load_matrix(matrix_path)
    named: dict[str, Any] = {"driver": driver, "gpus_named": gpus_named, "arch": arch, "wsl": wsl}
    what_if = options.is_what_if(driver, gpus_named, arch, wsl=wsl)
    facts = None if what_if else options.probe_facts(facts_path, host_root, timeout_seconds)
    host = options.host_from(
        matrix, **named, facts=lambda: facts or options.probe_facts(facts_path, host_root, timeout_seconds)
    )
    results = () if facts is None else checks.run(checks.Case(facts=facts, matrix=matrix, engine_asked=engine))
    report = Report(facts=facts, host=host, results=results, runnable=runnable(host, matrix))
    if format_ == "json":
        click.echo(to_json.dumps(to_json.report(report, matrix)))
    else:
        paint = options.painter(no_color=no_color)
        text = to_text.report(report, paint=paint, verbose=verbose, quiet=quiet, strict=strict)
        if text:
            click.echo(text)
    return report.exit_code(strict=strict)
