"""Facts of a healthy machine, with any part of them changed, and one check's answer to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from gpudoctor import checks, matrix
from gpudoctor.facts import DriverFacts, EngineFacts, Facts, GpuFacts, PciGpu, SystemFacts
from gpudoctor.findings import CheckResult
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion

GIB = 1 << 30


def unread(why: Why = Why.FAILED, *, code: int | None = None, source: str = "the source") -> Unread:
    """A reading without a value."""
    return Unread(source=source, why=why, detail=f"it said {why.value}", code=code)


def gpu(index: int = 0, **changed: Any) -> GpuFacts:
    """A healthy RTX 3090, the first of possibly several."""
    healthy = GpuFacts(
        index=index,
        uuid=f"GPU-{index:08x}-1111-4222-8333-444444444444",
        name="NVIDIA GeForce RTX 3090",
        pci_address=f"0000:{index + 1:02x}:00.0",
        compute_capability=ComputeCapability("8.6"),
        brand="geforce",
        memory_bytes=24 * GIB,
        memory_free_bytes=23 * GIB,
        mig_enabled=unread(Why.UNSUPPORTED, code=3),
        mig_devices=(),
    )
    return replace(healthy, **changed)


def pci_gpu(index: int = 0, driver: str | Unread = "nvidia") -> PciGpu:
    """The same GPU on the bus."""
    return PciGpu(address=f"0000:{index + 1:02x}:00.0", device_id="2204", driver=driver)


_SYSTEM = SystemFacts(
    hostname="workstation",
    architecture="x86_64",
    kernel_release="6.8.0-85-generic",
    os_id="ubuntu",
    os_like=("debian",),
    os_name="Ubuntu 24.04.3 LTS",
    container="",
    wsl=False,
    jetson=False,
    shm_bytes=16 * GIB,
    memlock_limit_bytes=8 << 20,
)
_DRIVER = DriverFacts(
    kernel_module_version=DriverVersion("535.129.03"),
    module_flavour="proprietary",
    modules=("nvidia", "nvidia_drm", "nvidia_modeset", "nvidia_uvm"),
    device_nodes=("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"),
    modprobe_helper=True,
    version=DriverVersion("535.129.03"),
    nvml_version="12.535.129.03",
    driver_cuda_version=CudaVersion("12.2"),
)
_ENGINE = EngineFacts(
    host="unix:///var/run/docker.sock",
    version="28.5.1",
    operating_system="Ubuntu 24.04.3 LTS",
    runtimes=("io.containerd.runc.v2", "nvidia", "runc"),
    default_runtime="runc",
    cdi_devices=(),
    cgroup_driver="systemd",
    cgroup_version="2",
    security_options=("name=seccomp,profile=builtin",),
    data_root="/var/lib/docker",
    data_root_free_bytes=500_000_000_000,
    toolkit_binaries=("nvidia-container-runtime", "nvidia-container-runtime-hook", "nvidia-ctk"),
)
_FACTS = Facts(
    probed_at="2026-11-23T00:00:00Z",
    system=_SYSTEM,
    driver=_DRIVER,
    pci_gpus=(pci_gpu(),),
    gpus=(gpu(),),
    engine=_ENGINE,
)


def facts_of(
    *,
    system: Mapping[str, Any] | None = None,
    driver: Mapping[str, Any] | None = None,
    engine: Mapping[str, Any] | None = None,
    **changed: Any,
) -> Facts:
    """A healthy workstation, but for what is named: facts_of(driver={"modules": ()}, gpus=())."""
    return replace(
        _FACTS,
        system=replace(_SYSTEM, **(system or {})),
        driver=replace(_DRIVER, **(driver or {})),
        engine=replace(_ENGINE, **(engine or {})),
        **changed,
    )


def driver_says(reading: Unread) -> dict[str, Any]:
    """What NVML's part of the driver's facts is when it cannot be initialised."""
    return {"version": reading, "nvml_version": reading, "driver_cuda_version": reading}


NOT_LOADED: Mapping[str, Any] = {
    **driver_says(unread(Why.FAILED, code=9)),
    "kernel_module_version": unread(Why.ABSENT),
    "module_flavour": unread(Why.ABSENT),
    "modules": (),
    "device_nodes": (),
}
"""Facts of a driver that is installed and not loaded."""

NO_ENGINE: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            "version",
            "operating_system",
            "runtimes",
            "default_runtime",
            "cdi_devices",
            "cgroup_driver",
            "cgroup_version",
            "security_options",
            "data_root",
            "data_root_free_bytes",
        ),
        unread(Why.ABSENT),
    ),
    "toolkit_binaries": (),
}
"""Facts of an engine that is not there."""


def engine_unread(why: Why) -> dict[str, Any]:
    """Facts of an engine that gave no answer."""
    return {**dict.fromkeys(NO_ENGINE, unread(why)), "toolkit_binaries": ()}


@cache
def shipped_matrix() -> matrix.Matrix:
    """The matrix of the package."""
    return matrix.load(None)


def results(facts: Facts, *, engine_asked: bool = False) -> tuple[CheckResult, ...]:
    """What all checks say of the facts."""
    return checks.run(checks.Case(facts=facts, matrix=shipped_matrix(), engine_asked=engine_asked))


def answer(check: str, facts: Facts, *, engine_asked: bool = False) -> CheckResult:
    """What one check says of the facts, among all of them, so that its cause is named too."""
    (result,) = (one for one in results(facts, engine_asked=engine_asked) if one.check == check)
    return result
