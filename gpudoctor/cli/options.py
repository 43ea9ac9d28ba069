"""The options that commands share, and what they mean: where the facts, the matrix and the host come from."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpudoctor.errors import CouldNotLookError, InputError
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import ARCHITECTURES
from gpudoctor.readings import Unread

if TYPE_CHECKING:
    from pathlib import Path

    from gpudoctor.facts import Facts
    from gpudoctor.health_policy import HealthPolicy
    from gpudoctor.matrix import Matrix

_F = TypeVar("_F", bound=Callable[..., Any])

# Facts of one machine are some 20 kB, of the largest some 200 kB.
_MAX_FACTS_BYTES = 8 << 20

# No machine has more GPUs than this; cut into MIG instances, sixteen make 112.
_MOST_NAMED = 16


class _Seconds(click.FloatRange):
    """A time limit. "nan" is a number to Python, and a deadline of nan never passes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number of seconds; click's usage error for anything else."""
        seconds = super().convert(value, param, ctx)
        if seconds != seconds:
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return seconds


class _Path(click.Path):
    """Gives a Path. Where none is typed, pathlib is not imported: 2 of the 53 ms of `resolve` (3.11, 2026-11)."""

    def coerce_path_result(self, value: str | os.PathLike[str]) -> Path:
        """What was typed, as a Path."""
        from pathlib import Path

        return Path(value)


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


def schema_option(command: str) -> Callable[[_F], _F]:
    """`--schema`, which prints the JSON Schema of a command's answer and does nothing else."""

    def show(ctx: click.Context, _param: click.Parameter, *, asked: bool) -> None:
        if not asked or ctx.resilient_parsing:
            return
        from gpudoctor.render import json_schemas, to_json

        click.echo(to_json.dumps(json_schemas.of(command)))
        ctx.exit()

    return click.option(
        "--schema",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=lambda ctx, param, asked: show(ctx, param, asked=asked),
        help="Print the JSON Schema of the JSON output, and nothing else.",
    )


REPORT_FORMATS = ("text", "json", "junit", "sarif", "prometheus", "markdown")
report_format_option = click.option(
    "--format", "format_", type=click.Choice(REPORT_FORMATS), default="text", show_default=True, help="What to print."
)
output_option = click.option(
    "--output",
    "output_path",
    type=_Path(dir_okay=False),
    metavar="FILE",
    help="Write there instead, all at once: a reader sees the old file or the new one, never half of it.",
)
matrix_option = click.option(
    "--matrix",
    "matrix_path",
    type=_Path(),
    metavar="FILE",
    help="Site overrides of the compatibility matrix, merged row by row.",
)
policy_option = click.option(
    "--policy",
    "policy_path",
    type=_Path(),
    metavar="FILE",
    help="Site overrides of the health policy (Xids, temperatures, ECC …), merged entry by entry.",
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
    type=_Path(readable=False),  # what cannot be read below it is a fact
    metavar="DIR",
    help="Read /proc, /sys, /dev, /etc and /lib/modules below DIR.",
)
python_option = click.option(
    "--python",
    metavar="PATH",
    help="Look at the TensorFlow of that interpreter or environment too; nothing is imported.",
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

    sites = _site_files("matrix", path)
    return matrix.load_merged(sites) if sites else matrix.load()


def load_policy(path: Path | None) -> HealthPolicy:
    """The shipped health policy, and over it, entry by entry, what the site says; a later file wins.

    1. /etc/gpudoctor/policy.yaml
    2. gpudoctor/policy.yaml in $XDG_CONFIG_HOME, else in ~/.config
    3. the file that $GPUDOCTOR_POLICY names
    4. the file that --policy names
    """
    from gpudoctor import health_policy

    return health_policy.load(_site_files("policy", path))


def _site_files(what: str, path: Path | None) -> dict[Path, str]:
    """The files of the site, and who names each; those of the configuration only where they are."""
    named = [(f"{folder}/gpudoctor/{what}.yaml", "the configuration folder") for folder in _config_folders()]
    sites = [(file, named_by) for file, named_by in named if _is_there(file)]
    name_of_variable = f"GPUDOCTOR_{what.upper()}"
    if variable := os.environ.get(name_of_variable):
        sites.append((variable, f"${name_of_variable}"))
    if path is not None:
        sites.append((str(path), f"--{what}"))
    if not sites:
        return {}
    from pathlib import Path

    last: dict[Path, str] = {}
    for name, named_by in sites:
        file = Path(name)
        last.pop(file, None)  # named twice, it counts where it was named last
        last[file] = named_by
    return last


def _config_folders() -> Iterator[str]:
    if os.name == "posix":  # elsewhere /etc is anybody's to make
        yield "/etc"
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    # Without pathlib, because every start comes by here: see _Path.
    if not os.path.isabs(folder):  # noqa: PTH117 - https://specifications.freedesktop.org/basedir-spec/ (2026-11)
        folder = os.path.expanduser("~/.config")  # noqa: PTH111
    if not folder.startswith("~"):  # without $HOME, and unknown to this machine, a user has none
        yield folder


def _is_there(file: str) -> bool:
    """Whether it stands there, readable or not; a link to nowhere does, and is read in vain."""
    try:
        os.lstat(file)
    except PermissionError:
        return _may_be_there(file)
    except OSError as error:
        return not isinstance(error, (FileNotFoundError, NotADirectoryError))
    return True


def _may_be_there(file: str) -> bool:
    """Whether at least its folder is seen. Daemons inherit a $HOME that is not theirs: that must not stop them."""
    try:
        os.lstat(file.rpartition("/")[0])
    except PermissionError:
        click.echo(f"gpudoctor: {file}: not looked for: Permission denied", err=True)
        return False
    return True


def read_facts(path: str) -> Facts:
    """Facts that `probe` printed earlier.

    Raises InputError with the place of the fault.
    """
    from gpudoctor import named_file

    name = "standard input" if path == "-" else path
    try:
        most = _MAX_FACTS_BYTES
        text = sys.stdin.buffer.read(most + 1) if path == "-" else named_file.read(path, most)
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read: {error.strerror}", "save facts with: gpudoctor probe > FILE"
        ) from None
    if len(text) > _MAX_FACTS_BYTES:
        raise InputError(f"{name}: larger than {_MAX_FACTS_BYTES >> 20} MiB, which no facts are")
    return facts_from_json(text, name)


def facts_from_json(text: bytes, name: str) -> Facts:
    """Facts out of JSON text; raises InputError with line or field."""
    import json

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


def probe_facts(
    facts_path: str | None, host_root: Path | None, timeout_seconds: float, python: str | None = None
) -> Facts:
    """The facts of this machine, below another root where one is named, and of a Python; or the saved ones.

    Raises CouldNotLookError where only saved ones can be judged.
    """
    if facts_path is not None:
        if python is not None:
            message = "--python and --facts do not go together: saved facts hold the Python that was named then"
            raise InputError(message, "on that machine: gpudoctor probe --python PATH > FILE")
        return read_facts(facts_path)
    if sys.platform != "linux":
        message = "only Linux machines can be probed"
        raise CouldNotLookError(message, "judge a saved one with --facts FILE, or think of one with --driver and --gpu")
    from pathlib import Path

    from gpudoctor.probe import probe

    root = host_root or Path("/")
    if not root.is_dir():
        raise InputError(f"--host-root {root}: no such folder")
    from gpudoctor.probe.python import interpreter

    named = None if python is None else interpreter(python)
    return probe(root=root, timeout_seconds=timeout_seconds, interpreter=named)


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
    """The host with only the GPUs that `--gpus` names: indices or UUIDs, separated by commas; each counts once.

    A MIG instance is its GPU under another UUID. Raises InputError for one that is not there.
    """
    if gpus in (None, "all", "none") or isinstance(host.gpus, Unread):
        return host
    # By index and UUID: equal products that were only named have the same subject.
    chosen = [_chosen(one.strip(), host.gpus) for one in str(gpus).split(",")]
    return replace(host, gpus=tuple({(gpu.index, gpu.subject): gpu for gpu in chosen}.values()))


def _chosen(name: str, gpus: tuple[HostGpu, ...]) -> HostGpu:
    for gpu in gpus:
        if name and (name == gpu.subject or (gpu.index is not None and name == str(gpu.index))):
            return gpu
        if not isinstance(gpu.mig_devices, Unread) and name in gpu.mig_devices:
            return replace(gpu, subject=name)
    raise InputError(f"--gpus {_shortened(name)!r}: no such GPU", _there(name, gpus))


def _there(name: str, gpus: tuple[HostGpu, ...]) -> str:
    """What could have been named instead."""
    if name in ("all", "none"):
        return f"say {name} alone, or name GPUs: not both"
    if name.startswith("MIG-"):
        unread = next((gpu.mig_devices for gpu in gpus if isinstance(gpu.mig_devices, Unread)), None)
        if unread is not None:
            return f"the MIG instances of this machine are not all known: {unread}"
        migs = [mig for gpu in gpus if not isinstance(gpu.mig_devices, Unread) for mig in gpu.mig_devices]
        return f"there are: {_some(migs)}" if migs else "no GPU here has a MIG instance"
    there = [f"{gpu.index} ({gpu.subject})" if gpu.index is not None else gpu.subject for gpu in gpus]
    return f"there are: {_some(there)}; or say all, or none for the CPU"


def _some(names: list[str]) -> str:
    """As many as anybody reads: a --facts file may hold thousands."""
    shown = ", ".join(map(_shortened, names[:_MOST_NAMED])) or "none"
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else name[:60] + "…"


def write_atomically(path: Path, text: str, *, option: str = "--output") -> None:
    """Write a text file that is there whole or not at all; its mode is that of any new file.

    A link stays one. A device or a pipe, such as /dev/null or what a shell puts for `>(command)`, is written to and
    not replaced. Raises InputError where it cannot be written.
    """
    content = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", errors="replace")
    from pathlib import Path

    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            _write_through(path, content)
            return
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        message = f"{option} {path}: cannot be written: {error.strerror or error}"
        raise InputError(message, "name a file in a folder that may be written") from None


def _write_through(path: Path, content: bytes) -> None:
    # Opening a pipe that nobody reads would wait for ever; this way it is refused.
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - Path.open takes no descriptor
        file.write(content)
