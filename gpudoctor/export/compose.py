"""The plan as a Compose file, for Compose 1.28 (`docker-compose`) and newer (`docker compose`).

https://docs.docker.com/reference/compose-file/ (2026-11)
"""

from __future__ import annotations

from typing import Any

from gpudoctor.export import yaml_text
from gpudoctor.export.spelling import SERVICE, Spelled, comments
from gpudoctor.plan import CACHE_PATH, STACK_BYTES, UNLIMITED, LaunchPlan, Port


def spell(plan: LaunchPlan, title: str) -> Spelled:
    """One service; `docker compose run` starts it with a terminal, `up` without."""
    document: dict[str, Any] = {"services": {plan.name or SERVICE: _service(plan)}}
    if plan.cache and not plan.cache_is_folder:
        document["volumes"] = {plan.cache: {"name": plan.cache}}
    start = f"start it: docker compose run --rm {plan.name or SERVICE}"
    return Spelled(text=comments((title, start)) + yaml_text.dump(_escaped(document)))


def _service(plan: LaunchPlan) -> dict[str, Any]:
    service: dict[str, Any] = {
        "image": plan.pinned_image,
        "command": list(plan.command),
        "container_name": plan.name,
        "user": plan.user,
        "working_dir": plan.workdir,
        "environment": dict(plan.whole_environment),
        "volumes": _volumes(plan),
        "ports": [_port(port) for port in plan.ports],
        "labels": dict(plan.labels),
        "stdin_open": plan.interactive,
        "tty": plan.tty,
    }
    wanted = {key: value for key, value in service.items() if value}  # nothing asked for, nothing said
    wanted |= {"ipc": "host"} if plan.host_ipc else {"shm_size": f"{plan.shm_bytes}b"}
    wanted["ulimits"] = {"memlock": UNLIMITED, "stack": STACK_BYTES} if plan.memlock else {"stack": STACK_BYTES}
    wanted["security_opt"] = ["no-new-privileges:true"]
    if not plan.cpu_only:
        wanted["deploy"] = {"resources": {"reservations": {"devices": [_device(plan.gpus)]}}}
    return wanted


def _volumes(plan: LaunchPlan) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"type": "bind", "source": one.source, "target": one.target, "read_only": one.read_only} for one in plan.folders
    ]
    if plan.cache and not plan.cache_is_folder:
        volumes.append({"type": "volume", "source": plan.cache, "target": CACHE_PATH})
    return volumes


def _port(port: Port) -> str:
    address = f"{port.address}:" if port.address else ""
    return f"{address}{port.host}:{port.container}/{port.protocol}"


def _device(gpus: tuple[str, ...] | None) -> dict[str, Any]:
    which: dict[str, Any] = {"count": "all"} if gpus is None else {"device_ids": list(gpus)}
    return {"driver": "nvidia", **which, "capabilities": ["gpu"]}


def _escaped(value: Any) -> Any:
    """Compose puts variables in the place of $NAME in every value; two dollars are one."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value
