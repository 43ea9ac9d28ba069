"""Every situation and every boundary of the tables comes out as its source says, and the tables are what they claim."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

import pytest

from gpudoctor import host as hosts
from gpudoctor import matrix as matrices
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Unread
from gpudoctor.resolve import Request, resolve
from gpudoctor.verdicts import Verdict
from gpudoctor.versions import DriverVersion
from tests.situations import (
    BINARY,
    BLACKWELL_PTX,
    BOUNDARIES,
    CUDA_10_ON_AMPERE,
    SITUATIONS,
    WISHES,
    WSL_GUIDE,
    Boundary,
    Machine,
    Outcome,
    Situation,
    Wish,
)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return matrices.load()


def gpus_of(machine: Machine, matrix: Matrix) -> tuple[HostGpu, ...]:
    return tuple(hosts.named_gpu(name, matrix) for name in machine.gpus)


def host_of(machine: Machine, matrix: Matrix) -> Host:
    return hosts.what_if(
        driver=DriverVersion(machine.driver),
        gpus=gpus_of(machine, matrix),
        architecture=machine.arch,
        wsl=machine.wsl,
        base=None,
    )


def image_of(situation: Situation, matrix: Matrix) -> ImageRow:
    return next(row for row in (*matrix.images, *matrix.upstream_images) if row.tag == situation.tag)


def comes_out(situation: Situation, matrix: Matrix) -> None:
    resolution = resolve(Request(tag=situation.tag), host_of(situation.machine, matrix), matrix)
    (candidate,) = resolution.candidates
    outcome = situation.outcome
    said = [(reason.rule, reason.verdict.value, reason.detail) for reason in candidate.all_reasons]
    assert candidate.verdict is outcome.verdict, said
    assert any(
        rule == outcome.rule and verdict == outcome.verdict and re.search(outcome.says, detail)
        for rule, verdict, detail in said
    ), said


@pytest.mark.parametrize("situation", SITUATIONS, ids=[situation.name for situation in SITUATIONS])
def test_tag_on_machine_comes_out_as_the_source_says(situation: Situation, matrix: Matrix) -> None:
    comes_out(situation, matrix)


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=[boundary.name for boundary in BOUNDARIES])
def test_answer_changes_at_the_driver_that_the_source_names(boundary: Boundary, matrix: Matrix) -> None:
    below, above = boundary.sides
    assert DriverVersion(boundary.below) < DriverVersion(boundary.above)
    assert below.outcome != above.outcome
    comes_out(below, matrix)
    comes_out(above, matrix)


@pytest.mark.parametrize("wish", WISHES, ids=[wish.name for wish in WISHES])
def test_tensorflow_on_machine_gets_the_image_that_the_source_says(wish: Wish, matrix: Matrix) -> None:
    resolution = resolve(Request(tf=wish.tf), host_of(wish.machine, matrix), matrix)
    assert (None if resolution.best is None else resolution.best.image.tag) == wish.best
    assert resolution.verdict is wish.verdict


def test_no_situation_stands_twice() -> None:
    asked = [(one.tag, one.machine) for one in SITUATIONS] + [(one.tf, one.machine) for one in WISHES]
    assert len(asked) == len(set(asked))
    asked_of_drivers = [(side.tag, side.machine) for one in BOUNDARIES for side in one.sides]
    assert len(asked_of_drivers) == len(set(asked_of_drivers))


def test_no_two_situations_differ_in_the_driver_alone(matrix: Matrix) -> None:
    # Neither tf1 and tf2 of one release nor two products of one kind make another situation of it.
    drivers: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for one in SITUATIONS:
        image = image_of(one, matrix)
        kinds = sorted(
            str((gpu.compute_capability, gpu.data_center, gpu.product_first_branch, gpu.jetson))
            for gpu in gpus_of(one.machine, matrix)
        )
        machine = (tuple(kinds), one.machine.arch, one.machine.wsl)
        drivers[(image.upstream, image.release, image.igpu, *machine)].add(one.machine.driver)
    assert {key: found for key, found in drivers.items() if len(found) > 1} == {}


def test_every_situation_names_a_page_that_was_read(matrix: Matrix) -> None:
    read = {*matrix.sources.values(), BINARY, BLACKWELL_PTX, CUDA_10_ON_AMPERE, WSL_GUIDE}
    named = {one.source for one in SITUATIONS} | {one.source for one in BOUNDARIES} | {one.source for one in WISHES}
    assert named <= read


def test_there_are_enough_situations_and_ways_in_which_they_come_out() -> None:
    assert len(SITUATIONS) >= 130
    assert len({situation.outcome for situation in SITUATIONS}) >= 50
    assert len(BOUNDARIES) >= 20


def test_every_verdict_of_the_contract_is_the_end_of_some_situation() -> None:
    reached = {one.outcome.verdict for one in SITUATIONS} | {wish.verdict for wish in WISHES}
    assert reached == set(Verdict)
    assert {wish.verdict for wish in WISHES} >= {Verdict.NO_SUCH_IMAGE, Verdict.RUNS, Verdict.WILL_NOT_RUN}


def test_every_rule_decides_both_ways_for_consumer_and_data_centre_gpus(matrix: Matrix) -> None:
    # A rule that has nothing to say lets pass: any situation that runs is on its other side.
    silent = ("platform", "driver_knows_gpu", "gpu_range", "as_shipped")
    for data_center in ("yes", "no"):
        of_kind = [
            one for one in SITUATIONS if {gpu.data_center for gpu in gpus_of(one.machine, matrix)} == {data_center}
        ]
        refusing = {one.outcome.rule for one in of_kind if one.outcome.verdict is Verdict.WILL_NOT_RUN}
        passing = {one.outcome.rule for one in of_kind if one.outcome.verdict.runs}
        assert refusing >= {*silent, "gpu_code", "forward_compat", "minor_version_compat"}, data_center
        assert passing >= {"gpu_code", "driver_native", "minor_version_compat"}, data_center
        assert ("forward_compat" in passing) == (data_center == "yes")
        assert any(one.outcome.verdict.runs for one in of_kind)


def test_situations_go_from_kepler_to_blackwell_in_both_directions(matrix: Matrix) -> None:
    ends: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for one in SITUATIONS:
        for gpu in gpus_of(one.machine, matrix):
            assert not isinstance(gpu.compute_capability, Unread)
            row = matrix.generation(gpu.compute_capability)
            assert row is not None
            if len(one.machine.gpus) == 1 and not gpu.bare_capability and not gpu.jetson:
                ends[(row.architecture, one.outcome.verdict.runs)].add(str(gpu.data_center))
    generations = ("Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada", "Hopper", "Blackwell")
    assert {name for name, _ in ends} == set(generations)
    for name in generations:
        # Nobody sold Hopper to consumers, and the one Volta for them is TITAN V.
        wanted = {"yes"} if name in ("Hopper", "Volta") else {"yes", "no"}
        assert ends[(name, True)] >= wanted, name
        assert ends[(name, False)] >= wanted, name


def test_situations_hold_every_tensorflow_from_1_12_to_2_21(matrix: Matrix) -> None:
    held = {row.tensorflow.minor for row in (image_of(one, matrix) for one in SITUATIONS) if row.tensorflow}
    assert held >= {*((1, minor) for minor in range(12, 16)), *((2, minor) for minor in range(22))}


def test_situations_hold_arm_servers_jetson_wsl_mixed_hosts_and_both_catalogues(matrix: Matrix) -> None:
    def count(found: Iterable[bool]) -> int:
        return sum(found)

    machines = [one.machine for one in SITUATIONS]
    assert count(machine.arch == "aarch64" for machine in machines) >= 6
    assert count(any(gpu.jetson for gpu in gpus_of(machine, matrix)) for machine in machines) >= 5
    assert count(machine.wsl for machine in machines) >= 4
    assert count(len(machine.gpus) > 1 for machine in machines) >= 5
    assert count(image_of(one, matrix).upstream for one in SITUATIONS) >= 30
    assert count(image_of(one, matrix).broken is not None for one in SITUATIONS) >= 5


def test_newer_branch_that_is_worse_is_among_the_boundaries() -> None:
    worse = [one for one in BOUNDARIES if one.outcome_above.verdict.rank > one.outcome_below.verdict.rank]
    assert {one.outcome_above.rule for one in worse} == {"driver_knows_gpu", "forward_compat"}


def test_no_outcome_is_named_twice() -> None:
    outcomes: set[Outcome] = {one.outcome for one in SITUATIONS}
    assert len({(one.rule, one.says) for one in outcomes}) == len(outcomes)
