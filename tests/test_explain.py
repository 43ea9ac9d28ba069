"""Suspects in a log, and what the facts make of them."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import checks
from gpudoctor.checks import Check
from gpudoctor.explain import MOST_LINE_BYTES, Reader, Verdict, judged, literals
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from tests import logs

CHECKS = checks.discover()
SYMPTOMS = [(check.id, symptom) for check in CHECKS for symptom in check.symptoms]


def made_up(id_: str, *symptoms: str) -> Check:
    module = ModuleType(id_, "A claim.\n\nA cause.\n")
    for name, value in {"SYMPTOMS": symptoms, "MENDED_BY": "do", "DECIDED_BY": "look", "LINKS": ()}.items():
        setattr(module, name, value)
    return Check(id=id_, module=module)


ONE = made_up("gpu-one", "shared text", "only one says this")
TWO = made_up("gpu-two", "shared text")


def result(check: str, outcome: Outcome, **finding: object) -> CheckResult:
    findings = (Finding(message="it is", **finding),) if finding else ()  # type: ignore[arg-type]
    return CheckResult(check=check, title="A claim", area="gpu", subject="host", outcome=outcome, findings=findings)


def test_a_text_that_two_faults_share_is_decided_by_the_facts() -> None:
    read = Reader((ONE, TWO)).read([b"x\nit has SHARED TEXT in it\n"])
    assert [(one.check.id, one.verdict, one.rivals) for one in read.suspects] == [
        ("gpu-one", Verdict.OPEN, frozenset({"gpu-two"})),
        ("gpu-two", Verdict.OPEN, frozenset({"gpu-one"})),
    ]
    assert read.answers == ()
    facts = (result("gpu-one", Outcome.PASSED), result("gpu-two", Outcome.FAILED, severity=Severity.ERROR))
    told = judged(read, facts)
    assert [(one.check.id, one.verdict) for one in told.suspects] == [
        ("gpu-two", Verdict.HOLDS),
        ("gpu-one", Verdict.RULED_OUT),
    ]
    assert [one.check.id for one in told.answers] == ["gpu-two"]


def test_a_text_that_one_fault_has_alone_names_it_without_facts() -> None:
    (suspect,) = Reader((ONE, TWO)).read([b"a\nb\nOnly one says this\n"]).answers
    assert (suspect.check.id, suspect.lines[0].number, suspect.rivals) == ("gpu-one", 3, frozenset())


def test_a_finding_that_follows_from_another_names_its_root_and_comes_after_it() -> None:
    read = Reader((ONE, TWO)).read([b"shared text\n"])
    found = (
        result("gpu-one", Outcome.FAILED, severity=Severity.ERROR, caused_by="gpu-two"),
        result("gpu-two", Outcome.FAILED, severity=Severity.ERROR),
    )
    assert [(one.check.id, one.root) for one in judged(read, found).answers] == [
        ("gpu-two", None),
        ("gpu-one", "gpu-two"),
    ]


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.NOT_APPLICABLE, Outcome.CRASHED])
def test_a_check_that_could_not_be_answered_leaves_its_suspect_open(outcome: Outcome) -> None:
    read = Reader((ONE,)).read([b"only one says this\n"])
    (suspect,) = judged(read, (result("gpu-one", outcome),)).suspects
    assert suspect.verdict is Verdict.OPEN


def test_one_gpu_that_is_well_rules_nothing_out_for_the_others() -> None:
    read = Reader((ONE,)).read([b"only one says this\n"])
    (suspect,) = judged(read, (result("gpu-one", Outcome.PASSED), result("gpu-one", Outcome.UNKNOWN))).suspects
    assert suspect.verdict is Verdict.OPEN


def test_where_the_facts_rule_out_all_others_the_last_one_is_the_answer() -> None:
    read = Reader((ONE, TWO)).read([b"shared text\n"])
    (answer,) = judged(read, (result("gpu-one", Outcome.PASSED), result("gpu-two", Outcome.UNKNOWN))).answers
    assert (answer.check.id, answer.verdict) == ("gpu-two", Verdict.OPEN)


def test_what_the_log_names_and_the_machine_does_not_show_is_told_apart() -> None:
    told = judged(Reader((ONE,)).read([b"only one says this\n"]), (result("gpu-one", Outcome.PASSED),))
    assert told.answers == ()
    assert [one.check.id for one in told.past] == ["gpu-one"]


def test_a_fault_that_holds_does_not_hide_another_that_only_the_log_can_tell_of() -> None:
    other = made_up("image-other", "another line")
    read = Reader((ONE, other)).read([b"only one says this\nanother line\n"])
    facts = (result("gpu-one", Outcome.FAILED, severity=Severity.ERROR),)
    assert [one.check.id for one in judged(read, facts).answers] == ["gpu-one", "image-other"]


def test_a_line_that_is_explained_by_what_holds_names_nothing_else() -> None:
    read = Reader((ONE, TWO)).read([b"shared text\nonly one says this\n"])
    facts = (result("gpu-two", Outcome.FAILED, severity=Severity.ERROR),)
    told = judged(Reader((ONE, TWO)).read([b"shared text\n"]), facts)
    assert [one.check.id for one in told.answers] == ["gpu-two"]
    assert [one.check.id for one in judged(read, facts).answers] == ["gpu-two", "gpu-one"]


def test_what_follows_from_a_fault_that_is_named_is_not_named_beside_it() -> None:
    follows = made_up("gpu-follows", "its own line")
    follows.module.CAUSED_BY = ("gpu-one",)  # type: ignore[attr-defined]
    read = Reader((ONE, follows)).read([b"only one says this\nits own line\n"])
    assert [one.check.id for one in read.answers] == ["gpu-one"]


def test_a_text_of_any_fault_of_a_kind_is_no_rival_of_the_one_that_tells_which() -> None:
    sign = made_up("cuda-init-failed", "failed call to")
    one = made_up("gpu-one", "failed call to it: 804")
    both, alone = (
        Reader((sign, one)).read([line]) for line in (b"failed call to it: 804\n", b"failed call to it: 5\n")
    )
    assert [answer.check.id for answer in both.answers] == ["gpu-one"]
    assert [answer.check.id for answer in alone.answers] == ["cuda-init-failed"]


@pytest.mark.parametrize(("area", "outside", "inside"), [("gpu", "ruled_out", "open"), ("image", "open", "open")])
def test_a_question_that_makes_no_sense_outside_any_container_is_answered_unless_it_is_about_containers(
    area: str, outside: str, inside: str
) -> None:
    read = Reader((made_up(f"{area}-it", "the text"),)).read([b"the text\n"])
    for verdict, in_container in ((outside, False), (inside, True)):
        facts = (result(f"{area}-it", Outcome.NOT_APPLICABLE),)
        (suspect,) = judged(read, facts, in_container=in_container).suspects
        assert suspect.verdict.value == verdict


def test_of_a_long_line_the_stretch_that_speaks_is_shown() -> None:
    (suspect,) = Reader((ONE,)).read([b"before " * 100 + b"SHARED TEXT" + b" after" * 100 + b"\n"]).suspects
    shown = suspect.lines[0].text
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "SHARED TEXT" in shown
    assert len(shown) <= 202


@pytest.mark.parametrize(
    "line",
    [
        b'it says \\"why\\" a>=b',
        b'it says \\\\\\"why\\\\\\" a\\u003e=b',
        b'it \x1b[1;31msays\x1b[0m "\x1b[Kwhy" a\\u001b[0m\\u003E=b',
    ],
)
def test_quotes_within_quotes_json_and_colours_hide_nothing(line: bytes) -> None:
    check = made_up("gpu-it", 'says "why" a>=b')
    assert [one.lines[0].number for one in Reader((check,)).read([b"first\n", line, b"\nlast"]).suspects] == [2]


def test_lines_are_counted_and_the_first_are_kept() -> None:
    read = Reader((ONE,)).read([b"shared text\n" * 5, b"shared text\n", b"no newline: shared text"])
    (suspect,) = read.suspects
    assert (read.lines, suspect.count, [line.number for line in suspect.lines]) == (7, 7, [1, 2, 3])


def test_what_is_shown_of_a_line_moves_no_cursor() -> None:
    (suspect,) = Reader((ONE,)).read([b"\x1b[31mshared text\x1b[0m\x00\r\n"]).suspects
    assert suspect.lines[0].text == "shared text"
    (suspect,) = Reader((ONE,)).read([b"\x1b]0;title\x07shared text\x1b(B\x9b1A\n"]).suspects
    assert suspect.lines[0].text.isprintable()


def test_an_empty_log_holds_nothing() -> None:
    assert Reader(CHECKS).read([]).suspects == ()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(blocks=st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_can_be_read(blocks: list[bytes]) -> None:
    Reader(CHECKS).read(blocks)


@pytest.mark.parametrize(("id_", "symptom"), SYMPTOMS)
def test_a_symptom_is_an_expression_whose_every_alternative_holds_a_word_to_look_for(id_: str, symptom: str) -> None:
    re.compile(symptom)
    assert all(len(literal) >= 4 for literal in literals(symptom)), literals(symptom)


@pytest.mark.parametrize(
    ("symptom", "expected"),
    [
        ("plain text", (b"plain text",)),
        ("Upper Case", (b"upper case",)),
        (r"nvml error: .* mismatch", (b"nvml error: ",)),
        (r"one of (?:these|those) words", (b"one of ",)),
        (r"Xid .*\b79\b", (b"xid ",)),
        (r"left|right side", (b"left", b"right side")),
        (r"colou?r of it", (b"r of it",)),
        (r"\[driver\] fail", (b"[driver] fail",)),
        (r"abcd{2}ef", (b"abc",)),
        (r"(all|in) [brackets]*", (b" ",)),
    ],
)
def test_literals_are_what_every_matching_line_must_hold(symptom: str, expected: tuple[bytes, ...]) -> None:
    assert literals(symptom) == expected


@pytest.mark.parametrize(("id_", "symptom"), SYMPTOMS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_line_that_matches_a_symptom_holds_one_of_its_literals(id_: str, symptom: str, data: st.DataObject) -> None:
    line = data.draw(st.from_regex(re.compile(symptom)))
    assert any(literal in line.lower().encode("utf-8", "replace") for literal in literals(symptom))


def _unrelated(blocks: int) -> Iterator[bytes]:
    """Half a megabyte each, of a cluster that is well; no two lines are the same."""
    text = "".join(logs.harmless(kind) for kind in logs.kinds()).splitlines()
    number = 0
    for _ in range(blocks):
        lines: list[str] = []
        size = 0
        while size < 1 << 19:
            number += 1
            lines.append(
                f"2026-11-23T00:00:00Z worker-{number % 97} step {number} gpu 3 nvidia {text[number % len(text)]}\n"
            )
            size += len(lines[-1])
        yield "".join(lines).encode()


def test_memory_does_not_grow_with_the_log() -> None:
    reader = Reader(CHECKS)
    reader.read(_unrelated(2))
    peaks = []
    for blocks in (4, 128):
        tracemalloc.start()
        assert reader.read(_unrelated(blocks)).suspects == ()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (2 << 20)


def test_of_an_endless_line_only_the_beginning_is_looked_at() -> None:
    assert Reader((ONE,)).read([b"x" * MOST_LINE_BYTES + b"shared text\n"]).suspects == ()
