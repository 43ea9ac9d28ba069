"""The command line, run as people run it: the installed program, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(sysconfig.get_path("scripts")) / "gpudoctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def gpudoctor(*arguments: str, stdin: str | bytes = b"") -> Ended:
    """Run it in an environment that says nothing of colours, of this machine's engine or of its site's matrix."""
    foreign = ("NO_COLOR", "DOCKER_HOST", "GPUDOCTOR_MATRIX", "GPUDOCTOR_POLICY")
    around = {name: value for name, value in os.environ.items() if name not in foreign}
    around["XDG_CONFIG_HOME"] = str(Path(__file__).parent / "no-such-folder")
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env=around,
    )
    return Ended(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def assert_one_line(ended: Ended, *, code: int) -> tuple[str, str]:
    """One line that says what is wrong, at most one that says what to do, nothing else; gives both."""
    lines = ended.err.splitlines()
    assert "Traceback" not in ended.err
    assert ended.code == code, ended.err
    assert ended.out == ""
    assert 1 <= len(lines) <= 2, ended.err
    assert lines[0].startswith("gpudoctor: ")
    assert len(lines[0]) < 600
    hint = lines[1] if len(lines) == 2 else ""
    assert not hint or hint.startswith("  ")
    assert "internal error" not in ended.err
    return lines[0].removeprefix("gpudoctor: "), hint.strip()
