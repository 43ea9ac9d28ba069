"""gpu-xid: the Xids of the log that still count, as the policy says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import KernelEvent, RemappedRows
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.gpus import under
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, event, facts_of, unread

CHECK = "gpu-xid"


ADDRESS = "0000:01:00.0"
RESET = event("gpu_reset", "NVRM: GPU 0000:01:00.0: reset", pci_address=ADDRESS)
OTHER_RESET = event("gpu_reset", "NVRM: GPU 0000:02:00.0: reset", pci_address="0000:02:00.0")
LOADED = event("driver_loaded", "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.129.03")


def xid(code: int, **changed: Any) -> KernelEvent:
    line = event("xid", f"NVRM: Xid (PCI:0000:01:00): {code}, pid=1", pci_address=ADDRESS, code=code)
    return replace(line, **changed)


def severities(*log: KernelEvent) -> list[Severity]:
    return [finding.severity for finding in answer(CHECK, facts_of(kernel_log=log)).findings]


def test_a_log_without_xids_is_well() -> None:
    assert answer(CHECK, facts_of(kernel_log=(RESET, LOADED))).outcome is Outcome.PASSED


@pytest.mark.parametrize("code", [48, 64, 74, 95, 119, 120, 140])
def test_what_every_operator_calls_fatal_is_an_error(code: int) -> None:
    (finding,) = answer(CHECK, facts_of(kernel_log=(xid(code),))).findings
    assert finding.severity is Severity.ERROR
    assert finding.message.startswith(f"Xid {code} of {ADDRESS}: ")
    assert finding.fix is not None
    assert any("--gpu-reset -i GPU-" in command for command in finding.fix.commands)


@pytest.mark.parametrize("code", [13, 31, 43, 45])
def test_what_is_usually_the_programs_own_is_worth_a_line_and_no_more(code: int) -> None:
    (finding,) = answer(CHECK, facts_of(kernel_log=(xid(code),))).findings
    assert finding.severity is Severity.INFO
    assert finding.fix is not None
    assert "program" in finding.fix.text
    assert not finding.fix.needs_root


def test_a_code_that_nobody_lists_is_a_warning() -> None:
    assert severities(xid(999)) == [Severity.WARNING]


def test_a_switchs_own_is_told_apart_from_a_gpus() -> None:
    (finding,) = answer(CHECK, facts_of(kernel_log=(xid(12028, kind="sxid"),))).findings
    assert (finding.severity, finding.message[:10]) == (Severity.ERROR, "SXid 12028")


def test_many_lines_of_one_kind_are_one_finding_that_counts_them() -> None:
    (finding,) = answer(CHECK, facts_of(kernel_log=(xid(119), xid(119), xid(119)))).findings
    assert "(3 times)" in finding.message


@pytest.mark.parametrize("cleared_by", [RESET, LOADED])
def test_a_later_reset_or_load_of_the_driver_clears_it_and_an_earlier_one_does_not(cleared_by: KernelEvent) -> None:
    assert severities(xid(119), cleared_by) == []
    assert severities(cleared_by, xid(119)) == [Severity.ERROR]


def test_the_reset_of_another_gpu_clears_nothing() -> None:
    assert severities(xid(119), OTHER_RESET) == [Severity.ERROR]


def test_a_reset_without_an_address_clears_what_only_one_gpu_can_mean() -> None:
    somewhere = event("gpu_reset", "a GPU was reset")
    assert severities(xid(119), somewhere) == []
    assert severities(xid(119), xid(119, pci_address="0000:02:00.0"), somewhere) == [Severity.ERROR, Severity.ERROR]


def test_what_only_a_reboot_clears_outlives_a_reset() -> None:
    assert severities(xid(54), RESET, LOADED) == [Severity.ERROR]


def test_the_drivers_own_word_that_nothing_is_left_to_do_clears_it() -> None:
    text = "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"
    assert severities(xid(119), xid(154)) == [Severity.ERROR]
    assert severities(xid(119), event("gpu_reset", text, pci_address=ADDRESS, code=154)) == []


@pytest.mark.parametrize(("age", "count"), [(24 * 3600.0, 1), (24 * 3600.0 + 1, 0)])
def test_a_programs_own_is_forgotten_after_its_window(age: float, count: int) -> None:
    facts = facts_of(system={"uptime_seconds": 200_000.0}, kernel_log=(xid(31, seconds=200_000.0 - age),))
    assert len(answer(CHECK, facts).findings) == count


@pytest.mark.parametrize(("uptime", "seconds"), [(unread(), 1.0), (100.0, unread())])
def test_an_age_that_is_unread_is_unknown_where_there_is_a_window_and_no_matter_where_there_is_none(
    uptime: Any, seconds: Any
) -> None:
    system = {"uptime_seconds": uptime}
    assert answer(CHECK, facts_of(system=system, kernel_log=(xid(31, seconds=seconds),))).outcome is Outcome.UNKNOWN
    assert answer(CHECK, facts_of(system=system, kernel_log=(xid(119, seconds=seconds),))).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("why", "container", "outcome"),
    [
        (Why.FORBIDDEN, "", Outcome.UNKNOWN),
        (Why.ABSENT, "", Outcome.UNKNOWN),
        (Why.FORBIDDEN, "docker", Outcome.UNKNOWN),
        (Why.ABSENT, "docker", Outcome.NOT_APPLICABLE),
    ],
)
def test_an_unread_log_is_unknown_but_for_a_container_that_has_none(why: Why, container: str, outcome: Outcome) -> None:
    assert answer(CHECK, facts_of(system={"container": container}, kernel_log=unread(why))).outcome is outcome


def test_a_gpu_that_is_off_the_bus_is_not_told_twice() -> None:
    assert severities(xid(79)) == []


def test_a_row_to_be_remapped_is_asked_of_nvml_and_the_log_counts_where_that_does_not_say() -> None:
    log = (xid(63),)
    rows = RemappedRows(correctable=0, uncorrectable=1, pending=True, failure=False)
    for reading, count in ((rows, 0), (unread(Why.UNSUPPORTED), 1)):
        facts = facts_of(gpus=(data_center_gpu(remapped_rows=reading),), kernel_log=log)
        assert len(answer(CHECK, facts).findings) == count


def test_a_site_may_think_otherwise() -> None:
    facts = facts_of(kernel_log=(xid(109),))
    assert answer(CHECK, facts).findings[0].severity is Severity.WARNING
    error = under("xids: [{code: 109, severity: error}]", CHECK, facts)
    assert [finding.severity for finding in error.findings] == [Severity.ERROR]
    assert under("xids: [{code: 109, severity: ignore}]", CHECK, facts).outcome is Outcome.PASSED
    assert (
        under("signals: [{name: unlisted-event, severity: ignore}]", CHECK, facts_of(kernel_log=(xid(999),))).findings
        == ()
    )


def test_an_xid_follows_from_the_memory_error_that_it_reports() -> None:
    facts = facts_of(gpus=(data_center_gpu(ecc_uncorrected_volatile=1),), kernel_log=(xid(48),))
    assert [finding.caused_by for finding in answer(CHECK, facts).findings] == ["gpu-ecc-uncorrected"]


@pytest.mark.parametrize(
    "line",
    [
        (
            "[Mon Nov 16 03:12:11 2026] NVRM: Xid (PCI:0000:3b:00): 119, pid=2119, name=nvidia-smi, Timeout"
            " after 6s of waiting for RPC response from GPU0 GSP!"
        ),
        "kernel: NVRM: Xid (PCI:0000:01:00): 31, Ch 0000002b, engmask 00000101, intr 10000000",
        "nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
        "I0202 XidCriticalError: Xid=48 on Device=GPU-0d1e, the device will go unhealthy.",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
        "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1",
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.129.03",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
