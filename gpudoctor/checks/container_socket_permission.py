"""This user may use the container engine."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import Unread, Why
from gpudoctor.findings import Evidence, Finding, Fix, Severity


def check(case: Case) -> Iterator[Finding]:
    """The engine's socket is there and refuses this user."""
    engine = case.facts.engine
    if not isinstance(engine.version, Unread) or engine.version.why is not Why.FORBIDDEN:
        return
    socket = engine.host.removeprefix("unix://")
    yield Finding(
        severity=Severity.ERROR if case.engine_asked else Severity.INFO,
        message=f"this user may not use the container engine at {socket}",
        evidence=(Evidence(source=f"ls -l {socket}; id -nG", value=engine.version.detail),),
        fix=Fix(
            text="become a member of the group docker, which is as good as being root, and log in again",
            commands=("sudo usermod -aG docker $USER",),
            needs_root=True,
            url="https://docs.docker.com/engine/install/linux-postinstall/",
        ),
    )
