"""container-lost-gpu-after-daemon-reload: the risk on a host, and the loss seen from inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import ToolkitConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.inside import inside, variables
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, NOT_LOADED, answer, driver_says, facts_of, unread

CHECK = "container-lost-gpu-after-daemon-reload"
TOOLKIT = ToolkitConfiguration(
    path="/etc/nvidia-container-runtime/config.toml",
    mode="auto",
    no_cgroups=False,
    ldconfig="/sbin/ldconfig.real",
    ldconfig_exists=True,
    root="",
)
LOST: dict[str, Any] = {"driver_facts": driver_says(unread(code=999)), "gpus": unread(code=999)}


def test_links_in_dev_char_keep_it_from_happening() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


def test_a_host_where_it_would_happen_is_warned() -> None:
    (finding,) = answer(CHECK, facts_of(driver={"char_links": False})).findings
    assert (finding.severity, "next systemctl daemon-reload" in finding.message) == (Severity.WARNING, True)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"cgroup_driver": "cgroupfs"}, Outcome.PASSED),
        ({"toolkit_version": "1.18.0"}, Outcome.PASSED),
        ({"toolkit_version": "1.17.9"}, Outcome.FAILED),
        ({"toolkit_version": "1.18.0", "toolkit": replace(TOOLKIT, mode="legacy")}, Outcome.FAILED),
        ({"toolkit": replace(TOOLKIT, mode="cdi")}, Outcome.PASSED),
        ({"version": "29.0.0", "cdi_devices": ("nvidia.com/gpu=all",)}, Outcome.PASSED),
        ({"version": "28.5.1", "cdi_devices": ("nvidia.com/gpu=all",)}, Outcome.FAILED),
    ],
)
def test_it_takes_systemd_and_the_hook(changed: dict[str, Any], outcome: Outcome) -> None:
    assert answer(CHECK, facts_of(driver={"char_links": False}, engine=changed)).outcome is outcome


def test_inside_nodes_that_may_not_be_used_are_an_error_that_names_the_other_cause_too() -> None:
    (finding,) = answer(CHECK, inside({}, **LOST)).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "no-cgroups = true" in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == ("grep no-cgroups /etc/nvidia-container-runtime/config.toml",)


@pytest.mark.parametrize(
    "facts",
    [
        inside({}),
        inside({}, driver_facts=driver_says(unread(code=9)), gpus=unread(code=9)),
        inside({"NVIDIA_VISIBLE_DEVICES": "void"}, **LOST),
        inside({}, driver_facts={**driver_says(unread(code=999)), "device_nodes": ()}, gpus=unread(code=999)),
    ],
    ids=["works", "another code", "by CDI", "not given"],
)
def test_inside_other_answers_are_other_faults(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "facts",
    [
        facts_of(driver={"char_links": unread()}),
        facts_of(driver={"char_links": False}, engine={"toolkit": unread(Why.GARBLED)}),
        facts_of(driver={"char_links": False}, engine={"toolkit_version": unread()}),
        inside({}, driver_facts=driver_says(unread(Why.TIMEOUT)), gpus=unread(Why.TIMEOUT)),
        inside({}, system={"variables": unread()}, **LOST),
        facts_of(system={"container": unread()}),
    ],
)
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"engine": NO_ENGINE},
        {"driver": NOT_LOADED, "gpus": unread(code=9)},
        {"system": {"wsl": True}},
        {"engine": {"toolkit": unread(Why.ABSENT)}},
    ],
)
def test_a_host_without_engine_driver_or_toolkit_is_not_asked(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


def test_variables_without_the_one_are_no_obstacle() -> None:
    facts = inside({}, system={"variables": variables({"CUDA_VERSION": ""})}, **LOST)
    assert answer(CHECK, facts).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "line",
    [
        "Failed to initialize NVML: Unknown Error",
        "(container) $ nvidia-smi -L: Failed to initialize NVML: Unknown Error",
        "pynvml.NVMLError_Unknown: Unknown Error",
        "nvmlInit_v2() failed: Unknown Error (999)",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Failed to initialize NVML: Driver/library version mismatch",
        "unknown error while reading NVML documentation",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
