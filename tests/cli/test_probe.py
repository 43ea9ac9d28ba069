"""gpudoctor probe: facts as JSON, by their own schema, without what names anybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpudoctor.readings import Why
from gpudoctor.render import to_json
from tests import golden
from tests.fakes import facts_of, unread
from tests.machines import Machine


def probe(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """gpudoctor probe on the machine under the tests."""
    return subprocess.run(
        (sys.executable, "-m", "gpudoctor", "probe", *arguments),
        input=stdin,
        capture_output=True,
        env=dict(os.environ),
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """What `probe --schema` prints."""
    done = probe("--schema")
    assert (done.returncode, done.stderr) == (0, b"")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["schema"] == {"const": "gpudoctor.probe/1"}


def test_facts_of_every_machine_fit_the_schema(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    paths = sorted((golden.FOLDER / "machines").iterdir())
    assert paths
    for path in paths:  # written by probe itself: tests/machines/test_zoo.py
        validator.validate(json.loads(path.read_text(encoding="utf-8")))


def test_facts_of_the_machine_under_the_tests_fit_the_schema(schema: dict[str, Any]) -> None:
    done = probe()
    assert (done.returncode in (0, 3), done.stderr) == (True, b"")
    jsonschema.validate(json.loads(done.stdout), schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("path", "wrong"), [(("system", "wsl"), None), (("gpus",), "none"), (("engine", "host"), 7), (("probed_at",), None)]
)
def test_the_schema_refuses_what_is_no_fact(path: tuple[str, ...], wrong: object, schema: dict[str, Any]) -> None:
    document = json.loads(to_json.dumps(to_json.facts(facts_of())))
    jsonschema.validate(document, schema)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


@pytest.mark.parametrize(
    ("name", "code"),
    [("rtx3090-455", 0), ("none", 0), ("driver-not-loaded", 3), ("driver-library-mismatch", 3)],
)
def test_it_exits_3_where_driver_and_gpus_could_not_be_read(name: str, code: int) -> None:
    with Machine.load(name).stage() as stage:
        assert stage.run("probe").returncode == code


def test_redacted_facts_name_neither_host_nor_owner_nor_gpu() -> None:
    with Machine.load("a100-450").stage() as stage:
        plain, hidden = (stage.run("probe", *arguments).stdout for arguments in ((), ("--redact",)))
    secrets = ["hgx-a100", *(gpu["uuid"] for gpu in json.loads(plain)["gpus"])]
    assert len(secrets) == 9
    assert [secret for secret in secrets if secret not in plain] == []
    assert [secret for secret in secrets if secret in hidden] == []
    assert len({gpu["uuid"] for gpu in json.loads(hidden)["gpus"]}) == 8


def test_saved_facts_can_be_redacted_later(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(to_json.dumps(to_json.facts(facts_of())))
    done = probe("--facts", str(path), "--redact")
    assert done.returncode == 0
    assert json.loads(done.stdout)["system"]["hostname"] == "host"
    again = probe("--facts", "-", "--redact", stdin=done.stdout)
    assert again.stdout == done.stdout


@pytest.mark.parametrize("system", [{"wsl": True}, {"jetson": True}])
def test_no_bus_is_no_answer_where_gpus_stand_on_none(system: dict[str, bool]) -> None:
    facts = facts_of(system=system, gpus=unread(Why.TIMEOUT), pci_gpus=())
    assert probe("--facts", "-", stdin=to_json.dumps(to_json.facts(facts)).encode()).returncode == 3


@pytest.mark.parametrize("name", ["h100-580", "rtx3090-455", "driver-library-mismatch", "uvm-missing", "none"])
def test_text_holds_every_field_and_every_reason(name: str) -> None:
    with Machine.load(name).stage() as stage:
        document, text = json.loads(stage.run("probe").stdout), stage.run("probe", "--format", "text")
    assert text.stderr == ""
    said = " ".join(text.stdout.split())
    assert [line for line in text.stdout.splitlines() if not line.isprintable()] == []
    for place, record in _records(document):
        for field, value in record.items():
            if field not in ("unread", "schema", "version", "seconds", "uptime_seconds", "probed_at"):
                assert field in said, f"{place}.{field}"
            if isinstance(value, str) and field not in ("probed_at", "schema", "version"):
                assert " ".join(value.split()) in said, f"{place}.{field}"
        for field, reason in record.get("unread", {}).items():
            assert f"{reason['why']}: {reason['source']}" in said, f"{place}.{field}"


def _records(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a document but for the reasons."""
    if isinstance(value, dict):
        yield place, value
        for name, item in value.items():
            if name != "unread":
                yield from _records(item, f"{place}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _records(item, f"{place}[{index}]")


def test_text_is_redacted_as_json_is_and_the_schema_is_no_text() -> None:
    facts = to_json.dumps(to_json.facts(facts_of(system={"hostname": "alices-box"}))).encode()
    done = probe("--facts", "-", "--format", "text", "--redact", stdin=facts)
    assert done.returncode == 0
    assert b"alices-box" not in done.stdout
    done = probe("--schema", "--format", "text")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"gpudoctor: --schema is JSON")


def test_an_unread_value_is_null_with_its_reason_beside_it() -> None:
    with Machine.load("none").stage() as stage:
        found = json.loads(stage.run("probe").stdout)
    assert found["gpus"] is None
    assert found["unread"]["gpus"]["why"] == "absent"
    assert "N/A" not in json.dumps(found)
