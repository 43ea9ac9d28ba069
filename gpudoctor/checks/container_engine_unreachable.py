"""A container engine answers.

`docker` and gpudoctor speak to the engine through its socket. Where no socket is there, or nobody listens at it, the
engine is not installed or not running. TensorFlow from pip needs none; podman, Apptainer and enroot start containers
without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import basename

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.distributions import package_manager
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError, Why

MENDED_BY = "start Docker, or install it; without one TensorFlow runs from pip only"
DECIDED_BY = "docker version; systemctl status docker"
LINKS = (
    "https://docs.docker.com/engine/install/",
    "https://docs.docker.com/engine/daemon/troubleshoot/",
    "https://docs.podman.io/en/latest/markdown/podman-system-service.1.html",
)
SYMPTOMS = (
    r"Cannot connect to the Docker daemon",
    r"Is the docker daemon running\?",
    r"dial unix \S*docker\S*\.sock: connect: (?:no such file or directory|connection refused)",
)

CAUSED_BY = ("container-socket-permission",)


# They start containers by themselves.
_OTHER_ENGINES = ("apptainer", "enroot", "podman", "singularity")


def decides(case: Case) -> bool:
    """Only where containers were asked for."""
    return case.engine_asked


def applies(case: Case) -> bool:
    """Where containers were asked for; else not inside one, nor beside an engine of another kind."""
    return case.engine_asked or not (case.container or _installed(case) & set(_OTHER_ENGINES))


def check(case: Case) -> Iterator[Finding]:
    """No engine is no fault unless somebody wants one; one that hangs or answers nonsense is unknown."""
    version = case.facts.engine.version
    if not isinstance(version, Unread):
        return
    if version.why is not Why.ABSENT:
        raise UnreadError(version)
    installed = _installed(case)
    start = Fix(
        text="start Docker",
        commands=(engine_here.start(case),),
        needs_root=True,
        url="https://docs.docker.com/engine/daemon/troubleshoot/",
    )
    if "dockerd" in installed:
        message, fix = "no container engine answers: Docker is installed and does not run", start
    elif "podman" in installed:
        message, fix = "no container engine answers: podman is installed, and its socket is not there", _PODMAN
    else:
        message, fix = "no container engine answers", _install(case, start)
    yield Finding(
        severity=Severity.ERROR if case.engine_asked else Severity.INFO,
        message=message,
        evidence=(Evidence(source="docker version", value=version.detail),),
        fix=fix,
    )


def _installed(case: Case) -> set[str]:
    """Programs of engines; none where that is not known."""
    programs = case.facts.system.programs
    return set() if isinstance(programs, Unread) else {basename(path) for path in programs}


def _install(case: Case, start: Fix) -> Fix:
    """To start it first, where nobody knows whether it is installed."""
    unknown = isinstance(case.facts.system.programs, Unread)
    install = ("sudo apt-get install -y docker.io",) if package_manager(case.facts.system) == "apt" else ()
    return Fix(
        text=f"{'start Docker, or install it' if unknown else 'install Docker'}; without one TensorFlow runs from pip"
        " only",
        commands=(*(start.commands if unknown else ()), *install),
        needs_root=True,
        url="https://docs.docker.com/engine/install/",
    )


# https://docs.podman.io/en/latest/markdown/podman-system-service.1.html (2026-11)
_PODMAN = Fix(
    text="start podman's socket, and name it in DOCKER_HOST",
    commands=(
        "systemctl --user enable --now podman.socket",
        "export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/podman/podman.sock",
    ),
    url=LINKS[-1],
)
