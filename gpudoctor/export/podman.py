"""The plan as a `podman run` line: GPUs come by CDI, whose specification `nvidia-ctk cdi generate` writes.

https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.export.docker import engine_options
from gpudoctor.export.spelling import Spelled, by_digest, line
from gpudoctor.plan import LaunchPlan


def spell(plan: LaunchPlan, _title: str) -> Spelled:
    """One line for a POSIX shell."""
    words = ("podman", "run", "--rm", *_gpus(plan), *engine_options(plan), by_digest(plan), *plan.command)
    return Spelled(text=line(words), notes=tuple(_notes(plan)))


def _gpus(plan: LaunchPlan) -> Iterator[str]:
    if plan.cpu_only:
        return
    for device in ("all",) if plan.gpus is None else plan.gpus:
        yield from ("--device", f"nvidia.com/gpu={device}")
    # NVIDIA's page has it: SELinux keeps a confined container from the devices.
    yield "--security-opt=label=disable"


def _notes(plan: LaunchPlan) -> Iterator[str]:
    if plan.gpus:
        yield "the CDI specification must list these GPUs by that name: nvidia-ctk cdi list shows what it lists"
    if plan.user:
        yield "a podman of your own (rootless) keeps your files yours with --userns=keep-id in place of --user"
