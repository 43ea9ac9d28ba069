"""What becomes of interpreters that are missing, broken, slow or no interpreters."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpudoctor import smoke
from gpudoctor.smoke import SmokeOutcome, SmokeReport


def run(python: str | Path, timeout_seconds: float = 60.0) -> SmokeReport:
    return smoke.run_local(str(python), device="cpu", level="quick", timeout_seconds=timeout_seconds)


def program(folder: Path, source: str) -> Path:
    path = folder / "python"
    path.write_text(source)
    path.chmod(0o755)
    return path


def message(report: SmokeReport) -> str:
    assert report.error is not None
    assert "\n" not in report.error.message
    return report.error.message


def test_a_missing_interpreter_is_unknown_and_named(tmp_path: Path) -> None:
    for python, said in (
        (str(tmp_path / "absent"), "there is no interpreter"),
        ("no-such-python", "there is no no-such-python on PATH"),
        (str(tmp_path), "is a folder"),
        ("", "there is no"),
    ):
        report = run(python)
        assert report.outcome is SmokeOutcome.UNKNOWN
        assert said in message(report)
        assert report.error is not None
        assert "--python PATH" in report.error.fix


def test_a_file_that_is_not_executable_or_not_a_program_is_unknown(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("text")
    assert "is not executable" in message(run(plain))
    noise = program(tmp_path, "\x00\x01 neither a script nor a binary")
    report = run(noise)
    assert report.outcome is SmokeOutcome.UNKNOWN
    assert "cannot be started" in message(report)


@pytest.mark.parametrize("source", ["#!/bin/cat\n", "#!/bin/sh\nexit 0\n", "#!/bin/sh\necho broken >&2; exit 3\n"])
def test_a_program_that_is_no_python_is_unknown(source: str, tmp_path: Path) -> None:
    report = run(program(tmp_path, source))
    assert report.outcome is SmokeOutcome.UNKNOWN
    assert "did not run the script: exit code" in message(report)
    if "broken" in source:
        assert report.error is not None
        assert report.error.causes == ("stderr: broken",)


def test_a_program_that_only_waits_is_unknown_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    told = tmp_path / "pids"
    waiting = program(tmp_path, f"#!/bin/sh\ntrap '' TERM\nsleep 3600 &\necho $$ $! > {told}\nwait\nsleep 3600\n")
    started = time.monotonic()
    report = run(waiting, timeout_seconds=1)
    assert time.monotonic() - started < 1 + 2 * smoke.GRACE_SECONDS + 1
    assert report.outcome is SmokeOutcome.UNKNOWN
    assert "no answer within 1 s, and not a line of the script ran" in message(report)
    for pid in told.read_text().split():
        assert not alive(int(pid))


def alive(pid: int) -> bool:
    """Whether it still runs; a killed orphan may wait for its new parent to notice."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_that_keeps_the_pipes_open_does_not_hold_the_answer_back(tmp_path: Path) -> None:
    leaving = program(tmp_path, "#!/bin/sh\nsleep 3600 &\nexit 0\n")
    started = time.monotonic()
    report = run(leaving, timeout_seconds=30)
    assert time.monotonic() - started < 10
    assert "did not run the script: exit code 0" in message(report)


def test_an_interpreter_without_tensorflow_fails_and_is_told_how_to_get_it(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    report = run(bare / "bin" / "python")
    assert report.outcome is SmokeOutcome.FAILED
    assert report.error is not None
    assert report.error.stage == "import"
    assert "No module named 'tensorflow'" in report.error.message
    assert report.error.fix.startswith(f"{bare}/bin/python -m pip install tensorflow")
    assert [operation.name for operation in report.operations] == list(smoke.QUICK_OPERATIONS)


def test_what_the_script_says_reaches_the_listener_as_it_comes(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    heard: list[bytes] = []
    python = str(bare / "bin" / "python")
    smoke.run_local(python, device="cpu", seed=77, timeout_seconds=60, talk=heard.append)
    assert b"smoke test, seed 77" in b"".join(heard)


def descriptors() -> list[str]:
    # The folder itself is open while it is read, so the last number is always its own.
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def children() -> list[str]:
    """Process ids of this process's children: an engine of the tests may be among them."""
    return sorted(pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split())


def test_every_process_and_descriptor_is_given_back() -> None:
    before = descriptors(), children()
    for _ in range(3):
        run("/bin/true")
    assert (descriptors(), children()) == before
