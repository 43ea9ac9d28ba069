"""The fault matrix: every nvmlReturn_t on every call that is used, through the C library and the real pynvml."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pynvml
import pytest

from gpudoctor.facts import GpuFacts, GpuProcess, MigDevice, PciGpu
from gpudoctor.findings import Outcome as Answer
from gpudoctor.probe import nvml
from gpudoctor.readings import Unread, Why
from tests import fakes
from tests.machines import FOLDER, Machine, Stage
from tests.nvml import standin
from tests.nvml.asker import CODES, PATIENCE_SECONDS, UNKNOWN_CODE, Asker, gpus_of, healthy_gpu, survivors_of

EVERY_CODE = (*CODES, UNKNOWN_CODE)

# Which fields a question tells, by its newest call.
FIELDS = {
    "nvmlDeviceGetUUID": ("uuid",),
    "nvmlDeviceGetName": ("name",),
    "nvmlDeviceGetPciInfo_v3": ("pci_address",),
    "nvmlDeviceGetMinorNumber": ("minor_number",),
    "nvmlDeviceGetCudaComputeCapability": ("compute_capability",),
    "nvmlDeviceGetBrand": ("brand",),
    "nvmlDeviceGetMemoryInfo_v2": ("memory_bytes", "memory_free_bytes"),
    "nvmlDeviceGetMigMode": ("mig_enabled", "mig_pending", "mig_devices"),
    "nvmlDeviceGetFieldValues": ("recovery_action",),
    "nvmlDeviceGetEccMode": ("ecc_enabled", "ecc_pending"),
    "nvmlDeviceGetTotalEccErrors": ("ecc_uncorrected_volatile", "ecc_uncorrected_aggregate", "ecc_corrected_volatile"),
    "nvmlDeviceGetSramEccErrorStatus": ("ecc_sram_threshold_exceeded",),
    "nvmlDeviceGetRetiredPages": ("retired_pages",),
    "nvmlDeviceGetRetiredPagesPendingStatus": ("retired_pages_pending",),
    "nvmlDeviceGetRemappedRows": ("remapped_rows",),
    "nvmlDeviceGetRowRemapperHistogram": ("exhausted_banks",),
    "nvmlDeviceGetCurrentClocksEventReasons": ("clocks_event_reasons",),
    "nvmlDeviceGetTemperatureV": ("temperature_celsius",),
    "nvmlDeviceGetTemperatureThreshold": ("temperature_slowdown_celsius", "temperature_shutdown_celsius"),
    "nvmlDeviceGetPowerUsage": ("power_watts",),
    "nvmlDeviceGetEnforcedPowerLimit": ("power_limit_watts",),
    "nvmlDeviceGetPowerManagementDefaultLimit": ("power_default_limit_watts",),
    "nvmlDeviceGetCurrPcieLinkGeneration": ("pcie_generation",),
    "nvmlDeviceGetMaxPcieLinkGeneration": ("pcie_generation_max",),
    "nvmlDeviceGetCurrPcieLinkWidth": ("pcie_width",),
    "nvmlDeviceGetMaxPcieLinkWidth": ("pcie_width_max",),
    "nvmlDeviceGetPcieReplayCounter": ("pcie_replays",),
    "nvmlDeviceGetPerformanceState": ("performance_state",),
    "nvmlDeviceGetComputeMode": ("compute_mode",),
    "nvmlDeviceGetPersistenceMode": ("persistence_mode",),
    "nvmlDeviceGetDisplayActive": ("display_active",),
    "nvmlDeviceGetGpuFabricInfoV": ("fabric_state", "fabric_health"),
    "nvmlDeviceGetGspFirmwareVersion": ("gsp_firmware",),
    "nvmlDeviceGetGspFirmwareMode": (),  # asked for what the version does not tell
    "nvmlDeviceGetComputeRunningProcesses_v3": ("processes",),
    "nvmlDeviceGetGraphicsRunningProcesses_v3": ("processes",),
    "nvmlDeviceGetNvLinkState": ("nvlinks",),
    "nvmlDeviceValidateInforom": ("inforom_valid",),
}
CHAINS = {calls[0]: calls for calls in (*nvml._GPU_CALLS.values(), nvml._NVLINK, nvml._INFOROM)}
OTHER_CALLS = (*nvml._INIT, *(call for calls in nvml._HOST_CALLS.values() for call in calls), *nvml._HANDLE)
MIG_CALLS = (*nvml._MIG_COUNT, *nvml._MIG_HANDLE)
FAULTS = [(newest, call) for newest, calls in CHAINS.items() for call in calls]

# Of an A100 nothing is told of retired pages; here every call has an answer to lose.
RETIRED_PAGES = ("retired_pages_single_bit = 1", "retired_pages_double_bit = 2", "retired_pages_pending = 0")


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    return Asker(tmp_path)


def test_the_matrix_holds_every_call_that_is_used() -> None:
    assert CHAINS.keys() == FIELDS.keys()
    used = {call for calls in CHAINS.values() for call in calls} | {*OTHER_CALLS, *MIG_CALLS, *nvml._PROCESS_NAME}
    assert used <= standin.exported_calls()
    fields = {field.name for field in dataclasses.fields(GpuFacts)}
    assert fields - {"index"} == {field for told in FIELDS.values() for field in told}


def test_the_matrix_holds_every_return_code() -> None:
    assert set(CODES) == {*range(1, 31), 999}


def well(index: int) -> GpuFacts:
    return dataclasses.replace(healthy_gpu(index), retired_pages=3, retired_pages_pending=False)


def reason(call: str, code: int) -> Unread:
    name = next((name for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_") and value == code), "")
    why = {3: Why.UNSUPPORTED, 4: Why.FORBIDDEN, 10: Why.TIMEOUT, 12: Why.ABSENT, 13: Why.UNSUPPORTED}.get(
        code, Why.UNSUPPORTED if code in (25, 26) else Why.FAILED
    )
    detail = f"{WORDS.get(code, 'Unknown Error')} ({name or 'nvmlReturn_t'} {code})"
    return Unread(source=call, why=why, detail=detail, code=code)


WORDS = {
    int(code): words
    for code, _, words in (
        line.partition(" ")
        for line in """\
1 Uninitialized
2 Invalid Argument
3 Not Supported
4 Insufficient Permissions
5 Already Initialized
6 Not Found
7 Insufficient Size
8 Insufficient External Power
9 Driver Not Loaded
10 Timeout
11 Interrupt Request Issue
12 NVML Shared Library Not Found
13 Function Not Found
14 Corrupted infoROM
15 GPU is lost
16 GPU requires reset
17 The operating system has blocked the request
18 Driver/library version mismatch
19 In use by another client
20 Insufficient memory
21 No data
22 Not supported with vGPU ECC
23 Insufficient resources
24 Frequency not supported
25 Argument version mismatch
26 Deprecated
27 Not ready
28 GPU not found
29 Invalid state
30 Reset type not supported
""".splitlines()
    )
}
"""nvmlErrorString, as nvidia-smi shows it."""


def expected(newest: str, call: str, index: int, code: int) -> GpuFacts:
    """What is read of GPU `index` when `call` gives `code`, and every newer spelling of the question 13."""
    gpu = well(index)
    calls = CHAINS[newest]
    unsupported = code in (3, 13, 25, 26)
    fabric_by_v1 = newest == "nvmlDeviceGetGpuFabricInfoV" and (call != newest or unsupported)
    if unsupported and call != calls[-1]:
        # An older spelling answers.
        return dataclasses.replace(gpu, fabric_health=no_health()) if fabric_by_v1 else gpu
    changed: dict[str, Any] = dict.fromkeys(FIELDS[newest], reason(call, code))
    if "mig_devices" in changed and unsupported:
        changed["mig_devices"] = ()  # a GPU without MIG has no instances
    if "nvlinks" in changed and code in (2, 3):
        changed["nvlinks"] = ()  # nor one without NVLink links
    if "inforom_valid" in changed and code == 14:
        changed["inforom_valid"] = False
    if "Graphics" in newest and unsupported:
        changed = {}  # what cannot draw has no process that does
    return dataclasses.replace(gpu, **changed)


def no_health() -> Unread:
    return Unread(
        source="nvmlDeviceGetGpuFabricInfo",
        why=Why.UNSUPPORTED,
        detail="this driver does not tell how healthy the fabric is",
        code=25,
    )


@pytest.mark.parametrize(("newest", "call"), FAULTS)
def test_every_code_of_every_call_costs_what_it_tells_and_nothing_else(asker: Asker, newest: str, call: str) -> None:
    calls = CHAINS[newest]
    newer = [f"return {other} = 13" for other in calls[: calls.index(call)]]
    # One GPU a code, in one probe: each keeps its fault to itself.
    of_gpu = {index: [*newer, f"return {call} = {code}", *RETIRED_PAGES] for index, code in enumerate(EVERY_CODE)}
    gpus = gpus_of(asker.ask_one(standin.describe(len(EVERY_CODE), of_gpu=of_gpu)))
    for index, code in enumerate(EVERY_CODE):
        assert gpus[index] == expected(newest, call, index, code), code
    asker.assert_nothing_left()
    for code, gpu in zip(EVERY_CODE, gpus, strict=True):
        assert_judged(gpu, code)


def assert_judged(gpu: GpuFacts, code: int) -> None:
    """No check crashes over it."""
    assert isinstance(gpu.pci_address, (str, Unread))
    bus = (PciGpu(address=f"0000:{gpu.index + 1:02x}:00.0", device_id="20b0", driver="nvidia"),)
    results = fakes.results(fakes.facts_of(gpus=(gpu,), pci_gpus=bus))
    assert [result.check for result in results if result.outcome is Answer.CRASHED] == [], code


@pytest.mark.parametrize("call", MIG_CALLS)
def test_every_code_of_the_calls_for_mig_instances(asker: Asker, call: str) -> None:
    of_gpu = {
        index: ["mig_mode = 1", f"return {call} = {code}", *RETIRED_PAGES] for index, code in enumerate(EVERY_CODE)
    }
    sections = "".join(f"[mig {index}.0]\nuuid = MIG-{index}\n" for index in range(len(EVERY_CODE)))
    gpus = gpus_of(asker.ask_one(standin.describe(len(EVERY_CODE), of_gpu=of_gpu, sections=sections)))
    for gpu, code in zip(gpus, EVERY_CODE, strict=True):
        # "Not found" says that there is no instance at that place, which is an answer.
        none_there = call in nvml._MIG_HANDLE and code == pynvml.NVML_ERROR_NOT_FOUND
        assert gpu.mig_devices == (() if none_there else reason(call, code)), code
        assert gpu.mig_enabled is True
        assert_judged(gpu, code)


@pytest.mark.parametrize("key", nvml._MIG_CALLS)
def test_every_code_of_what_a_mig_instance_is_asked(asker: Asker, key: str) -> None:
    calls = nvml._MIG_CALLS[key]
    field = {"memory": "memory_bytes"}.get(key, key)
    instance = MigDevice(uuid="MIG-x", name="MIG 1g.5gb", memory_bytes=5 << 30)
    text = "uuid = MIG-x\nname = MIG 1g.5gb\nmemory_total = 5 GiB\n"
    sections = "".join(
        f"[mig {index}.0]\n{text}" + "".join(f"return {call} = {code}\n" for call in calls)
        for index, code in enumerate(EVERY_CODE)
    )
    of_gpu = {index: ["mig_mode = 1"] for index in range(len(EVERY_CODE))}
    gpus = gpus_of(asker.ask_one(standin.describe(len(EVERY_CODE), of_gpu=of_gpu, sections=sections)))
    for gpu, code in zip(gpus, EVERY_CODE, strict=True):
        call = calls[-1] if code in (3, 13, 25, 26) else calls[0]
        lost: dict[str, Any] = {field: reason(call, code)}
        assert gpu.mig_devices == (dataclasses.replace(instance, **lost),), code


def test_every_code_of_the_name_of_a_process(asker: Asker) -> None:
    names = [f"process_name {code} = !{code}" for code in EVERY_CODE]
    own = [f"compute_process = {code} 1 MiB" for code in EVERY_CODE]
    (gpu,) = gpus_of(asker.ask_one(standin.describe(1, *names, of_gpu={0: own})))
    assert gpu.processes == tuple(
        GpuProcess(process_id=code, kind="compute", memory_bytes=1 << 20, name=reason("nvmlSystemGetProcessName", code))
        for code in EVERY_CODE
    )


# --- The command, on a machine with the fault ---

HANG_LIMIT_SECONDS = 2.0
"""--timeout where something hangs; elsewhere nothing waits for it."""


def machine(faults: str = "", sections: str = "", *, cuda: str = "") -> Machine:
    """A healthy server of eight GPUs, but for what is added at the head of its data and behind them."""
    healthy = Machine.load("h100-580")
    return dataclasses.replace(healthy, nvml=f"{faults}\n{healthy.nvml}\n{sections}\n", cuda_says=cuda)


@contextmanager
def staged(it: Machine) -> Iterator[tuple[Stage, str]]:
    mark = uuid.uuid4().hex
    with it.stage() as stage:
        yield Stage(root=stage.root, environment={**stage.environment, "GPUDOCTOR_TEST_MARK": mark}), mark


@cache
def seconds_without_waiting() -> float:
    """What starting, judging and printing take here and now, beside all else that runs."""
    with machine().stage() as stage:
        started = time.monotonic()
        stage.run("check", "--format", "json")
        return time.monotonic() - started


def checked(it: Machine, limit_seconds: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
    """`gpudoctor check` there: in time, without a traceback, nothing left behind."""
    spare = max(1.0, 2 * seconds_without_waiting())
    with staged(it) as (stage, mark):
        started = time.monotonic()
        ended = stage.run("check", "--format", "json", "--timeout", f"{limit_seconds}")
        assert time.monotonic() - started < limit_seconds + spare
        assert ended.stderr == ""
        assert '"outcome": "crashed"' not in ended.stdout
        give_up = time.monotonic() + 5
        while survivors_of(mark) and time.monotonic() < give_up:
            time.sleep(0.02)
        assert survivors_of(mark) == []
    return ended


def test_the_machine_is_well_without_a_fault() -> None:
    assert checked(machine()).returncode == 0


@pytest.mark.parametrize("code", [1, 3, 4, 9, 10, 12, 17, 18, 20, 999])
def test_a_machine_whose_nvml_cannot_be_initialised_is_never_called_well(code: int) -> None:
    ended = checked(machine(f"return nvmlInit* = {code}"))
    assert ended.returncode in (1, 3)
    assert f"{code}" in ended.stdout


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("return nvmlDeviceGetCount_v2 = 999", (1, 3)),
        ("return nvmlSystemGetDriverVersion = 2", (1, 3)),
        ("return nvmlDeviceGetHandleByIndex_v2 = 15", (1,)),
        ("return nvmlDevice* = 16", (1, 3)),
        ("return nvmlDeviceGetRemappedRows = 3", (0,)),
        ("return nvmlDeviceGetFieldValues = 2", (0,)),
        (r"driver_version = \xff\xfe", (1, 3)),
        ("count = 4294967295", (1, 3)),
        ("count = 0", (1,)),
        ("abort nvmlInit*", (1, 3)),
        ("crash nvmlDeviceGetUUID", (1, 3)),
    ],
)
def test_a_fault_decides_the_exit_code(fault: str, codes: tuple[int, ...]) -> None:
    assert checked(machine(fault)).returncode in codes


@pytest.mark.parametrize(
    ("faults", "sections", "cuda", "call", "code"),
    [
        ("hang nvmlInit*", "", "init = 0", "nvmlInitWithFlags", 3),
        ("hang nvmlInit* = uninterruptible", "", "", "nvmlInitWithFlags", 1),
        ("", "[gpu 2]\nhang nvmlDeviceGetName = uninterruptible", "", "nvmlDeviceGetName", 1),
        ("", "[gpu 7]\nhang nvmlDeviceGetPowerUsage = spin", "", "nvmlDeviceGetPowerUsage", 0),
        ("", "", "hang cuInit = uninterruptible", "cuInit(0)", 1),
        ("", "", "open cuInit = /dev/null\nhang cuDriverGetVersion", "cuDriverGetVersion", 0),
    ],
)
def test_a_call_that_hangs_is_named_in_time(faults: str, sections: str, cuda: str, call: str, code: int) -> None:
    """In the kernel it is the machine's fault; else, where it decides nothing, a warning."""
    ended = checked(machine(faults, sections, cuda=cuda), HANG_LIMIT_SECONDS)
    (result,) = (one for one in json.loads(ended.stdout)["results"] if one["check"] == "driver-call-hung")
    assert call in result["findings"][0]["message"]
    assert ended.returncode == code


def test_a_gpu_that_is_lost_half_way_is_an_error() -> None:
    assert checked(machine("", "[gpu 3]\nlost_after = nvmlDeviceGetName")).returncode == 1


def test_sixteen_gpus_and_one_with_mig_are_well(tmp_path: Path) -> None:
    """An HGX board of sixteen: the second half beside the first."""
    (tmp_path / "h100-580").symlink_to(FOLDER / "h100-580")
    folder = tmp_path / "sixteen"
    folder.mkdir()
    extra = range(8, 16)
    (folder / "host.txt").write_text(
        "like h100-580\n"
        + "".join(f"pci 0001:{index:02x}:00.0 10de:2330 0x030200 nvidia\nchar dev/nvidia{index}\n" for index in extra)
    )
    base = Machine.load("h100-580").nvml
    assert base is not None
    (folder / "nvml.txt").write_text(
        base
        + "".join(
            f"[gpu {index}]\nuuid = GPU-{index:08x}-0001-4000-8000-000000000001\nminor_number = {index}\n"
            f"pci_bus_id = 00000001:{index:02X}:00.0\n"
            for index in extra
        )
        + "[gpu 15]\nmig_mode = 1\nmax_mig_devices = 7\n"
        + "[mig 15.0]\nuuid = MIG-1\nname = NVIDIA H100 80GB HBM3 MIG 1g.10gb\nmemory_total = 10 GiB\n"
    )
    ended = checked(Machine.load("sixteen", tmp_path))
    assert ended.returncode == 0, ended.stdout


@pytest.mark.long
@pytest.mark.parametrize("call", sorted({call for _, call in FAULTS} | {*OTHER_CALLS, *MIG_CALLS}))
def test_every_code_of_every_call_ends_in_time_with_a_code_of_the_contract(call: str) -> None:
    for code in EVERY_CODE:
        assert checked(machine(f"return {call} = {code}")).returncode in (0, 1, 3)


@pytest.mark.long
@pytest.mark.parametrize("call", sorted({call for _, call in FAULTS} | {*OTHER_CALLS}))
def test_a_hang_in_every_call_ends_in_time_and_is_named(call: str) -> None:
    newer = {
        name
        for calls in (*CHAINS.values(), nvml._INIT, nvml._HOST_CALLS["driver_cuda_version"])
        if call in calls
        for name in calls[: calls.index(call)]
    }
    faults = "".join(f"return {name} = 13\n" for name in newer)
    it = machine(f"{faults}hang {call} = uninterruptible", "[gpu 0]\ncompute_process = 1 1 MiB\nmig_mode = 1")
    ended = checked(it, HANG_LIMIT_SECONDS)
    assert f'"{call}"' in ended.stdout
    assert ended.returncode == 1
