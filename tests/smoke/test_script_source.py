"""The script itself: one file for Python 2.7 and 3.5 upwards that the host never imports."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import gpudoctor
from gpudoctor import smoke
from gpudoctor.readings import known
from gpudoctor.smoke import SmokeOutcome, SmokeReport
from tests.real.interpreters import interpreter

PACKAGE = Path(gpudoctor.__file__).parent


def run_bare(*arguments: str, python: Path | None = None) -> tuple[int, SmokeReport]:
    """Run the script where no TensorFlow can be imported: the interpreter's site-packages are shut out."""
    command = [str(python or sys.executable), "-S", "-", *arguments]
    done = subprocess.run(command, input=smoke.script(), capture_output=True, check=False, env={})
    return done.returncode, smoke.parse(done.stdout)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_it_compiles_and_reports_on_every_interpreter(version: str) -> None:
    python = interpreter(version)
    compiling = "import sys; compile(sys.stdin.read(), 'smoke', 'exec')"
    subprocess.run([str(python), "-W", "error", "-c", compiling], input=smoke.script(), check=True)
    code, report = run_bare("--device", "cpu", python=python)
    assert code == 1
    assert known(report.python).startswith(version + ".")
    assert report.error is not None
    assert report.error.stage == "import"


def suits_2_7_and_3_5(path: Path) -> bool:
    vermin = [sys.executable, "-c", "from vermin import main; main()", "--no-tips", "--violations"]
    done = subprocess.run([*vermin, "-t=2.7", "-t=3.5-", str(path)], capture_output=True, text=True, check=False)
    assert "Minimum required versions" in done.stdout, done.stdout + done.stderr
    return done.returncode == 0


def test_its_syntax_and_library_calls_exist_in_2_7_and_3_5() -> None:
    assert suits_2_7_and_3_5(PACKAGE / "smoke_in_container.py")


@pytest.mark.parametrize("newer", ["x = f'{1}'", "def f(*, a): return a", "import secrets", "x: int = 1"])
def test_vermin_would_see_newer_syntax_and_newer_modules(newer: str, tmp_path: Path) -> None:
    altered = tmp_path / "altered.py"
    altered.write_bytes(smoke.script() + b"\n" + newer.encode() + b"\n")
    assert not suits_2_7_and_3_5(altered)


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """First words of what is imported, the standard library left out."""
    modules = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    return {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)


def test_it_is_ascii_and_needs_the_standard_library_tensorflow_and_numpy_alone() -> None:
    tree = ast.parse(smoke.script().decode("ascii"))
    assert imported(tree.body) == set()
    assert imported(ast.walk(tree)) == {"tensorflow", "numpy", "h5py", "bert4keras"}
    for name in ("save_weights", "bert4keras"):  # where it is missing the row is skipped
        [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
        assert "need_hdf5()" in ast.unparse(function)


def test_no_module_of_ours_imports_it() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            assert not any("smoke_in_container" in name for name in names), path
    asking = "import sys, gpudoctor.smoke; sys.exit('gpudoctor.smoke_in_container' in sys.modules)"
    subprocess.run([sys.executable, "-c", asking], check=True)


def test_host_and_script_name_the_same_operations() -> None:
    code, report = run_bare("--device", "cpu", "--only", "nonsense")
    assert code == 2
    assert report.error is not None
    assert report.error.stage == "arguments"
    for name in smoke.OPERATIONS:
        assert f"'{name}'" in report.error.message
    assert report.error.message.count("'") == 2 * (1 + len(smoke.OPERATIONS))


@pytest.mark.parametrize("level", smoke.LEVELS)
def test_host_and_script_mean_the_same_by_a_level(level: str) -> None:
    _, report = run_bare(*smoke.arguments("cpu", level, (), 5))
    assert [operation.name for operation in report.operations] == list(smoke.LEVELS[level])
    assert (report.device_asked, report.level, report.seed) == ("cpu", level, 5)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--device", "tpu"), ("--device", "cpu", "--seed", "-1"), ("--device", "cpu", "--nonsense")],
)
def test_bad_arguments_end_with_one_line_and_exit_code_2(arguments: tuple[str, ...]) -> None:
    code, report = run_bare(*arguments)
    assert code == 2
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert report.error.message.startswith("BadArguments: ")


def test_it_reports_with_stderr_closed() -> None:
    for python in (interpreter("2.7"), Path(sys.executable)):
        command = ["/bin/sh", "-c", 'exec "$0" -S - --device cpu 2>&-', str(python)]
        done = subprocess.run(command, input=smoke.script(), stdout=subprocess.PIPE, check=False)
        report = smoke.parse(done.stdout)
        assert report.error is not None
        assert report.error.stage == "import"


def test_stdout_holds_marked_lines_alone() -> None:
    command = [sys.executable, "-S", "-", "--device", "cpu"]
    done = subprocess.run(command, input=smoke.script(), capture_output=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line]
    assert all(line.startswith((smoke.STAGE_MARK, smoke.REPORT_MARK)) for line in lines)
    stages = [json.loads(line.partition(b":")[2])["stage"] for line in lines[:-1]]
    assert stages == ["start", "import"]
    assert lines[-1].startswith(smoke.REPORT_MARK)


def told_by(expression: str) -> object:
    """What an expression gives among the script's own functions, without its course."""
    source = smoke.script().decode("ascii").removesuffix("main(sys.argv[1:])\n")
    assert source != smoke.script().decode("ascii")
    asking = f"{source}\nprint(json.dumps({expression}))\n"
    done = subprocess.run([sys.executable, "-S", "-"], input=asking, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("capability", "built", "native"),
    [
        ("8.6", ["sm_60", "sm_80", "compute_90"], True),
        ("9.0", ["sm_60", "sm_80", "compute_90"], False),
        ("7.0", ["sm_75"], False),
        ("12.0", ["sm_100", "sm_120"], True),
        ("10.3", ["sm_100a", "sm_120"], True),
        ("7.5", ["7.0", "8.0"], True),
    ],
)
def test_native_code_is_of_the_same_major_and_no_newer(capability: str, built: list[str], native: bool) -> None:
    assert told_by(f"has_native_code({capability!r}, {built!r})") is native


def test_what_was_loaded_and_how_long_the_first_kernel_took_is_explained() -> None:
    document = {
        "built_with": {"cuda": "12.3", "cudnn": "9", "compute_capabilities": ["sm_80", "compute_90"]},
        "libraries": [
            {"name": "libcuda", "path": "/opt/image/compat/lib/libcuda.so.1", "version": "12.8"},
            {"name": "libcudart", "path": "/usr/lib/libcudart.so.12", "version": "12.1"},
            {"name": "libcudnn", "path": "/usr/lib/libcudnn.so.8", "version": "8.9.7"},
        ],
        "devices": [{"name": "GPU:0", "compute_capability": "12.0"}],
        "device_asked": "gpu",
        "timings": {"first_kernel_seconds": 340.2},
    }
    told = told_by(f"remarks_of_run({document!r})")
    assert isinstance(told, list)
    compat, cudart, cudnn, foreign, first = told
    assert compat.startswith("libcuda is the image's compat library: /opt/image/compat/lib/")
    assert cudart == "TensorFlow was built with cuda 12.3 and loaded 12.1"
    assert cudnn == "TensorFlow was built with cudnn 9 and loaded 8.9.7"
    assert foreign.startswith("GPU:0 is 12.0, for which this TensorFlow has no code of its own (sm_80, compute_90)")
    assert first.startswith("the first kernel took 340 s: PTX was compiled for this GPU")


def test_a_picture_is_told_from_an_empty_one_and_from_none(tmp_path: Path) -> None:
    assert told_by("png_told(b'GIF89a')") == "no PNG: it begins with b'GIF89a'"

    def png(pixels: str) -> str:
        chunk = "lambda kind, data: struct.pack('>I4s', len(data), kind) + data + b'0000'"
        return (
            f"(lambda chunk: png_told(b'\\x89PNG\\r\\n\\x1a\\n'"
            f" + chunk(b'IHDR', struct.pack('>II5B', 9, 7, 8, 0, 0, 0, 0))"
            f" + chunk(b'IDAT', zlib.compress({pixels}))))({chunk})"
        )

    assert told_by(png("b'\\0' * 70")) == "a PNG of 9 x 7, empty"
    assert told_by(png("bytes(range(70))")) == "a PNG of 9 x 7, drawn on"
