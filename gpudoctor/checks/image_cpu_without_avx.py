"""The processor has the AVX instructions that TensorFlow is built with.

TensorFlow from 1.6 on is built with AVX and ends in an illegal instruction on a processor without: one from before
2011, a small one, or a virtual one whose hypervisor hides the flag.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = "let the hypervisor show the machine the host's processor, or use another machine"
DECIDED_BY = "grep -o -w -m1 avx /proc/cpuinfo; systemd-detect-virt"
LINKS = (
    "https://github.com/triton-inference-server/server/blob/v2.9.0/nvidia_entrypoint.sh",
    "https://www.tensorflow.org/install/pip#hardware_requirements",
)
SYMPTOMS = (
    r"built for CPUs supporting at least the AVX instruction set",
    r"\bIllegal instruction\b",
    r"TensorFlow library was compiled to use AVX.* instructions, but these aren't available",
    r"\bSIGILL\b",
)


def applies(case: Case) -> bool:
    """Inside a container of TensorFlow, on x86."""
    return bool(case.container) and case.facts.system.architecture == "x86_64" and image_here.holds_tensorflow(case)


def check(case: Case) -> Iterator[Finding]:
    """Not among the flags that every processor has."""
    system = case.facts.system
    flags = known(system.cpu_flags)
    if "avx" in flags:
        return
    machine = system.virtual_machine
    virtual = () if isinstance(machine, Unread) or not machine else (machine,)
    yield Finding(
        severity=Severity.ERROR,
        message="this processor has no AVX, without which TensorFlow ends in an illegal instruction"
        + "".join(f"; the machine is a virtual one ({name})" for name in virtual),
        evidence=(
            Evidence(source="grep -m1 flags /proc/cpuinfo", value=", ".join(flags) or "none of TensorFlow's"),
            *(Evidence(source="systemd-detect-virt", value=name) for name in virtual),
        ),
        fix=Fix(text=MENDED_BY, url=LINKS[1]),
    )
