"""Every situation of the table comes out as its source says."""

from __future__ import annotations

import pytest

from gpudoctor import host as hosts
from gpudoctor import matrix as matrices
from gpudoctor.host import Host
from gpudoctor.matrix import Matrix
from gpudoctor.resolve import Request, resolve
from gpudoctor.versions import DriverVersion
from tests.situations import (
    BINARY,
    BLACKWELL_PTX,
    CUDA_10_ON_AMPERE,
    SITUATIONS,
    WISHES,
    Machine,
    Situation,
    Wish,
)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return matrices.load()


def host_of(machine: Machine, matrix: Matrix) -> Host:
    return hosts.what_if(
        driver=DriverVersion(machine.driver),
        gpus=tuple(hosts.named_gpu(name, matrix) for name in machine.gpus),
        architecture=machine.arch,
        wsl=machine.wsl,
        base=None,
    )


@pytest.mark.parametrize("situation", SITUATIONS, ids=[situation.name for situation in SITUATIONS])
def test_tag_on_machine_comes_out_as_the_source_says(situation: Situation, matrix: Matrix) -> None:
    resolution = resolve(Request(tag=situation.tag), host_of(situation.machine, matrix), matrix)
    (candidate,) = resolution.candidates
    said = [(reason.rule, reason.verdict.value, reason.detail) for reason in candidate.all_reasons]
    assert candidate.verdict is situation.verdict, said
    assert any(rule == situation.rule and verdict == situation.verdict for rule, verdict, _ in said), said


@pytest.mark.parametrize("wish", WISHES, ids=[wish.name for wish in WISHES])
def test_tensorflow_on_machine_gets_the_image_that_the_source_says(wish: Wish, matrix: Matrix) -> None:
    resolution = resolve(Request(tf=wish.tf), host_of(wish.machine, matrix), matrix)
    assert (None if resolution.best is None else resolution.best.image.tag) == wish.best
    assert resolution.verdict is wish.verdict


def test_no_situation_stands_twice() -> None:
    asked = [(one.tag, one.machine) for one in SITUATIONS] + [(one.tf, one.machine) for one in WISHES]
    assert len(asked) == len(set(asked))


def test_every_situation_names_a_page_that_was_read(matrix: Matrix) -> None:
    read = {*matrix.sources.values(), BINARY, BLACKWELL_PTX, CUDA_10_ON_AMPERE}
    assert {one.source for one in SITUATIONS} | {one.source for one in WISHES} <= read


def test_table_reaches_every_verdict_by_more_than_one_road() -> None:
    pairs = {(situation.rule, situation.verdict) for situation in SITUATIONS}
    assert {verdict for _, verdict in pairs} == {situation.verdict for situation in SITUATIONS}
    assert len({verdict.value for _, verdict in pairs}) == 7  # no_such_image has no tag; a wish reaches it
    assert len(pairs) >= 15
