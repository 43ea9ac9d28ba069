"""Shared memory is large enough for worker processes and NCCL.

NCCL and worker processes pass data through /dev/shm. Docker gives a container 64 MiB of it, which a few of them
outgrow: NCCL then finds no space left, and workers die of a bus error. `No space left on device` while an image is
pulled is another matter: the engine's disk (container-disk-full).
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known
from gpudoctor.sizes import SHM_BYTES, memory_in_words

MENDED_BY = "start the container with --ipc=host, or with --shm-size=1g"
DECIDED_BY = "df -h /dev/shm"
LINKS = (
    "https://docs.nvidia.com/deeplearning/frameworks/user-guide/index.html",
    "https://github.com/NVIDIA/nccl/issues/290",
    "https://github.com/NVIDIA/nccl/issues/342",
)
SYMPTOMS = (
    r"\[Errno 28\] No space left on device(?!: ['\"]/)",
    r"SHMEM allocation limit is set to the default of 64 ?MB",
    r"posix_fallocate failed ?: ?No space left on device",
    r"(?:/dev/shm|shared memory|shm).*No space left on device",
    r"(?<!pcie )\bBus error\b(?!-)",
)


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
