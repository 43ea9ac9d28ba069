"""gpudoctor explain: the long text of a check, or the cause behind a log."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from gpudoctor import checks, exit_codes
from gpudoctor.cli import options
from gpudoctor.errors import InputError
from gpudoctor.explain import MOST_LINE_BYTES, Explanation, Reader, judged
from gpudoctor.readings import Unread
from gpudoctor.render import explanation_to_text, to_json

_BLOCK_BYTES = 1 << 19

# What a log that was packed, or that is systemd's own, begins with, and what makes lines of it.
_NO_TEXT = {
    b"\x1f\x8b": "zcat",
    b"\xfd7zXZ\x00": "xzcat",
    b"\x28\xb5\x2f\xfd": "zstdcat",
    b"BZh": "bzcat",
    b"LPKSHHRH": "journalctl --file",
}
# PowerShell writes what it redirects with two bytes a letter.
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@click.command(epilog="Example: gpudoctor explain train.log; docker logs trainer 2>&1 | gpudoctor explain -")
@click.argument("subject", metavar="ID|FILE|-")
@click.option("--elsewhere", is_flag=True, help="The log is of another machine: judge it by its words alone.")
@options.source_options
@options.matrix_option
@options.schema_option("explain")
@options.format_option
@options.verbose_option
@options.colour_option
def command(
    subject: str,
    elsewhere: bool,
    facts_path: str | None,
    host_root: Path,
    timeout_seconds: float,
    matrix_path: Path | None,
    format_: str,
    verbose: bool,
    no_color: bool,
) -> int:
    """Print the cause, signs and cure of a finding, or find the cause behind a log.

    ID is what `gpudoctor check` prints in brackets. With FILE or -, every known text in the log is a suspect, and
    the facts of this machine (or of --facts) tell which of them holds. Exit code: 0, or 1 when the log holds
    nothing that is known.
    """
    paint = options.painter(no_color=no_color)
    known = checks.discover()
    if subject in {check.id for check in known} or (subject != "-" and not Path(subject).exists()):
        check = _named(subject, known)
        as_json = to_json.check(check)
        click.echo(to_json.dumps(as_json) if format_ == "json" else explanation_to_text.check(check, paint=paint))
        return exit_codes.WELL
    if subject == "-" and facts_path == "-":
        raise InputError("explain - --facts -: standard input cannot be both", "save the facts: gpudoctor probe > FILE")
    explanation = _read(subject, known)
    if explanation.suspects and _has_facts(facts_path, elsewhere=elsewhere):
        facts = options.probe_facts(facts_path, host_root, timeout_seconds)
        matrix = options.load_matrix(matrix_path)
        case = checks.Case(facts=facts, matrix=matrix, policy=options.load_policy(None), engine_asked=False)
        container = facts.system.container
        inside = isinstance(container, Unread) or bool(container)
        explanation = judged(explanation, checks.run(case, known), in_container=inside)
    if format_ == "json":
        click.echo(to_json.dumps(to_json.explanation(explanation)))
    else:
        click.echo(explanation_to_text.explanation(explanation, paint=paint, verbose=verbose))
    return exit_codes.WELL if explanation.suspects else exit_codes.WRONG


def _has_facts(facts_path: str | None, *, elsewhere: bool) -> bool:
    """Whether there is a machine to ask: a saved one, or this one where it can be probed."""
    if elsewhere and facts_path is not None:
        raise InputError("--elsewhere and --facts: say one", "--facts FILE is the other machine's facts")
    return facts_path is not None or (not elsewhere and sys.platform == "linux")


def _named(id_: str, known: tuple[checks.Check, ...]) -> checks.Check:
    for check in known:
        if check.id == id_:
            return check
    import difflib

    ids = [check.id for check in known]
    # People remember the last words of a name better than its first.
    near = difflib.get_close_matches(id_, ids, n=3, cutoff=0.5) or [one for one in ids if id_ and id_ in one][:3]
    hint = f"did you mean {' or '.join(near)}?" if near else "gpudoctor check -v shows the ids of this machine's checks"
    raise InputError(f"explain {id_!r}: no such check, and no such file", hint)


def _read(subject: str, known: tuple[checks.Check, ...]) -> Explanation:
    try:
        with _opened(subject) as file:
            return Reader(known).read(_blocks(file, subject))
    except OSError as error:
        raise InputError(f"{subject}: {error.strerror or error}", "name a log, or - to read one from a pipe") from None


@contextmanager
def _opened(subject: str) -> Iterator[BinaryIO]:
    if subject == "-":
        if sys.stdin is None:
            raise InputError("-: standard input is closed", "name a log, or pipe one in: dmesg | gpudoctor explain -")
        if sys.stdin.isatty():
            click.echo("gpudoctor: reading the log from this terminal; end it with Ctrl-D", err=True)
        yield sys.stdin.buffer
        return
    with Path(subject).open("rb") as file:
        yield file


def _blocks(file: BinaryIO, subject: str) -> Iterator[bytes]:
    """The log in blocks that end where a line does; of a line longer than a block only the beginning is kept."""
    rest = b""
    for part in _text(file, subject):
        whole, newline, after = part.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = after
        else:
            rest = (rest + part)[:MOST_LINE_BYTES]
    if rest:
        yield rest


def _text(file: BinaryIO, subject: str) -> Iterator[bytes]:
    """The bytes of a log, as UTF-8 where they begin by saying that they are something else."""
    part = file.read(_BLOCK_BYTES)
    _refuse_what_is_no_text(part, subject)
    encoding = _WIDE.get(part[:2])
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    while part:
        yield decoder.decode(part).encode("utf-8", "replace") if decoder else part
        # What is shorter was the last: whoever types a log would have to end it twice, were it read on.
        part = file.read(_BLOCK_BYTES) if len(part) == _BLOCK_BYTES else b""


def _refuse_what_is_no_text(beginning: bytes, subject: str) -> None:
    for magic, program in _NO_TEXT.items():
        if beginning.startswith(magic):
            name = "LOG" if subject == "-" else subject
            kind = "systemd's journal" if magic == b"LPKSHHRH" else "packed"
            raise InputError(f"{subject} is {kind}, no text", f"{program} {name} | gpudoctor explain -")
