"""Ctrl-C, at whichever moment: one line or none, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import PROGRAM

RESOLVE = ("resolve", "--tf", ">=1.15,<2", "--driver", "470.82.01", "--gpu", "RTX 3090", "--format", "json")

# Counts the imports from gpudoctor.cli on, and is interrupted at one of them. What comes before is two small files.
SITE = """
import os, signal, sys

class Interrupted:
    left = None
    seen = 0

    def find_spec(self, name, path=None, target=None):
        if name == "gpudoctor.cli":
            self.left = int(os.environ["INTERRUPT_AT"])
        if self.left is not None:
            type(self).seen += 1
            if self.seen == self.left:
                os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
if os.environ["INTERRUPT_AT"] == "0":
    import atexit
    atexit.register(lambda: sys.stderr.write(str(Interrupted.seen)))
"""


def interrupted(folder: Path, at: int, *program: str) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(SITE)
    around = {**os.environ, "PYTHONPATH": str(folder), "INTERRUPT_AT": str(at), "XDG_CONFIG_HOME": str(folder)}
    command = (*program, *RESOLVE)
    return subprocess.run(command, env=around, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("program", [(str(PROGRAM),), (sys.executable, "-m", "gpudoctor")], ids=["script", "module"])
def test_interrupt_at_any_import_ends_it_without_a_traceback(tmp_path: Path, program: tuple[str, ...]) -> None:
    whole = interrupted(tmp_path, 0, *program)
    assert whole.returncode == 0
    imports = int(whole.stderr)
    assert imports > 50
    answered = 0
    for at in sorted({1, 2, 3, *range(4, imports, max(1, imports // 20)), imports}):
        done = interrupted(tmp_path, at, *program)
        # click begins a new line: a terminal has shown ^C on the old one.
        assert (done.stdout, done.stderr.lstrip("\n")) in (("", ""), ("", "gpudoctor: interrupted\n")), at
        # Killed by the signal is 130 to a shell, as it is where it was answered.
        assert done.returncode == (130 if done.stderr else -signal.SIGINT), at
        answered += bool(done.stderr)
    assert answered > 0


def test_whoever_ignores_interrupts_goes_on_ignoring_them(tmp_path: Path) -> None:
    ignoring = ("sh", "-c", 'trap "" INT; exec "$@"', "sh", str(PROGRAM))
    whole = interrupted(tmp_path, 30, *ignoring)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert whole.stdout.startswith("{")
