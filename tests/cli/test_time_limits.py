"""A time limit is a number: what Python takes for one and no clock ever reaches is bad input."""

from __future__ import annotations

import pytest

from tests.cli import assert_one_line, gpudoctor


@pytest.mark.parametrize(
    "command",
    [
        ("check", "--timeout"),
        ("probe", "--timeout"),
        ("resolve", "--timeout"),
        ("smoke", "--timeout"),
        ("run", "--smoke-timeout"),
    ],
)
@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "0", "-1", "soon", ""])
def test_what_is_no_time_limit_is_refused(command: tuple[str, str], value: str) -> None:
    said, _ = assert_one_line(gpudoctor(command[0], f"{command[1]}={value}"), code=2)
    assert command[1] in said


def test_an_interpreter_without_a_name_is_said_to_have_none() -> None:
    ended = gpudoctor("smoke", "--python", "", "--device", "cpu")
    assert ended.code == 3
    assert "there is no interpreter named ''" in ended.out
