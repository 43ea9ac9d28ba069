"""The README is true: its commands run here, and its transcripts are what the commands print."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.launch.command import environment, gpudoctor_run
from tests.machines import Machine
from tests.real.engine import Engine
from tests.real.registry import LocalRegistry

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"

# pip fetches and unpacks TensorFlow; on two cores and a slow disk a minute or two.
SET_UP_SECONDS = 900.0

_BLOCK = re.compile(r"<!-- (?P<kind>[^>\n]+) -->\n```\w+\n(?P<body>.*?)```\n", re.DOTALL)

# What differs from one machine and one moment to the next.
_MASKS = (
    (re.compile(r"\d+(?:\.\d+)? s\b"), "N s"),
    (re.compile(r" +N s"), " N s"),
    (re.compile(r"seed \d+"), "seed N"),
    (re.compile(r"\d+(?:\.\d+)? [kMGT]B (in|free)"), r"N \1"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:5000"),
    (re.compile(r"Python 3\.7\.\d+"), "Python 3.7.N"),
    # Said where the kernel refuses it, as some do and some do not.
    (re.compile(r"gpudoctor: the engine may not lift the limit on locked memory.*\n"), ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block and the comment before it, which says how it is run."""

    kind: str
    body: str

    @property
    def command(self) -> list[str]:
        """The words after `$`."""
        return shlex.split(self.body.partition("\n")[0].removeprefix("$ "))

    @property
    def output(self) -> str:
        """What the README says it prints."""
        return self.body.partition("\n")[2]


def blocks() -> Iterator[Block]:
    for match in _BLOCK.finditer(README.read_text(encoding="utf-8")):
        yield Block(kind=match["kind"], body=match["body"])


def block(kind: str) -> Block:
    (found,) = (one for one in blocks() if one.kind == kind)
    return found


def masked(text: str) -> str:
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


def compare(said: Block, printed: str, pytestconfig: pytest.Config) -> None:
    """Hold what was printed against the README, or write it there with --update-golden."""
    if pytestconfig.getoption("--update-golden"):
        first = said.body.partition("\n")[0]
        head = f"<!-- {said.kind} -->\n```console\n"
        text = README.read_text(encoding="utf-8")
        README.write_text(text.replace(f"{head}{said.body}", f"{head}{first}\n{printed}"), encoding="utf-8")
        return
    assert masked(printed) == masked(said.output)


def test_the_set_up_command_works_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = tmp_path / "gpudoctor"
    listed = subprocess.run(
        ("git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (PROJECT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, clone / name)
    finished = subprocess.run(
        ("sh", "-c", block("set-up").body),
        cwd=clone,
        env={**environment("unix:///nowhere/docker.sock")} | {"PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SET_UP_SECONDS,
        check=False,
    )
    said = finished.stdout + finished.stderr
    assert "GPU  " in finished.stdout, said
    assert "nvcr.io/nvidia/tensorflow:20.12-tf1-py3" in finished.stdout, said
    assert "smoke test passed" in finished.stdout, said
    assert "on the CPU, as asked" in finished.stdout, said
    assert "Traceback" not in said
    assert finished.returncode == 0, said


def test_ci_runs_the_test_command_and_nothing_else() -> None:
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    lines = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', block("test").body.strip()]


def test_every_check_has_its_row() -> None:
    from gpudoctor import checks

    text = README.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(check.id for check in checks.discover())
    assert f"judged by {len(rows)} checks" in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "said", [one for one in blocks() if one.kind.startswith("machine: ")], ids=lambda one: one.kind
)
def test_transcripts_of_machines_are_true(said: Block, pytestconfig: pytest.Config) -> None:
    program, command, *arguments = said.command
    assert program == "gpudoctor"
    with Machine.load(said.kind.partition(": ")[2]).stage() as stage:
        finished = stage.run(command, *arguments)
    assert finished.stderr == ""
    compare(said, finished.stdout, pytestconfig)


@pytest.mark.parametrize("said", [one for one in blocks() if one.kind.startswith("log: ")], ids=lambda one: one.kind)
def test_transcripts_of_logs_are_true(said: Block, pytestconfig: pytest.Config) -> None:
    line = said.body.partition("\n")[0].removeprefix("$ ")
    with Machine.load(said.kind.partition(": ")[2]).stage() as stage:
        here = shlex.join((sys.executable, "-m", "gpudoctor", "explain", *stage.arguments))
        assert line.count("gpudoctor explain") == 1
        finished = subprocess.run(
            ("sh", "-c", line.replace("gpudoctor explain", here)),
            env=dict(stage.environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (finished.returncode, finished.stderr) == (0, "")
    compare(said, finished.stdout, pytestconfig)


def test_the_transcript_of_resolve_is_true(pytestconfig: pytest.Config) -> None:
    said = block("here")
    finished = subprocess.run(
        (sys.executable, "-m", *said.command), cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.stderr == ""
    compare(said, finished.stdout, pytestconfig)


def test_the_transcript_of_a_launch_is_true(
    engine: Engine, registry: LocalRegistry, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    said = block("launch")
    program, command, *arguments = said.command
    assert (program, command) == ("gpudoctor", "run")
    here = [word.replace("127.0.0.1:5000", registry.address) for word in arguments]
    from tests.launch.command import remove_image

    remove_image(engine.docker_host, f"{registry.address}/nvidia/tensorflow:23.03-tf1-py3")
    finished = gpudoctor_run(here, environment(engine.docker_host, HOME=str(tmp_path)))
    assert finished.returncode == 0
    # The talk comes first, then what the container prints.
    printed = (finished.stderr + finished.stdout).decode().replace(registry.address, "127.0.0.1:5000")
    compare(said, printed, pytestconfig)
