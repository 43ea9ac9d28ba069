"""Shared memory is large enough for worker processes and NCCL."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import known
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.sizes import SHM_BYTES, bytes_in_words


def check(case: Case) -> Iterator[Finding]:
    """Docker gives a container 64 MiB unless told otherwise."""
    size = known(case.facts.system.shm_bytes)
    if size >= SHM_BYTES:
        return
    inside = known(case.facts.system.container)
    if inside:
        fix = Fix(text="start the container with --ipc=host, or with --shm-size=1g")
    else:
        fix = Fix(text="enlarge it", commands=("sudo mount -o remount,size=1g /dev/shm",), needs_root=True)
    yield Finding(
        severity=Severity.WARNING,
        message=f"/dev/shm holds {bytes_in_words(size)}, and NVIDIA's images want {bytes_in_words(SHM_BYTES)}",
        evidence=(Evidence(source="df -h /dev/shm", value=bytes_in_words(size)),),
        fix=fix,
    )
