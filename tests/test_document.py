"""Facts go to JSON and come back; what does not fit is named by its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import jsonschema
import pytest

from gpudoctor.document import DocumentError, decode, encode, schema
from gpudoctor.facts import DriverFacts, Facts, GpuFacts
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    size: int
    pressure: Reading[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    name: Reading[str]
    colour: Colour
    wheels: tuple[Wheel, ...]
    tags: Reading[tuple[str, ...]]
    old: bool
    cuda: CudaVersion
    capability: Reading[ComputeCapability]
    spare: Wheel | None = None


CAR = Car(
    name="a",
    colour=Colour.RED,
    wheels=(Wheel(size=15, pressure=2.5), Wheel(size=16, pressure=Unread(source="gauge", why=Why.FAILED, detail="-"))),
    tags=("x", "y"),
    old=False,
    cuda=CudaVersion("11.10"),
    capability=Unread(source="nvml", why=Why.UNSUPPORTED, detail="not supported", code=3),
)


def document(**changes: Any) -> dict[str, Any]:
    encoded: dict[str, Any] = encode(CAR)
    return {**encoded, **changes}


def test_value_comes_back_as_it_went() -> None:
    assert decode(Car, json.loads(json.dumps(encode(CAR)))) == CAR


def test_unread_is_null_with_its_reason_beside_it() -> None:
    encoded = encode(CAR)
    assert encoded["capability"] is None
    assert encoded["unread"] == {
        "capability": {"source": "nvml", "why": "unsupported", "detail": "not supported", "code": 3}
    }
    assert encoded["wheels"][1] == {
        "size": 16,
        "pressure": None,
        "unread": {"pressure": {"source": "gauge", "why": "failed", "detail": "-"}},
    }
    assert "unread" not in encoded["wheels"][0]


class Seat(NamedTuple):
    colour: Colour
    heated: Reading[bool]
    places: tuple[int, ...]


def test_named_tuple_is_a_record_and_no_list() -> None:
    seat = Seat(colour=Colour.BLUE, heated=Unread(source="relay", why=Why.TIMEOUT, detail="-"), places=(1, 2))
    unread = {"heated": {"source": "relay", "why": "timeout", "detail": "-"}}
    assert encode(seat) == {"colour": "blue", "heated": None, "places": [1, 2], "unread": unread}
    assert encode((seat._replace(heated=True),)) == [{"colour": "blue", "heated": True, "places": [1, 2]}]


def test_version_keeps_its_trailing_zero() -> None:
    assert encode(CAR)["cuda"] == "11.10"


def test_missing_optional_field_takes_its_default_and_unknown_fields_are_left_alone() -> None:
    spared = document(news="of a later version")
    del spared["spare"]
    assert decode(Car, spared) == CAR


def test_whole_number_will_do_where_a_number_with_a_point_is_meant() -> None:
    assert decode(Wheel, {"size": 1, "pressure": 2}) == Wheel(size=1, pressure=2)


FAULTS: tuple[tuple[str, Any, str], ...] = (
    ("not an object", [], "expected an object, found a list"),
    ("null", None, "expected an object, found null"),
    ("text", "x", 'expected an object, found "x"'),
    ("missing", {"name": "a"}, "colour: missing"),
    ("text for number", document(wheels=[{"size": "15", "pressure": 1}]), "wheels[0].size: expected a whole number"),
    ("point for whole", document(wheels=[{"size": 1.5, "pressure": 1}]), "wheels[0].size: expected a whole number"),
    ("truth for number", document(wheels=[{"size": True, "pressure": 1}]), "wheels[0].size: expected a whole number"),
    ("number for truth", document(old=1), "old: expected true or false, found 1"),
    ("number for text", document(name=1), "name: expected text, found 1"),
    ("object for list", document(wheels={}), "wheels: expected a list, found an object"),
    ("text for list", document(tags="x"), 'tags: expected a list, found "x"'),
    ("number in list", document(tags=["x", 2]), "tags[1]: expected text, found 2"),
    ("unknown choice", document(colour="green"), 'colour: expected one of red, blue, found "green"'),
    ("list for choice", document(colour=["red"]), "colour: expected one of red, blue, found a list"),
    ("number for version", document(cuda=11.1), "cuda: expected CUDA version as text like '11.8', found '11.1'"),
    ("no version", document(cuda="eleven"), "cuda: 'eleven' is no CUDA version"),
    ("null that may not be", document(old=None), "old: expected true or false, found null"),
    ("null in a list", document(tags=["x", None]), "tags[1]: expected text, found null"),
    ("null without reason", document(name=None), "name: null, and unread does not say why"),
    ("reasons are no object", document(unread=[]), "unread: expected an object, found a list"),
    ("reason is no object", document(name=None, unread={"name": "gone"}), "unread.name: expected an object"),
    ("reason without why", document(name=None, unread={"name": {"source": "x"}}), "unread.name.why: missing"),
    (
        "reason of no kind",
        document(name=None, unread={"name": {"source": "x", "why": "bored", "detail": "y"}}),
        "unread.name.why: expected one of absent, forbidden",
    ),
    ("surrogate", document(name="\ud800"), "name: half a surrogate pair"),
    ("long text", document(wheels="x" * 100_000), "wheels: expected a list"),
    ("long version", document(cuda=["x" * 100_000] * 10), "cuda: expected CUDA version"),
)


@pytest.mark.parametrize(("broken", "message"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_fault_is_named_by_its_place_in_one_short_line(broken: object, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        decode(Car, broken)
    assert str(refused.value).startswith(message)
    assert len(str(refused.value)) < 250
    assert "\n" not in str(refused.value)
    assert refused.value.place == ("" if message.startswith("expected") else message.partition(":")[0])


def test_place_goes_through_lists_and_records() -> None:
    with pytest.raises(DocumentError) as refused:
        decode(Car, document(wheels=[{"size": 1, "pressure": 1}, {"size": 1, "pressure": None}]))
    assert str(refused.value) == "wheels[1].pressure: null, and wheels[1].unread does not say why"


def test_schema_takes_what_encode_makes_and_refuses_what_decode_refuses() -> None:
    described = schema(Car)
    jsonschema.Draft202012Validator.check_schema(described)
    validator = jsonschema.Draft202012Validator(described)
    validator.validate(encode(CAR))
    wrong: tuple[object, ...] = (document(colour="green"), document(old=1), document(tags="x"), {"name": "a"}, [])
    for broken in wrong:
        assert not validator.is_valid(broken)


def test_schema_of_facts_is_a_schema_and_says_why_each_null_is_null() -> None:
    described = schema(Facts)
    jsonschema.Draft202012Validator.check_schema(described)
    records = described["$defs"]
    for kind in (GpuFacts, DriverFacts):
        assert "version" not in records[kind.__name__].get("unread", {})
        assert set(records[kind.__name__]["properties"]["unread"]["properties"]) <= set(
            records[kind.__name__]["properties"]
        )
    assert records["Unread"]["properties"]["why"] == {"enum": [why.value for why in Why]}
