"""The lines for Docker and podman on the real ones: a container made by the line is the one that was asked for."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from gpudoctor.export.docker import to_shell
from gpudoctor.export.podman import spell
from gpudoctor.plan import LaunchPlan, Mount, Port, to_docker_kwargs
from tests.export import UUIDS
from tests.real.cannot import cannot
from tests.real.engine import PrivateEngine
from tests.real.folders import temporary_folder
from tests.real.mounts import unmount_below
from tests.real.packages import need_commands
from tests.real.registry import LocalRegistry
from tests.real.tensorflow_image import TINY, TINY_TAGS

ODD = ("echo", "it's", '"', "$HOME", "a\nb", "\\", "日本", "", "*", "--rm")

# What the engine notes of a container that the line and the arguments for docker-py must agree on.
HOST = ("IpcMode", "ShmSize", "Ulimits", "SecurityOpt", "Mounts", "PortBindings", "DeviceRequests", "Privileged")
INSIDE = ("User", "WorkingDir", "Env", "Cmd", "Image", "Tty", "OpenStdin")


@pytest.fixture
def wished(registry: LocalRegistry, tmp_path: Path) -> LaunchPlan:
    """Everything at once, on the tiny image."""
    folder = tmp_path / 'a, "b":c $x'
    folder.mkdir()
    return LaunchPlan(
        image=registry.reference(TINY, TINY_TAGS[0].name),
        command=ODD,
        gpus=UUIDS,
        mounts=(
            Mount(source=str(folder), target='/x, "y":z', read_only=True),
            Mount(source=str(tmp_path), target="/plain"),
        ),
        environment=(("A", 'it\'s "$x"\n'), ("X_TOKEN", None)),
        user="1000:1000",
        workdir="/plain",
        ports=(Port(container=8888, host=18888, address="127.0.0.1"), Port(container=53, host=1053, protocol="udp")),
        labels=(("project", "a $b"),),
        interactive=True,
    )


def plain(value: Any) -> Any:
    """An empty list is as good as none, and order does not count in sets of limits."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "Soft" in one for one in value):
        return sorted(value, key=lambda one: str(one["Name"]))
    if isinstance(value, list):
        return [plain(one) for one in value] or None
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner not in (None, "", [], {}, False, 0)} or None
    return value or None


def noted(container: Any) -> dict[str, Any]:
    attrs = container.attrs
    found = {key: plain(attrs["HostConfig"].get(key)) for key in HOST}
    inside = {key: plain(attrs["Config"].get(key)) for key in INSIDE}
    return {**found, **inside, "Env": sorted(inside["Env"])}  # docker's command line sorts them its own way


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"host_ipc": False, "shm_bytes": 2 << 30, "gpus": None},
        {"gpus": (), "cache": "gpudoctor-test-cache", "user": ""},
    ],
    ids=["chosen GPUs", "own shared memory", "CPU and a volume"],
)
def test_dockers_line_makes_the_container_that_docker_py_makes(
    gpu_engine: PrivateEngine, wished: LaunchPlan, wish: dict[str, Any]
) -> None:
    program = str(need_commands("docker")["docker"])
    plan = replace(wished, **wish)
    line = to_shell(replace(plan, name="by-line")).replace("docker run --rm", f"{program} create", 1)
    environment = {"PATH": os.defpath, "HOME": "/nowhere", "DOCKER_HOST": gpu_engine.docker_host, "X_TOKEN": "passed"}
    with contextlib.closing(docker.DockerClient(base_url=gpu_engine.docker_host)) as client:
        client.images.pull(plan.image)
        try:
            done = subprocess.run(("sh", "-c", line), env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            by_line = noted(client.containers.get("by-line"))
            made = client.containers.create(**to_docker_kwargs(replace(plan, name="by-kwargs"), {"X_TOKEN": "passed"}))
            made.reload()
            by_kwargs = noted(made)
            assert by_line == by_kwargs
            assert tuple(by_line["Cmd"]) == tuple(word or None for word in ODD)
            assert "X_TOKEN=passed" in by_line["Env"]
            # No sweep of ours may take what others started for one of ours.
            assert "gpudoctor" not in client.containers.get("by-line").labels
            assert made.labels["gpudoctor"] == "run"
        finally:
            for name in ("by-line", "by-kwargs"):
                with contextlib.suppress(docker.errors.NotFound):
                    client.containers.get(name).remove(force=True)
            with contextlib.suppress(docker.errors.NotFound):
                client.volumes.get("gpudoctor-test-cache").remove()


@pytest.fixture
def podman() -> Iterator[tuple[str, ...]]:
    """podman with storage of its own."""
    program = str(need_commands("podman")["podman"])
    if os.geteuid() != 0:
        cannot("podman with storage of its own needs root here")
    folder = temporary_folder("podman")
    options = ("--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs")
    command = (program, *options, "--cgroup-manager", "cgroupfs")
    try:
        yield command
    finally:
        subprocess.run((*command, "rm", "--all", "--force"), capture_output=True, check=False)
        unmount_below(folder)
        shutil.rmtree(folder)


def test_podmans_line_makes_the_container_that_was_asked_for(
    podman: tuple[str, ...], registry: LocalRegistry, wished: LaunchPlan
) -> None:
    """Without GPUs: podman takes those from a CDI specification, which belongs to the whole machine."""
    pulled = subprocess.run((*podman, "pull", "--tls-verify=false", wished.image), capture_output=True, text=True)
    assert pulled.returncode == 0, pulled.stderr
    script = """printf '%s\\0' "$@" "$A" "$X_TOKEN" "$(id -u):$(id -g)" "$PWD" "$(ls -d /x*)" \
        "$(readlink /proc/self/ns/ipc)" "$(grep -c 'stack size *67108864 *67108864' /proc/self/limits)" """
    command = ("sh", "-c", script, "sh", *ODD)
    # A network would be made on the machine, and so would its rules. As root, podman raises two limits of its own
    # accord, which some kernels refuse.
    plan = replace(wished, command=command, gpus=(), ports=(), memlock=False)
    program = " ".join((*podman, "run", "--network=none", "--ulimit=nofile=512:512", "--ulimit=nproc=512:512", "--rm"))
    line = spell(plan, "").text.replace("podman run --rm", program, 1)
    environment = {"PATH": os.environ["PATH"], "HOME": "/root", "X_TOKEN": "passed"}
    done = subprocess.run(
        ("sh", "-c", line), env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    *words, value, by_name, user, folder, mounted, ipc, limited, _ = done.stdout.decode().split("\0")
    assert tuple(words) == ODD
    assert value == 'it\'s "$x"\n'
    assert (by_name, user, folder) == ("passed", "1000:1000", "/plain")
    assert mounted == '/x, "y":z'
    assert ipc == str(Path("/proc/self/ns/ipc").readlink())
    assert limited == "1"
