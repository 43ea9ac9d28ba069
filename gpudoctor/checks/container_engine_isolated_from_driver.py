"""The container engine stands where the host's driver is.

Docker Desktop for Linux runs its engine in a virtual machine that has no GPU; the engine of the snap package sees
other folders than the host's and finds neither the driver's libraries nor the toolkit. Both take `--gpus` and fail on
the driver's library, whatever is installed on the host. Docker Desktop on Windows is another matter: there WSL brings
the GPU into the machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.distributions import package_manager
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "use the engine of Docker's own packages instead, then install the toolkit for it"
DECIDED_BY = "docker info -f '{{.OperatingSystem}} {{.DockerRootDir}}'; docker context ls"
LINKS = (
    "https://docs.docker.com/engine/install/",
    "https://github.com/NVIDIA/nvidia-docker/issues/1711",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/154",
)
SYMPTOMS = (
    r"load library failed: libnvidia-ml\.so\.1",
    r"could not select device driver .*capabilities: \[\[.*gpu",
    r"nvidia-container-cli: initialization error: driver error: failed to process request",
)

_SNAP = "/var/snap/"

# https://docs.docker.com/desktop/setup/install/linux/ubuntu/ (2026-11)
_DOCKERS_OWN = ("sudo apt-get install -y docker-ce containerd.io",)


def applies(case: Case) -> bool:
    """Where an engine answers, and there is a GPU that Linux drives itself."""
    return engine_here.answers(case) and not case.facts.system.wsl and engine_here.has_gpu(case)


def check(case: Case) -> Iterator[Finding]:
    """1. The operating system that the engine names. 2. Its folder, where it hands out no GPU all the same."""
    engine = case.facts.engine
    operating_system = known(engine.operating_system)
    is_apt = package_manager(case.facts.system) == "apt"
    if operating_system.startswith("Docker Desktop"):
        yield Finding(
            severity=Severity.ERROR,
            message="the engine is Docker Desktop's: it runs in a virtual machine without the GPU and its driver",
            evidence=(
                Evidence(source="docker info: Operating System", value=operating_system),
                Evidence(source="docker context ls", value=engine.host),
            ),
            fix=Fix(
                text=MENDED_BY,
                # Its package wants Docker's own client, with which docker.io of the distribution does not go together.
                commands=(*(_DOCKERS_OWN if is_apt else ()), "docker context use default"),
                needs_root=True,
                url=LINKS[0],
            ),
        )
        return
    data_root = known(engine.data_root)
    # The snap sets the toolkit up by itself where it finds the driver's libraries.
    if not data_root.startswith(_SNAP) or engine_here.hands_out(engine):
        return
    yield Finding(
        severity=Severity.ERROR,
        message="the engine is the snap's: it does not see the host's driver and toolkit, and hands out no GPU",
        evidence=(
            Evidence(source="docker info: Docker Root Dir", value=data_root),
            Evidence(source="docker info: Runtimes", value=", ".join(known(engine.runtimes)) or "none"),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=("sudo snap remove docker", *(("sudo apt-get install -y docker.io",) if is_apt else ())),
            needs_root=True,
            url=LINKS[0],
        ),
    )
