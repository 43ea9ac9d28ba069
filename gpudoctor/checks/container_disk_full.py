"""The engine's disk has room for an image.

While an image is pulled, its packed and its unpacked layers lie on the engine's disk together: a TensorFlow image of
NVIDIA's needs three to four times its packed size. The disk that counts is the one below the engine's data-root, not
that of the home folder. `No space left on device` from NCCL or a worker process is another matter: /dev/shm
(container-shm-too-small).
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, Why, known
from gpudoctor.sizes import LARGEST_PACKED_IMAGE_BYTES, SMALLEST_PACKED_IMAGE_BYTES, bytes_in_words, pull_bytes

MENDED_BY = "remove what is not used, or move the engine's data-root to a larger disk"
DECIDED_BY = "df -h $(docker info -f '{{.DockerRootDir}}'); docker system df"
LINKS = (
    "https://docs.docker.com/engine/daemon/#configure-the-data-directory-location",
    "https://github.com/NVIDIA/nvidia-docker/issues/792",
    "https://github.com/NVIDIA-NeMo/Speech/issues/1029",
)
SYMPTOMS = (
    r"\[Errno 28\] No space left on device(?!: ['\"]/)",
    r"failed to register layer.*no space left on device",
    r"(?:write|mkdir|copy|ApplyLayer)\b.*/(?:docker|containerd|containers|overlay2?)/.*no space left on device",
    r"(?:pull|unpack|extract)\w* .*no space left on device",
)


def applies(case: Case) -> bool:
    """Where an engine of this machine answers."""
    engine = case.facts.engine
    free = engine.data_root_free_bytes
    elsewhere = isinstance(free, Unread) and free.why is Why.UNSUPPORTED
    return not isinstance(engine.version, Unread) and not elsewhere


def check(case: Case) -> Iterator[Finding]:
    """Packed and unpacked layers lie on the disk together while an image is pulled."""
    engine = case.facts.engine
    free = known(engine.data_root_free_bytes)
    smallest, largest = pull_bytes(SMALLEST_PACKED_IMAGE_BYTES), pull_bytes(LARGEST_PACKED_IMAGE_BYTES)
    if free >= largest:
        return
    root = known(engine.data_root)
    if free < smallest:
        severity = Severity.ERROR if case.engine_asked else Severity.WARNING
        need = f"the smallest TensorFlow image needs about {bytes_in_words(smallest)}"
    else:
        severity = Severity.INFO
        need = f"the largest TensorFlow image needs about {bytes_in_words(largest)}"
    yield Finding(
        severity=severity,
        message=f"{bytes_in_words(free)} free below {root}, and {need} while it is pulled",
        evidence=(Evidence(source=f"df -h {root}", value=bytes_in_words(free)),),
        fix=Fix(
            text="remove what is not used, or move the engine's data-root to a larger disk",
            commands=("docker system df", "docker image prune -a"),
            url="https://docs.docker.com/engine/daemon/#configure-the-data-directory-location",
        ),
    )
