"""Containers keep their GPUs when systemd reloads its units.

The toolkit's hook lets a container use the GPU behind the engine's back: the engine's own list of allowed devices does
not hold it. Where systemd keeps the containers' cgroups, any `systemctl daemon-reload`, such as every package
installation brings about, writes that list anew, and running containers lose the GPU: it worked before, and now NVML
answers `Unknown Error`. A restarted container has it again. CDI tells the engine of the devices and does not suffer
from it; links in /dev/char, which newer drivers make, keep some versions of runc from it.

The same words from the very start of a container are another fault: container-no-cgroups-left-on.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, UnreadError, known

MENDED_BY = "let systemd's reloads find the devices: make their links in /dev/char, or give GPUs by CDI"
DECIDED_BY = (
    "docker info -f '{{.CgroupDriver}}'; ls -l /dev/char | grep nvidia;"
    " grep no-cgroups /etc/nvidia-container-runtime/config.toml"
)
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html",
    "https://github.com/NVIDIA/nvidia-docker/issues/1730",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/1227",
)
SYMPTOMS = (
    r"NVML: Unknown Error",
    r"nvmlInit(?:_v2|WithFlags)?\b.*(?:Unknown Error|999)",
    r"NVMLError_Unknown\b|NVML_ERROR_UNKNOWN\b",
)

CAUSED_BY = ("container-no-cgroups-left-on", "container-gpus-not-requested")

# NVML_ERROR_UNKNOWN
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_UNKNOWN = 999


def applies(case: Case) -> bool:
    """In a container; and on a host whose engine gives GPUs by the toolkit."""
    facts = case.facts
    if case.container:
        return True
    return (
        engine_here.answers(case)
        and engine_here.is_local(facts.engine)
        and engine_here.has_configuration(facts.engine)
        and not facts.system.wsl
        and not facts.system.jetson
        and case.module_version is not None
    )


def check(case: Case) -> Iterator[Finding]:
    """Inside: the nodes are there and may not be used. Outside: it would happen at the next reload."""
    yield from _inside(case) if case.container else _outside(case)


def _inside(case: Case) -> Iterator[Finding]:
    driver = case.facts.driver
    refused = next(
        (one for one in (driver.version, case.facts.gpus) if isinstance(one, Unread) and one.code == _UNKNOWN), None
    )
    if refused is None:
        for reading in (driver.version, case.facts.gpus):
            if isinstance(reading, Unread) and reading.code is None:
                raise UnreadError(reading)
        return
    if "/dev/nvidiactl" not in known(driver.device_nodes) or case.variable("NVIDIA_VISIBLE_DEVICES") == "void":
        return  # not given at all; or given by CDI, which the engine does not forget
    yield Finding(
        severity=Severity.ERROR,
        message="this container has the GPU's device nodes and may not use them: the host's systemd reloaded its units"
        " while the container ran, or, if it never worked, the host's toolkit has no-cgroups = true",
        evidence=(
            Evidence(source="nvidia-smi", value=refused.detail),
            Evidence(source="ls /dev/nvidiactl", value="/dev/nvidiactl"),
        ),
        fix=Fix(
            text="start the container anew; on the host, keep it from happening again by CDI, or by Docker's cgroup"
            " driver cgroupfs; if it never worked, look on the host for no-cgroups",
            commands=("grep no-cgroups /etc/nvidia-container-runtime/config.toml",),
            url=LINKS[0],
        ),
    )


def _outside(case: Case) -> Iterator[Finding]:
    engine = case.facts.engine
    if known(engine.cgroup_driver) != "systemd" or known(case.facts.driver.char_links):
        return
    if not engine_here.hands_out(engine) or engine_here.goes_by_cdi(engine) or engine_here.mode(engine) != "legacy":
        return
    yield Finding(
        severity=Severity.WARNING,
        message="running containers lose their GPUs at the next systemctl daemon-reload: systemd keeps their cgroups,"
        " the toolkit gives GPUs by its hook, and /dev/char has no links to NVIDIA's device nodes",
        evidence=(
            Evidence(source="docker info: Cgroup Driver", value="systemd"),
            Evidence(source="ls -l /dev/char | grep nvidia", value="nothing"),
            Evidence(source=f"grep mode {known(engine.toolkit).path}", value=known(engine.toolkit).mode or "not set"),
            Evidence(source="nvidia-ctk --version", value=known(engine.toolkit_version)),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=("sudo nvidia-ctk system create-dev-char-symlinks --create-all",),
            needs_root=True,
            url=LINKS[0],
        ),
    )
