"""The smoke test on real TensorFlow, on the CPU of this machine."""

import functools
import os
import re
import signal
import subprocess
from pathlib import Path

import jsonschema
import pytest

from gpudoctor import document, smoke
from gpudoctor.readings import Unread, known
from gpudoctor.smoke import OperationOutcome, SmokeOutcome, SmokeReport
from tests.real.interpreters import tensorflow_environment

# Python 2.7 has no other proof than 1.15.0.
ORDINARY = ("1.15.0", "1.15.5", "2.21.0")
VERSIONS = [*ORDINARY, *(pytest.param(version, marks=pytest.mark.long) for version in ("1.12.3", "2.3.4"))]

TIMEOUT_SECONDS = 300.0
SEED = 20261101

# The numbers of the documentation; an operation shows its first documented comparison.
DOCUMENTED = {
    "gather": "[[4, 5, 6], [7, 8, 9], [1, 2, 3]]",
    "expand-dims": "[[[2., 3.], [2., 3.], [2., 3.]]]",
    "tile": "[[1, 2, 1, 2], [3, 4, 3, 4], [5, 6, 5, 6]]",
    "gather-nd": "[4, 5, 6]",
    "batch-gather": "[[1], [5], [9]]",
    "lambda-square": "[[ 1. , 4. , 9. ], [16. , 0.25, 0. ]]",
}

SUCCESSORS = {
    ("1.12.3", "tile"): "tf.keras of this version has no K.tile: ran tf.tile",
    ("2.3.4", "batch-gather"): "tf.batch_gather is gone: ran tf.gather(batch_dims=1)",
    ("2.21.0", "batch-gather"): "tf.batch_gather is gone: ran tf.gather(batch_dims=1)",
}


@functools.cache
def full_on_cpu(version: str) -> SmokeReport:
    python = tensorflow_environment(version)
    return smoke.run_local(str(python), device="cpu", seed=SEED, timeout_seconds=TIMEOUT_SECONDS)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d*)?(?:e[-+]\d+)?", text)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_passes_on_the_cpu_with_the_documented_values(version: str) -> None:
    report = full_on_cpu(version)
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)
    assert report.tensorflow == version
    assert [operation.name for operation in report.operations] == list(smoke.OPERATIONS)
    for operation in report.operations:
        assert operation.outcome is OperationOutcome.PASSED
        assert operation.device == "CPU:0"
        assert known(operation.seconds) > 0
        if operation.name in DOCUMENTED:
            assert operation.expected == DOCUMENTED[operation.name]
            assert numbers(operation.got) == numbers(operation.expected)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_removed_function_runs_through_its_successor_which_is_named(version: str) -> None:
    for operation in full_on_cpu(version).operations:
        successor = SUCCESSORS.get((version, operation.name))
        if successor is None:
            assert ": ran " not in operation.note
        else:
            assert successor in operation.note


@pytest.mark.parametrize("version", VERSIONS)
def test_the_loss_of_fit_falls_and_the_device_of_its_products_was_read(version: str) -> None:
    [fit] = [operation for operation in full_on_cpu(version).operations if operation.name == "fit"]
    losses = numbers(fit.got)
    assert len(losses) == 5
    assert losses == pytest.approx(numbers(fit.expected), rel=1e-3)
    assert losses[-1] < losses[0]
    assert "device of every product" in fit.note


@pytest.mark.parametrize("version", VERSIONS)
def test_the_report_tells_versions_timings_and_devices(version: str) -> None:
    report = full_on_cpu(version)
    assert "CPU:0" in [device.name for device in report.devices]
    assert re.fullmatch(r"\d+\.\d+\.\d+", known(report.python))
    assert re.match(r"\d+\.\d+\.\d+", known(report.keras))
    assert re.match(r"\d+\.\d+\.\d+", known(report.numpy))
    assert 0 < known(report.timings.first_kernel_seconds) < known(report.timings.total_seconds)
    assert 0 < known(report.timings.import_seconds) < known(report.timings.total_seconds)
    if version == "1.15.5":  # a CPU build
        assert isinstance(report.built_with.cuda, Unread)
    if version == "2.21.0":
        assert known(report.built_with.cuda).startswith("12.")
        assert "sm_80" in known(report.built_with.compute_capabilities)


@pytest.mark.parametrize("version", VERSIONS)
def test_json_of_a_real_report_fits_its_schema_and_survives_the_round_trip(version: str) -> None:
    report = full_on_cpu(version)
    told = smoke.to_json(report)
    assert told["schema"] == "gpudoctor.smoke/1"
    jsonschema.Draft202012Validator(document.schema(SmokeReport)).validate(told)
    assert document.decode(SmokeReport, told) == report


def test_the_same_seed_draws_the_same_inputs_in_every_python() -> None:
    """A loss history depends on every number drawn; between NumPy's versions only the last digit may differ."""
    histories = [
        numbers(operation.expected)
        for version in ORDINARY
        for operation in full_on_cpu(version).operations
        if operation.name == "fit"
    ]
    assert len(histories) == len(ORDINARY)
    for history in histories:
        assert history == pytest.approx(histories[0], rel=1e-6)


@pytest.mark.parametrize(
    ("version", "cause"),
    [
        ("1.15.5", "this TensorFlow 1.15.5 is built without CUDA"),
        ("2.21.0", "no /dev/nvidia* device node"),
        pytest.param("1.15.0", "no /dev/nvidia* device node", marks=pytest.mark.long),
        pytest.param("1.12.3", "this TensorFlow 1.12.3 is built without CUDA", marks=pytest.mark.long),
        pytest.param("2.3.4", "no /dev/nvidia* device node", marks=pytest.mark.long),
    ],
)
def test_asking_for_a_gpu_where_there_is_none_fails_with_the_cause_and_runs_nothing(version: str, cause: str) -> None:
    if Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists():
        pytest.skip("this machine has a GPU")
    python = tensorflow_environment(version)
    report = smoke.run_local(str(python), device="gpu", level="quick", timeout_seconds=TIMEOUT_SECONDS)
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert report.error.stage == "devices"
    assert report.error.message == f"TensorFlow sees no GPU: {cause}" or cause in report.error.message
    assert any(cause.startswith("libcuda.so.1 cannot be loaded") for cause in report.error.causes)
    assert report.error.fix
    assert {operation.outcome for operation in report.operations} == {OperationOutcome.SKIPPED}
    assert all(isinstance(operation.device, Unread) for operation in report.operations)
    if version == "2.21.0":  # it has CUDA: its own log is heard as well
        assert any("cuInit" in cause for cause in report.error.causes)


def test_a_hiding_variable_is_named_as_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    python = tensorflow_environment("1.15.5")
    report = smoke.run_local(str(python), device="gpu", level="quick", timeout_seconds=TIMEOUT_SECONDS)
    assert report.error is not None
    assert any("CUDA_VISIBLE_DEVICES='-1' hides every GPU" in cause for cause in report.error.causes)


def test_only_runs_the_named_operations_and_draws_what_the_whole_test_draws() -> None:
    python = tensorflow_environment("1.15.5")
    report = smoke.run_local(
        str(python), device="cpu", only=("fit", "tile"), seed=SEED, timeout_seconds=TIMEOUT_SECONDS
    )
    assert report.outcome is SmokeOutcome.PASSED
    alone = {operation.name: operation.expected for operation in report.operations}
    whole = {operation.name: operation.expected for operation in full_on_cpu("1.15.5").operations}
    assert alone == {"tile": whole["tile"], "fit": whole["fit"]}


def test_a_stray_module_in_the_current_folder_is_not_what_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorflow.py", "random.py", "json.py"):
        (tmp_path / name).write_text("raise RuntimeError('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    python = tensorflow_environment("1.15.5")
    report = smoke.run_local(str(python), device="cpu", level="quick", timeout_seconds=TIMEOUT_SECONDS)
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)


def test_sigterm_still_gives_a_report() -> None:
    """Sent straight to the script, as a container engine does on stop."""
    python = tensorflow_environment("1.15.5")
    process = subprocess.Popen(
        [str(python), "-", *smoke.arguments("cpu", "full", (), 1)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(smoke.script())
        process.stdin.close()
        heard = b""
        while b'"stage": "import"' not in heard:
            heard += process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        heard += process.stdout.read()
    assert process.returncode == 143
    report = smoke.parse(heard)
    assert report.error is not None
    assert (report.error.stage, report.error.message) == ("import", "terminated by SIGTERM")
