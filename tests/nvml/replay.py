"""`python -m tests.nvml.replay FACTS.json` prints a data file for the stand-in from what `gpudoctor probe` recorded.

Probed again, the stand-in gives the same NVML facts: a machine that is elsewhere is staged here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pynvml

from gpudoctor.document import DocumentError, decode
from gpudoctor.facts import Facts, GpuFacts, MigDevice
from gpudoctor.probe import nvml
from gpudoctor.probe.nvml import NvmlFacts
from gpudoctor.readings import Reading, Unread, Why

T = TypeVar("T")

# The stand-in's names for answers where they are not the probe's keys of the questions.
_KEYS = {
    "pci_bus_id": "pci_address",
    "memory_total": "memory",
    "ecc_sram_threshold_exceeded": "ecc_sram",
    "power_usage_milliwatts": "power",
    "power_limit_milliwatts": "power_limit",
    "power_default_limit_milliwatts": "power_default_limit",
    "pcie_max_generation": "pcie_generation_max",
    "pcie_max_width": "pcie_width_max",
    "fabric_state": "fabric",
}
_OTHER_CALLS = {"nvlinks": nvml._NVLINK, "inforom_valid": nvml._INFOROM}
# Calls that answer more than one question: which of them hung is not told.
_SHARED = {
    call
    for calls in nvml._GPU_CALLS.values()
    for call in calls
    if sum(call in other for other in nvml._GPU_CALLS.values()) > 1
}
# The stand-in reads no longer lines.
_LONGEST_LINE = 500


def data_of(facts: NvmlFacts) -> str:
    """The data file.

    Raises ValueError for what a data file cannot say: a machine without the library, an answer that was garbled.
    """
    lines = tuple(_lines(facts))
    too_long = [line for line in lines if len(line) > _LONGEST_LINE]
    if too_long:
        raise ValueError(f"too long for a data file: {too_long[0][:60]}…")
    return "".join(f"{line}\n" for line in lines)


def facts_of(document: object) -> NvmlFacts:
    """NVML's part of what `gpudoctor probe` printed.

    Raises DocumentError with the place of the first fault.
    """
    facts = decode(Facts, document)
    return NvmlFacts(
        driver_version=facts.driver.version,
        nvml_version=facts.driver.nvml_version,
        driver_cuda_version=facts.driver.driver_cuda_version,
        gpus=facts.gpus,
    )


def _lines(facts: NvmlFacts) -> Iterator[str]:
    gpus = facts.gpus
    if isinstance(gpus, Unread) and gpus == facts.driver_version:
        if gpus.why is Why.ABSENT:
            raise ValueError(f"{gpus}: no library, and so no data file: stage the machine without nvml")
        yield from _fault(gpus, nvml._INIT)
        return
    for name, reading in (
        ("driver_version", facts.driver_version),
        ("nvml_version", facts.nvml_version),
        ("driver_cuda_version", facts.driver_cuda_version),
    ):
        statement = "cuda_driver_version" if name == "driver_cuda_version" else name
        yield from _answer(statement, reading, nvml._HOST_CALLS[name], lambda value: _escaped(str(value)))
    if isinstance(gpus, Unread):
        yield from _fault(gpus, nvml._HOST_CALLS["count"])
        return
    yield f"count = {len(gpus)}"
    yield from _process_names(gpus)
    for gpu in gpus:
        yield f"[gpu {gpu.index}]"
        if isinstance(gpu.uuid, Unread) and gpu.uuid.source in nvml._HANDLE:
            yield from _fault(gpu.uuid, nvml._HANDLE)
            continue
        yield from _gpu(gpu)


def _gpu(gpu: GpuFacts) -> Iterator[str]:
    def say(name: str, reading: Reading[T], shown: Callable[[T], object] = str) -> Iterator[str]:
        return _answer(name, reading, _calls(name), shown)

    yield from say("uuid", gpu.uuid, _escaped)
    yield from say("name", gpu.name, _escaped)
    yield from say("pci_bus_id", gpu.pci_address, lambda address: f"0000{address.upper()}")
    yield from say("minor_number", gpu.minor_number)
    yield from say("compute_capability", gpu.compute_capability)
    if isinstance(gpu.brand, Unread) and gpu.brand.detail == "NVML_BRAND_UNKNOWN":
        yield "brand = 0"
    else:
        yield from say("brand", gpu.brand, lambda name: getattr(pynvml, f"NVML_BRAND_{name.upper()}"))
    yield from say("memory_total", gpu.memory_bytes)
    if not isinstance(gpu.memory_free_bytes, Unread):
        yield f"memory_free = {gpu.memory_free_bytes}"
    yield from say("mig_mode", gpu.mig_enabled, int)
    if not isinstance(gpu.mig_pending, Unread):
        yield f"mig_mode_pending = {int(gpu.mig_pending)}"
    yield from say("recovery_action", gpu.recovery_action, nvml._RECOVERY_ACTIONS.index)
    yield from say("ecc_mode", gpu.ecc_enabled, int)
    if not isinstance(gpu.ecc_pending, Unread):
        yield f"ecc_mode_pending = {int(gpu.ecc_pending)}"
    yield from say("ecc_uncorrected_volatile", gpu.ecc_uncorrected_volatile)
    yield from say("ecc_uncorrected_aggregate", gpu.ecc_uncorrected_aggregate)
    yield from say("ecc_corrected_volatile", gpu.ecc_corrected_volatile)
    yield from say("ecc_sram_threshold_exceeded", gpu.ecc_sram_threshold_exceeded, int)
    yield from say("retired_pages_single_bit", gpu.retired_pages)
    if not isinstance(gpu.retired_pages, Unread):
        yield "retired_pages_double_bit = 0"
    yield from say("retired_pages_pending", gpu.retired_pages_pending, int)
    yield from say(
        "remapped_rows",
        gpu.remapped_rows,
        lambda rows: f"{rows.correctable} {rows.uncorrectable} {rows.pending:d} {rows.failure:d}",
    )
    yield from say("exhausted_banks", gpu.exhausted_banks)
    yield from say("clocks_event_reasons", gpu.clocks_event_reasons, _mask)
    yield from say("temperature", gpu.temperature_celsius)
    yield from say("temperature_slowdown", gpu.temperature_slowdown_celsius)
    yield from say("temperature_shutdown", gpu.temperature_shutdown_celsius)
    yield from say("power_usage_milliwatts", gpu.power_watts, _milliwatts)
    yield from say("power_limit_milliwatts", gpu.power_limit_watts, _milliwatts)
    yield from say("power_default_limit_milliwatts", gpu.power_default_limit_watts, _milliwatts)
    yield from say("pcie_generation", gpu.pcie_generation)
    yield from say("pcie_max_generation", gpu.pcie_generation_max)
    yield from say("pcie_width", gpu.pcie_width)
    yield from say("pcie_max_width", gpu.pcie_width_max)
    yield from say("pcie_replays", gpu.pcie_replays)
    if isinstance(gpu.performance_state, Unread) and gpu.performance_state.detail == "NVML_PSTATE_UNKNOWN":
        yield "performance_state = 32"
    else:
        yield from say("performance_state", gpu.performance_state)
    yield from say("compute_mode", gpu.compute_mode, nvml._COMPUTE_MODES.index)
    yield from say("persistence_mode", gpu.persistence_mode, int)
    yield from say("display_active", gpu.display_active, int)
    yield from _fabric(gpu)
    if gpu.gsp_firmware == "":
        yield "gsp_enabled = 0"
    else:
        yield from say("gsp_firmware", gpu.gsp_firmware, _escaped)
    if isinstance(gpu.nvlinks, Unread) or gpu.nvlinks:
        yield from say("nvlinks", gpu.nvlinks, lambda links: " ".join(_link(link.active) for link in links))
    yield from say("inforom_valid", gpu.inforom_valid, int)
    yield from _processes(gpu)
    # The last: it begins sections of its own.
    yield from _mig_devices(gpu)


def _calls(statement: str) -> tuple[str, ...]:
    return _OTHER_CALLS.get(statement) or nvml._GPU_CALLS[_KEYS.get(statement, statement)]


def _mig_devices(gpu: GpuFacts) -> Iterator[str]:
    devices = gpu.mig_devices
    if gpu.mig_enabled is not True:
        return
    if isinstance(devices, Unread):
        if devices.source in nvml._MIG_COUNT:
            yield from _fault(devices, nvml._MIG_COUNT)
        else:
            yield "max_mig_devices = 1"
            yield f"[mig {gpu.index}.0]"
            yield from _fault(devices, nvml._MIG_HANDLE)
        return
    yield f"max_mig_devices = {len(devices)}"
    for place, device in enumerate(devices):
        yield f"[mig {gpu.index}.{place}]"
        yield from _mig_device(device)


def _mig_device(device: MigDevice) -> Iterator[str]:
    yield from _answer("uuid", device.uuid, _calls("uuid"), _escaped)
    yield from _answer("name", device.name, _calls("name"), _escaped)
    yield from _answer("memory_total", device.memory_bytes, _calls("memory_total"), str)


def _fabric(gpu: GpuFacts) -> Iterator[str]:
    state, health = gpu.fabric_state, gpu.fabric_health
    if isinstance(state, Unread) and state != health and state.code is not None:
        yield f"fabric_state = {nvml._FABRIC_STATES.index('completed')}"
        yield f"fabric_status = {state.code}"
    else:
        yield from _answer("fabric_state", state, _calls("fabric_state"), nvml._FABRIC_STATES.index)
    if not isinstance(health, Unread):
        yield f"fabric_health = {nvml._FABRIC_HEALTH.index(health)}"


def _processes(gpu: GpuFacts) -> Iterator[str]:
    if isinstance(gpu.processes, Unread):
        compute, graphics = nvml._GPU_CALLS["compute_processes"], nvml._GPU_CALLS["graphics_processes"]
        calls = compute if gpu.processes.source in compute else graphics
        yield from _fault(gpu.processes, calls)
        return
    for process in gpu.processes:
        memory = "" if isinstance(process.memory_bytes, Unread) else f" {process.memory_bytes}"
        yield f"{process.kind}_process = {process.process_id}{memory}"


def _process_names(gpus: tuple[GpuFacts, ...]) -> Iterator[str]:
    names = {
        process.process_id: process.name
        for gpu in gpus
        if not isinstance(gpu.processes, Unread)
        for process in gpu.processes
    }
    for process_id, name in names.items():
        yield from _answer(f"process_name {process_id}", name, nvml._PROCESS_NAME, _escaped)


def _answer(statement: str, reading: Reading[T], calls: tuple[str, ...], shown: Callable[[T], object]) -> Iterator[str]:
    if not isinstance(reading, Unread):
        yield f"{statement} = {shown(reading)}"
    elif reading.code is not None:
        yield from _without_newer(reading, calls)
        yield f"{statement} = !{reading.code}"
    else:
        yield from _fault(reading, calls)


def _fault(reading: Unread, calls: tuple[str, ...]) -> Iterator[str]:
    if reading.why is Why.NOT_ASKED:
        return  # it follows from what came first
    if reading.source not in calls:
        raise ValueError(f"{reading}: a data file has no such call")
    if reading.code is not None:
        yield from _without_newer(reading, calls)
        older = calls[: calls.index(reading.source) + 1] if reading.code in nvml._TRY_OLDER else (reading.source,)
        yield from (f"return {call} = {reading.code}" for call in older)
    elif reading.why is Why.TIMEOUT and reading.source not in _SHARED:
        yield from _without_newer(reading, calls)
        yield f"hang {reading.source}"
    else:
        raise ValueError(f"{reading}: a data file cannot say that")


def _without_newer(reading: Unread, calls: tuple[str, ...]) -> Iterator[str]:
    """Where an older spelling gave the last word, the newer ones gave none."""
    if reading.source in calls and reading.code not in nvml._TRY_OLDER:
        yield from (f"return {call} = {nvml._FUNCTION_NOT_FOUND}" for call in calls[: calls.index(reading.source)])


def _link(active: Reading[bool]) -> str:
    if not isinstance(active, Unread):
        return str(int(active))
    if active.code is None:
        raise ValueError(f"{active}: a data file cannot say that")
    return f"!{active.code}"


def _mask(reasons: tuple[str, ...]) -> str:
    names = nvml._CLOCKS_EVENT_REASONS
    return hex(sum(1 << names.index(name) if name in names else int(name, 16) for name in reasons))


def _milliwatts(watts: float) -> int:
    return round(watts * 1000)


def _escaped(text: str) -> str:
    """As statements.h reads it: what would be taken for something else, by its bytes."""
    inner = text.strip(" ")
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in "\\#" else _bytes(char) for char in inner
    )
    before, after = (text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :])
    return f"{_bytes(before)}{plain}{_bytes(after)}"


def _bytes(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def main(arguments: list[str]) -> int:
    """Print the data file of one document."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.nvml.replay FACTS.json\n")
        return 2
    try:
        document: Any = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        sys.stdout.write(data_of(facts_of(document)))
    except (OSError, DocumentError, ValueError) as error:
        sys.stderr.write(f"{arguments[0]}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
