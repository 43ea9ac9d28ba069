"""TensorFlow's own images: used where NVIDIA has none, named as what they are."""

from __future__ import annotations

import pytest

from gpudoctor.matrix import Matrix
from gpudoctor.render import resolution_to_text, to_json
from gpudoctor.resolve import Request, Resolution, resolve
from gpudoctor.verdicts import Verdict
from tests.hosts import named, shipped


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return shipped()


def asked(matrix: Matrix, tf: str, driver: str, gpu: str) -> Resolution:
    return resolve(Request(tf=tf), named(driver, gpu), matrix)


@pytest.mark.parametrize("tf", ["1.15", "2.17", "latest", ">=2.10", "2"])
def test_where_nvidia_has_an_image_no_other_is_offered(matrix: Matrix, tf: str) -> None:
    resolution = asked(matrix, tf, "570.124.06", "NVIDIA A100-SXM4-40GB")
    assert resolution.candidates
    assert not any(candidate.image.upstream for candidate in resolution.candidates)


def test_a_version_without_an_image_of_nvidias_is_tensorflows_own_and_said_to_be(matrix: Matrix) -> None:
    resolution = asked(matrix, "1.6", "418.87.00", "Tesla V100-SXM2-16GB")
    assert resolution.best is not None
    assert resolution.best.reference == "docker.io/tensorflow/tensorflow:1.6.0-gpu-py3"
    assert resolution.best.verdict is Verdict.RUNS
    assert "TensorFlow's own image, not NVIDIA's" in resolution_to_text.resolution(resolution)
    assert to_json.resolution(resolution, matrix)["best"]["catalogue"] == "upstream"


# https://github.com/tensorflow/tensorflow/issues/62412: 2.18 is the first whose image finds no GPU as shipped.
@pytest.mark.parametrize("tf", ["2.18", "2.19", "2.20", "2.21"])
def test_images_that_are_broken_as_shipped_are_not_chosen_and_say_what_mends_them(matrix: Matrix, tf: str) -> None:
    resolution = asked(matrix, tf, "580.95.05", "NVIDIA A100-SXM4-40GB")
    assert resolution.best is None
    assert resolution.verdict is Verdict.WILL_NOT_RUN
    (reason,) = resolution.candidates[0].all_reasons
    assert (reason.rule, "cuDNN 9" in reason.detail, "inside it" in reason.detail) == ("as_shipped", True, True)
    assert [advice.unlocks for advice in resolution.advice] == [("25.02-tf2-py3",)]


def test_on_the_cpu_a_broken_image_is_as_good_as_any(matrix: Matrix) -> None:
    host = named("580.95.05", "NVIDIA A100-SXM4-40GB")
    resolution = resolve(Request(tf="2.20", gpus="none"), host, matrix)
    assert resolution.best is not None
    assert resolution.best.image.tag == "2.20.0-gpu"


def test_tensorflow_2_17_upstream_is_judged_by_the_same_rules(matrix: Matrix) -> None:
    def verdict(driver: str, gpu: str) -> Verdict:
        host = named(driver, gpu)
        return resolve(Request(tag="2.17.0-gpu"), host, matrix).verdict

    assert verdict("545.23.06", "RTX 4090") is Verdict.RUNS
    assert verdict("525.60.13", "RTX 4090") is Verdict.RUNS_WITH_MINOR_VERSION_COMPAT
    assert verdict("525.60.12", "RTX 4090") is Verdict.WILL_NOT_RUN
    assert verdict("470.57.02", "NVIDIA A100-SXM4-40GB") is Verdict.RUNS_WITH_FORWARD_COMPAT
    # Its build list begins with 6.0, and there is no code for Blackwell.
    assert verdict("545.23.06", "GeForce GTX 980") is Verdict.WILL_NOT_RUN
    assert verdict("580.95.05", "GeForce RTX 5090") is Verdict.WILL_NOT_RUN


# https://github.com/NVIDIA/gpu-operator/issues/389: a K80 on 470 fails once a newer image's libcuda is used.
def test_a_libcuda_that_dropped_the_gpu_is_no_way_out(matrix: Matrix) -> None:
    resolution = resolve(Request(tag="2.14.0-gpu"), named("470.82.01", "Tesla K80"), matrix)
    reasons = {reason.rule: reason for reason in resolution.candidates[0].all_reasons}
    assert reasons["forward_compat"].verdict is Verdict.WILL_NOT_RUN
    assert "470 was the last that drives Tesla K80" in reasons["forward_compat"].detail
    # Its own driver is of the same CUDA major, which needs no newer libcuda.
    assert resolution.verdict is Verdict.RUNS_WITH_MINOR_VERSION_COMPAT


def test_images_older_than_the_compat_package_have_no_forward_compatibility(matrix: Matrix) -> None:
    resolution = resolve(Request(tag="18.04-py3"), named("375.26", "Tesla P100-PCIE-16GB"), matrix)
    assert resolution.verdict is Verdict.WILL_NOT_RUN
    assert any("it begins with 10.0" in reason.detail for reason in resolution.candidates[0].all_reasons)
