"""image-h5py3-with-tf1: an h5py that cannot load the models of an old TensorFlow."""

from __future__ import annotations

import pytest

from gpudoctor.facts import Package, PythonFacts
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, facts_of, unread
from tests.pythons import python, with_tensorflow

CHECK = "image-h5py3-with-tf1"


def with_h5py(tensorflow: str, h5py: str) -> PythonFacts:
    return with_tensorflow(tensorflow, more=(Package(name="h5py", version=h5py),))


@pytest.mark.parametrize(
    ("tensorflow", "h5py", "outcome"),
    [
        ("1.15.5", "3.8.0", Outcome.FAILED),
        ("1.15.5+nv22.12", "3.1.0", Outcome.FAILED),
        ("2.3.4", "3.0.0", Outcome.FAILED),
        ("2.4.0", "3.0.0", Outcome.PASSED),
        ("2.3.4", "2.10.0", Outcome.PASSED),
        ("2.21.0", "3.14.0", Outcome.PASSED),
    ],
)
def test_3_is_too_new_up_to_2_3(tensorflow: str, h5py: str, outcome: Outcome) -> None:
    result = answer(CHECK, facts_of(python=with_h5py(tensorflow, h5py)))
    assert result.outcome is outcome
    for finding in result.findings:
        assert finding.severity is Severity.WARNING
        assert finding.fix is not None
        assert finding.fix.commands == ("/opt/venv/bin/python -m pip install 'h5py<3'",)


def test_without_h5py_there_is_nothing_to_load_with() -> None:
    assert answer(CHECK, facts_of(python=with_tensorflow("1.15.5"))).outcome is Outcome.PASSED


def test_without_tensorflow_or_without_python_nobody_asks() -> None:
    assert answer(CHECK, facts_of(python=python(tensorflow=unread(Why.ABSENT)))).outcome is Outcome.NOT_APPLICABLE
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE


def test_what_could_not_be_read_is_a_question() -> None:
    assert answer(CHECK, facts_of(python=unread(Why.TIMEOUT))).outcome is Outcome.UNKNOWN
    assert answer(CHECK, facts_of(python=python(tensorflow=unread()))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "AttributeError: 'str' object has no attribute 'decode'",
        "    original_keras_version = f.attrs['keras_version'].decode('utf8')",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "AttributeError: 'str' object has no attribute 'encode'")
