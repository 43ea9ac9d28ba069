"""`gpudoctor export` from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from gpudoctor.export.spellers import SPELLERS
from tests.cli import assert_one_line, gpudoctor
from tests.machines import Machine
from tests.real.registry import LocalRegistry
from tests.real.tensorflow_image import TINY, TINY_TAGS

A100 = ("--driver", "535.129.03", "--gpu", "A100")
IMAGE = "nvcr.io/nvidia/tensorflow:23.03-tf1-py3"


@pytest.mark.parametrize("spelling", SPELLERS)
def test_every_format_names_the_image_that_fits(spelling: str) -> None:
    ended = gpudoctor("export", spelling, "--tf", "1.15", *A100, "--", "python", "train.py")
    assert ended.code == 0, ended.err
    assert "nvidia/tensorflow:23.03-tf1-py3" in ended.out
    assert "train.py" in ended.out
    assert ended.err.splitlines()[0] == f"gpudoctor: {IMAGE}: TensorFlow 1.15.5, runs"


def test_the_line_for_docker_is_the_one_that_run_would_do() -> None:
    ended = gpudoctor("export", "docker", "--tf", "1.15", *A100, "-q", "--", "python", "-c", "print('$x')")
    assert ended.err == ""
    assert ended.out == (
        "docker run --rm --gpus all --interactive --ipc=host --ulimit memlock=-1 --ulimit stack=67108864 "
        f"--security-opt=no-new-privileges {IMAGE} python -c 'print('\"'\"'$x'\"'\"')'\n"
    )


def test_wishes_arrive_and_a_value_by_name_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    file = tmp_path / "compose.yaml"
    wishes = (
        "--mount", "/da ta:/data:ro", "--env", "A=1", "--env", "A=it's", "--env", "TOKEN", "--port", "8888",
        "--user", "1000:1000", "--workdir", "/data", "--name", "train", "--label", "a=b", "--shm-size", "8g",
    )  # fmt: skip
    ended = gpudoctor("export", "compose", "--tf", "1.15", *A100, *wishes, "--output", str(file), "--", "x")
    assert (ended.code, ended.out) == (0, "")
    assert "hunter2" not in file.read_text() + ended.err
    service = yaml.safe_load(file.read_text())["services"]["train"]
    assert service["environment"] == {"A": "it's", "TOKEN": None}
    assert service["volumes"] == [{"type": "bind", "source": "/da ta", "target": "/data", "read_only": True}]
    assert (service["shm_size"], service["user"], service["working_dir"]) == (f"{8 << 30}b", "1000:1000", "/data")


def test_no_image_that_fits_is_exit_1_and_says_why() -> None:
    message, _ = assert_one_line(
        gpudoctor("export", "slurm", "--tag", "25.02-tf2-py3", "--driver", "390.48", "--gpu", "K80"), code=1
    )
    assert message.startswith("no image with 25.02-tf2-py3 runs on this machine")
    message, _ = assert_one_line(gpudoctor("export", "docker", "--tf", "9.9", *A100), code=1)
    assert message.startswith("no such image")


@pytest.mark.parametrize(("machine", "code"), [("none", 1), ("driver-not-loaded", 3)])
def test_a_machine_without_a_readable_gpu_is_told_how_to_name_another(machine: str, code: int) -> None:
    with Machine.load(machine).stage() as stage:
        ended = stage.run("export", "slurm", "--tf", "1.15", "--", "x")
    assert (ended.returncode, ended.stdout) == (code, "")
    assert "--driver 535.129.03 --gpu A100" in ended.stderr.splitlines()[1]


def test_a_job_without_a_command_shows_its_gpus_and_others_are_a_shell() -> None:
    assert gpudoctor("export", "slurm", "--tf", "1.15", *A100).out.endswith("  -- nvidia-smi\n")
    assert "stdin" not in gpudoctor("export", "kubernetes", "--tf", "1.15", *A100).out
    assert " --interactive --tty " in gpudoctor("export", "docker", "--tf", "1.15", *A100).out


def test_the_cpu_gets_no_gpu_anywhere() -> None:
    for spelling in SPELLERS:
        out = gpudoctor("export", spelling, "--tf", "1.15", *A100, "--gpus", "none", "-q", "--", "x").out
        assert not any(word in out for word in ("--gpus", "nvidia.com/gpu", "--gres", "--nv ", "capabilities", "=all"))


def test_several_gpus_are_counted_for_schedulers_and_named_for_engines() -> None:
    two = ("--driver", "535.129.03", "--gpu", "A100", "--gpu", "A100", "--gpu", "A100")
    assert "#SBATCH --gres=gpu:3\n" in gpudoctor("export", "slurm", "--tf", "1.15", *two).out
    assert "nvidia.com/gpu: 2\n" in gpudoctor("export", "kubernetes", "--tf", "1.15", *two, "--gpus", "0,2").out
    assert "'\"device=0,2\"'" in gpudoctor("export", "docker", "--tf", "1.15", *two, "--gpus", "0,2").out


def test_gpus_of_a_probed_machine_are_named_by_uuid() -> None:
    with Machine.load("a100-450").stage() as stage:
        ended = stage.run("export", "docker", "--tag", "20.12-tf1-py3", "--gpus", "0")
    assert ended.returncode == 0, ended.stderr
    assert "'\"device=GPU-1f4bade7-562e-4ed9-85a7-9972ed9eed2b\"'" in ended.stdout


def test_an_image_that_compiles_at_its_first_use_gets_a_cache_unless_told_otherwise() -> None:
    jit = ("--tag", "21.06-tf2-py3", "--driver", "560.35.03", "--gpu", "9.0")
    assert "type=volume,source=gpudoctor-cuda-cache,target=/var/cache/cuda" in gpudoctor("export", "docker", *jit).out
    assert "cache" not in gpudoctor("export", "docker", *jit, "--cache", "none").out
    assert "source=/scratch,target=/var/cache/cuda" in gpudoctor("export", "docker", *jit, "--cache", "/scratch").out


def test_json_holds_text_and_plan_without_values() -> None:
    ended = gpudoctor("export", "docker", "--tf", "1.15", *A100, "--format", "json", "--env", "A=b", "--", "x")
    document = json.loads(ended.out)
    assert document["schema"] == "gpudoctor.export/1"
    assert document["spelling"] == "docker"
    assert document["text"].startswith("docker run ")
    assert document["plan"]["environment"] == ["A"]
    assert document["plan"]["image"] == IMAGE


def test_a_digest_that_was_named_is_kept_and_one_that_was_asked_for_is_the_registrys(registry: LocalRegistry) -> None:
    reference = registry.reference(TINY, TINY_TAGS[0].name)
    options = ("--tag", TINY_TAGS[0].name, "--registry", f"{registry.address}/tiny", *A100)
    ended = gpudoctor("export", "docker", *options, "--pin", "-q", "--", "x")
    assert ended.code == 0, ended.err
    name, _, digest = ended.out.split()[-2].partition("@")
    assert name == reference
    assert digest.startswith("sha256:")
    pinned = gpudoctor("export", "podman", "--image", f"{reference}@{digest}", *A100, "-q", "--", "x")
    assert pinned.out.split()[-2] == f"{reference.rpartition(':')[0]}@{digest}", pinned.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nomad",), "Invalid value for 'FORMAT'"),
        (("docker", "--runtime", "pyxis"), "--runtime belongs to slurm"),
        (("docker", "--mount", "a:b"), "must begin with /"),
        (("docker", "--mount", "/a:/x", "--mount", "/b:/x"), "two of them at '/x'"),
        (("docker", "--env", "A-B=hunter2"), "no name of a variable"),
        (("docker", "--cache", "c", "--user", "1000"), "a new volume belongs to root"),
        (("kubernetes", "--user", "alice"), "users by number"),
        (("slurm", "--mount", "/a b:/c"), "no way to say"),
        (("docker", "--tf", "1.15", "--tag", "x"), "name two images"),
        (("docker", "--shm-size", "much"), "--shm-size 'much'"),
        (("docker", "--workdir", "here"), "begins with /"),
        (("docker", "--output", "/nowhere/x"), "--output /nowhere/x: cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: tuple[str, ...], said: str) -> None:
    ended = gpudoctor("export", *arguments[:1], *A100, *arguments[1:], "-q")
    message, hint = assert_one_line(ended, code=2)
    assert said in message
    assert "hunter2" not in message + hint


def test_an_argument_that_is_no_text_is_refused_not_changed() -> None:
    ended = gpudoctor("export", "docker", *A100, "-q", "--", os.fsdecode(b"\xff"))
    assert "not UTF-8" in assert_one_line(ended, code=2)[0]
