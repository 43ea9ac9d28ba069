"""The spellings by the names that `gpudoctor export` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gpudoctor.export import apptainer, compose, devcontainer, docker, enroot, kubernetes, podman, slurm
from gpudoctor.export.spelling import Spelled
from gpudoctor.plan import LaunchPlan

Speller = Callable[[LaunchPlan, str], Spelled]
"""Takes the plan and one line that says what it is; raises InputError for what the tool cannot be told."""

SPELLERS: Mapping[str, Speller] = MappingProxyType(
    {
        "docker": docker.spell,
        "podman": podman.spell,
        "compose": compose.spell,
        "kubernetes": kubernetes.spell,
        "slurm": slurm.spell,
        "apptainer": apptainer.spell,
        "enroot": enroot.spell,
        "devcontainer": devcontainer.spell,
    }
)
SLURM_RUNTIMES: Mapping[str, Speller] = MappingProxyType({"pyxis": slurm.spell, "apptainer": slurm.spell_apptainer})

BATCH = ("kubernetes", "slurm")
"""Nobody sits in front of these: without a command they have nothing to do."""
