"""The options that commands share, and what they mean: where the facts, the matrix and the host come from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpudoctor.errors import CouldNotLookError, InputError
from gpudoctor.host import ARCHITECTURES, Host, HostGpu
from gpudoctor.readings import Unread

if TYPE_CHECKING:
    from gpudoctor.facts import Facts
    from gpudoctor.matrix import Matrix

_F = TypeVar("_F", bound=Callable[..., Any])

# Facts of one machine are some 20 kB, of the largest some 200 kB.
_MAX_FACTS_BYTES = 8 << 20


class _Seconds(click.FloatRange):
    """A time limit. "nan" is a number to Python, and a deadline of nan never passes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number of seconds; click's usage error for anything else."""
        seconds = super().convert(value, param, ctx)
        if seconds != seconds:
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return seconds


SECONDS = _Seconds(min=0, min_open=True, max=86400)


def stack(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    def decorate(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


format_option = click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print."
)
matrix_option = click.option(
    "--matrix",
    "matrix_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Site overrides of the compatibility matrix, merged row by row.",
)
colour_option = click.option("--no-color", is_flag=True, help="No colours; NO_COLOR in the environment does the same.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only what is wrong.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Also what is well, and what it rests on.")
timeout_option = click.option(
    "--timeout",
    "timeout_seconds",
    type=SECONDS,
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for reading the machine.",
)
host_root_option = click.option(
    "--host-root",
    type=click.Path(path_type=Path, readable=False),  # what cannot be read below it is a fact
    default=Path("/"),
    metavar="DIR",
    help="Read /proc, /sys, /dev, /etc and /lib/modules below DIR.",
)
facts_option = click.option(
    "--facts", "facts_path", metavar="FILE|-", help="Judge the host saved there by `gpudoctor probe`."
)

source_options: Callable[[_F], _F] = stack(facts_option, host_root_option, timeout_option)
what_if_options: Callable[[_F], _F] = stack(
    click.option("--driver", metavar="VERSION", help="What if the driver were VERSION."),
    click.option(
        "--gpu", "gpus_named", multiple=True, metavar="NAME_OR_CC", help="What if this were the GPU. Repeatable."
    ),
    click.option(
        "--arch", type=click.Choice([*ARCHITECTURES, "amd64", "arm64"]), help="What if this were the processor."
    ),
    click.option("--wsl", is_flag=True, help="What if this were WSL; --driver is then the driver of Windows."),
)


def painter(*, no_color: bool) -> Callable[[str, str], str]:
    """Colours for a terminal, none for anything else, --no-color or NO_COLOR (https://no-color.org)."""
    if no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return lambda _colour, text: text

    def paint(colour: str, text: str) -> str:
        if colour in ("bold", "dim"):
            return click.style(text, bold=colour == "bold" or None, dim=colour == "dim" or None)
        return click.style(text, fg=colour)

    return paint


def load_matrix(path: Path | None) -> Matrix:
    """The shipped matrix, and over it, row by row, what the site says; a later file wins:

    1. /etc/gpudoctor/matrix.yaml
    2. gpudoctor/matrix.yaml in $XDG_CONFIG_HOME, else in ~/.config
    3. the file that $GPUDOCTOR_MATRIX names
    4. the file that --matrix names
    """
    from gpudoctor import matrix

    sites = _site_files(path)
    return matrix.load_merged(sites) if sites else matrix.load()


def _site_files(path: Path | None) -> dict[Path, str]:
    """The files of the site, and who names each; those of the configuration only where they are."""
    named = [(folder / "gpudoctor" / "matrix.yaml", "the configuration folder") for folder in _config_folders()]
    sites = [(file, named_by) for file, named_by in named if _is_there(file)]
    if variable := os.environ.get("GPUDOCTOR_MATRIX"):
        sites.append((Path(variable), "$GPUDOCTOR_MATRIX"))
    if path is not None:
        sites.append((path, "--matrix"))
    last: dict[Path, str] = {}
    for file, named_by in sites:
        last.pop(file, None)  # named twice, it counts where it was named last
        last[file] = named_by
    return last


def _config_folders() -> Iterator[Path]:
    if os.name == "posix":  # elsewhere /etc is anybody's to make
        yield Path("/etc")
    folder = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if not folder.is_absolute():  # https://specifications.freedesktop.org/basedir-spec/ (2026-11): to be ignored
        try:
            folder = Path("~/.config").expanduser()
        except RuntimeError:  # without $HOME, and unknown to this machine, a user has none
            return
    yield folder


def _is_there(file: Path) -> bool:
    """Whether it stands there, readable or not; a link to nowhere does, and is read in vain."""
    try:
        file.lstat()
    except PermissionError:
        return _may_be_there(file)
    except OSError as error:
        return not isinstance(error, (FileNotFoundError, NotADirectoryError))
    return True


def _may_be_there(file: Path) -> bool:
    """Whether at least its folder is seen. Daemons inherit a $HOME that is not theirs: that must not stop them."""
    try:
        file.parent.lstat()
    except PermissionError:
        click.echo(f"gpudoctor: {file}: not looked for: Permission denied", err=True)
        return False
    return True


def read_facts(path: str) -> Facts:
    """Facts that `probe` printed earlier.

    Raises InputError with the place of the fault.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            text = sys.stdin.buffer.read(_MAX_FACTS_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                text = file.read(_MAX_FACTS_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read: {error.strerror}", "save facts with: gpudoctor probe > FILE"
        ) from None
    if len(text) > _MAX_FACTS_BYTES:
        raise InputError(f"{name}: larger than {_MAX_FACTS_BYTES >> 20} MiB, which no facts are")
    return facts_from_json(text, name)


def facts_from_json(text: bytes, name: str) -> Facts:
    """Facts out of JSON text; raises InputError with line or field."""
    from gpudoctor.document import DocumentError, decode
    from gpudoctor.facts import Facts
    from gpudoctor.render.to_json import FACTS_SCHEMA

    hint = "save facts with: gpudoctor probe > FILE"
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{name}:{error.lineno}: not JSON: {error.msg}", hint) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{name}: not JSON: {type(error).__name__}", hint) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != FACTS_SCHEMA:
        raise InputError(f"{name}: schema: expected {FACTS_SCHEMA!r}, found {str(schema)[:60]!r}", hint)
    try:
        return decode(Facts, document)
    except DocumentError as error:
        raise InputError(f"{name}: {error}", hint) from None


def probe_facts(facts_path: str | None, host_root: Path, timeout_seconds: float) -> Facts:
    """The facts of this machine, or the saved ones.

    Raises CouldNotLookError where only saved ones can be judged.
    """
    if facts_path is not None:
        return read_facts(facts_path)
    if sys.platform != "linux":
        message = "only Linux machines can be probed"
        raise CouldNotLookError(message, "judge a saved one with --facts FILE, or think of one with --driver and --gpu")
    if not host_root.is_dir():
        raise InputError(f"--host-root {host_root}: no such folder")
    from gpudoctor.probe import probe

    return probe(root=host_root, timeout_seconds=timeout_seconds)


def is_what_if(driver: str | None, gpus_named: tuple[str, ...], arch: str | None, *, wsl: bool) -> bool:
    """Whether any part of the host was named by hand."""
    return driver is not None or bool(gpus_named or arch or wsl)


def host_from(
    matrix: Matrix,
    *,
    driver: str | None,
    gpus_named: tuple[str, ...],
    arch: str | None,
    wsl: bool,
    facts: Callable[[], Facts],
) -> Host:
    """The host to be judged; `facts` is only called for what was not named.

    Raises InputError for a driver or GPU that there is not.
    """
    from gpudoctor import host as hosts
    from gpudoctor.versions import DriverVersion, VersionError

    if not is_what_if(driver, gpus_named, arch, wsl=wsl):
        return hosts.from_facts(facts(), matrix)
    try:
        version = None if driver is None else DriverVersion(driver)
    except VersionError as error:
        raise InputError(f"--driver: {error}") from None
    gpus = tuple(hosts.named_gpu(text, matrix) for text in gpus_named)
    base = None if version is not None and gpus else hosts.from_facts(facts(), matrix)
    return hosts.what_if(driver=version, gpus=gpus, architecture=arch, wsl=wsl, base=base)


def narrowed(host: Host, gpus: str | None) -> Host:
    """The host with only the GPUs that `--gpus` names: indices or UUIDs, separated by commas.

    Raises InputError for one that is not there.
    """
    if gpus in (None, "all", "none") or isinstance(host.gpus, Unread):
        return host
    return replace(host, gpus=tuple(_chosen(one.strip(), host.gpus) for one in str(gpus).split(",")))


def _chosen(name: str, gpus: tuple[HostGpu, ...]) -> HostGpu:
    for gpu in gpus:
        if name and (name == gpu.subject or (gpu.index is not None and name == str(gpu.index))):
            return gpu
    there = ", ".join(f"{gpu.index} ({gpu.subject})" if gpu.index is not None else gpu.subject for gpu in gpus)
    raise InputError(f"--gpus {name!r}: no such GPU", f"there are: {there or 'none'}; or say all, or none for the CPU")
