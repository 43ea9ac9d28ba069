"""The GPUs of an NVSwitch board are registered with their fabric.

On HGX and DGX boards with NVSwitches, and on NVL racks, CUDA does not start before Fabric Manager has set the fabric
up: cuInit fails with error 802, `system not yet initialized`, though nvidia-smi lists every GPU. Fabric Manager must
be of exactly the driver's version, so it stays behind when only the driver was upgraded. From B200 on the NVSwitches
are reached through network bridges and not PCI: there it needs NVLSM, the NVLink Subnet Manager, beside it, and gives
up with NV_WARN_NOTHING_TO_DO without.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import gpu_fixes
from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Reading, Unread, Why, known

CAUSED_BY = (
    *gpu_fixes.SILENCED_BY,
    "cuda-mps-unreachable",
    "cuda-stale-compat-on-newer-driver",
    "cuda-stub-library-loaded",
)

MENDED_BY = "install the Fabric Manager of the driver's own version and start it"
DECIDED_BY = "systemctl status nvidia-fabricmanager; nvidia-smi -q | grep -A 3 Fabric"
LINKS = (
    "https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html",
    "https://github.com/pytorch/pytorch/issues/35710",
    "https://github.com/aws-samples/aws-deep-learning-ami-ubuntu-dcv-desktop/issues/33",
)
SYMPTOMS = (
    r"system not yet initialized",
    r"CUDA_ERROR_SYSTEM_NOT_READY",
    r"cudaErrorSystemNotReady",
    r"error 802\b",
    r"Fabric ?Manager (is|was) not (running|started)",
    r"driver interface version .* don'?t match",
    r"NV_WARN_NOTHING_TO_DO",
)

# https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html (2026-11)
_SYSTEM_NOT_READY = 802
_DAEMON = "nv-fabricmanager"
_WAITING = ("not_started", "in_progress")


def applies(case: Case) -> bool:
    """Where there is a fabric: a GPU says so, or NVSwitches stand on the bus."""
    if case.facts.system.wsl or case.facts.system.jetson or not case.listed_gpus:
        return False
    states = [gpu.fabric_state for gpu in case.listed_gpus]
    if any(not isinstance(state, Unread) and state != "not_supported" for state in states):
        return True
    return known(case.facts.driver.nvswitches) > 0


def check(case: Case) -> Iterator[Finding]:
    """1. A GPU waits for its fabric, or CUDA does. 2. GPUs that do not tell: CUDA would not start."""
    rule = case.policy.signals["fabric-not-registered"]
    waiting = [gpu for gpu in case.listed_gpus if gpu.fabric_state in _WAITING]
    init = _init(case)
    refused = isinstance(init, Unread) and init.code == _SYSTEM_NOT_READY
    if waiting or refused:
        if rule.severity is not None:
            yield _not_ready(case, waiting, init, rule.severity, rule.limit * 60)
        return
    for gpu in case.listed_gpus:
        if gpu.mig_enabled is True:
            continue  # instances use no links
        if isinstance(gpu.fabric_state, Unread) and gpu.fabric_state.why is not Why.UNSUPPORTED:
            known(gpu.fabric_state)
        if gpu.fabric_state != "completed":
            # GPUs before Hopper say nothing of their fabric: CUDA does. In a virtual machine another one sets it up.
            known(init)


def _init(case: Case) -> Reading[bool]:
    return case.facts.cuda if isinstance(case.facts.cuda, Unread) else case.facts.cuda.init


def _not_ready(
    case: Case, waiting: list[GpuFacts], init: Reading[bool], severity: Severity, settling_seconds: float
) -> Finding:
    evidence = [
        Evidence(source="nvidia-smi -q | grep -A 3 Fabric", value=f"{gpu_fixes.named(gpu)}: {gpu.fabric_state}")
        for gpu in waiting[:2]
    ]
    refused = isinstance(init, Unread) and init.code == _SYSTEM_NOT_READY
    if isinstance(init, Unread) and refused:
        evidence.append(Evidence(source=init.source, value=init.detail))
    daemons = case.facts.system.daemons
    running = not isinstance(daemons, Unread) and _DAEMON in daemons
    uptime = known(case.facts.system.uptime_seconds) if running else settling_seconds
    if uptime < settling_seconds:
        return Finding(
            severity=severity if refused else Severity.INFO,
            message=f"the GPUs are still being registered with their fabric: the machine booted {uptime:.0f} s ago",
            evidence=tuple(evidence),
            fix=Fix(text="ask again in a few minutes"),
        )
    elsewhere = _is_elsewhere(case)
    installed = gpu_fixes.fabric_manager_version(case.facts.system)
    if not isinstance(daemons, Unread) and not case.container:
        evidence.append(Evidence(source=f"ps -e | grep {_DAEMON}", value="running" if running else "nothing"))
    if installed:
        evidence.append(Evidence(source="dpkg -l or rpm -qa", value=f"Fabric Manager {installed}"))
    count = f"{len(waiting)} of {len(case.listed_gpus)} GPUs wait" if waiting else "CUDA waits"
    why = _why(case, running=running, installed=installed, elsewhere=elsewhere)
    return Finding(
        severity=severity,
        message=f"{count} for the NVLink fabric to be set up: {why}",
        evidence=tuple(evidence),
        fix=_fix(case, running=running, elsewhere=elsewhere, installed=installed),
    )


def _is_elsewhere(case: Case) -> bool:
    """Who sets the fabric up is in the rack (GB200: its processors are Arm's), or owns this virtual machine.

    NVSwitches that are not on the bus of a machine of bare metal are those of an HGX B200 or later.
    https://docs.nvidia.com/datacenter/tesla/pdf/fabric-manager-user-guide.pdf (2026-11)
    """
    system = case.facts.system
    return case.facts.driver.nvswitches == 0 and (system.architecture == "aarch64" or system.virtual_machine != "")


def _lacks_nvlsm(case: Case) -> bool:
    packages = case.facts.system.packages
    needs = case.facts.driver.nvswitches == 0 and not isinstance(packages, Unread)
    return needs and not any(package.name == "nvlsm" for package in known(packages))


def _why(case: Case, *, running: bool, installed: str, elsewhere: bool) -> str:
    driver = case.facts.driver.kernel_module_version
    if installed and not isinstance(driver, Unread) and installed != str(driver):
        return f"Fabric Manager is {installed}, the driver {driver}"
    if running:
        return "Fabric Manager runs, and has not registered them"
    if elsewhere:
        return "no NVSwitch is on this machine's bus, so it is set up from elsewhere"
    if _lacks_nvlsm(case) and not case.container:
        return "NVLSM is not installed, without which Fabric Manager finds no NVSwitch on this board"
    if isinstance(case.facts.system.daemons, Unread) or case.container:
        return "Fabric Manager has not done it"
    return "Fabric Manager does not run"


def _fix(case: Case, *, running: bool, elsewhere: bool, installed: str) -> Fix:
    if case.container:
        return Fix(text=f"on the host, {MENDED_BY}", needs_root=True, url=LINKS[0])
    if elsewhere and not running:
        text = "look at the fabric manager of the rack, on its switch trays, or of the machine that owns the NVSwitches"
        return Fix(text=text, url=LINKS[0])
    if running:
        return Fix(
            text="read what Fabric Manager says and start it again",
            commands=(
                "sudo tail -50 /var/log/fabricmanager.log",
                *(("sudo systemctl restart nvidia-fabricmanager",) if case.facts.system.systemd is True else ()),
            ),
            needs_root=True,
            url=LINKS[0],
        )
    start = ("sudo systemctl enable --now nvidia-fabricmanager",) if case.facts.system.systemd is True else ()
    commands: tuple[str, ...] = ()
    if installed and installed == str(case.facts.driver.kernel_module_version):
        text = "start Fabric Manager, and let it start at every boot; where it gives up, read why in its log"
        start = (*start, "sudo tail -50 /var/log/fabricmanager.log")
    else:
        text, commands = MENDED_BY, gpu_fixes.install_fabric_manager(case)
    if _lacks_nvlsm(case):
        text = f"install NVLSM first; then {text}"
        commands = (*gpu_fixes.install_nvlsm(case), *commands, "sudo modprobe ib_umad")
    return Fix(text=text, commands=(*commands, *start), needs_root=True, url=LINKS[0])
