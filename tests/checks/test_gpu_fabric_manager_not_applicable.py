"""gpu-fabric-manager-not-applicable: a service that has nothing to do, explained."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, facts_of, gpu, unread

CHECK = "gpu-fabric-manager-not-applicable"


INSTALLED: dict[str, Any] = {"programs": ("/usr/bin/nv-fabricmanager", "/usr/bin/nvidia-smi")}


def test_a_machine_without_it_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_one_that_is_installed_for_nothing_is_worth_a_line_and_never_more() -> None:
    (finding,) = answer(CHECK, facts_of(system=INSTALLED)).findings
    assert finding.severity is Severity.INFO
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo systemctl disable --now nvidia-fabricmanager",)


@pytest.mark.parametrize(
    "changed",
    [
        {"gpus": (data_center_gpu(),)},
        {"driver": {"nvswitches": 4}},
        {"driver": {"nvswitches": unread()}},
        {"gpus": ()},
        {"system": {**INSTALLED, "container": "docker"}},
        {"system": {**INSTALLED, "wsl": True}},
    ],
)
def test_where_it_has_something_to_do_or_that_is_not_known_nobody_asks(changed: dict[str, Any]) -> None:
    facts = facts_of(**{"system": INSTALLED, "gpus": (gpu(),), **changed})
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


def test_unread_programs_are_unknown() -> None:
    assert answer(CHECK, facts_of(system={"programs": unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        (
            "request to query NVSwitch device information from NVSwitch driver failed with error:WARNING"
            " Nothing to do [NV_WARN_NOTHING_TO_DO]"
        ),
        "nv-fabricmanager[1123]: NV_WARN_NOTHING_TO_DO",
        "request to query NVSwitch device information failed",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Error 802: system not yet initialized",
        "Started NVIDIA fabric manager service.",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
