"""This user may use the container engine.

The engine's socket belongs to root and the group docker. A user outside that group is refused, and so is a session that
was begun before the user joined it. Membership is as good as being root; a rootless engine does without.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError, Why

MENDED_BY = "become a member of the group docker, which is as good as being root, and log in again"
DECIDED_BY = "ls -l /var/run/docker.sock; id -nG"
LINKS = (
    "https://docs.docker.com/engine/install/linux-postinstall/",
    "https://github.com/NVIDIA/nvidia-docker/issues/1205",
    "https://github.com/NVIDIA-NeMo/Speech/issues/1276",
)
SYMPTOMS = (
    r"permission denied while trying to connect to the (?:Docker daemon|docker API)",
    r"dial unix \S*(?:docker|podman)\S*\.sock: connect: permission denied",
)

# Why an engine gave no answer, after it let this user in.
_ANSWERED = (Why.TIMEOUT, Why.GARBLED)


def applies(case: Case) -> bool:
    """Where something is there that could refuse anybody."""
    version = case.facts.engine.version
    return not isinstance(version, Unread) or version.why is not Why.ABSENT


def check(case: Case) -> Iterator[Finding]:
    """The engine is there and refuses this user."""
    engine = case.facts.engine
    version = engine.version
    if not isinstance(version, Unread) or version.why in _ANSWERED:
        return
    if version.why is not Why.FORBIDDEN:
        raise UnreadError(version)
    socket = engine.host.removeprefix("unix://")
    is_socket = socket != engine.host
    yield Finding(
        severity=Severity.ERROR if case.engine_asked else Severity.INFO,
        message=f"this user may not use the container engine at {socket}",
        evidence=(Evidence(source=f"ls -l {socket}; id -nG" if is_socket else "docker version", value=version.detail),),
        fix=_JOIN_GROUP if is_socket else Fix(text="ask whoever runs that engine to let this user in"),
    )


_JOIN_GROUP = Fix(
    text="become a member of the group docker, which is as good as being root, and log in again",
    commands=("sudo usermod -aG docker $USER",),
    needs_root=True,
    url="https://docs.docker.com/engine/install/linux-postinstall/",
)
