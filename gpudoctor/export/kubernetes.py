"""The plan as a Kubernetes Job.

https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/ (2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gpudoctor.errors import InputError
from gpudoctor.export import yaml_text
from gpudoctor.export.spelling import SERVICE, Spelled, comments
from gpudoctor.plan import CACHE_PATH, LaunchPlan

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,51}[a-z0-9])?", re.ASCII)
_USER = re.compile(r"([0-9]+)(?::([0-9]+))?", re.ASCII)

_CACHE_SIZE = "5Gi"


def spell(plan: LaunchPlan, title: str) -> Spelled:
    """A Job that is tried once, and the claim of a volume where compiled PTX is kept."""
    name = (plan.name or SERVICE).lower().replace("_", "-").replace(".", "-")
    if not _NAME.fullmatch(name):
        message = f"--name {plan.name}: Kubernetes takes small letters, digits and -, 53 at most"
        raise InputError(message, "name the Job otherwise")
    notes = tuple(_notes(plan, name))
    documents = [_job(plan, name)]
    if plan.cache and not plan.cache_is_folder:
        documents.append(_claim(_claim_name(plan)))
    text = "---\n".join(yaml_text.dump(one) for one in documents)
    return Spelled(text=comments((title, *notes)) + text, notes=notes)


def _job(plan: LaunchPlan, name: str) -> dict[str, Any]:
    pod: dict[str, Any] = {"restartPolicy": "Never", "containers": [_container(plan, name)], "volumes": _volumes(plan)}
    if context := _security(plan):
        pod["securityContext"] = context
    metadata: dict[str, Any] = {"name": name}
    if plan.labels:
        # Labels of Kubernetes hold little else than names; annotations hold any text.
        metadata["annotations"] = dict(plan.labels)
    # A GPU job that fails is worth a look before it is worth another try.
    spec = {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": name}}, "spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _container(plan: LaunchPlan, name: str) -> dict[str, Any]:
    container: dict[str, Any] = {"name": name, "image": plan.pinned_image}
    if plan.command:
        # Arguments, not the command: the image's entry point runs first, as under Docker.
        container["args"] = [_unexpanded(word) for word in plan.command]
    if plan.workdir:
        container["workingDir"] = plan.workdir
    if plan.whole_environment:
        container["env"] = [_variable(name, variable, value) for variable, value in plan.whole_environment]
    if plan.ports:
        container["ports"] = [{"containerPort": one.container, "protocol": one.protocol.upper()} for one in plan.ports]
    if plan.interactive and plan.tty:
        container |= {"stdin": True, "tty": True}
    if not plan.cpu_only:
        container["resources"] = {"limits": {"nvidia.com/gpu": plan.gpu_count}}
    container["securityContext"] = {"allowPrivilegeEscalation": False}
    container["volumeMounts"] = _mounts(plan)
    return container


def _variable(job: str, name: str, value: str | None) -> dict[str, Any]:
    if value is not None:
        return {"name": name, "value": _unexpanded(value)}
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": _secret(job), "key": name}}}


def _secret(job: str) -> str:
    return f"{job}-environment"


def _unexpanded(text: str) -> str:
    """Kubernetes puts variables in the place of $(NAME), and takes two dollars for one."""
    return text.replace("$", "$$")


def _mounts(plan: LaunchPlan) -> list[dict[str, Any]]:
    mounts: list[dict[str, Any]] = [{"name": "shm", "mountPath": "/dev/shm"}]
    for number, one in enumerate(plan.folders):
        mounts.append({"name": f"mount-{number}", "mountPath": one.target, "readOnly": one.read_only})
    if plan.cache and not plan.cache_is_folder:
        mounts.append({"name": "cuda-cache", "mountPath": CACHE_PATH})
    return mounts


def _volumes(plan: LaunchPlan) -> list[dict[str, Any]]:
    # The 64 MiB that a pod has otherwise are too few, and the host's own are for the privileged.
    size = f"{-(-plan.shm_bytes >> 20)}Mi"
    volumes: list[dict[str, Any]] = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}}]
    for number, one in enumerate(plan.folders):
        volumes.append({"name": f"mount-{number}", "hostPath": {"path": one.source}})
    if plan.cache and not plan.cache_is_folder:
        volumes.append({"name": "cuda-cache", "persistentVolumeClaim": {"claimName": _claim_name(plan)}})
    return volumes


def _claim_name(plan: LaunchPlan) -> str:
    name = plan.cache.lower().replace("_", "-").replace(".", "-")
    if not _NAME.fullmatch(name):
        raise InputError(f"--cache {plan.cache}: Kubernetes takes small letters, digits and -, 53 at most", "")
    return name


def _claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": _CACHE_SIZE}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _security(plan: LaunchPlan) -> dict[str, Any]:
    if not plan.user:
        return {}
    found = _USER.fullmatch(plan.user)
    if found is None:
        raise InputError(f"--user {plan.user}: Kubernetes takes users by number", "as in --user 1000:1000")
    uid, gid = int(found[1]), int(found[2] or found[1])
    # The group owns the volume of the cache, so that the user may write there.
    return {"runAsUser": uid, "runAsGroup": gid, "fsGroup": gid}


def _notes(plan: LaunchPlan, name: str) -> Iterator[str]:
    if plan.gpus:
        yield "Kubernetes hands out GPUs by number: which ones is its own choice"
        if any(gpu.startswith("MIG-") for gpu in plan.gpus):
            yield "MIG instances may go by a name of their own, nvidia.com/mig-…: kubectl describe node tells"
    if plan.mounts or plan.cache_is_folder:
        yield "mounted folders are those of the node that the Job lands on, which must have them"
    if any(value is None for _, value in plan.environment):
        secret = _secret(name)
        yield f"values by name come from a secret: kubectl create secret generic {secret} --from-env-file=FILE"
    if plan.memlock:
        yield "Kubernetes sets no limits on locked memory and stack: those of the node's container runtime hold"
    for port in plan.ports:
        yield f"to reach port {port.container}: kubectl port-forward job/{name} {port.host}:{port.container}"
