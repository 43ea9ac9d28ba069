"""gpudoctor matrix: list, show and validate the compatibility matrix."""

from __future__ import annotations

from pathlib import Path

import click

import gpudoctor
from gpudoctor import exit_codes
from gpudoctor.cli import options
from gpudoctor.document import encode
from gpudoctor.errors import GpudoctorError
from gpudoctor.matrix import ImageRow, Matrix, MatrixError, fault_line
from gpudoctor.matrix import load as load_matrix
from gpudoctor.render import to_json
from gpudoctor.resolve import LATEST, tf_matcher
from gpudoctor.rules import bundled_driver


@click.group(epilog="Example: gpudoctor matrix list --tf 1.15")
def command() -> None:
    """List, show and validate the compatibility matrix."""


@command.command("list", epilog="Example: gpudoctor matrix list --tf '>=2.10,<2.13'")
@click.option("--tf", default=LATEST, metavar="SPEC", help="Only images with this TensorFlow.")
@options.matrix_option
@options.format_option
def list_(tf: str, matrix_path: Path | None, format_: str) -> int:
    """One line per image: tag, TensorFlow, CUDA, driver of that CUDA, Python, confidence."""
    matrix = options.load_matrix(matrix_path)
    matches = tf_matcher(tf)
    images = [
        image for image in matrix.images if tf == LATEST or (image.tensorflow is not None and matches(image.tensorflow))
    ]
    if format_ == "json":
        rows = [_row(image, matrix) for image in images]
        head = {"schema": to_json.MATRIX_SCHEMA, "version": gpudoctor.__version__}
        click.echo(to_json.dumps({**head, "images": rows}))
        return exit_codes.WELL
    head_line = ("TAG", "TENSORFLOW", "CUDA", "DRIVER", "PYTHON", "CONFIDENCE")
    table = [head_line, *(_cells(image, matrix) for image in images)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head_line))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return exit_codes.WELL


def _cells(image: ImageRow, matrix: Matrix) -> tuple[str, ...]:
    driver = bundled_driver(image, matrix)
    cells = (image.tensorflow, image.cuda, driver, image.python)
    return (image.tag, *("?" if cell is None else str(cell) for cell in cells), image.provenance.confidence)


def _row(image: ImageRow, matrix: Matrix) -> dict[str, object]:
    document = encode(image)
    provenance = document.pop("provenance")
    driver = bundled_driver(image, matrix)
    links = list(matrix.links(image.provenance))
    return {**document, **provenance, "min_driver": None if driver is None else str(driver), "sources": links}


@command.command("show", epilog="Example: gpudoctor matrix show 22.12-tf1-py3")
@click.argument("tag")
@options.matrix_option
@options.format_option
def show(tag: str, matrix_path: Path | None, format_: str) -> int:
    """Everything the matrix holds about one tag, with its sources."""
    matrix = options.load_matrix(matrix_path)
    image = matrix.image(tag)
    if image is None:
        import difflib

        near = difflib.get_close_matches(tag, [row.tag for row in matrix.images], n=3, cutoff=0.5)
        raise GpudoctorError(f"no tag {tag!r} in the matrix", f"nearest: {', '.join(near) or 'none'}", exit_codes.WRONG)
    row = _row(image, matrix)
    if format_ == "json":
        head = {"schema": "gpudoctor.matrix-show/1", "version": gpudoctor.__version__}
        click.echo(to_json.dumps({**head, "image": row}))
        return exit_codes.WELL
    for name, value in row.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        if name == "source":
            continue
        click.echo(f"{name:22} {'unknown' if shown is None else shown or 'none'}")
    return exit_codes.WELL


@command.command("validate", epilog="Example: gpudoctor matrix validate site_matrix.yaml")
@click.argument("file", type=click.Path(path_type=Path))
def validate(file: Path) -> int:
    """Print every fault of a matrix file with its place. Exit code: 0 none, 1 faults, 2 unreadable."""
    try:
        matrix = load_matrix(file)
    except MatrixError as error:
        for fault in error.faults:
            click.echo(fault_line(str(file), fault))
        return exit_codes.WRONG
    click.echo(
        f"{file}: {len(matrix.images)} images, {len(matrix.cuda)} CUDA releases, {len(matrix.gpus)} GPUs: no fault"
    )
    return exit_codes.WELL
