"""The environment: what bears on GPUs, and nothing that is a secret."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.facts import Variable
from gpudoctor.probe.variables import variables


def test_what_cuda_tensorflow_and_schedulers_read_is_kept_by_name() -> None:
    environ = {
        "XLA_FLAGS": "--xla_gpu_cuda_data_dir=/opt/cuda",
        "CUDA_VISIBLE_DEVICES": "",
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64/stubs",
        "SLURM_JOB_ID": "77",
        "SLURM_JOB_ACCOUNT": "somebody",
        "TF_USE_LEGACY_KERAS": "1",
        "HOME": "/home/somebody",
        "PATH": "/usr/bin",
    }
    assert [one.name for one in variables(environ)] == [
        "CUDA_VISIBLE_DEVICES",
        "LD_LIBRARY_PATH",
        "SLURM_JOB_ID",
        "TF_USE_LEGACY_KERAS",
        "XLA_FLAGS",
    ]
    assert variables({"CUDA_VISIBLE_DEVICES": ""}) == (Variable(name="CUDA_VISIBLE_DEVICES", value=""),)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA_API_KEY",
        "NGC_API_KEY",
        "CUDA_token",
        "NVIDIA_SECRET",
        "TF_HTTP_PASSWORD",
        "TF_TOKEN_app_terraform_io",
        "TF_VAR_database",
        "AWS_SECRET_ACCESS_KEY",
    ],
)
def test_secrets_stay_where_they_are(name: str) -> None:
    assert variables({name: "hush"}) == ()


def test_long_values_are_cut() -> None:
    (one,) = variables({"NVIDIA_REQUIRE_CUDA": "x" * 10_000})
    assert len(one.value) == 4_096


def test_values_are_printable() -> None:
    (one,) = variables({"CUDA_HOME": "a\nb\x1b\udcff"})
    assert one.value == r"a\nb\x1b\udcff"


@given(st.dictionaries(st.text(string.ascii_uppercase + "_", max_size=30), st.text(max_size=20), max_size=30))
def test_nothing_but_the_named_ones_leaves(environ: dict[str, str]) -> None:
    for one in variables(environ):
        assert one.name in environ
        assert one.value.isprintable() or one.value == ""
        assert not any(word in one.name for word in ("KEY", "TOKEN", "SECRET", "PASSWORD"))
