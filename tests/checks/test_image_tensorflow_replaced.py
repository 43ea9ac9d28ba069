"""image-tensorflow-replaced: pip put another TensorFlow in place of the image's."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, PythonFacts, Variable
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, facts_of, unread
from tests.pythons import found, python, with_tensorflow

CHECK = "image-tensorflow-replaced"


def inside(facts: PythonFacts | Any, image: str = "25.02-tf2", held: str = "2.17.0", **changed: Any) -> Facts:
    variables = [Variable(name="NVIDIA_TENSORFLOW_VERSION", value=image)] if image else []
    variables += [Variable(name="TENSORFLOW_VERSION", value=held)] if held else []
    system = {"variables": tuple(variables), "container": "docker", **changed}
    return facts_of(system=system, python=facts)


def test_nvidias_own_is_well() -> None:
    assert answer(CHECK, inside(with_tensorflow("2.17.0+nv25.2"))).outcome is Outcome.PASSED
    assert answer(CHECK, inside(with_tensorflow("1.15.5+nv23.3", name="nvidia-tensorflow"))).outcome is Outcome.PASSED


def test_another_that_still_finds_its_cuda_is_a_warning() -> None:
    (finding,) = answer(CHECK, inside(with_tensorflow("2.18.1"))).findings
    assert finding.severity is Severity.WARNING
    assert finding.message == "tensorflow 2.18.1 stands in place of NVIDIA's 2.17.0 in image 25.02-tf2"


@pytest.mark.parametrize(
    "changed",
    [
        {"tensorflow_gpu_build": False},
        {"libraries": (found("libcudnn.so.9", path="", origin=""),)},
    ],
)
def test_another_without_the_gpu_is_an_error(changed: dict[str, Any]) -> None:
    (finding,) = answer(CHECK, inside(with_tensorflow("2.18.1", **changed))).findings
    assert finding.severity is Severity.ERROR
    assert finding.caused_by is None


@pytest.mark.parametrize(
    ("image", "held", "version", "outcome"),
    [
        ("20.03-tf1", "1.15.2+nv", "1.15.2", Outcome.FAILED),
        ("19.10-py3", "1.14.0", "1.14.0", Outcome.PASSED),
        ("19.10-py3", "1.14.0", "1.15.0", Outcome.FAILED),
        ("19.10-py3", "", "1.15.0", Outcome.PASSED),
    ],
)
def test_before_2020_only_another_version_tells(image: str, held: str, version: str, outcome: Outcome) -> None:
    assert answer(CHECK, inside(with_tensorflow(version), image, held)).outcome is outcome


def test_outside_such_an_image_nobody_asks() -> None:
    assert answer(CHECK, inside(python(), image="", held="2.17.0")).outcome is Outcome.NOT_APPLICABLE
    assert answer(CHECK, inside(unread(Why.NOT_ASKED))).outcome is Outcome.NOT_APPLICABLE


def test_an_environment_without_tensorflow_is_one_of_its_own() -> None:
    assert answer(CHECK, inside(python(tensorflow=unread(Why.ABSENT)))).outcome is Outcome.NOT_APPLICABLE


def test_what_could_not_be_read_is_a_question() -> None:
    assert answer(CHECK, inside(unread(Why.TIMEOUT))).outcome is Outcome.UNKNOWN
    assert answer(CHECK, inside(python(tensorflow=unread()))).outcome is Outcome.UNKNOWN
    assert answer(CHECK, facts_of(python=python(), system={"variables": unread()})).outcome is Outcome.UNKNOWN


def test_logs_that_tell_of_it() -> None:
    assert knows(CHECK, "Found existing installation: tensorflow 2.10.1+nv22.11")
    assert knows(CHECK, "      Successfully uninstalled, Uninstalling tensorflow-2.10.1+nv22.11:")
    assert not knows(CHECK, "Found existing installation: tensorflow 2.10.1")
