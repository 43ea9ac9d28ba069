"""container-selinux-denies-devices: refused inside, and what the host's log tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.inside import inside
from tests.checks.logs import suspects
from tests.fakes import NO_ENGINE, answer, driver_says, event, facts_of, unread

CHECK = "container-selinux-denies-devices"
REFUSED: dict[str, Any] = {"driver_facts": driver_says(unread(code=4)), "gpus": unread(code=4)}
DENIED = event("avc_denied", 'avc:  denied  { read write } for  comm="nvidia-smi" name="nvidiactl"')


def test_a_container_that_may_is_well() -> None:
    assert answer(CHECK, inside({})).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("selinux", "words", "option"),
    [
        ("enforcing", "SELinux is enforcing", "label=disable"),
        (unread(Why.ABSENT), "the host's SELinux forbids it, or their owner and mode do", "label=disable"),
        ("", "their owner and mode forbid it", "--group-add"),
    ],
)
def test_refused_inside_names_what_can_be_seen_of_selinux(selinux: Any, words: str, option: str) -> None:
    (finding,) = answer(CHECK, inside({}, system={"selinux": selinux}, **REFUSED)).findings
    assert (finding.severity, words in finding.message) == (Severity.ERROR, True)
    assert finding.fix is not None
    assert option in finding.fix.text


@pytest.mark.parametrize("code", [9, 12, 999])
def test_other_codes_are_other_faults(code: int) -> None:
    facts = inside({}, driver_facts=driver_says(unread(code=code)), gpus=unread(code=code))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


def test_a_host_whose_log_tells_of_it_is_warned() -> None:
    facts = facts_of(system={"selinux": "enforcing"}, kernel_log=(DENIED, event("avc_denied", "avc: denied sshd")))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, "once since boot" in finding.message) == (Severity.WARNING, True)


def test_a_host_in_force_whose_log_tells_nothing_is_well() -> None:
    facts = facts_of(system={"selinux": "enforcing"}, kernel_log=(event("xid"),))
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "facts",
    [
        facts_of(system={"selinux": "enforcing"}, kernel_log=unread(Why.FORBIDDEN)),
        facts_of(system={"selinux": unread()}),
        inside({}, system={"selinux": unread()}, **REFUSED),
        inside({}, driver_facts=driver_says(unread(Why.TIMEOUT)), gpus=unread(Why.TIMEOUT)),
    ],
)
def test_what_is_unread_is_unknown(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("changed", [{}, {"system": {"selinux": "permissive"}}, {"engine": NO_ENGINE}])
def test_a_host_without_selinux_or_engine_is_not_asked(changed: dict[str, Any]) -> None:
    assert answer(CHECK, facts_of(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "Failed to initialize NVML: Insufficient Permissions",
        "nvidia-container-cli: initialization error: nvml error: insufficient permissions: unknown",
        "pynvml.NVMLError_NoPermission: Insufficient Permissions",
        'audit: avc:  denied  { ioctl } for  pid=1 comm="nvidia-smi" path="/dev/nvidiactl"',
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "Failed to initialize NVML: Unknown Error",
        'avc:  denied  { read } for  pid=1 comm="sshd" name="shadow"',
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
