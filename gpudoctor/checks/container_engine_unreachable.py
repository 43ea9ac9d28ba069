"""A container engine answers."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import package_manager
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError, Why

CAUSED_BY = ("container-socket-permission",)


def decides(case: Case) -> bool:
    """Only where containers were asked for."""
    return case.engine_asked


def check(case: Case) -> Iterator[Finding]:
    """No engine is no fault unless somebody wants one; one that hangs or answers nonsense is unknown."""
    version = case.facts.engine.version
    if not isinstance(version, Unread):
        return
    if version.why is not Why.ABSENT:
        raise UnreadError(version)
    install = ("sudo apt-get install -y docker.io",) if package_manager(case.facts.system) == "apt" else ()
    yield Finding(
        severity=Severity.ERROR if case.engine_asked else Severity.INFO,
        message="no container engine answers",
        evidence=(Evidence(source="docker version", value=version.detail),),
        fix=Fix(
            text="start Docker, or install it; without one TensorFlow runs from pip only",
            commands=("sudo systemctl start docker", *install),
            needs_root=True,
            url="https://docs.docker.com/engine/install/",
        ),
    )
