"""Compiles the stand-in libnvidia-ml.so.1 on the fly, and writes the data files that drive it.

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
_HIDING_SOURCE = SOURCE.with_name("hide.c")
_FLAGS = ("-shared", "-fPIC", "-O1", "-std=c11", "-Wall", "-Wextra")
_EXPORTED = re.compile(r"^(?:EXPORT [\w \*]*?\*?|(?:HOST_TEXT|TEXT|NUMBER|PAIR)\()(nvml\w+)", re.MULTILINE)
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
    identity = "\0".join((source.read_text(encoding="utf-8"), exports, compiler, *_FLAGS, platform.machine()))
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


def environment(data_file: Path) -> dict[str, str]:
    """Variables under which a process loads the library that suits `data_file`, and reads it."""
    folder = library_folder(missing_calls(data_file.read_text(encoding="utf-8")))
    return {"LD_LIBRARY_PATH": str(folder), "GPUDOCTOR_NVML_DATA": str(data_file)}


def without_library() -> dict[str, str]:
    """Variables under which a process finds no libnvidia-ml.so.1, though this machine may have one."""
    return {"LD_AUDIT": str(_compiled(_HIDING_SOURCE, "hide.so", "{ global: la_*; local: *; };\n") / "hide.so")}


HEALTHY = """\
driver_version = 535.129.03
nvml_version = 12.535.129.03
cuda_driver_version = 12.2

[gpu *]
name = NVIDIA A100-SXM4-40GB
brand = 14
compute_capability = 8.0
memory_total = 40960 MiB
memory_reserved = 626 MiB
mig_mode = 0
max_mig_devices = 7
"""
"""Head of a data file: the host and what each of its GPUs has."""


def gpu_section(index: int, *statements: str) -> str:
    """Section of GPU `index` of a data file, with an address and a UUID of its own."""
    lines = (
        f"[gpu {index}]",
        *statements,
        f"uuid = GPU-{index:08x}-0001-4000-8000-000000000001",
        f"pci_bus_id = 00000000:{index + 1:02X}:00.0",
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
