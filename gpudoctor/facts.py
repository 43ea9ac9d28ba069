"""What was read from one machine: the input of every judgement.

A fact that could not be read is an `Unread` with its source and reason; nothing here is None, "N/A" or -1.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpudoctor.readings import Reading
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """The operating system and what surrounds it."""

    hostname: Reading[str]
    """By hand: hostname"""
    architecture: str
    """Machine as the kernel names it: x86_64, aarch64. By hand: uname -m"""
    kernel_release: Reading[str]
    """/proc/sys/kernel/osrelease. By hand: uname -r"""
    os_id: Reading[str]
    """ID of /etc/os-release: ubuntu, debian, rhel, sles."""
    os_like: Reading[tuple[str, ...]]
    """ID_LIKE of /etc/os-release, empty where it has none."""
    os_name: Reading[str]
    """PRETTY_NAME of /etc/os-release."""
    container: Reading[str]
    """Engine that this process runs inside, or "" outside any. By hand: cat /proc/1/cgroup; ls /.dockerenv"""
    wsl: bool
    """Windows Subsystem for Linux 2: /dev/dxg, or Microsoft in the kernel release."""
    jetson: bool
    """/etc/nv_tegra_release is there."""
    shm_bytes: Reading[int]
    """Size of /dev/shm. By hand: df -B1 /dev/shm"""
    memlock_limit_bytes: Reading[int]
    """Soft RLIMIT_MEMLOCK of this process, the largest 64-bit number where unlimited. By hand: ulimit -l"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PciGpu:
    """A display device of vendor 10de on the PCI bus, seen by the kernel with or without a driver."""

    address: str
    """0000:01:00.0. By hand: lspci -D -d 10de:"""
    device_id: Reading[str]
    """Four hexadecimal digits: 2204."""
    driver: Reading[str]
    """Kernel driver bound to it: nvidia, nouveau, vfio-pci; "" where none is. By hand: lspci -k"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFacts:
    """NVIDIA's driver: the kernel module and the libraries that talk to it."""

    kernel_module_version: Reading[DriverVersion]
    """Loaded module: /proc/driver/nvidia/version, else /sys/module/nvidia/version."""
    module_flavour: Reading[str]
    """"open" or "proprietary", from the first line of /proc/driver/nvidia/version."""
    modules: Reading[tuple[str, ...]]
    """Loaded kernel modules that bear on the GPU: nvidia*, nouveau, nova_core, vfio_pci. By hand: lsmod"""
    device_nodes: Reading[tuple[str, ...]]
    """Character devices /dev/nvidia*, /dev/dxg, /dev/nvhost-*, as /dev/nvidia0. By hand: ls -l /dev/nvidia*"""
    modprobe_helper: Reading[bool]
    """nvidia-modprobe is installed: it loads modules and makes device nodes when a program first asks for CUDA."""
    version: Reading[DriverVersion]
    """Driver in use. NVML: nvmlSystemGetDriverVersion. By hand: nvidia-smi --query-gpu=driver_version --format=csv"""
    nvml_version: Reading[str]
    """Version of libnvidia-ml.so.1. NVML: nvmlSystemGetNVMLVersion."""
    driver_cuda_version: Reading[CudaVersion]
    """Newest CUDA that this driver runs. NVML: nvmlSystemGetCudaDriverVersion_v2. By hand: nvidia-smi, first lines"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigDevice:
    """One MIG instance of a GPU."""

    uuid: Reading[str]
    name: Reading[str]
    memory_bytes: Reading[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """One GPU as NVML sees it."""

    index: int
    """NVML's index, only to show: it changes with the machine's mood."""
    uuid: Reading[str]
    """NVML: nvmlDeviceGetUUID. By hand: nvidia-smi -L"""
    name: Reading[str]
    """NVML: nvmlDeviceGetName. By hand: nvidia-smi -L"""
    pci_address: Reading[str]
    """NVML: nvmlDeviceGetPciInfo_v3, as the kernel spells it: 0000:01:00.0"""
    compute_capability: Reading[ComputeCapability]
    """NVML: nvmlDeviceGetCudaComputeCapability."""
    brand: Reading[str]
    """NVML: nvmlDeviceGetBrand, the constant's name without NVML_BRAND_, lower case: geforce, tesla, nvidia."""
    memory_bytes: Reading[int]
    """Frame buffer. NVML: nvmlDeviceGetMemoryInfo. By hand: nvidia-smi --query-gpu=memory.total --format=csv"""
    memory_free_bytes: Reading[int]
    """NVML: nvmlDeviceGetMemoryInfo. By hand: nvidia-smi --query-gpu=memory.free --format=csv"""
    mig_enabled: Reading[bool]
    """Current MIG mode; Unread(unsupported) on GPUs without MIG. NVML: nvmlDeviceGetMigMode."""
    mig_devices: Reading[tuple[MigDevice, ...]]
    """Empty where MIG is off or holds no instance. NVML: nvmlDeviceGetMigDeviceHandleByIndex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """The container engine: GET /version and GET /info of the Docker API."""

    host: str
    """Where it was asked: unix:///var/run/docker.sock."""
    version: Reading[str]
    """ServerVersion. By hand: docker version"""
    operating_system: Reading[str]
    """OperatingSystem of /info; "Docker Desktop" names a virtual machine."""
    runtimes: Reading[tuple[str, ...]]
    """Names of Runtimes of /info, sorted. By hand: docker info"""
    default_runtime: Reading[str]
    cdi_devices: Reading[tuple[str, ...]]
    """DiscoveredDevices of source "cdi" of /info (Docker 28.2 and newer), sorted."""
    cgroup_driver: Reading[str]
    cgroup_version: Reading[str]
    security_options: Reading[tuple[str, ...]]
    data_root: Reading[str]
    """DockerRootDir."""
    data_root_free_bytes: Reading[int]
    """What is left to images. statvfs(DockerRootDir). By hand: df -B1 $(docker info -f '{{.DockerRootDir}}')"""
    toolkit_binaries: Reading[tuple[str, ...]]
    """Which programs of the NVIDIA Container Toolkit are installed: nvidia-ctk, nvidia-container-runtime-hook…"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything read from one machine at one time."""

    probed_at: str
    """RFC 3339, UTC."""
    system: SystemFacts
    driver: DriverFacts
    pci_gpus: Reading[tuple[PciGpu, ...]]
    """/sys/bus/pci/devices: vendor 0x10de, class 0x0300 or 0x0302."""
    gpus: Reading[tuple[GpuFacts, ...]]
    """NVML: nvmlDeviceGetCount_v2 and each index below it."""
    engine: EngineFacts
