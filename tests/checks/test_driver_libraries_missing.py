"""driver-libraries-missing: a module without libnvidia-ml.so.1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from gpudoctor.versions import DriverVersion
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, cuda_says, driver_says, facts_of, unread

CHECK = "driver-libraries-missing"
NO_LIBRARY = driver_says(unread(Why.ABSENT, code=12))


def test_a_library_that_answers_is_well() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [4, 9, 15, 18, 999])
def test_a_library_that_answers_with_an_error_is_there(code: int) -> None:
    assert answer(CHECK, facts_of(driver=driver_says(unread(code=code)))).outcome is Outcome.PASSED


def test_no_library_is_an_error() -> None:
    result = answer(CHECK, facts_of(driver=NO_LIBRARY, gpus=unread(Why.ABSENT, code=12)))
    assert (result.outcome, result.findings[0].severity) == (Outcome.FAILED, Severity.ERROR)
    assert "535.129.03" in result.findings[0].message


def test_no_library_in_a_container_with_a_gpu_is_a_warning_with_the_capability_to_ask_for() -> None:
    result = answer(CHECK, facts_of(system={"container": "docker"}, driver=NO_LIBRARY))
    assert [finding.severity for finding in result.findings] == [Severity.WARNING]
    assert result.findings[0].fix is not None
    assert "NVIDIA_DRIVER_CAPABILITIES" in result.findings[0].fix.text


def test_no_library_in_a_container_without_gpus_follows_from_that() -> None:
    facts = facts_of(system={"container": "docker"}, driver={**NO_LIBRARY, "device_nodes": ()})
    assert [finding.caused_by for finding in answer(CHECK, facts).findings] == ["container-gpus-not-requested"]


@pytest.mark.parametrize(
    "reading", [unread(Why.TIMEOUT), unread(Why.FAILED), unread(Why.FORBIDDEN, code=12), unread(Why.FAILED, code=12)]
)
def test_a_library_that_could_not_be_asked_is_unknown(reading: object) -> None:
    assert answer(CHECK, facts_of(driver={"version": reading})).outcome is Outcome.UNKNOWN


def test_without_a_module_or_on_a_jetson_nobody_asks() -> None:
    jetson = {**NO_LIBRARY, "kernel_module_version": DriverVersion("35.4.1")}
    assert answer(CHECK, facts_of(driver=NOT_LOADED)).outcome is Outcome.NOT_APPLICABLE
    assert answer(CHECK, facts_of(system={"jetson": True}, driver=jetson)).outcome is Outcome.NOT_APPLICABLE


def test_unread_module_version_is_unknown() -> None:
    facts = facts_of(driver={**NO_LIBRARY, "kernel_module_version": unread(Why.FORBIDDEN)})
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


ABSENT = unread(Why.ABSENT)


@pytest.mark.parametrize("cuda", [ABSENT, replace(cuda_says(1), init=ABSENT, library=ABSENT, version=ABSENT)])
@pytest.mark.parametrize(
    ("os_id", "command"),
    [("debian", "sudo apt-get install libcuda1"), ("ubuntu", "sudo apt-get install libnvidia-compute-535")],
)
def test_a_driver_without_libcuda_is_an_error_beside_a_healthy_nvml(cuda: Any, os_id: str, command: str) -> None:
    (finding,) = answer(CHECK, facts_of(system={"os_id": os_id}, driver={"libcuda": ()}, cuda=cuda)).findings
    assert finding.severity is Severity.ERROR
    assert "libcuda.so.1" in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == (command,)


def test_a_libcuda_that_was_loaded_is_there_wherever_the_loader_found_it() -> None:
    assert answer(CHECK, facts_of(driver={"libcuda": ()})).outcome is Outcome.PASSED
    assert answer(CHECK, facts_of(driver={"libcuda": ()}, cuda=cuda_says(999))).outcome is Outcome.PASSED


def test_a_missing_libcuda_that_is_half_known_is_unknown() -> None:
    assert answer(CHECK, facts_of(driver={"libcuda": unread()}, cuda=ABSENT)).outcome is Outcome.UNKNOWN
    assert answer(CHECK, facts_of(driver={"libcuda": ()}, cuda=unread(Why.NOT_ASKED))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "line",
    [
        "Could not load dynamic library 'libcuda.so.1'; dlerror: libcuda.so.1: cannot open shared object file",
        (
            "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open"
            " shared object file"
        ),
        "Could not find cuda drivers on your machine, GPU will not be used.",
        "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(
        CHECK,
        (
            "Could not load dynamic library 'libcudart.so.11.0'; dlerror: libcudart.so.11.0: cannot open shared"
            " object file"
        ),
    )
