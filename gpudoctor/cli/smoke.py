"""gpudoctor smoke: the smoke test outside a launch."""

from __future__ import annotations

import sys

import click

from gpudoctor import exit_codes, smoke
from gpudoctor.cli import options
from gpudoctor.errors import InputError
from gpudoctor.render import to_json

_EXIT_CODES = {
    smoke.SmokeOutcome.PASSED: exit_codes.WELL,
    smoke.SmokeOutcome.FAILED: exit_codes.WRONG,
    smoke.SmokeOutcome.UNKNOWN: exit_codes.COULD_NOT_LOOK,
}


@click.command(epilog="Example: gpudoctor smoke --python ~/venv/bin/python --device cpu")
@click.option("--python", metavar="PATH", default=sys.executable, help="Interpreter to test; default: this one.")
@click.option("--device", type=click.Choice(["gpu", "cpu"]), default="gpu", show_default=True, help="Where to compute.")
@click.option("--level", type=click.Choice(list(smoke.LEVELS)), default="full", show_default=True, help="How much.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this operation. Repeatable.")
@click.option("--list", "list_operations", is_flag=True, help="List the operations and end.")
@click.option(
    "--with",
    "extras",
    type=click.Choice(list(smoke.EXTRAS)),
    multiple=True,
    help="Install it with pip for this test alone, in a folder that is removed. Repeatable.",
)
@click.option(
    "--stress-seconds",
    type=click.FloatRange(0.1, 3600),
    default=smoke.STRESS_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long each figure of --level stress is measured.",
)
@click.option("--seed", type=click.IntRange(0, (1 << 32) - 1), metavar="N", help="Draw the same random inputs again.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=options.SECONDS,
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for the whole test.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="What to print.",
)
@options.verbose_option
def command(
    python: str,
    device: str,
    level: str,
    only: tuple[str, ...],
    list_operations: bool,
    extras: tuple[str, ...],
    stress_seconds: float,
    seed: int | None,
    timeout_seconds: float,
    format_: str,
    verbose: bool,
) -> int:
    """Prove TensorFlow operation by operation: against documented values, on the device asked for.

    Exit code: 0 all passed, 1 one failed, 3 there was no interpreter to ask.
    """
    if list_operations:
        for name, what in smoke.OPERATIONS.items():
            levels = ", ".join(level for level, names in smoke.LEVELS.items() if name in names)
            click.echo(f"{name:22} {what} ({levels})")
        return exit_codes.WELL
    if "bert4keras" in extras and "bert4keras" not in (only or smoke.LEVELS[level]):
        raise InputError("--with bert4keras: that operation is not among those to run", "--level full holds it")
    for name in only:
        if name not in smoke.OPERATIONS:
            import difflib

            near = difflib.get_close_matches(name, smoke.OPERATIONS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(smoke.OPERATIONS)}"
            raise InputError(f"--only {name!r}: no such operation", meant)
    report = smoke.run_local(
        python,
        device=device,
        level=level,
        only=only,
        seed=seed,
        extras=extras,
        stress_seconds=stress_seconds,
        timeout_seconds=timeout_seconds,
        talk=(lambda chunk: click.echo(chunk, err=True, nl=False)) if verbose else None,
    )
    if format_ == "json":
        click.echo(to_json.dumps(smoke.to_json(report)))
    elif format_ == "junit":
        from gpudoctor.render import smoke_to_junit

        click.echo(smoke_to_junit.report(report))
    else:
        click.echo(smoke.render(report))
    return _EXIT_CODES[report.outcome]
