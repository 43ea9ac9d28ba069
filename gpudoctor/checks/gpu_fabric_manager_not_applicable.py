"""Fabric Manager is not installed where it has nothing to do.

Fabric Manager sets up NVSwitches. On a machine without them its service fails at every boot with
NV_WARN_NOTHING_TO_DO, which is no fault of the machine's: CUDA does not need it there.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = "nothing to mend; to be rid of the failed service, switch it off"
DECIDED_BY = "lspci -d 10de::0680; systemctl status nvidia-fabricmanager"
LINKS = (
    "https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html",
    "https://github.com/data-infra/cube-studio/issues/29",
)
SYMPTOMS = (r"NV_WARN_NOTHING_TO_DO", r"request to query NVSwitch device information .*failed")


def applies(case: Case) -> bool:
    """On a machine whose GPUs have no fabric."""
    facts = case.facts
    if facts.system.wsl or facts.system.jetson or case.container or not case.listed_gpus:
        return False
    states = [gpu.fabric_state for gpu in case.listed_gpus]
    return all(isinstance(state, Unread) or state == "not_supported" for state in states) and (
        facts.driver.nvswitches == 0
    )


def check(case: Case) -> Iterator[Finding]:
    """The program is installed; whether its service failed is all the same."""
    installed = [path for path in known(case.facts.system.programs) if path.endswith("/nv-fabricmanager")]
    if installed:
        off = ("sudo systemctl disable --now nvidia-fabricmanager",) if case.facts.system.systemd is True else ()
        yield Finding(
            severity=Severity.INFO,
            message="Fabric Manager is installed and there is no NVSwitch, so its service fails, which is no fault",
            evidence=(
                Evidence(source="command -v nv-fabricmanager", value=installed[0]),
                Evidence(source="lspci -d 10de::0680", value="nothing"),
            ),
            fix=Fix(text=MENDED_BY, commands=off, needs_root=bool(off)),
        )
