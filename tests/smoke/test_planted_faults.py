"""Faults planted in real TensorFlow are caught by the unchanged script, and named, within the time limit."""

import json
import resource
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpudoctor import smoke
from gpudoctor.readings import Unread
from gpudoctor.smoke import Operation, OperationOutcome, SmokeOutcome, SmokeReport
from tests.real.interpreters import tensorflow_environment
from tests.smoke.faults import plant_before_script, plant_in_tensorflow, plant_instead_of_tensorflow

GRAPH, EAGER = "1.15.5", "2.21.0"
TIMEOUT_SECONDS = 300.0


def run(version: str, only: Sequence[str] = (), timeout_seconds: float = TIMEOUT_SECONDS) -> SmokeReport:
    python = tensorflow_environment(version)
    return smoke.run_local(str(python), device="cpu", only=only, timeout_seconds=timeout_seconds)


def failed(report: SmokeReport) -> list[Operation]:
    assert report.outcome is SmokeOutcome.FAILED, smoke.render(report)
    return [operation for operation in report.operations if operation.outcome is OperationOutcome.FAILED]


@pytest.mark.parametrize("version", [GRAPH, EAGER])
def test_wrong_results_fail_the_operations_that_gave_them_and_no_others(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        """
        right_gather, right_matmul, right_expand_dims = real.gather, real.matmul, real.keras.backend.expand_dims

        def gather(params, indices, axis=0, **others):
            return right_gather(params, indices, axis=axis, **others) + 1.0

        def matmul(a, b):
            return right_matmul(a, b) * 1.002

        def expand_dims(x, axis):
            return right_expand_dims(x, 0)

        real.gather, real.matmul, real.keras.backend.expand_dims = gather, matmul, expand_dims
        """,
    )
    report = run(version, ("matmul", "conv2d", "gather", "gather-nd", "expand-dims"))
    matmul, gather, expand_dims = failed(report)
    assert (matmul.name, gather.name, expand_dims.name) == ("matmul", "gather", "expand-dims")
    assert "values are off" in matmul.note
    assert gather.expected == "[[4, 5, 6], [7, 8, 9], [1, 2, 3]]"
    assert gather.got == "[[ 5., 6., 7.], [ 8., 9., 10.], [ 2., 3., 4.]]"
    assert (expand_dims.expected, expand_dims.got) == ("shape (3, 1, 2)", "shape (1, 3, 2)")
    assert "✗ gather" in smoke.render(report)


@pytest.mark.parametrize("version", [GRAPH, EAGER])
def test_an_operation_on_another_device_than_asked_fails_though_its_values_are_right(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second CPU device stands where a GPU and its silent fall-back would be."""
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        """
        if real.__version__.startswith("1."):
            right_configuration = real.ConfigProto
            real.ConfigProto = lambda **options: right_configuration(device_count={"CPU": 2}, **options)
        else:
            [cpu] = real.config.list_physical_devices("CPU")
            real.config.set_logical_device_configuration(cpu, [real.config.LogicalDeviceConfiguration()] * 2)

        right_gather = real.gather

        def gather(*given, **named):
            with real.device("/device:CPU:1"):
                return right_gather(*given, **named)

        class Dense(real.keras.layers.Dense):
            def call(self, inputs):
                with real.device("/device:CPU:1"):
                    return super(Dense, self).call(inputs)

        real.gather, real.keras.layers.Dense = gather, Dense
        """,
    )
    gather, fit = failed(run(version, ("matmul", "gather", "fit")))
    assert (gather.name, gather.device) == ("gather", "CPU:1")
    assert "ran on CPU:1" in gather.note
    assert fit.name == "fit"
    assert not isinstance(fit.device, Unread)
    assert "CPU:1" in fit.device


@pytest.mark.parametrize("version", [GRAPH, EAGER])
def test_a_loss_that_is_no_number_fails_fit(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        """
        right_sgd = real.keras.optimizers.SGD
        real.keras.optimizers.SGD = lambda rate: right_sgd(rate * 1e30)
        """,
    )
    [fit] = failed(run(version, ("fit",)))
    assert fit.note.startswith("the loss is not finite")
    assert "nan" in fit.got


def test_a_loss_that_does_not_fall_and_one_that_falls_wrongly_fail_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for factor, note in (("0.0", "the loss did not fall"), ("0.5", "the loss falls differently")):
        plant_in_tensorflow(
            tmp_path,
            monkeypatch,
            f"""
            right_sgd = real.keras.optimizers.SGD
            real.keras.optimizers.SGD = lambda rate: right_sgd(rate * {factor})
            """,
        )
        [fit] = failed(run(GRAPH, ("fit",)))
        assert fit.note.startswith(note)


def test_an_exception_inside_an_operation_is_its_failure_and_cannot_paint_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        r"""
        def gather_nd(params, indices):
            raise RuntimeError("no kernel \x1b[2J\x1b]0;owned\x07 \u202e here")

        real.gather_nd = gather_nd
        """,
    )
    report = run(GRAPH, ("gather", "gather-nd"))
    [gather_nd] = failed(report)
    assert "raised RuntimeError: no kernel" in gather_nd.note
    shown = smoke.render(report)
    assert "\\x1b[2J" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("import os; os._exit(7)", "exit code 7 without a report"),
        ("import os; os._exit(0)", "exit code 0 without a report"),
        ("import os; os.abort()", "killed by SIGABRT without a report"),
        (
            "import os, signal; os.write(2, b'compiled to use AVX\\n'); os.kill(os.getpid(), signal.SIGILL)",
            "killed by SIGILL (this TensorFlow needs instructions, as AVX, that this CPU lacks)",
        ),
        ("raise SystemExit('quietly')", "ended by SystemExit(quietly)"),
        ("raise ImportError('libcublas.so.10.0: cannot open shared object file')", "libcublas.so.10.0"),
        ("raise TypeError('Descriptors cannot be created directly.')", "TypeError: Descriptors cannot"),
        ("", "the module tensorflow is no TensorFlow"),
    ],
)
def test_a_death_in_import_names_the_import(
    fault: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_instead_of_tensorflow(tmp_path, monkeypatch, fault)
    report = run(GRAPH)
    assert failed(report) == []
    assert report.error is not None
    assert report.error.stage == "import"
    assert said in report.error.message
    assert {operation.outcome for operation in report.operations} == {OperationOutcome.SKIPPED}
    if "SIGILL" in said:
        assert "stderr: compiled to use AVX" in report.error.causes


def test_a_hang_in_import_ends_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_instead_of_tensorflow(tmp_path, monkeypatch, "import time; time.sleep(3600)")
    started = time.monotonic()
    report = run(GRAPH, timeout_seconds=3)
    assert time.monotonic() - started < 3 + 2 * smoke.GRACE_SECONDS + 1
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert (report.error.stage, report.error.message) == ("import", "no answer within 3 s, stopped at import")


def test_a_hang_in_an_operation_that_no_signal_ends_is_killed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        """
        def gather_nd(params, indices):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(3600)

        real.gather_nd = gather_nd
        """,
    )
    started = time.monotonic()
    report = run(GRAPH, ("gather", "gather-nd"), timeout_seconds=30)
    assert time.monotonic() - started < 30 + 2 * smoke.GRACE_SECONDS + 1
    gather, gather_nd = report.operations
    assert gather.outcome is OperationOutcome.PASSED
    assert failed(report) == [gather_nd]
    assert report.error is not None
    assert report.error.stage == "operation gather-nd on CPU:0"
    assert report.error.message.startswith("no answer within 30 s")


def test_a_crash_in_an_operation_keeps_what_passed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_in_tensorflow(
        tmp_path, monkeypatch, "real.gather_nd = lambda params, indices: os.kill(os.getpid(), signal.SIGSEGV)"
    )
    report = run(GRAPH, ("gather", "gather-nd"))
    gather, gather_nd = report.operations
    assert gather.outcome is OperationOutcome.PASSED
    assert failed(report) == [gather_nd]
    assert report.error is not None
    assert report.error.stage == "operation gather-nd on CPU:0"
    assert report.error.message == "killed by SIGSEGV without a report"
    assert report.tensorflow == GRAPH


def test_a_gigabyte_of_output_before_and_inside_the_script_neither_hides_the_report_nor_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flood = """
        import os
        for _ in range(512):
            os.write(1, b"gpudoctor-smoke: " + b"x" * (1 << 20))
        """
    plant_before_script(tmp_path, monkeypatch, flood)
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        """
        right_gather = real.gather

        def gather(*given, **named):
            real.gather = right_gather
            for _ in range(512):
                os.write(1, b"y" * (1 << 20))
            print('gpudoctor-smoke: {"outcome": "passed"}')
            return right_gather(*given, **named)

        real.gather = gather
        """,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = run(GRAPH, ("gather",))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)
    assert grown_kib < 64 << 10


def test_a_last_line_that_is_not_json_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_before_script(
        tmp_path,
        monkeypatch,
        """
        import os
        stdout, right_exit = os.dup(1), os._exit

        def leave(code):
            os.write(stdout, b"gpudoctor-smoke: all is well\\n")
            right_exit(code)

        os._exit = leave
        """,
    )
    report = run(GRAPH, ("gather",))
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert "not to be trusted: it is not JSON" in report.error.message
    assert report.error.stage == "operation gather on CPU:0"


def test_a_forged_report_does_not_stand_for_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A perfect report of another run, printed by something that starts with the interpreter."""
    real = run(GRAPH, ("gather",))
    assert real.outcome is SmokeOutcome.PASSED
    line = f"gpudoctor-smoke: {json.dumps(smoke.to_json(real))}\n"
    plant_before_script(tmp_path, monkeypatch, f"import os; os.write(1, {line.encode()!r})")
    plant_instead_of_tensorflow(tmp_path, monkeypatch, "import os; os._exit(0)")
    died_later = run(GRAPH, ("gather",))
    assert died_later.outcome is SmokeOutcome.FAILED
    assert died_later.error is not None
    assert died_later.error.stage == "import"

    plant_before_script(tmp_path, monkeypatch, f"import os; os.write(1, {line.encode()!r}); os._exit(0)")
    never_ran = run(GRAPH, ("gather",))
    assert never_ran.outcome is SmokeOutcome.FAILED
    assert never_ran.error is not None
    assert "it answers another question: seed" in never_ran.error.message


def test_an_exit_code_that_denies_the_report_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_before_script(
        tmp_path, monkeypatch, "import os; right_exit = os._exit; os._exit = lambda code: right_exit(9)"
    )
    report = run(GRAPH, ("gather",))
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert report.error.message == "every operation passed, then exit code 9"


@pytest.mark.parametrize("version", [GRAPH, EAGER])
def test_a_helper_that_cannot_be_placed_is_forgiven_by_name_when_the_result_is_in_place(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As book-keeping without a GPU kernel would be."""
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        """
        right_gather_nd = real.gather_nd

        def gather_nd(params, indices):
            with real.device("/device:GPU:99"):
                helper = real.identity(params)
            return right_gather_nd(helper, indices)

        real.gather_nd = gather_nd
        """,
    )
    report = run(version, ("gather-nd",))
    [gather_nd] = report.operations
    assert report.outcome is SmokeOutcome.PASSED, smoke.render(report)
    assert gather_nd.device == "CPU:0"
    assert "soft placement" in gather_nd.note


def test_without_partitioned_graphs_fit_is_proved_by_its_parameters_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = """
        from tensorflow.python.eager import context
        del context.collect_graphs
        """
    plant_in_tensorflow(tmp_path, monkeypatch, fault)
    [fit] = run(EAGER, ("fit",)).operations
    assert (fit.outcome, fit.device) == (OperationOutcome.PASSED, "CPU:0")
    assert "device of the trained parameters" in fit.note


FAULTS_OF_MODELS = {
    "lambda-antirectifier": (
        "right = real.keras.backend.l2_normalize\n"
        "real.keras.backend.l2_normalize = lambda x, axis: right(x, axis=axis) * 1.01",
        "other values",
    ),
    "crossentropy": (
        "right = real.keras.losses.sparse_categorical_crossentropy\n"
        "real.keras.losses.sparse_categorical_crossentropy = lambda y, p: right(y, p) * 1.001",
        "other values",
    ),
    "train-on-batch": (
        "real.keras.models.Model.train_on_batch = lambda self, x, y: 1.0 / len(x)",
        "the device of the products cannot be told",
    ),
    "fit-generator": (
        "class Still(real.keras.preprocessing.image.ImageDataGenerator):\n"
        "    def __init__(self, **options):\n"
        "        super(Still, self).__init__()\n"
        "real.keras.preprocessing.image.ImageDataGenerator = Still",
        "flips put the pixel elsewhere",
    ),
    "callback": (
        "right = real.keras.models.Model.fit\n"
        "def fit(self, x, y, callbacks=None, **options):\n"
        "    return right(self, x, y, **options)\n"
        "real.keras.models.Model.fit = fit",
        "the callback heard of another number of batches",
    ),
    "save-weights": (
        "real.keras.models.Model.load_weights = lambda self, path: None",
        "loaded: other predictions",
    ),
    "save-model": (
        "right = real.keras.models.load_model\n"
        "def load_model(path, custom_objects):\n"
        "    model = right(path, custom_objects=custom_objects)\n"
        "    model.compile(real.keras.optimizers.SGD(0.05, momentum=0.9), model.loss)\n"
        "    return model\n"
        "real.keras.models.load_model = load_model",
        "the optimizer was not kept",
    ),
}


def test_each_operation_of_models_sees_the_fault_that_is_meant_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each in a function of its own: they keep what they replace under the same name.
    wrapped = [f"def planted():\n{textwrap.indent(fault, '    ')}\nplanted()" for fault, _ in FAULTS_OF_MODELS.values()]
    plant_in_tensorflow(tmp_path, monkeypatch, "\n" + "\n".join(wrapped))
    report = run(GRAPH, tuple(FAULTS_OF_MODELS))
    notes = {operation.name: operation.note for operation in failed(report)}
    for name, (_, said) in FAULTS_OF_MODELS.items():
        assert said in notes.get(name, ""), smoke.render(report)
    assert set(notes) == set(FAULTS_OF_MODELS)


def test_a_process_of_the_multi_gpu_row_that_dies_or_reads_other_weights_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = "forked = os.environ.get('CUDA_VISIBLE_DEVICES') == '-1'\n"
    plant_in_tensorflow(tmp_path, monkeypatch, forked + "if forked: os.abort()")
    [died] = failed(run(GRAPH, ("multi-gpu",)))
    assert died.note.startswith("process train: killed by signal 6")
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        forked
        + "right = real.keras.models.Model.load_weights\n"
        + "def load_weights(self, path):\n"
        + "    right(self, path)\n"
        + "    self.set_weights([weight * 1.01 for weight in self.get_weights()])\n"
        + "real.keras.models.Model.load_weights = load_weights",
    )
    [altered] = failed(run(GRAPH, ("multi-gpu",)))
    assert "single model: other predictions" in altered.note


def test_a_hang_in_fit_in_another_process_ends_at_the_deadline_and_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = f"open({str(tmp_path / 'pids')!r}, 'a').write('%d ' % os.getpid())\n"
    plant_in_tensorflow(
        tmp_path, monkeypatch, forked + "real.keras.models.Model.fit = lambda *given, **named: time.sleep(3600)"
    )
    report = run(GRAPH, ("multi-gpu",), timeout_seconds=40)
    [hung] = failed(report)
    assert hung.name == "multi-gpu"
    assert report.error is not None
    assert report.error.message.startswith("no answer within 40 s, stopped at operation multi-gpu on CPU:0")
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2
    gone_by = time.monotonic() + 10
    while any(Path("/proc", pid).exists() for pid in pids) and time.monotonic() < gone_by:
        time.sleep(0.1)
    assert not any(Path("/proc", pid).exists() for pid in pids)


def test_a_product_that_is_off_under_load_fails_the_stress_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_in_tensorflow(
        tmp_path,
        monkeypatch,
        """
        right = real.matmul
        real.matmul = lambda a, b: right(a, b) * (1.0 if a.shape[0] == 192 else 1.02)
        """,
    )
    python = tensorflow_environment(GRAPH)
    report = smoke.run_local(
        str(python), device="cpu", level="stress", stress_seconds=0.2, timeout_seconds=TIMEOUT_SECONDS
    )
    [stress] = failed(report)
    assert stress.name == "stress-matmul"
    assert "a row of the product is off" in stress.note
    assert {one.name for one in report.operations} == set(smoke.LEVELS["stress"])
