"""The toolkit leaves cgroups alone under a rootless engine.

The toolkit's hook allows a container its devices by changing a cgroup, which needs root's rights on the host. Under a
rootless engine that is refused and the container does not start. The toolkit must be told not to
(`no-cgroups = true`), or give GPUs by CDI, which needs no hook. The same setting breaks an engine that runs as root:
a machine with both wants CDI.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "tell the toolkit to leave cgroups alone, or use CDI: --device nvidia.com/gpu=all"
DECIDED_BY = "docker info -f '{{.SecurityOptions}}'; grep no-cgroups /etc/nvidia-container-runtime/config.toml"
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/85",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/106",
)
SYMPTOMS = (
    r"bpf_prog_query\(BPF_CGROUP_DEVICE\) failed",
    r"devices\.allow: permission denied",
    r"nvidia-container-cli: mount error: failed to add device rules",
    r"open failed: /sys/fs/cgroup/devices/.*permission denied",
)

CAUSED_BY = ("container-engine-isolated-from-driver", "container-toolkit-missing", "container-engine-not-restarted")


def applies(case: Case) -> bool:
    """Where an engine of this machine answers and the toolkit is configured."""
    engine = case.facts.engine
    return (
        engine_here.answers(case)
        and engine_here.is_local(engine)
        and not engine_here.is_podman(engine)
        and engine_here.has_configuration(engine)
        and not case.facts.system.wsl
        and engine_here.has_gpu(case)
    )


def check(case: Case) -> Iterator[Finding]:
    """Rootless, by the hook, and the hook was not told."""
    engine = case.facts.engine
    toolkit = known(engine.toolkit)
    if toolkit.no_cgroups or not engine_here.is_rootless(engine) or engine_here.goes_by_cdi(engine):
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"this engine is rootless, and {toolkit.path} does not say no-cgroups = true: the toolkit's hook fails"
        " at the cgroup that it may not change",
        evidence=(
            Evidence(source="docker info: Security Options", value=", ".join(known(engine.security_options))),
            Evidence(source=f"grep no-cgroups {toolkit.path}", value="false, or not set"),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=("sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place",),
            needs_root=True,
            url=LINKS[0],
        ),
    )
