"""The driver's kernel module is there for the kernel that runs.

The driver was installed for another kernel. After a kernel update its module has to be built again, or fetched: DKMS
does that by itself where the new kernel's headers are installed and the build succeeds; akmods at boot; ready-built
modules come as a package of their own for each kernel. Where none of that happened the machine starts without the
driver, and nvidia-smi cannot communicate with it. The kernel that ran before still has its module.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import DRIVER_GUIDE, build_module, driver_packages
from gpudoctor.facts import DkmsModule, DriverFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = "build the driver's module for the running kernel, or start the kernel that has one"
DECIDED_BY = "modinfo nvidia; dkms status; ls /lib/modules/*/updates/dkms/nvidia.ko*"
LINKS = (
    "https://github.com/NVIDIA/nvidia-docker/issues/365",
    "https://github.com/NVIDIA/nvidia-docker/issues/804",
    DRIVER_GUIDE,
)
SYMPTOMS = (
    r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
    r"FATAL: Module nvidia(-current|-uvm|_uvm)? not found",
    r"Bad return status for module build on kernel",
    r"kernel headers for kernel \S+ (cannot|could not) be found",
    r"nvml error: driver not loaded",
)


def applies(case: Case) -> bool:
    """Where a GPU waits for a module; a container sees modules of its own image, not the kernel's."""
    system = case.facts.system
    if system.wsl or system.jetson or case.container:
        return False
    return bool(case.gpus_of_this_host)


def check(case: Case) -> Iterator[Finding]:
    """1. A driver that answers, or a loaded module. 2. A module for this kernel. 3. Signs of one for another."""
    driver, system = case.facts.driver, case.facts.system
    if not isinstance(driver.version, Unread) or case.module_version is not None or "nvidia" in known(driver.modules):
        return
    release, files = known(system.kernel_release), known(driver.module_files)
    if any(file.kernel_release == release for file in files):
        return
    others = sorted({file.kernel_release for file in files})
    dkms = known(driver.dkms)
    packages = driver_packages(system)
    if not others and not dkms:
        known(system.packages)
        if not packages:
            return  # no driver is installed at all: another check says that
    failed = [module for module in dkms if release in module.failed_for]
    where = f"; there is one for {', '.join(others)}" if others else ""
    yield Finding(
        severity=Severity.ERROR,
        message=f"the driver is installed, and kernel {release} has no module of it{where}",
        evidence=(
            Evidence(source="uname -r", value=release),
            Evidence(source="find /lib/modules -name 'nvidia.ko*'", value=", ".join(others) or "nothing"),
            *_dkms_evidence(dkms, release),
            *_headers_evidence(driver),
        ),
        fix=Fix(
            text=_how(failed, driver, others),
            commands=(f"tail -n 40 {_log(failed)}",) if failed else build_module(system, release),
            needs_root=True,
            url=DRIVER_GUIDE,
        ),
    )


def _how(failed: list[DkmsModule], driver: DriverFacts, others: list[str]) -> str:
    if failed:
        other = f", or start kernel {others[-1]}, which has one" if others else ""
        return (
            f"read in {_log(failed)} why DKMS could not build the module: where the kernel is too new for it, install a"
            f" newer driver{other}"
        )
    if driver.kernel_headers is False:
        return "install the headers of the running kernel, without which DKMS builds nothing, and build the module"
    return MENDED_BY if others else "build the driver's module for the running kernel"


def _log(failed: list[DkmsModule]) -> str:
    return f"/var/lib/dkms/nvidia/{failed[0].version}/build/make.log"


def _dkms_evidence(dkms: tuple[DkmsModule, ...], release: str) -> Iterator[Evidence]:
    for module in dkms:
        built = ", ".join(module.built_for) or "no kernel"
        failed = f", failed for {release}" if release in module.failed_for else ""
        yield Evidence(source="dkms status", value=f"nvidia/{module.version}: built for {built}{failed}")


def _headers_evidence(driver: DriverFacts) -> Iterator[Evidence]:
    if driver.kernel_headers is False:
        yield Evidence(source="ls /lib/modules/$(uname -r)/build/", value="no such directory")
