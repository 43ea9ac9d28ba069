"""The plan as a recipe for enroot: a script that imports the image, starts it and removes the container.

https://github.com/NVIDIA/enroot/tree/master/doc (2026-11): cmd/import.md, cmd/start.md, image-format.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.errors import InputError
from gpudoctor.export.apptainer import notes as notes_of_host
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
from gpudoctor.reference import parse

# enroot keeps variables in a file, one a line, and takes a pair of quotes around a value for its own.
_ALTERED = re.compile(r"[\r\n]|\A[\"'].*[\"']\s*\Z", re.DOTALL)


def spell(plan: LaunchPlan, title: str) -> Spelled:
    """A script for bash, which enroot itself is written in."""
    notes = (*notes_of_host(plan), *_notes(plan))
    body = [
        f"image={_file(plan)}",
        f"name={line((plan.name or SERVICE,))}-$$",
        "",
        "# Fetched once; the file is the whole image.",
        '[ -e "$image" ] || enroot import --output "$image" -- ' + line((f"docker://{enroot_image(plan)}",)),
        'enroot create --name "$name" -- "$image"',
        """trap 'enroot remove --force -- "$name"' EXIT""",
        *LIMITS,
    ]
    if cache_in_home(plan):
        body.append(f"mkdir -p {home_cache(plan)}")
    body.append(lines(_start(plan)))
    head = "#!/usr/bin/env bash\n" + comments((title, *notes)) + "set -euo pipefail\n\n"
    return Spelled(text=head + "\n".join(body) + "\n", notes=notes)


# As NVIDIA asks for; what the system forbids is said, and is no reason to stop.
LIMITS = (
    'ulimit -l unlimited 2>/dev/null || echo "locked memory stays limited to $(ulimit -l) kB" >&2',
    'ulimit -s 65536 2>/dev/null || echo "the stack stays limited to $(ulimit -s) kB" >&2',
)


def _file(plan: LaunchPlan) -> str:
    reference = parse(plan.image)
    version = plan.digest.partition(":")[2][:12] if plan.digest else reference.tag
    return line((f"{reference.repository.replace('/', '+')}+{version}.sqsh",))


def _start(plan: LaunchPlan) -> Iterator[tuple[Word, ...]]:
    # The file system can be written to, as under Docker: NVIDIA's start-up scripts do.
    yield ("enroot", "start", "--rw")
    hook = _hook_variables(plan)
    inside: list[str] = []
    for name, value in (*hook, *(one for one in plan.whole_environment if one not in hook)):
        if value is None:
            yield ("--env", name)
        elif _ALTERED.search(value):
            inside.append(f"{name}={value}")
        else:
            yield ("--env", f"{name}={value}")
    for one in plan.folders:
        yield ("--mount", mount(one, blanks=False))
    if cache_in_home(plan):
        yield ("--mount", Raw(f"{home_cache(plan)}:{CACHE_PATH}:none:x-create=auto,rbind,rw"))
    yield ("--", Raw('"$name"'), *_command(plan, inside))


def _hook_variables(plan: LaunchPlan) -> tuple[tuple[str, str | None], ...]:
    """What enroot's hook for NVIDIA goes by; images that are not NVIDIA's do not set it themselves."""
    if plan.cpu_only:
        return (("NVIDIA_VISIBLE_DEVICES", "void"),)
    devices = "all" if plan.gpus is None else ",".join(plan.gpus)
    ours = (("NVIDIA_VISIBLE_DEVICES", devices), ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"))
    named = {name for name, _ in plan.environment}
    return tuple(one for one in ours if one[0] not in named)


def _command(plan: LaunchPlan, variables: list[str]) -> Iterator[str]:
    """The command, behind what enroot has no option for."""
    if (variables or plan.workdir) and not plan.command:
        # The image's own command is not known here, and these two need one to stand in front of.
        raise InputError("--workdir and such a value of --env need a command under enroot", "name one after --")
    if plan.workdir:
        yield from ("sh", "-c", 'cd "$0" && exec "$@"', plan.workdir)
    if variables:
        yield from ("env", *variables)
    yield from plan.command


def mount(one: Mount, *, blanks: bool) -> str:
    """SOURCE:TARGET:none:OPTIONS: the fields of fstab(5), which cannot be told from a blank or a colon in a path."""
    for path in (one.source, one.target):
        if ":" in path or "\\" in path or (not blanks and any(letter.isspace() for letter in path)):
            message = f"--mount: enroot has no way to say {path!r}: blanks, colons and backslashes end or change a path"
            raise InputError(message, "mount a folder above it, or give it another name")
    return f"{one.source}:{one.target}:none:x-create=auto,rbind,{'ro' if one.read_only else 'rw'}"


def _notes(plan: LaunchPlan) -> Iterator[str]:
    if plan.digest:
        yield "importing by digest wants an enroot that knows digests: older ones take tags alone"
