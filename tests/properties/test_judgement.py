"""What holds of every verdict, whatever the image, the driver and the GPUs."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor import host as hosts
from gpudoctor.facts import Facts
from gpudoctor.host import Host
from gpudoctor.matrix import ImageRow
from gpudoctor.readings import Unread, Why
from gpudoctor.resolve import Request, Resolution, resolve, runnable
from gpudoctor.rules import judge
from gpudoctor.verdicts import Verdict, deciding, worst
from gpudoctor.versions import DriverVersion
from tests.hosts import shipped
from tests.properties.strategies import (
    boundaries,
    catalogue,
    classes,
    few,
    gpus,
    host_of,
    images,
    machines,
    many,
    plenty,
    what_if_hosts,
)

MATRIX = shipped()
UNREAD = Unread(source="a test", why=Why.FAILED, detail="unread on purpose")


@given(images, what_if_hosts)
@many
def test_judging_is_total_and_the_worst_decides(image: ImageRow, host: Host) -> None:
    ruling = judge(image, host, MATRIX)
    reasons = (*ruling.reasons, *(reason for one in ruling.gpus for reason in one.reasons))
    assert deciding(ruling.verdict, reasons) is not None
    assert ruling.verdict is worst(
        *(reason.verdict for reason in ruling.reasons), *(one.verdict for one in ruling.gpus)
    )
    assert ruling.verdict is not Verdict.NO_SUCH_IMAGE


@given(
    images,
    gpus,
    st.sampled_from(boundaries()),
    st.integers(min_value=0, max_value=200),
    st.integers(min_value=0, max_value=99),
    st.booleans(),
)
@many
def test_newer_driver_on_the_same_branch_never_loses_a_verdict(
    image: ImageRow, gpu: hosts.HostGpu, older: DriverVersion, minor: int, patch: int, wsl: bool
) -> None:
    branch, second, third = (*older.numbers, 0, 0)[:3]
    newer = DriverVersion(f"{branch}.{second + minor}.{third + patch if minor == 0 else patch}")
    before = judge(image, host_of(older, (gpu,), wsl=wsl), MATRIX).verdict
    after = judge(image, host_of(newer, (gpu,), wsl=wsl), MATRIX).verdict
    assert after.rank <= before.rank


@given(images, what_if_hosts, gpus)
@many
def test_another_gpu_never_improves_a_verdict(image: ImageRow, host: Host, another: hosts.HostGpu) -> None:
    assert not isinstance(host.gpus, Unread)
    more = replace(host, gpus=(*host.gpus, another))
    assert judge(image, more, MATRIX).verdict.rank >= judge(image, host, MATRIX).verdict.rank
    as_asked = worst(*(judge(image, replace(host, gpus=(gpu,)), MATRIX).verdict for gpu in host.gpus))
    assert judge(image, host, MATRIX).verdict is as_asked


def _unread_one_by_one(facts: Facts) -> dict[str, Facts]:
    """The machine with one thing after the other unread."""
    assert not isinstance(facts.gpus, Unread)
    first, rest = facts.gpus[0], facts.gpus[1:]
    return {
        "driver": replace(facts, driver=replace(facts.driver, version=UNREAD)),
        "driver_cuda_version": replace(facts, driver=replace(facts.driver, driver_cuda_version=UNREAD)),
        "gpus": replace(facts, gpus=UNREAD),
        "gpus and pci_gpus": replace(facts, gpus=UNREAD, pci_gpus=UNREAD),
        "name": replace(facts, gpus=(replace(first, name=UNREAD), *rest)),
        "brand": replace(facts, gpus=(replace(first, brand=UNREAD), *rest)),
        "name and brand": replace(facts, gpus=(replace(first, name=UNREAD, brand=UNREAD), *rest)),
        "capability": replace(facts, gpus=(replace(first, compute_capability=UNREAD), *rest)),
        "capability and name": replace(facts, gpus=(replace(first, compute_capability=UNREAD, name=UNREAD), *rest)),
        "uuid": replace(facts, gpus=(replace(first, uuid=UNREAD), *rest)),
    }


@given(images, machines)
@many
def test_knowing_less_never_turns_a_bad_verdict_into_a_good_one(image: ImageRow, facts: Facts) -> None:
    before = judge(image, hosts.from_facts(facts, MATRIX), MATRIX).verdict
    for what, poorer in _unread_one_by_one(facts).items():
        after = judge(image, hosts.from_facts(poorer, MATRIX), MATRIX).verdict
        assert before.runs or not after.runs, what


def _minors(rows: tuple[ImageRow, ...]) -> list[str]:
    return sorted({"{}.{}".format(*row.tensorflow.minor) for row in rows if row.tensorflow is not None})


_SPECS = _minors(MATRIX.images)

_ranges = st.tuples(st.sampled_from(_SPECS), st.sampled_from(_SPECS)).map(lambda pair: f">={pair[0]},<={pair[1]}.99")
requests = st.one_of(
    st.tuples(st.sampled_from(_minors(catalogue())), st.sampled_from((None, None, None, "3.6", "3.8"))).map(
        lambda asked: Request(tf=asked[0], python=asked[1])
    ),
    st.sampled_from(("latest", "1", "2", "2.4.0", "2.4.1", "2.5.3")).map(lambda spec: Request(tf=spec)),
    _ranges.map(lambda spec: Request(tf=spec)),
    st.sampled_from([row.tag for row in catalogue()]).map(lambda tag: Request(tag=tag)),
)


@given(requests, what_if_hosts)
@plenty
def test_what_advice_promises_comes_true(request: Request, host: Host) -> None:
    resolution = resolve(request, host, MATRIX)
    assert resolution.best is None or not resolution.advice
    assert not isinstance(host.gpus, Unread)
    for advice in resolution.advice:
        if advice.driver is None:
            (tag,) = advice.unlocks
            assert resolve(Request(tag=tag, python=request.python), host, MATRIX).verdict.runs
            continue
        newest_of_branch = DriverVersion(f"{advice.driver.branch}.999")
        for driver in (advice.driver, newest_of_branch):
            later = host_of(driver, host.gpus, wsl=host.wsl, arch=host.architecture)
            unlocked = resolve(request, later, MATRIX)
            assert unlocked.best is not None
            assert unlocked.best.image.tag in advice.unlocks or driver is newest_of_branch
            for promised in advice.unlocks:
                assert resolve(Request(tag=promised), later, MATRIX).verdict.runs, (promised, driver)


def _runs(resolution: Resolution, host: Host) -> bool:
    """Whether any candidate that surely holds what was asked for runs on another host."""
    sure = [one for one in resolution.candidates if "tensorflow" not in {reason.rule for reason in one.reasons}]
    return any(judge(one.image, host, MATRIX).verdict.runs for one in sure)


@given(requests, what_if_hosts)
@many
def test_advised_driver_is_the_least_newer_one_that_helps(request: Request, host: Host) -> None:
    resolution = resolve(request, host, MATRIX)
    assert not isinstance(host.gpus, Unread)
    assert isinstance(host.driver, DriverVersion)
    for advice in resolution.advice:
        if advice.driver is None or advice.driver < host.driver:
            continue
        for driver in boundaries():
            if not host.driver < driver < advice.driver or driver.branch == advice.driver.branch:
                continue
            between = host_of(driver, host.gpus, wsl=host.wsl, arch=host.architecture)
            assert not _runs(resolution, between), (advice.driver, driver)


@given(requests, what_if_hosts)
@many
def test_where_no_driver_is_advised_none_would_have_helped(request: Request, host: Host) -> None:
    resolution = resolve(request, host, MATRIX)
    assert not isinstance(host.gpus, Unread)
    advised = any(advice.driver is not None for advice in resolution.advice)
    if resolution.best is not None or not resolution.candidates or advised or host.wsl or host.jetson:
        return
    for driver in boundaries()[::9]:
        assert not _runs(resolution, host_of(driver, host.gpus, arch=host.architecture)), driver


@given(st.sampled_from(_SPECS), what_if_hosts)
@few
def test_best_of_each_minor_is_what_resolve_would_choose(spec: str, host: Host) -> None:
    by_minor = {
        "{}.{}".format(*one.image.tensorflow.minor): one for one in runnable(host, MATRIX) if one.image.tensorflow
    }
    resolution = resolve(Request(tf=spec), host, MATRIX)
    if spec in by_minor:
        assert resolution.candidates[0].verdict is by_minor[spec].verdict
    else:
        assert host.jetson
        assert resolution.best is None


@given(requests, what_if_hosts, st.permutations((0, 1, 2)), st.booleans())
@many
def test_answer_is_the_same_whether_or_not_a_like_host_was_asked_before(
    request: Request, host: Host, order: list[int], listed: bool
) -> None:
    assert not isinstance(host.gpus, Unread)
    count = len(host.gpus)
    like = replace(
        host,
        gpus=tuple(
            replace(host.gpus[place % count], subject=f"GPU-{place}", index=place, listed_by_driver=listed)
            for place in order
        ),
    )
    assert not isinstance(like.gpus, Unread)
    cold = resolve(request, like, copy.copy(MATRIX))  # another matrix is not known yet
    resolve(request, host, MATRIX)
    for _ in range(2):
        warm = resolve(request, like, MATRIX)
        assert warm == cold
    for candidate in warm.candidates:
        ruling = judge(candidate.image, like, MATRIX)
        assert candidate.gpus == ruling.gpus
        assert tuple(one.gpu for one in candidate.gpus) == (like.gpus if candidate.gpus else ())
        assert candidate.verdict is worst(ruling.verdict, *(reason.verdict for reason in candidate.reasons))


@pytest.mark.parametrize("gpus", ["none", None])
def test_same_host_in_same_answer_out(gpus: str | None) -> None:
    host = host_of(DriverVersion("470.57"), classes()[:2])
    first, second = (resolve(Request(tf="1.15", gpus=gpus), host, MATRIX) for _ in range(2))
    assert first == second
