"""The engine runs with what its configuration file says.

Docker reads daemon.json when it starts. What is written into it later, such as the runtime `nvidia` that
`nvidia-ctk runtime configure` adds, is not there for the engine until it is restarted: `docker info` shows what it
runs with, daemon.json what it would run with.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.facts import DaemonConfiguration, EngineFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "restart the engine; its containers end unless live-restore is on"
DECIDED_BY = "docker info -f '{{json .Runtimes}}'; cat /etc/docker/daemon.json"
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
    "https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file",
    "https://github.com/NVIDIA/nvidia-docker/issues/1243",
)
SYMPTOMS = (
    r"could not select device driver .*capabilities: \[\[.*gpu",
    r"unknown or invalid runtime name: nvidia",
    r"unknown runtime specified nvidia",
    r"AMD CDI spec not found",
    r"failed to discover GPU vendor from CDI",
)

CAUSED_BY = ("container-engine-isolated-from-driver", "container-toolkit-missing")

# The key of exec-opts that names the driver of cgroups.
# https://docs.docker.com/reference/cli/dockerd/#configure-cgroup-driver (2026-11)
_CGROUP_DRIVER = "native.cgroupdriver="

# features.cdi is a switch from here on; before, nobody reads it.
# https://docs.docker.com/reference/cli/dockerd/#enable-cdi-devices (2026-11)
_FIRST_DOCKER_WITH_CDI = (25,)


def applies(case: Case) -> bool:
    """Where an engine of this machine answers that has such a file, and there is a GPU to hand out."""
    engine = case.facts.engine
    return (
        engine_here.answers(case)
        and engine_here.is_local(engine)
        and not engine_here.is_podman(engine)
        and engine_here.has_gpu(case)
    )


def check(case: Case) -> Iterator[Finding]:
    """The runtime decides whether a GPU is had at all; the other settings are worth a warning."""
    engine = case.facts.engine
    daemon = known(engine.daemon)
    late = tuple(_late(daemon, engine))
    if not late:
        return
    no_gpu = "nvidia" in daemon.runtimes and not engine_here.hands_out(engine)
    yield Finding(
        severity=Severity.ERROR if no_gpu else Severity.WARNING,
        message=f"{daemon.path} was changed after the engine was started: "
        + "; ".join(f"it says {said}, the engine runs with {runs}" for _, said, runs in late),
        evidence=tuple(
            evidence
            for source, said, runs in late
            for evidence in (
                Evidence(source=f"cat {daemon.path}", value=said),
                Evidence(source=f"docker info: {source}", value=runs),
            )
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=(engine_here.restart(case),),
            needs_root=True,
            url="https://docs.docker.com/engine/daemon/live-restore/",
        ),
    )


def _late(daemon: DaemonConfiguration, engine: EngineFacts) -> Iterator[tuple[str, str, str]]:
    """Where it is shown, what the file says, and what the engine runs with."""
    runtimes = known(engine.runtimes)
    if "nvidia" in daemon.runtimes and "nvidia" not in runtimes:
        yield "Runtimes", "runtime nvidia", f"runtimes {', '.join(runtimes) or 'none'}"
    if daemon.default_runtime and daemon.default_runtime != known(engine.default_runtime):
        yield "Default Runtime", f"default runtime {daemon.default_runtime}", str(engine.default_runtime)
    for option in daemon.exec_options:
        wanted = option.removeprefix(_CGROUP_DRIVER)
        if wanted != option and wanted != known(engine.cgroup_driver):
            yield "Cgroup Driver", f"cgroup driver {wanted}", str(engine.cgroup_driver)
    does_cdi = engine_here.release(known(engine.version)) >= _FIRST_DOCKER_WITH_CDI
    if daemon.cdi and does_cdi and not known(engine.cdi_spec_dirs):
        yield "CDI spec directories", "CDI", "no CDI"
