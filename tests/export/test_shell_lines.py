"""The lines and scripts for a shell: every argument, mount and value arrives as it was asked for."""

from __future__ import annotations

import csv
import getopt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from gpudoctor.errors import InputError
from gpudoctor.export import apptainer, docker, enroot, podman, slurm
from gpudoctor.plan import CACHE_PATH, LaunchPlan, Mount, Port
from tests.export import (
    DIGEST,
    ODD,
    PLAIN_PATHS,
    SOME,
    UUIDS,
    StandIns,
    passed_on,
    plans,
    values,
)

QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

LONG_OPTIONS = {
    "docker": ["rm", "interactive", "tty", "gpus=", "device=", "ipc=", "shm-size=", "ulimit=", "security-opt=", "name=",
               "user=", "workdir=", "mount=", "publish=", "label=", "env="],
    "apptainer": ["cleanenv", "no-eval", "no-home", "writable-tmpfs", "nv", "mount=", "pwd="],
    "enroot": ["rw", "env=", "mount="],
    "srun": ["container-image=", "container-entrypoint", "no-container-mount-home", "container-writable",
             "container-mounts=", "container-workdir=", "container-env="],
}  # fmt: skip
LONG_OPTIONS["podman"] = LONG_OPTIONS["docker"]


@pytest.fixture
def stand_ins(tmp_path: Path) -> StandIns:
    return StandIns(tmp_path, "docker", "podman", "apptainer", "enroot", "srun")


def parted(tool: str, words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Options and what follows them, as the tool's own getopt parts them."""
    options, rest = getopt.getopt(list(words), "", LONG_OPTIONS[tool])
    return [(name.removeprefix("--"), value) for name, value in options], rest


def named(options: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for option, value in options if option == name]


def by_csv(text: str) -> dict[str, str]:
    """The fields of one --mount."""
    (row,) = csv.reader([text], strict=True)
    return {key: value for key, _, value in (field.partition("=") for field in row)}


def binds(mounts: Sequence[str], target: str, read_only: str) -> list[Mount]:
    found = [by_csv(text) for text in mounts]
    return [
        Mount(source=one["source"], target=one[target], read_only=read_only in one)
        for one in found
        if one["type"] == "bind"
    ]


# --- Docker and podman ---


@pytest.mark.parametrize("tool", ["docker", "podman"])
@QUICK
@given(plan=plans())
@example(plan=ODD)
def test_an_engine_gets_every_word_as_it_was_asked_for(tool: str, stand_ins: StandIns, plan: LaunchPlan) -> None:
    spell = docker.spell if tool == "docker" else podman.spell
    (call,) = stand_ins.run("sh", spell(plan, "").text, passed_on(plan))
    assert call.words[0] == "run"
    options, (image, *command) = parted(tool, call.words[1:])
    assert tuple(command) == plan.command
    assert image == (
        plan.pinned_image
        if tool == "docker" or not plan.digest
        else plan.image[: -len(":23.03-tf1-py3")] + f"@{DIGEST}"
    )
    assert binds(named(options, "mount"), "target", "readonly") == list(plan.folders)
    sent = dict(text.partition("=")[::2] for text in named(options, "env") if "=" in text)
    by_name = [text for text in named(options, "env") if "=" not in text]
    assert {**sent, **{name: call.environment[name] for name in by_name}} == values(plan)
    assert [text.partition("=")[::2] for text in named(options, "label")] == list(plan.labels)
    if tool == "docker":
        wanted = ["all"] if plan.gpus is None else [f'"device={",".join(plan.gpus)}"'] if plan.gpus else []
        assert named(options, "gpus") == wanted
    else:
        chosen = ("all",) if plan.gpus is None else plan.gpus
        assert named(options, "device") == [f"nvidia.com/gpu={one}" for one in chosen]
    assert named(options, "ulimit") == ["memlock=-1", "stack=67108864"]
    assert "no-new-privileges" in named(options, "security-opt")


def test_every_wish_is_in_the_line_of_docker(stand_ins: StandIns) -> None:
    (call,) = stand_ins.run("sh", docker.to_shell(SOME), passed_on(SOME))
    options, _ = parted("docker", call.words[1:])
    assert ("shm-size", str(8 << 30)) in options
    assert ("user", "1000:1000") in options
    assert ("workdir", "/work dir") in options
    assert ("name", "train-1") in options
    assert named(options, "publish") == ["127.0.0.1:8888:8888/tcp", "53:53/udp"]
    assert not named(options, "ipc")


def test_a_value_by_name_is_in_no_spelling() -> None:
    secret = {"X_TOKEN": "hunter2"}
    plan = LaunchPlan(image=SOME.image, command=("true",), gpus=None, environment=(("X_TOKEN", None),))
    for spell in (docker.spell, podman.spell, apptainer.spell, enroot.spell, slurm.spell, slurm.spell_apptainer):
        text = spell(plan, "").text
        assert "X_TOKEN" in text
        assert secret["X_TOKEN"] not in text


def test_the_line_for_a_report_names_variables_and_gives_no_value() -> None:
    text = docker.to_shell(replace(SOME, environment=(("TOKEN", "hunter2"),)), values=False)
    assert "--env TOKEN " in text
    assert "hunter2" not in text


# --- Apptainer ---


def assert_apptainer(plan: LaunchPlan, words: Sequence[str], environment: dict[str, str], home: str) -> None:
    assert words[:1] == ("run",)
    options, (image, *command) = parted("apptainer", words[1:])
    assert image.startswith("docker://nvcr.io/nvidia/tensorflow")
    assert image.endswith(f"@{DIGEST}" if plan.digest else ":23.03-tf1-py3")
    assert tuple(command) == plan.command
    in_home = [Mount(source=f"{home}/.cache/cuda-cache", target=CACHE_PATH)] if plan.cache == "cuda-cache" else []
    assert binds(named(options, "mount"), "destination", "ro") == [*plan.folders, *in_home]
    prefix = "APPTAINERENV_"
    inside = {name.removeprefix(prefix): value for name, value in environment.items() if name.startswith(prefix)}
    inside.pop("CUDA_VISIBLE_DEVICES", None)
    assert inside == values(plan)
    assert (("nv", "") in options) == (plan.gpus != ())
    assert ("no-eval", "") in options


@QUICK
@given(plan=plans())
@example(plan=ODD)
def test_apptainer_gets_every_word_and_value(stand_ins: StandIns, plan: LaunchPlan) -> None:
    (call,) = stand_ins.run("sh", apptainer.spell(plan, "").text, passed_on(plan))
    assert_apptainer(plan, call.words, dict(call.environment), stand_ins.environment["HOME"])
    chosen = call.environment.get("APPTAINERENV_CUDA_VISIBLE_DEVICES")
    assert chosen == (",".join(plan.gpus) if plan.gpus else None)


def test_apptainer_is_not_started_without_a_variable_that_was_named(stand_ins: StandIns, tmp_path: Path) -> None:
    plan = LaunchPlan(image=SOME.image, command=("true",), gpus=None, environment=(("X_TOKEN", None),))
    with pytest.raises(Exception, match="non-zero exit status"):
        stand_ins.run("sh", apptainer.spell(plan, "").text, {})
    assert stand_ins.log.read_text() == ""


def test_a_port_that_would_have_to_be_mapped_is_refused_where_nothing_maps() -> None:
    plan = LaunchPlan(image=SOME.image, command=(), gpus=None, ports=(Port(container=80, host=8080),))
    for spell in (apptainer.spell, enroot.spell, slurm.spell, slurm.spell_apptainer):
        with pytest.raises(InputError, match="8080:80"):
            spell(plan, "")


# --- enroot ---


def changed_by_enroot(value: str) -> bool:
    """It keeps variables in a file, one a line, and takes a pair of quotes around a value for its own."""
    trimmed = value.rstrip()
    return "\n" in value or (len(trimmed) > 1 and trimmed[0] in "'\"" and trimmed[-1] in "'\"")


@QUICK
@given(plan=plans(PLAIN_PATHS))
@example(plan=ODD)
def test_enroot_gets_every_word_and_value(stand_ins: StandIns, plan: LaunchPlan) -> None:
    for image in stand_ins.folder.glob("*.sqsh"):
        image.unlink()
    calls = stand_ins.run("bash", enroot.spell(plan, "a title\nof two lines").text, passed_on(plan))
    assert [call.words[0] for call in calls] == ["import", "create", "start", "remove"]
    assert (
        calls[0].words[-1] == f"docker://nvcr.io#nvidia/tensorflow{f'@{DIGEST}' if plan.digest else ':23.03-tf1-py3'}"
    )
    start = calls[2]
    options, (name, *command) = parted("enroot", start.words[1:])
    assert calls[1].words[2] == calls[3].words[-1] == name
    sent = dict(text.partition("=")[::2] for text in named(options, "env") if "=" in text)
    by_name = {text: start.environment[text] for text in named(options, "env") if "=" not in text}
    inside: dict[str, str] = {}
    if command[:1] == ["env"]:
        inside = dict(text.partition("=")[::2] for text in command[1 : -len(plan.command)])
        command = command[-len(plan.command) :]
    assert tuple(command) == plan.command
    assert not any(changed_by_enroot(value) for value in sent.values())
    devices = sent.pop("NVIDIA_VISIBLE_DEVICES")
    assert devices == ("all" if plan.gpus is None else ",".join(plan.gpus) or "void")
    sent.pop("NVIDIA_DRIVER_CAPABILITIES", None)
    assert {**sent, **by_name, **inside} == values(plan)
    mounts = [text.split(":") for text in named(options, "mount")]
    found = [Mount(source=one[0], target=one[1], read_only=one[3].endswith(",ro")) for one in mounts]
    if plan.cache == "cuda-cache":
        assert found.pop().source == f"{stand_ins.environment['HOME']}/.cache/cuda-cache"
    assert found == list(plan.folders)


def test_the_exit_code_of_the_command_is_that_of_the_recipe(stand_ins: StandIns) -> None:
    script = enroot.spell(LaunchPlan(image=SOME.image, command=("x",), gpus=None), "").text
    program = stand_ins.folder / "programs" / "enroot"
    program.write_text('#!/bin/sh\n[ "$1" != start ] || exit 7\n')
    with pytest.raises(Exception, match="exit status 7"):
        stand_ins.run("bash", script, {})


@pytest.mark.parametrize("path", ["/a b", "/a:b", "/a\\b", "/a,b"])
def test_a_path_that_a_tool_cannot_be_told_is_refused(path: str) -> None:
    for mount in (Mount(source=path, target="/x"), Mount(source="/x", target=path)):
        plan = LaunchPlan(image=SOME.image, command=("x",), gpus=None, mounts=(mount,))
        with pytest.raises(InputError, match="no way to say"):
            slurm.spell(plan, "")
        if "," not in path:
            with pytest.raises(InputError, match="no way to say"):
                enroot.spell(plan, "")


# --- Slurm ---


@QUICK
@given(plan=plans(PLAIN_PATHS))
@example(plan=ODD)
def test_srun_gets_every_word_and_value_for_pyxis(stand_ins: StandIns, plan: LaunchPlan) -> None:
    (call,) = stand_ins.run("bash", slurm.spell(plan, "a title\nof two lines").text, passed_on(plan))
    options, command = parted("srun", call.words)
    assert tuple(command) == plan.command
    (names,) = named(options, "container-env") or [""]
    assert {name: call.environment[name] for name in names.split(",") if name} == values(plan)
    (image,) = named(options, "container-image")
    assert image == f"nvcr.io#nvidia/tensorflow{f'@{DIGEST}' if plan.digest else ':23.03-tf1-py3'}"
    mounts = [one.split(":") for text in named(options, "container-mounts") for one in text.split(",")]
    found = [Mount(source=one[0], target=one[1], read_only=one[2] == "ro") for one in mounts]
    if plan.cache == "cuda-cache":
        assert found.pop().source == f"{stand_ins.environment['HOME']}/.cache/cuda-cache"
    assert found == list(plan.folders)


@QUICK
@given(plan=plans())
@example(plan=ODD)
def test_srun_gets_every_word_and_value_for_apptainer(stand_ins: StandIns, plan: LaunchPlan) -> None:
    (call,) = stand_ins.run("bash", slurm.spell_apptainer(plan, "").text, passed_on(plan))
    assert call.words[:2] == ("--", "apptainer")
    assert_apptainer(plan, call.words[2:], dict(call.environment), stand_ins.environment["HOME"])


def test_gpus_are_asked_for_by_number_where_a_scheduler_hands_them_out() -> None:
    plan = LaunchPlan(image=SOME.image, command=("x",), gpus=UUIDS, gpu_count=2)
    assert "#SBATCH --gres=gpu:2\n" in slurm.spell(plan, "").text
    assert "gres" not in slurm.spell(replace(plan, gpus=(), gpu_count=1), "").text


def test_a_command_that_looks_like_an_option_is_none_of_sruns_or_enroots(stand_ins: StandIns) -> None:
    plan = LaunchPlan(image=SOME.image, command=("--version",), gpus=None)
    (call,) = stand_ins.run("bash", slurm.spell(plan, "").text, {})
    assert parted("srun", call.words)[1] == ["--version"]
    start = stand_ins.run("bash", enroot.spell(plan, "").text, {})[2]
    assert parted("enroot", start.words[1:])[1][1:] == ["--version"]
