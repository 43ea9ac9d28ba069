"""gpudoctor check: probe, judge, print findings with their fixes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpudoctor import checks
from gpudoctor.cli import options
from gpudoctor.errors import InputError
from gpudoctor.render import to_json, to_text
from gpudoctor.report import Report
from gpudoctor.resolve import runnable

if TYPE_CHECKING:
    from gpudoctor.findings import CheckResult
    from gpudoctor.matrix import Matrix


@click.command(epilog="Example: gpudoctor check --engine && sbatch job.sh")
@click.option("--engine", is_flag=True, help="Containers are wanted: without a working engine something is wrong.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings, 3 for anything that could not be read.")
@options.source_options
@options.python_option
@options.what_if_options
@options.matrix_option
@options.policy_option
@options.schema_option("check")
@options.report_format_option
@options.output_option
@click.option("--redact", is_flag=True, help="Hide names, addresses and serial numbers.")
@options.quiet_option
@options.verbose_option
@options.colour_option
def command(
    engine: bool,
    strict: bool,
    facts_path: str | None,
    host_root: Path | None,
    timeout_seconds: float,
    python: str | None,
    driver: str | None,
    gpus_named: tuple[str, ...],
    arch: str | None,
    wsl: bool,
    matrix_path: Path | None,
    policy_path: Path | None,
    format_: str,
    output_path: Path | None,
    redact: bool,
    quiet: bool,
    verbose: bool,
    no_color: bool,
) -> int:
    """Probe this machine, say what is wrong, why, and what mends it.

    Exit code: 0 nothing wrong, 1 something is, 3 could not look. With --driver and --gpu only the images are
    judged, for there is no machine to look at: 1 when none of them runs there.
    """
    matrix = options.load_matrix(matrix_path)
    policy = options.load_policy(policy_path)
    named: dict[str, Any] = {"driver": driver, "gpus_named": gpus_named, "arch": arch, "wsl": wsl}
    what_if = options.is_what_if(driver, gpus_named, arch, wsl=wsl)
    if what_if and python is not None:
        message = "--python and a what-if do not go together: that looks at no machine"
        raise InputError(message, "leave --driver, --gpu, --arch and --wsl out")
    facts = None if what_if else options.probe_facts(facts_path, host_root, timeout_seconds, python)
    if redact and facts is not None:
        from gpudoctor.redact import redacted

        facts = redacted(facts)
    host = options.host_from(
        matrix, **named, facts=lambda: facts or options.probe_facts(facts_path, host_root, timeout_seconds)
    )
    results: tuple[CheckResult, ...] = ()
    if facts is not None:
        results = checks.run(checks.Case(facts=facts, matrix=matrix, policy=policy, engine_asked=engine))
    report = Report(facts=facts, host=host, results=results, runnable=runnable(host, matrix))
    if format_ == "text":
        paint = options.painter(no_color=no_color or output_path is not None)
        text = to_text.report(report, paint=paint, verbose=verbose, quiet=quiet, strict=strict)
    else:
        text = _rendered(report, format_, matrix)
    if output_path is not None:
        options.write_atomically(output_path, text)
    elif text:
        click.echo(text)
    return report.exit_code(strict=strict)


def _rendered(report: Report, format_: str, matrix: Matrix) -> str:
    """The report in one of the formats that programs read; each renderer is imported when it is asked for."""
    if format_ == "junit":
        from gpudoctor.render import to_junit

        return to_junit.report(report)
    if format_ == "prometheus":
        from gpudoctor.render import to_prometheus

        return to_prometheus.report(report)
    if format_ == "markdown":
        from gpudoctor.render import to_markdown

        return to_markdown.report(report)
    if format_ == "sarif":
        from gpudoctor.render import to_sarif

        known = tuple(check for check in checks.discover() if check.judges)
        return to_json.dumps(to_sarif.report(report, known))
    return to_json.dumps(to_json.report(report, matrix))
