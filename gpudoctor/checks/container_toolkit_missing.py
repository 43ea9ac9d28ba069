"""The container engine can hand out NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import REGISTER_RUNTIME, TOOLKIT_GUIDE, install_toolkit
from gpudoctor.facts import Unread, known
from gpudoctor.findings import Evidence, Finding, Fix, Severity


def applies(case: Case) -> bool:
    """Where there is an engine to ask and a GPU to hand out."""
    facts = case.facts
    has_gpu = any(not isinstance(gpus, Unread) and bool(gpus) for gpus in (facts.gpus, facts.pci_gpus))
    return not isinstance(facts.engine.version, Unread) and has_gpu and not facts.system.jetson


def check(case: Case) -> Iterator[Finding]:
    """The runtime `nvidia` or an nvidia.com/gpu CDI device; else the toolkit is missing, or unknown to the engine."""
    engine = case.facts.engine
    runtimes, devices = known(engine.runtimes), known(engine.cdi_devices)
    if "nvidia" in runtimes or any(device.startswith("nvidia.com/gpu") for device in devices):
        return
    binaries = engine.toolkit_binaries
    evidence = (
        Evidence(source="docker info: Runtimes", value=", ".join(runtimes) or "none"),
        Evidence(source="docker info: Discovered Devices", value=", ".join(devices) or "none"),
        Evidence(
            source="which nvidia-ctk nvidia-container-runtime-hook",
            value=str(binaries) if isinstance(binaries, Unread) else ", ".join(binaries) or "nothing",
        ),
    )
    if not isinstance(binaries, Unread) and "nvidia-container-runtime-hook" in binaries:
        # With the hook on its PATH when it started, the engine takes --gpus without a registered runtime.
        yield Finding(
            severity=Severity.WARNING,
            message="the NVIDIA Container Toolkit is installed, and the engine knows no runtime of it:"
            " --gpus works only if the engine was started after the toolkit was installed",
            evidence=evidence,
            fix=Fix(text="register the runtime and restart the engine", commands=REGISTER_RUNTIME, needs_root=True),
        )
        return
    yield Finding(
        severity=Severity.ERROR,
        message="the NVIDIA Container Toolkit is not installed: the engine has no runtime `nvidia` and no"
        " nvidia.com/gpu device",
        evidence=evidence,
        fix=Fix(
            text="install the toolkit, register it and restart the engine",
            commands=(*install_toolkit(case.facts.system), *REGISTER_RUNTIME),
            needs_root=True,
            url=TOOLKIT_GUIDE,
        ),
    )
