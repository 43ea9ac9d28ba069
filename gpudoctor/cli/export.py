"""gpudoctor export: the launch in the words of other tools."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

import gpudoctor
from gpudoctor import plan_words
from gpudoctor.cli import options
from gpudoctor.cli.resolve import exit_code, request_from, selector_options
from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.export.spellers import BATCH, SLURM_RUNTIMES, SPELLERS
from gpudoctor.plan import LaunchPlan, plan_of, refusal
from gpudoctor.plan import to_json as plan_json
from gpudoctor.readings import Unread
from gpudoctor.reference import parse
from gpudoctor.render.paint import printable
from gpudoctor.resolve import Candidate, Request, Resolution, in_words, resolve
from gpudoctor.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from gpudoctor.export.spelling import Spelled
    from gpudoctor.host import Host
    from gpudoctor.matrix import Matrix
    from gpudoctor.reference import Reference

EXPORT_SCHEMA = "gpudoctor.export/1"

# What the driver compiles from PTX takes minutes: such an image gets a place to keep it, unless told otherwise.
_CACHE = "gpudoctor-cuda-cache"
_NO_CACHE = "none"
_VOLUMES_OF_ROOT = ("docker", "podman", "compose", "devcontainer")

_ELSEWHERE = "name the machine it is for: --driver 535.129.03 --gpu A100, or --facts FILE; --gpus none is for the CPU"

# What a job does that was given nothing to do: it shows its GPUs, and fails where it has none.
_GPU_JOB = ("nvidia-smi",)
_CPU_JOB = ("python", "-c", "import tensorflow as tf; print(tf.__version__)")

_plan_options = options.stack(
    click.option("--pin", is_flag=True, help="Ask the registry for the image's digest, and write that too."),
    click.option(
        "--mount", "mounts", multiple=True, metavar="SOURCE:TARGET[:ro]", help="Folder or file of the host. Repeatable."
    ),
    click.option(
        "--env",
        "variables",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Variable; by NAME alone its value is not written, but taken where the container starts. Repeatable.",
    ),
    click.option("--port", "ports", multiple=True, metavar="[HOST:]CONTAINER", help="Publish a port. Repeatable."),
    click.option("--user", metavar="UID[:GID]", help="User in the container."),
    click.option("--workdir", metavar="DIR", help="Folder in the container to start in."),
    click.option("--name", metavar="NAME", help="Name of the container, service or job."),
    click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label. Repeatable."),
    click.option("--shm-size", metavar="SIZE", help="A /dev/shm of its own, as 8g, in place of the host's."),
    click.option(
        "--cache",
        metavar="NAME|DIR",
        help="Volume or folder that keeps compiled PTX; none forbids the one that an image without native code gets.",
    ),
    click.option("--tty", is_flag=True, help="A terminal, also with a command."),
    click.option(
        "--runtime", type=click.Choice(list(SLURM_RUNTIMES)), help="Of slurm: what starts the container. [pyxis]"
    ),
)


@click.command(
    epilog="Example: gpudoctor export slurm --tf 1.15 --gpu A100 --driver 535.129.03 "
    "--mount /data:/data:ro --output job.sh -- python train.py --epochs 3"
)
@selector_options
@click.option("--image", metavar="REF", help="Any image, judged by its own word, unpulled.")
@_plan_options
@options.source_options
@options.what_if_options
@options.matrix_option
@options.format_option
@options.output_option
@options.quiet_option
@click.argument("spelling", type=click.Choice(list(SPELLERS)), metavar="FORMAT")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--] [COMMAND...]")
def command(
    tf: str | None,
    tag: str | None,
    image: str | None,
    python: str | None,
    gpus: str | None,
    registry: str,
    pin: bool,
    mounts: tuple[str, ...],
    variables: tuple[str, ...],
    ports: tuple[str, ...],
    user: str | None,
    workdir: str | None,
    name: str | None,
    labels: tuple[str, ...],
    shm_size: str | None,
    cache: str | None,
    tty: bool,
    runtime: str | None,
    facts_path: str | None,
    host_root: Path | None,
    timeout_seconds: float,
    driver: str | None,
    gpus_named: tuple[str, ...],
    arch: str | None,
    wsl: bool,
    matrix_path: Path | None,
    format_: str,
    output_path: Path | None,
    quiet: bool,
    spelling: str,
    arguments: tuple[str, ...],
) -> int:
    """Write the launch that `run` would do as FORMAT: docker, podman, compose, kubernetes, slurm, apptainer, enroot or
    devcontainer.

    Exit code: 0 written, 1 no image fits, 3 what decides could not be read.
    """
    for text in (*arguments, *mounts, *variables, *labels):
        _check_is_text(text)
    if runtime is not None and spelling != "slurm":
        raise InputError(f"--runtime belongs to slurm, and this is {spelling}", "leave --runtime out")
    wishes: dict[str, Any] = {
        "mounts": tuple(plan_words.mount(text, _absolute) for text in mounts),
        "ports": tuple(plan_words.port(text) for text in ports),
        "labels": tuple(dict(plan_words.label(text) for text in labels).items()),
        "user": "" if user is None else plan_words.user(user),
        "workdir": "" if workdir is None else plan_words.folder(workdir, "--workdir"),
        "name": "" if name is None else plan_words.name(name, "--name"),
        "interactive": True,
        "tty": tty or (not arguments and spelling not in BATCH),
    }
    if shm_size is not None:
        wishes |= {"host_ipc": False, "shm_bytes": plan_words.size(shm_size, "--shm-size")}
    environment = dict(plan_words.variable(text) for text in variables)
    request = request_from(tf, tag, python, gpus, registry, image)
    matrix = options.load_matrix(matrix_path)
    named: dict[str, Any] = {"driver": driver, "gpus_named": gpus_named, "arch": arch, "wsl": wsl}
    host = options.host_from(matrix, **named, facts=lambda: options.probe_facts(facts_path, host_root, timeout_seconds))
    host = options.narrowed(host, gpus)
    # The engine of this machine is asked for this machine only.
    here = not options.is_what_if(driver, gpus_named, arch, wsl=wsl) and facts_path is None
    here = here and str(host_root or "/") == "/"
    resolution = _resolution(request, host, matrix, timeout_seconds, here=here)
    best = resolution.best
    if best is None:
        message, hint = refusal(resolution)
        without_gpus = isinstance(host.gpus, Unread) or not host.gpus
        raise GpudoctorError(message, _ELSEWHERE if without_gpus else hint, exit_code(resolution))
    plan = plan_of(best, resolution, arguments or _job(spelling, cpu_only=request.cpu_only))
    plan = replace(plan, **wishes, environment=tuple({**dict(plan.environment), **environment}.items()))
    plan = _with_cache(plan, cache, best.verdict, spelling)
    plan_words.check_targets(plan)
    plan = _pinned(plan, host, timeout_seconds, ask=pin)
    title = _title(best, resolution)
    spell = SPELLERS[spelling] if runtime is None else SLURM_RUNTIMES[runtime]
    spelled = spell(plan, f"{title}; written by gpudoctor {gpudoctor.__version__}")
    if not quiet:
        for line in (title, *spelled.notes):
            click.echo(f"gpudoctor: {printable(line)}", err=True)
    _write(_as_json(spelling, plan, spelled) if format_ == "json" else spelled.text, output_path)
    return exit_code(resolution)


def _resolution(request: Request, host: Host, matrix: Matrix, timeout_seconds: float, *, here: bool) -> Resolution:
    if request.image is None:
        return resolve(request, host, matrix)
    from gpudoctor.cli import images

    reference = images.reference_from(request.image, request.registry)
    if not here:
        return images.resolve(reference, request, host, matrix, timeout_seconds=timeout_seconds, from_engine=False)[0]
    from gpudoctor.launch import InterruptedBySignal  # on Linux: this machine was probed

    try:
        return images.resolve(reference, request, host, matrix, timeout_seconds=timeout_seconds, from_engine=True)[0]
    except InterruptedBySignal as error:
        raise click.exceptions.Exit(error.exit_code) from None


def _job(spelling: str, *, cpu_only: bool) -> tuple[str, ...]:
    if spelling not in BATCH:
        return ()
    return _CPU_JOB if cpu_only else _GPU_JOB


def _with_cache(plan: LaunchPlan, cache: str | None, verdict: Verdict, spelling: str) -> LaunchPlan:
    if cache == _NO_CACHE:
        return plan
    of_root = bool(plan.user) and spelling in _VOLUMES_OF_ROOT
    if cache is None:
        return replace(plan, cache=_CACHE) if verdict is Verdict.RUNS_WITH_PTX_JIT and not of_root else plan
    if cache.startswith("/"):
        return replace(plan, cache=plan_words.folder(cache, "--cache"))
    if of_root:
        message = f"--cache {cache}: a new volume belongs to root, and --user {plan.user} could not write there"
        raise InputError(message, "name a folder of that user's: --cache /DIR")
    return replace(plan, cache=plan_words.name(cache, "--cache"))


def _pinned(plan: LaunchPlan, host: Host, timeout_seconds: float, *, ask: bool) -> LaunchPlan:
    """With the digest that was named, or that the registry names."""
    reference = parse(plan.image)
    if reference.digest:
        without = replace(reference, digest="")
        return replace(plan, image=str(without), digest=reference.digest)
    return replace(plan, digest=_digest(reference, host, timeout_seconds)) if ask else plan


def _digest(reference: Reference, host: Host, timeout_seconds: float) -> str:
    from gpudoctor.registry import describe

    return describe(reference, host.architecture, timeout_seconds).digest


def _title(best: Candidate, resolution: Resolution) -> str:
    where = "on the CPU, as asked" if resolution.request.cpu_only else in_words(best.verdict)
    tensorflow = "" if resolution.request.image is not None else f"TensorFlow {best.image.tensorflow}, "
    return f"{best.reference}: {tensorflow}{where}"


def _absolute(path: str) -> str:
    """As it stands where it begins with /: the host that is meant may be another one."""
    return path if path.startswith("/") else os.path.abspath(path)  # noqa: PTH100 - the start-up of pathlib


def _check_is_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = ascii(text[:40])[1:-1]
        raise InputError(f"{shown}: not UTF-8, and no file that could be written holds that", "") from None


def _as_json(spelling: str, plan: LaunchPlan, spelled: Spelled) -> str:
    from gpudoctor.render import to_json

    document = {
        "schema": EXPORT_SCHEMA,
        "version": gpudoctor.__version__,
        "spelling": spelling,
        "text": spelled.text,
        "notes": list(spelled.notes),
        "plan": plan_json(plan),
    }
    return to_json.dumps(document)


def _write(text: str, path: Path | None) -> None:
    if path is not None:
        options.write_atomically(path, text)
        return
    # Bytes: what is quoted exactly must not be changed for a terminal that knows fewer letters.
    sys.stdout.flush()
    sys.stdout.buffer.write((text if text.endswith("\n") else f"{text}\n").encode())
    sys.stdout.buffer.flush()
