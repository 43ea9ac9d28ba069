"""The health policy: what the shipped file says, and what a site may change in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import checks, health_policy
from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.findings import Severity
from gpudoctor.health_policy import FILE_NAME, EventRule, PolicyError, SignalRule, parse
from gpudoctor.matrix import fault_line
from tests.fakes import shipped_policy

SHIPPED = Path(__file__).resolve().parent.parent / FILE_NAME


def faults(text: str, *, whole: bool = False) -> list[str]:
    """What is said of a site's file, or of a policy that is to be whole."""
    with pytest.raises(PolicyError) as caught:
        parse(text.encode(), "site.yaml", over=None if whole else shipped_policy())
    assert caught.value.exit_code == 2
    return [fault_line("site.yaml", fault) for fault in caught.value.faults]


# --- What is shipped ---


def test_every_xid_that_nvidia_lists_and_every_sxid_of_its_guide_has_a_rule() -> None:
    codes = {kind: {code for of, code in shipped_policy().events if of == kind} for kind in ("xid", "sxid")}
    assert codes["xid"] == set(range(1, 173))
    assert len(codes["sxid"]) == 93


@pytest.mark.parametrize("code", [48, 64, 74, 79, 95, 119, 120, 140])
def test_what_is_fatal_almost_everywhere_is_an_error_of_the_node(code: int) -> None:
    rule = shipped_policy().event("xid", code)
    assert (rule.severity, rule.fault, rule.window_seconds) == (Severity.ERROR, "node", None)


@pytest.mark.parametrize("code", [13, 31, 43, 45])
def test_what_is_usually_the_programs_own_is_info_at_most_and_forgotten_in_a_day(code: int) -> None:
    rule = shipped_policy().event("xid", code)
    assert (rule.severity, rule.fault, rule.window_seconds) == (Severity.INFO, "user", 86400)


@pytest.mark.parametrize("code", [63, 92, 94, 109])
def test_what_operators_disagree_on_says_so_and_ends_no_job(code: int) -> None:
    rule = shipped_policy().event("xid", code)
    assert rule.severity is Severity.WARNING
    assert re.search(r"EKS|gpud|Azure|Meta", rule.provenance.note)


def test_every_entry_says_where_it_comes_from_and_uses_no_source_in_vain() -> None:
    policy = shipped_policy()
    rules: list[EventRule | SignalRule] = [*policy.events.values(), *policy.signals.values()]
    assert {key for rule in rules for key in rule.provenance.source} == set(policy.sources)
    for rule in rules:
        assert rule.meaning
        assert rule.provenance.checked == "2026-11"


def test_the_checks_ask_for_every_signal_there_is_and_for_no_other() -> None:
    asked = set()
    for path in Path(checks.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                asked.add(node.value)
    asked |= {f"recovery-{action.replace('_', '-')}" for action in asked}
    asked.add("unlisted-event")  # which the policy itself asks for
    assert set(shipped_policy().signals) <= asked
    signal = re.compile(r"signals\[\"([^\"]+)\"\]")
    for path in Path(checks.__file__).parent.glob("*.py"):
        assert set(signal.findall(path.read_text(encoding="utf-8"))) <= set(shipped_policy().signals)


# --- What a site changes ---


def test_a_site_changes_the_cells_it_names_and_is_their_first_source() -> None:
    before = shipped_policy().event("xid", 109)
    after = parse(b"xids: [{code: 109, severity: error}]", "site.yaml", over=shipped_policy()).event("xid", 109)
    assert (after.severity, after.meaning, after.cleared_by) == (Severity.ERROR, before.meaning, before.cleared_by)
    assert after.provenance.source == ("site: site.yaml", *before.provenance.source)


def test_everything_else_stays() -> None:
    policy = parse(b"signals: [{name: power-limit, limit: 50}]", "site.yaml", over=shipped_policy())
    assert policy.events == shipped_policy().events
    changed = {name for name, rule in policy.signals.items() if rule != shipped_policy().signals[name]}
    assert (changed, policy.signals["power-limit"].limit) == ({"power-limit"}, 50)


def test_a_site_may_add_a_code_with_all_its_cells() -> None:
    text = "xids: [{code: 200, name: NEW, meaning: new, severity: ignore, fault: node, cleared_by: never}]"
    rule = parse(text.encode(), "site.yaml", over=shipped_policy()).event("xid", 200)
    assert (rule.severity, rule.cleared_by, rule.window_seconds) == (None, "never", None)


@pytest.mark.parametrize(("hours", "seconds"), [("12", 43200), ("0", None), ("0.5", 1800)])
def test_a_window_may_be_changed_and_taken_away(hours: str, seconds: float | None) -> None:
    policy = parse(f"xids: [{{code: 31, window_hours: {hours}}}]".encode(), "site.yaml", over=shipped_policy())
    assert policy.event("xid", 31).window_seconds == seconds


@pytest.mark.parametrize("text", ["", "# nothing\n", "schema: gpudoctor.policy/1\n", "xids: []\nsignals: []\n"])
def test_a_file_that_changes_nothing_is_fine(text: str) -> None:
    policy = parse(text.encode(), "site.yaml", over=shipped_policy())
    assert (policy.events, policy.signals) == (shipped_policy().events, shipped_policy().signals)


def test_the_last_file_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("xids: [{code: 109, severity: error, note: ours}]")
    second.write_text("xids: [{code: 109, severity: info}]")
    rule = health_policy.load({first: "the configuration folder", second: "--policy"}).event("xid", 109)
    assert (rule.severity, rule.provenance.note) == (Severity.INFO, "ours")
    assert rule.provenance.source[:2] == (f"site: {second}", f"site: {first}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xids:\n  - code: 79\n    severity: fatal", "site.yaml:3: xids[0].severity: expected error or warning"),
        ("xids:\n  - severity: error", "site.yaml:2: xids[0].code: missing; expected a whole number"),
        ("xids:\n- {code: '79'}", "site.yaml:2: xids[0].code: expected a whole number from 0 to 999999, found '79'"),
        ("xids:\n- {code: -1}", "site.yaml:2: xids[0].code: expected a whole number"),
        ("xids:\n- {code: true}", "site.yaml:2: xids[0].code: expected a whole number"),
        ("xids:\n- code: 200", "site.yaml:2: xids[0].name: missing; expected text"),
        ("xids:\n- {code: 31}\n- {code: 31}", "site.yaml:3: xids[1].code: '31' stands in xids[0] already"),
        ("xids:\n- {code: 31, window_hours: -1}", "site.yaml:2: xids[0].window_hours: expected hours, or 0"),
        ("xids:\n- {code: 31, window_hours: .inf}", "site.yaml:2: xids[0].window_hours: expected a number"),
        ("xids:\n- {code: 31, fault: nobody}", "site.yaml:2: xids[0].fault: expected node or user or either"),
        ("xids:\n- {code: 31, cleared_by: hope}", "site.yaml:2: xids[0].cleared_by: expected reset or"),
        ("xids:\n- {code: 31, note: }", "site.yaml:2: xids[0].note: expected text, found nothing"),
        ("xids:\n- {code: 31, severty: error}", "site.yaml:2: xids[0].severty: unknown key; did you mean 'severity'?"),
        ("xids:\n- {code: 31, source: [nobody]}", "site.yaml:2: xids[0].source[0]: 'nobody' is no key of sources"),
        ("xids:\n- {code: 31, source: nvml}", "site.yaml:2: xids[0].source: expected a list of texts"),
        ("xids:\n- {code: 31, checked: 2026-13}", "site.yaml:2: xids[0].checked: expected a month"),
        ("xids:\n- 79", "site.yaml:2: xids[0]: expected a mapping, found '79'"),
        ("xids: 79", "site.yaml:1: xids: expected a list of entries, found '79'"),
        ("xid: []", "site.yaml:1: xid: unknown key; did you mean 'xids'?"),
        ("signals:\n- {name: power, limit: 1}", "site.yaml:2: signals[0].name: there is no signal 'power'"),
        ("signals:\n- {name: power-limt}", "'power-limt'; did you mean 'power-limit'?"),
        ("signals:\n- {name: power-limit, limit: -1}", "site.yaml:2: signals[0].limit: expected 0 or more"),
        ("signals:\n- {name: power-limit, unit: watts}", "site.yaml:2: signals[0].unit: expected percent"),
        ("signals:\n- {name: power-brake, limit: 1}", "site.yaml:2: signals[0].limit: power-brake has no limit"),
        (
            "schema: gpudoctor.matrix/1",
            "site.yaml:1: schema: expected 'gpudoctor.policy/1'",
        ),
        ("[]", "site.yaml:1: expected a mapping, found a list"),
        ("xids: []\nxids: []", "site.yaml:2: xids: stands twice"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(text: str, said: str) -> None:
    assert any(said in line for line in faults(text)), faults(text)


def test_every_fault_is_told_in_the_order_of_the_lines() -> None:
    lines = [int(line.split(":")[1]) for line in faults("xids:\n- {code: 1, x: 1}\nyids: 1\nsignals:\n- {name: 1}\n")]
    assert lines == sorted(lines)
    assert len(lines) == 3


def test_a_whole_policy_needs_all_that_a_sites_file_may_leave_out() -> None:
    told = faults("signals:\n- {name: power-limit, limit: 1}", whole=True)
    for missing in ("schema: missing", "xids: missing", "meaning: missing", "severity: missing", "source: missing"):
        assert any(missing in line for line in told), missing
    assert any("a limit has a unit" in line for line in told)


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"[", b"a: *b", b"!!python/object:os.system {}", b"\x00"])
def test_what_is_no_plain_yaml_is_one_line(text: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, "site.yaml", over=shipped_policy())
    assert caught.value.message.startswith("site.yaml")
    assert "\n" not in caught.value.message


def _no_such_file(folder: Path) -> Path:
    return folder / "none.yaml"


def _too_long(folder: Path) -> Path:
    path = folder / "long.yaml"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    return path


@pytest.mark.parametrize("made", [_no_such_file, _too_long, lambda folder: folder])
def test_a_file_that_cannot_be_read_is_one_line(made: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        health_policy.load({made(tmp_path): "$GPUDOCTOR_POLICY"})
    assert str(made(tmp_path)) in caught.value.message


SOME_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["79", "error"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schema", "sources", "signals", "xids", "code", "name", "severity", "limit", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def _said(text: bytes, over: health_policy.HealthPolicy | None) -> str:
    """The message of the error, "" where there is none; any other exception is the test's failure."""
    try:
        parse(text, "site.yaml", over=over)
    except GpudoctorError as error:
        return error.message
    return ""


@settings(max_examples=300, deadline=None, derandomize=True)
@given(document=SOME_YAML)
def test_any_document_is_a_policy_or_an_error_of_one_line(document: object) -> None:
    text = yaml.safe_dump(document).encode()
    assert _said(text, None).startswith("site.yaml")
    assert len(_said(text, shipped_policy()).splitlines()) <= 1


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=st.binary(max_size=60))
def test_any_bytes_are_a_policy_or_an_error_of_one_line(text: bytes) -> None:
    assert len(_said(text, shipped_policy()).splitlines()) <= 1


def test_the_shipped_file_is_what_load_reads() -> None:
    assert parse(SHIPPED.read_bytes()) == health_policy.load()
