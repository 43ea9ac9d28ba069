"""Compiles the stand-ins for the driver's libraries on the fly, and writes the data files that drive them.

Compiled libraries are kept outside the tree, one per source, compiler flags and set of missing symbols.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.real.cannot import cannot

SOURCE = Path(__file__).with_name("libnvidia-ml.c")
SONAME = "libnvidia-ml.so.1"
CUDA_SOURCE = SOURCE.with_name("libcuda.c")
CUDA_SONAME = "libcuda.so.1"
_SHARED_SOURCE = SOURCE.with_name("statements.h")
_CHOOSING_SOURCE = SOURCE.with_name("choose.c")
_FLAGS = ("-shared", "-fPIC", "-O1", "-std=c11", "-Wall", "-Wextra", "-Wno-unused-function")
_EXPORTED = re.compile(r"^(?:EXPORT [\w \*]*?\*?|(?:HOST_TEXT|TEXT|NUMBER|PAIR|PROCESSES)\()(nvml\w+)", re.MULTILINE)
_MISSING = re.compile(r"^\s*missing\s*=\s*(\w+)", re.MULTILINE)


def _cache_folder() -> Path:
    """Outside the tree, as everything that is slow to make."""
    chosen = os.environ.get("GPUDOCTOR_TEST_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpudoctor-tests"


def exported_calls() -> frozenset[str]:
    """Every NVML call that the source knows."""
    return frozenset(_EXPORTED.findall(SOURCE.read_text(encoding="utf-8")))


def library_folder(missing: Iterable[str] = ()) -> Path:
    """Folder for LD_LIBRARY_PATH with a library that exports all calls but `missing`.

    Raises ValueError when a missing call is none that the source knows: a misspelt one would pass for a
    driver that has everything.
    """
    absent = sorted(set(missing))
    unknown = set(absent) - exported_calls()
    if unknown:
        raise ValueError(f"{SOURCE.name} exports no {', '.join(sorted(unknown))}")
    hidden = "".join(f" {name};" for name in absent)
    return _compiled(SOURCE, SONAME, f"{{ global: nvml*; local:{hidden} *; }};\n")


def _compiled(source: Path, soname: str, exports: str) -> Path:
    """Folder of the library built from `source`, built now unless it was before."""
    compiler = os.environ.get("CC", "cc")
    texts = (part.read_text(encoding="utf-8") for part in (source, _SHARED_SOURCE))
    identity = "\0".join((*texts, exports, compiler, *_FLAGS, platform.machine()))
    folder = _cache_folder().resolve() / "nvml" / hashlib.sha256(identity.encode()).hexdigest()[:16]
    if (folder / soname).exists():
        return folder
    if shutil.which(compiler) is None:
        cannot(f"no C compiler ({compiler}) to build {source.name} with")
    folder.mkdir(parents=True, exist_ok=True)
    # Another test run may build the same library now: whoever ends last replaces the file by its like.
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        script = Path(temporary, "exports")
        script.write_text(exports, encoding="utf-8")
        built = Path(temporary, soname)
        linker = (f"-Wl,-soname,{soname}", f"-Wl,--version-script={script}")
        subprocess.run((compiler, *_FLAGS, *linker, "-o", str(built), str(source)), check=True)
        built.replace(folder / soname)
    return folder


def missing_calls(data: str) -> tuple[str, ...]:
    """The calls that the host of a data file lacks."""
    return tuple(_MISSING.findall(data))


def cuda_library() -> Path:
    """The stand-in for CUDA."""
    return _compiled(CUDA_SOURCE, CUDA_SONAME, "{ global: cu*; local: *; };\n") / CUDA_SONAME


def environment(data_file: Path) -> dict[str, str]:
    """Variables under which a process loads the library that suits `data_file`, and reads it."""
    folder = library_folder(missing_calls(data_file.read_text(encoding="utf-8")))
    return {"LD_LIBRARY_PATH": str(folder), "GPUDOCTOR_NVML_DATA": str(data_file)}


def with_libraries(nvml: Path | None = None, cuda: Path | None = None) -> dict[str, str]:
    """Variables under which a process finds these libraries and no other, though this machine may have some."""
    audit = _compiled(_CHOOSING_SOURCE, "choose.so", "{ global: la_*; local: *; };\n") / "choose.so"
    chosen = {"GPUDOCTOR_TEST_NVML": nvml, "GPUDOCTOR_TEST_CUDA": cuda}
    return {"LD_AUDIT": str(audit), **{name: str(path) for name, path in chosen.items() if path is not None}}


def cuda_data(nvml: str) -> str:
    """Data of the CUDA stand-in that agree with those of NVML: healthy where it is healthy."""
    gpus = len(re.findall(r"^\[gpu \d+\]", nvml, re.MULTILINE))
    version = re.search(r"^cuda_driver_version\s*=\s*([\d.]+)\s*$", nvml, re.MULTILINE)
    hang = re.search(r"^hang nvmlInit[^=\n]*(=.*)?$", nvml, re.MULTILINE)
    refused = re.search(r"^return nvmlInit\S* = (\d+)", nvml, re.MULTILINE)
    init = _CUDA_BESIDE_NVML.get(int(refused[1]), 0) if refused else 0 if gpus else _NO_DEVICE
    lines = [f"count = {gpus}", f"init = {init}"]
    if version:
        lines.append(f"version = {version[1]}")
    if hang:
        lines.append(f"hang cuInit {hang[1] or ''}".rstrip())
    return "".join(f"{line}\n" for line in lines)


_NO_DEVICE = 100

# What cuInit gives where NVML's initialisation gives that: no module is loaded; module and libraries are of two
# versions. Where NVML gives something else, CUDA's own data say what it gives.
_CUDA_BESIDE_NVML = {9: _NO_DEVICE, 18: 803}

HEALTHY = """\
driver_version = 535.129.03
nvml_version = 12.535.129.03
cuda_driver_version = 12.2
process_name 4242 = /usr/bin/python3

[gpu *]
name = NVIDIA A100-SXM4-40GB
brand = 14
compute_capability = 8.0
memory_total = 40960 MiB
memory_reserved = 626 MiB
mig_mode = 0
max_mig_devices = 7
ecc_mode = 1
ecc_uncorrected_volatile = 0
ecc_uncorrected_aggregate = 2
ecc_corrected_volatile = 1
ecc_sram_threshold_exceeded = 0
remapped_rows = 1 2 0 0
exhausted_banks = 0
clocks_event_reasons = 0x5
temperature = 41
temperature_slowdown = 89
temperature_shutdown = 92
power_usage_milliwatts = 51234
power_limit_milliwatts = 400000
power_default_limit_milliwatts = 400000
pcie_generation = 4
pcie_max_generation = 4
pcie_width = 16
pcie_max_width = 16
pcie_replays = 3
performance_state = 0
compute_mode = 0
persistence_mode = 1
display_active = 0
nvlinks = 1 1 0
fabric_state = 3
fabric_health = 1
recovery_action = 0
inforom_valid = 1
gsp_firmware = 535.129.03
gsp_enabled = 1
"""
"""Head of a data file: the host and what each of its GPUs has."""


def gpu_section(index: int, *statements: str) -> str:
    """Section of GPU `index` of a data file, with an address and a UUID of its own."""
    lines = (
        f"[gpu {index}]",
        *statements,
        f"uuid = GPU-{index:08x}-0001-4000-8000-000000000001",
        f"pci_bus_id = 00000000:{index + 1:02X}:00.0",
        f"minor_number = {index}",
    )
    return "".join(f"{line}\n" for line in lines)


def describe(
    gpus: int = 1,
    *faults: str,
    of_gpu: Mapping[int, Iterable[str]] | None = None,
    sections: str = "",
) -> str:
    """Text of a data file: a healthy host with `gpus` GPUs, but for its `faults` and those `of_gpu`."""
    own = of_gpu or {}
    head = "".join(f"{fault}\n" for fault in faults)
    every = "".join(gpu_section(index, *own.get(index, ())) for index in range(gpus))
    return head + HEALTHY + every + sections
