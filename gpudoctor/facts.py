"""What was read from one machine: the input of every judgement.

A fact that could not be read is an `Unread` with its source and reason; nothing here is None, "N/A" or -1.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpudoctor.readings import Reading
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed package of the distribution."""

    name: str
    """nvidia-driver-535, cuda-compat-12-4, nvidia-container-toolkit, docker-desktop."""
    version: str
    """As the package manager spells it: 535.161.07-0ubuntu1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of the environment."""

    name: str
    value: str


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
    systemd: Reading[bool]
    """systemd runs the machine: /run/systemd/system. sd_booted(3)"""
    virtual_machine: Reading[str]
    """Product name of the hypervisor's machine, "" on bare metal. /sys/class/dmi/id. By hand: systemd-detect-virt"""
    cpu_flags: Reading[tuple[str, ...]]
    """Of the instruction sets that TensorFlow is built for, those that every processor has: avx, avx2, avx512f,
    fma, sse4_1, sse4_2; empty on other architectures than x86. By hand: grep flags /proc/cpuinfo"""
    secure_boot: Reading[bool]
    """Last byte of /sys/firmware/efi/efivars/SecureBoot-*; False on a machine without EFI.
    By hand: mokutil --sb-state"""
    selinux: Reading[str]
    """enforcing, permissive, or "" where the kernel has none. /sys/fs/selinux/enforce. By hand: getenforce"""
    boot_id: Reading[str]
    """/proc/sys/kernel/random/boot_id: another one after every boot."""
    uptime_seconds: Reading[float]
    """/proc/uptime. By hand: uptime"""
    daemons: Reading[tuple[str, ...]]
    """Of the programs that bear on GPUs, those that run, by the name of /proc/*/comm, sorted: containerd, dockerd,
    nv-fabricmanager, nv-hostengine, nvidia-cuda-mps-control, nvidia-persistenced, slurmd. By hand: ps -e"""
    programs: Reading[tuple[str, ...]]
    """Of the programs that bear on GPUs, those that are installed, by path, sorted: /usr/bin/docker,
    /snap/bin/docker, /usr/bin/nv-fabricmanager, /usr/bin/nvidia-smi. By hand: command -v"""
    packages: Reading[tuple[Package, ...]]
    """Installed packages whose names tell of NVIDIA, CUDA or a container engine, from dpkg's or rpm's database.
    By hand: dpkg -l or rpm -qa"""
    variables: Reading[tuple[Variable, ...]]
    """Of this process's environment, what CUDA, TensorFlow, NVIDIA's containers and schedulers read, by name."""


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
class ModuleFile:
    """A kernel module nvidia.ko on disk."""

    path: str
    kernel_release: str
    """Of the kernel whose folder it stands in."""
    version: Reading[DriverVersion]
    """Its .modinfo. By hand: modinfo -F version nvidia"""
    flavour: Reading[str]
    """"open" where its licence is "Dual MIT/GPL", else "proprietary". By hand: modinfo -F license nvidia"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DkmsModule:
    """One version of the driver's sources that DKMS looks after."""

    version: str
    built_for: tuple[str, ...]
    """Kernel releases for which it has been built."""
    failed_for: tuple[str, ...]
    """Kernel releases whose build folder holds a log and no module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaLibrary:
    """A libcuda.so.1."""

    path: str
    """As the loader finds it."""
    version: Reading[DriverVersion]
    """From the name of the file that it is a link to: libcuda.so.535.129.03."""
    kind: str
    """stub (of a CUDA toolkit), compat (of a cuda-compat package or an image), wsl, or driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaFacts:
    """CUDA itself, asked through libcuda.so.1 in a process of its own: nvidia-smi being fine proves little.

    https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html (2026-11)
    """

    init: Reading[bool]
    """True where cuInit(0) gave 0. Else why not, with CUresult as the code: 100 no device, 804 forward compatibility
    on hardware that cannot, 999 unknown."""
    library: Reading[str]
    """Path of the libcuda that was loaded, links followed, from the process's own /proc/self/maps."""
    version: Reading[CudaVersion]
    """cuDriverGetVersion: newest CUDA of the libcuda that was loaded."""
    device_count: Reading[int]
    """cuDeviceGetCount: what CUDA_VISIBLE_DEVICES leaves of the GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelEvent:
    """A line of the kernel's log that tells of the GPU or its driver."""

    kind: str
    """xid, sxid, fallen_off_bus, rm_init_adapter_failed, gsp_failed, bar_invalid, api_mismatch, probe_not_called,
    unsupported_gpu, legacy_branch, open_module_unsupported, open_module_required, key_rejected, novacore_bound,
    nouveau_bound, hung_task, gpu_reset, resume, driver_loaded, out_of_memory, avc_denied."""
    seconds: Reading[float]
    """Since boot."""
    pci_address: str
    """0000:01:00.0; "" where the line names none."""
    code: int | None
    """Number of the Xid or SXid, branch of the legacy driver (470)."""
    text: str
    """The line, without its time, one line of at most 300 characters."""


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
    module_files: Reading[tuple[ModuleFile, ...]]
    """Every nvidia.ko below /lib/modules, of each installed kernel. By hand: find /lib/modules -name 'nvidia.ko*'"""
    dkms: Reading[tuple[DkmsModule, ...]]
    """What DKMS knows of the driver's sources, from /var/lib/dkms/nvidia*; empty without DKMS. By hand: dkms status"""
    kernel_headers: Reading[bool]
    """/lib/modules/RELEASE/build leads somewhere: what DKMS needs to build for the running kernel."""
    uvm_hmm_disabled: Reading[bool]
    """/sys/module/nvidia_uvm/parameters/uvm_disable_hmm."""
    preserves_video_memory: Reading[bool]
    """PreserveVideoMemoryAllocations of /proc/driver/nvidia/params: GPU memory outlives a suspend."""
    char_links: Reading[bool]
    """Links in /dev/char lead to NVIDIA's device nodes: runc then keeps a container's GPUs over a daemon-reload."""
    nvswitches: Reading[int]
    """NVSwitches on the PCI bus: vendor 0x10de, class 0x0680. By hand: lspci -d 10de::0680"""
    libcuda: Reading[tuple[CudaLibrary, ...]]
    """Every libcuda.so.1 that the loader would look at, in its order: LD_LIBRARY_PATH, ld.so.cache, the standard
    folders. The first is the one that a program gets. By hand: ldconfig -p | grep libcuda.so.1"""
    wsl_libraries: Reading[tuple[str, ...]]
    """Names in /usr/lib/wsl/lib, where Windows puts its driver's libraries; empty outside WSL."""
    driver_cuda_version: Reading[CudaVersion]
    """Newest CUDA that this driver runs. NVML: nvmlSystemGetCudaDriverVersion_v2. By hand: nvidia-smi, first lines"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigDevice:
    """One MIG instance of a GPU."""

    uuid: Reading[str]
    name: Reading[str]
    memory_bytes: Reading[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemappedRows:
    """Rows of memory that a GPU replaced by spare ones."""

    correctable: int
    """Remapped for errors that could be corrected."""
    uncorrectable: int
    pending: bool
    """A row waits for a reset to be remapped."""
    failure: bool
    """A row could not be remapped: the board needs replacing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NvLink:
    """One NVLink of a GPU."""

    index: int
    active: Reading[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds a GPU."""

    process_id: int
    """In the name space of the one who asks, or of the host."""
    kind: str
    """compute or graphics."""
    memory_bytes: Reading[int]
    name: Reading[str]
    """Name of the program. NVML: nvmlSystemGetProcessName."""


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
    mig_pending: Reading[bool]
    """MIG mode after the next reset. NVML: nvmlDeviceGetMigMode."""
    mig_devices: Reading[tuple[MigDevice, ...]]
    """Empty where MIG is off or holds no instance. NVML: nvmlDeviceGetMigDeviceHandleByIndex."""
    minor_number: Reading[int]
    """Of its device node: 0 is /dev/nvidia0. NVML: nvmlDeviceGetMinorNumber."""
    ecc_enabled: Reading[bool]
    """Current ECC mode; unsupported on most GeForces. NVML: nvmlDeviceGetEccMode."""
    ecc_pending: Reading[bool]
    """ECC mode after the next reset. NVML: nvmlDeviceGetEccMode."""
    ecc_uncorrected_volatile: Reading[int]
    """Errors since the driver was loaded. NVML: nvmlDeviceGetTotalEccErrors. By hand: nvidia-smi -q -d ECC"""
    ecc_uncorrected_aggregate: Reading[int]
    """Errors in the board's life. NVML: nvmlDeviceGetTotalEccErrors."""
    ecc_corrected_volatile: Reading[int]
    """NVML: nvmlDeviceGetTotalEccErrors."""
    ecc_sram_threshold_exceeded: Reading[bool]
    """More uncorrectable errors in SRAM than the board may have. NVML: nvmlDeviceGetSramEccErrorStatus."""
    retired_pages: Reading[int]
    """For either cause, before Ampere. NVML: nvmlDeviceGetRetiredPages. By hand: nvidia-smi -q -d PAGE_RETIREMENT"""
    retired_pages_pending: Reading[bool]
    """NVML: nvmlDeviceGetRetiredPagesPendingStatus."""
    remapped_rows: Reading[RemappedRows]
    """From Ampere on. NVML: nvmlDeviceGetRemappedRows. By hand: nvidia-smi -q -d ROW_REMAPPER"""
    exhausted_banks: Reading[int]
    """Banks of memory without a spare row. NVML: nvmlDeviceGetRowRemapperHistogram, none."""
    clocks_event_reasons: Reading[tuple[str, ...]]
    """What holds the clocks down now, sorted: gpu_idle, applications_clocks_setting, sw_power_cap, hw_slowdown,
    sync_boost, sw_thermal_slowdown, hw_thermal_slowdown, hw_power_brake_slowdown, display_clock_setting.
    NVML: nvmlDeviceGetCurrentClocksEventReasons, before driver 535 …ThrottleReasons.
    By hand: nvidia-smi -q -d PERFORMANCE"""
    temperature_celsius: Reading[int]
    """Of the GPU. NVML: nvmlDeviceGetTemperatureV, before driver 570 nvmlDeviceGetTemperature."""
    temperature_slowdown_celsius: Reading[int]
    """Where the hardware slows down. NVML: nvmlDeviceGetTemperatureThreshold."""
    temperature_shutdown_celsius: Reading[int]
    """Where the hardware switches itself off. NVML: nvmlDeviceGetTemperatureThreshold."""
    power_watts: Reading[float]
    """NVML: nvmlDeviceGetPowerUsage. By hand: nvidia-smi -q -d POWER"""
    power_limit_watts: Reading[float]
    """In force. NVML: nvmlDeviceGetEnforcedPowerLimit."""
    power_default_limit_watts: Reading[float]
    """NVML: nvmlDeviceGetPowerManagementDefaultLimit."""
    pcie_generation: Reading[int]
    """Of the link now; lower when idle. NVML: nvmlDeviceGetCurrPcieLinkGeneration."""
    pcie_generation_max: Reading[int]
    """Most that GPU and slot can do together. NVML: nvmlDeviceGetMaxPcieLinkGeneration."""
    pcie_width: Reading[int]
    """Lanes of the link now. NVML: nvmlDeviceGetCurrPcieLinkWidth. By hand: nvidia-smi -q | grep -A9 'GPU Link Info'"""
    pcie_width_max: Reading[int]
    """NVML: nvmlDeviceGetMaxPcieLinkWidth."""
    pcie_replays: Reading[int]
    """Packets sent again since the driver was loaded. NVML: nvmlDeviceGetPcieReplayCounter."""
    nvlinks: Reading[tuple[NvLink, ...]]
    """Links of a GPU that has NVLink, empty of one that has none. NVML: nvmlDeviceGetNvLinkState."""
    performance_state: Reading[int]
    """0 fastest to 15. NVML: nvmlDeviceGetPerformanceState."""
    compute_mode: Reading[str]
    """default, exclusive_process, prohibited, exclusive_thread. NVML: nvmlDeviceGetComputeMode."""
    persistence_mode: Reading[bool]
    """NVML: nvmlDeviceGetPersistenceMode."""
    display_active: Reading[bool]
    """A screen is driven by it. NVML: nvmlDeviceGetDisplayActive."""
    processes: Reading[tuple[GpuProcess, ...]]
    """That hold the GPU now. NVML: nvmlDeviceGetComputeRunningProcesses_v3, …Graphics….
    By hand: nvidia-smi"""
    fabric_state: Reading[str]
    """not_supported, not_started, in_progress or completed. NVML: nvmlDeviceGetGpuFabricInfoV.
    By hand: nvidia-smi -q"""
    fabric_health: Reading[str]
    """not_supported, healthy, unhealthy or limited_capacity. NVML: nvmlDeviceGetGpuFabricInfoV, version 3."""
    recovery_action: Reading[str]
    """none, gpu_reset, node_reboot, drain_p2p, drain_and_reset, recover_imex_domain, bus_reset, system_reboot:
    the driver's own verdict, from driver 570 on.
    NVML: field NVML_FI_DEV_GET_GPU_RECOVERY_ACTION. By hand: nvidia-smi -q | grep -i recovery"""
    inforom_valid: Reading[bool]
    """NVML: nvmlDeviceValidateInforom; False is NVML_ERROR_CORRUPTED_INFOROM."""
    gsp_firmware: Reading[str]
    """Version of the GPU's system processor firmware, "" where it is off. NVML: nvmlDeviceGetGspFirmwareVersion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfiguration:
    """What the engine's configuration file says; a fault of its syntax makes the whole reading garbled."""

    path: str
    runtimes: tuple[str, ...]
    """Names, sorted."""
    default_runtime: str
    """"" where it names none."""
    cdi: bool | None
    """features.cdi; None where it says nothing."""
    exec_options: tuple[str, ...]
    """exec-opts: native.cgroupdriver=cgroupfs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CdiSpec:
    """A Container Device Interface specification of kind nvidia.com/gpu.

    https://github.com/cncf-tags/container-device-interface (2026-11)
    """

    path: str
    devices: Reading[tuple[str, ...]]
    """Names after nvidia.com/gpu=, in the file's order: 0, all."""
    driver_version: Reading[DriverVersion]
    """Of the driver's libraries that it would mount: libcuda.so.535.129.03."""
    missing: Reading[tuple[str, ...]]
    """Host paths of device nodes and mounts that do not exist, at most 20."""
    readable_by_all: Reading[bool]
    """Rootless engines need that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolkitConfiguration:
    """The NVIDIA Container Toolkit's config.toml.

    https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html (2026-11)
    """

    path: str
    mode: str
    """nvidia-container-runtime.mode: auto, legacy, csv, cdi, jit-cdi; "" where it says nothing."""
    no_cgroups: bool
    """nvidia-container-cli.no-cgroups."""
    ldconfig: str
    """nvidia-container-cli.ldconfig, without the @ that means the host's own; "" where it says nothing."""
    ldconfig_exists: bool | None
    """None where no ldconfig is named, or one without the @, which stands inside the container."""
    root: str
    """nvidia-container-cli.root: where the driver's files stand; "" where it says nothing."""


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
    cdi_spec_dirs: Reading[tuple[str, ...]]
    """Where the engine looks for CDI specs: CDISpecDirs of /info; empty where it does no CDI."""
    running_containers: Reading[int]
    """ContainersRunning of /info."""
    daemon: Reading[DaemonConfiguration]
    """/etc/docker/daemon.json, or the file of a rootless or snap engine: what the engine would run after a restart."""
    cdi_specs: Reading[tuple[CdiSpec, ...]]
    """NVIDIA's, in cdi_spec_dirs, or in /etc/cdi and /var/run/cdi where no engine tells.
    By hand: nvidia-ctk cdi list"""
    toolkit_version: Reading[str]
    """From its package, else as nvidia-ctk --version or nvidia-container-cli --version says."""
    toolkit: Reading[ToolkitConfiguration]
    """/etc/nvidia-container-runtime/config.toml"""
    toolkit_sources: Reading[tuple[str, ...]]
    """Files of /etc/apt/sources.list.d that name nvidia.github.io, sorted."""
    registries: Reading[tuple[str, ...]]
    """Registries for which ~/.docker/config.json names credentials or a helper, sorted; never the credentials."""
    podman_version: Reading[str]
    """podman --version; absent where it is not installed."""
    enroot_hook: Reading[str]
    """Path of enroot's 98-nvidia.sh, "" where enroot is there and has none; absent without enroot."""
    toolkit_binaries: Reading[tuple[str, ...]]
    """Which programs of the NVIDIA Container Toolkit are installed: nvidia-ctk, nvidia-container-runtime-hook…"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFacts:
    """An interpreter and the TensorFlow in it, read from its files: nothing is imported."""

    executable: str
    version: str
    """3.11.7"""
    platform: str
    """sys.platform: linux, win32, darwin."""
    distributions: tuple[Package, ...]
    """Installed distributions that bear on TensorFlow, names normalised: tensorflow, tensorflow-cpu, nvidia-cudnn-cu12,
    keras, h5py, numpy, protobuf. By hand: pip list"""
    conda_packages: tuple[Package, ...]
    """Of those, what conda installed, the build behind the version: 2.10.0=gpu_py310hb074053_0. conda-meta.
    By hand: conda list"""
    tensorflow: Reading[Package]
    """The distribution that `import tensorflow` comes from; absent where there is none."""
    tensorflow_requires: Reading[tuple[str, ...]]
    """Of what its METADATA asks for, what bears on GPU and import: numpy<2.0.0,>=1.23.5;
    nvidia-cudnn-cu12==8.9.7.29; extra == 'and-cuda'."""
    tensorflow_gpu_build: Reading[bool]
    """is_cuda_build of tensorflow/python/platform/build_info.py."""
    tensorflow_cuda: Reading[CudaVersion]
    """cuda_version there."""
    tensorflow_cudnn: Reading[str]
    """cudnn_version there: 9, 8."""
    tensorflow_capabilities: Reading[tuple[str, ...]]
    """cuda_compute_capabilities there: sm_80 is native code, compute_90 PTX; TensorFlow says so from 2.3 on."""
    libraries: Reading[tuple[PythonLibrary, ...]]
    """The CUDA libraries without which this TensorFlow registers no GPU, each with where it would be found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLibrary:
    """A shared library that TensorFlow opens."""

    name: str
    """libcudnn.so.9"""
    path: str
    """The one that the loader takes; "" where it finds none."""
    origin: str
    """wheel, conda, LD_LIBRARY_PATH, system; "" where it finds none."""
    version: str
    """From the name of the file that it is a link to, else of the wheel that holds it; "" where neither tells."""
    elsewhere: str
    """Path of one in a wheel that the loader does not take: LD_LIBRARY_PATH comes before it, or TensorFlow does not
    look there; "" where there is none."""


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
    cuda: Reading[CudaFacts]
    """Asked through the libcuda.so.1 that this process's loader finds, as NVML is."""
    kernel_log: Reading[tuple[KernelEvent, ...]]
    """Of this boot, oldest first, the newest 1,000 lines that bear on the GPU, and of those alike the newest 100.
    /dev/kmsg, else /var/log/kern.log, messages or the journal. By hand: sudo dmesg"""
    engine: EngineFacts
    python: Reading[PythonFacts]
    """The Python that `--python` names; not asked without."""
