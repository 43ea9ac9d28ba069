"""Interpreters with what a TensorFlow leaves on disk, and the facts of such interpreters."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpudoctor.facts import Package, PythonFacts, PythonLibrary
from gpudoctor.versions import CudaVersion
from tests.real.cannot import cannot

NAMES_OF_CUDA_12 = (
    "libcudart.so.12",
    "libcublas.so.12",
    "libcublasLt.so.12",
    "libcufft.so.11",
    "libcusolver.so.11",
    "libcusparse.so.12",
    "libcudnn.so.9",
)
FOLDERS_OF_WHEELS: Mapping[str, str] = {
    "libcudart.so.12": "cuda_runtime",
    "libcublas.so.12": "cublas",
    "libcublasLt.so.12": "cublas",
    "libcufft.so.11": "cufft",
    "libcusolver.so.11": "cusolver",
    "libcusparse.so.12": "cusparse",
    "libcudnn.so.9": "cudnn",
}

# As its wheels have it.
BUILD_INFO_2_18 = (
    "import collections\n\n"
    "build_info = collections.OrderedDict([('cuda_compute_capabilities', ['sm_60', 'sm_70', 'sm_80', 'sm_89',"
    " 'compute_90']), ('cuda_version', '12.5.1'), ('cudnn_version', '9'), ('is_cuda_build', True)])\n"
)
BUILD_INFO_CPU = "build_info = {'is_cuda_build': False, 'is_rocm_build': False}\n"


def environment(folder: Path) -> Path:
    """A virtual environment without anything; its site-packages."""
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", str(folder)), check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    return site


def distribution(site: Path, name: str, version: str, *requirements: str) -> None:
    """The metadata of an installed wheel."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {one}" for one in requirements]
    (folder / "METADATA").write_text("\n".join(lines) + "\n\nIts description\nVersion: 0\n")


def tensorflow(site: Path, build_info: str, *, package: str = "tensorflow") -> Path:
    """The package as far as it is read."""
    for name in {"tensorflow", package}:
        (site / name).mkdir(parents=True, exist_ok=True)
        (site / name / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    file = site / package / "python/platform/build_info.py"
    file.parent.mkdir(parents=True)
    file.write_text(build_info)
    return site / package


_OPENER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
const char *opened(const char *name) {
    struct link_map *map;
    void *handle = dlopen(name, RTLD_LAZY);
    return handle && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : "";
}
"""


def framework(path: Path, *folders: str, old: bool = False, needed: tuple[str, ...] = ()) -> None:
    """A library that opens others, with these folders as its run path, or as the older kind of it."""
    library(
        path, _OPENER, f"-Wl,{'--disable' if old else '--enable'}-new-dtags", *_path(folders), *_needed(path, needed)
    )


def _path(folders: tuple[str, ...]) -> tuple[str, ...]:
    return (f"-Wl,-rpath,{':'.join(folders)}",) if folders else ()


def _needed(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        library(path.parent / "linked" / name, "", f"-Wl,-soname,{name}")
    return ("-Wl,--no-as-needed", *(str(path.parent / "linked" / name) for name in names))


def library(path: Path, source: str = "", *options: str) -> None:
    """A shared library of this machine's."""
    compiler = shutil.which("cc")
    if compiler is None:
        cannot("there is no C compiler")
    path.parent.mkdir(parents=True, exist_ok=True)
    command = (compiler, "-shared", "-fPIC", "-o", str(path), "-x", "c", "-", "-x", "none", *options)
    subprocess.run(command, input=source, text=True, check=True)


def wheel(site: Path, name: str) -> Path:
    """A library where NVIDIA's wheel of it puts it."""
    path = site / "nvidia" / FOLDERS_OF_WHEELS[name] / "lib" / name
    library(path)
    return path


# --- facts ---


def found(name: str, **changed: Any) -> PythonLibrary:
    """A library in its wheel."""
    path = f"/opt/venv/lib/python3.11/site-packages/nvidia/{FOLDERS_OF_WHEELS.get(name, 'cuda')}/lib/{name}"
    version = "9.3.0.75" if "cudnn" in name else ""
    healthy = PythonLibrary(name=name, path=path, origin="wheel", version=version, elsewhere="")
    return replace(healthy, **changed)


def python(**changed: Any) -> PythonFacts:
    """A Python 3.11 whose TensorFlow 2.18.1 brings its CUDA along, but for what is named."""
    healthy = PythonFacts(
        executable="/opt/venv/bin/python",
        version="3.11.7",
        platform="linux",
        distributions=(
            Package(name="h5py", version="3.12.1"),
            Package(name="numpy", version="2.0.2"),
            Package(name="nvidia-cudnn-cu12", version="9.3.0.75"),
            Package(name="protobuf", version="5.28.3"),
            Package(name="tensorflow", version="2.18.1"),
        ),
        conda_packages=(),
        tensorflow=Package(name="tensorflow", version="2.18.1"),
        tensorflow_requires=("numpy<2.1.0,>=1.26.0", "nvidia-cudnn-cu12==9.3.0.75; extra == 'and-cuda'"),
        tensorflow_gpu_build=True,
        tensorflow_cuda=CudaVersion("12.5.1"),
        tensorflow_cudnn="9",
        tensorflow_capabilities=("sm_60", "sm_70", "sm_80", "sm_89", "compute_90"),
        libraries=tuple(found(name) for name in NAMES_OF_CUDA_12),
    )
    return replace(healthy, **changed)


def with_tensorflow(
    version: str, *, name: str = "tensorflow", more: tuple[Package, ...] = (), **changed: Any
) -> PythonFacts:
    """The same with another TensorFlow, and beside it nothing but what is named."""
    package = Package(name=name, version=version)
    return python(tensorflow=package, distributions=(*more, package), **changed)
