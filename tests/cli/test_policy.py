"""gpudoctor check --policy: a site's own view of a GPU's health, as a process."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gpudoctor.document import encode
from gpudoctor.facts import Facts
from gpudoctor.readings import Why
from gpudoctor.render.to_json import FACTS_SCHEMA
from tests.cli import PROGRAM, assert_one_line, gpudoctor
from tests.fakes import event, facts_of, unread

GSP = event("xid", "NVRM: Xid (PCI:0000:01:00): 109, pid=1", pci_address="0000:01:00.0", code=109)
DISPUTED = facts_of(kernel_log=(GSP,))


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """A healthy workstation but for an Xid that operators disagree on."""
    return _saved(DISPUTED, tmp_path)


def _saved(facts: Facts, folder: Path) -> str:
    document = encode(facts)
    assert isinstance(document, dict)
    path = folder / "facts.json"
    path.write_text(json.dumps({"schema": FACTS_SCHEMA, **document}))
    return str(path)


def _policy(folder: Path, text: str, name: str = "policy.yaml") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_without_one_what_operators_disagree_on_is_a_warning(saved: str) -> None:
    ended = gpudoctor("check", "--facts", saved)
    assert ended.code == 0, ended.err
    assert "Xid 109 of 0000:01:00.0" in ended.out


def test_a_site_may_make_it_an_error_and_may_ignore_it(saved: str, tmp_path: Path) -> None:
    error = gpudoctor("check", "--facts", saved, "--policy", _policy(tmp_path, "xids: [{code: 109, severity: error}]"))
    assert error.code == 1
    assert "✗ GPU" in error.out
    ignored = _policy(tmp_path, "xids: [{code: 109, severity: ignore}]")
    ended = gpudoctor("check", "--facts", saved, "--policy", ignored)
    assert (ended.code, "Xid" in ended.out) == (0, False)


def test_the_variable_and_the_configuration_name_files_and_the_option_wins(saved: str, tmp_path: Path) -> None:
    _policy(tmp_path, "xids: [{code: 109, severity: ignore}]", "gpudoctor/policy.yaml")
    by_variable = _policy(tmp_path, "xids: [{code: 109, severity: error}]", "variable.yaml")
    by_option = _policy(tmp_path, "xids: [{code: 109, severity: info}]", "option.yaml")

    def severity(*arguments: str, **around: str) -> list[str]:
        environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), **around}
        command = (str(PROGRAM), "check", "--facts", saved, "--format", "json", *arguments)
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        results = json.loads(done.stdout)["results"]
        return [finding["severity"] for one in results if one["check"] == "gpu-xid" for finding in one["findings"]]

    assert severity() == []
    assert severity(GPUDOCTOR_POLICY=by_variable) == ["error"]
    assert severity("--policy", by_option, GPUDOCTOR_POLICY=by_variable) == ["info"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xids:\n  - code: 109\n    severity: fatal\n", "policy.yaml:3: xids[0].severity: expected error or warning"),
        ("signals:\n  - name: power-limt\n", "policy.yaml:2: signals[0].name: there is no signal 'power-limt'"),
        ("xids: [x: y: z\n", "policy.yaml:1: not YAML"),
    ],
)
def test_a_fault_is_one_line_with_file_line_and_field(text: str, said: str, saved: str, tmp_path: Path) -> None:
    ended = gpudoctor("check", "--facts", saved, "--policy", _policy(tmp_path, text))
    message, _ = assert_one_line(ended, code=2)
    assert said in message


def test_a_file_that_is_not_there_is_one_line_that_says_who_named_it(saved: str, tmp_path: Path) -> None:
    message, hint = assert_one_line(gpudoctor("check", "--facts", saved, "--policy", str(tmp_path / "none")), code=2)
    assert "cannot be read: No such file" in message
    assert "--policy" in hint


def test_a_healthy_desktop_without_the_right_to_read_the_log_is_well_and_says_so_once(tmp_path: Path) -> None:
    closed = unread(Why.FORBIDDEN, code=13, source="/dev/kmsg")
    saved = _saved(facts_of(kernel_log=closed), tmp_path)
    ended = gpudoctor("check", "--facts", saved)
    assert ended.code == 0, ended.out
    assert ended.out.count("not known: whether") == 1
    assert ended.out.count("/dev/kmsg") == 1
