"""Shared memory is large enough for worker processes and NCCL."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known
from gpudoctor.sizes import SHM_BYTES, memory_in_words


def check(case: Case) -> Iterator[Finding]:
    """Docker gives a container 64 MiB unless told otherwise."""
    size = known(case.facts.system.shm_bytes)
    if size >= SHM_BYTES:
        return
    if case.container:
        fix = Fix(text="start the container with --ipc=host, or with --shm-size=1g")
    else:
        fix = Fix(text="enlarge it", commands=("sudo mount -o remount,size=1g /dev/shm",), needs_root=True)
    yield Finding(
        severity=Severity.WARNING,
        message=f"/dev/shm holds {memory_in_words(size)}, and NVIDIA's images want {memory_in_words(SHM_BYTES)}",
        evidence=(Evidence(source="df -h /dev/shm", value=memory_in_words(size)),),
        fix=fix,
    )
