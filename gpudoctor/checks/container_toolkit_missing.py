"""The container engine can hand out NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.distributions import REGISTER_RUNTIME, TOOLKIT_GUIDE, install_toolkit
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known


def decides(case: Case) -> bool:
    """Where containers were asked for."""
    return case.engine_asked


def applies(case: Case) -> bool:
    """Where there is an engine to ask and a GPU to hand out."""
    facts = case.facts
    if isinstance(facts.engine.version, Unread) or facts.system.jetson:
        return False
    return bool(case.listed_gpus or known(facts.pci_gpus))


def check(case: Case) -> Iterator[Finding]:
    """The runtime `nvidia` or an nvidia.com/gpu CDI device; else the toolkit is missing, or unknown to the engine."""
    engine = case.facts.engine
    runtimes, devices = known(engine.runtimes), known(engine.cdi_devices)
    if "nvidia" in runtimes or any(device.startswith("nvidia.com/gpu") for device in devices):
        return
    binaries = known(engine.toolkit_binaries)
    evidence = (
        Evidence(source="docker info: Runtimes", value=", ".join(runtimes) or "none"),
        Evidence(source="docker info: Discovered Devices", value=", ".join(devices) or "none"),
        Evidence(source="which nvidia-ctk nvidia-container-runtime-hook", value=", ".join(binaries) or "nothing"),
    )
    register = Fix(text="register the runtime and restart the engine", commands=REGISTER_RUNTIME, needs_root=True)
    install = Fix(
        text="install the toolkit, register it and restart the engine",
        commands=(*install_toolkit(case.facts.system), *REGISTER_RUNTIME),
        needs_root=True,
        url=TOOLKIT_GUIDE,
    )
    if "nvidia-container-runtime-hook" in binaries:
        # With the hook on its PATH when it started, the engine takes --gpus without a registered runtime.
        message = (
            "the NVIDIA Container Toolkit is installed, and the engine knows no runtime of it:"
            " --gpus works only if the engine was started after the toolkit was installed"
        )
        yield Finding(severity=Severity.WARNING, message=message, evidence=evidence, fix=register)
    elif "nvidia-ctk" in binaries:
        message = "the NVIDIA Container Toolkit is installed, and the engine knows neither a runtime nor a device of it"
        yield Finding(severity=Severity.ERROR, message=message, evidence=evidence, fix=register)
    else:
        message = (
            "the NVIDIA Container Toolkit is not installed: the engine has no runtime `nvidia` and no"
            " nvidia.com/gpu device"
        )
        yield Finding(severity=Severity.ERROR, message=message, evidence=evidence, fix=install)
