"""The way a GPU request takes: a host with GPUs by the stand-in NVML, a real engine, NVIDIA's hook by a stand-in.

The hook is called and injects nothing, so TensorFlow in the container sees no GPU: what the launcher must notice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.command import containers, environment, faults, gpudoctor_run
from tests.machines import Machine, Stage
from tests.real.engine import HookCall, PrivateEngine
from tests.real.registry import LocalRegistry
from tests.real.tensorflow_image import TENSORFLOW, BuiltImages, Tag, publish

FIRST, THIRD = "GPU-1f4bade7-562e-4ed9-85a7-9972ed9eed2b", "GPU-9c4c7b91-2f11-4809-96fd-9a502e5e4db0"


@contextlib.contextmanager
def on_machine(name: str, engine: PrivateEngine) -> Iterator[tuple[Stage, dict[str, str]]]:
    """A test machine whose engine is the real one."""
    with Machine.load(name).stage() as stage:
        yield stage, {**environment(engine.docker_host), **stage.environment, "DOCKER_HOST": engine.docker_host}
    assert containers(engine.docker_host) == []


def tiny(registry: LocalRegistry, stage: Stage, *more: str) -> tuple[str, ...]:
    return (
        *stage.arguments,
        "--tag",
        "20.12-tf1-py3",
        "--registry",
        f"{registry.address}/tiny",
        "--smoke",
        "off",
        *more,
    )


def last_call(engine: PrivateEngine, before: tuple[HookCall, ...]) -> HookCall:
    calls = engine.hook_calls()
    assert len(calls) > len(before)
    return calls[-1]


def test_all_gpus_are_asked_for_unless_told_otherwise(gpu_engine: PrivateEngine, registry: LocalRegistry) -> None:
    before = gpu_engine.hook_calls()
    with on_machine("a100-450", gpu_engine) as (stage, env):
        finished = gpudoctor_run((*tiny(registry, stage), "--", "echo", "started"), env)
    assert (finished.returncode, finished.stdout) == (0, b"started\n")
    assert last_call(gpu_engine, before).visible_devices == "all"


@pytest.mark.parametrize("chosen", ["0,2", f"{FIRST},{THIRD}"])
def test_chosen_gpus_are_asked_for_by_uuid(gpu_engine: PrivateEngine, registry: LocalRegistry, chosen: str) -> None:
    before = gpu_engine.hook_calls()
    with on_machine("a100-450", gpu_engine) as (stage, env):
        finished = gpudoctor_run((*tiny(registry, stage, "--gpus", chosen), "--", "true"), env)
        assert finished.returncode == 0, finished.stderr.decode()
        line = gpudoctor_run((*tiny(registry, stage, "--gpus", chosen, "--dry-run"), "--", "true"), env)
    assert last_call(gpu_engine, before).visible_devices == f"{FIRST},{THIRD}"
    assert f"""--gpus '"device={FIRST},{THIRD}"'""" in line.stdout.decode()


def test_a_mig_instance_is_asked_for_by_its_own_uuid_and_judged_as_its_gpu() -> None:
    machine = Machine.load("a100-450")
    assert machine.nvml is not None
    instance = THIRD.replace("GPU", "MIG")
    cut = machine.nvml.replace(f"uuid = {THIRD}\n", f"uuid = {THIRD}\nmig_mode = 1\nmax_mig_devices = 7\n")
    cut += f"\n[mig 2.0]\nuuid = {instance}\nname = NVIDIA A100-SXM4-40GB MIG 1g.5gb\nmemory_total = 4864 MiB\n"
    with dataclasses.replace(machine, nvml=cut).stage() as stage:
        chosen = ("--tag", "20.12-tf1-py3", "--gpus", f"{instance},{instance}")
        line = stage.run("run", *chosen, "--dry-run", "--", "true")
        judged = stage.run("resolve", *chosen, "--format", "json")
    assert (line.returncode, judged.returncode) == (0, 0), line.stderr
    assert f"""--gpus '"device={instance}"'""" in line.stdout
    (gpu,) = json.loads(judged.stdout)["host"]["gpus"]
    assert (gpu["gpu"], gpu["label"], gpu["compute_capability"]) == (instance, "A100-SXM4-40GB", "8.0")


def test_a_gpu_that_is_not_there_is_bad_input(gpu_engine: PrivateEngine, registry: LocalRegistry) -> None:
    with on_machine("rtx3090-455", gpu_engine) as (stage, env):
        finished = gpudoctor_run((*tiny(registry, stage, "--gpus", "3"), "--", "true"), env)
    assert finished.returncode == 2
    assert faults(finished)[0] == "gpudoctor: --gpus '3': no such GPU"


def test_none_takes_the_gpus_away_from_an_image_that_asks_for_all(
    gpu_engine: PrivateEngine, registry: LocalRegistry
) -> None:
    before = gpu_engine.hook_calls()
    with on_machine("rtx3090-455", gpu_engine) as (stage, env):
        command = ("sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES")
        finished = gpudoctor_run((*tiny(registry, stage, "--gpus", "none"), "--", *command), env)
    assert finished.stdout == b"void\n"
    assert gpu_engine.hook_calls() == before


def test_tensorflow_that_sees_no_gpu_stops_the_launch_and_says_why(
    gpu_engine: PrivateEngine, registry: LocalRegistry, images: BuiltImages
) -> None:
    tag = Tag(name="20.12-tf1-py3", cuda_version="11.1.1", cuda_driver_version="455.32")
    publish(registry, images.layers_of(TENSORFLOW), TENSORFLOW, tag)
    with on_machine("rtx3090-455", gpu_engine) as (stage, env):
        options = (*stage.arguments, "--tf", "1.15", "--registry", f"{registry.address}/nvidia")
        finished = gpudoctor_run((*options, "--", "echo", "the command ran"), env)
    assert finished.returncode == 125
    assert finished.stdout == b""
    message, hint = faults(finished)
    assert "the smoke test failed, so the command was not started: devices: " in message
    assert "gpudoctor check looks for the cause" in hint
    # 20.12 is the newest that driver 455 runs as it is.
    assert b"tensorflow:20.12-tf1-py3: TensorFlow 1.15.4, runs" in finished.stderr


def test_an_engine_without_the_toolkit_is_one_line_and_the_fix(registry: LocalRegistry, tmp_path: Path) -> None:
    with PrivateEngine() as engine, on_machine("rtx3090-455", engine) as (stage, env):
        finished = gpudoctor_run((*tiny(registry, stage), "--", "true"), env)
    assert finished.returncode == 125
    message, hint = faults(finished)
    assert "the engine cannot hand out the GPUs: could not select device driver" in message
    assert "gpudoctor check --engine" in hint


def test_a_failing_hook_is_named(gpu_engine: PrivateEngine, registry: LocalRegistry) -> None:
    gpu_engine.hook_fault.write_text("initialization error: nvml error: driver not loaded")
    try:
        with on_machine("rtx3090-455", gpu_engine) as (stage, env):
            finished = gpudoctor_run((*tiny(registry, stage), "--", "true"), env)
    finally:
        gpu_engine.hook_fault.unlink()
    assert finished.returncode == 125
    assert "nvml error: driver not loaded" in faults(finished)[0]


def test_without_a_gpu_the_launcher_does_not_fall_back_to_the_cpu(
    gpu_engine: PrivateEngine, registry: LocalRegistry
) -> None:
    with on_machine("none", gpu_engine) as (stage, env):
        finished = gpudoctor_run((*tiny(registry, stage), "--", "echo", "the command ran"), env)
    assert (finished.returncode, finished.stdout) == (125, b"")
    message, hint = faults(finished)
    assert message == "gpudoctor: this machine has no NVIDIA GPU"
    assert "--gpus none" in hint
