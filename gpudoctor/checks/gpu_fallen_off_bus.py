"""No GPU has fallen off the bus.

The GPU no longer answers on PCIe, so the driver has lost it: every call that names it fails, and what ran on it is
gone. Mostly the power supply or its cables, a loose board or riser, heat, or the firmware of mainboard and board;
seldom the driver. A reboot, and often only a power cycle, brings it back; when it happens again, the cause is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts, KernelEvent
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, Why, known

MENDED_BY = (
    "reboot, or switch the machine off and on again where that does not help; if it happens again, look at power"
    " cables, seating, cooling and firmware"
)
DECIDED_BY = "sudo dmesg | grep -i -e 'fallen off the bus' -e 'Xid.*: 79'; nvidia-smi -L"
LINKS = (
    "https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html",
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/507",
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/387",
)
SYMPTOMS = (
    r"fallen off the bus",
    r"Xid \(PCI:.*\): 79\b",
    r"XidCriticalError: Xid=79\b",
    r"GPU is lost",
    r"NVML_ERROR_GPU_IS_LOST",
    r"Unable to determine the device handle for GPU",
)

_BEFORE_IT_FALLS_AGAIN = "look at power cables, seating, cooling and firmware before it happens again"

# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_GPU_IS_LOST = 15
# https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html (2026-11)
_FALLEN_OFF = 79


def applies(case: Case) -> bool:
    """Where a GPU may have been lost: NVML says so, lists some, or the log speaks of it."""
    facts = case.facts
    if isinstance(facts.gpus, Unread) and facts.gpus.code == _GPU_IS_LOST:
        return True
    if any(_lost(gpu) for gpu in case.listed_gpus):
        return True
    log = facts.kernel_log
    if facts.system.wsl or (isinstance(log, Unread) and log.why is Why.ABSENT and case.container):
        return False  # the log there is that of another kernel, or not a container's to see
    if isinstance(log, Unread) and facts.pci_gpus == () and case.module_version is None:
        return False  # nothing says that there ever was a GPU
    return bool(case.listed_gpus) or bool(_events(case))


def check(case: Case) -> Iterator[Finding]:
    """1. NVML says so of a GPU. 2. The log says so of one, and no GPU at that address answers since."""
    rule = case.policy.signals["fallen-off-bus"]
    nameless: list[tuple[str, Unread]] = []
    for what, address, reading in _lost_by_nvml(case):
        if rule.severity is None:
            continue
        if address:
            yield _lost_finding(case, rule.severity, f"{what} at {address}", reading)
        else:
            nameless.append((what, reading))
    log_is_read = not case.facts.system.wsl and not isinstance(case.facts.kernel_log, Unread)
    if log_is_read:
        # NVML may not say which it lost: the log does.
        yield from _by_log(case, rule.severity, nameless)
    for what, reading in nameless:
        if rule.severity is not None:
            yield _lost_finding(case, rule.severity, what, reading)
    if not case.facts.system.wsl:
        known(case.facts.kernel_log)


def _lost_by_nvml(case: Case) -> Iterator[tuple[str, str, Unread]]:
    """Name, address where it is known, and the reading that says so."""
    gpus = case.facts.gpus
    if isinstance(gpus, Unread):
        if gpus.code == _GPU_IS_LOST:
            yield "a GPU", "", gpus
        return
    for gpu in gpus:
        reading = _lost(gpu)
        if reading is not None:
            yield gpu_fixes.named(gpu), "" if isinstance(gpu.pci_address, Unread) else gpu.pci_address, reading


def _by_log(case: Case, severity: Severity | None, nameless: list[tuple[str, Unread]]) -> Iterator[Finding]:
    """What the log tells beyond NVML; takes from `nameless` those that it gives an address."""
    lost = {gpu.pci_address for gpu in case.listed_gpus if _lost(gpu)}
    answering = {gpu.pci_address for gpu in case.listed_gpus if not _lost(gpu)}
    told: set[str] = set()
    for event in reversed(_events(case)):
        address = event.pci_address
        if address in told or address in lost or (lost and not address):
            continue
        told.add(address)
        # Of a line without an address: all are back where as many answer as the bus has.
        back = address in answering if address else len(answering) >= len(known(case.facts.pci_gpus))
        of_it = case.policy.signals["fallen-off-bus-earlier"].severity if back else severity
        if of_it is not None:
            named = nameless.pop(0) if nameless and address and not back else None
            where = f"the GPU at {address}" if address else "a GPU"
            yield _finding(case, of_it, where, event, back=back, reading=named[1] if named else None)


def _lost_finding(case: Case, severity: Severity, what: str, reading: Unread) -> Finding:
    return Finding(
        severity=severity,
        message=f"{what} has fallen off the bus: the driver has lost it",
        evidence=(Evidence(source=reading.source, value=reading.detail),),
        fix=gpu_fixes.reboot(case, MENDED_BY),
    )


def _finding(
    case: Case, severity: Severity, what: str, event: KernelEvent, *, back: bool, reading: Unread | None
) -> Finding:
    since = "fell off the bus since the boot, and answers again" if back else "has fallen off the bus"
    evidence = [Evidence(source="sudo dmesg | grep -i 'fallen off the bus'", value=event.text)]
    if reading is not None:
        evidence.append(Evidence(source=reading.source, value=reading.detail))
    return Finding(
        severity=severity,
        message=f"{what} {since}",
        evidence=tuple(evidence),
        fix=Fix(text=_BEFORE_IT_FALLS_AGAIN) if back else gpu_fixes.reboot(case, MENDED_BY),
    )


def _events(case: Case) -> tuple[KernelEvent, ...]:
    events = case.events("fallen_off_bus", "xid")
    return tuple(event for event in events if event.kind == "fallen_off_bus" or event.code == _FALLEN_OFF)


def _lost(gpu: GpuFacts) -> Unread | None:
    """The first reading for which NVML said that the GPU is lost."""
    readings = (getattr(gpu, field.name) for field in fields(gpu))
    return next((one for one in readings if isinstance(one, Unread) and one.code == _GPU_IS_LOST), None)
