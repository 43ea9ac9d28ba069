"""driver-secure-boot-rejected: the kernel refuses an unsigned module."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import Facts, Package
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.symptoms import knows
from tests.fakes import NOT_LOADED, answer, event, facts_of, pci_gpu, unread

CHECK = "driver-secure-boot-rejected"

REFUSED = event("key_rejected", "Loading of module with unavailable key is rejected")


def refused(*, system: dict[str, Any] | None = None, **changed: Any) -> Facts:
    """Secure Boot on, a module on the disk, and a kernel that did not take it."""
    facts: dict[str, Any] = {"gpus": unread(code=9), "pci_gpus": (pci_gpu(0, ""),), "kernel_log": (REFUSED,), **changed}
    return facts_of(system={"secure_boot": True, **(system or {})}, driver=NOT_LOADED, **facts)


def test_a_loaded_module_was_accepted() -> None:
    assert answer(CHECK, facts_of(system={"secure_boot": True}, kernel_log=(REFUSED,))).outcome is Outcome.PASSED


def test_a_module_that_this_kernel_does_not_have_was_not_refused() -> None:
    facts = refused()
    facts = replace(facts, driver=replace(facts.driver, module_files=()))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_a_refused_module_is_the_root_of_what_follows() -> None:
    (finding,) = answer(CHECK, refused()).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert [evidence.value for evidence in finding.evidence] == ["SecureBoot enabled", REFUSED.text]
    assert answer("driver-not-loaded", refused()).findings[0].caused_by == CHECK
    assert answer("gpu-not-listed", refused()).explained_by in (CHECK, None)


def test_nouveau_that_took_the_gpu_meanwhile_follows_from_it() -> None:
    facts = refused(pci_gpus=(pci_gpu(0, "nouveau"),))
    assert answer(CHECK, facts).findings[0].caused_by is None
    assert answer("driver-nouveau-bound", facts).findings[0].caused_by == CHECK
    assert answer("driver-not-loaded", facts).findings[0].caused_by == CHECK


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ({}, "sudo update-secureboot-policy --enroll-key"),
        ({"os_id": "debian", "os_like": ()}, "sudo mokutil --import /var/lib/dkms/mok.pub"),
        ({"os_id": "rocky", "os_like": ("rhel",)}, "sudo mokutil --import /var/lib/dkms/mok.pub"),
        (
            {"os_id": "fedora", "os_like": (), "packages": (Package(name="akmods", version="0.6"),)},
            "sudo mokutil --import /etc/pki/akmods/certs/public_key.der",
        ),
    ],
)
def test_the_key_is_enrolled_as_this_distribution_does_it(system: dict[str, Any], command: str) -> None:
    fix = answer(CHECK, refused(system=system)).findings[0].fix
    assert fix is not None
    assert fix.commands == (command, "sudo reboot")


def test_secure_boot_that_is_off_refuses_nothing_and_needs_no_log() -> None:
    facts = refused(system={"secure_boot": False}, kernel_log=unread(Why.FORBIDDEN))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_secure_boot_alone_accuses_nobody() -> None:
    assert answer(CHECK, refused(kernel_log=())).outcome is Outcome.PASSED
    assert answer(CHECK, refused(kernel_log=(event("nouveau_bound"),))).outcome is Outcome.PASSED


def test_a_log_that_may_not_be_read_leaves_it_open_and_the_finding_shows_what_is_known() -> None:
    facts = refused(kernel_log=unread(Why.FORBIDDEN))
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN
    (finding,) = answer("driver-not-loaded", facts).findings
    assert "SecureBoot enabled" in [evidence.value for evidence in finding.evidence]


def test_unread_state_of_secure_boot_is_unknown() -> None:
    assert answer(CHECK, refused(system={"secure_boot": unread()})).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("system", [{"wsl": True}, {"jetson": True}, {"container": "docker"}])
def test_where_the_kernel_is_not_this_machines_nobody_asks(system: dict[str, Any]) -> None:
    assert answer(CHECK, refused(system=system)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
        "modprobe: ERROR: could not insert 'nvidia_uvm': Required key not available",
        "[    9.412345] Loading of unsigned module is rejected",
        "[    3.112233] Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "modprobe: ERROR: could not insert 'vboxdrv': Key was rejected by service")
