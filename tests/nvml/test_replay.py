"""A recorded probe is staged again, and says the same."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.document import encode
from gpudoctor.facts import GpuFacts, GpuProcess, MigDevice, NvLink, RemappedRows
from gpudoctor.probe.nvml import NvmlFacts
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import CudaVersion, DriverVersion
from tests import fakes
from tests.nvml import standin
from tests.nvml.asker import HANG_SECONDS, ROOT, Asker, gpus_of
from tests.nvml.replay import data_of, facts_of


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    return Asker(tmp_path)


def recorded(facts: NvmlFacts) -> Any:
    """As `gpudoctor probe` prints it."""
    driver = {
        "version": facts.driver_version,
        "nvml_version": facts.nvml_version,
        "driver_cuda_version": facts.driver_cuda_version,
    }
    return json.loads(json.dumps(encode(fakes.facts_of(driver=driver, gpus=facts.gpus))))


H100S = tuple(
    fakes.data_center_gpu(
        index,
        memory_bytes=81559 << 20,
        memory_free_bytes=(81559 - 552 - index) << 20,
        pci_address=f"{index // 8:04x}:{0x1B + index % 8:02x}:00.0",
        retired_pages=Unread(
            source="nvmlDeviceGetRetiredPages",
            why=Why.UNSUPPORTED,
            detail="Not Supported (NVML_ERROR_NOT_SUPPORTED 3)",
            code=3,
        ),
        retired_pages_pending=Unread(
            source="nvmlDeviceGetRetiredPagesPendingStatus",
            why=Why.UNSUPPORTED,
            detail="Not Supported (NVML_ERROR_NOT_SUPPORTED 3)",
            code=3,
        ),
        clocks_event_reasons=("gpu_idle",),
    )
    for index in range(16)
)


def lost(call: str) -> Unread:
    return Unread(source=call, why=Why.FAILED, detail="GPU is lost (NVML_ERROR_GPU_IS_LOST 15)", code=15)


CHANGED: dict[int, dict[str, Any]] = {
    3: {
        "remapped_rows": RemappedRows(correctable=2, uncorrectable=1, pending=True, failure=True),
        "recovery_action": "gpu_reset",
        "inforom_valid": False,
        "gsp_firmware": "",
        "nvlinks": (NvLink(index=0, active=True), NvLink(index=1, active=lost("nvmlDeviceGetNvLinkState"))),
        "clocks_event_reasons": ("0x400", "hw_thermal_slowdown", "sw_power_cap"),
    },
    4: {
        "name": "odd \\ name # of mine",
        "power_watts": 123.457,
        "brand": Unread(source="nvmlDeviceGetBrand", why=Why.UNSUPPORTED, detail="NVML_BRAND_UNKNOWN"),
        "performance_state": Unread(
            source="nvmlDeviceGetPerformanceState", why=Why.UNSUPPORTED, detail="NVML_PSTATE_UNKNOWN"
        ),
        "temperature_celsius": lost("nvmlDeviceGetTemperature"),
        "nvlinks": (),
        "compute_mode": "prohibited",
    },
    6: {
        "processes": (
            GpuProcess(process_id=4242, kind="compute", memory_bytes=61 << 30, name="/opt/conda/bin/python3.11"),
            GpuProcess(
                process_id=9,
                kind="graphics",
                memory_bytes=Unread(
                    source="nvmlDeviceGetGraphicsRunningProcesses_v3",
                    why=Why.UNSUPPORTED,
                    detail="NVML_VALUE_NOT_AVAILABLE",
                ),
                name=Unread(
                    source="nvmlSystemGetProcessName",
                    why=Why.FORBIDDEN,
                    detail="Insufficient Permissions (NVML_ERROR_NO_PERMISSION 4)",
                    code=4,
                ),
            ),
        )
    },
    15: {
        "mig_enabled": True,
        "mig_pending": True,
        "mig_devices": tuple(
            MigDevice(uuid=f"MIG-{place}", name="NVIDIA H100 80GB HBM3 MIG 1g.10gb", memory_bytes=10 << 30)
            for place in range(7)
        ),
    },
}
HGX = NvmlFacts(
    driver_version=DriverVersion("580.95.05"),
    nvml_version="13.580.95.05",
    driver_cuda_version=CudaVersion("13.0"),
    gpus=tuple(replace(gpu, **CHANGED.get(gpu.index, {})) for gpu in H100S),
)


def test_a_recorded_board_of_sixteen_with_mig_on_one_says_the_same_again(asker: Asker) -> None:
    facts = facts_of(recorded(HGX))
    assert facts == HGX
    again = asker.ask_one(data_of(facts))
    for gpu, before in zip(gpus_of(again), gpus_of(HGX), strict=True):
        assert gpu == before
    assert again == HGX


@pytest.mark.parametrize(
    "fault",
    [
        "return nvmlInit* = 9",
        "return nvmlInit* = 13",
        "return nvmlInitWithFlags = 13\nreturn nvmlInit_v2 = 18",
        "return nvmlDeviceGetCount_v2 = 999",
        "return nvmlSystemGetNVMLVersion = 3",
        "return nvmlDeviceGetHandleByIndex_v2 = 15",
        "return nvmlDeviceGetMemoryInfo* = 999",
        "return nvmlDeviceGetMemoryInfo_v2 = 13\nreturn nvmlDeviceGetMemoryInfo = 15",
        "return nvmlDeviceGetComputeRunningProcesses* = 4",
        "return nvmlDeviceGetGraphicsRunningProcesses_v3 = 999",
        "return nvmlDeviceGetMigMode = 3",
        "return nvmlDeviceGetGpuFabricInfo* = 3",
        "return nvmlDeviceGetNvLinkState = 13",
    ],
)
def test_what_a_sick_machine_refused_is_refused_again(asker: Asker, fault: str) -> None:
    before = asker.ask_one(standin.describe(2, fault))
    assert asker.ask_one(data_of(before)) == before


def test_every_gpu_of_the_fault_matrix_can_be_replayed(asker: Asker) -> None:
    calls = sorted(call for call in standin.exported_calls() if call.startswith("nvmlDeviceGet"))
    skipped = ("Handle", "Count", "Index")
    calls = [call for call in calls if not any(word in call for word in skipped)]
    of_gpu = {index: [f"return {call} = 15"] for index, call in enumerate(calls)}
    before = asker.ask_one(standin.describe(len(calls), of_gpu=of_gpu))
    assert asker.ask_one(data_of(before)) == before


def test_a_hang_is_replayed_as_a_hang(asker: Asker) -> None:
    (outcome,) = asker.ask(standin.describe(3, of_gpu={1: ["hang nvmlDeviceGetEccMode"]}), seconds=HANG_SECONDS)
    (again,) = asker.ask(data_of(outcome.facts), seconds=HANG_SECONDS)
    assert again.facts == outcome.facts


@pytest.mark.parametrize(
    "changed",
    [
        {"name": Unread(source="nvmlDeviceGetName", why=Why.GARBLED, detail="empty text")},
        {"name": "x" * 600},
        {"ecc_uncorrected_volatile": Unread(source="nvmlDeviceGetTotalEccErrors", why=Why.TIMEOUT, detail="no answer")},
    ],
)
def test_what_a_data_file_cannot_say_is_refused(changed: dict[str, Any]) -> None:
    (first, *_) = gpus_of(HGX)
    gpu: GpuFacts = replace(first, **changed)
    with pytest.raises(ValueError, match="data file"):
        data_of(replace(HGX, gpus=(gpu,)))


def test_a_machine_without_the_library_is_refused() -> None:
    absent = Unread(source="nvmlInitWithFlags", why=Why.ABSENT, detail="no such file", code=12)
    with pytest.raises(ValueError, match="no library"):
        data_of(NvmlFacts(driver_version=absent, nvml_version=absent, driver_cuda_version=absent, gpus=absent))


def replayed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "tests.nvml.replay", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_command_prints_the_data_file(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(recorded(HGX)))
    ended = replayed(str(path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, data_of(HGX), "")
    path.write_text('{"gpus": 3}')
    ended = replayed(str(path))
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert replayed().returncode == 2
