"""driver-uvm-missing: the node without which cuInit fails."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.fakes import NOT_LOADED, answer, driver_says, facts_of, unread

CHECK = "driver-uvm-missing"
NO_NODE = {"device_nodes": ("/dev/nvidia0", "/dev/nvidiactl")}


def test_the_node_is_well_without_anything_that_makes_it() -> None:
    assert answer(CHECK, facts_of(driver={"modprobe_helper": False})).outcome is Outcome.PASSED


def test_no_node_and_nobody_who_makes_it_is_an_error() -> None:
    result = answer(CHECK, facts_of(driver={**NO_NODE, "modprobe_helper": False}))
    assert (result.outcome, result.findings[0].severity) == (Outcome.FAILED, Severity.ERROR)


def test_no_node_before_the_first_program_is_a_warning_where_nvidia_modprobe_makes_it() -> None:
    result = answer(CHECK, facts_of(driver=NO_NODE))
    assert [finding.severity for finding in result.findings] == [Severity.WARNING]


def test_no_node_in_a_container_is_an_error_because_nobody_makes_it_there() -> None:
    result = answer(CHECK, facts_of(system={"container": "docker"}, driver=NO_NODE))
    assert [finding.severity for finding in result.findings] == [Severity.ERROR]


def test_the_tools_node_is_not_the_node() -> None:
    driver = {"device_nodes": ("/dev/nvidia-uvm-tools",), "modprobe_helper": False}
    assert answer(CHECK, facts_of(driver=driver)).outcome is Outcome.FAILED


@pytest.mark.parametrize("missing", ["device_nodes", "kernel_module_version"])
def test_what_is_unread_is_unknown(missing: str) -> None:
    facts = facts_of(driver={**NO_NODE, missing: unread(Why.FORBIDDEN)})
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


def test_a_missing_node_is_unknown_where_it_cannot_be_told_who_would_make_it() -> None:
    assert answer(CHECK, facts_of(driver={**NO_NODE, "modprobe_helper": unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"driver": {**NO_NODE, **driver_says(unread(code=18)), "modprobe_helper": False}}, "driver-library-mismatch"),
        ({"system": {"container": "docker"}, "driver": {"device_nodes": ()}}, "container-gpus-not-requested"),
    ],
)
def test_a_missing_node_names_its_root(changed: dict[str, Any], cause: str) -> None:
    assert [finding.caused_by for finding in answer(CHECK, facts_of(**changed)).findings] == [cause]


@pytest.mark.parametrize("changed", [{"driver": NOT_LOADED}, {"system": {"wsl": True}}, {"system": {"jetson": True}}])
def test_where_there_is_no_such_node_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE
