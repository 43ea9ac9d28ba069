"""The smoke test on real TensorFlow, on the CPU of this machine."""

import functools
import io
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import xmlschema

from gpudoctor import document, smoke
from gpudoctor.readings import Unread, known
from gpudoctor.render import smoke_to_junit
from gpudoctor.smoke import Operation, OperationOutcome, SmokeOutcome, SmokeReport
from tests.real.interpreters import documented_environment, tensorflow_environment
from tests.real.packages import need_commands
from tests.real.published import JUNIT

# Python 2.7 has no other proof than 1.15.0.
ORDINARY = ("1.15.0", "1.15.5", "2.21.0")
LONG = ("1.12.3", "2.3.4", "2.10.1", "2.15.1", "2.17.1")
VERSIONS = [*ORDINARY, *(pytest.param(version, marks=pytest.mark.long) for version in LONG)]
GOLDEN = Path(__file__).parent.parent / "golden" / "smoke"

TIMEOUT_SECONDS = 300.0
SEED = 20261101

# The numbers of the documentation; an operation shows its first documented comparison.
DOCUMENTED = {
    "gather": "[[4, 5, 6], [7, 8, 9], [1, 2, 3]]",
    "expand-dims": "[[[2., 3.], [2., 3.], [2., 3.]]]",
    "tile": "[[1, 2, 1, 2], [3, 4, 3, 4], [5, 6, 5, 6]]",
    "gather-nd": "[4, 5, 6]",
    "batch-gather": "[[1], [5], [9]]",
    "map-fn-gather-nd": "[[ 2, 6], [10, 7]]",
    "lambda-square": "[[ 1. , 4. , 9. ], [16. , 0.25, 0. ]]",
    "lambda-slice": "[[[[1, 2]], [[2, 3]], [[3, 4]], [[4, 5]]]]",
    "crossentropy": "[0.05129329, 2.30258509]",
}

NO_BATCH_GATHER = "tf.batch_gather is gone: ran tf.gather(batch_dims=1)"
NO_FIT_GENERATOR = "fit_generator is gone: ran fit"
EVERYWHERE = {
    "lambda-slice": "merge(mode='concat') is gone: ran Concatenate",
    "plot-model": "visualize_util.plot is gone: ran utils.plot_model",
}
SUCCESSORS = {
    ("1.12.3", "tf.keras", "tile"): "tf.keras of this version has no K.tile: ran tf.tile",
    **{
        (version, "tensorflow", "batch-gather"): NO_BATCH_GATHER
        for version in ("2.3.4", "2.10.1", "2.15.1", "2.17.1", "2.21.0")
    },
    ("2.17.1", "tf.keras", "fit-generator"): NO_FIT_GENERATOR,
    ("2.21.0", "tf.keras", "fit-generator"): NO_FIT_GENERATOR,
}

PACKAGES = {
    "1.12.3": "keras",
    "1.15.0": "keras",
    "1.15.5": "keras",
    "2.17.1": "tf_keras",
    "2.21.0": "tf_keras",
}
"""The Keras that each environment has beside tf.keras."""


@functools.cache
def full_on_cpu(version: str) -> SmokeReport:
    need_commands("dot")
    python = documented_environment(version)
    return smoke.run_local(str(python), device="cpu", seed=SEED, timeout_seconds=TIMEOUT_SECONDS)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d*)?(?:e[-+]\d+)?", text)]


def skipped_by_right(version: str, operation: Operation) -> str:
    """Why this version may skip the operation, in the words that its note has to hold; empty when it may not."""
    if operation.name == "multi-gpu" and version == "1.12.3" and operation.package == "tf.keras":
        return "its MirroredStrategy is in contrib"
    if operation.name == "multi-gpu" and operation.package == "keras":
        return "has multi_gpu_model alone, which wants two GPUs or more"
    if operation.name == "bert4keras" and version in {"2.17.1", "2.21.0"}:
        return "bert4keras needs the Keras 2 of tf.keras"
    if operation.name == "bert4keras" and version != "2.3.4":
        return "bert4keras is not installed: --with bert4keras"
    return ""


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_passes_on_the_cpu_with_the_documented_values(version: str) -> None:
    report = full_on_cpu(version)
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)
    assert report.tensorflow == version
    for operation in report.operations:
        reason = skipped_by_right(version, operation)
        if reason:
            assert operation.outcome is OperationOutcome.SKIPPED
            assert reason in operation.note
            continue
        assert operation.outcome is OperationOutcome.PASSED, smoke.render(report)
        assert operation.device == "CPU:0"
        assert known(operation.seconds) > 0
        if operation.name in DOCUMENTED:
            assert operation.expected == DOCUMENTED[operation.name]
            assert numbers(operation.got) == pytest.approx(numbers(operation.expected), rel=1e-6)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_runs_and_those_of_models_with_every_keras(version: str) -> None:
    report = full_on_cpu(version)
    assert tuple(dict.fromkeys(operation.name for operation in report.operations)) == smoke.LEVELS["full"]
    packages = ["tf.keras", *([PACKAGES[version]] if version in PACKAGES else [])]
    for name in smoke.LEVELS["full"]:
        found = [operation.package for operation in report.operations if operation.name == name]
        assert found == (["tf.keras"] if name == "bert4keras" else packages) or found == ["tensorflow"]
    assert [one.package for one in report.keras_packages] == packages[1:]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_removed_function_runs_through_its_successor_which_is_named(version: str) -> None:
    for operation in full_on_cpu(version).operations:
        key = (version, operation.package, operation.name)
        successor = SUCCESSORS.get(key) or EVERYWHERE.get(operation.name)
        if successor is None:
            assert ": ran " not in operation.note
        else:
            assert successor in operation.note


@pytest.mark.parametrize("version", VERSIONS)
def test_the_model_of_several_devices_is_read_where_no_gpu_is_seen(version: str) -> None:
    ran = [one for one in full_on_cpu(version).operations if one.name == "multi-gpu" and one.note]
    for operation in ran:
        if not skipped_by_right(version, operation):
            assert "MirroredStrategy on two logical devices of CPU:0" in operation.note
            assert "trained on CPU:0, CPU:1" in operation.note


@pytest.mark.parametrize("version", VERSIONS)
def test_the_report_is_as_the_golden_one_but_for_versions_and_times(version: str, pytestconfig: pytest.Config) -> None:
    told = masked(smoke.to_json(full_on_cpu(version)))
    path = GOLDEN / f"{version}.json"
    if pytestconfig.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert told == json.loads(path.read_text(encoding="utf-8"))


def masked(told: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between machines, days and patch versions: times, versions, measured numbers."""
    told = json.loads(json.dumps(told))
    for name in ("version", "python", "keras", "numpy", "devices", "libraries", "remarks"):
        told[name] = "masked"
    told["built_with"] = "masked"
    told["timings"] = "masked"
    for package in told["keras_packages"]:
        package["version"] = "masked"
    for operation in told["operations"]:
        operation["seconds"] = "masked"
        for name in ("expected", "got", "note"):
            operation[name] = re.sub(r"-?\d+\.\d+(e[-+]\d+)?|-?\d+e[-+]\d+|\bnan\b", "#", operation[name])
        # NumPy's versions pad and cut differently.
        for name in ("expected", "got"):
            operation[name] = re.sub(r"\s+|\.(?=[,\]])", "", operation[name])
    return dict(told)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_loss_of_fit_falls_and_the_device_of_its_products_was_read(version: str) -> None:
    fit, *_ = [operation for operation in full_on_cpu(version).operations if operation.name == "fit"]
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
    if version in {"1.15.5", "2.15.1"}:  # a CPU build
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
        if (operation.name, operation.package) == ("fit", "tf.keras")
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
    alone = {one.name: one.expected for one in report.operations}
    whole = {one.name: one.expected for one in full_on_cpu("1.15.5").operations if one.package == "tf.keras"}
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


@pytest.mark.parametrize("version", ["1.15.5", "2.21.0"])
def test_what_is_not_installed_is_left_out_by_name(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment without its companions: no SciPy, pydot, bert4keras or second Keras."""
    monkeypatch.setenv("PATH", "/nonexistent")  # nor graphviz
    only = ("plot-model", "fit-generator", "bert4keras")
    python = tensorflow_environment(version)
    report = smoke.run_local(str(python), device="cpu", only=only, timeout_seconds=TIMEOUT_SECONDS)
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)
    plot, generator, bert = report.operations
    assert (plot.outcome, plot.note) == (OperationOutcome.SKIPPED, "pydot is not installed")
    assert generator.outcome is OperationOutcome.PASSED
    assert "SciPy is not installed: rotation, zoom, shifts and shear were left out, flips ran" in generator.note
    assert "changes: horizontal_flip, vertical_flip" in generator.note
    assert bert.outcome is OperationOutcome.SKIPPED


def test_graphviz_is_missed_where_pydot_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    python = documented_environment("1.15.5")
    monkeypatch.setenv("PATH", "/nonexistent")
    report = smoke.run_local(str(python), device="cpu", only=("plot-model",), timeout_seconds=TIMEOUT_SECONDS)
    assert {operation.note for operation in report.operations} == {"graphviz is not installed: there is no dot on PATH"}
    assert report.outcome is SmokeOutcome.FAILED  # nothing has been proved


@pytest.mark.long
def test_bert4keras_is_installed_for_this_test_alone_when_asked() -> None:
    python = tensorflow_environment("2.3.4")
    run = functools.partial(smoke.run_local, str(python), device="cpu", timeout_seconds=TIMEOUT_SECONDS)
    report = run(only=("bert4keras",), extras=("bert4keras",))
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)
    assert "bert4keras 0.11.5, TF_KERAS=1" in report.operations[0].note
    [again] = run(only=("bert4keras", "gather")).operations[1:]
    assert again.outcome is OperationOutcome.SKIPPED


def test_pip_that_cannot_install_is_told_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    python = tensorflow_environment("1.15.5")
    report = smoke.run_local(
        str(python), device="cpu", only=("bert4keras",), extras=("bert4keras",), timeout_seconds=TIMEOUT_SECONDS
    )
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert (report.error.stage, report.error.message) == (
        "installation of bert4keras",
        "pip cannot install bert4keras==0.11.5",
    )
    assert any("No matching distribution" in cause for cause in report.error.causes)


@pytest.mark.parametrize("version", ["1.15.5", "2.21.0"])
def test_stress_measures_on_the_cpu_and_compares_with_nothing(version: str) -> None:
    python = tensorflow_environment(version)
    report = smoke.run_local(
        str(python), device="cpu", level="stress", stress_seconds=0.3, timeout_seconds=TIMEOUT_SECONDS
    )
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)
    rates = {rate.name: rate.value for operation in report.operations for rate in operation.rates}
    assert set(rates) == {"matmul_float32_tflops", "memory_gbs", "host_to_device_gbs"}
    assert all(value > 0 for value in rates.values())
    assert "% of" not in smoke.render(report)
    [all_reduce] = [one for one in report.operations if one.name == "stress-all-reduce"]
    assert all_reduce.outcome is OperationOutcome.SKIPPED


def test_traps_of_the_image_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_TENSORFLOW_VERSION", "22.12-tf2")
    monkeypatch.setenv("TENSORFLOW_VERSION", "2.10.1")
    python = tensorflow_environment("1.15.5")
    report = smoke.run_local(str(python), device="cpu", only=("gather",), timeout_seconds=TIMEOUT_SECONDS)
    assert report.remarks == (
        "this is NVIDIA's image 22.12-tf2 with TensorFlow 2.10.1, and TensorFlow 1.15.5 was imported: "
        "pip has replaced it",
    )


def test_packages_that_break_the_import_are_named_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only their metadata is there: the import of TensorFlow itself goes well."""
    for name in ("numpy-2.1.0", "protobuf-4.25.3", "h5py-3.11.0"):
        (tmp_path / f"{name}.dist-info").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    python = tensorflow_environment("1.15.5")
    report = smoke.run_local(str(python), device="cpu", only=("gather",), timeout_seconds=TIMEOUT_SECONDS)
    assert report.remarks == (
        "numpy 2.1.0 does not go with tensorflow 1.15.5: pip install 'numpy<2'",
        "protobuf 4.25.3 does not go with tensorflow 1.15.5: pip install 'protobuf<3.21'",
        "h5py 3.11.0 does not go with tensorflow 1.15.5: pip install 'h5py<3'",
    )


def test_junit_of_a_real_report_fits_the_published_schema() -> None:
    report = full_on_cpu("1.15.5")
    root = ElementTree.fromstring(smoke_to_junit.report(report).encode())
    [suite] = root
    assert suite.get("tests") == str(len(report.operations))
    assert suite.get("skipped") == str(sum(one.outcome is OperationOutcome.SKIPPED for one in report.operations))
    names = [case.get("name") for case in suite.iter("testcase")]
    assert len(set(names)) == len(names)
    assert "fit (keras) on CPU:0" in names
    xmlschema.XMLSchema(io.StringIO(JUNIT.text())).validate(smoke_to_junit.report(report))
