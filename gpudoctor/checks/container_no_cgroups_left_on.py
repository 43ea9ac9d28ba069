"""The toolkit lets the containers of a rootful engine use their GPUs.

`no-cgroups = true` in the toolkit's config.toml keeps its hook from allowing the container the devices. Rootless
engines need that, since they may not touch cgroups and restrict no devices. With an engine that runs as root the
devices are then there and forbidden: NVML answers `Unknown Error` right from the start. It is what a try with rootless
Docker leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "set no-cgroups to false and restart the engine"
DECIDED_BY = "grep no-cgroups /etc/nvidia-container-runtime/config.toml; docker info -f '{{.SecurityOptions}}'"
LINKS = (
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/580",
    "https://github.com/NVIDIA/nvidia-container-runtime/issues/85",
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
)
SYMPTOMS = (
    r"NVML: Unknown Error",
    r"nvmlInit(?:_v2|WithFlags)?\b.*(?:Unknown Error|999)",
    r"NVMLError_Unknown\b|NVML_ERROR_UNKNOWN\b",
)

CAUSED_BY = ("container-engine-isolated-from-driver", "container-toolkit-missing")


def applies(case: Case) -> bool:
    """Where an engine of this machine answers and the toolkit is configured; WSL and Jetson have other nodes."""
    engine, system = case.facts.engine, case.facts.system
    return (
        engine_here.answers(case)
        and engine_here.is_local(engine)
        and not engine_here.is_podman(engine)
        and engine_here.has_configuration(engine)
        and not system.wsl
        and engine_here.has_gpu(case)
    )


def check(case: Case) -> Iterator[Finding]:
    """CDI takes no notice of the setting; it matters where the hook is used."""
    engine = case.facts.engine
    toolkit = known(engine.toolkit)
    if not toolkit.no_cgroups or engine_here.is_rootless(engine):
        return
    by_cdi = engine_here.goes_by_cdi(engine)
    yield Finding(
        severity=Severity.WARNING if by_cdi else Severity.ERROR,
        message=f"no-cgroups = true in {toolkit.path}, and this engine runs as root: "
        + ("containers that get GPUs by the hook may not use them" if by_cdi else "containers may not use their GPUs"),
        evidence=(
            Evidence(source=f"grep no-cgroups {toolkit.path}", value="no-cgroups = true"),
            Evidence(source="docker info: Security Options", value=", ".join(known(engine.security_options)) or "none"),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=(
                "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups=false --in-place",
                engine_here.restart(case),
            ),
            needs_root=True,
            url=LINKS[2],
        ),
    )
