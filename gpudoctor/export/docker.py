"""The plan as a `docker run` line."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.export.spelling import Spelled, csv_field, line
from gpudoctor.plan import CACHE_PATH, STACK_BYTES, UNLIMITED, WITHOUT_GPUS, LaunchPlan, Mount


def spell(plan: LaunchPlan, _title: str) -> Spelled:
    """One line for a POSIX shell."""
    return Spelled(text=to_shell(plan))


def to_shell(plan: LaunchPlan, *, values: bool = True) -> str:
    """The line; without `values` it has only the names of variables, for a report."""
    words = ["docker", "run", "--rm", *_gpus(plan), *engine_options(plan, values=values), plan.pinned_image]
    return line((*words, *plan.command))


def _gpus(plan: LaunchPlan) -> Iterator[str]:
    if plan.gpus is None:
        yield from ("--gpus", "all")
    elif plan.gpus:
        yield from ("--gpus", device_list(plan.gpus))


def device_list(gpus: tuple[str, ...]) -> str:
    """docker reads the value as one line of CSV: a list of devices needs quotes of its own."""
    return f'"device={",".join(gpus)}"'


def engine_options(plan: LaunchPlan, *, values: bool = True) -> Iterator[str]:
    """All that docker and podman say in the same words: everything but the GPUs."""
    if plan.interactive:
        yield "--interactive"
    if plan.tty:
        yield "--tty"
    if plan.name:
        yield from ("--name", plan.name)
    yield from limits(plan)
    yield "--security-opt=no-new-privileges"
    for wish, option in ((plan.user, "--user"), (plan.workdir, "--workdir")):
        if wish:
            yield from (option, wish)
    for mount in mounts(plan):
        yield from ("--mount", mount)
    for port in plan.ports:
        address = f"{port.address}:" if port.address else ""
        yield from ("--publish", f"{address}{port.host}:{port.container}/{port.protocol}")
    for name, text in plan.labels:
        yield from ("--label", f"{name}={text}")
    for name, value in plan.whole_environment:
        hidden = value is None or not (values or (name, value) in WITHOUT_GPUS)
        yield from ("--env", name if hidden else f"{name}={value}")


def limits(plan: LaunchPlan) -> Iterator[str]:
    """Shared memory and the limits that NVIDIA asks for."""
    yield "--ipc=host" if plan.host_ipc else f"--shm-size={plan.shm_bytes}"
    if plan.memlock:
        yield from ("--ulimit", f"memlock={UNLIMITED}")
    yield from ("--ulimit", f"stack={STACK_BYTES}")


def mounts(plan: LaunchPlan) -> Iterator[str]:
    """Values of --mount: its CSV takes any path, where --volume stops at a colon."""
    for one in plan.folders:
        yield _mount(one)
    if plan.cache and not plan.cache_is_folder:
        yield f"type=volume,source={plan.cache},target={CACHE_PATH}"


def _mount(one: Mount) -> str:
    fields = ["type=bind", csv_field(f"source={one.source}"), csv_field(f"target={one.target}")]
    return ",".join((*fields, "readonly") if one.read_only else fields)
