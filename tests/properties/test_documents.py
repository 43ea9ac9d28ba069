"""Whatever is read comes back as it went, or is refused by an error of ours."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jsonschema
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor import matrix as matrices
from gpudoctor.document import DocumentError, decode, encode, schema
from gpudoctor.errors import GpudoctorError
from gpudoctor.facts import Facts
from gpudoctor.matrix import MatrixError
from gpudoctor.render import to_json
from gpudoctor.versions import Version, VersionError
from tests.properties.strategies import example_facts, facts, few, json_values, many, places, replaced, version_texts
from tests.test_matrix import SMALL

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


def _tried(kind: type[E], call: Callable[[], T]) -> tuple[T | None, E | None]:
    """What came of it: a value, or the one error that may come; any other passes through and fails the test."""
    try:
        return call(), None
    except kind as error:
        return None, error


_FACTS: dict[str, Any] = to_json.facts(example_facts())
_FACTS_PLACES = tuple(places(_FACTS))
_SMALL: dict[str, Any] = yaml.safe_load(SMALL)
_SMALL_PLACES = tuple(places(_SMALL))
_FACTS_SCHEMA = jsonschema.Draft202012Validator(schema(Facts))


@given(version_texts)
@many
def test_version_prints_as_it_was_read(pair: tuple[type[Version], str]) -> None:
    kind, text = pair
    assert str(kind(text)) == text
    assert str(kind.parse(text)) == text


@given(st.tuples(version_texts, version_texts).filter(lambda pair: pair[0][0] is pair[1][0]))
@many
def test_versions_of_a_kind_have_one_order(pair: tuple[tuple[type[Version], str], tuple[type[Version], str]]) -> None:
    left, right = (kind(text) for kind, text in pair)
    assert (left < right) + (left == right) + (left > right) == 1
    assert (left <= right) == (right >= left)
    if left == right:
        assert hash(left) == hash(right)


@given(st.text(max_size=80), st.sampled_from(Version.__subclasses__()))
@many
def test_text_is_a_version_that_prints_so_or_is_refused(text: str, kind: type[Version]) -> None:
    read, error = _tried(VersionError, lambda: kind.parse(text))
    assert len(str(error)) < 250 if error is not None else str(read) == text


@given(facts)
@few
def test_facts_survive_the_journey_through_json_and_fit_their_schema(value: Facts) -> None:
    document = json.loads(to_json.dumps(to_json.facts(value)))
    assert decode(Facts, document) == value
    _FACTS_SCHEMA.validate(encode(value))


@given(json_values)
@many
def test_any_json_is_facts_or_refused(document: object) -> None:
    _decoded_or_refused(document)


@given(st.sampled_from(_FACTS_PLACES), json_values)
@many
def test_facts_with_anything_at_one_place_are_facts_or_refused(place: tuple[Any, ...], value: object) -> None:
    _decoded_or_refused(replaced(_FACTS, place, value))


def _decoded_or_refused(document: object) -> None:
    read, error = _tried(DocumentError, lambda: decode(Facts, document))
    if error is not None:
        assert len(str(error)) < 500
    else:
        assert decode(Facts, json.loads(json.dumps(encode(read)))) == read


@given(json_values)
@many
def test_any_document_is_a_matrix_or_refused_with_a_fault(document: object) -> None:
    _parsed_or_refused(document)


@given(st.sampled_from(_SMALL_PLACES), json_values)
@many
def test_matrix_with_anything_at_one_place_is_a_matrix_or_refused(place: tuple[Any, ...], value: object) -> None:
    _parsed_or_refused(replaced(_SMALL, place, value))


def _parsed_or_refused(document: object) -> None:
    _, error = _tried(MatrixError, lambda: matrices.parse(document))
    if error is not None:
        assert error.faults
        assert all(fault.message for fault in error.faults)
        assert len(error.message) < 500


_PIECES = st.sampled_from(
    ["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", '"', "'", "&x ", "*x", "<<", "!!int ", "? ", "| ", "> ",
     "#", "---\n", "...\n", "%YAML 1.1\n", "1:59", "0x1f", "2020-01-01", ".inf", "~", "\t", "\x00", "é", "schema",
     'schema: "gpudoctor.matrix/1"\n', "images:\n", "\u2028", "\ufeff"]
)  # fmt: skip


@given(st.binary(max_size=200) | st.lists(_PIECES, max_size=25).map(lambda pieces: "".join(pieces).encode()))
@many
def test_any_bytes_are_a_matrix_or_refused_by_an_error_of_ours(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.yaml"
        path.write_bytes(text)
        _, error = _tried(GpudoctorError, lambda: matrices.load(path))
    if error is not None:
        assert error.exit_code == 2
        assert error.message.startswith(str(path))
        assert len(error.message) < 700
