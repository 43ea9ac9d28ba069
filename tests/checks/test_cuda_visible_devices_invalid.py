"""cuda-visible-devices-invalid: the variable against the GPUs there are."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, MigDevice, Variable
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import answer, cuda_says, data_center_gpu, facts_of, gpu, unread

CHECK = "cuda-visible-devices-invalid"

TWO = (gpu(0), gpu(1))
FIRST, SECOND = "GPU-00000000-1111-4222-8333-444444444444", "GPU-00000001-1111-4222-8333-444444444444"
INSTANCE = MigDevice(uuid="MIG-0b1d6f5e-9a53-4d4e-8f0c-5b1f7f0a3c11", name="1g.10gb", memory_bytes=10 << 30)
DIVIDED = (data_center_gpu(0, mig_enabled=True, mig_devices=(INSTANCE,)),)


def sees(value: str, gpus: Any = TWO, order: str = "", **changed: Any) -> Facts:
    variables = [Variable(name="CUDA_VISIBLE_DEVICES", value=value)]
    if order:
        variables.append(Variable(name="CUDA_DEVICE_ORDER", value=order))
    return facts_of(system={"variables": tuple(variables)}, gpus=gpus, **changed)


def test_without_the_variable_every_gpu_is_seen_and_no_list_is_needed() -> None:
    assert answer(CHECK, facts_of(gpus=unread())).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "value",
    ["0", "1", "0,1", "1,0", " 0, 1 ", FIRST, f"{FIRST},{SECOND}", "GPU-00000000", "gpu-00000001", "0,-1", "0,"],
)
def test_gpus_that_there_are_are_well(value: str) -> None:
    assert answer(CHECK, sees(value)).outcome is Outcome.PASSED


@pytest.mark.parametrize("value", [INSTANCE.uuid, "MIG-0b1d6f5e", f"MIG-{FIRST}/7/0", "0", "3"])
def test_instances_of_a_divided_gpu_are_well(value: str) -> None:
    assert answer(CHECK, sees(value, gpus=DIVIDED)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-1",
        "-1,0",
        "NoDevFiles",
        "2",
        "7,0",
        "$0",
        "all",
        "cuda:0",
        "0x0",
        "1.0",
        "GPU-ffff",
        "GPU-0",
        "MIG-1",
    ],
)
def test_a_first_entry_that_names_no_gpu_hides_them_all(value: str) -> None:
    facts = sees(value, cuda=cuda_says(100))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "hides every GPU" in finding.message
    assert answer("cuda-init-failed", facts).findings[0].caused_by == CHECK


@pytest.mark.parametrize(
    ("value", "left"),
    [("0,2", "'0'"), ("0,7,1", "'0'"), ("1,0,$0", "'1,0'"), ("0,-1,1", "'0'"), (f"{SECOND},GPU-ff", f"'{SECOND}'")],
)
def test_a_later_entry_that_names_none_hides_what_follows(value: str, left: str) -> None:
    (finding,) = answer(CHECK, sees(value)).findings
    assert finding.severity is Severity.WARNING
    assert left in finding.message


def test_a_job_without_a_gpu_is_told_to_ask_for_one() -> None:
    fix = answer(CHECK, sees("NoDevFiles")).findings[0].fix
    assert fix is not None
    assert "--gres" in fix.text


def test_a_missing_gpu_is_the_root_of_an_index_that_names_it() -> None:
    facts = sees("1", gpus=(gpu(0),), driver={}, pci_gpus=facts_of().pci_gpus)
    assert answer(CHECK, facts).findings[0].caused_by is None


@pytest.mark.parametrize("value", ["0", FIRST, "MIG-0"])
def test_what_needs_the_list_is_unknown_without_it(value: str) -> None:
    assert answer(CHECK, sees(value, gpus=unread())).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("value", ["", "-1", "$0"])
def test_what_names_none_needs_no_list(value: str) -> None:
    assert answer(CHECK, sees(value, gpus=unread())).outcome is Outcome.FAILED


def test_a_uuid_that_may_be_that_of_an_unread_gpu_is_unknown() -> None:
    gpus = (gpu(0), gpu(1, uuid=unread()))
    assert answer(CHECK, sees(SECOND, gpus=gpus)).outcome is Outcome.UNKNOWN
    assert answer(CHECK, sees(FIRST, gpus=gpus)).outcome is Outcome.PASSED


def test_unread_environment_is_unknown() -> None:
    facts = facts_of(system={"variables": unread(Why.FORBIDDEN)})
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


UNLIKE = (gpu(0), gpu(1, name="NVIDIA GeForce GTX 1080"))


def test_an_index_among_unlike_gpus_is_worth_a_line() -> None:
    assert [finding.severity for finding in answer(CHECK, sees("1", gpus=UNLIKE)).findings] == [Severity.INFO]


@pytest.mark.parametrize(
    "facts", [sees("1"), sees("0,1", gpus=UNLIKE), sees(FIRST, gpus=UNLIKE), sees("1", gpus=UNLIKE, order="PCI_BUS_ID")]
)
def test_where_the_order_changes_nothing_nothing_is_said(facts: Facts) -> None:
    assert answer(CHECK, facts).findings == ()


def test_on_a_jetson_nobody_asks() -> None:
    assert answer(CHECK, facts_of(system={"jetson": True})).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 100: no CUDA-capable device is detected",
        "env: CUDA_VISIBLE_DEVICES=-1 set to -1",
        "CUDA_VISIBLE_DEVICES=NoDevFiles",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "env: CUDA_VISIBLE_DEVICES=0,1")
