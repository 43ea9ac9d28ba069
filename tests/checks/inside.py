"""Facts of a process inside a container, and the environments of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpudoctor.facts import CudaLibrary, Facts, GpuFacts, Variable
from gpudoctor.readings import Unread
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion
from tests.fakes import NO_ENGINE, data_center_gpu, facts_of, gpu

# As these images set them.
NGC_20_03: Mapping[str, str] = {
    "CUDA_VERSION": "10.2.89",
    "CUDA_DRIVER_VERSION": "440.33.01",
    "NVIDIA_TENSORFLOW_VERSION": "20.03-tf1",
    "TENSORFLOW_VERSION": "1.15.2+nv",
    "NVIDIA_REQUIRE_CUDA": "cuda>=9.0",
}
NGC_20_07: Mapping[str, str] = {
    "CUDA_VERSION": "11.0.194",
    "CUDA_DRIVER_VERSION": "450.51.05",
    "NVIDIA_TENSORFLOW_VERSION": "20.07-tf2",
    "TENSORFLOW_VERSION": "2.2.0",
}
NGC_22_01: Mapping[str, str] = {
    "CUDA_VERSION": "11.6.0.021",
    "CUDA_DRIVER_VERSION": "510.39.01",
    "NVIDIA_TENSORFLOW_VERSION": "22.01-tf2",
    "TENSORFLOW_VERSION": "2.7.0",
}
NGC_23_02: Mapping[str, str] = {
    "CUDA_VERSION": "12.0.1.001",
    "CUDA_DRIVER_VERSION": "525.85.12",
    "NVIDIA_TENSORFLOW_VERSION": "23.02-tf2",
    "TENSORFLOW_VERSION": "2.11.0",
}
NGC_24_03: Mapping[str, str] = {
    "CUDA_VERSION": "12.4.0.041",
    "CUDA_DRIVER_VERSION": "550.54.14",
    "NVIDIA_TENSORFLOW_VERSION": "24.03-tf2",
    "TENSORFLOW_VERSION": "2.15.0",
    "NVIDIA_REQUIRE_CUDA": "cuda>=9.0",
}
NGC_25_02: Mapping[str, str] = {
    "CUDA_VERSION": "12.8.0.038",
    "CUDA_DRIVER_VERSION": "570.86.10",
    "NVIDIA_TENSORFLOW_VERSION": "25.02-tf2",
    "TENSORFLOW_VERSION": "2.17.0",
}


def inside(
    image: Mapping[str, str],
    *,
    driver: str = "535.129.03",
    driver_cuda: str = "12.2",
    gpus: tuple[GpuFacts, ...] | Unread | None = None,
    system: Mapping[str, Any] | None = None,
    driver_facts: Mapping[str, Any] | None = None,
    **changed: Any,
) -> Facts:
    """A container of that image on the healthy workstation, with another driver or other GPUs."""
    version = DriverVersion(driver)
    library = CudaLibrary(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", version=version, kind="driver")
    return facts_of(
        system={"container": "docker", "variables": variables(image), **(system or {})},
        driver={
            "version": version,
            "kernel_module_version": version,
            "driver_cuda_version": CudaVersion(driver_cuda),
            "libcuda": (library,),
            **(driver_facts or {}),
        },
        engine=NO_ENGINE,
        gpus=(gpu(),) if gpus is None else gpus,
        **changed,
    )


def variables(values: Mapping[str, str]) -> tuple[Variable, ...]:
    """An environment."""
    return tuple(Variable(name=name, value=values[name]) for name in sorted(values))


def named(name: str, capability: str, brand: str = "geforce") -> GpuFacts:
    """A GPU of another kind."""
    return gpu(name=name, compute_capability=ComputeCapability(capability), brand=brand)


GTX_1080 = named("NVIDIA GeForce GTX 1080", "6.1")
RTX_5090 = named("NVIDIA GeForce RTX 5090", "12.0")
A100 = data_center_gpu(name="NVIDIA A100-SXM4-40GB", compute_capability=ComputeCapability("8.0"))
H100 = data_center_gpu()
