"""Enroot can give its containers GPUs.

Slurm's plugin pyxis starts containers by enroot, and enroot's hook 98-nvidia.sh gives them GPUs by the program
nvidia-container-cli, of the package libnvidia-container-tools. Where that program is missing the hook fails and the job
with it. Where the hook itself is missing, or the image sets no NVIDIA_VISIBLE_DEVICES as plain ones do not, the
container starts without a GPU and nobody says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.distributions import TOOLKIT_GUIDE, install_toolkit
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, Why, known

MENDED_BY = "install the toolkit, whose nvidia-container-cli the hook calls"
DECIDED_BY = "ls /etc/enroot/hooks.d; command -v nvidia-container-cli; echo $NVIDIA_VISIBLE_DEVICES"
LINKS = (
    "https://github.com/NVIDIA/enroot/blob/master/doc/standard-hooks.md",
    "https://github.com/NVIDIA/pyxis/issues/110",
    "https://github.com/NVIDIA/enroot/issues/205",
)
SYMPTOMS = (
    r"98-nvidia\.sh exited with return code",
    r"Command not found: nvidia-container-cli",
    r"nvidia-container-cli: .*(?:persistenced|nvidia-persistenced)",
)

_PROGRAM = "nvidia-container-cli"


def applies(case: Case) -> bool:
    """Where enroot is installed, and there is a GPU to give."""
    hook = case.facts.engine.enroot_hook
    if isinstance(hook, Unread) and hook.why is Why.ABSENT:
        return False
    return engine_here.has_gpu(case)


def check(case: Case) -> Iterator[Finding]:
    """The hook, and the program that it calls."""
    engine = case.facts.engine
    hook, binaries = known(engine.enroot_hook), known(engine.toolkit_binaries)
    if not hook:
        yield Finding(
            severity=Severity.WARNING,
            message="enroot has no hook 98-nvidia.sh: its containers start without a GPU, and nobody says so",
            evidence=(Evidence(source="ls /etc/enroot/hooks.d", value="no 98-nvidia.sh"),),
            fix=Fix(text="put the hook back: it is part of the package enroot", url=LINKS[0]),
        )
    elif _PROGRAM not in binaries:
        yield Finding(
            severity=Severity.ERROR,
            message=f"enroot's hook {hook} calls {_PROGRAM}, which is not installed: containers with GPUs do not start",
            evidence=(
                Evidence(source=f"ls {hook}", value=hook),
                Evidence(source=f"command -v {_PROGRAM}", value="nothing"),
            ),
            fix=Fix(text=MENDED_BY, commands=install_toolkit(case.facts.system), needs_root=True, url=TOOLKIT_GUIDE),
        )
