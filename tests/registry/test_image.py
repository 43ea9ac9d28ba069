"""What an image says of itself as a row of the matrix, and the verdict on it, without any registry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import host as hosts
from gpudoctor import matrix as matrices
from gpudoctor.host import Host
from gpudoctor.image import CompatList, ImageFacts, driver_cuda_version, pairs, resolve_image, to_row
from gpudoctor.readings import Unread, Why
from gpudoctor.resolve import Request, Resolution
from gpudoctor.verdicts import Verdict
from gpudoctor.versions import CudaVersion, DriverVersion

MATRIX = matrices.load()


def facts(repository: str = "example.org/some/image", tag: str = "1", **environment: str) -> ImageFacts:
    return ImageFacts(
        reference=f"{repository}:{tag}",
        repository=repository,
        tag=tag,
        digest="sha256:" + "0" * 64,
        platforms=("linux/amd64",),
        platform="linux/amd64",
        packed_bytes=1,
        layers=1,
        environment=tuple(environment.items()),
        labels=(),
        entrypoint=(),
        created="",
        source="example.org",
        bytes_read=1,
    )


def host(driver: str, *gpus: str, wsl: bool = False) -> Host:
    named = tuple(hosts.named_gpu(gpu, MATRIX) for gpu in gpus)
    return hosts.what_if(driver=DriverVersion(driver), gpus=named, architecture=None, wsl=wsl, base=None)


def judged(image: ImageFacts, on: Host, compat: CompatList | None = None) -> Resolution:
    return resolve_image(image, Request(image=image.reference), on, MATRIX, compat)


def test_cuda_version_becomes_the_number_of_its_toolkit() -> None:
    assert to_row(facts(CUDA_VERSION="11.8.0.065"), MATRIX).cuda == CudaVersion("11.8.0")
    assert to_row(facts(CUDA_VERSION="11.8"), MATRIX).cuda == CudaVersion("11.8.0")
    # A patch that the matrix does not list is judged as the newest of its minor, and said to be derived.
    newest = to_row(facts(CUDA_VERSION="12.4.9"), MATRIX)
    assert newest.cuda == CudaVersion("12.4.1")
    assert "cuda" in newest.derived
    assert to_row(facts(CUDA_VERSION="99.1"), MATRIX).cuda == CudaVersion("99.1")


def test_an_unknown_image_of_nvidia_has_its_month() -> None:
    row = to_row(facts(CUDA_VERSION="11.8.0", NVIDIA_TENSORFLOW_VERSION="22.12-tf1", PYVER="3.8"), MATRIX)
    assert (row.release, row.python) == ("22.12", "3.8")
    assert to_row(facts(CUDA_VERSION="11.8.0"), MATRIX).release == "0"
    labelled = replace(facts(), labels=(("com.nvidia.tensorflow.version", "23.03-tf1"),))
    assert to_row(labelled, MATRIX).release == "23.03"


def test_a_row_of_the_same_tag_and_another_cuda_lends_nothing() -> None:
    own = to_row(facts("mirror/tensorflow", "22.12-tf1-py3", CUDA_VERSION="11.8.0"), MATRIX)
    assert own.built_for is not None
    other = to_row(facts("mirror/tensorflow", "22.12-tf1-py3", CUDA_VERSION="12.1.0"), MATRIX)
    assert (other.built_for, other.forward_compat) == (None, None)
    elsewhere = to_row(facts("mirror/pytorch", "22.12-tf1-py3", CUDA_VERSION="11.8.0"), MATRIX)
    assert elsewhere.built_for is None


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("455.45.01", "11.1"),
        ("450.36", "11.0"),
        ("470.256.02", "11.4"),
        ("535.129.03", "12.2"),
        ("340.108", None),
    ],
)
def test_the_cuda_of_a_driver_follows_from_its_branch(driver: str, cuda: str | None) -> None:
    found = driver_cuda_version(host(driver, "8.6"), MATRIX)
    assert (found == CudaVersion(cuda)) if cuda else isinstance(found, Unread)


def test_a_probed_driver_tells_its_cuda_itself() -> None:
    probed = replace(host("535.129.03", "8.6"), driver_cuda_version=CudaVersion("12.3"))
    assert driver_cuda_version(probed, MATRIX) == CudaVersion("12.3")


@pytest.mark.parametrize(
    ("driver", "verdict"),
    [
        ("450.80.02", Verdict.RUNS_WITH_FORWARD_COMPAT),  # NVML calls an A100 tesla under 450, and nvidia from 470 on
        ("470.57.02", Verdict.RUNS_WITH_FORWARD_COMPAT),
    ],
)
def test_brands_are_those_that_the_driver_knows(driver: str, verdict: Verdict) -> None:
    image = facts(
        CUDA_VERSION="11.8.0",
        NVIDIA_REQUIRE_CUDA="cuda>=11.8 brand=tesla,driver>=450,driver<451 brand=nvidia,driver>=470,driver<471",
    )
    resolution = judged(image, host(driver, "NVIDIA A100-SXM4-40GB"))
    met = [one.detail for one in resolution.candidates[0].all_reasons if " is met by " in one.detail]
    assert len(met) == 1
    assert resolution.verdict in (verdict, Verdict.RUNS_WITH_MINOR_VERSION_COMPAT)


def test_a_bare_capability_has_no_brand_and_the_reason_says_so() -> None:
    image = facts(CUDA_VERSION="12.1.1", NVIDIA_REQUIRE_CUDA="cuda>=12.1 brand=geforce,driver>=525,driver<526")
    resolution = judged(image, host("525.85.12", "8.6"))
    assert resolution.verdict is Verdict.RUNS_UNSUPPORTED
    said = " | ".join(one.detail for one in resolution.candidates[0].all_reasons)
    assert "the brand is not known (the GPU is named by its compute capability alone)" in said


def test_the_libraries_own_list_decides_over_the_matrix() -> None:
    image = facts("nvcr.io/nvidia/tensorflow", "20.03-tf1-py3", CUDA_VERSION="10.2.89", NVIDIA_REQUIRE_CUDA="cuda>=9.0")
    on = host("418.87.01", "NVIDIA V100")
    assert judged(image, on).verdict is Verdict.RUNS_WITH_FORWARD_COMPAT
    none = CompatList(branches=(), detail="the image holds no compat libraries", source="test")
    without = judged(image, on, none)
    assert without.verdict is Verdict.WILL_NOT_RUN
    assert "the image holds no compat libraries" in [one.detail for one in without.candidates[0].all_reasons]
    silent = CompatList(branches=None, detail="it does not say", source="test")
    assert judged(image, on, silent).verdict is Verdict.RUNS_WITH_FORWARD_COMPAT


def test_the_worst_gpu_decides() -> None:
    image = facts(CUDA_VERSION="12.4.1", NVIDIA_REQUIRE_ARCH="arch>=8.0")
    assert judged(image, host("550.54.15", "RTX 3090")).verdict is Verdict.RUNS
    mixed = judged(image, host("550.54.15", "RTX 3090", "Tesla T4"))
    assert mixed.verdict is Verdict.RUNS_UNSUPPORTED
    assert [gpu.verdict for gpu in mixed.candidates[0].gpus] == [Verdict.RUNS, Verdict.RUNS_UNSUPPORTED]


def test_words_of_a_configuration_that_are_none_are_left_out() -> None:
    assert pairs(["A=1", "B", 3, None, "C=a=b"]) == (("A", "1"), ("B", ""), ("C", "a=b"))
    assert pairs({"a": "b", "c": 1}) == (("a", "b"),)
    assert pairs("A=1") == pairs(None) == pairs(7) == ()


_NAMES = st.sampled_from(
    [
        "CUDA_VERSION",
        "CUDA_DRIVER_VERSION",
        "TENSORFLOW_VERSION",
        "NVIDIA_TENSORFLOW_VERSION",
        "NVIDIA_REQUIRE_CUDA",
        "NVIDIA_DISABLE_REQUIRE",
        "PYVER",
    ]
)
_WORDS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["11.8.0", "12.4.1", "9.0.176", "13.0", "520.61.05", "22.12-tf1", "1.15.5+nv22.12", "cuda>=12"]),
)
_GPUS = st.sampled_from(["RTX 3090", "Tesla K80", "NVIDIA A100-SXM4-40GB", "12.0", "7.5", "GeForce RTX 5090"])
_DRIVERS = st.sampled_from(["384.81", "450.80.02", "470.57.02", "535.129.03", "575.57.08", "610.43.02"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_NAMES, _WORDS), _GPUS, _DRIVERS, st.booleans())
def test_any_environment_has_a_verdict_and_sourced_reasons(
    environment: dict[str, str], gpu: str, driver: str, wsl: bool
) -> None:
    resolution = judged(facts(**environment), host(driver, gpu, wsl=wsl))
    candidate = resolution.candidates[0]
    assert candidate.all_reasons
    assert all(one.source and one.detail for one in candidate.all_reasons)
    assert (resolution.best is not None) == resolution.verdict.runs
    for advice in resolution.advice:
        if advice.driver is not None:
            assert judged(facts(**environment), host(str(advice.driver), gpu, wsl=wsl)).verdict.runs


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(_NAMES, _WORDS), _GPUS, _DRIVERS)
def test_knowing_less_of_the_gpu_never_heals(environment: dict[str, str], gpu: str, driver: str) -> None:
    full = host(driver, gpu)
    assert not isinstance(full.gpus, Unread)
    unread = Unread(source="test", why=Why.FAILED, detail="not read")
    less = replace(full, gpus=tuple(replace(one, brand=unread) for one in full.gpus))
    assert judged(facts(**environment), less).verdict.rank >= judged(facts(**environment), full).verdict.rank
