"""What is meant for a shell is read by bash and by shellcheck without a complaint."""

from __future__ import annotations

import subprocess

import pytest

from gpudoctor.export.spellers import SLURM_RUNTIMES, SPELLERS
from gpudoctor.export.spelling import Spelled
from gpudoctor.plan import LaunchPlan, Mount
from tests.export import SOME, UUIDS
from tests.real.packages import need_commands

PLAIN = LaunchPlan(
    image=SOME.image,
    command=("python", "-c", "print('$HOME')"),
    gpus=UUIDS,
    gpu_count=2,
    mounts=(Mount(source="/data", target="/data", read_only=True),),
    environment=(("A", "$x"), ("TOKEN", None)),
    cache="cuda-cache",
)
SCRIPTS = {name: SPELLERS[name] for name in ("docker", "podman", "apptainer", "enroot")} | {
    f"slurm with {name}": spell for name, spell in SLURM_RUNTIMES.items()
}


@pytest.fixture(params=SCRIPTS)
def spelled(request: pytest.FixtureRequest) -> Spelled:
    return SCRIPTS[request.param](PLAIN, "a title")


def test_bash_reads_it(spelled: Spelled) -> None:
    done = subprocess.run(("bash", "-n"), input=spelled.text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_shellcheck_has_no_complaint(spelled: Spelled) -> None:
    shellcheck = need_commands("shellcheck")["shellcheck"]
    # SC2016 asks whether a dollar between single quotes was meant: it was.
    command = (str(shellcheck), "--shell=bash", "--exclude=SC2016", "-")
    done = subprocess.run(command, input=spelled.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
