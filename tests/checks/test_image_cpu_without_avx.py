"""image-cpu-without-avx: what TensorFlow's code asks of the processor."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import NGC_24_03, inside
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "image-cpu-without-avx"
OLD: dict[str, Any] = {"cpu_flags": ("sse4_1", "sse4_2")}


@pytest.mark.parametrize("flags", [("avx",), ("avx", "avx2", "fma")])
def test_avx_is_enough(flags: tuple[str, ...]) -> None:
    assert answer(CHECK, inside(NGC_24_03, system={"cpu_flags": flags})).outcome is Outcome.PASSED


def test_without_it_the_hypervisor_is_named_where_there_is_one() -> None:
    (bare,) = answer(CHECK, inside(NGC_24_03, system=OLD)).findings
    (virtual,) = answer(CHECK, inside(NGC_24_03, system={**OLD, "virtual_machine": "Standard PC (Q35)"})).findings
    assert bare.severity is Severity.ERROR
    assert "virtual" not in bare.message
    assert "the machine is a virtual one (Standard PC (Q35))" in virtual.message


def test_avx2_alone_is_no_avx() -> None:
    assert answer(CHECK, inside(NGC_24_03, system={"cpu_flags": ("avx2",)})).outcome is Outcome.FAILED


@pytest.mark.parametrize("part", ["cpu_flags", "variables"])
def test_what_is_unread_is_unknown(part: str) -> None:
    assert answer(CHECK, inside(NGC_24_03, system={**OLD, part: unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "facts",
    [
        facts_of(system=OLD),
        inside({}, system=OLD),
        inside(NGC_24_03, system={"cpu_flags": (), "architecture": "aarch64"}),
    ],
)
def test_hosts_other_images_and_other_processors_are_not_asked(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: This container was built for CPUs supporting at least the AVX instruction set, but",
        "The TensorFlow library was compiled to use AVX instructions, but these aren't available on your machine.",
        "bash: line 1:    12 Illegal instruction     (core dumped) python -c 'import tensorflow'",
        "Fatal Python error: SIGILL",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "TensorFlow binary is optimized to use available CPU instructions: AVX2 FMA",
        "the instruction is not legal",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
