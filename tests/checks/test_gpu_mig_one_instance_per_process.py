"""gpu-mig-one-instance-per-process: several instances, one program."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import MigDevice, Variable
from gpudoctor.findings import CheckResult, Outcome, Severity
from tests.checks.logs import suspects
from tests.fakes import data_center_gpu, facts_of, gpu, results, unread

CHECK = "gpu-mig-one-instance-per-process"


def split(index: int, instances: int) -> Any:
    devices = tuple(MigDevice(uuid=f"MIG-{index}{number}", name="1g", memory_bytes=1) for number in range(instances))
    return data_center_gpu(index, mig_enabled=True, mig_pending=True, mig_devices=devices)


def answers(*gpus: Any, **system: Any) -> list[CheckResult]:
    return [result for result in results(facts_of(gpus=gpus, system=system)) if result.check == CHECK]


@pytest.mark.parametrize("gpus", [(gpu(0),), (data_center_gpu(0),), (split(0, 1), gpu(1))])
def test_one_instance_or_none_is_well(gpus: Any) -> None:
    assert {result.outcome for result in answers(*gpus)} == {Outcome.PASSED}


@pytest.mark.parametrize(("container", "severity"), [("", Severity.INFO), ("docker", Severity.WARNING)])
def test_several_are_worth_a_line_on_the_host_and_a_warning_to_who_was_given_them(
    container: str, severity: Severity
) -> None:
    (result,) = answers(split(0, 7), container=container)
    assert [finding.severity for finding in result.findings] == [severity]
    assert result.findings[0].fix is not None
    assert result.findings[0].fix.commands == ("CUDA_VISIBLE_DEVICES=MIG-00 python train.py",)


def test_one_on_each_of_two_gpus_is_several_and_said_once() -> None:
    first, second = answers(split(0, 1), split(1, 1), container="docker")
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.PASSED)


def test_who_chose_one_is_told_nothing() -> None:
    chosen = (Variable(name="CUDA_VISIBLE_DEVICES", value="MIG-01"),)
    assert answers(split(0, 3), container="docker", variables=chosen)[0].outcome is Outcome.PASSED
    several = (Variable(name="CUDA_VISIBLE_DEVICES", value="MIG-00,MIG-01"),)
    assert answers(split(0, 3), container="docker", variables=several)[0].outcome is Outcome.FAILED


def test_unread_is_unknown() -> None:
    assert answers(data_center_gpu(mig_devices=unread()))[0].outcome is Outcome.UNKNOWN
    alone, other = answers(split(0, 1), data_center_gpu(1, mig_devices=unread()))
    assert (alone.outcome, other.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)


@pytest.mark.parametrize(
    "line",
    [
        "CUDA_VISIBLE_DEVICES=MIG-0f4c7e6a-0001,MIG-0f4c7e6a-0002",
        "export NVIDIA_VISIBLE_DEVICES=MIG-GPU-aa/1/0,MIG-GPU-aa/2/0",
        "+ CUDA_VISIBLE_DEVICES='MIG-1, MIG-2'",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "CUDA_VISIBLE_DEVICES=MIG-0f4c7e6a-0001",
        "CUDA_VISIBLE_DEVICES=0,1",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
