"""The plan as a batch script for Slurm, with pyxis (enroot inside `srun`) or with Apptainer.

https://slurm.schedmd.com/sbatch.html, https://github.com/NVIDIA/pyxis/wiki/Usage (2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.errors import InputError
from gpudoctor.export import apptainer
from gpudoctor.export.enroot import LIMITS
from gpudoctor.export.spelling import (
    SERVICE,
    Raw,
    Spelled,
    Word,
    cache_in_home,
    comments,
    enroot_image,
    home_cache,
    line,
    lines,
)
from gpudoctor.plan import CACHE_PATH, LaunchPlan, Mount

_PYXIS = "wants the pyxis plugin: srun --help then lists --container-image, --container-entrypoint, --container-env"
_OTHER = "partition, time and memory are the site's: add them here, or to the command line of sbatch"


def spell(plan: LaunchPlan, title: str) -> Spelled:
    """With pyxis."""
    notes = (_PYXIS, *_notes(plan))
    body = [*_exports(plan), *LIMITS]
    if cache_in_home(plan):
        body.append(f"mkdir -p {home_cache(plan)}")
    return Spelled(text=_script(plan, title, notes, [*body, lines(_srun(plan))]), notes=notes)


def spell_apptainer(plan: LaunchPlan, title: str) -> Spelled:
    """With Apptainer."""
    notes = _notes(plan)
    body = [f"export {apptainer.PREFIX}{name}={value}" for name, value in apptainer.environment(plan, devices=False)]
    if not plan.cpu_only:
        # Which GPUs the job has is Slurm's to say; --cleanenv would keep it outside.
        body.append(
            f'if [ -n "${{CUDA_VISIBLE_DEVICES-}}" ]; then export {apptainer.PREFIX}CUDA_VISIBLE_DEVICES='
            '"$CUDA_VISIBLE_DEVICES"; fi'
        )
    body.extend(LIMITS)
    if cache_in_home(plan):
        body.append(f"mkdir -p {home_cache(plan)}")
    groups = [("srun", "--"), *apptainer.command(plan)]
    return Spelled(text=_script(plan, title, notes, [*body, lines(groups)]), notes=notes)


def _script(plan: LaunchPlan, title: str, notes: tuple[str, ...], body: list[str]) -> str:
    # sbatch reads its options from the comments before the first command.
    options = [f"--job-name={plan.name or SERVICE}", "--nodes=1", "--ntasks=1"]
    if not plan.cpu_only:
        options.append(f"--gres=gpu:{plan.gpu_count}")
    head = "#!/usr/bin/env bash\n" + "".join(f"#SBATCH {one}\n" for one in options)
    return head + comments((title, *notes)) + "set -euo pipefail\n\n" + "\n".join(body) + "\n"


def _exports(plan: LaunchPlan) -> Iterator[str]:
    for name, value in plan.whole_environment:
        if value is None:
            # Unset, it stops the job with its name. sbatch hands on the environment it was called in.
            yield f'export {name}="${{{name}?}}"'
        else:
            yield f"export {name}={line((value,))}"


def _srun(plan: LaunchPlan) -> Iterator[tuple[Word, ...]]:
    yield ("srun", f"--container-image={enroot_image(plan)}", "--container-entrypoint", "--no-container-mount-home")
    yield ("--container-writable",)
    mounts: list[str] = [line((_mount(one),)) for one in plan.folders]
    if cache_in_home(plan):
        mounts.append(f"{home_cache(plan)}:{CACHE_PATH}:rw")
    if mounts:
        yield (Raw(f"--container-mounts={','.join(mounts)}"),)
    if plan.workdir:
        yield (f"--container-workdir={plan.workdir}",)
    if plan.whole_environment:
        names = ",".join(name for name, _ in plan.whole_environment)
        yield (f"--container-env={names}",)
    yield ("--", *plan.command)


def _mount(one: Mount) -> str:
    for path in (one.source, one.target):
        if any(letter in ":,\\" or letter.isspace() for letter in path):
            message = f"--mount: pyxis has no way to say {path!r}: blanks, colons, commas and backslashes part it"
            raise InputError(message, "mount a folder above it, give it another name, or say --runtime apptainer")
    return f"{one.source}:{one.target}:{'ro' if one.read_only else 'rw'}"


def _notes(plan: LaunchPlan) -> tuple[str, ...]:
    notes = [_OTHER, *apptainer.notes(plan)]
    if plan.gpus:
        notes.append("Slurm hands out GPUs by number: which ones is its own choice")
    return tuple(notes)
