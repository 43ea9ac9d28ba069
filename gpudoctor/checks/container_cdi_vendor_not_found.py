"""An engine that gives GPUs by CDI alone has a device of NVIDIA's.

Docker 29 answers `--gpus` by CDI where the toolkit's hook is not installed, as with the package
nvidia-container-toolkit-base; without a specification of NVIDIA's devices it has none to give. From 29.3 on it then
tries AMD's, and complains of their specification, which has nothing to do with the machine.

The same words come where the toolkit is missing, or was installed while the engine ran.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "write the specification and restart the engine; or start containers with --runtime=nvidia"
DECIDED_BY = "docker info -f '{{json .DiscoveredDevices}}'; nvidia-ctk cdi list"
LINKS = (
    "https://github.com/moby/moby/pull/50228",
    "https://github.com/moby/moby/pull/52048",
    "https://github.com/games-on-whales/wolf/issues/386",
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html",
)
SYMPTOMS = (
    r"AMD CDI spec not found",
    r"failed to discover GPU vendor from CDI",
    r"no known GPU vendor found",
    r"CDI device injection failed: unresolvable CDI devices nvidia\.com/gpu",
)

CAUSED_BY = (
    "container-engine-isolated-from-driver",
    "container-toolkit-missing",
    "container-engine-not-restarted",
)


def applies(case: Case) -> bool:
    """Where an engine answers, and there is a GPU to hand out."""
    return (
        engine_here.answers(case)
        and not engine_here.is_podman(case.facts.engine)
        and not case.facts.system.jetson
        and engine_here.has_gpu(case)
    )


def check(case: Case) -> Iterator[Finding]:
    """CDI is asked, the hook is not there to be asked instead, and no device was found."""
    engine = case.facts.engine
    if not engine_here.asks_cdi_first(engine) or engine_here.cdi_devices(engine):
        return
    binaries = known(engine.toolkit_binaries)
    if engine_here.HOOK in binaries or engine_here.TOOL not in binaries:
        return
    registered = "nvidia" in known(engine.runtimes)
    yield Finding(
        severity=Severity.WARNING if registered else Severity.ERROR,
        message=f"Docker {engine.version} gives GPUs by CDI here and found no nvidia.com/gpu device, so --gpus fails"
        + ("; --runtime=nvidia works" if registered else ""),
        evidence=(
            Evidence(source="docker info: Discovered Devices", value=", ".join(known(engine.cdi_devices)) or "none"),
            Evidence(source="which nvidia-ctk nvidia-container-runtime-hook", value=", ".join(binaries)),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=("sudo nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml", engine_here.restart(case)),
            needs_root=True,
            url=LINKS[-1],
        ),
    )
