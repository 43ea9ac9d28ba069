"""The command line: a table of commands, each imported only when it is asked for."""

from __future__ import annotations

import codecs
import gc
import importlib
import io
import os
import signal
import sys

import click

from gpudoctor import __version__, exit_codes
from gpudoctor.errors import GpudoctorError

_COMMANDS = {
    "check": "Probe this machine, say what is wrong, why, and what mends it.",
    "explain": "Explain a finding, or find the cause behind a log.",
    "export": "Write the launch for Docker, podman, Compose, Kubernetes, Slurm and others.",
    "matrix": "List, show and validate the compatibility matrix.",
    "probe": "Print the facts of this machine as JSON.",
    "resolve": "Say which image fits this machine, or one you think of.",
    "run": "Resolve, pull, prove TensorFlow on the GPU, run a command.",
    "smoke": "Prove TensorFlow operation by operation, outside a launch.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name and help line, and imports one when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"gpudoctor.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in _COMMANDS:
            import difflib

            near = difflib.get_close_matches(name, sorted(_COMMANDS), n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(_COMMANDS))}"
            raise click.UsageError(f"no such command {name!r}; {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: gpudoctor resolve --tf 1.15 --driver 455.45.01 --gpu 'RTX 3090'",
)
@click.version_option(__version__, prog_name="gpudoctor")
def group() -> None:
    """Find out why TensorFlow does not see the GPU, and start the NVIDIA container that does."""


def main() -> None:
    """Run a command; every fault ends here, as one line and an exit code."""
    _speak_any_encoding()
    code = _main()
    _let_interrupts_end_it()  # all is said: there is nothing to answer any more
    # Python looks through all there is for cycles once more before it ends: 7 of 57 ms of `resolve` (2026-11, 25
    # interleaved runs on 3.11), for memory that the system takes back anyway.
    gc.freeze()
    sys.exit(code)


def _answer_interrupts() -> None:
    """From here on Ctrl-C is answered in one line, with exit code 130; see `__main__`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _let_interrupts_end_it() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


_NEAREST = {"✓": "+", "✗": "x", "–": "-", "→": "->", "×": "x", "…": "..."}


def _speak_any_encoding() -> None:
    """Say the nearest letters where the terminal or the log has no others: not every one is UTF-8."""

    def nearest(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)  # these are streams to write to
        letters = error.object[error.start : error.end]
        return "".join(_NEAREST.get(letter, "?") for letter in letters), error.end

    codecs.register_error("nearest", nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="nearest")


def _main() -> int:
    try:
        _answer_interrupts()
        code = group.main(prog_name="gpudoctor", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        return _usage_error(error)
    except GpudoctorError as error:
        _complain(error.message, error.hint)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _let_interrupts_end_it()  # whoever presses it twice wants no answer
        _complain("interrupted", "")
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us is gone, as in `| head`. Python flushes once more at exit: give it somewhere to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exit_codes.BROKEN_PIPE
    except Exception as error:
        if os.environ.get("GPUDOCTOR_DEBUG"):
            raise
        _complain(f"internal error: {type(error).__name__}: {error}", "GPUDOCTOR_DEBUG=1 shows where; please report it")
        return exit_codes.NOT_STARTED if sys.argv[1:2] == ["run"] else exit_codes.COULD_NOT_LOOK
    return code if isinstance(code, int) else exit_codes.WELL


def _usage_error(error: click.ClickException) -> int:
    command = "gpudoctor"
    if isinstance(error, click.UsageError) and error.ctx is not None:
        command = error.ctx.command_path
    _complain(error.format_message().rstrip("."), f"{command} --help")
    return exit_codes.BAD_INPUT


def _complain(message: str, hint: str) -> None:
    """One line, and what to do instead on a second one."""
    click.echo(f"gpudoctor: {_one_line(message)}", err=True)
    if hint:
        click.echo(f"  {_one_line(hint)}", err=True)


def _one_line(text: str) -> str:
    """The text on one line, with nothing in it that could move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
