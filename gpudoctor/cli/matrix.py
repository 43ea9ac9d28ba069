"""gpudoctor matrix: list, show and validate the compatibility matrix."""

from __future__ import annotations

from pathlib import Path

import click

import gpudoctor
from gpudoctor import exit_codes
from gpudoctor import matrix as matrices
from gpudoctor.cli import options
from gpudoctor.document import encode
from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.matrix import ARCHITECTURES, ImageRow, Matrix, fault_line, site_of
from gpudoctor.render import to_json
from gpudoctor.render.paint import printable
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
    """One line per image: tag, TensorFlow, CUDA, driver of that CUDA, Python, confidence, catalogue.

    NVIDIA's images (ngc) stand first, then TensorFlow's own (upstream). Where site files had a hand in it, the last
    column says which.
    """
    matrix = options.load_matrix(matrix_path)
    matches = tf_matcher(tf)
    newest_first: list[ImageRow] = []
    for catalogue in (matrix.images, matrix.upstream_images):
        # The rows that a site adds stand last in the matrix.
        newest_first += sorted(catalogue, key=lambda image: image.release_key, reverse=True)
    images = [
        image for image in newest_first if tf == LATEST or (image.tensorflow is not None and matches(image.tensorflow))
    ]
    if format_ == "json":
        rows = [_row(image, matrix) for image in images]
        head = {"schema": to_json.MATRIX_SCHEMA, "version": gpudoctor.__version__}
        click.echo(to_json.dumps({**head, "images": rows}))
        return exit_codes.WELL
    head_line = ("TAG", "TENSORFLOW", "CUDA", "DRIVER", "PYTHON", "CONFIDENCE", "CATALOGUE", "SITE")
    table = [head_line, *(_cells(image, matrix) for image in images)]
    if not any(row[-1] for row in table[1:]):
        table = [row[:-1] for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(printable(line.rstrip()))
    return exit_codes.WELL


def _cells(image: ImageRow, matrix: Matrix) -> tuple[str, ...]:
    driver = bundled_driver(image, matrix)
    cells = (image.tensorflow, image.cuda, driver, image.python)
    shown = ("?" if cell is None else str(cell) for cell in cells)
    catalogue = f"{_catalogue(image)}, broken as shipped" if image.broken is not None else _catalogue(image)
    return (image.tag, *shown, image.provenance.confidence, catalogue, "; ".join(_hands(image, matrix)))


def _catalogue(image: ImageRow) -> str:
    return "upstream" if image.upstream else "ngc"


def _driver_site(image: ImageRow, matrix: Matrix) -> str | None:
    """The site file that the image's driver comes from, where its CUDA row is a site's."""
    if image.bundled_driver is not None or image.cuda is None:
        return None
    row = matrix.cuda_row(image.cuda)
    return None if row is None else site_of(row.provenance)


def _hands(image: ImageRow, matrix: Matrix) -> list[str]:
    """The site files that had a hand in what is shown of an image."""
    site, driver_site = site_of(image.provenance), _driver_site(image, matrix)
    return [*([site] if site else []), *([f"driver: {driver_site}"] if driver_site else [])]


def _row(image: ImageRow, matrix: Matrix) -> dict[str, object]:
    document = encode(image)
    provenance = document.pop("provenance")
    driver = bundled_driver(image, matrix)
    links = list(matrix.links(image.provenance))
    return {
        **document,
        **provenance,
        "min_driver": None if driver is None else str(driver),
        "sources": links,
        "catalogue": _catalogue(image),
        "site": site_of(image.provenance),
        "min_driver_site": _driver_site(image, matrix),
    }


@command.command("show", epilog="Example: gpudoctor matrix show --html a100.html --gpu A100 --tf 1.15")
@click.argument("tag", required=False)
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw all tags against all drivers for --gpu into this page instead.",
)
@click.option("--gpu", "gpus_named", multiple=True, metavar="NAME_OR_CC", help="The GPU of the page. Repeatable.")
@click.option("--tf", metavar="SPEC", help="Only images with this TensorFlow, on the page.")
@click.option("--arch", type=click.Choice([*ARCHITECTURES, "amd64", "arm64"]), help="The processor of the page.")
@click.option("--wsl", is_flag=True, help="The page for WSL, with drivers of Windows.")
@options.matrix_option
@options.format_option
def show(
    tag: str | None,
    html_path: Path | None,
    gpus_named: tuple[str, ...],
    tf: str | None,
    arch: str | None,
    wsl: bool,
    matrix_path: Path | None,
    format_: str,
) -> int:
    """Everything the matrix holds about one tag, with its sources; or a page of all tags for a GPU."""
    if html_path is not None:
        if tag is not None or not gpus_named:
            raise InputError("--html draws all tags for a GPU", "say --html FILE --gpu 'RTX 3090', without a tag")
        return _draw(html_path, options.load_matrix(matrix_path), gpus_named, tf, arch, wsl=wsl)
    if tag is None or gpus_named or tf is not None or arch is not None or wsl:
        raise InputError("show wants one tag, or --html FILE with --gpu", "as in gpudoctor matrix show 22.12-tf1-py3")
    return _show(tag, options.load_matrix(matrix_path), format_)


def _draw(
    path: Path, matrix: Matrix, gpus_named: tuple[str, ...], tf: str | None, arch: str | None, *, wsl: bool
) -> int:
    from gpudoctor.host import architecture_name, named_gpu
    from gpudoctor.render import to_html

    images: list[ImageRow] | None = None
    if tf is not None:
        matches = tf_matcher(tf)
        for rows in (matrix.images, matrix.upstream_images):  # TensorFlow's own where NVIDIA has none
            images = [row for row in rows if row.tensorflow is not None and matches(row.tensorflow)]
            if images:
                break
        else:
            raise GpudoctorError(f"no image in the matrix holds TensorFlow {tf}", "", exit_codes.WRONG)
    gpus = tuple(named_gpu(text, matrix) for text in gpus_named)
    text = to_html.picture(
        matrix, gpus, images=images, architecture=None if arch is None else architecture_name(arch), wsl=wsl
    )
    options.write_atomically(path, text, option="--html")
    click.echo(f"{path}: open it in a browser", err=True)
    return exit_codes.WELL


def _show(tag: str, matrix: Matrix, format_: str) -> int:
    image = matrix.image(tag)
    if image is None:
        import difflib

        tags = [row.tag for row in (*matrix.images, *matrix.upstream_images)]
        near = difflib.get_close_matches(tag, tags, n=3, cutoff=0.5)
        raise GpudoctorError(f"no tag {tag!r} in the matrix", f"nearest: {', '.join(near) or 'none'}", exit_codes.WRONG)
    row = _row(image, matrix)
    if format_ == "json":
        head = {"schema": "gpudoctor.matrix-show/1", "version": gpudoctor.__version__}
        click.echo(to_json.dumps({**head, "image": row}))
        return exit_codes.WELL
    for name, value in row.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        if name == "source" or (value is None and name in ("site", "min_driver_site")):
            continue
        click.echo(printable(f"{name:22} {'unknown' if shown is None else shown or 'none'}"))
    return exit_codes.WELL


@command.command("validate", epilog="Example: gpudoctor matrix validate site_matrix.yaml")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
def validate(files: tuple[Path, ...]) -> int:
    """Print every fault of site matrix files with its place.

    Each FILE is put over the shipped matrix, in this order; one that has every section is judged by itself.
    Exit code: 0 no fault, 1 faults, 2 unreadable.
    """
    names = ", ".join(map(str, files))
    validation = matrices.validate(files)
    matrix = validation.matrix
    if matrix is None:
        for fault in validation.faults:
            click.echo(fault_line(names, fault))
        return exit_codes.WRONG
    if validation.is_whole:
        counts = f"{len(matrix.images)} images, {len(matrix.cuda)} CUDA releases, {len(matrix.gpus)} GPUs"
        click.echo(f"{names}: {counts}: no fault")
        return exit_codes.WELL
    rows = sum(site_of(row.provenance) is not None for row in matrix.rows())
    click.echo(f"{names}: {rows} {'row' if rows == 1 else 'rows'} changed or added: no fault")
    if validation.faults_alone:
        alone = validation.faults_alone
        count = "1 fault" if len(alone) == 1 else f"{len(alone)} faults, the first"
        click.echo(f"only over the shipped matrix: by itself it has {count}, {fault_line(names, alone[0])}", err=True)
    return exit_codes.WELL
