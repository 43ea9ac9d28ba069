"""The plan as devcontainer.json, for editors and the `devcontainer` command.

https://containers.dev/implementors/json_reference/ (2026-11)
"""

from __future__ import annotations

import json
import re
from typing import Any

from gpudoctor.errors import InputError
from gpudoctor.export import docker
from gpudoctor.export.spelling import SERVICE, Spelled
from gpudoctor.plan import LaunchPlan

# What the tools put something else in the place of, wherever it stands; there is no way to quote it.
# https://containers.dev/implementors/json_reference/#variables-in-devcontainerjson (2026-11)
_VARIABLE = re.compile(
    r"\$\{(?:env|localEnv|containerEnv|devcontainerId|(?:local|container)WorkspaceFolder(?:Basename)?)(?::[^}]*)?\}"
)


def spell(plan: LaunchPlan, _title: str) -> Spelled:
    """A container with the project's folder in it; a command, where there is one, runs at every start."""
    document: dict[str, Any] = {"name": plan.name or SERVICE, "image": plan.pinned_image}
    # hostRequirements.gpu would add all GPUs where the tool finds a runtime of NVIDIA's, and none where it does not.
    document["runArgs"] = _arguments(plan)
    if plan.whole_environment:
        document["containerEnv"] = {
            name: f"${{localEnv:{name}}}" if value is None else _verbatim(value)
            for name, value in plan.whole_environment
        }
    if plan.user:
        document["containerUser"] = plan.user
    if mounts := [_verbatim(one) for one in docker.mounts(plan)]:
        document["mounts"] = mounts
    if plan.ports:
        document["appPort"] = [_port(one.address, one.host, one.container, one.protocol) for one in plan.ports]
    if plan.command:
        # A list is started as it stands, without a shell.
        document["postStartCommand"] = _in_folder(plan.workdir, [_verbatim(word) for word in plan.command])
    notes = ("save it as .devcontainer/devcontainer.json",)
    return Spelled(text=json.dumps(document, indent=2, ensure_ascii=False) + "\n", notes=notes)


def _arguments(plan: LaunchPlan) -> list[str]:
    words = []
    if plan.gpus is None:
        words += ["--gpus", "all"]
    elif plan.gpus:
        words += ["--gpus", docker.device_list(plan.gpus)]
    if plan.name:
        words += ["--name", plan.name]
    words += [*docker.limits(plan), "--security-opt=no-new-privileges"]
    if plan.workdir:
        words += ["--workdir", _verbatim(plan.workdir)]
    for name, text in plan.labels:
        words += ["--label", _verbatim(f"{name}={text}")]
    return words


def _in_folder(folder: str, words: list[str]) -> list[str]:
    return ["sh", "-c", 'cd "$0" && exec "$@"', folder, *words] if folder else words


def _port(address: str, host: int, container: int, protocol: str) -> str:
    return (f"{address}:" if address else "") + f"{host}:{container}/{protocol}"


def _verbatim(text: str) -> str:
    found = _VARIABLE.search(text)
    if found is not None:
        message = f"{found[0][:60]}: devcontainer.json has no way to say that and not mean the variable"
        raise InputError(message, "leave it out, or set it in a script that the command calls")
    return text
