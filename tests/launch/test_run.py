"""`gpudoctor run` on a real engine, a real registry and real TensorFlow 1.15.5."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.command import (
    ENDING_SIGNALS,
    WITHOUT_ROOTS_RIGHTS,
    containers,
    environment,
    faults,
    gpudoctor_run,
    kill_containers_of,
    on_terminal,
    remove_image,
    resize,
    started,
)
from tests.real.cannot import cannot
from tests.real.engine import Engine, PrivateEngine, small_data_root
from tests.real.registry import LocalRegistry

TENSORFLOW_TAG = "23.03-tf1-py3"  # what --tf 1.15 resolves to where no GPU narrows the choice
TINY_TAG = "20.12-tf1-py3"

# For a process to get on with it, where nothing that it prints says that it has.
DELAY_SECONDS = 0.5


@pytest.fixture
def env(engine: Engine, tmp_path: Path) -> dict[str, str]:
    return environment(engine.docker_host, HOME=str(tmp_path))


@pytest.fixture(autouse=True)
def _nothing_left_behind(engine: Engine) -> Iterator[None]:
    before = set(containers(engine.docker_host))
    yield
    assert set(containers(engine.docker_host)) == before


@pytest.fixture
def tiny(registry: LocalRegistry, tiny_image: str) -> tuple[str, ...]:
    """Options that start the tiny image, which has no Python to prove anything with."""
    return ("--tag", TINY_TAG, "--registry", f"{registry.address}/tiny", "--gpus", "none", "--smoke", "off")


# --- The whole way ---


def test_pulls_with_a_bar_for_every_layer_proves_tensorflow_and_returns_the_exit_code(
    registry: LocalRegistry, tmp_path: Path
) -> None:
    reference = registry.reference("nvidia/tensorflow", TENSORFLOW_TAG)
    report = tmp_path / "report.json"
    script = "import tensorflow as tf; print('TensorFlow is', tf.__version__); raise SystemExit(7)"
    options = ("--tf", "1.15", "--gpus", "none", "--registry", f"{registry.address}/nvidia", "--report", str(report))
    # An engine of its own, which has no layer yet.
    with PrivateEngine() as engine:
        env = environment(engine.docker_host, HOME=str(tmp_path))
        with on_terminal((*options, "--", "python", "-c", script), env) as (run, terminal):
            run.wait_for(b"Downloading", terminal)
            run.wait_for(b"TensorFlow is 1.15.5", terminal)
            assert run.end() == 7
        assert containers(engine.docker_host) == []
    shown = bytes(run.output).decode()
    assert f"pulling {reference} (" in shown
    assert "MB in 4 layers)" in shown
    assert "Pull complete" in shown
    assert "smoke test passed" in shown
    written = json.loads(report.read_text())
    assert written["schema"] == "gpudoctor.run/1"
    assert written["reason"] is None
    assert written["container"]["exit_code"] == 7
    assert written["plan"]["image"] == reference
    assert written["plan"]["digest"].startswith("sha256:")
    assert written["pull"]["pulled"] is True
    assert written["smoke"]["outcome"] == "passed"
    assert written["smoke"]["tensorflow"] == "1.15.5"
    ran = [operation for operation in written["smoke"]["operations"] if operation["outcome"] == "passed"]
    assert {operation["device"] for operation in ran} == {"CPU:0"}
    assert [stage["stage"] for stage in written["stages"]] == ["image", "smoke", "command"]


def test_a_present_image_is_not_pulled_again_and_the_command_succeeds(
    registry: LocalRegistry, pulled_image: str, env: dict[str, str]
) -> None:
    options = ("--tag", "22.12-tf1-py3", "--gpus", "none", "--registry", f"{registry.address}/nvidia")
    finished = gpudoctor_run((*options, "--smoke", "quick", "--", "python", "-c", "print(6 * 7)"), env)
    assert finished.returncode == 0, finished.stderr.decode()
    assert finished.stdout.decode().splitlines()[-1] == "42"
    assert b"pulling" not in finished.stderr


# --- The command ---


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("sh -c 'kill -TERM $$'; exit $?", 143)])
def test_the_exit_code_is_the_commands(tiny: tuple[str, ...], env: dict[str, str], script: str, code: int) -> None:
    assert gpudoctor_run((*tiny, "--", "sh", "-c", script), env).returncode == code


def test_a_command_killed_from_outside_is_128_and_the_signal(
    tiny: tuple[str, ...], env: dict[str, str], engine: Engine
) -> None:
    with started((*tiny, "--", "sh", "-c", "echo ready; sleep 1000"), env) as run:
        assert run.process.stdout is not None
        run.wait_for(b"ready", run.process.stdout.fileno())
        kill_containers_of(engine.docker_host, run.process.pid)
        assert run.end() == 137


def test_a_command_that_the_image_lacks_is_127_and_one_that_cannot_run_126(
    tiny: tuple[str, ...], env: dict[str, str]
) -> None:
    missing = gpudoctor_run((*tiny, "--", "no-such-command"), env)
    assert missing.returncode == 127
    assert faults(missing)[0].startswith('gpudoctor: the image has no such command: exec: "no-such-command"')
    refused = gpudoctor_run((*tiny, "--", "/etc/passwd"), env)
    assert refused.returncode == 126
    assert faults(refused)[0].startswith("gpudoctor: the command cannot be executed")


def test_standard_streams_are_the_commands_own(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    payload = bytes(range(256)) * 4096
    finished = gpudoctor_run((*tiny, "-q", "--", "sh", "-c", "cat; echo talk >&2; exit 3"), env, stdin=payload)
    assert finished.returncode == 3
    assert finished.stdout == payload
    assert b"talk\n" in finished.stderr


def test_arguments_after_the_dashes_arrive_untouched(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    awkward = ["--help", "-q", "a b", "$HOME", "'", '"', "", "*", "--", "\\n"]
    finished = gpudoctor_run((*tiny, "--", "sh", "-c", 'printf "%s\\n" "$@"', "sh", *awkward), env)
    assert finished.stdout.decode().splitlines() == awkward


def test_a_refused_memlock_limit_is_dropped_and_said(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    finished = gpudoctor_run((*tiny, "--", "sh", "-c", "ulimit -s; grep 'locked memory' /proc/self/limits"), env)
    assert finished.returncode == 0
    stack, locked = finished.stdout.decode().splitlines()
    assert stack == "65536"
    # Where the kernel grants it, it is unlimited; where it refuses, the talk says so: never silently less.
    assert ("unlimited" in locked) != (b"limit on locked memory" in finished.stderr)


def test_a_terminal_is_handed_on_with_its_size(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    script = "test -t 0 && test -t 1 && echo terminal; stty size; read line; stty size; exit 5"
    with on_terminal((*tiny, "--", "sh", "-c", f"sleep 1; {script}"), env, rows=33, columns=101) as (run, terminal):
        run.wait_for(b"terminal", terminal)
        run.wait_for(b"33 101", terminal)
        resize(terminal, 20, 66)
        os.kill(run.process.pid, signal.SIGWINCH)
        # The engine passes the size on; the shell asks for it only after the line that follows.
        time.sleep(DELAY_SECONDS)
        os.write(terminal, b"go\n")
        run.wait_for(b"20 66", terminal)
        assert run.end() == 5


def test_ctrl_c_on_a_terminal_reaches_the_command(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    script = "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.1; done"
    with on_terminal((*tiny, "--", "sh", "-c", script), env) as (run, terminal):
        run.wait_for(b"ready", terminal)
        os.write(terminal, b"\x03")
        run.wait_for(b"caught", terminal)
        assert run.end() == 4


# --- Signals ---


@pytest.mark.parametrize(("number", "code"), ENDING_SIGNALS)
def test_a_signal_is_passed_on_and_nothing_is_left(
    tiny: tuple[str, ...], env: dict[str, str], number: int, code: int
) -> None:
    script = "trap 'echo passed on; exit 0' INT TERM; echo ready; while :; do sleep 0.1; done"
    with started((*tiny, "--", "sh", "-c", script), env) as run:
        assert run.process.stdout is not None
        run.wait_for(b"ready", run.process.stdout.fileno())
        run.process.send_signal(number)
        run.wait_for(b"passed on", run.process.stdout.fileno())
        assert run.end() == code


def test_a_command_that_ignores_signals_is_killed_by_the_second(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    with started((*tiny, "--", "sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.1; done"), env) as run:
        assert run.process.stdout is not None
        run.wait_for(b"ready", run.process.stdout.fileno())
        run.process.send_signal(signal.SIGINT)
        time.sleep(DELAY_SECONDS)
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 130


@pytest.mark.parametrize(("number", "code"), ENDING_SIGNALS)
@pytest.mark.parametrize("stage", ["pulling", "smoke test on"])
def test_a_signal_before_the_command_leaves_nothing(
    registry: LocalRegistry, engine: Engine, env: dict[str, str], stage: str, number: int, code: int, pulled_image: str
) -> None:
    if stage == "pulling":
        remove_image(engine.docker_host, pulled_image)
    options = ("--tag", "22.12-tf1-py3", "--gpus", "none", "--registry", f"{registry.address}/nvidia")
    with started((*options, "--", "echo", "the command ran"), env) as run:
        assert run.process.stdout is not None
        run.wait_for(stage.encode(), run.process.stdout.fileno())
        time.sleep(DELAY_SECONDS)
        run.process.send_signal(number)
        assert run.end() == code
        assert b"the command ran" not in run.output + run.process.stdout.read()


# --- What goes wrong before the command ---


def _refused(finished: subprocess.CompletedProcess[bytes]) -> str:
    """The fault's one line; the fix follows it on a second one."""
    assert finished.returncode == 125, finished.stderr.decode()
    lines = faults(finished)
    assert len(lines) == 2, lines
    assert lines[1].startswith("  ")
    assert b"Traceback" not in finished.stderr
    return "\n".join(lines)


def test_a_dead_registry_is_one_line_and_the_fix(env: dict[str, str], registry: LocalRegistry, tmp_path: Path) -> None:
    with LocalRegistry(tmp_path / "storage") as dead:
        address = dead.address
    finished = gpudoctor_run(("--tf", "1.15", "--gpus", "none", "--registry", f"{address}/nvidia", "--", "true"), env)
    text = _refused(finished)
    assert f"the registry {address} cannot be reached" in text
    assert "check the network, proxy or mirror" in text


def test_a_tag_that_the_registry_lacks_is_one_line_and_the_fix(env: dict[str, str], registry: LocalRegistry) -> None:
    options = ("--tag", "21.10-tf1-py3", "--gpus", "none", "--registry", f"{registry.address}/nvidia")
    text = _refused(gpudoctor_run((*options, "--", "true"), env))
    assert f"{registry.address} holds no nvidia/tensorflow:21.10-tf1-py3" in text


def test_an_absent_engine_is_one_line_and_the_fix(tmp_path: Path) -> None:
    env = environment(f"unix://{tmp_path}/nowhere.sock")
    text = _refused(gpudoctor_run(("--tf", "1.15", "--gpus", "none", "--", "true"), env))
    assert "no container engine answers" in text
    assert "systemctl start docker" in text


def test_an_engine_address_that_is_none_is_one_line_and_the_fix(env: dict[str, str]) -> None:
    options = ("--tf", "1.15", "--gpus", "none", "--", "true")
    text = _refused(gpudoctor_run(options, {**env, "DOCKER_HOST": "garbage"}))
    assert "the engine at garbage does not answer" in text
    assert "DOCKER_HOST=unix://" in text


def test_a_forbidden_socket_is_one_line_and_the_fix(engine: Engine, env: dict[str, str]) -> None:
    if os.getuid() != 0 or not isinstance(engine, PrivateEngine):
        cannot("only root can hand the socket of a private engine to somebody else")
    before = engine.socket_path.stat()
    os.chown(engine.socket_path, 65534, 65534)
    engine.socket_path.chmod(0o600)
    try:
        options = ("--tf", "1.15", "--gpus", "none", "--", "true")
        finished = gpudoctor_run(options, env, before=WITHOUT_ROOTS_RIGHTS)
    finally:
        os.chown(engine.socket_path, before.st_uid, before.st_gid)
        engine.socket_path.chmod(before.st_mode & 0o777)
    text = _refused(finished)
    assert "this user may not use the container engine" in text
    assert "usermod -aG docker" in text


def test_a_disk_too_small_is_known_before_the_pull(registry: LocalRegistry, tmp_path: Path) -> None:
    with small_data_root(300 << 20) as data_root, PrivateEngine(data_root=data_root) as engine:
        options = ("--tf", "1.15", "--gpus", "none", "--registry", f"{registry.address}/nvidia")
        finished = gpudoctor_run((*options, "--", "true"), environment(engine.docker_host, HOME=str(tmp_path)))
        text = _refused(finished)
        assert re.search(r"needs about 7\d\d MB while it is pulled, and 3\d\d MB are free below", text)
        assert "docker image prune" in text
        assert b"pulling" not in finished.stderr


def test_an_engine_that_dies_is_told_from_a_command_that_ends(registry: LocalRegistry, tmp_path: Path) -> None:
    with PrivateEngine() as engine:
        env = environment(engine.docker_host, HOME=str(tmp_path))
        options = ("--tag", TINY_TAG, "--registry", f"{registry.address}/tiny", "--gpus", "none", "--smoke", "off")
        with started((*options, "--", "sh", "-c", "echo ready; sleep 1000"), env) as run:
            assert run.process.stdout is not None
            run.wait_for(b"ready", run.process.stdout.fileno())
            engine.crash()
            assert run.end() == 125
            run.output += run.process.stdout.read()
    said = bytes(run.output).decode()
    assert "the engine was lost while the container ran" in said
    assert "could not be removed" in said
    assert "Traceback" not in said


def test_pull_never_does_not_pull(env: dict[str, str], registry: LocalRegistry, engine: Engine) -> None:
    options = ("--tag", "20.12-tf1-py3", "--gpus", "none", "--registry", f"{registry.address}/tiny", "--pull", "never")
    remove_image(engine.docker_host, registry.reference("tiny/tensorflow", TINY_TAG))
    finished = gpudoctor_run((*options, "--smoke", "off", "--", "true"), env)
    assert "is not on this machine, and --pull never forbids to fetch it" in _refused(finished)


def test_an_image_without_python_is_not_started_unproved(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    finished = gpudoctor_run((*tiny[:-2], "--", "echo", "the command ran"), env)
    text = _refused(finished)
    assert "has no python to run the smoke test with" in text
    assert finished.stdout == b""


def test_the_reason_stands_in_the_report_too(env: dict[str, str], registry: LocalRegistry, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("--tag", "21.10-tf1-py3", "--gpus", "none", "--registry", f"{registry.address}/nvidia")
    finished = gpudoctor_run((*options, "--report", str(report), "--", "true"), env)
    written = json.loads(report.read_text())
    assert f"gpudoctor: {written['reason']}" == faults(finished)[0]
    assert written["container"] is None


# --- Without an engine ---


def test_dry_run_prints_a_line_that_does_the_same(tiny: tuple[str, ...], env: dict[str, str]) -> None:
    awkward = "it's $HOME & more"
    finished = gpudoctor_run((*tiny, "--dry-run", "--", "printf", "%s", awkward), env)
    assert finished.returncode == 0
    line = finished.stdout.decode().strip()
    assert "--ipc=host --ulimit memlock=-1 --ulimit stack=67108864" in line
    # Not every kernel grants the limit that NVIDIA asks for; the launcher drops it then, a pasted line cannot.
    pasted = shlex.split(line.replace("--ulimit memlock=-1 ", ""))
    again = subprocess.run(pasted, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr.decode()
    assert again.stdout.decode() == awkward
