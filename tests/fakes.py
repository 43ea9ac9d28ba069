"""Facts of a healthy machine, with any part of them changed, and one check's answer to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from gpudoctor import checks, health_policy, matrix
from gpudoctor.facts import (
    CudaFacts,
    CudaLibrary,
    DaemonConfiguration,
    DkmsModule,
    DriverFacts,
    EngineFacts,
    Facts,
    GpuFacts,
    KernelEvent,
    ModuleFile,
    NvLink,
    Package,
    PciGpu,
    RemappedRows,
    SystemFacts,
    ToolkitConfiguration,
)
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
        mig_pending=unread(Why.UNSUPPORTED, code=3),
        mig_devices=(),
        ecc_sram_threshold_exceeded=unread(Why.UNSUPPORTED, code=3),
        exhausted_banks=unread(Why.UNSUPPORTED, code=3),
        temperature_shutdown_celsius=98,
        pcie_replays=0,
        fabric_health=unread(Why.UNSUPPORTED, code=3),
        minor_number=index,
        ecc_enabled=unread(Why.UNSUPPORTED, code=3),
        ecc_pending=unread(Why.UNSUPPORTED, code=3),
        ecc_uncorrected_volatile=unread(Why.UNSUPPORTED, code=3),
        ecc_uncorrected_aggregate=unread(Why.UNSUPPORTED, code=3),
        ecc_corrected_volatile=unread(Why.UNSUPPORTED, code=3),
        retired_pages=unread(Why.UNSUPPORTED, code=3),
        retired_pages_pending=unread(Why.UNSUPPORTED, code=3),
        remapped_rows=unread(Why.UNSUPPORTED, code=3),
        clocks_event_reasons=("gpu_idle",),
        temperature_celsius=41,
        temperature_slowdown_celsius=95,
        power_watts=28.5,
        power_limit_watts=350.0,
        power_default_limit_watts=350.0,
        pcie_generation=1,
        pcie_generation_max=4,
        pcie_width=16,
        pcie_width_max=16,
        nvlinks=(),
        performance_state=8,
        compute_mode="default",
        persistence_mode=True,
        display_active=False,
        processes=(),
        fabric_state=unread(Why.UNSUPPORTED, code=3),
        recovery_action=unread(Why.UNSUPPORTED, code=3),
        inforom_valid=True,
        gsp_firmware="535.129.03",
    )
    return replace(healthy, **changed)


def data_center_gpu(index: int = 0, **changed: Any) -> GpuFacts:
    """A healthy H100 of an HGX board, which tells what a GeForce does not."""
    healthy = gpu(
        index,
        name="NVIDIA H100 80GB HBM3",
        compute_capability=ComputeCapability("9.0"),
        brand="nvidia",
        memory_bytes=80 * GIB,
        memory_free_bytes=79 * GIB,
        mig_enabled=False,
        mig_pending=False,
        ecc_sram_threshold_exceeded=False,
        exhausted_banks=0,
        temperature_shutdown_celsius=92,
        fabric_health="healthy",
        ecc_enabled=True,
        ecc_pending=True,
        ecc_uncorrected_volatile=0,
        ecc_uncorrected_aggregate=0,
        ecc_corrected_volatile=0,
        remapped_rows=RemappedRows(correctable=0, uncorrectable=0, pending=False, failure=False),
        temperature_slowdown_celsius=87,
        power_watts=72.0,
        power_limit_watts=700.0,
        power_default_limit_watts=700.0,
        pcie_generation=5,
        pcie_generation_max=5,
        nvlinks=tuple(NvLink(index=link, active=True) for link in range(18)),
        performance_state=0,
        fabric_state="completed",
        recovery_action="none",
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
    systemd=True,
    virtual_machine="",
    cpu_flags=("avx", "avx2", "fma", "sse4_1", "sse4_2"),
    secure_boot=False,
    selinux="",
    boot_id="0b1d6f5e-9a53-4d4e-8f0c-5b1f7f0a3c11",
    uptime_seconds=86_400.0,
    daemons=("containerd", "dockerd", "nvidia-persistenced"),
    programs=("/usr/bin/docker", "/usr/bin/nvidia-modprobe", "/usr/bin/nvidia-smi"),
    packages=(Package(name="nvidia-driver-535", version="535.129.03-0ubuntu1"),),
    variables=(),
)
_DRIVER = DriverFacts(
    kernel_module_version=DriverVersion("535.129.03"),
    module_flavour="proprietary",
    modules=("nvidia", "nvidia_drm", "nvidia_modeset", "nvidia_uvm"),
    device_nodes=("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"),
    modprobe_helper=True,
    module_files=(
        ModuleFile(
            path="/lib/modules/6.8.0-85-generic/updates/dkms/nvidia.ko",
            kernel_release="6.8.0-85-generic",
            version=DriverVersion("535.129.03"),
            flavour="proprietary",
        ),
    ),
    dkms=(DkmsModule(version="535.129.03", built_for=("6.8.0-85-generic",), failed_for=()),),
    kernel_headers=True,
    uvm_hmm_disabled=False,
    preserves_video_memory=True,
    char_links=True,
    nvswitches=0,
    libcuda=(
        CudaLibrary(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", version=DriverVersion("535.129.03"), kind="driver"),
    ),
    wsl_libraries=(),
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
    cdi_spec_dirs=("/etc/cdi", "/var/run/cdi"),
    running_containers=0,
    daemon=DaemonConfiguration(
        path="/etc/docker/daemon.json", runtimes=("nvidia",), default_runtime="", cdi=None, exec_options=()
    ),
    cdi_specs=(),
    toolkit_version="1.17.8",
    toolkit=ToolkitConfiguration(
        path="/etc/nvidia-container-runtime/config.toml",
        mode="auto",
        no_cgroups=False,
        ldconfig="/sbin/ldconfig.real",
        ldconfig_exists=True,
        root="",
    ),
    toolkit_sources=("/etc/apt/sources.list.d/nvidia-container-toolkit.list",),
    registries=(),
    podman_version=unread(Why.ABSENT),
    enroot_hook=unread(Why.ABSENT),
    toolkit_binaries=("nvidia-container-runtime", "nvidia-container-runtime-hook", "nvidia-ctk"),
)
_FACTS = Facts(
    probed_at="2026-11-23T00:00:00Z",
    system=_SYSTEM,
    driver=_DRIVER,
    pci_gpus=(pci_gpu(),),
    gpus=(gpu(),),
    cuda=CudaFacts(
        init=True,
        library="/usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03",
        version=CudaVersion("12.2"),
        device_count=1,
    ),
    kernel_log=(),
    engine=_ENGINE,
    python=unread(Why.NOT_ASKED),
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


def cuda_says(code: int, *, why: Why = Why.FAILED) -> CudaFacts:
    """What CUDA tells where cuInit gives that code."""
    refused = unread(why, code=code, source="cuInit(0)")
    return CudaFacts(
        init=refused,
        library="/usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03",
        version=CudaVersion("12.2"),
        device_count=unread(Why.NOT_ASKED),
    )


def event(kind: str, text: str = "NVRM: something", **changed: Any) -> KernelEvent:
    """A line of the kernel's log, an hour ago."""
    line = KernelEvent(kind=kind, seconds=82_800.0, pci_address="", code=None, text=text)
    return replace(line, **changed)


def driver_says(reading: Unread) -> dict[str, Any]:
    """What NVML's part of the driver's facts is when it cannot be initialised."""
    return {"version": reading, "nvml_version": reading, "driver_cuda_version": reading}


NOT_LOADED: Mapping[str, Any] = {
    **driver_says(unread(Why.FAILED, code=9)),
    "kernel_module_version": unread(Why.ABSENT),
    "module_flavour": unread(Why.ABSENT),
    "modules": (),
    "device_nodes": (),
    "uvm_hmm_disabled": unread(Why.ABSENT),
    "preserves_video_memory": unread(Why.ABSENT),
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
            "cdi_spec_dirs",
            "running_containers",
            "daemon",
            "toolkit_version",
            "toolkit",
        ),
        unread(Why.ABSENT),
    ),
    "cdi_specs": (),
    "toolkit_sources": (),
    "toolkit_binaries": (),
}
"""Facts of an engine that is not there."""


def engine_unread(why: Why) -> dict[str, Any]:
    """Facts of an engine that gave no answer."""
    files = ("cdi_specs", "daemon", "toolkit", "toolkit_binaries", "toolkit_sources", "toolkit_version")
    return {**NO_ENGINE, **{name: unread(why) for name in NO_ENGINE if name not in files}}


@cache
def shipped_matrix() -> matrix.Matrix:
    """The matrix of the package."""
    return matrix.load(None)


@cache
def shipped_policy() -> health_policy.HealthPolicy:
    """The health policy of the package."""
    return health_policy.load()


def results(facts: Facts, *, engine_asked: bool = False) -> tuple[CheckResult, ...]:
    """What all checks say of the facts."""
    case = checks.Case(facts=facts, matrix=shipped_matrix(), policy=shipped_policy(), engine_asked=engine_asked)
    return checks.run(case)


def answer(check: str, facts: Facts, *, engine_asked: bool = False) -> CheckResult:
    """What one check says of the facts, among all of them, so that its cause is named too."""
    (result,) = (one for one in results(facts, engine_asked=engine_asked) if one.check == check)
    return result
