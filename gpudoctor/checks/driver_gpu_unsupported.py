"""The driver's branch and the flavour of its kernel module know every GPU here.

Each branch of the driver knows the GPUs of its time: a newer one drops old generations (470 is the last for Kepler,
580 for Maxwell, Pascal and Volta), an older one has never heard of new ones. And the open kernel module drives Turing
and newer alone. The driver then loads and ignores the GPU, or finds none and unloads; nvidia-smi says `No devices were
found` or cannot communicate, and only the kernel's log tells why. No container and no compat library can help.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.chips import generation_of
from gpudoctor.distributions import DRIVER_GUIDE, install_branch, install_driver
from gpudoctor.facts import KernelEvent, PciGpu
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.matrix import GenerationRow
from gpudoctor.readings import Unread, known
from gpudoctor.versions import DriverVersion

CAUSED_BY = (
    "driver-module-missing-for-kernel",
    "driver-secure-boot-rejected",
    "driver-nouveau-bound",
    "driver-novacore-bound",
    "driver-library-mismatch",
    "driver-libraries-missing",
    "driver-call-hung",
)

MENDED_BY = "install a driver branch that knows this GPU, with the kernel module that fits it"
DECIDED_BY = "sudo dmesg | grep -A4 'NVRM: The NVIDIA'; lspci -nn -d 10de:; cat /proc/driver/nvidia/version"
LINKS = (
    "https://www.nvidia.com/en-us/drivers/unix/legacy-gpu/",
    "https://github.com/NixOS/nixos-hardware/issues/1880",
    "https://github.com/siderolabs/talos/issues/8764",
)
SYMPTOMS = (
    r"supported through the NVIDIA \d+\.xx Legacy drivers",
    r"NVIDIA driver will ignore",
    r"NVRM: .*is not supported by (this|the|open)",
    r"is not supported by the (\S+ )?NVIDIA \S+ driver",
    r"not supported by open nvidia\.ko",
    r"NVRM: No NVIDIA GPU found",
    r"No devices were found",
    r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
)

_LOGGED = ("unsupported_gpu", "legacy_branch", "open_module_unsupported")


def applies(case: Case) -> bool:
    """Where a GPU of this machine is not listed; a container is not given all of them."""
    system = case.facts.system
    if system.wsl or system.jetson or case.container:
        return False
    return bool(case.gpus_of_this_host)


def check(case: Case) -> Iterator[Finding]:
    """1. The generation's first and last branch and the module it wants. 2. What the kernel's log says of the GPU."""
    missing = case.unlisted_gpus
    if not missing:
        return
    version = _version(case)
    if version is None:
        return  # nothing is installed that could refuse a GPU
    for gpu in missing:
        known(gpu.device_id)
        row = generation_of(gpu, case.matrix)
        wrong = None if row is None else _wrong(case, version, row, gpu)
        finding = None if row is None or wrong is None else _of_generation(case, gpu, version, row, wrong)
        if finding is None:
            finding = _of_log(case, gpu, version, row)
        if finding is not None:
            yield finding


def _version(case: Case) -> DriverVersion | None:
    """Of the loaded module, else of the one that this kernel would load, None without either."""
    driver = case.facts.driver
    if case.module_version is not None:
        return case.module_version
    if not isinstance(driver.version, Unread):
        return driver.version
    release = known(case.facts.system.kernel_release)
    return next((known(file.version) for file in known(driver.module_files) if file.kernel_release == release), None)


def _flavour(case: Case) -> str:
    """Of the same module."""
    driver = case.facts.driver
    if case.module_version is not None or not isinstance(driver.version, Unread):
        return known(driver.module_flavour)
    release = known(case.facts.system.kernel_release)
    return next(known(file.flavour) for file in known(driver.module_files) if file.kernel_release == release)


def _wrong(case: Case, version: DriverVersion, row: GenerationRow, gpu: PciGpu) -> str | None:
    name = f"the {row.architecture} GPU {gpu.address} (compute capability {row.compute_capability})"
    if row.last_branch is not None and version.branch > row.last_branch.branch:
        return f"driver {version} has dropped {name}; branch {row.last_branch} was the last that knows it"
    if row.first_branch is not None and version.branch < row.first_branch.branch:
        return f"driver {version} is too old for {name}; branch {row.first_branch} is the first that knows it"
    if row.open_module == "no" and _flavour(case) == "open":
        return f"the open kernel module of driver {version} does not drive {name}; it begins with Turing"
    return None


def _of_generation(case: Case, gpu: PciGpu, version: DriverVersion, row: GenerationRow, wrong: str) -> Finding:
    system = case.facts.system
    flavour = "proprietary" if row.open_module == "no" else "open"
    last, first = row.last_branch, row.first_branch
    if last is not None and version.branch > last.branch:
        text = f"install driver branch {last} with its {flavour} kernel module, and keep it from being upgraded"
        commands = install_branch(system, last.branch, flavour)
    elif first is not None and version.branch < first.branch:
        text = f"install driver branch {first} or newer, with its {flavour} kernel module"
        commands = install_driver(system)
    else:
        text = f"install the proprietary kernel module of branch {version.branch} in place of the open one"
        commands = install_branch(system, version.branch, flavour)
    return _finding(case, gpu, wrong, _lines(case, gpu), text, commands)


def _of_log(case: Case, gpu: PciGpu, version: DriverVersion, row: GenerationRow | None) -> Finding | None:
    """A product may have come later than its generation; the driver's own word is then all there is."""
    known(case.facts.kernel_log)
    lines = _lines(case, gpu)
    if not lines:
        return None
    branch = next((line.code for line in reversed(lines) if line.kind == "legacy_branch" and line.code), None)
    message = f"driver {version} says that it does not support GPU {gpu.address}"
    if branch is None:
        return _finding(case, gpu, message, lines, MENDED_BY, install_driver(case.facts.system))
    flavour = "open" if row is not None and row.open_module == "required" else "proprietary"
    text = f"install driver branch {branch}, which the driver itself names for this GPU"
    return _finding(case, gpu, message, lines, text, install_branch(case.facts.system, branch, flavour))


def _lines(case: Case, gpu: PciGpu) -> tuple[KernelEvent, ...]:
    """What the log says of this GPU; lines that name none may speak of it."""
    log = case.facts.kernel_log
    if isinstance(log, Unread):
        return ()
    return tuple(line for line in log if line.kind in _LOGGED and line.pci_address in ("", gpu.address))


def _finding(
    case: Case, gpu: PciGpu, message: str, lines: tuple[KernelEvent, ...], text: str, commands: tuple[str, ...]
) -> Finding:
    driver = case.facts.driver
    flavour = "" if isinstance(driver.module_flavour, Unread) else f", {driver.module_flavour}"
    loaded = case.module_version
    module = f"{loaded}{flavour}" if loaded is not None else "not loaded"
    return Finding(
        severity=Severity.ERROR,
        message=message,
        evidence=(
            Evidence(source=f"lspci -nn -s {gpu.address}", value=f"[10de:{gpu.device_id}]"),
            Evidence(source="cat /proc/driver/nvidia/version", value=module),
            *(Evidence(source="sudo dmesg", value=line.text) for line in lines[-1:]),
        ),
        fix=Fix(text=text, commands=commands, needs_root=True, needs_reboot=True, url=DRIVER_GUIDE),
    )
