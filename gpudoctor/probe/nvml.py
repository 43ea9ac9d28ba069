"""What NVML says: driver, CUDA and GPUs, asked through pynvml in a process that can be left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from gpudoctor.facts import GpuFacts, GpuProcess, MigDevice, NvLink, RemappedRows
from gpudoctor.probe.child import Child, Speaker, Transcript, why_not_loaded
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion

T = TypeVar("T")

_LIBRARY = "libnvidia-ml.so.1"

# The package's own name, for what goes wrong before the library is asked anything.
_LOADER = "pynvml"

# Values of nvmlReturn_t. https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_INVALID_ARGUMENT = 2
_NOT_SUPPORTED = 3
_NO_PERMISSION = 4
_NOT_FOUND = 6
_INSUFFICIENT_SIZE = 7
_TIMEOUT = 10
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
_CORRUPTED_INFOROM = 14
_ARGUMENT_VERSION_MISMATCH = 25
_DEPRECATED = 26

_WHY = {
    _NOT_SUPPORTED: Why.UNSUPPORTED,
    _NO_PERMISSION: Why.FORBIDDEN,
    _TIMEOUT: Why.TIMEOUT,
    _LIBRARY_NOT_FOUND: Why.ABSENT,
    _FUNCTION_NOT_FOUND: Why.UNSUPPORTED,
    _ARGUMENT_VERSION_MISMATCH: Why.UNSUPPORTED,
    _DEPRECATED: Why.UNSUPPORTED,
}

# Answers after which an older spelling of the same question is tried.
_TRY_OLDER = frozenset({_NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _ARGUMENT_VERSION_MISMATCH, _DEPRECATED})

# --- The questions ---

# Newer calls first, older ones as fall-back: driver 384 knows no nvmlInitWithFlags, driver 470 no
# nvmlDeviceGetMemoryInfo_v2, driver 525 no …EventReasons, driver 565 no …TemperatureV.
_INIT = ("nvmlInitWithFlags", "nvmlInit_v2")
_HOST_CALLS: dict[str, tuple[str, ...]] = {
    "driver_version": ("nvmlSystemGetDriverVersion",),
    "nvml_version": ("nvmlSystemGetNVMLVersion",),
    "driver_cuda_version": ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"),
    "count": ("nvmlDeviceGetCount_v2",),
}
_HANDLE = ("nvmlDeviceGetHandleByIndex_v2",)
# What a GPU is goes before how it does: of one that is lost on the way, it is known which it was.
_GPU_CALLS: dict[str, tuple[str, ...]] = {
    "uuid": ("nvmlDeviceGetUUID",),
    "name": ("nvmlDeviceGetName",),
    "pci_address": ("nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2"),
    "minor_number": ("nvmlDeviceGetMinorNumber",),
    "compute_capability": ("nvmlDeviceGetCudaComputeCapability",),
    "brand": ("nvmlDeviceGetBrand",),
    "memory": ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"),
    "mig_mode": ("nvmlDeviceGetMigMode",),
    "recovery_action": ("nvmlDeviceGetFieldValues",),
    "ecc_mode": ("nvmlDeviceGetEccMode",),
    "ecc_uncorrected_volatile": ("nvmlDeviceGetTotalEccErrors",),
    "ecc_uncorrected_aggregate": ("nvmlDeviceGetTotalEccErrors",),
    "ecc_corrected_volatile": ("nvmlDeviceGetTotalEccErrors",),
    "ecc_sram": ("nvmlDeviceGetSramEccErrorStatus",),
    "retired_pages_single_bit": ("nvmlDeviceGetRetiredPages",),
    "retired_pages_double_bit": ("nvmlDeviceGetRetiredPages",),
    "retired_pages_pending": ("nvmlDeviceGetRetiredPagesPendingStatus",),
    "remapped_rows": ("nvmlDeviceGetRemappedRows",),
    "exhausted_banks": ("nvmlDeviceGetRowRemapperHistogram",),
    "clocks_event_reasons": ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"),
    "temperature": ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"),
    "temperature_slowdown": ("nvmlDeviceGetTemperatureThreshold",),
    "temperature_shutdown": ("nvmlDeviceGetTemperatureThreshold",),
    "power": ("nvmlDeviceGetPowerUsage",),
    "power_limit": ("nvmlDeviceGetEnforcedPowerLimit",),
    "power_default_limit": ("nvmlDeviceGetPowerManagementDefaultLimit",),
    "pcie_generation": ("nvmlDeviceGetCurrPcieLinkGeneration",),
    "pcie_generation_max": ("nvmlDeviceGetMaxPcieLinkGeneration",),
    "pcie_width": ("nvmlDeviceGetCurrPcieLinkWidth",),
    "pcie_width_max": ("nvmlDeviceGetMaxPcieLinkWidth",),
    "pcie_replays": ("nvmlDeviceGetPcieReplayCounter",),
    "performance_state": ("nvmlDeviceGetPerformanceState",),
    "compute_mode": ("nvmlDeviceGetComputeMode",),
    "persistence_mode": ("nvmlDeviceGetPersistenceMode",),
    "display_active": ("nvmlDeviceGetDisplayActive",),
    "fabric": ("nvmlDeviceGetGpuFabricInfoV", "nvmlDeviceGetGpuFabricInfo"),
    "gsp_firmware": ("nvmlDeviceGetGspFirmwareVersion",),
    "gsp_mode": ("nvmlDeviceGetGspFirmwareMode",),
    "compute_processes": (
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetComputeRunningProcesses_v2",
        "nvmlDeviceGetComputeRunningProcesses",
    ),
    "graphics_processes": (
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v2",
        "nvmlDeviceGetGraphicsRunningProcesses",
    ),
}
# What is said besides the handle: kind of error and counter, cause, sensor, threshold, number of a field.
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlFieldValueEnums.html (2026-11)
_ARGUMENTS: dict[str, tuple[int, ...]] = {
    "recovery_action": (230,),
    "ecc_uncorrected_volatile": (1, 0),
    "ecc_uncorrected_aggregate": (1, 1),
    "ecc_corrected_volatile": (0, 0),
    "retired_pages_single_bit": (0,),
    "retired_pages_double_bit": (1,),
    "temperature": (0,),
    "temperature_slowdown": (1,),
    "temperature_shutdown": (0,),
}
_NVLINK = ("nvmlDeviceGetNvLinkState",)
_MIG_COUNT = ("nvmlDeviceGetMaxMigDeviceCount",)
_MIG_HANDLE = ("nvmlDeviceGetMigDeviceHandleByIndex",)
_MIG_CALLS: dict[str, tuple[str, ...]] = {key: _GPU_CALLS[key] for key in ("uuid", "name", "memory")}
# Asked last of all. The first reads and sums up the board's flash, the only call here that does not answer from
# the driver's memory; the second looks into other processes, and waits for one that waits for a sick driver.
_INFOROM = ("nvmlDeviceValidateInforom",)
_PROCESS_NAME = ("nvmlSystemGetProcessName",)

# More GPUs than any machine holds: a count above it is an answer gone wrong, not a reason to ask for hours.
_MOST_GPUS = 1024

# NVML_NVLINK_MAX_LINKS of driver 575. https://docs.nvidia.com/deploy/nvml-api/group__NvLink.html (2026-11)
_MOST_NVLINKS = 36

# A GPU that is shared by time slices holds dozens.
_MOST_NAMED_PROCESSES = 256

# --- The words, by NVML's numbers: https://docs.nvidia.com/deploy/nvml-api/ (2026-11) ---

_CLOCKS_EVENT_REASONS = (
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
)
_COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
_FABRIC_STATES = ("not_supported", "not_started", "in_progress", "completed")
_FABRIC_HEALTH = ("not_supported", "healthy", "unhealthy", "limited_capacity")
_RECOVERY_ACTIONS = (
    "none",
    "gpu_reset",
    "node_reboot",
    "drain_p2p",
    "drain_and_reset",
    "recover_imex_domain",
    "bus_reset",
    "system_reboot",
)
_UNKNOWN_PERFORMANCE_STATE = 32
# Members of nvmlValue_t, by nvmlValueType_t.
_VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


@dataclass(frozen=True, slots=True, kw_only=True)
class NvmlFacts:
    """The part of the facts that NVML tells."""

    driver_version: Reading[DriverVersion]
    nvml_version: Reading[str]
    driver_cuda_version: Reading[CudaVersion]
    gpus: Reading[tuple[GpuFacts, ...]]


def start() -> Child:
    """Begin to ask NVML everything, in a process of its own."""
    return Child(_interview, "import", _LOADER)


def facts(transcript: Transcript) -> NvmlFacts:
    """What came of it.

    Answers given before the deadline, a crash of the library or the loss of a GPU are kept; every other
    reading is an Unread that names the call and what it returned.
    """
    for step, calls in (("import", (_LOADER,)), ("init", _INIT)):
        begun = transcript.reading(step, calls, bool)
        if isinstance(begun, Unread):
            return NvmlFacts(driver_version=begun, nvml_version=begun, driver_cuda_version=begun, gpus=begun)
    count = transcript.reading("count", _HOST_CALLS["count"], _gpu_count)
    return NvmlFacts(
        driver_version=_host(transcript, "driver_version", lambda value: DriverVersion.parse(_text(value))),
        nvml_version=_host(transcript, "nvml_version", _text),
        driver_cuda_version=_host(transcript, "driver_cuda_version", CudaVersion.from_nvml),
        gpus=count if isinstance(count, Unread) else tuple(_gpu(transcript, index) for index in range(count)),
    )


# --- The parent ---


def _host(transcript: Transcript, key: str, convert: Callable[[Any], T]) -> Reading[T]:
    return transcript.reading(key, _HOST_CALLS[key], convert)


def _gpu(transcript: Transcript, index: int) -> GpuFacts:
    handle = transcript.reading(f"{index}.handle", _HANDLE, bool)

    def ask(key: str, convert: Callable[[Any], T]) -> Reading[T]:
        if isinstance(handle, Unread):
            # Nothing was asked without a handle: what the handle's call said is the reason for all.
            return handle
        return transcript.reading(f"{index}.{key}", _GPU_CALLS[key], convert)

    mig_enabled = ask("mig_mode", lambda value: _flag(value[0]))
    fabric_state, fabric_health = _fabric(ask("fabric", list))
    return GpuFacts(
        index=index,
        uuid=ask("uuid", _text),
        name=ask("name", _text),
        pci_address=ask("pci_address", _pci_address),
        compute_capability=ask("compute_capability", _compute_capability),
        brand=_brand(ask("brand", _brand_name)),
        memory_bytes=ask("memory", lambda value: _positive(value[0])),
        memory_free_bytes=ask("memory", lambda value: int(value[1])),
        mig_enabled=mig_enabled,
        mig_pending=ask("mig_mode", lambda value: _flag(value[1])),
        mig_devices=handle if isinstance(handle, Unread) else _mig_devices(transcript, index, mig_enabled),
        minor_number=ask("minor_number", int),
        ecc_enabled=ask("ecc_mode", lambda value: _flag(value[0])),
        ecc_pending=ask("ecc_mode", lambda value: _flag(value[1])),
        ecc_uncorrected_volatile=ask("ecc_uncorrected_volatile", int),
        ecc_uncorrected_aggregate=ask("ecc_uncorrected_aggregate", int),
        ecc_corrected_volatile=ask("ecc_corrected_volatile", int),
        ecc_sram_threshold_exceeded=ask("ecc_sram", _flag),
        retired_pages=_sum(ask(f"retired_pages_{cause}_bit", int) for cause in ("single", "double")),
        retired_pages_pending=ask("retired_pages_pending", _flag),
        remapped_rows=ask("remapped_rows", _remapped_rows),
        exhausted_banks=ask("exhausted_banks", int),
        clocks_event_reasons=ask("clocks_event_reasons", _clocks_event_reasons),
        temperature_celsius=ask("temperature", _celsius),
        temperature_slowdown_celsius=ask("temperature_slowdown", _celsius),
        temperature_shutdown_celsius=ask("temperature_shutdown", _celsius),
        power_watts=ask("power", _watts),
        power_limit_watts=ask("power_limit", _watts),
        power_default_limit_watts=ask("power_default_limit", _watts),
        pcie_generation=ask("pcie_generation", _of_the_link),
        pcie_generation_max=ask("pcie_generation_max", _of_the_link),
        pcie_width=ask("pcie_width", _of_the_link),
        pcie_width_max=ask("pcie_width_max", _of_the_link),
        pcie_replays=ask("pcie_replays", int),
        nvlinks=handle if isinstance(handle, Unread) else _nvlinks(transcript, index),
        performance_state=_performance_state(ask("performance_state", _state)),
        compute_mode=ask("compute_mode", lambda value: _named(value, _COMPUTE_MODES)),
        persistence_mode=ask("persistence_mode", _flag),
        display_active=ask("display_active", _flag),
        processes=_processes(transcript, ask),
        fabric_state=fabric_state,
        fabric_health=fabric_health,
        recovery_action=ask("recovery_action", lambda value: _named(value, _RECOVERY_ACTIONS)),
        inforom_valid=(
            handle if isinstance(handle, Unread) else transcript.reading(f"{index}.inforom", _INFOROM, _flag)
        ),
        gsp_firmware=_gsp_firmware(ask("gsp_firmware", _text_or_nothing), ask("gsp_mode", _flag)),
    )


def _mig_devices(transcript: Transcript, index: int, mig_enabled: Reading[bool]) -> Reading[tuple[MigDevice, ...]]:
    if isinstance(mig_enabled, Unread):
        # A GPU or driver without MIG has no instances: that much is known.
        return () if mig_enabled.why is Why.UNSUPPORTED else mig_enabled
    if not mig_enabled:
        return ()
    most = transcript.reading(f"{index}.mig_count", _MIG_COUNT, _gpu_count)
    if isinstance(most, Unread):
        return most
    devices: list[MigDevice] = []
    for prefix in (f"{index}.mig.{place}" for place in range(most)):
        handle = transcript.reading(f"{prefix}.handle", _MIG_HANDLE, bool)
        if not isinstance(handle, Unread):
            devices.append(_mig_device(transcript, prefix))
        elif handle.code != _NOT_FOUND:
            # An instance may be there or not: how many there are is unknown. A call that hung says so itself.
            asked = (reading for one in devices[-1:] for reading in (one.uuid, one.name, one.memory_bytes))
            return next((reading for reading in asked if isinstance(reading, Unread) and _hung(reading)), handle)
    return tuple(devices)


def _mig_device(transcript: Transcript, prefix: str) -> MigDevice:
    def ask(key: str, convert: Callable[[Any], T]) -> Reading[T]:
        return transcript.reading(f"{prefix}.{key}", _MIG_CALLS[key], convert)

    return MigDevice(
        uuid=ask("uuid", _text),
        name=ask("name", _text),
        memory_bytes=ask("memory", lambda value: _positive(value[0])),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("empty text")
    # Terminals obey control characters: what holds any is shown escaped and never used.
    if not value.isprintable():
        raise ValueError(f"text with unprintable characters: {value!r}")
    return value


def _compute_capability(value: list[int]) -> ComputeCapability:
    return ComputeCapability(f"{value[0]}.{value[1]}")


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError(f"{value} bytes")
    return value


def _gpu_count(value: int) -> int:
    if not 0 <= value <= _MOST_GPUS:
        raise ValueError(f"a count of {value}")
    return value


def _brand_name(value: object) -> str:
    if isinstance(value, int):
        raise ValueError(f"brand {value}, which this version of pynvml does not know")
    return _text(value)


def _brand(reading: Reading[str]) -> Reading[str]:
    """NVML has a constant for a brand that it does not know: that is no answer."""
    if reading != "unknown":
        return reading
    return Unread(source=_GPU_CALLS["brand"][0], why=Why.UNSUPPORTED, detail="NVML_BRAND_UNKNOWN")


def _pci_address(value: object) -> str:
    """NVML writes eight digits of domain, the kernel four: 00000000:01:00.0 is 0000:01:00.0."""
    domain, _, rest = _text(value).partition(":")
    return f"{int(domain, 16):04x}:{rest.lower()}"


def _flag(value: object) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{value!r}, which is neither on nor off")
    return bool(value)


def _named(number: int, names: tuple[str, ...]) -> str:
    if not 0 <= number < len(names):
        raise ValueError(f"{number}, which has no name")
    return names[number]


def _sum(readings: Iterable[Reading[int]]) -> Reading[int]:
    total = 0
    for reading in readings:
        if isinstance(reading, Unread):
            return reading
        total += reading
    return total


def _remapped_rows(value: list[int]) -> RemappedRows:
    correctable, uncorrectable, pending, failure = value
    return RemappedRows(
        correctable=correctable, uncorrectable=uncorrectable, pending=_flag(pending), failure=_flag(failure)
    )


def _clocks_event_reasons(mask: int) -> tuple[str, ...]:
    names = [name for bit, name in enumerate(_CLOCKS_EVENT_REASONS) if mask & 1 << bit]
    # A reason that has no name yet slows the GPU all the same.
    unnamed = mask >> len(_CLOCKS_EVENT_REASONS) << len(_CLOCKS_EVENT_REASONS)
    return tuple(sorted([*names, hex(unnamed)] if unnamed else names))


def _celsius(value: int) -> int:
    if not -100 <= value <= 300:
        raise ValueError(f"{value} degrees Celsius")
    return value


def _watts(milliwatts: int) -> float:
    # A number that a 32-bit NVML uses for "not available".
    if milliwatts >= 0xFFFF_FFFF:
        raise ValueError(f"{milliwatts} mW")
    return milliwatts / 1000


def _of_the_link(value: int) -> int:
    if not 0 < value <= 64:
        raise ValueError(f"{value}, which no PCIe link has")
    return value


def _state(value: int) -> int:
    if not 0 <= value <= 15 and value != _UNKNOWN_PERFORMANCE_STATE:
        raise ValueError(f"P{value}")
    return value


def _performance_state(reading: Reading[int]) -> Reading[int]:
    if reading != _UNKNOWN_PERFORMANCE_STATE:
        return reading
    return Unread(source=_GPU_CALLS["performance_state"][0], why=Why.UNSUPPORTED, detail="NVML_PSTATE_UNKNOWN")


def _fabric(reading: Reading[list[Any]]) -> tuple[Reading[str], Reading[str]]:
    """State and health of the GPU's registration with the fabric."""
    if isinstance(reading, Unread):
        return reading, reading
    call, state, status, health = reading
    told_state: Reading[str]
    told_health: Reading[str]
    if state == _FABRIC_STATES.index("completed") and status:
        detail = f"registered with the fabric, which ended with nvmlReturn_t {status}"
        told_state = Unread(source=call, why=Why.FAILED, detail=detail, code=status)
    else:
        told_state = _word(call, state, _FABRIC_STATES)
    if health is None:
        detail = "this driver does not tell how healthy the fabric is"
        told_health = Unread(source=call, why=Why.UNSUPPORTED, detail=detail, code=_ARGUMENT_VERSION_MISMATCH)
    else:
        told_health = _word(call, health, _FABRIC_HEALTH)
    return told_state, told_health


def _word(call: str, number: int, names: tuple[str, ...]) -> Reading[str]:
    try:
        return _named(number, names)
    except ValueError as error:
        return Unread(source=call, why=Why.GARBLED, detail=str(error))


def _text_or_nothing(value: object) -> str:
    return _text(value) if value else ""


def _gsp_firmware(version: Reading[str], enabled: Reading[bool]) -> Reading[str]:
    """A GPU whose firmware is off tells no version; one that has no such processor tells neither."""
    if isinstance(enabled, Unread) and _hung(enabled):
        return enabled
    switched_off = enabled is False and isinstance(version, Unread) and version.why is Why.UNSUPPORTED
    return "" if switched_off else version


def _hung(reading: Unread) -> bool:
    """The call never came back; with a code it is NVML's own answer that the GPU was too slow."""
    return reading.why is Why.TIMEOUT and reading.code is None


def _nvlinks(transcript: Transcript, index: int) -> Reading[tuple[NvLink, ...]]:
    links: list[NvLink] = []
    for link in range(_MOST_NVLINKS):
        active = transcript.reading(f"{index}.nvlink {link}", _NVLINK, _link_active)
        if not isinstance(active, Unread):
            links.append(NvLink(index=link, active=active))
            continue
        if active.code in (_INVALID_ARGUMENT, _NOT_SUPPORTED):
            break
        if active.why is not Why.GARBLED:
            # How many links there are is unknown where the first did not answer; of the others, that it is there.
            return (*links, NvLink(index=link, active=active)) if links else active
        links.append(NvLink(index=link, active=active))
    return tuple(links)


def _link_active(state: int) -> bool:
    # 2 is asleep, and wakes up when it is used.
    if not 0 <= state <= 2:
        raise ValueError(f"{state}, which is no state of a link")
    return state != 0


def _processes(
    transcript: Transcript, ask: Callable[[str, Callable[[Any], list[Any]]], Reading[list[Any]]]
) -> Reading[tuple[GpuProcess, ...]]:
    compute, graphics = ask("compute_processes", list), ask("graphics_processes", list)
    if isinstance(compute, Unread):
        return compute
    if isinstance(graphics, Unread):
        if graphics.why is not Why.UNSUPPORTED:
            return graphics
        graphics = []
    # What computes and draws is in both lists, with the same memory.
    computing = {process for process, _ in compute}
    drawing = [entry for entry in graphics if entry[0] not in computing]
    return tuple(
        _process(transcript, kind, *entry)
        for kind, entries in (("compute", compute), ("graphics", drawing))
        for entry in entries
    )


def _process(transcript: Transcript, kind: str, process: int, memory: int | None) -> GpuProcess:
    call = _GPU_CALLS[f"{kind}_processes"][0]
    unavailable = Unread(source=call, why=Why.UNSUPPORTED, detail="NVML_VALUE_NOT_AVAILABLE")
    return GpuProcess(
        process_id=process,
        kind=kind,
        memory_bytes=unavailable if memory is None else memory,
        name=transcript.reading(f"name of {process}", _PROCESS_NAME, _text),
    )


# --- The child ---


def _interview(speaker: Speaker) -> None:
    """Import pynvml, load the library and put every question."""
    speaker.asking("import", _LOADER)
    try:
        import pynvml
    except Exception as error:
        speaker.unread("import", _LOADER, Why.FAILED, f"cannot be imported: {error}")
        return
    speaker.answered("import", _LOADER, True)
    _Interviewer(speaker, pynvml).ask_everything()


class _Interviewer:
    """Puts one question after another to pynvml."""

    def __init__(self, speaker: Speaker, nvml: Any) -> None:
        self._speaker = speaker
        self._nvml = nvml
        self._processes: dict[int, None] = {}
        self._names = {
            value: name
            for name, value in vars(nvml).items()
            if name.startswith("NVML_ERROR_") and isinstance(value, int)
        }
        self._special: dict[str, Callable[..., Any]] = {
            "nvmlInitWithFlags": lambda: nvml.nvmlInitWithFlags(0) is None,
            "nvmlInit_v2": lambda: self._call("nvmlInit_v2"),
            "nvmlDeviceGetCount_v2": nvml.nvmlDeviceGetCount,
            "nvmlDeviceGetHandleByIndex_v2": nvml.nvmlDeviceGetHandleByIndex,
            "nvmlDeviceGetPciInfo_v3": lambda handle: self._bus_id(nvml.nvmlDeviceGetPciInfo_v3(handle)),
            "nvmlDeviceGetPciInfo_v2": self._pci_info_v2,
            "nvmlDeviceGetBrand": self._brand,
            "nvmlDeviceGetMemoryInfo_v2": lambda handle: self._memory(handle, version=nvml.nvmlMemory_v2),
            "nvmlDeviceGetMemoryInfo": self._memory,
            "nvmlDeviceGetFieldValues": self._field,
            "nvmlDeviceGetSramEccErrorStatus": self._sram_threshold_exceeded,
            "nvmlDeviceGetRetiredPages": lambda *asked: len(nvml.nvmlDeviceGetRetiredPages(*asked)),
            "nvmlDeviceGetRowRemapperHistogram": lambda handle: nvml.nvmlDeviceGetRowRemapperHistogram(handle).none,
            "nvmlDeviceGetGpuFabricInfoV": self._fabric_info_v,
            "nvmlDeviceGetGpuFabricInfo": lambda handle: self._fabric_info("nvmlDeviceGetGpuFabricInfo", 1, handle),
            "nvmlDeviceGetGspFirmwareVersion": self._gsp_version,
            "nvmlDeviceGetGspFirmwareMode": self._gsp_enabled,
            "nvmlDeviceValidateInforom": self._inforom_is_valid,
        }
        for kind in ("Compute", "Graphics"):
            name = f"nvmlDeviceGet{kind}RunningProcesses"
            for version in ("_v3", "_v2"):
                self._special[name + version] = self._process_lister(name + version)
            self._special[name] = lambda handle, name=name: self._processes_v1(name, handle)

    def ask_everything(self) -> None:
        """The whole interview, one GPU after the other."""
        if self._ask("init", _INIT) is None:
            return
        answers = {key: self._ask(key, calls) for key, calls in _HOST_CALLS.items()}
        count = answers["count"]
        if count is None or count > _MOST_GPUS:
            return
        handles: dict[int, Any] = {}
        for index in range(count):
            handle = self._ask(f"{index}.handle", _HANDLE, index, shown=bool)
            if handle is not None:
                handles[index] = handle
                self._ask_gpu(index, handle)
        for index, handle in handles.items():
            self._ask(f"{index}.inforom", _INFOROM, handle)
        for process in list(self._processes)[:_MOST_NAMED_PROCESSES]:
            self._ask(f"name of {process}", _PROCESS_NAME, process)

    def _ask_gpu(self, index: int, handle: Any) -> None:
        for key, calls in _GPU_CALLS.items():
            answer = self._ask(f"{index}.{key}", calls, handle, *_ARGUMENTS.get(key, ()))
            if key == "mig_mode" and answer is not None and answer[0] == 1:
                self._ask_mig_devices(index, handle)
            elif key.endswith("_processes"):
                self._processes.update((process, None) for process, _ in answer or ())
        for link in range(_MOST_NVLINKS):
            if self._ask(f"{index}.nvlink {link}", _NVLINK, handle, link) is None:
                break

    def _ask_mig_devices(self, index: int, handle: Any) -> None:
        most = self._ask(f"{index}.mig_count", _MIG_COUNT, handle)
        for place in range(most if most is not None and most <= _MOST_GPUS else 0):
            instance = self._ask(f"{index}.mig.{place}.handle", _MIG_HANDLE, handle, place, shown=bool)
            if instance is not None:
                for key, calls in _MIG_CALLS.items():
                    self._ask(f"{index}.mig.{place}.{key}", calls, instance)

    def _ask(
        self,
        key: str,
        calls: tuple[str, ...],
        *arguments: Any,
        shown: Callable[[Any], object] = lambda value: value,
    ) -> Any:
        """Put one question in its spellings, newest first; the value, or None once the reason was told."""
        for call in calls:
            self._speaker.asking(key, call)
            try:
                value = (self._special.get(call) or getattr(self._nvml, call))(*arguments)
            except Exception as error:
                code = getattr(error, "value", None) if isinstance(error, self._nvml.NVMLError) else None
                # An AttributeError is an old pynvml's.
                if (code in _TRY_OLDER or isinstance(error, AttributeError)) and call != calls[-1]:
                    continue
                self._tell(key, call, error, code)
                return None
            self._speaker.answered(key, call, shown(value))
            return value
        return None

    def _tell(self, key: str, call: str, error: Exception, code: int | None) -> None:
        if isinstance(error, UnicodeDecodeError):
            detail = f"text that is not UTF-8: {ascii(error.object)[1:]}"
            self._speaker.unread(key, call, Why.GARBLED, detail)
        elif isinstance(error, AttributeError):
            self._speaker.unread(key, call, Why.UNSUPPORTED, f"this version of pynvml has none: {error}")
        elif code is None:
            self._speaker.unread(key, call, Why.FAILED, f"{type(error).__name__}: {error}")
        elif code == _LIBRARY_NOT_FOUND and isinstance(error.__context__, OSError):
            # pynvml answers as NVML would, and keeps the loader's own words as the exception's context.
            words = str(error.__context__)
            self._speaker.unread(key, call, why_not_loaded(_LIBRARY, words), words, code)
        else:
            detail = f"{self._words(error, code)} ({self._names.get(code, 'nvmlReturn_t')} {code})"
            self._speaker.unread(key, call, _WHY.get(code, Why.FAILED), detail, code)

    def _words(self, error: Exception, code: int) -> str:
        """NVML's own, which users know from nvidia-smi; pynvml's where the library cannot say."""
        for describe in (lambda: self._nvml.nvmlErrorString(code), lambda: str(error)):
            with contextlib.suppress(Exception):
                words = describe()
                if words:
                    return str(words)
        return "no description"

    def _call(self, name: str, *arguments: Any) -> bool:
        """A function of old libraries that pynvml no longer wraps."""
        try:
            function = getattr(self._nvml.nvmlLib, name)
        except AttributeError:
            raise self._nvml.NVMLError(_FUNCTION_NOT_FOUND) from None
        code = function(*arguments)
        if code:
            raise self._nvml.NVMLError(code)
        return True

    def _pci_info_v2(self, handle: Any) -> str:
        """Of before the longer bus id, and else the same structure."""
        import ctypes

        info = self._nvml.nvmlPciInfo_t()
        self._call("nvmlDeviceGetPciInfo_v2", handle, ctypes.byref(info))
        return self._bus_id(info)

    @staticmethod
    def _bus_id(info: Any) -> str:
        # pynvml's structures hand out texts as str, by way of a hook of their own.
        return str(info.busId or info.busIdLegacy)

    def _brand(self, handle: Any) -> str | int:
        number: int = self._nvml.nvmlDeviceGetBrand(handle)
        prefix = "NVML_BRAND_"
        for name, value in vars(self._nvml).items():
            if value == number and name.startswith(prefix) and name != "NVML_BRAND_COUNT":
                return str(name[len(prefix) :].lower())
        return number

    def _memory(self, handle: Any, **version: int) -> tuple[int, int]:
        info = self._nvml.nvmlDeviceGetMemoryInfo(handle, **version)
        return info.total, info.free

    def _field(self, handle: Any, field: int) -> Any:
        (value,) = self._nvml.nvmlDeviceGetFieldValues(handle, [field])
        code = value.nvmlReturn
        if code:
            # A driver that is older than the field may call its number an invalid argument.
            raise self._nvml.NVMLError(_NOT_SUPPORTED if code == _INVALID_ARGUMENT else code)
        return getattr(value.value, _VALUE_MEMBERS[value.valueType])

    def _sram_threshold_exceeded(self, handle: Any) -> int:
        import ctypes

        status = self._nvml.c_nvmlEccSramErrorStatus_v1_t()
        self._nvml.nvmlDeviceGetSramEccErrorStatus(handle, ctypes.byref(status))
        return int(status.bThresholdExceeded)

    def _fabric_info_v(self, handle: Any) -> tuple[str, int, int, int | None]:
        """Version 3 of the structure, else 2, which tells no health."""
        call = "nvmlDeviceGetGpuFabricInfoV"
        try:
            return self._fabric_info(call, 3, handle)
        except self._nvml.NVMLError as error:
            if error.value != _ARGUMENT_VERSION_MISMATCH:
                raise
        return self._fabric_info(call, 2, handle)

    def _fabric_info(self, call: str, version: int, handle: Any) -> tuple[str, int, int, int | None]:
        """State, status and health; in a structure of our own, for that of pynvml 12.560 is longer than NVML's.

        https://docs.nvidia.com/deploy/nvml-api/group__nvmlFabricDefs.html (2026-11)
        """
        import ctypes

        class Info(ctypes.Structure):
            _fields_ = (
                *((("version", ctypes.c_uint),) if version > 1 else ()),
                ("cluster", ctypes.c_ubyte * 16),
                ("status", ctypes.c_uint),
                ("clique", ctypes.c_uint32),
                ("state", ctypes.c_uint),
                *((("health_mask", ctypes.c_uint32),) if version > 1 else ()),
                *((("health", ctypes.c_uint8),) if version > 2 else ()),
            )

        info = Info()
        if version > 1:
            info.version = version << 24 | ctypes.sizeof(Info)
        getattr(self._nvml, call)(handle, ctypes.byref(info))
        return call, info.state, info.status, info.health if version > 2 else None

    def _gsp_version(self, handle: Any) -> str:
        import ctypes

        # Older versions of pynvml want these two to bring their own room.
        text = (ctypes.c_char * 64)()
        self._nvml.nvmlDeviceGetGspFirmwareVersion(handle, text)
        return text.value.decode()

    def _gsp_enabled(self, handle: Any) -> int:
        import ctypes

        enabled, by_default = ctypes.c_uint(), ctypes.c_uint()
        self._nvml.nvmlDeviceGetGspFirmwareMode(handle, ctypes.byref(enabled), ctypes.byref(by_default))
        return enabled.value

    def _inforom_is_valid(self, handle: Any) -> bool:
        try:
            self._nvml.nvmlDeviceValidateInforom(handle)
        except self._nvml.NVMLError as error:
            if error.value != _CORRUPTED_INFOROM:
                raise
            return False
        return True

    def _process_lister(self, call: str) -> Callable[[Any], list[tuple[int, int | None]]]:
        return lambda handle: [(one.pid, one.usedGpuMemory) for one in getattr(self._nvml, call)(handle)]

    def _processes_v1(self, call: str, handle: Any) -> list[tuple[int, int | None]]:
        """Of before MIG: a shorter structure, which pynvml no longer knows."""
        import ctypes

        class Process(ctypes.Structure):
            _fields_ = (("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong))

        count = ctypes.c_uint(0)
        try:
            self._call(call, handle, ctypes.byref(count), None)
        except self._nvml.NVMLError as error:
            if error.value != _INSUFFICIENT_SIZE:
                raise
        else:
            return []
        # Some may come meanwhile.
        count = ctypes.c_uint(count.value * 2 + 5)
        room = (Process * count.value)()
        self._call(call, handle, ctypes.byref(count), room)
        not_available = ctypes.c_ulonglong(-1).value
        return [(one.pid, None if one.memory == not_available else one.memory) for one in room[: count.value]]
