"""The batch scripts on a real Slurm; pyxis and Apptainer are not to be had, and stand-ins note how they are called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpudoctor.export import slurm
from gpudoctor.export.spellers import SLURM_RUNTIMES, Speller
from gpudoctor.plan import LaunchPlan, Mount
from tests.export import SOME, StandIns
from tests.real.slurm import GPUS, Slurm

PLAN = LaunchPlan(
    image=SOME.image,
    command=("python", "-c", "print('a b')", "", "$HOME", "a\nb", "*", "é"),
    gpus=None,
    gpu_count=2,
    name="train-1",
    mounts=(Mount(source="/data", target="/data", read_only=True),),
    environment=(("A", "it's $HOME"), ("X_TOKEN", None)),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    with Slurm() as running:
        yield running


@pytest.mark.parametrize("runtime", SLURM_RUNTIMES)
def test_sbatch_takes_the_script(cluster: Slurm, tmp_path: Path, runtime: str) -> None:
    spell: Speller = SLURM_RUNTIMES[runtime]
    script = tmp_path / "job.sh"
    script.write_text(spell(PLAN, "a title").text)
    done = cluster.run(("sbatch", "--test-only", str(script)))
    assert done.returncode == 0, done.stderr
    assert "to start at" in done.stderr


def test_sbatch_reads_the_number_of_gpus(cluster: Slurm, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(slurm.spell(replace(PLAN, gpu_count=GPUS + 1), "").text)
    done = cluster.run(("sbatch", "--test-only", str(script)))
    assert done.returncode != 0
    assert "node configuration is not available" in done.stderr


def test_a_job_hands_every_word_on_and_the_gpus_that_slurm_chose(cluster: Slurm, tmp_path: Path) -> None:
    """Real sbatch, srun and slurmd; apptainer is a stand-in that notes how it was called."""
    stand_ins = StandIns(tmp_path, "apptainer")
    script = tmp_path / "job.sh"
    script.write_text(slurm.spell_apptainer(PLAN, "a title").text)
    path = f"{tmp_path / 'programs'}:{cluster.environment['PATH']}"
    output = tmp_path / "output"
    command = ("sbatch", "--wait", f"--output={output}", str(script))
    done = cluster.run(command, PATH=path, X_TOKEN="from outside", HOME=str(tmp_path))
    assert done.returncode == 0, (done.stderr, output.read_text() if output.exists() else "")
    ((words, environment),) = [json.loads(line) for line in stand_ins.log.read_text().splitlines()]
    assert tuple(words[-len(PLAN.command) :]) == PLAN.command
    assert words[-len(PLAN.command) - 1] == f"docker://{PLAN.image}"
    assert environment["APPTAINERENV_A"] == "it's $HOME"
    assert environment["APPTAINERENV_X_TOKEN"] == "from outside"
    assert environment["APPTAINERENV_CUDA_VISIBLE_DEVICES"] == "0,1"
    assert environment["SLURM_JOB_NAME"] == "train-1"


def test_a_job_whose_command_fails_fails(cluster: Slurm, tmp_path: Path) -> None:
    StandIns(tmp_path, "apptainer")
    (tmp_path / "programs" / "apptainer").write_text("#!/bin/sh\nexit 7\n")
    script = tmp_path / "job.sh"
    script.write_text(slurm.spell_apptainer(replace(PLAN, environment=()), "").text)
    path = f"{tmp_path / 'programs'}:{cluster.environment['PATH']}"
    done = cluster.run(("sbatch", "--wait", f"--output={tmp_path / 'output'}", str(script)), PATH=path)
    assert done.returncode == 7
