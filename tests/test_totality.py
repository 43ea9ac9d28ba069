"""Judging is total: every tag, class of GPU and driver boundary with its neighbours has a verdict and a reason.

The product of all three is millions of cases. Every rule reads two of the three at most, so each pair is tried whole,
and what `judge` makes of them is held against the worst of the rules. The whole product is a `long` test.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest

from gpudoctor import host as hosts
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import ImageRow
from gpudoctor.readings import Unread
from gpudoctor.rules import (
    bundled_driver,
    driver_knows_gpu,
    driver_route,
    gpu_code,
    gpu_range,
    has_kernels_as_ptx_alone,
    judge,
    platform,
)
from gpudoctor.verdicts import Reason, Ruling, Verdict, deciding, worst
from gpudoctor.versions import DriverVersion
from tests.hosts import shipped
from tests.properties.strategies import boundaries, catalogue, classes, distinct_images, host_of, neighbours

MATRIX = shipped()


def kind(gpu: HostGpu) -> tuple[object, ...]:
    """What the rules know of a GPU."""
    machine = (gpu.jetson, gpu.architecture)
    return (gpu.compute_capability, gpu.data_center, gpu.product_first_branch, *machine, gpu.bare_capability)


def answered(ruling: Ruling, *about: object) -> None:
    """A rule may pass in silence; whatever else it says has a sentence and a source, and hangs on one of them."""
    assert isinstance(ruling.verdict, Verdict)
    assert ruling.verdict is not Verdict.NO_SUCH_IMAGE, about
    if ruling.verdict is not Verdict.RUNS:
        assert deciding(ruling.verdict, ruling.reasons) is not None, about
    assert all(reason.detail and reason.source for reason in ruling.reasons), about


def by_branch() -> list[list[DriverVersion]]:
    """All drivers of interest, branch by branch, each from the oldest to the newest."""
    return [list(drivers) for _, drivers in groupby(boundaries(), key=lambda driver: driver.branch)]


@pytest.mark.parametrize("wsl", [False, True])
def test_every_class_of_gpu_has_an_answer_at_every_driver_and_keeps_it_within_a_branch(wsl: bool) -> None:
    asked = 0
    for gpu in classes():
        for branch in by_branch():
            rulings = [driver_knows_gpu(gpu, host_of(driver, (gpu,), wsl=wsl), MATRIX) for driver in branch]
            for ruling in rulings:
                answered(ruling, gpu.label, branch)
            assert [one.verdict.rank for one in rulings] == sorted((one.verdict.rank for one in rulings), reverse=True)
            asked += len(rulings)
    assert asked == len(classes()) * len(boundaries()) > 25_000


def test_every_tag_has_an_answer_for_every_class_of_gpu() -> None:
    asked = 0
    for image in catalogue():
        for gpu in classes():
            for rule in (gpu_range, gpu_code):
                answered(rule(image, gpu, MATRIX), image.tag, gpu.label)
            asked += 1
    assert asked == len(catalogue()) * len(classes()) > 10_000


def test_every_tag_has_an_answer_for_every_processor() -> None:
    gpu, jetson = hosts.named_gpu("A100", MATRIX), hosts.named_gpu("Jetson AGX Orin", MATRIX)
    driver = DriverVersion("550.54.15")
    x86, arm = host_of(driver, (gpu,), arch="x86_64"), host_of(driver, (gpu,), arch="aarch64")
    for image in catalogue():
        for host in (x86, arm, host_of(driver, (jetson,)), replace(x86, architecture="riscv64")):
            answered(platform(image, host, MATRIX), image.tag, host.architecture)


@pytest.mark.parametrize("wsl", [False, True])
def test_every_image_has_a_road_or_a_reason_at_every_driver_and_newer_of_a_branch_is_never_worse(wsl: bool) -> None:
    a100, rtx = hosts.named_gpu("A100", MATRIX), hosts.named_gpu("RTX 3090", MATRIX)
    kinds = (a100,) if wsl else (a100, rtx)  # on WSL no GPU has forward compatibility
    images = {(row.cuda, row.bundled_driver, row.min_driver_stated, row.forward_compat): row for row in catalogue()}
    asked = 0
    for image in images.values():
        for gpu in kinds:
            for needs_jit in (False, True):
                for branch in by_branch():
                    ranks = []
                    for driver in branch:
                        ruling = driver_route(image, gpu, _quick_host(driver, wsl=wsl), MATRIX, needs_jit=needs_jit)
                        assert deciding(ruling.verdict, ruling.reasons) is not None, (image.tag, gpu.label, driver)
                        ranks.append(ruling.verdict.rank)
                    assert ranks == sorted(ranks, reverse=True), (image.tag, gpu.label, branch[0].branch)
                    asked += len(ranks)
    assert asked == len(images) * len(kinds) * 2 * len(boundaries())


_HOSTS: dict[tuple[DriverVersion, bool], Host] = {}


def _quick_host(driver: DriverVersion, *, wsl: bool) -> Host:
    """The route asks the host for its driver alone: one host for each serves every image and GPU."""
    return _HOSTS.setdefault((driver, wsl), host_of(driver, (hosts.named_gpu("A100", MATRIX),), wsl=wsl))


def own_boundaries(image: ImageRow, gpu: HostGpu) -> tuple[DriverVersion, ...]:
    """The drivers at which this image's verdict on this GPU can change, with their neighbours."""
    assert not isinstance(gpu.compute_capability, Unread)
    generation = MATRIX.generation(gpu.compute_capability)
    assert generation is not None
    floor = None if image.cuda is None else MATRIX.minor_version_row(image.cuda.major)
    named = {
        gpu.product_first_branch or generation.first_branch,
        generation.last_branch,
        bundled_driver(image, MATRIX),
        None if floor is None else floor.min_driver,
        *(image.forward_compat or ()),
    } - {None}
    found = {one for boundary in named if boundary is not None for one in neighbours(boundary)}
    return tuple(sorted(found)) or (DriverVersion("470.57.02"),)


def judged_by_its_parts(image: ImageRow, gpu: HostGpu, driver: DriverVersion) -> Verdict:
    """What `judge` says, after holding it against the worst of the rules asked one by one."""
    host = host_of(driver, (gpu,))
    ruling = judge(image, host, MATRIX)
    reasons: tuple[Reason, ...] = (*ruling.reasons, *(reason for one in ruling.gpus for reason in one.reasons))
    assert deciding(ruling.verdict, reasons) is not None, (image.tag, gpu.label, driver)
    if image.broken is not None:
        assert ruling.verdict is Verdict.WILL_NOT_RUN
        return ruling.verdict
    code = gpu_code(image, gpu, MATRIX).verdict
    in_range = gpu_range(image, gpu, MATRIX).verdict
    compiles = code is Verdict.RUNS_WITH_PTX_JIT or has_kernels_as_ptx_alone(image, gpu)
    needs_jit = compiles and in_range is not Verdict.WILL_NOT_RUN
    parts = (
        platform(image, host, MATRIX).verdict,
        driver_knows_gpu(gpu, host, MATRIX).verdict,
        in_range,
        Verdict.RUNS if in_range is Verdict.WILL_NOT_RUN else code,
        driver_route(image, gpu, host, MATRIX, needs_jit=needs_jit).verdict,
    )
    assert ruling.verdict is worst(*parts), (image.tag, gpu.label, driver, parts)
    return ruling.verdict


def test_every_image_on_every_class_is_judged_as_its_rules_say_at_drivers_dealt_in_turn() -> None:
    # Several drivers for each pair, so that in the end every image, every class and every driver have met often.
    drivers, judged, verdicts = boundaries(), 0, set()
    for image in distinct_images():
        for gpu in classes():
            own = own_boundaries(image, gpu)
            dealt = {
                drivers[(judged * 7) % len(drivers)],
                *(own[(judged + step) % len(own)] for step in range(0, 12, 3)),
            }
            for driver in dealt:
                verdicts.add(judged_by_its_parts(image, gpu, driver))
                judged += 1
    assert judged > 35_000
    assert verdicts == {*Verdict} - {Verdict.NO_SUCH_IMAGE}


@pytest.mark.long
def test_every_tag_on_every_class_of_gpu_at_every_driver_is_judged() -> None:
    judged = 0
    for driver in boundaries():
        for gpu in classes():
            host = host_of(driver, (gpu,))
            for image in catalogue():
                ruling = judge(image, host, MATRIX)
                reasons = (*ruling.reasons, *(reason for one in ruling.gpus for reason in one.reasons))
                assert deciding(ruling.verdict, reasons) is not None, (image.tag, gpu.label, driver)
                judged += 1
    assert judged == len(boundaries()) * len(classes()) * len(catalogue())


# --- products of a class ---


def test_products_of_a_class_differ_in_their_names_alone() -> None:
    representatives = {kind(gpu): gpu for gpu in classes()}
    for product in MATRIX.gpus:
        gpu = hosts.named_gpu(product.name, MATRIX)
        same = representatives[kind(gpu)]
        assert replace(gpu, label=same.label, subject=same.subject, brand=same.brand) == same, product.name


def test_products_of_a_class_agree_on_every_tag_and_on_every_driver() -> None:
    by_driver: dict[tuple[object, ...], list[Verdict]] = {}
    by_image: dict[tuple[object, ...], list[Verdict]] = {}
    for product in MATRIX.gpus:
        gpu = hosts.named_gpu(product.name, MATRIX)
        at_drivers = [driver_knows_gpu(gpu, _quick_host(driver, wsl=False), MATRIX).verdict for driver in boundaries()]
        of_images = [
            verdict
            for image in distinct_images()
            for verdict in (gpu_range(image, gpu, MATRIX).verdict, gpu_code(image, gpu, MATRIX).verdict)
        ]
        assert by_driver.setdefault(kind(gpu), at_drivers) == at_drivers, product.name
        assert by_image.setdefault(kind(gpu), of_images) == of_images, product.name
    assert len(by_driver) == len([gpu for gpu in classes() if not gpu.bare_capability])


def test_products_of_a_class_are_judged_alike() -> None:
    drivers = [
        DriverVersion(text) for text in ("384.111", "450.80.02", "470.57.02", "525.60.12", "535.86.10", "580.95.05")
    ]
    found: dict[tuple[object, ...], list[Verdict]] = {}
    for product in MATRIX.gpus:
        gpu = hosts.named_gpu(product.name, MATRIX)
        verdicts = [
            judge(image, host_of(driver, (gpu,)), MATRIX).verdict
            for driver in drivers
            for image in distinct_images()[::5]
        ]
        assert found.setdefault(kind(gpu), verdicts) == verdicts, product.name


def test_tags_that_the_rules_cannot_tell_apart_are_judged_alike() -> None:
    # The ground for asking one image of each kind.
    drivers = [DriverVersion(text) for text in ("418.87", "455.23", "510.39", "525.60.12", "535.86.10", "580.95.05")]
    same: dict[tuple[object, ...], list[Verdict]] = {}
    for image in catalogue():
        key = tuple(
            getattr(image, name)
            for name in ("release", "igpu", "arm64", "min_capability", "built_for", "ptx", "broken", "cuda",
                         "bundled_driver", "min_driver_stated", "forward_compat")
        )  # fmt: skip
        verdicts = [
            judge(image, host_of(driver, (gpu,)), MATRIX).verdict for driver in drivers for gpu in classes()[::4]
        ]
        assert same.setdefault(key, verdicts) == verdicts, image.tag
    assert len(same) == len(distinct_images())
