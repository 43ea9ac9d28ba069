"""What starts fast stays fast: versions and help import nothing that is heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"docker", "yaml", "rich", "pynvml", "requests", "packaging", "importlib.metadata"}

# As the entry point does it, and then a list of what is there; the list goes to the other stream.
PROGRAM = """
import json, sys
sys.argv = ["gpudoctor", *sys.argv[1:]]
from gpudoctor.cli import main
try:
    main()
finally:
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def _commands() -> list[str]:
    from gpudoctor.cli import group

    return sorted(group.list_commands(None))  # type: ignore[arg-type] # the list needs no context


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], *([command, "--help"] for command in _commands())])
def test_versions_and_help_import_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run((sys.executable, "-c", PROGRAM, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    modules = set(json.loads(done.stderr))
    assert "click" in modules
    assert modules & HEAVY == set()


def test_help_imports_no_command() -> None:
    done = subprocess.run((sys.executable, "-c", PROGRAM, "--help"), capture_output=True, text=True, check=True)
    imported = {name for name in json.loads(done.stderr) if name.startswith("gpudoctor")}
    assert imported == {"gpudoctor", "gpudoctor.cli", "gpudoctor.errors", "gpudoctor.exit_codes"}


@pytest.mark.parametrize("command", _commands())
def test_every_command_has_a_help_line_and_an_example(command: str) -> None:
    overview = subprocess.run((sys.executable, "-m", "gpudoctor", "--help"), capture_output=True, text=True, check=True)
    assert f"\n  {command} " in overview.stdout
    done = subprocess.run(
        (sys.executable, "-m", "gpudoctor", command, "--help"), capture_output=True, text=True, check=True
    )
    assert "Example: gpudoctor" in " ".join(done.stdout.split())
