"""gpu-mig-enabled-without-instances: a split GPU without parts."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import MigDevice, Variable
from gpudoctor.findings import Outcome, Severity
from tests.checks.gpus import of_data_center_gpu, of_geforce
from tests.checks.logs import suspects
from tests.fakes import answer, cuda_says, data_center_gpu, facts_of, gpu, results, unread

CHECK = "gpu-mig-enabled-without-instances"


SPLIT: dict[str, Any] = {"mig_enabled": True, "mig_pending": True}
INSTANCE = MigDevice(uuid="MIG-1", name="H100 MIG 1g.10gb", memory_bytes=10 << 30)


@pytest.mark.parametrize("changed", [{}, {**SPLIT, "mig_devices": (INSTANCE,)}])
def test_a_whole_gpu_and_one_with_instances_are_well(changed: dict[str, Any]) -> None:
    assert of_data_center_gpu(CHECK, **changed).outcome is Outcome.PASSED


def test_a_split_gpu_without_instances_is_an_error_with_both_ways_out() -> None:
    (finding,) = of_data_center_gpu(CHECK, **SPLIT).findings
    assert finding.severity is Severity.ERROR
    assert finding.fix is not None
    assert any("-cgi 0 -C" in command for command in finding.fix.commands)
    assert any("-mig 0" in command for command in finding.fix.commands)


def test_a_container_without_an_instance_was_given_none() -> None:
    facts = facts_of(system={"container": "docker"}, gpus=(data_center_gpu(**SPLIT),))
    (finding,) = answer(CHECK, facts).findings
    assert "this container was given no instance" in finding.message


@pytest.mark.parametrize(
    ("other", "severity"),
    [
        (gpu(1), Severity.WARNING),
        (data_center_gpu(1), Severity.WARNING),
        (data_center_gpu(1, mig_enabled=unread()), Severity.WARNING),
        (data_center_gpu(1, **SPLIT), Severity.ERROR),
    ],
)
def test_another_gpu_that_is_of_use_makes_it_a_warning(other: Any, severity: Severity) -> None:
    facts = facts_of(gpus=(data_center_gpu(0, **SPLIT), other))
    first = next(result for result in results(facts) if result.check == CHECK)
    assert [finding.severity for finding in first.findings] == [severity]


@pytest.mark.parametrize(
    ("code", "chosen", "severity"),
    [
        (3, None, Severity.ERROR),
        (100, None, Severity.ERROR),
        (100, "-1", Severity.WARNING),
        (999, None, Severity.WARNING),
    ],
)
def test_cuda_that_fails_over_it_makes_it_an_error_though_another_is_whole(
    code: int, chosen: str | None, severity: Severity
) -> None:
    variables = () if chosen is None else (Variable(name="CUDA_VISIBLE_DEVICES", value=chosen),)
    gpus = (data_center_gpu(0, **SPLIT), data_center_gpu(1))
    facts = facts_of(gpus=gpus, system={"variables": variables}, cuda=cuda_says(code))
    first = next(result for result in results(facts) if result.check == CHECK)
    assert [finding.severity for finding in first.findings] == [severity]


@pytest.mark.parametrize("part", ["mig_enabled", "mig_devices"])
def test_unread_is_unknown(part: str) -> None:
    assert of_data_center_gpu(CHECK, **{**SPLIT, part: unread()}).outcome is Outcome.UNKNOWN


def test_a_gpu_that_cannot_be_split_is_not_asked() -> None:
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "NOTE: Possible MIG misconfiguration detected",
        "failed call to cuInit: CUDA_ERROR_NOT_INITIALIZED: initialization error",
        "No MIG devices found.",
        "[ERROR]: Possible MIG misconfiguration detected; refer to the MIG user guide",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "MIG 1g.10gb     Device  0: (UUID: MIG-1f2e)",
        "Enabled MIG Mode for GPU 00000000:07:00.0",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
