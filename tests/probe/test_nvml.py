"""NVML through the real pynvml and the C stand-in library: values, faults, hangs, crashes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pynvml
import pytest

from gpudoctor.document import decode
from gpudoctor.facts import GpuFacts, GpuProcess, MigDevice, NvLink, RemappedRows
from gpudoctor.probe.nvml import NvmlFacts
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import ComputeCapability, DriverVersion
from tests.nvml import standin
from tests.nvml.asker import (
    CODES,
    HANG_SECONDS,
    ROOT,
    UNKNOWN_CODE,
    Asker,
    Outcome,
    gpus_of,
    healthy,
    healthy_gpu,
    unread,
)
from tests.nvml.stuck_file import stuck_file


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    return Asker(tmp_path)


def but_for_the_last_questions(index: int, gpu: GpuFacts) -> GpuFacts:
    """Healthy, but that a hang or a crash came before what is asked last of all."""
    assert unread(gpu.inforom_valid).why is Why.NOT_ASKED
    return dataclasses.replace(healthy_gpu(index), inforom_valid=gpu.inforom_valid)


# --- Healthy hosts ---


@pytest.mark.parametrize("gpus", [0, 1, 16])
def test_every_value_of_a_healthy_host_is_read(asker: Asker, gpus: int) -> None:
    assert asker.ask_one(standin.describe(gpus)) == healthy(gpus)
    asker.assert_nothing_left()


def test_the_asking_process_loads_neither_pynvml_nor_ctypes(asker: Asker) -> None:
    (outcome,) = asker.ask(standin.describe(1))
    assert outcome.imported == ()


def test_a_slow_library_is_waited_for(asker: Asker) -> None:
    (outcome,) = asker.ask(standin.describe(1, "delay_ms nvmlInit* = 400"))
    assert outcome.facts == healthy(1)
    assert outcome.seconds > 0.4


def test_mig_instances_are_listed_and_holes_between_them_are_skipped(asker: Asker) -> None:
    instance = "name = NVIDIA A100-SXM4-40GB MIG 1g.5gb\nmemory_total = 4864 MiB\n"
    sections = f"[mig 0.0]\nuuid = MIG-a\n{instance}[mig 0.2]\nuuid = MIG-c\n{instance}"
    text = standin.describe(2, of_gpu={0: ["mig_mode = 1"]}, sections=sections)
    first, second = gpus_of(asker.ask_one(text))
    assert first.mig_enabled is True
    assert first.mig_devices == tuple(
        MigDevice(uuid=uuid_, name="NVIDIA A100-SXM4-40GB MIG 1g.5gb", memory_bytes=4864 << 20)
        for uuid_ in ("MIG-a", "MIG-c")
    )
    assert second == healthy_gpu(1)


def test_mig_mode_without_instances_is_an_empty_list(asker: Asker) -> None:
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, of_gpu={0: ["mig_mode = 1"]})))
    assert (gpu.mig_enabled, gpu.mig_devices) == (True, ())


def test_a_mode_that_waits_for_a_reset_is_not_the_mode(asker: Asker) -> None:
    text = standin.describe(1, of_gpu={0: ["mig_mode_pending = 1"]})
    assert gpus_of(asker.ask_one(text)) == (dataclasses.replace(healthy_gpu(0), mig_pending=True),)


def test_a_lost_mig_instance_leaves_their_number_unknown(asker: Asker) -> None:
    sections = "[mig 0.0]\nuuid = MIG-a\n[mig 0.1]\nreturn nvmlDeviceGetMigDeviceHandleByIndex = 15\n"
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, of_gpu={0: ["mig_mode = 1"]}, sections=sections)))
    assert gpu.mig_enabled is True
    assert unread(gpu.mig_devices).code == pynvml.NVML_ERROR_GPU_IS_LOST


# --- Values ---


@pytest.mark.parametrize(
    ("statement", "field", "value"),
    [
        ("clocks_event_reasons = 0", "clocks_event_reasons", ()),
        (
            "clocks_event_reasons = 0xc8",
            "clocks_event_reasons",
            ("hw_power_brake_slowdown", "hw_slowdown", "hw_thermal_slowdown"),
        ),
        ("clocks_event_reasons = 0x401", "clocks_event_reasons", ("0x400", "gpu_idle")),
        ("ecc_uncorrected_volatile = 18446744073709551615", "ecc_uncorrected_volatile", (1 << 64) - 1),
        ("ecc_mode = 0\necc_mode_pending = 1", "ecc_pending", True),
        ("ecc_sram_threshold_exceeded = 1", "ecc_sram_threshold_exceeded", True),
        ("retired_pages_single_bit = 3\nretired_pages_double_bit = 60", "retired_pages", 63),
        ("retired_pages_pending = 1", "retired_pages_pending", True),
        (
            "remapped_rows = 0 9 1 1",
            "remapped_rows",
            RemappedRows(correctable=0, uncorrectable=9, pending=True, failure=True),
        ),
        ("exhausted_banks = 2", "exhausted_banks", 2),
        ("temperature = -5", "temperature_celsius", -5),
        ("power_limit_milliwatts = 87500", "power_limit_watts", 87.5),
        ("pcie_width = 8", "pcie_width", 8),
        ("compute_mode = 3", "compute_mode", "exclusive_process"),
        ("compute_mode = 2", "compute_mode", "prohibited"),
        ("persistence_mode = 0", "persistence_mode", False),
        ("display_active = 1", "display_active", True),
        ("performance_state = 15", "performance_state", 15),
        ("nvlinks = 2 0", "nvlinks", (NvLink(index=0, active=True), NvLink(index=1, active=False))),
        (f"nvlinks = {'1 ' * 40}", "nvlinks", tuple(NvLink(index=link, active=True) for link in range(36))),
        ("fabric_state = 2", "fabric_state", "in_progress"),
        ("fabric_health = 3", "fabric_health", "limited_capacity"),
        ("recovery_action = 4", "recovery_action", "drain_and_reset"),
        ("inforom_valid = 0", "inforom_valid", False),
        ("gsp_firmware = !3\ngsp_enabled = 0", "gsp_firmware", ""),
    ],
)
def test_a_value_is_read_as_the_facts_word_it(asker: Asker, statement: str, field: str, value: object) -> None:
    first, second = gpus_of(asker.ask_one(standin.describe(2, of_gpu={0: [statement]})))
    assert getattr(first, field) == value
    assert second == healthy_gpu(1)


@pytest.mark.parametrize(
    ("statement", "field", "shown"),
    [
        ("ecc_mode = 7", "ecc_enabled", "7"),
        ("compute_mode = 9", "compute_mode", "9"),
        ("recovery_action = 4711", "recovery_action", "4711"),
        ("temperature = 4000", "temperature_celsius", "4000"),
        ("power_usage_milliwatts = 0xffffffff", "power_watts", "4294967295"),
        ("pcie_generation = 0xffffffff", "pcie_generation", "4294967295"),
        ("pcie_max_width = 0", "pcie_width_max", "0"),
        ("performance_state = 77", "performance_state", "P77"),
        ("fabric_state = 12", "fabric_state", "12"),
        ("fabric_health = 200", "fabric_health", "200"),
        (r"gsp_firmware = \xff", "gsp_firmware", r"\xff"),
    ],
)
def test_a_number_that_means_nothing_is_garbled(asker: Asker, statement: str, field: str, shown: str) -> None:
    first, second = gpus_of(asker.ask_one(standin.describe(2, of_gpu={0: [statement]})))
    reason = unread(getattr(first, field))
    assert reason.why is Why.GARBLED
    assert shown in reason.detail
    assert second == healthy_gpu(1)


def test_a_performance_state_that_nvml_does_not_know_is_unsupported(asker: Asker) -> None:
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, of_gpu={0: ["performance_state = 32"]})))
    assert unread(gpu.performance_state).why is Why.UNSUPPORTED


def test_a_gpu_without_nvlink_has_no_links(asker: Asker) -> None:
    text = standin.describe(1).replace("nvlinks = 1 1 0\n", "")
    assert gpus_of(asker.ask_one(text))[0].nvlinks == ()


def test_a_link_that_does_not_answer_is_there_all_the_same(asker: Asker) -> None:
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, of_gpu={0: ["nvlinks = 1 !15"]})))
    assert not isinstance(gpu.nvlinks, Unread)
    first, second = gpu.nvlinks
    assert first.active is True
    assert unread(second.active).code == pynvml.NVML_ERROR_GPU_IS_LOST


def test_a_fabric_that_ended_with_an_error_is_not_called_completed(asker: Asker) -> None:
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, of_gpu={0: ["fabric_status = 999"]})))
    reason = unread(gpu.fabric_state)
    assert (reason.why, reason.code) == (Why.FAILED, 999)
    assert gpu.fabric_health == "healthy"


@pytest.mark.parametrize("fault", ["missing = nvmlDeviceGetGpuFabricInfoV", ""])
def test_a_driver_that_tells_no_health_of_the_fabric_still_tells_its_state(asker: Asker, fault: str) -> None:
    text = standin.describe(1, fault).replace("fabric_health = 1\n", "")
    (gpu,) = gpus_of(asker.ask_one(text))
    assert gpu.fabric_state == "completed"
    assert unread(gpu.fabric_health).why is Why.UNSUPPORTED


@pytest.mark.parametrize("code", [2, 3])
def test_a_field_that_the_driver_is_too_old_for_is_unsupported(asker: Asker, code: int) -> None:
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, of_gpu={0: [f"recovery_action = !{code}"]})))
    reason = unread(gpu.recovery_action)
    assert (reason.why, reason.code) == (Why.UNSUPPORTED, pynvml.NVML_ERROR_NOT_SUPPORTED)


# --- Processes ---


@pytest.mark.parametrize("faults", [(), ("_v3",), ("_v3", "_v2")])
def test_every_version_of_the_list_of_processes_reads_alike(asker: Asker, faults: tuple[str, ...]) -> None:
    missing = [
        f"missing = nvmlDeviceGet{kind}RunningProcesses{version}"
        for version in faults
        for kind in ("Compute", "Graphics")
    ]
    own = [
        "compute_process = 4242 1024 MiB",
        "compute_process = 77",
        "graphics_process = 4242 1024 MiB",
        "graphics_process = 1300 8 MiB",
    ]
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, *missing, of_gpu={0: own})))
    assert not isinstance(gpu.processes, Unread)
    python, other, desktop = gpu.processes
    assert python == GpuProcess(process_id=4242, kind="compute", memory_bytes=1 << 30, name="/usr/bin/python3")
    assert (other.process_id, other.kind) == (77, "compute")
    assert unread(other.memory_bytes).why is Why.UNSUPPORTED
    assert unread(other.name).code == pynvml.NVML_ERROR_NOT_FOUND
    assert (desktop.process_id, desktop.kind, desktop.memory_bytes) == (1300, "graphics", 8 << 20)


def test_a_process_whose_name_may_not_be_asked_is_listed(asker: Asker) -> None:
    text = standin.describe(1, "return nvmlSystemGetProcessName = 4", of_gpu={0: ["compute_process = 4242 1 GiB"]})
    (gpu,) = gpus_of(asker.ask_one(text))
    assert not isinstance(gpu.processes, Unread)
    (process,) = gpu.processes
    assert process.memory_bytes == 1 << 30
    assert unread(process.name).why is Why.FORBIDDEN


@pytest.mark.parametrize("name", [r"\x1b[2J", r"\xff\xfe", ""])
def test_a_process_with_a_name_that_is_no_text_is_listed(asker: Asker, name: str) -> None:
    text = standin.describe(1, f"process_name 7 = {name}", of_gpu={0: ["compute_process = 7"]})
    (gpu,) = gpus_of(asker.ask_one(text))
    assert not isinstance(gpu.processes, Unread)
    assert unread(gpu.processes[0].name).why is Why.GARBLED


def test_hundreds_of_processes_are_listed_and_named_within_reason(asker: Asker) -> None:
    own = [f"compute_process = {1000 + number} 1 MiB" for number in range(400)]
    names = [f"process_name {1000 + number} = python" for number in range(400)]
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, *names, of_gpu={0: own})))
    assert not isinstance(gpu.processes, Unread)
    assert len(gpu.processes) == 400
    assert sum(process.name == "python" for process in gpu.processes) == 256
    assert unread(gpu.processes[-1].name).why is Why.NOT_ASKED


def test_a_hang_at_the_name_of_a_process_costs_nothing_else(asker: Asker) -> None:
    text = standin.describe(2, "hang nvmlSystemGetProcessName", of_gpu={0: ["compute_process = 4242 1 GiB"]})
    (outcome,) = asker.ask(text, seconds=HANG_SECONDS)
    first, second = gpus_of(outcome.facts)
    assert not isinstance(first.processes, Unread)
    assert dataclasses.replace(first, processes=()) == healthy_gpu(0)
    assert second == healthy_gpu(1)
    reason = unread(first.processes[0].name)
    assert (reason.source, reason.why) == ("nvmlSystemGetProcessName", Why.TIMEOUT)


# --- Older versions of pynvml ---


def test_a_pynvml_that_lacks_what_is_new_asks_the_older_calls(asker: Asker, tmp_path: Path) -> None:
    lacking = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetGpuFabricInfoV", "nvmlDeviceGetRemappedRows")
    (tmp_path / "pynvml.py").write_text(
        f"exec(compile(open({pynvml.__file__!r}).read(), {pynvml.__file__!r}, 'exec'))\n"
        + "".join(f"del {name}\n" for name in lacking)
    )
    environment = asker.environment() | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    (outcome,) = asker.ask(standin.describe(1), environment=environment)
    (gpu,) = gpus_of(outcome.facts)
    assert (gpu.temperature_celsius, gpu.fabric_state) == (41, "completed")
    assert unread(gpu.fabric_health).why is Why.UNSUPPORTED
    reason = unread(gpu.remapped_rows)
    assert reason.why is Why.UNSUPPORTED
    assert "pynvml" in reason.detail
    assert gpu == dataclasses.replace(healthy_gpu(0), remapped_rows=gpu.remapped_rows, fabric_health=gpu.fabric_health)


# --- No library, or one that cannot be loaded ---


def test_no_library_is_absent_in_the_loaders_own_words(asker: Asker) -> None:
    hidden = asker.environment() | standin.with_libraries()
    (outcome,) = asker.ask(standin.describe(1), environment=hidden)
    reason = unread(outcome.facts.gpus)
    assert (reason.why, reason.code) == (Why.ABSENT, pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    assert reason.detail == "libnvidia-ml.so.1: cannot open shared object file: No such file or directory"
    assert outcome.facts.driver_version == reason


def test_a_library_that_is_no_library_is_not_called_absent(asker: Asker, tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / standin.SONAME).write_text("no ELF file, though long enough to hold a header of one\n" * 4)
    (outcome,) = asker.ask(standin.describe(1), environment=asker.base_environment() | {"LD_LIBRARY_PATH": str(folder)})
    reason = unread(outcome.facts.gpus)
    assert reason.why is Why.FAILED
    assert "invalid ELF header" in reason.detail


def test_a_library_whose_own_dependency_is_absent_is_not_called_absent(asker: Asker, tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "empty.c").write_text("int unused;\n")
    compiler = ("cc", "-shared", "-fPIC", str(folder / "empty.c"))
    needed = folder / "libneeded.so"
    subprocess.run((*compiler, "-Wl,-soname,libneeded.so", "-o", str(needed)), check=True)
    linked = ("-Wl,--no-as-needed", str(needed), f"-Wl,-soname,{standin.SONAME}")
    subprocess.run((*compiler, *linked, "-o", str(folder / standin.SONAME)), check=True)
    needed.unlink()
    (outcome,) = asker.ask(standin.describe(1), environment=asker.base_environment() | {"LD_LIBRARY_PATH": str(folder)})
    reason = unread(outcome.facts.gpus)
    assert reason.why is Why.FAILED
    assert reason.detail.startswith("libneeded.so: ")


def test_a_pynvml_that_cannot_be_imported_is_named(asker: Asker, tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("raise ImportError('half an installation')\n")
    environment = asker.environment() | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    (outcome,) = asker.ask(standin.describe(1), environment=environment)
    reason = unread(outcome.facts.gpus)
    assert (reason.source, reason.why) == ("pynvml", Why.FAILED)
    assert "half an installation" in reason.detail


# --- Return codes ---

INIT_WHY = {
    pynvml.NVML_ERROR_NOT_SUPPORTED: Why.UNSUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION: Why.FORBIDDEN,
    pynvml.NVML_ERROR_TIMEOUT: Why.TIMEOUT,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: Why.ABSENT,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: Why.UNSUPPORTED,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: Why.UNSUPPORTED,
    pynvml.NVML_ERROR_DEPRECATED: Why.UNSUPPORTED,
}
"""Codes whose reason is not simply that the call failed."""


@pytest.fixture(scope="module")
def init_outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Outcome]:
    asked = (*CODES, UNKNOWN_CODE)
    asker = Asker(tmp_path_factory.mktemp("init"))
    texts = (standin.describe(1, f"return nvmlInit* = {code}") for code in asked)
    return dict(zip(asked, asker.ask(*texts), strict=True))


@pytest.mark.parametrize("code", [*CODES, UNKNOWN_CODE])
def test_each_return_code_of_init_is_a_reading_of_its_own(init_outcomes: Mapping[int, Outcome], code: int) -> None:
    facts = init_outcomes[code].facts
    reason = unread(facts.gpus)
    assert reason.code == code
    assert reason.why is INIT_WHY.get(code, Why.FAILED)
    assert reason.source.startswith("nvmlInit")
    assert str(code) in reason.detail
    assert facts == NvmlFacts(driver_version=reason, nvml_version=reason, driver_cuda_version=reason, gpus=reason)


def test_no_two_return_codes_of_init_read_alike(init_outcomes: Mapping[int, Outcome]) -> None:
    details = [unread(outcome.facts.gpus).detail for outcome in init_outcomes.values()]
    assert len(set(details)) == len(details)


HOST_FIELDS = {
    "driver_version": ("nvmlSystemGetDriverVersion",),
    "nvml_version": ("nvmlSystemGetNVMLVersion",),
    "driver_cuda_version": ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"),
    "gpus": ("nvmlDeviceGetCount_v2",),
}


@pytest.mark.parametrize("field", HOST_FIELDS)
def test_a_call_that_fails_for_the_host_costs_that_field_alone(asker: Asker, field: str) -> None:
    codes = (*CODES, UNKNOWN_CODE)
    texts = (standin.describe(1, *(f"return {call} = {code}" for call in HOST_FIELDS[field])) for code in codes)
    for code, outcome in zip(codes, asker.ask(*texts), strict=True):
        assert unread(getattr(outcome.facts, field)).code == code
        others = {name for name in HOST_FIELDS if name != field}
        assert all(getattr(outcome.facts, name) == getattr(healthy(1), name) for name in others)


def test_a_gpu_without_a_handle_does_not_hide_the_others(asker: Asker) -> None:
    codes = (*CODES, UNKNOWN_CODE)
    texts = (standin.describe(3, of_gpu={1: [f"return nvmlDeviceGetHandleByIndex_v2 = {code}"]}) for code in codes)
    for code, outcome in zip(codes, asker.ask(*texts), strict=True):
        first, second, third = gpus_of(outcome.facts)
        assert (first, third) == (healthy_gpu(0), healthy_gpu(2))
        reason = unread(second.uuid)
        assert (reason.source, reason.code) == ("nvmlDeviceGetHandleByIndex_v2", code)
        assert all(getattr(second, field.name) == reason for field in dataclasses.fields(second)[1:])


def test_a_gpu_that_is_lost_half_way_keeps_what_it_said_before(asker: Asker) -> None:
    text = standin.describe(3, of_gpu={1: ["lost_after = nvmlDeviceGetCudaComputeCapability"]})
    first, second, third = gpus_of(asker.ask_one(text))
    assert (first, third) == (healthy_gpu(0), healthy_gpu(2))
    assert second.name == "NVIDIA A100-SXM4-40GB"
    assert second.compute_capability == ComputeCapability("8.0")
    for reading in (second.brand, second.memory_bytes, second.mig_enabled, second.mig_devices):
        reason = unread(reading)
        assert (reason.why, reason.code) == (Why.FAILED, pynvml.NVML_ERROR_GPU_IS_LOST)
        assert "GPU is lost" in reason.detail


def test_what_a_gpu_does_not_support_is_unsupported_and_has_no_mig(asker: Asker) -> None:
    text = standin.describe(1).replace("mig_mode = 0\n", "")
    (gpu,) = gpus_of(asker.ask_one(text))
    reason = unread(gpu.mig_enabled)
    assert (reason.why, reason.code) == (Why.UNSUPPORTED, pynvml.NVML_ERROR_NOT_SUPPORTED)
    assert gpu.mig_devices == ()


# --- Older drivers ---


@pytest.mark.parametrize(
    "call",
    [
        "nvmlInitWithFlags",
        "nvmlSystemGetCudaDriverVersion_v2",
        "nvmlDeviceGetPciInfo_v3",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
    ],
)
@pytest.mark.parametrize("fault", ["missing = {}", "return {} = 13"])
def test_an_older_call_answers_where_the_newer_is_missing(asker: Asker, call: str, fault: str) -> None:
    facts = asker.ask_one(standin.describe(1, fault.format(call)))
    assert facts == healthy(1)


@pytest.mark.parametrize(
    ("field", "calls"),
    [
        ("memory_bytes", ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo")),
        ("pci_address", ("nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2")),
        ("mig_enabled", ("nvmlDeviceGetMigMode",)),
        ("compute_capability", ("nvmlDeviceGetCudaComputeCapability",)),
    ],
)
def test_a_library_with_none_of_the_calls_is_unsupported(asker: Asker, field: str, calls: tuple[str, ...]) -> None:
    facts = asker.ask_one(standin.describe(1, *(f"missing = {call}" for call in calls)))
    reason = unread(getattr(gpus_of(facts)[0], field))
    assert (reason.why, reason.code) == (Why.UNSUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    assert reason.source == calls[-1]


def test_an_error_of_the_newer_call_is_not_papered_over_by_the_older(asker: Asker) -> None:
    facts = asker.ask_one(standin.describe(1, "return nvmlDeviceGetMemoryInfo_v2 = 15"))
    assert unread(gpus_of(facts)[0].memory_bytes).source == "nvmlDeviceGetMemoryInfo_v2"


def test_a_library_that_cannot_be_initialised_at_all_is_unsupported(asker: Asker) -> None:
    facts = asker.ask_one(
        standin.describe(1, "missing = nvmlInit", "missing = nvmlInit_v2", "missing = nvmlInitWithFlags")
    )
    reason = unread(facts.gpus)
    assert (reason.source, reason.why, reason.code) == ("nvmlInit_v2", Why.UNSUPPORTED, 13)


# --- Answers that are not what they should be ---


@pytest.mark.parametrize(
    ("field", "statement", "shown"),
    [
        ("name", r"name = GeForce \xff\xfe", r"\xff\xfe"),
        ("name", r"name = two\x0alines", r"\n"),
        ("name", r"name = \x1b[31mred", r"\x1b"),
        ("name", "name =", "empty"),
        ("uuid", r"uuid = GPU-\x80", r"\x80"),
        ("pci_address", "pci_bus_id = bus", "bus"),
        ("pci_address", r"pci_bus_id = \xe4:01:00.0", r"\xe4"),
        ("compute_capability", "compute_capability = -8.0", "-8.0"),
        ("brand", "brand = 4711", "4711"),
        ("memory_bytes", "memory_total = 0", "0 bytes"),
    ],
)
def test_a_garbled_answer_of_a_gpu_is_told_and_never_used(asker: Asker, field: str, statement: str, shown: str) -> None:
    first, second = gpus_of(asker.ask_one(standin.describe(2, of_gpu={0: [statement]})))
    reason = unread(getattr(first, field))
    assert reason.why is Why.GARBLED
    assert shown in reason.detail
    assert reason.detail.isprintable()
    assert second == healthy_gpu(1)


@pytest.mark.parametrize(
    ("field", "statement", "shown"),
    [
        ("driver_version", r"driver_version = \xff\xff", r"\xff"),
        ("driver_version", "driver_version = banana", "banana"),
        ("nvml_version", r"nvml_version = 12\x00", None),
        ("nvml_version", r"nvml_version = \x00", "empty"),
        ("driver_cuda_version", "cuda_driver_version = -3.1", "-"),
        ("gpus", "count = 4294967295", "4294967295"),
    ],
)
def test_a_garbled_answer_of_the_host_is_told_and_never_used(
    asker: Asker, field: str, statement: str, shown: str | None
) -> None:
    facts = asker.ask_one(statement + "\n" + standin.describe(1))
    if shown is None:
        # C ends the text at the NUL: what stands before it is all there is.
        assert facts.nvml_version == "12"
        return
    reason = unread(getattr(facts, field))
    assert reason.why is Why.GARBLED
    assert shown in reason.detail


def test_a_brand_that_nvml_does_not_know_is_unsupported(asker: Asker) -> None:
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, of_gpu={0: ["brand = 0"]})))
    assert unread(gpu.brand).why is Why.UNSUPPORTED


def test_more_gpus_counted_than_there_are_does_not_hide_those_there_are(asker: Asker) -> None:
    first, second = gpus_of(asker.ask_one(standin.describe(1, "count = 2")))
    assert first == healthy_gpu(0)
    assert unread(second.uuid).code == pynvml.NVML_ERROR_INVALID_ARGUMENT


# --- Hangs ---


def assert_in_time(outcome: Outcome) -> None:
    assert HANG_SECONDS <= outcome.seconds < HANG_SECONDS + 1


@pytest.mark.parametrize("how", ["hang {}", "hang {} = spin", "hang {} = uninterruptible", "hang {} = helper"])
def test_a_hang_in_init_ends_at_the_deadline_and_names_the_call(asker: Asker, how: str) -> None:
    text = standin.describe(1, how.format("nvmlInitWithFlags"))
    (outcome,) = asker.ask(text, seconds=HANG_SECONDS)
    assert_in_time(outcome)
    reason = unread(outcome.facts.gpus)
    assert (reason.source, reason.why, reason.code) == ("nvmlInitWithFlags", Why.TIMEOUT, None)
    assert outcome.facts.driver_version == reason
    asker.assert_nothing_left()


@pytest.mark.parametrize(("how", "state"), [("spin", "R"), ("uninterruptible", "D"), ("sleep", "S")])
def test_the_state_of_a_process_that_hangs_is_told(asker: Asker, how: str, state: str) -> None:
    (outcome,) = asker.ask(standin.describe(1, f"hang nvmlInit* = {how}"), seconds=HANG_SECONDS)
    assert f"process state {state}" in unread(outcome.facts.gpus).detail


def test_a_hang_in_the_third_gpu_keeps_the_first_two(asker: Asker) -> None:
    text = standin.describe(4, of_gpu={2: ["hang nvmlDeviceGetName"]})
    (outcome,) = asker.ask(text, seconds=HANG_SECONDS)
    assert_in_time(outcome)
    facts = outcome.facts
    assert facts.driver_version == DriverVersion("535.129.03")
    first, second, third, fourth = gpus_of(facts)
    assert (first, second) == (but_for_the_last_questions(0, first), but_for_the_last_questions(1, second))
    assert third.uuid == healthy_gpu(2).uuid
    reason = unread(third.name)
    assert (reason.source, reason.why) == ("nvmlDeviceGetName", Why.TIMEOUT)
    for moot in (third.memory_bytes, third.mig_devices, fourth.uuid, fourth.mig_devices):
        assert unread(moot).why is Why.NOT_ASKED
        assert "nvmlDeviceGetName of GPU 2" in unread(moot).detail
    asker.assert_nothing_left()


def test_a_hang_among_mig_instances_leaves_their_number_unknown(asker: Asker) -> None:
    sections = "[mig 0.0]\nuuid = MIG-a\n[mig 0.1]\nhang nvmlDeviceGetUUID\n"
    text = standin.describe(2, of_gpu={0: ["mig_mode = 1"]}, sections=sections)
    (outcome,) = asker.ask(text, seconds=HANG_SECONDS)
    assert_in_time(outcome)
    first, second = gpus_of(outcome.facts)
    assert first.name == "NVIDIA A100-SXM4-40GB"
    reason = unread(first.mig_devices)
    assert (reason.source, reason.why) == ("nvmlDeviceGetUUID", Why.TIMEOUT)
    assert unread(second.name).why is Why.NOT_ASKED


@pytest.mark.parametrize(
    "call", ["nvmlDeviceGetGspFirmwareMode", "nvmlDeviceGetRetiredPages", "nvmlDeviceGetNvLinkState"]
)
def test_a_hang_at_what_tells_a_part_of_a_field_is_that_fields(asker: Asker, call: str) -> None:
    (outcome,) = asker.ask(standin.describe(1, f"hang {call}"), seconds=HANG_SECONDS)
    (gpu,) = gpus_of(outcome.facts)
    readings = [getattr(gpu, field.name) for field in dataclasses.fields(gpu)]
    assert [one.source for one in readings if isinstance(one, Unread) and one.why is Why.TIMEOUT] == [call]


def test_a_process_that_cannot_be_killed_is_left_behind_in_time(asker: Asker, tmp_path: Path) -> None:
    folder = tmp_path / "mount"
    folder.mkdir()
    with stuck_file(folder) as path:
        text = standin.describe(3, of_gpu={1: [f"open nvmlDeviceGetUUID = {path}"]})
        (outcome,) = asker.ask(text, seconds=HANG_SECONDS)
        # Still there, in state D, and neither our pipe nor our stdout waited for it.
        (left,) = asker.survivors()
        status = Path(f"/proc/{left}/status").read_text()
    assert "disk sleep" in status
    assert_in_time(outcome)
    first, second = gpus_of(outcome.facts)[:2]
    assert first == but_for_the_last_questions(0, first)
    reason = unread(second.uuid)
    assert reason.why is Why.TIMEOUT
    assert "does not die when killed (process state D" in reason.detail
    asker.assert_nothing_left()


def test_no_time_at_all_is_a_timeout(asker: Asker) -> None:
    (outcome,) = asker.ask(standin.describe(1), seconds=0.0)
    reason = unread(outcome.facts.gpus)
    assert (reason.source, reason.why) == ("pynvml", Why.TIMEOUT)
    asker.assert_nothing_left()


# --- Crashes ---


@pytest.mark.parametrize(("how", "number"), [("abort", signal.SIGABRT), ("crash", signal.SIGSEGV)])
def test_a_crash_in_init_is_a_failed_reading(asker: Asker, how: str, number: signal.Signals) -> None:
    reason = unread(asker.ask_one(standin.describe(1, f"{how} nvmlInitWithFlags")).gpus)
    assert (reason.source, reason.why) == ("nvmlInitWithFlags", Why.FAILED)
    assert f"signal {number.value}" in reason.detail
    asker.assert_nothing_left()


def test_a_crash_in_the_second_gpu_keeps_the_first(asker: Asker) -> None:
    facts = asker.ask_one(standin.describe(3, of_gpu={1: ["crash nvmlDeviceGetMemoryInfo*"]}))
    first, second, third = gpus_of(facts)
    assert first == but_for_the_last_questions(0, first)
    assert second.name == "NVIDIA A100-SXM4-40GB"
    assert "library crashed" in unread(second.memory_bytes).detail
    assert unread(third.name).why is Why.NOT_ASKED


def test_a_stand_in_without_data_aborts_and_never_passes_for_a_host(asker: Asker) -> None:
    for text in ("driver_version\n", "[gpu one]\n", "name = \\q\n", f"name = {'x' * 600}\n"):
        assert "library crashed: Aborted" in unread(asker.ask_one(text).gpus).detail


def test_a_misspelt_missing_call_is_refused() -> None:
    with pytest.raises(ValueError, match="nvmlDeviceGetNames"):
        standin.library_folder(["nvmlDeviceGetNames"])


# --- The caller ---


def test_a_caller_that_ignores_the_death_of_children_gets_its_facts(asker: Asker) -> None:
    # Inherited over exec, as from a daemon that does so.
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    prefix = (sys.executable, "-c", ignoring)
    good, hung, crashed = asker.ask(
        standin.describe(1),
        standin.describe(1, "hang nvmlInit*"),
        standin.describe(1, "abort nvmlInit*"),
        seconds=HANG_SECONDS,
        prefix=prefix,
    )
    assert good.facts == healthy(1)
    assert "does not die" not in unread(hung.facts.gpus).detail
    assert unread(crashed.facts.gpus).why is Why.FAILED
    asker.assert_nothing_left()


def test_a_caller_with_closed_standard_files_gets_its_facts(asker: Asker, tmp_path: Path) -> None:
    target = tmp_path / "outcome.json"
    program = (
        "import os, sys\n"
        "os.closerange(0, 3)\n"
        "from tests.nvml.ask import ask_nvml\n"
        "from gpudoctor.document import encode\n"
        "import json\n"
        "facts = ask_nvml(20)\n"
        "open(sys.argv[1], 'w').write(json.dumps(encode(facts)))\n"
    )
    data = tmp_path / "data.txt"
    data.write_text(standin.describe(1))
    subprocess.run(
        (sys.executable, "-c", program, str(target)),
        env=asker.environment() | {"GPUDOCTOR_NVML_DATA": str(data)},
        check=True,
        cwd=ROOT,
    )
    assert decode(NvmlFacts, json.loads(target.read_text())) == healthy(1)


def test_files_of_the_caller_are_not_kept_open_by_a_hung_child(asker: Asker, tmp_path: Path) -> None:
    """A lock that the caller lets go of is free, though the child still hangs."""
    program = (
        "import fcntl, os, sys\n"
        "from gpudoctor.probe import nvml\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "with nvml.start():\n"
        "    [child] = open('/proc/thread-self/children').read().split()\n"
        "    while not os.listdir(f'/proc/{child}/fd') == ['0', '1', '2', '3']: pass\n"
        "    lock.close()\n"
        "    again = open(sys.argv[1], 'w')\n"
        "    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    )
    data = tmp_path / "data.txt"
    data.write_text(standin.describe(1, "hang nvmlInit*"))
    subprocess.run(
        (sys.executable, "-c", program, str(tmp_path / "lock")),
        env=asker.environment() | {"GPUDOCTOR_NVML_DATA": str(data)},
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    asker.assert_nothing_left()


def _maps(process: int) -> str:
    try:
        return Path(f"/proc/{process}/maps").read_text()
    except OSError:
        return ""


@pytest.fixture
def hanging(asker: Asker) -> Iterator[subprocess.Popen[bytes]]:
    """A caller whose child hangs in NVML, both running."""
    process = subprocess.Popen(
        asker.command(60, standin.describe(1, "hang nvmlInit*")),
        env=asker.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        give_up = time.monotonic() + 20
        # Before the library is loaded the child still speaks, and would notice that nobody listens.
        while not any(standin.SONAME in _maps(number) for number in asker.survivors()):
            assert time.monotonic() < give_up, "the probing process did not come up"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_caller_that_is_ended_leaves_no_child_behind(
    asker: Asker, hanging: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    hanging.send_signal(number)
    hanging.wait(timeout=10)
    asker.assert_nothing_left()
