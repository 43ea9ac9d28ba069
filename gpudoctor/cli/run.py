"""gpudoctor run: resolve, pull, prove, run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import gpudoctor
from gpudoctor import exit_codes, host, smoke
from gpudoctor.cli import options
from gpudoctor.cli.resolve import request_from, selector_options
from gpudoctor.errors import GpudoctorError, InputError, LaunchError
from gpudoctor.export.docker import to_shell
from gpudoctor.facts import Facts
from gpudoctor.launch import InterruptedBySignal, Launch, Signals, connect
from gpudoctor.plan import LaunchPlan, plan_of, refusal
from gpudoctor.plan import to_json as plan_json
from gpudoctor.readings import Unread
from gpudoctor.render import to_json
from gpudoctor.resolve import Candidate, Resolution, in_words, resolve

if TYPE_CHECKING:
    from gpudoctor.matrix import Matrix

RUN_SCHEMA = "gpudoctor.run/1"

# A shell, where no command is given: NVIDIA's images have bash.
_SHELL = ("bash",)


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="Example: gpudoctor run --tf 1.15 -- python train.py --epochs 3",
)
@selector_options
@click.option(
    "--pull",
    "pull_policy",
    type=click.Choice(["missing", "always", "never"]),
    default="missing",
    show_default=True,
    help="When to fetch the image.",
)
@click.option(
    "--smoke",
    "level",
    type=click.Choice([*smoke.LEVELS, "off"]),
    default="full",
    show_default=True,
    help="How much of TensorFlow to prove before the command; off starts it unproved.",
)
@click.option(
    "--smoke-timeout",
    type=options.SECONDS,
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for the smoke test.",
)
@click.option("--dry-run", is_flag=True, help="Print the equal `docker run` line and end.")
@click.option(
    "--report",
    "report_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what happened, as JSON.",
)
@options.host_root_option
@options.timeout_option
@options.matrix_option
@options.quiet_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--] [COMMAND...]")
def command(
    tf: str | None,
    tag: str | None,
    python: str | None,
    gpus: str | None,
    registry: str,
    pull_policy: str,
    level: str,
    smoke_timeout: float,
    dry_run: bool,
    report_path: Path | None,
    host_root: Path | None,
    timeout_seconds: float,
    matrix_path: Path | None,
    quiet: bool,
    arguments: tuple[str, ...],
) -> int:
    """Resolve, pull, prove TensorFlow on the GPU, then run COMMAND (or a shell) in the container.

    Exit code: the command's own; 125 when it was never started, with the reason and the fix; 130 interrupted.
    """
    if sys.platform != "linux":
        raise LaunchError(
            "run needs Linux: it starts containers on this machine's GPUs",
            "gpudoctor resolve says here which image to start there",
        )
    request = request_from(tf, tag, python, gpus, registry)
    matrix = options.load_matrix(matrix_path)
    session = _Session(matrix=matrix, quiet=quiet)
    try:
        with Signals() as signals:
            try:
                facts = options.probe_facts(None, host_root, timeout_seconds)
                this_host = options.narrowed(host.from_facts(facts, matrix), gpus)
                session.resolution = resolve(request, this_host, matrix)
                best = _chosen(session.resolution, facts)
                session.plan = _plan(best, session.resolution, arguments)
                if dry_run:
                    click.echo(to_shell(session.plan))
                    return exit_codes.WELL
                where = "on the CPU, as asked" if request.cpu_only else in_words(best.verdict)
                session.say(f"{best.reference}: TensorFlow {best.image.tensorflow}, {where}")
                return session.launch(facts, signals, pull_policy, level, smoke_timeout)
            except InterruptedBySignal as interruption:
                session.reason = f"ended by signal {interruption.number}"
                return interruption.exit_code
            except InputError:
                raise
            except GpudoctorError as error:
                session.reason = error.message
                raise
    finally:
        if report_path is not None:
            _write(report_path, session.report())


def _chosen(resolution: Resolution, facts: Facts) -> Candidate:
    """The image to start; raises LaunchError with the reason and what would help."""
    if resolution.best is not None:
        return resolution.best
    gpus = resolution.host.gpus
    if not resolution.request.cpu_only and facts.pci_gpus == () and (isinstance(gpus, Unread) or not gpus):
        raise LaunchError("this machine has no NVIDIA GPU", "--gpus none runs TensorFlow on the CPU")
    raise LaunchError(*refusal(resolution))


def _plan(best: Candidate, resolution: Resolution, arguments: tuple[str, ...]) -> LaunchPlan:
    tty = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    return replace(plan_of(best, resolution, arguments or _SHELL), interactive=True, tty=tty)


class _Session:
    """What happened so far, for the report; and where talk goes."""

    def __init__(self, *, matrix: Matrix, quiet: bool) -> None:
        self.matrix = matrix
        self.quiet = quiet
        self.resolution: Resolution | None = None
        self.plan: LaunchPlan | None = None
        self.run: Launch | None = None
        self.reason = ""

    def say(self, text: str) -> None:
        """A line for people, on stderr: stdout is the command's."""
        if not self.quiet:
            click.echo(f"gpudoctor: {text}", err=True)

    def launch(self, facts: Facts, signals: Signals, pull_policy: str, level: str, smoke_timeout: float) -> int:
        """Pull, prove, run; the command's exit code."""
        assert self.plan is not None
        plan = self.plan
        progress = not self.quiet and sys.stderr.isatty()
        run = Launch(client=connect(facts.engine), signals=signals, say=self.say, progress=progress)
        self.run = run
        with run.stage("image"):
            architecture = host.architecture_name(facts.system.architecture)
            run.ensure_image(plan.image, architecture, facts.engine, pull_policy)
        if level != "off":
            with run.stage("smoke"):
                self._prove(run, plan, level, smoke_timeout)
        with run.stage("command"):
            return run.run(plan)

    def _prove(self, run: Launch, plan: LaunchPlan, level: str, smoke_timeout: float) -> None:
        device = "cpu" if plan.gpus == () else "gpu"
        self.say(f"smoke test on the {device.upper()}")
        asked = smoke.Asked(device=device, level=level, seed=smoke.fresh_seed())
        report = run.prove(plan, asked, smoke_timeout)
        for line in smoke.render(report).splitlines():
            self.say(f"  {line}")
        if report.outcome is not smoke.SmokeOutcome.PASSED:
            raise LaunchError(
                f"the smoke test failed, so the command was not started: {_first_failure(report)}",
                "gpudoctor check looks for the cause; --smoke off starts the command all the same",
            )

    def report(self) -> dict[str, Any]:
        """By contract: plan, resolution, pull, smoke, container, stages, and why it ended early."""
        run, plan = self.run, self.plan
        return {
            "schema": RUN_SCHEMA,
            "version": gpudoctor.__version__,
            "reason": self.reason or None,
            "plan": None if plan is None else _plan_json(plan, "" if run is None else run.digest),
            "resolution": None if self.resolution is None else to_json.resolution(self.resolution, self.matrix),
            "pull": None
            if run is None
            else {"pulled": run.pulled, "packed_bytes": run.packed_bytes, "memlock_refused": run.memlock_refused},
            "smoke": None if run is None or run.smoke is None else smoke.to_json(run.smoke),
            "container": None
            if run is None or not run.container_id
            else {"id": run.container_id, "exit_code": run.exit_code, "oom_killed": run.oom_killed},
            "stages": [] if run is None else [{"stage": name, "seconds": seconds} for name, seconds in run.stages],
        }


def _plan_json(plan: LaunchPlan, digest: str) -> dict[str, Any]:
    # The line in the report is to be read by others: of variables it has the names.
    return {**plan_json(plan), "digest": digest or plan.digest or None, "shell": to_shell(plan, values=False)}


def _first_failure(report: smoke.SmokeReport) -> str:
    if report.error is not None:
        return f"{report.error.stage}: {report.error.message}"
    failed = [one.name for one in report.operations if one.outcome is smoke.OperationOutcome.FAILED]
    return ", ".join(failed) or "no operation passed"


def _write(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all: a reader never sees half a report."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(to_json.dumps(document) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        click.echo(f"gpudoctor: --report {path}: cannot be written: {error.strerror}", err=True)
