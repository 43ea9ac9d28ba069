"""Fabric Manager is of the driver's own version.

Fabric Manager refuses to start beside a driver of any other version than its own. Where only one of the two was
upgraded it runs on as it was, until the next boot: then CUDA fails with error 802.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix
from gpudoctor.readings import Unread, Why, known

CAUSED_BY = ("gpu-fabric-manager-not-running", "driver-library-mismatch")

MENDED_BY = "install the Fabric Manager of the driver's own version, and hold the two together"
DECIDED_BY = "cat /proc/driver/nvidia/version; nv-fabricmanager --version"
LINKS = ("https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html",)
SYMPTOMS = (r"driver interface version .* don'?t match", r"fabric ?manager .*version .*mismatch")


def applies(case: Case) -> bool:
    """Where there are NVSwitches, a loaded driver and a package to compare it with."""
    facts = case.facts
    if facts.system.wsl or facts.system.jetson or not case.listed_gpus or case.container:
        return False
    if isinstance(facts.system.packages, Unread) and facts.system.packages.why is Why.ABSENT:
        return False
    return known(facts.driver.nvswitches) > 0 and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """The package against the loaded module."""
    rule = case.policy.signals["fabric-manager-version"]
    known(case.facts.system.packages)
    installed, driver = gpu_fixes.fabric_manager_version(case.facts.system), str(case.module_version)
    if installed and installed != driver and rule.severity is not None:
        yield Finding(
            severity=rule.severity,
            message=f"Fabric Manager {installed} is installed for driver {driver}: it will not start again",
            evidence=(
                Evidence(source="dpkg -l or rpm -qa", value=f"Fabric Manager {installed}"),
                Evidence(source="cat /proc/driver/nvidia/version", value=driver),
            ),
            fix=Fix(text=MENDED_BY, commands=gpu_fixes.install_fabric_manager(case), needs_root=True, url=LINKS[0]),
        )
