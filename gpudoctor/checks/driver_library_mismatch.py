"""The driver's libraries and its loaded kernel module are of one version.

The driver was upgraded, often by unattended upgrades, while its old kernel module stayed loaded. Libraries and module
talk to each other only where both are of one version, so from then on everything that uses the GPU fails, nvidia-smi
and containers alike, with `Driver/library version mismatch`; programs that were already running go on. A reboot loads
the new module, where there is one for the kernel: if its build failed, the module on disk is still the old one.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import build_module, driver_packages, hold_packages
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError
from gpudoctor.versions import DriverVersion

CAUSED_BY = (
    "container-gpus-not-requested",
    "container-apptainer-without-nv",
    "container-lost-gpu-after-daemon-reload",
    "container-selinux-denies-devices",
    "driver-libraries-missing",
    "driver-call-hung",
)

MENDED_BY = (
    "reboot, or end what uses the GPU and load the new module; hold the packages to keep it from happening again"
)
DECIDED_BY = "cat /proc/driver/nvidia/version; modinfo -F version nvidia; ls -l /usr/lib/*/libcuda.so.*"
LINKS = (
    "https://github.com/lyulyul/shine-cluster/issues/30",
    "https://github.com/saharmor/dalle-playground/issues/104",
)
SYMPTOMS = (
    r"driver/library version mismatch",
    r"kernel version \S+ does not match DSO version",
    r"NVRM: API mismatch: the client has the version",
    r"NVRM: this kernel module has the version",
    r"NVML library version: \d+",
    r"RM has detected an NVML/RM version mismatch",
    r"unsupported display driver / cuda driver combination",
    r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
)

# NVML_ERROR_LIB_RM_VERSION_MISMATCH
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_VERSION_MISMATCH = 18

_RELOAD = "sudo modprobe -r nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia  # in place of a reboot"


def applies(case: Case) -> bool:
    """Where a module is loaded; a Jetson's is that of its display."""
    return not case.facts.system.jetson and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """NVML says so itself; an older one that does not still names its own driver version."""
    version, module = case.facts.driver.version, case.module_version
    if isinstance(version, Unread):
        if version.code != _VERSION_MISMATCH:
            raise UnreadError(version)
        says = version.detail
    elif version != module:
        says = str(version)
    else:
        return
    libraries, on_disk = _libraries(case), _on_disk(case)
    yield Finding(
        severity=Severity.ERROR,
        message=f"the driver was upgraded{f' to {libraries}' if libraries not in (None, module) else ''} and its old"
        f" kernel module {module} is still loaded",
        evidence=(
            Evidence(source="cat /proc/driver/nvidia/version", value=str(module)),
            Evidence(source="nvidia-smi", value=says),
            *((Evidence(source="readlink -f libcuda.so.1", value=str(libraries)),) if libraries is not None else ()),
            *((Evidence(source="modinfo -F version nvidia", value=str(on_disk)),) if on_disk is not None else ()),
            *_logged(case),
        ),
        fix=_fix(case, libraries, on_disk),
    )


def _libraries(case: Case) -> DriverVersion | None:
    """Version of the driver's own libcuda, which came with libnvidia-ml; None where it is not known."""
    found = case.facts.driver.libcuda
    for library in () if isinstance(found, Unread) else found:
        if library.kind == "driver" and not isinstance(library.version, Unread):
            return library.version
    return None


def _on_disk(case: Case) -> DriverVersion | None:
    """Version of the module that a reboot would load."""
    files, release = case.facts.driver.module_files, case.facts.system.kernel_release
    for file in () if isinstance(files, Unread) else files:
        if file.kernel_release == release and not isinstance(file.version, Unread):
            return file.version
    return None


def _logged(case: Case) -> Iterator[Evidence]:
    log = case.facts.kernel_log
    lines = () if isinstance(log, Unread) else tuple(line for line in log if line.kind == "api_mismatch")
    yield from (Evidence(source="sudo dmesg", value=line.text) for line in lines[-1:])


def _fix(case: Case, libraries: DriverVersion | None, on_disk: DriverVersion | None) -> Fix:
    system, release = case.facts.system, case.facts.system.kernel_release
    if case.container:
        return Fix(
            text="on the host: reboot, which loads the new module; then create this container anew, as it was given the"
            " libraries of the time at which it started",
        )
    if libraries is not None and on_disk is not None and libraries != on_disk and not isinstance(release, Unread):
        # A reboot would load the same module again.
        return Fix(
            text=f"build the module {libraries} for this kernel, as the one on disk is still {on_disk}; then reboot",
            commands=(*(one for one in build_module(system, release) if "modprobe" not in one), "sudo reboot"),
            needs_root=True,
            needs_reboot=True,
        )
    return Fix(
        text=MENDED_BY,
        commands=("sudo reboot", _RELOAD, *hold_packages(system, driver_packages(system))),
        needs_root=True,
        needs_reboot=True,
    )
