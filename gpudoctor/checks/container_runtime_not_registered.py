"""The engine's configuration names the runtime of the installed toolkit.

Installing the toolkit changes no engine: `nvidia-ctk runtime configure` writes the runtime `nvidia` into daemon.json,
and the engine reads that file when it starts. Until then `--runtime=nvidia` is refused; `--gpus` works only where the
engine was started after the toolkit's hook was installed. A second daemon.json (of a rootless or a snap engine) is
often the one that was written instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.distributions import TOOLKIT_GUIDE
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "register the runtime and restart the engine"
DECIDED_BY = "docker info -f '{{json .Runtimes}}'; cat /etc/docker/daemon.json"
LINKS = (
    TOOLKIT_GUIDE,
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/150",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/378",
)
SYMPTOMS = (
    r"unknown or invalid runtime name: nvidia",
    r"unknown runtime specified nvidia",
    r"runtime \"?nvidia\"? not found",
    r"no runtime for \"nvidia\" is configured",
    r"could not select device driver .*capabilities: \[\[.*gpu",
)

CAUSED_BY = ("container-engine-isolated-from-driver",)


def decides(case: Case) -> bool:
    """Where containers were asked for."""
    return case.engine_asked


def applies(case: Case) -> bool:
    """Where an engine with runtimes answers, and there is a GPU to hand out; podman has CDI alone."""
    return (
        engine_here.answers(case)
        and not engine_here.is_podman(case.facts.engine)
        and not case.facts.system.jetson
        and engine_here.has_gpu(case)
    )


def check(case: Case) -> Iterator[Finding]:
    """The toolkit is there, and neither the engine nor its configuration knows of it."""
    engine = case.facts.engine
    if engine_here.hands_out(engine) or not engine_here.has_toolkit(engine):
        return
    daemon = known(engine.daemon)
    hooked = engine_here.HOOK in known(engine.toolkit_binaries)
    if "nvidia" in daemon.runtimes or (not hooked and engine_here.asks_cdi_first(engine)):
        return  # container-engine-not-restarted and container-cdi-vendor-not-found tell of these
    if hooked:
        # With the hook on its PATH when it started, the engine takes --gpus without a registered runtime.
        severity = Severity.WARNING
        message = (
            "the NVIDIA Container Toolkit is installed, and the engine knows no runtime of it:"
            " --gpus works only if the engine was started after the toolkit was installed"
        )
    else:
        severity = Severity.ERROR
        message = "the NVIDIA Container Toolkit is installed, and the engine knows neither a runtime nor a device of it"
    yield Finding(
        severity=severity,
        message=message,
        evidence=(
            Evidence(source="docker info: Runtimes", value=", ".join(known(engine.runtimes)) or "none"),
            Evidence(source=f"cat {daemon.path}", value=", ".join(daemon.runtimes) or "names no runtime"),
            Evidence(
                source="which nvidia-ctk nvidia-container-runtime-hook", value=", ".join(known(engine.toolkit_binaries))
            ),
        ),
        fix=Fix(text=MENDED_BY, commands=engine_here.register(case), needs_root=True, url=TOOLKIT_GUIDE),
    )
