"""Versions are read, compared and printed as their makers write them."""

from __future__ import annotations

import copy
import operator
import pickle
from itertools import pairwise

import pytest

from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion, TfVersion, Version, VersionError

KINDS: tuple[type[Version], ...] = (DriverVersion, CudaVersion, ComputeCapability, TfVersion)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (DriverVersion, ("384.81", "450.80.02", "455.45.00", "455.45.01", "455.45.10", "510.39", "510.47", "1000.1")),
        (CudaVersion, ("8.0", "9.2", "10.0", "10.2.89", "11.0", "11.1", "11.10", "12.0")),
        (ComputeCapability, ("3.5", "5.0", "7.5", "8.6", "8.9", "9.0", "10.0", "12.1")),
        (TfVersion, ("0.12.0-dev", "1.9", "1.12.0-rc2", "1.12.0-rc10", "1.12.0", "1.15.5", "2", "2.1", "2.10", "2.17")),
    ],
)
def test_versions_stand_in_the_order_of_their_numbers(kind: type[Version], texts: tuple[str, ...]) -> None:
    versions = [kind(text) for text in texts]
    assert [str(version) for version in versions] == list(texts)
    for older, newer in pairwise(versions):
        assert older < newer
        assert older <= newer
        assert newer > older
        assert newer >= older
        assert older != newer


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (DriverVersion("455.45.01"), DriverVersion("455.45.1")),
        (DriverVersion("450"), DriverVersion("450.00.00")),
        (CudaVersion("11.1"), CudaVersion("11.1.0")),
        (ComputeCapability("9.0"), ComputeCapability("09.0")),
        (TfVersion("2.17"), TfVersion("2.17.0")),
    ],
)
def test_missing_numbers_are_zero_and_the_text_stays(left: Version, right: Version) -> None:
    assert left == right
    assert hash(left) == hash(right)
    assert str(left) != str(right)


def test_ten_is_not_one() -> None:
    assert TfVersion("2.10") > TfVersion("2.9")
    assert TfVersion("2.10") != TfVersion("2.1")
    assert CudaVersion("12.10") > CudaVersion("12.9")
    assert ComputeCapability("10.0") > ComputeCapability("9.0")


def test_prerelease_comes_before_its_release_and_after_the_one_before() -> None:
    assert TfVersion("1.11.0") < TfVersion("1.12.0-dev") < TfVersion("1.12.0-beta1") < TfVersion("1.12.0-rc0")
    assert TfVersion("1.12.0-rc0") < TfVersion("1.12.0")


def test_versions_of_two_kinds_are_never_equal_and_have_no_order() -> None:
    assert CudaVersion("11.1") != DriverVersion("11.1")
    assert CudaVersion("11.1") != "11.1"
    for other in (DriverVersion("450.36"), "11.2", 11.2):
        for compare in (operator.lt, operator.le, operator.gt, operator.ge):
            with pytest.raises(TypeError):
                compare(CudaVersion("11.1"), other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    ["", " ", ".", "1.", ".1", "1..2", "x", "1.x", "v1.2", "1.2 ", " 1.2", "1.2\n", "-1.2", "1,2", "١.٢", "1.²"],
)
def test_what_is_no_version_is_refused(kind: type[Version], text: str) -> None:
    with pytest.raises(VersionError, match="looks like"):
        kind.parse(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, 1, 11.1, True, ["1.2"], {"a": 1}, b"1.2"])
def test_what_is_no_text_is_refused_with_an_example(kind: type[Version], value: object) -> None:
    with pytest.raises(VersionError, match="as text like"):
        kind.parse(value)


@pytest.mark.parametrize("text", ["1" * 65, "1.2" + "0" * 64, "1.2." * 100])
@pytest.mark.parametrize("kind", KINDS)
def test_absurdly_long_text_is_refused_in_a_short_line(kind: type[Version], text: str) -> None:
    with pytest.raises(VersionError) as refused:
        kind.parse(text)
    assert len(str(refused.value)) < 200
    with pytest.raises(VersionError) as refused:
        kind.parse([text] * 1000)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ComputeCapability, "8"),
        (ComputeCapability, "8.6.1"),
        (TfVersion, "1.15.5.1"),
        (DriverVersion, "1.2.3.4.5"),
        (TfVersion, "1.12.0-"),
        (TfVersion, "1.12.0-rc2-x"),
        (TfVersion, "1.15.5-nv22"),
        (TfVersion, "1.12.0-2"),
    ],
)
def test_wrong_number_of_parts_is_refused(kind: type[Version], text: str) -> None:
    with pytest.raises(VersionError):
        kind(text)


def test_branch_of_a_driver_is_its_first_number() -> None:
    assert DriverVersion("535.129.03").branch == 535
    assert DriverVersion("535").branch == 535


@pytest.mark.parametrize(
    ("number", "text"),
    [(11010, "11.1"), (9020, "9.2"), (10020, "10.2"), (12080, "12.8"), (12100, "12.10"), (8000, "8.0")],
)
def test_cuda_version_is_read_as_nvml_gives_it(number: int, text: str) -> None:
    # docs.nvidia.com/deploy/nvml-api: 1000 * major + 10 * minor (2026-11)
    version = CudaVersion.from_nvml(number)
    assert str(version) == text
    assert f"{version.major}.{version.minor}" == text


def test_minor_is_zero_where_none_is_given() -> None:
    assert (CudaVersion("12").major, CudaVersion("12").minor) == (12, 0)
    assert ComputeCapability("9.0").minor == 0
    assert TfVersion("2").minor == (2, 0)
    assert TfVersion("1.15.5").minor == (1, 15)


@pytest.mark.parametrize("version", [DriverVersion("455.45.01"), TfVersion("1.12.0-rc2"), ComputeCapability("8.6")])
def test_version_is_immutable_and_survives_copy_and_pickle(version: Version) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        version.text = "1.0"
    for twin in (copy.copy(version), copy.deepcopy(version), pickle.loads(pickle.dumps(version))):
        assert twin == version
        assert str(twin) == str(version)
        assert type(twin) is type(version)
