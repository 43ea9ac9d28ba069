"""The kernel accepts the signature of the driver's module.

With Secure Boot on, the kernel loads only modules that are signed with a key which the firmware knows. A module that
was built on this machine, by DKMS, akmods or NVIDIA's installer, is signed with a key of this machine or with none.
That key has to be enrolled once, at the blue screen that follows a reboot; where that was passed by, or the machine's
keys were cleared, modprobe says `Key was rejected by service` or `Required key not available`.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import enrol_key
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = (
    "enrol the key that the module is signed with: set a password, reboot, choose Enroll MOK at the blue screen; or"
    " switch Secure Boot off in the firmware's set-up"
)
DECIDED_BY = "mokutil --sb-state; sudo modprobe nvidia"
LINKS = (
    "https://wiki.ubuntu.com/UEFI/SecureBoot",
    "https://github.com/acidanthera/bugtracker/issues/2237",
    "https://github.com/linux-surface/linux-surface/issues/906",
)
SYMPTOMS = (
    r"nvidia\S* Key was rejected by service",
    r"nvidia\S* Required key not available",
    r"Loading of (unsigned module|module with unavailable key) is rejected",
    r"Lockdown: \S+ unsigned module loading is restricted",
    r"PKCS#7 signature not signed with a trusted key",
    r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
)


def applies(case: Case) -> bool:
    """Where a GPU waits for a module that a kernel of this machine's own could refuse."""
    system = case.facts.system
    if system.wsl or system.jetson or case.container:
        return False
    return bool(case.gpus_of_this_host)


def check(case: Case) -> Iterator[Finding]:
    """1. A loaded module was accepted. 2. One that is not there, or met no Secure Boot, was not refused. 3. The log."""
    driver, system = case.facts.driver, case.facts.system
    if not isinstance(driver.version, Unread) or case.module_version is not None or "nvidia" in known(driver.modules):
        return
    files, release = driver.module_files, system.kernel_release
    told = not isinstance(files, Unread) and (not isinstance(release, Unread) or not files)
    if told and all(file.kernel_release != release for file in known(files)):
        return
    if not known(system.secure_boot):
        return
    refused = case.events("key_rejected")
    if not refused:
        return
    yield Finding(
        severity=Severity.ERROR,
        message="Secure Boot is on, and the kernel refused the driver's module for its signature",
        evidence=(
            Evidence(source="mokutil --sb-state", value="SecureBoot enabled"),
            Evidence(source="sudo dmesg", value=refused[-1].text),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=(*enrol_key(system), "sudo reboot"),
            needs_root=True,
            needs_reboot=True,
            url=LINKS[0],
        ),
    )
