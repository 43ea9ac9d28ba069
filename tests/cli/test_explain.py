"""gpudoctor explain, as people run it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudoctor import checks
from tests import golden, logs
from tests.cli import PROGRAM, assert_one_line, gpudoctor

LOGS = {log.name: log.text for log in logs.logs()}
TOOLKIT = LOGS["container-toolkit-missing-1-docker-cli"]
FACTS = golden.FOLDER / "machines"


def test_an_id_is_explained_offline_with_what_decides_and_what_mends() -> None:
    for check in checks.discover()[::9]:
        ended = gpudoctor("explain", check.id)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith(f"{check.id}: {check.title}\n")
        assert check.decided_by in ended.out
        assert all(link in ended.out for link in check.links)
        assert json.loads(gpudoctor("explain", check.id, "--format", "json").out)["check"] == check.id


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("driver-library-mismatc", "driver-library-mismatch"),
        ("uvm-missing", "driver-uvm-missing"),
        ("toolkit-missing", "container-toolkit-missing"),
        ("Container-Toolkit-Missing", "container-toolkit-missing"),
    ],
)
def test_an_unknown_id_names_the_nearest(mistyped: str, meant: str) -> None:
    message, hint = assert_one_line(gpudoctor("explain", mistyped), code=2)
    assert "no such check, and no such file" in message
    assert meant in hint


@pytest.mark.parametrize("subject", ["no-such-check-at-all", "train.log", "/no/such/folder/train.log", "", "\x1b[31m"])
def test_what_is_neither_an_id_nor_a_file_is_refused_in_one_line(subject: str) -> None:
    assert_one_line(gpudoctor("explain", subject), code=2)


def test_a_subject_is_needed() -> None:
    message, _ = assert_one_line(gpudoctor("explain"), code=2)
    assert "ID|FILE|-" in message


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    message, _ = assert_one_line(gpudoctor("explain", str(tmp_path)), code=2)
    assert "directory" in message


def test_a_log_by_its_name_and_from_a_pipe_is_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.write_text(TOOLKIT, encoding="utf-8")
    facts = ("--facts", str(FACTS / "container-toolkit-missing-debian.json"))
    by_name, piped = gpudoctor("explain", str(path), *facts), gpudoctor("explain", "-", *facts, stdin=TOOLKIT)
    assert by_name == piped
    assert by_name.code == 0
    assert "[container-toolkit-missing]" in by_name.out
    assert "nvidia-ctk runtime configure" in by_name.out
    assert "Ruled out by this machine's facts" in by_name.out


def test_without_facts_what_may_be_is_told_with_what_decides() -> None:
    ended = gpudoctor("explain", "-", "--elsewhere", stdin=TOOLKIT)
    assert ended.code == 0
    for id_ in ("container-toolkit-missing", "container-engine-not-restarted", "gpu-none-present"):
        assert id_ in ended.out
    assert "docker info" in ended.out
    assert "Judged by the log's words alone" in ended.out


def test_this_machine_is_asked_where_no_other_is_named() -> None:
    document = json.loads(gpudoctor("explain", "-", "--format", "json", stdin=TOOLKIT).out)
    assert document["schema"] == "gpudoctor.explain/1"
    assert document["judged"] is True
    assert {suspect["verdict"] for suspect in document["suspects"]} <= {"holds", "open", "ruled_out"}


def test_json_says_the_answers_the_lines_and_the_fix() -> None:
    facts = str(FACTS / "driver-library-mismatch.json")
    log = LOGS["driver-library-mismatch-3-tf2"]
    ended = gpudoctor("explain", "-", "--facts", facts, "--format", "json", stdin=log)
    document = json.loads(ended.out)
    first = document["suspects"][0]
    assert document["answers"] == ["driver-library-mismatch"]
    assert document["lines"] == log.count("\n")
    assert first["finding"]["fix"]["commands"]
    assert "does not match DSO version" in first["log"][0]["text"]


@pytest.mark.parametrize("log", [b"", b"\n", b"all is well\n" * 100, bytes(range(256)) * 4096, b"\x00" * (3 << 20)])
def test_a_log_without_anything_known_is_exit_1(log: bytes) -> None:
    ended = gpudoctor("explain", "-", stdin=log)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith("Nothing known in ")
    document = json.loads(gpudoctor("explain", "-", "--format", "json", stdin=log).out)
    assert (document["answers"], document["suspects"]) == ([], [])


def test_what_a_hostile_log_holds_never_reaches_the_terminal() -> None:
    known = b'device driver "" with capabilities: [[gpu]]'
    log = b"\x1b]0;owned\x07\x1b[2J\xff\xfe\x00 could not select \x1b[8m" + known + b" \x9b31m\xe2\x80\xae\n"
    ended = gpudoctor("explain", "-", "--elsewhere", stdin=log)
    assert ended.code == 0
    assert all(letter.isprintable() or letter == "\n" for letter in ended.out)


def test_a_line_longer_than_a_block_does_not_hide_the_next_one() -> None:
    log = b"x" * (3 << 20) + b"\n" + b"NVRM: GPU 0000:01:00.0 is already bound to NovaCore.\n"
    ended = gpudoctor("explain", "-", "--elsewhere", stdin=log)
    assert "driver-novacore-bound" in ended.out
    assert "line 2: NVRM" in ended.out


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_what_powershell_redirected_is_read(encoding: str) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    ended = gpudoctor("explain", "-", "--elsewhere", stdin=mark + TOOLKIT.replace("\n", "\r\n").encode(encoding))
    assert "container-toolkit-missing" in ended.out


@pytest.mark.parametrize(
    ("pack", "program"),
    [
        (gzip.compress, "zcat"),
        (lzma.compress, "xzcat"),
        (bz2.compress, "bzcat"),
        (lambda text: b"LPKSHHRH" + text, "journalctl --file"),
    ],
)
def test_a_packed_log_is_refused_with_what_unpacks_it(
    tmp_path: Path, pack: Callable[[bytes], bytes], program: str
) -> None:
    path = tmp_path / "syslog.2"
    path.write_bytes(pack(TOOLKIT.encode()))
    _, hint = assert_one_line(gpudoctor("explain", str(path)), code=2)
    assert hint.strip() == f"{program} {path} | gpudoctor explain -"


def test_elsewhere_and_facts_are_not_said_together() -> None:
    assert_one_line(gpudoctor("explain", "-", "--elsewhere", "--facts", "host.json", stdin=TOOLKIT), code=2)


def test_standard_input_is_the_log_or_the_facts() -> None:
    assert_one_line(gpudoctor("explain", "-", "--facts", "-", stdin=TOOLKIT), code=2)


def test_facts_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    path.write_text("{}", encoding="utf-8")
    assert_one_line(gpudoctor("explain", "-", "--facts", str(path), stdin=TOOLKIT), code=2)


def test_on_a_terminal_it_says_that_it_waits_for_the_log() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(PROGRAM), "explain", "-", "--elsewhere"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        os.write(ours, b"NVRM: GPU 0000:01:00.0 is already bound to NovaCore.\n\x04")
        try:
            out, err = process.communicate(timeout=60)
        finally:
            os.close(ours)  # which ends a process that still waits
    assert process.returncode == 0
    assert b"end it with Ctrl-D" in err
    assert b"driver-novacore-bound" in out


def test_a_log_that_is_long_gone_is_not_called_a_fault_of_this_machine() -> None:
    ended = gpudoctor(
        "explain", "-", "--facts", str(FACTS / "docker29-cdi.json"), stdin=LOGS["gpu-memory-in-use-1-tf1"]
    )
    assert ended.code == 0
    assert ended.out.startswith("The log says this, and the machine does not show it, or no longer:")
    assert "✗" not in ended.out


def test_verbose_tells_what_another_s_line_says_already() -> None:
    log = LOGS["driver-uvm-missing-1-tf1"]
    facts = ("--facts", str(FACTS / "uvm-missing.json"))
    plain, verbose = gpudoctor("explain", "-", *facts, stdin=log), gpudoctor("explain", "-", "-v", *facts, stdin=log)
    assert len(verbose.out) >= len(plain.out)
    assert "[driver-uvm-missing]" in verbose.out
