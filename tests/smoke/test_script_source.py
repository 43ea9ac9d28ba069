"""The script itself: one file for Python 2.7 and 3.5 upwards that the host never imports."""

import ast
import json
import subprocess
import sys
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


def test_it_is_ascii_and_imports_the_standard_library_tensorflow_and_numpy_alone() -> None:
    source = smoke.script().decode("ascii")
    modules = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    outside = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    assert outside == {"tensorflow", "numpy"}


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
