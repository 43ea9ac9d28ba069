"""The NVIDIA Container Toolkit is installed beside the container engine.

Docker and podman know nothing of GPUs. The toolkit gives a container the device nodes of the GPU and the libraries of
the host's driver; without it nobody answers to `--gpus all`. Docker then says that it could not select a device driver,
and from 29.3 on that it found no GPU vendor, or no specification of AMD's.

The same words come of a toolkit that was installed while the engine ran and that the engine has not seen yet
(container-engine-not-restarted, container-runtime-not-registered), and of a machine without an NVIDIA GPU
(gpu-none-present).
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.distributions import TOOLKIT_GUIDE, install_toolkit
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "install the toolkit, register it and restart the engine"
DECIDED_BY = "docker info; command -v nvidia-ctk nvidia-container-runtime-hook"
LINKS = (
    TOOLKIT_GUIDE,
    "https://github.com/NVIDIA/nvidia-docker/issues/1034",
    "https://github.com/NVlabs/BundleSDF/issues/184",
)
SYMPTOMS = (
    r"could not select device driver .*capabilities: \[\[.*gpu",
    r"failed to discover GPU vendor from CDI",
    r"no known GPU vendor found",
    r"AMD CDI spec not found",
    r"nvidia-container-(?:runtime(?:-hook)?|toolkit|cli)[\"']?: executable file not found",
)

CAUSED_BY = ("container-engine-isolated-from-driver",)


def decides(case: Case) -> bool:
    """Where containers were asked for."""
    return case.engine_asked


def applies(case: Case) -> bool:
    """Where there is an engine to ask and a GPU to hand out."""
    return engine_here.answers(case) and not case.facts.system.jetson and engine_here.has_gpu(case)


def check(case: Case) -> Iterator[Finding]:
    """Neither a runtime nor a device that the engine knows, nor a program of the toolkit."""
    engine = case.facts.engine
    if engine_here.hands_out(engine) or engine_here.has_toolkit(engine):
        return
    yield Finding(
        severity=Severity.ERROR,
        message="the NVIDIA Container Toolkit is not installed: the engine has no runtime `nvidia` and no"
        " nvidia.com/gpu device",
        evidence=(
            Evidence(source="docker info: Runtimes", value=", ".join(known(engine.runtimes)) or "none"),
            Evidence(source="docker info: Discovered Devices", value=", ".join(known(engine.cdi_devices)) or "none"),
            Evidence(
                source="which nvidia-ctk nvidia-container-runtime-hook",
                value=", ".join(known(engine.toolkit_binaries)) or "nothing",
            ),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=(*install_toolkit(case.facts.system), *engine_here.register(case)),
            needs_root=True,
            url=TOOLKIT_GUIDE,
        ),
    )
