"""The plan as an `apptainer run` line, for Apptainer 1.1 and newer.

https://apptainer.org/docs/user/latest/ (2026-11): gpu.html for --nv, bind_paths_and_mounts.html for --mount,
environment_and_metadata.html for APPTAINERENV_ and --no-eval.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from gpudoctor.errors import InputError
from gpudoctor.export.spelling import (
    Raw,
    Spelled,
    Word,
    by_digest,
    cache_in_home,
    csv_field,
    home_cache,
    line,
    notes_of_host_network,
)
from gpudoctor.plan import CACHE_PATH, WITHOUT_GPUS, LaunchPlan

PREFIX = "APPTAINERENV_"
"""--env takes several variables between commas, and so not every value; this way does."""


def spell(plan: LaunchPlan, _title: str) -> Spelled:
    """One line for a POSIX shell."""
    words: list[Word] = [Raw(f"{PREFIX}{name}={value}") for name, value in environment(plan)]
    for group in command(plan):
        words.extend(group)
    text = line(words)
    if cache_in_home(plan):
        text = f"mkdir -p {home_cache(plan)} && {text}"
    return Spelled(text=text, notes=notes(plan))


def environment(plan: LaunchPlan, *, devices: bool = True) -> Iterator[tuple[str, str]]:
    """Names, and values as words of a shell; `devices` says which GPUs, where no scheduler does."""
    for name, value in plan.whole_environment:
        if (name, value) not in WITHOUT_GPUS:  # nothing there reads it: without --nv there is no GPU
            # Unset, it stops the shell with its name.
            yield name, shlex.quote(value) if value is not None else f'"${{{name}?}}"'
    if devices and plan.gpus and "CUDA_VISIBLE_DEVICES" not in dict(plan.environment):
        yield "CUDA_VISIBLE_DEVICES", shlex.quote(",".join(plan.gpus))


def command(plan: LaunchPlan) -> Iterator[tuple[Word, ...]]:
    """The words in groups that belong together.

    The environment and the home folder of the host stay outside, or Python finds packages there that are none of the
    image's; --no-eval keeps a shell from reading the arguments once more.
    """
    yield ("apptainer", "run", "--cleanenv", "--no-eval", "--no-home", "--writable-tmpfs")
    if not plan.cpu_only:
        yield ("--nv",)
    for one in plan.folders:
        fields = ["type=bind", csv_field(f"source={one.source}"), csv_field(f"destination={one.target}")]
        yield ("--mount", ",".join([*fields, "ro"] if one.read_only else fields))
    if cache_in_home(plan):
        yield ("--mount", Raw(f"type=bind,source={home_cache(plan)},destination={CACHE_PATH}"))
    if plan.workdir:
        yield ("--pwd", plan.workdir)
    yield (f"docker://{by_digest(plan)}", *plan.command)


def notes(plan: LaunchPlan) -> tuple[str, ...]:
    """What is left to the host."""
    for one in plan.ports:
        if one.host != one.container:
            message = f"--port {one.host}:{one.container}: the container has the host's network, and nothing maps ports"
            raise InputError(message, "have the program listen where it is to be reached")
    return notes_of_host_network(plan)
