"""driver-uvm-missing: the node without which cuInit fails."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, cuda_says, driver_says, facts_of, unread

CHECK = "driver-uvm-missing"
NO_NODE = {"device_nodes": ("/dev/nvidia0", "/dev/nvidiactl")}


def test_the_node_is_well_without_anything_that_makes_it() -> None:
    assert answer(CHECK, facts_of(driver={"modprobe_helper": False})).outcome is Outcome.PASSED


def test_no_node_and_nobody_who_makes_it_is_an_error() -> None:
    result = answer(CHECK, facts_of(driver={**NO_NODE, "modprobe_helper": False}))
    assert (result.outcome, result.findings[0].severity) == (Outcome.FAILED, Severity.ERROR)


def test_no_node_before_the_first_program_is_a_warning_where_nvidia_modprobe_makes_it() -> None:
    result = answer(CHECK, facts_of(driver=NO_NODE, cuda=unread(Why.NOT_ASKED)))
    assert [finding.severity for finding in result.findings] == [Severity.WARNING]


def test_no_node_that_cuda_did_not_miss_was_made_meanwhile() -> None:
    assert answer(CHECK, facts_of(driver=NO_NODE)).outcome is Outcome.PASSED


def test_no_node_that_cuda_missed_is_an_error_whoever_should_have_made_it() -> None:
    result = answer(CHECK, facts_of(driver=NO_NODE, cuda=cuda_says(999)))
    assert [finding.severity for finding in result.findings] == [Severity.ERROR]


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


@pytest.mark.parametrize(
    "line",
    [
        "failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error",
        "[[ Unknown error (error 999) ]]",
        "modprobe: FATAL: Module nvidia-uvm not found in directory /lib/modules/6.8.0-85-generic",
        "ls: cannot access '/dev/nvidia-uvm': /dev/nvidia-uvm: No such file or directory",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "crw-rw-rw- 1 root root 511, 0 Nov 23 03:10 /dev/nvidia-uvm")
