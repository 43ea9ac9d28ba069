"""Configuration files: bounded, and a fault of theirs is a reading that names its place."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.probe import config_files
from gpudoctor.readings import Reading, Unread, Why
from tests.users import as_nobody

Parser = Callable[[bytes, str], Reading[Mapping[str, object]]]
PARSERS = (config_files.parse_json, config_files.parse_toml, config_files.parse_yaml)


def unread(reading: object) -> Unread:
    """The reading, which has no value."""
    assert isinstance(reading, Unread), reading
    return reading


@pytest.mark.parametrize(
    ("parse", "text", "detail"),
    [
        (config_files.parse_json, b'{\n "a": 1,\n}', "line 3: no JSON: "),
        (config_files.parse_json, b'{"a": 1} {"b": 2}', "line 1: no JSON: Extra data"),
        (config_files.parse_json, b"\xff\xfe\xff", "no JSON: "),
        (config_files.parse_json, b"[" * 500_000, "no JSON that anybody means: nested too deep"),
        (config_files.parse_json, b'{"a": ' + b"1" * 100_000 + b"}", "no JSON: "),
        (config_files.parse_json, b'{"a": NaN}', "no JSON: NaN is none of JSON's numbers"),
        (config_files.parse_json, b"[1]", "expected a mapping, found a list"),
        (config_files.parse_json, b"null", "expected a mapping, found null"),
        (config_files.parse_toml, b"[a]\nb = \n", "no TOML: "),
        (config_files.parse_toml, b"a = 1\na = 2\n", "no TOML: "),
        (config_files.parse_toml, b"a = \xff", "no TOML: "),
        (config_files.parse_toml, b"a = " + b"[\n" * 30_000, "no TOML that anybody means: nested too deep"),
        (config_files.parse_toml, b"a." * 30_000 + b"a = 1", "no TOML that anybody means: a line longer than 1000"),
        (config_files.parse_yaml, b"a: [1\n", "line 2: not YAML: "),
        (config_files.parse_yaml, b"- 1\n", "expected a mapping, found a list"),
        (config_files.parse_yaml, b"\xff\xfe\xff", "not YAML: "),
    ],
)
def test_what_is_no_such_file_says_where(parse: Parser, text: bytes, detail: str) -> None:
    begun = time.monotonic()
    found = unread(parse(text, "the file"))
    assert time.monotonic() - begun < 1
    assert (found.source, found.why) == ("the file", Why.GARBLED)
    assert found.detail.startswith(detail)
    assert found.detail.isprintable()


def test_the_line_of_a_fault_in_toml_is_told() -> None:
    assert "line 2" in unread(config_files.parse_toml(b"[a]\nb = = 1\n", "config.toml")).detail


@pytest.mark.parametrize(
    "text", [b"a: &x [1]\nb: *x\n", b"a: 1\n---\nb: 2\n", b"a: !!python/tuple [1]\n", b"a: " + b"[" * 30 + b"]" * 30]
)
def test_more_than_plain_yaml_is_not_called_a_fault_of_the_file(text: bytes) -> None:
    assert unread(config_files.parse_yaml(text, "nvidia.yaml")).why is Why.UNSUPPORTED


@pytest.mark.parametrize("parse", PARSERS)
def test_a_file_that_holds_nothing_says_nothing(parse: Parser) -> None:
    assert parse(b"", "empty") == {}
    assert parse(b"\n \n", "empty") == {}


@settings(max_examples=300)
@given(text=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_are_a_mapping_or_one_line_of_why(text: bytes) -> None:
    for parse in PARSERS:
        found = parse(text, "the file")
        if isinstance(found, Unread):
            assert found.detail.isprintable()
        else:
            assert isinstance(found, dict)


def test_fields_are_named_where_they_are_of_another_kind() -> None:
    document = {"a": {"b": "text", "c": [1], "d": None}, "e": ["x", 2]}
    assert config_files.text(document, "a", "b") == "text"
    assert config_files.text(document, "a", "d") == ""
    assert config_files.field(document, "no", "such", kind=bool, default=None) is None
    for wrong, message in (
        (lambda: config_files.text(document, "a"), "a: expected text, found a mapping"),
        (lambda: config_files.field(document, "a", "b", kind=bool, default=None), "a.b: expected true or false, found"),
        (lambda: config_files.text(document, "e", "x"), "e: expected a mapping, found a list"),
        (lambda: config_files.mapping(document, "a", "b"), "a.b: expected a mapping, found text"),
        (lambda: config_files.items(document, "a"), "a: expected a list, found a mapping"),
        (lambda: config_files.texts(document, "e"), r"e\[1\]: expected text, found a number"),
    ):
        with pytest.raises(config_files.FieldError, match=message):
            wrong()


def test_half_a_surrogate_pair_can_be_printed_afterwards() -> None:
    document = config_files.parse_json(b'{"a": "x\\ud800y", "b\\udc00": 1}', "the file")
    assert not isinstance(document, Unread)
    assert config_files.text(document, "a") == "x?y"
    assert config_files.names(document) == ("a", "b?")


# --- The file itself ---


def test_a_file_too_long_to_be_one_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.touch()
    os.truncate(path, 1 << 40)
    found = unread(config_files.read_json(path, "/etc/docker/daemon.json"))
    assert (found.why, found.source) == (Why.GARBLED, "/etc/docker/daemon.json")
    assert "longer than 1024 KiB" in found.detail


def test_a_pipe_that_nobody_writes_to_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    begun = time.monotonic()
    config_files.content(tmp_path / "pipe", "pipe")
    assert time.monotonic() - begun < 1


def test_a_pipe_whose_writer_says_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    both = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        assert unread(config_files.content(tmp_path / "pipe", "pipe")).why is Why.GARBLED
    finally:
        os.close(both)


def test_a_folder_a_missing_file_and_an_endless_one_are_reasons(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    assert unread(config_files.content(tmp_path, "folder")).why is Why.FAILED
    assert unread(config_files.content(tmp_path / "none", "none")).why is Why.ABSENT
    assert unread(config_files.content(Path("/dev/zero"), "zero")).why is Why.GARBLED
    assert unread(config_files.content(Path("a\0b"), "a")).why is Why.GARBLED
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_file_that_this_user_may_not_read_is_forbidden(public_folder: Path) -> None:
    path = public_folder / "config.json"
    path.write_text(json.dumps({"auths": {}}))
    path.chmod(0)
    with as_nobody():
        assert unread(config_files.read_json(path, "config.json")).why is Why.FORBIDDEN
