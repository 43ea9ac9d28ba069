"""gpudoctor resolve: which image fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpudoctor import exit_codes
from gpudoctor.cli import options
from gpudoctor.errors import InputError
from gpudoctor.readings import Unread
from gpudoctor.render import resolution_to_text
from gpudoctor.resolve import REGISTRY, Request, Resolution, resolve
from gpudoctor.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from gpudoctor.host import Host
    from gpudoctor.matrix import Matrix
    from gpudoctor.reference import Reference
    from gpudoctor.render.paint import Paint

selector_options = options.stack(
    click.option("--tf", metavar="SPEC", help="TensorFlow: 1.15, 2, latest, '>=2.10,<2.13'."),
    click.option("--tag", metavar="TAG", help="This tag of nvcr.io/nvidia/tensorflow."),
    click.option("--python", metavar="X.Y", help="Only images with this Python."),
    click.option("--gpus", metavar="LIST", help="all, none for the CPU, or indices and UUIDs: 0,2."),
    click.option(
        "--registry",
        metavar="HOST[:PORT]/PREFIX",
        default=REGISTRY,
        show_default=True,
        help="Where the images are: a mirror of nvcr.io/nvidia.",
    ),
)


def request_from(
    tf: str | None, tag: str | None, python: str | None, gpus: str | None, registry: str, image: str | None = None
) -> Request:
    """What the selectors ask for; raises InputError where they contradict each other."""
    named = [name for name, value in (("--tf", tf), ("--tag", tag), ("--image", image)) if value is not None]
    if len(named) > 1:
        raise InputError(f"{' and '.join(named)} name {('two', 'three')[len(named) - 2]} images", "say one of them")
    if image is not None and python is not None:
        raise InputError("--python narrows a choice, and --image leaves none", "leave --python out")
    if not registry or registry.startswith(("-", "/")) or "/" not in registry or not registry.isprintable():
        raise InputError(f"--registry {registry!r}: expected HOST[:PORT]/PREFIX", "as in nvcr.io/nvidia")
    if not named:
        tf = "latest"
    gpus = None if gpus is None else "".join(gpus.split())  # docker takes no blanks there
    return Request(tf=tf, tag=tag, image=image, python=python, gpus=gpus, registry=registry.rstrip("/"))


def exit_code(resolution: Resolution) -> int:
    """0 with an image, 3 where an unread fact of this host decides, else 1."""
    if resolution.best is not None:
        return exit_codes.WELL
    host = resolution.host
    unread = isinstance(host.driver, Unread) or isinstance(host.gpus, Unread)
    if resolution.verdict is Verdict.UNKNOWN and unread:
        return exit_codes.COULD_NOT_LOOK
    return exit_codes.WRONG


@click.command(epilog="Example: gpudoctor resolve --tf 1.15 --driver 455.45.01 --gpu 'RTX 3090'")
@selector_options
@click.option("--image", metavar="REF", help="Any image, judged by its own word, unpulled.")
@options.source_options
@options.what_if_options
@options.matrix_option
@options.schema_option("resolve")
@options.format_option
@options.colour_option
def command(
    tf: str | None,
    tag: str | None,
    image: str | None,
    python: str | None,
    gpus: str | None,
    registry: str,
    facts_path: str | None,
    host_root: Path | None,
    timeout_seconds: float,
    driver: str | None,
    gpus_named: tuple[str, ...],
    arch: str | None,
    wsl: bool,
    matrix_path: Path | None,
    format_: str,
    no_color: bool,
) -> int:
    """Say which image fits this machine, or one you think of, and why not the others.

    Exit code: 0 an image runs, 1 none does, 3 what decides could not be read.
    """
    request = request_from(tf, tag, python, gpus, registry, image)
    reference = None if image is None else _reference(image, registry)
    matrix = options.load_matrix(matrix_path)
    named: dict[str, Any] = {"driver": driver, "gpus_named": gpus_named, "arch": arch, "wsl": wsl}
    host = options.host_from(matrix, **named, facts=lambda: options.probe_facts(facts_path, host_root, timeout_seconds))
    host = options.narrowed(host, gpus)
    if reference is not None:
        # The engine of this machine is asked for this machine only.
        what_if = options.is_what_if(driver, gpus_named, arch, wsl=wsl)
        here = not what_if and facts_path is None and str(host_root or "/") == "/"
        show = (format_, options.painter(no_color=no_color))
        return _image(reference, request, host, matrix, timeout_seconds, here=here, show=show)
    resolution = resolve(request, host, matrix)
    if format_ == "json":
        from gpudoctor.render import to_json

        click.echo(to_json.dumps(to_json.resolution(resolution, matrix)))
    else:
        click.echo(resolution_to_text.resolution(resolution, paint=options.painter(no_color=no_color)))
    return exit_code(resolution)


def _reference(image: str, registry: str) -> Reference:
    from gpudoctor.cli import images

    return images.reference_from(image, registry)


def _image(
    reference: Reference,
    request: Request,
    host: Host,
    matrix: Matrix,
    timeout_seconds: float,
    *,
    here: bool,
    show: tuple[str, Paint],
) -> int:
    """`--image`: any image, from the engine of this machine or from its registry."""
    from gpudoctor.cli import images
    from gpudoctor.launch import InterruptedBySignal
    from gpudoctor.render import to_json

    try:
        resolution, facts = images.resolve(
            reference, request, host, matrix, timeout_seconds=timeout_seconds, from_engine=here
        )
    except InterruptedBySignal as error:
        return error.exit_code
    if show[0] == "json":
        click.echo(to_json.dumps(images.to_json(to_json.resolution(resolution, matrix), facts)))
    else:
        click.echo(resolution_to_text.resolution(resolution, paint=show[1]))
        if facts is not None:
            click.echo(images.to_text(facts))
    return exit_code(resolution)
