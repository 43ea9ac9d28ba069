"""Every question to the driver is answered in time.

A driver or a GPU that is wedged keeps whoever asks it inside the kernel, in state D, which no signal ends: nvidia-smi
never returns, and neither does any program that uses the GPU. gpudoctor asks from a process of its own and leaves that
behind. State D, or a line of the kernel's log that a task was blocked, makes it the machine's fault. A question that
was merely not answered in time may be the fault of a busy machine, or of a time limit that is too short.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from gpudoctor.checks import Case
from gpudoctor.facts import Facts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, Why

MENDED_BY = (
    "take the machine out of service, end what uses the GPU, and reboot; a process in state D ends with nothing else"
)
DECIDED_BY = (
    "timeout 60 nvidia-smi; ps -eo state,pid,wchan:32,cmd | grep '^D'; sudo dmesg | grep -e NVRM -e 'blocked for'"
)
LINKS = (
    "https://github.com/kubernetes/node-problem-detector/issues/833",
    "https://docs.kernel.org/admin-guide/sysctl/kernel.html#hung-task-timeout-secs",
)
SYMPTOMS = (
    r"INFO: task (nvidia|nv_|python|irq/\d+-nvidia)\S* blocked for more than \d+ seconds",
    r"nvidia-smi\S*( .*)? (timed out|did not return|hangs)",
    r"(driver|NVML|nvidia-smi).{0,40}no answer within",
    r"process state D",
)


def check(case: Case) -> Iterator[Finding]:
    """The first call that did not come back; those after it were never made."""
    hung = _hung(case.facts)
    if hung is None:
        return
    stuck = "process state D" in hung.detail
    log = case.facts.kernel_log
    blocked = () if isinstance(log, Unread) else tuple(line for line in log if line.kind == "hung_task")
    evidence = (
        Evidence(source=hung.source, value=hung.detail),
        *(Evidence(source="sudo dmesg", value=line.text) for line in blocked[-1:]),
    )
    if stuck or blocked:
        where = "in the kernel, where no signal reaches it" if stuck else "and the kernel's log tells of blocked tasks"
        yield Finding(
            severity=Severity.ERROR,
            message=f"the driver hangs: {hung.source} does not return, {where}",
            evidence=evidence,
            fix=_tell_the_host(case) or _REBOOT,
        )
        return
    yield Finding(
        severity=Severity.WARNING,
        message=f"the driver did not answer {hung.source} in time",
        evidence=evidence,
        fix=Fix(
            text="ask again with more time; if it does not answer then either, the driver hangs",
            commands=("gpudoctor check --timeout 120",),
        ),
    )


def _hung(facts: Facts) -> Unread | None:
    """A call that gave no answer at all; code 10 is NVML's own answer that the GPU was too slow."""
    driver = facts.driver
    asked = (driver.version, driver.nvml_version, driver.driver_cuda_version, facts.gpus, facts.cuda)
    for unread in _unread(asked):
        if unread.why is Why.TIMEOUT and unread.code is None:
            return unread
    return None


def _unread(value: object) -> Iterator[Unread]:
    """Every reading without a value, however deep: the name of a process stands in a record of a record."""
    if isinstance(value, Unread):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _unread(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _unread(getattr(value, field.name))


def _tell_the_host(case: Case) -> Fix | None:
    container = case.facts.system.container
    if isinstance(container, Unread) or not container:
        return None
    return Fix(text="tell whoever runs this node: it is to be drained and rebooted; nothing inside a container helps")


_REBOOT = Fix(
    text=MENDED_BY,
    commands=("sudo dmesg | grep -e NVRM -e 'blocked for'", "sudo reboot"),
    needs_root=True,
    needs_reboot=True,
    url=LINKS[0],
)
