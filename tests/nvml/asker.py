"""Asks the real probe what NVML says of hosts that data files describe, and what the healthy one is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynvml

from gpudoctor.document import decode
from gpudoctor.facts import GpuFacts, NvLink, RemappedRows
from gpudoctor.probe.nvml import NvmlFacts
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion
from tests.nvml import standin

ROOT = Path(__file__).parents[2]

PATIENCE_SECONDS = 20.0
"""For whatever must answer; a probe of the stand-in takes 20 ms."""

HANG_SECONDS = 1.0
"""Deadline of probes that hang."""

CODES = tuple(
    sorted({value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_") and isinstance(value, int)})
)
"""Every return code that pynvml has a name for."""

UNKNOWN_CODE = 77


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One probe in a process of its own."""

    facts: NvmlFacts
    seconds: float
    imported: tuple[str, ...]


class Asker:
    """Runs the probe where LD_LIBRARY_PATH names the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex

    def command(self, seconds: float, *texts: str) -> tuple[str, ...]:
        """The process that probes each host of `texts`."""
        files: list[str] = []
        for text in texts:
            path = self.folder / f"{uuid.uuid4().hex}.txt"
            path.write_text(text, encoding="utf-8")
            files.append(str(path))
        return (sys.executable, "-W", "error", "-m", "tests.nvml.ask", f"{seconds}", *files)

    def environment(self, text: str = "") -> dict[str, str]:
        """The library that a host's data file asks for, and a mark by which survivors are found."""
        library = standin.library_folder(standin.missing_calls(text))
        return self.base_environment() | {"LD_LIBRARY_PATH": str(library)}

    def base_environment(self) -> dict[str, str]:
        """Everything but a library."""
        return dict(os.environ) | {"GPUDOCTOR_TEST_MARK": self.mark, "PYTHONPATH": str(ROOT)}

    def ask(
        self,
        *texts: str,
        seconds: float = PATIENCE_SECONDS,
        environment: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> tuple[Outcome, ...]:
        """Probe each host of `texts` with the library that the first of them asks for."""
        ended = subprocess.run(
            (*prefix, *self.command(seconds, *texts)),
            env=dict(environment or self.environment(texts[0])),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
        )
        assert ended.stderr == ""
        assert ended.returncode == 0
        return tuple(_outcome(line) for line in ended.stdout.splitlines())

    def ask_one(self, text: str, seconds: float = PATIENCE_SECONDS) -> NvmlFacts:
        """The facts of one host."""
        (outcome,) = self.ask(text, seconds=seconds)
        return outcome.facts

    def survivors(self) -> list[int]:
        """Processes that carry this asker's mark and are no zombies."""
        return survivors_of(self.mark)

    def assert_nothing_left(self) -> None:
        """Killed processes are gone within moments."""
        give_up = time.monotonic() + 5
        while self.survivors() and time.monotonic() < give_up:
            time.sleep(0.02)
        assert self.survivors() == []


def survivors_of(mark: str) -> list[int]:
    """Processes whose environment holds GPUDOCTOR_TEST_MARK with that value, and that are no zombies."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if f"GPUDOCTOR_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _outcome(line: str) -> Outcome:
    document: dict[str, Any] = json.loads(line)
    return Outcome(
        facts=decode(NvmlFacts, document["facts"]),
        seconds=document["seconds"],
        imported=tuple(document["imported"]),
    )


def unread(reading: Reading[Any]) -> Unread:
    assert isinstance(reading, Unread)
    assert reading.detail
    return reading


def gpus_of(facts: NvmlFacts) -> tuple[GpuFacts, ...]:
    assert not isinstance(facts.gpus, Unread)
    return facts.gpus


def healthy_gpu(index: int) -> GpuFacts:
    """What standin.describe() gives GPU `index`."""
    return GpuFacts(
        index=index,
        uuid=f"GPU-{index:08x}-0001-4000-8000-000000000001",
        name="NVIDIA A100-SXM4-40GB",
        pci_address=f"0000:{index + 1:02x}:00.0",
        compute_capability=ComputeCapability("8.0"),
        brand="nvidia",
        memory_bytes=40960 << 20,
        memory_free_bytes=(40960 - 626) << 20,
        mig_enabled=False,
        mig_pending=False,
        mig_devices=(),
        minor_number=index,
        ecc_enabled=True,
        ecc_pending=True,
        ecc_uncorrected_volatile=0,
        ecc_uncorrected_aggregate=2,
        ecc_corrected_volatile=1,
        ecc_sram_threshold_exceeded=False,
        retired_pages=not_supported("nvmlDeviceGetRetiredPages"),
        retired_pages_pending=not_supported("nvmlDeviceGetRetiredPagesPendingStatus"),
        remapped_rows=RemappedRows(correctable=1, uncorrectable=2, pending=False, failure=False),
        exhausted_banks=0,
        clocks_event_reasons=("gpu_idle", "sw_power_cap"),
        temperature_celsius=41,
        temperature_slowdown_celsius=89,
        temperature_shutdown_celsius=92,
        power_watts=51.234,
        power_limit_watts=400.0,
        power_default_limit_watts=400.0,
        pcie_generation=4,
        pcie_generation_max=4,
        pcie_width=16,
        pcie_width_max=16,
        pcie_replays=3,
        nvlinks=tuple(NvLink(index=link, active=active) for link, active in enumerate((True, True, False))),
        performance_state=0,
        compute_mode="default",
        persistence_mode=True,
        display_active=False,
        processes=(),
        fabric_state="completed",
        fabric_health="healthy",
        recovery_action="none",
        inforom_valid=True,
        gsp_firmware="535.129.03",
    )


def not_supported(call: str) -> Unread:
    """Of a call that the GPU does not know, as it is told."""
    detail = "Not Supported (NVML_ERROR_NOT_SUPPORTED 3)"
    return Unread(source=call, why=Why.UNSUPPORTED, detail=detail, code=pynvml.NVML_ERROR_NOT_SUPPORTED)


def healthy(gpus: int) -> NvmlFacts:
    return NvmlFacts(
        driver_version=DriverVersion("535.129.03"),
        nvml_version="12.535.129.03",
        driver_cuda_version=CudaVersion("12.2"),
        gpus=tuple(healthy_gpu(index) for index in range(gpus)),
    )
