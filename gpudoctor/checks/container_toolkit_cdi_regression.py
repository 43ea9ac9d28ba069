"""CUDA starts in a container that was given its GPU by CDI.

From toolkit 1.18 on, `auto` means CDI where it meant the hook, and Docker 29 asks CDI for `--gpus`. On some machines
nvidia-smi then works inside and cuInit answers 999: seen with 1.18, 1.19.0, 1.19.1 (where 1.19.0 works) and 1.20.
In one case the specification held another major number than the kernel had given nvidia-uvm; a node with a wrong number
is there and leads nowhere. The hook (`mode = "legacy"`) makes its nodes by another way.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = (
    "on the host, write the CDI specification anew; if that does not help, set the toolkit to legacy mode, or go back"
    " to the version before"
)
DECIDED_BY = "nvidia-ctk --version; grep nvidia-uvm /proc/devices; grep -A1 /dev/nvidia-uvm /var/run/cdi/nvidia.yaml"
LINKS = (
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/1967",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/1743",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/1456",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/1934",
)
SYMPTOMS = (
    r"cuInit(?:\(0\))?\)? failed -> CUDA_ERROR_UNKNOWN",
    r"failed call to cuInit: CUDA_ERROR_UNKNOWN",
    r"(?<!UNAVAILABLE \()cuInit\S* .{0,40}(?:error|code|returned|[(:=>])\W?999\b",
)

CAUSED_BY = ("driver-uvm-missing", "container-gpus-not-requested")

# CUDA_ERROR_UNKNOWN
# https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html (2026-11)
_UNKNOWN = 999

_NODE = "/dev/nvidia-uvm"


def applies(case: Case) -> bool:
    """In a container whose GPU came by CDI: its specifications say void, so that the hook does not act as well."""
    return bool(case.container) and case.variable("NVIDIA_VISIBLE_DEVICES") == "void"


def check(case: Case) -> Iterator[Finding]:
    """NVML lists the GPU, the node is there, and CUDA fails by 999."""
    facts = case.facts
    init = known(facts.cuda).init
    if not isinstance(init, Unread):
        return
    if init.code is None:
        known(init)
    if init.code != _UNKNOWN or not known(facts.gpus) or _NODE not in known(facts.driver.device_nodes):
        return
    yield Finding(
        severity=Severity.ERROR,
        message="NVML lists the GPU, and CUDA does not start (error 999) in this container, whose GPU came by CDI",
        evidence=(
            Evidence(source="cuInit(0)", value=init.detail),
            Evidence(source="nvidia-smi -L", value=case.listed_in_words),
            Evidence(source="echo $NVIDIA_VISIBLE_DEVICES", value="void"),
            Evidence(source=f"ls {_NODE}", value=_NODE),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=(
                "sudo nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml",
                "sudo nvidia-ctk config --set nvidia-container-runtime.mode=legacy --in-place",
            ),
            needs_root=True,
            url=LINKS[0],
        ),
    )
