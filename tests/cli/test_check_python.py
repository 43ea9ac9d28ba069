"""gpudoctor check --python: the TensorFlow of an interpreter, judged with the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.render import to_json
from tests.fakes import facts_of
from tests.machines import Machine
from tests.pythons import BUILD_INFO_CPU, distribution, environment, python, tensorflow

CHECK = "image-host-tensorflow-without-gpu"


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment with a TensorFlow that knows no CUDA."""
    site = environment(tmp_path / "venv")
    distribution(site, "tensorflow-cpu", "2.17.1")
    tensorflow(site, BUILD_INFO_CPU)
    return tmp_path / "venv"


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """gpudoctor on the machine under the tests."""
    done = subprocess.run(
        (sys.executable, "-m", "gpudoctor", *arguments),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


def judged(document: str) -> dict[str, Any]:
    (result,) = (one for one in json.loads(document)["results"] if one["check"] == CHECK)
    found: dict[str, Any] = result
    return found


def test_the_answer_is_in_text_and_json(venv: Path) -> None:
    text = run("check", "--python", str(venv))
    assert text.returncode == 1
    assert "tensorflow-cpu 2.17.1 is built without CUDA" in " ".join(text.stdout.split())
    found = judged(run("check", "--python", str(venv / "bin/python"), "--format", "json").stdout)
    assert found["outcome"] == "failed"
    assert found["findings"][0]["fix"]["commands"][1].endswith("-m pip install 'tensorflow[and-cuda]==2.17.1'")
    assert judged(run("check", "--format", "json").stdout)["outcome"] == "not_applicable"


def test_saved_facts_give_the_same_answer(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(run("probe", "--python", str(venv)).stdout)
    here = run("check", "--python", str(venv), "--format", "json")
    there = run("check", "--facts", str(tmp_path / "host.json"), "--format", "json")
    assert judged(there.stdout) == judged(here.stdout)


def test_redacted_facts_do_not_name_the_user(tmp_path: Path) -> None:
    site = environment(tmp_path / "home/annabel/venv")
    distribution(site, "tensorflow-cpu", "2.17.1")
    tensorflow(site, BUILD_INFO_CPU)
    done = run("probe", "--redact", "--python", str(tmp_path / "home/annabel/venv"))
    assert json.loads(done.stdout)["python"]["tensorflow"] == {"name": "tensorflow-cpu", "version": "2.17.1"}
    assert "annabel" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--python", "/no/such/python"), "--python /no/such/python: no such file or folder"),
        (("--python", "/proc"), "--python /proc: no interpreter in this folder"),
        (("--python", "no-such-python"), "there is no such program on PATH"),
        (("--python", "", "--timeout", "5"), "there is no such program on PATH"),
        (("--facts", "host.json", "--python", sys.executable), "--python and --facts do not go together"),
        (("--gpu", "8.6", "--driver", "535.54.03", "--python", sys.executable), "--python and a what-if"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: tuple[str, ...], words: str) -> None:
    done = run("check", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_an_interpreter_that_hangs_costs_no_more_than_the_limit_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    path.chmod(0o755)
    begin = time.monotonic()
    done = run("check", "--python", str(path), "--timeout", "2", "--format", "json")
    assert time.monotonic() - begin < 2 + 1 + 2  # and the start of Python on a slow machine
    assert judged(done.stdout)["unread"]["why"] == "timeout"
    assert not Path(f"/proc/{int((tmp_path / 'pid').read_text())}").exists()


def test_an_interpreter_that_cannot_be_asked_leaves_a_well_machine_unjudged(venv: Path) -> None:
    """Below another root no program is run."""
    with Machine.load("h100-580").stage() as stage:
        well = stage.run("check")
        asked = stage.run("check", "--python", str(venv))
    assert (well.returncode, asked.returncode) == (0, 3), asked.stdout
    assert "gpudoctor runs no program below another root" in " ".join(asked.stdout.split())


def test_a_tensorflow_that_is_well_is_named_in_its_line() -> None:
    facts = facts_of(python=python())
    done = subprocess.run(
        (sys.executable, "-m", "gpudoctor", "check", "--facts", "-"),
        input=json.dumps(to_json.facts(facts)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert "tensorflow 2.18.1 in Python 3.11.7" in done.stdout
