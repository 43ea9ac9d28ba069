"""The kernel's log holds no Xid that still counts.

An Xid is the driver's report that something went wrong with a GPU, an SXid the same of an NVSwitch. Some are the
program's own: it touched memory that is not its own (13, 31), or was killed (43, 45). Others mean that the GPU gives
wrong results or none until it is reset (48, 74, 95, 119, 120, 140). What each means, whether it matters and what
clears it is data: health_policy.yaml, which --policy FILE overrides.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.health_policy import EventRule, Standing, standing
from gpudoctor.readings import Unread, Why, known

CAUSED_BY = (
    "gpu-fallen-off-bus",
    "gpu-row-remap-failed",
    "gpu-page-retirement-exhausted",
    "gpu-ecc-sram-exhausted",
    "gpu-ecc-uncorrected",
    "gpu-nvlink-inactive",
)

MENDED_BY = "look the number up: a program's own fault is mended in the program, the GPU's by a reset or a reboot"
DECIDED_BY = "sudo dmesg | grep Xid"
LINKS = (
    "https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html",
    "https://docs.nvidia.com/deploy/xid-errors/index.html",
)
# 63, 79 and 154 are other checks'.
SYMPTOMS = (
    r"Xid \(PCI:.*\): (?!63\b|79\b|154\b)\d",
    r"XidCriticalError: Xid=(?!63\b|79\b|154\b)\d",
)

# Told by gpu-fallen-off-bus, which knows whether the GPU is back.
_FALLEN_OFF = 79
# Told by gpu-row-remap-pending and gpu-page-retirement-pending, which ask NVML whether it still waits.
_WAITS_FOR_RESET = 63

_SANITIZER = "https://docs.nvidia.com/compute-sanitizer/ComputeSanitizer/index.html"


def applies(case: Case) -> bool:
    """Where there is a GPU of this machine's, and a log that is its kernel's."""
    facts = case.facts
    if facts.system.wsl:
        return False
    log = facts.kernel_log
    if isinstance(log, Unread) and log.why is Why.ABSENT and case.container:
        return False
    return bool(case.listed_gpus or known(facts.pci_gpus))


def check(case: Case) -> Iterator[Finding]:
    """Of each GPU and number, what is left after resets, reloads and the window of the policy."""
    facts = case.facts
    for one in standing(case.policy, known(facts.kernel_log), facts.system.uptime_seconds, kinds=("xid", "sxid")):
        severity = one.rule.severity
        gpu = _at(case, one.pci_address)
        if severity is None or _told_elsewhere(one.rule, gpu):
            continue
        word = "Xid" if one.rule.kind == "xid" else "SXid"
        where = f" of {one.pci_address}" if one.pci_address else ""
        often = f" ({one.count} times)" if one.count > 1 else ""
        yield Finding(
            severity=severity,
            message=f"{word} {one.rule.code}{where}{often}: {one.rule.meaning}",
            evidence=(Evidence(source=f"sudo dmesg | grep {word}", value=one.text),),
            fix=_fix(case, one, severity, gpu),
        )


def _told_elsewhere(rule: EventRule, gpu: GpuFacts | None) -> bool:
    if rule.kind != "xid":
        return False
    if rule.code == _WAITS_FOR_RESET and rule.severity is not Severity.ERROR and gpu is not None:
        return not isinstance(gpu.remapped_rows, Unread) or not isinstance(gpu.retired_pages_pending, Unread)
    return rule.code == _FALLEN_OFF


def _at(case: Case, address: str) -> GpuFacts | None:
    return next((gpu for gpu in case.listed_gpus if address and gpu.pci_address == address), None)


def _fix(case: Case, one: Standing, severity: Severity, gpu: GpuFacts | None) -> Fix:
    rule = one.rule
    if rule.fault == "user":
        return Fix(
            text="look at the program, for instance with compute-sanitizer; the GPU needs nothing", url=_SANITIZER
        )
    if severity is Severity.INFO:
        return Fix(text="start the program again; look at the GPU if it comes back", url=LINKS[0])
    if rule.cleared_by == "never":
        return Fix(text="have the board seen to by whoever sold it", url=LINKS[0])
    if rule.cleared_by == "reset" and gpu is not None:
        return gpu_fixes.as_the_driver_says(case, gpu)
    if rule.cleared_by == "driver_reload":
        return Fix(text="end what uses the GPUs and load the driver anew, or reboot", needs_root=True, url=LINKS[0])
    return gpu_fixes.reboot(case, "reboot; if it comes back, have the hardware seen to")
