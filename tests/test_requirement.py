"""NVIDIA_REQUIRE_*: what users met, both evaluators' readings, and texts that nobody ought to write."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.readings import Unread, Why
from gpudoctor.requirement import (
    Answer,
    Held,
    Requirement,
    Subject,
    evaluate,
    from_environment,
    judge,
    parse,
)
from gpudoctor.verdicts import Verdict
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion

# The value of nvidia/cuda:10.0-*, and the beginning of that of nvidia/cuda:12.1.*.
CUDA_10_0 = "cuda>=10.0 brand=tesla,driver>=384,driver<385"
CUDA_12_1 = (
    "cuda>=12.1 brand=tesla,driver>=450,driver<451 brand=tesla,driver>=470,driver<471"
    " brand=unknown,driver>=470,driver<471 brand=nvidia,driver>=470,driver<471"
    " brand=geforce,driver>=470,driver<471"
)

UNREAD = Unread(source="test", why=Why.FAILED, detail="it did not say")


def subject(cuda: str, driver: str, capability: str = "6.1", brand: str = "geforce") -> Subject:
    return Subject(
        driver_cuda_version=CudaVersion(cuda),
        driver=DriverVersion(driver),
        compute_capability=ComputeCapability(capability),
        brand=brand,
    )


GTX_1080 = subject("9.1", "390.77")


def asked(text: str, of: Subject = GTX_1080) -> Answer:
    return evaluate(parse("NVIDIA_REQUIRE_CUDA", text), of)


# --- what users met ---


def test_brand_tesla_is_explained_as_the_last_arm_and_not_as_a_demand() -> None:
    # https://github.com/moby/moby/issues/38757 and https://github.com/NVIDIA/nvidia-docker/issues/861 (2026-11)
    answer = asked(CUDA_10_0)
    assert answer.cli is answer.toolkit is Held.NO
    assert answer.reported == "brand = tesla"
    reasons = judge(from_environment({"NVIDIA_REQUIRE_CUDA": CUDA_10_0}), GTX_1080).reasons
    said = " | ".join(reason.detail for reason in reasons)
    assert "where it complains of `brand = tesla`, that is only where the last arm failed" in said
    assert "the first, cuda>=10.0, would do as well" in said
    assert "arm 1, cuda>=10.0: not met, the CUDA version of the driver is 9.1" in said
    assert (
        "arm 2, brand=tesla,driver>=384,driver<385: not met, the brand is geforce and the driver version is 390.77"
        in said
    )
    assert "NVIDIA_DISABLE_REQUIRE=true" in said


def test_a_tesla_board_is_told_of_its_driver() -> None:
    # https://github.com/lmb-freiburg/netdef-docker/issues/6 (2026-11)
    answer = asked(CUDA_10_0, subject("9.1", "390.77", "6.0", "tesla"))
    assert answer.cli is Held.NO
    assert answer.reported == "driver < 385"


def test_a_tesla_board_on_a_listed_branch_is_let_in_by_the_second_arm() -> None:
    answer = asked(CUDA_10_0, subject("9.0", "384.183", "6.0", "tesla"))
    assert answer.cli is answer.toolkit is Held.YES
    assert [arm.held for arm in answer.arms] == [Held.NO, Held.YES]


def test_geforce_on_470_is_let_into_cuda_12_1() -> None:
    assert asked(CUDA_12_1, subject("11.4", "470.57.02", "8.6")).cli is Held.YES
    assert asked(CUDA_12_1, subject("11.2", "460.91.03", "8.6")).cli is Held.NO


def test_every_arm_is_named_and_neighbours_share_a_sentence() -> None:
    ruling = judge(from_environment({"NVIDIA_REQUIRE_CUDA": CUDA_12_1}), subject("11.2", "460.91.03", "8.6"))
    said = " | ".join(reason.detail for reason in ruling.reasons)
    for arm in CUDA_12_1.split(" "):
        assert arm in said
    assert ruling.verdict is Verdict.RUNS_UNSUPPORTED
    assert len(ruling.reasons) <= 5
    assert all(reason.rule == "requirement" and reason.source.startswith("https://") for reason in ruling.reasons)


# --- the grammar ---

HOST = subject("11.4", "470.57.02", "8.6")


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("", Held.YES),
        ("   ", Held.YES),
        ("cuda>=11.4", Held.YES),
        ("cuda>=11.4.0", Held.YES),
        ("cuda>=11.5", Held.NO),
        ("cuda>11.4", Held.NO),
        ("cuda>11.3", Held.YES),
        ("cuda<=11.4", Held.YES),
        ("cuda<11.4", Held.NO),
        ("cuda<11.10", Held.YES),  # number by number: 10 is more than 4
        ("cuda=11.4", Held.YES),
        ("cuda!=11.4", Held.NO),
        ("driver>=470", Held.YES),
        ("driver>=470.57.2", Held.YES),
        ("driver>=470.57.3", Held.NO),
        ("driver>=470,driver<471", Held.YES),
        ("driver>=450,driver<451", Held.NO),
        ("arch>=8.6", Held.YES),
        ("arch>=8.7", Held.NO),
        ("arch=8.6,brand=geforce", Held.YES),
        ("brand!=tesla", Held.YES),
        ("brand=tesla", Held.NO),
        ("cuda>=12 cuda>=11", Held.YES),
        ("cuda>=12  cuda>=13", Held.NO),
        ("cuda>=11,", Held.YES),
    ],
)
def test_both_evaluators_agree_on_the_documented_grammar(text: str, held: Held) -> None:
    answer = asked(text, HOST)
    assert answer.cli is answer.toolkit is held
    assert answer.requirement.faults == ()


@pytest.mark.parametrize(
    ("text", "cli", "toolkit"),
    [
        # names: without regard to case, against unknown and skipped
        ("CUDA>=12.3", Held.NO, Held.YES),
        ("CUDA>=11", Held.YES, Held.YES),
        ("Brand=GeForce", Held.YES, Held.YES),
        # an unknown name refuses, against skipped
        ("foo=1", Held.REFUSED, Held.YES),
        ("foo=1,cuda>=12", Held.REFUSED, Held.NO),
        ("cuda>=12,foo=1", Held.NO, Held.NO),
        # versions: any numbers, against semantic ones
        ("driver>=450.80.02", Held.YES, Held.REFUSED),
        ("cuda>=11.4.0.0", Held.YES, Held.REFUSED),
        ("cuda>=v11", Held.REFUSED, Held.YES),
        ("cuda>=12.0.0-rc1", Held.REFUSED, Held.NO),
        ("cuda<=11.4.0-rc1", Held.REFUSED, Held.NO),
        ("cuda>=11..2", Held.YES, Held.REFUSED),
        # brands: = and != without regard to case, against all operators with regard to it
        ("brand=GeForce", Held.YES, Held.NO),
        ("brand>=a", Held.REFUSED, Held.YES),
        ("brand!tesla", Held.YES, Held.NO),
        # faults: seen when they are reached, against always
        ("cuda>=11 nonsense", Held.YES, Held.REFUSED),
        ("cuda>=12 nonsense", Held.REFUSED, Held.REFUSED),
        ("cuda!12", Held.YES, Held.REFUSED),
        ("cuda=>11", Held.REFUSED, Held.REFUSED),
        # commas alone: hold at the front, end the list further on, against skipped
        (", cuda>=12", Held.YES, Held.NO),
        ("cuda>=12 , cuda>=11", Held.NO, Held.YES),
    ],
)
def test_where_the_evaluators_differ_each_is_read_as_it_reads(text: str, cli: Held, toolkit: Held) -> None:
    answer = asked(text, HOST)
    assert (answer.cli, answer.toolkit) == (cli, toolkit)


def test_a_difference_is_said_with_both_names() -> None:
    ruling = judge(from_environment({"NVIDIA_REQUIRE_DRIVER": "driver>=450.80.02"}), HOST)
    said = ruling.reasons[-1].detail
    assert "to nvidia-container-cli (legacy mode) it is met" in said
    assert "to nvidia-container-toolkit (csv mode, newer CDI modes) malformed" in said
    assert ruling.verdict is Verdict.RUNS_UNSUPPORTED


def test_the_toolkit_asks_the_first_gpu_only() -> None:
    demands = from_environment({"NVIDIA_REQUIRE_ARCH": "arch>=9.0"})
    second = judge(demands, HOST, first=False)
    assert any("the first GPU alone" in reason.detail for reason in second.reasons)
    assert not any("the first GPU alone" in reason.detail for reason in judge(demands, HOST).reasons)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("cuda>=11 foo>=1", 10, "'foo' is none of cuda, driver, arch, brand"),
        ("brand=tesla,driver=>1", 13, "'=>' is no operator"),
        ("brand=tesla,brand<x", 13, "brands are compared by = and != only"),
        ("cuda>=", 1, "'cuda>=' compares with nothing"),
        ("cuda", 1, "'cuda' is no comparison"),
        ("driver>=1 cuda>=eleven", 11, "'eleven' is no version"),
        ("cuda>=.5", 1, "'.5' is no version"),
        ("cuda>=99999999999999999999999", 1, "is no version"),
    ],
)
def test_a_fault_names_variable_and_position(text: str, place: int, message: str) -> None:
    (fault,) = parse("NVIDIA_REQUIRE_X", text).faults
    assert (fault.variable, fault.position) == ("NVIDIA_REQUIRE_X", place)
    assert message in fault.message
    said = [reason.detail for reason in judge(from_environment({"NVIDIA_REQUIRE_X": text}), HOST).reasons]
    assert any(f"malformed: NVIDIA_REQUIRE_X: character {place}: " in one for one in said)


def test_a_text_of_megabytes_is_a_fault() -> None:
    (fault,) = parse("NVIDIA_REQUIRE_CUDA", "cuda>=1 " * 1_000_000).faults
    assert "longer than 16 KiB" in fault.message


# --- the environment ---


def test_several_variables_must_all_be_met_and_jetpack_is_ignored() -> None:
    environment = {
        "NVIDIA_REQUIRE_CUDA": "cuda>=11",
        "NVIDIA_REQUIRE_ARCH": "arch>=9",
        "NVIDIA_REQUIRE_JETPACK": "jetpack>=5",
        "NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS": "base",
    }
    demands = from_environment(environment)
    assert [item.variable for item in demands.items] == ["NVIDIA_REQUIRE_ARCH", "NVIDIA_REQUIRE_CUDA"]
    assert judge(demands, HOST).verdict is Verdict.RUNS_UNSUPPORTED
    assert judge(from_environment({"NVIDIA_REQUIRE_CUDA": "cuda>=11"}), HOST).verdict is Verdict.RUNS


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "True", "TRUE"])
def test_disabled_by_whatever_go_takes_for_true(text: str) -> None:
    ruling = judge(from_environment({"NVIDIA_DISABLE_REQUIRE": text, "NVIDIA_REQUIRE_CUDA": "cuda>=99"}), HOST)
    assert ruling.verdict is Verdict.RUNS
    assert "NVIDIA_DISABLE_REQUIRE is set" in ruling.reasons[0].detail


@pytest.mark.parametrize("text", ["0", "false", "yes", "on", "", "tRUE"])
def test_not_disabled_by_anything_else(text: str) -> None:
    demands = from_environment({"NVIDIA_DISABLE_REQUIRE": text, "NVIDIA_REQUIRE_CUDA": "cuda>=99"})
    assert judge(demands, HOST).verdict is Verdict.RUNS_UNSUPPORTED


def test_cuda_version_alone_asks_for_its_major_and_minor() -> None:
    demands = from_environment({"CUDA_VERSION": "11.8.0.065"})
    assert [item.text for item in demands.items] == ["cuda>=11.8"]
    assert "stands for cuda>=11.8" in judge(demands, HOST).reasons[0].detail
    assert from_environment({"CUDA_VERSION": "11.8", "NVIDIA_REQUIRE_CUDA": "cuda>=9.0"}).items[0].text == "cuda>=9.0"
    # An empty variable is as good as none.
    assert [one.text for one in from_environment({"CUDA_VERSION": "9.0", "NVIDIA_REQUIRE_CUDA": ""}).items] == [
        "",
        "cuda>=9.0",
    ]


def test_a_cuda_version_that_is_none_is_a_fault() -> None:
    ruling = judge(from_environment({"CUDA_VERSION": "eleven"}), HOST)
    assert ruling.verdict is Verdict.RUNS_UNSUPPORTED
    assert any("CUDA_VERSION: character 1" in reason.detail for reason in ruling.reasons)


def test_no_requirement_no_reason() -> None:
    ruling = judge(from_environment({"PATH": "/bin"}), HOST)
    assert (ruling.verdict, ruling.reasons) == (Verdict.RUNS, ())


# --- what is not known ---


def test_an_unread_fact_counts_only_where_it_decides() -> None:
    without_brand = replace(HOST, brand=UNREAD)
    assert asked(CUDA_12_1, without_brand).cli is Held.UNKNOWN
    assert asked("cuda>=11 brand=tesla", without_brand).cli is Held.YES
    assert asked("brand=tesla,cuda>=12", without_brand).cli is Held.NO
    assert asked("brand=tesla nonsense", without_brand).cli is Held.UNKNOWN
    said = judge(from_environment({"NVIDIA_REQUIRE_CUDA": CUDA_12_1}), without_brand)
    assert said.verdict is Verdict.RUNS_UNSUPPORTED
    assert any("the brand is not known (it did not say)" in reason.detail for reason in said.reasons)


# --- properties ---

_VERSIONS = st.from_regex(r"(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,2})){0,2}", fullmatch=True)
_FACTORS = st.one_of(
    st.builds(
        lambda name, operator, text: (name, operator, text),
        st.sampled_from(["cuda", "driver", "arch"]),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        _VERSIONS,
    ),
    st.builds(
        lambda operator, text: ("brand", operator, text),
        st.sampled_from(["=", "!="]),
        st.sampled_from(["tesla", "geforce", "nvidia"]),
    ),
)
_LISTS = st.lists(st.lists(_FACTORS, min_size=1, max_size=4), min_size=1, max_size=5)
_SUBJECTS = st.builds(
    subject,
    _VERSIONS,
    _VERSIONS,
    st.from_regex(r"[1-9][0-9]?\.[0-9]", fullmatch=True),
    st.sampled_from(["tesla", "geforce", "nvidia"]),
)


def _numbers(text: str) -> tuple[int, ...]:
    return (*(int(part) for part in text.split(".")), 0, 0, 0)[:3]


def _plainly(factor: tuple[str, str, str], of: Subject) -> bool:
    """The documented meaning, by Python's own comparisons."""
    name, operator, text = factor
    if name == "brand":
        return (of.brand == text) if operator == "=" else (of.brand != text)
    fact = _numbers(str({"cuda": of.driver_cuda_version, "driver": of.driver, "arch": of.compute_capability}[name]))
    other = _numbers(text)
    return {
        "=": fact == other,
        "!=": fact != other,
        "<": fact < other,
        "<=": fact <= other,
        ">": fact > other,
        ">=": fact >= other,
    }[operator]


@given(_LISTS, _SUBJECTS)
def test_well_formed_text_means_what_is_documented_to_both(
    terms: list[list[tuple[str, str, str]]], of: Subject
) -> None:
    text = " ".join(",".join("".join(factor) for factor in term) for term in terms)
    expected = Held.YES if any(all(_plainly(factor, of) for factor in term) for term in terms) else Held.NO
    answer = asked(text, of)
    assert answer.requirement.faults == ()
    assert answer.cli is answer.toolkit is expected


_LIKELY = st.text(alphabet="cudarivebn hfox<>=!,.0189tslaTV- \t", max_size=80)


@given(st.one_of(st.text(max_size=200), _LIKELY), _SUBJECTS)
def test_any_text_has_an_answer_and_a_reason(text: str, of: Subject) -> None:
    answer = asked(text, of)
    assert answer.cli in (Held.YES, Held.NO, Held.REFUSED)
    assert answer.toolkit in (Held.YES, Held.NO, Held.REFUSED)
    for fault in answer.requirement.faults:
        assert 1 <= fault.position <= len(text)
    ruling = judge(from_environment({"NVIDIA_REQUIRE_CUDA": text}), of)
    assert ruling.reasons
    assert (ruling.verdict is Verdict.RUNS) == (answer.cli is answer.toolkit is Held.YES)
    assert all(reason.detail.isprintable() for reason in ruling.reasons)


@given(_LIKELY, _SUBJECTS, st.sets(st.sampled_from(["driver_cuda_version", "driver", "compute_capability", "brand"])))
def test_knowing_less_only_turns_answers_into_not_known(text: str, of: Subject, forgotten: set[str]) -> None:
    known, less = asked(text, of), asked(text, replace(of, **dict.fromkeys(forgotten, UNREAD)))
    assert less.cli in (known.cli, Held.UNKNOWN)
    assert less.toolkit in (known.toolkit, Held.UNKNOWN)


@given(_LIKELY)
def test_parsing_keeps_every_factor_at_its_place(text: str) -> None:
    requirement: Requirement = parse("NVIDIA_REQUIRE_CUDA", text)
    for term in requirement.terms:
        for factor in term.factors:
            assert text[factor.position - 1 :].startswith(factor.text)
            assert factor.name + factor.operator + factor.literal == factor.text
