"""gpudoctor check, as a process, on test machines that the real probe reads."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gpudoctor
from gpudoctor.document import encode
from gpudoctor.facts import Facts
from gpudoctor.render import to_json
from tests import golden
from tests.fakes import facts_of, pci_gpu
from tests.machines import Entry, Machine, Stage
from tests.real.cannot import cannot
from tests.users import NOBODY

HEALTHY = ("a100-450", "h100-580", "rtx3090-455", "t4-470")

# Root cause of each sick machine, and what follows from it.
SICK: Mapping[str, tuple[str, set[str]]] = {
    "driver-library-mismatch": ("driver-library-mismatch", {"cuda-init-failed"}),
    "driver-not-loaded": ("driver-not-loaded", {"cuda-init-failed"}),
    "none": ("gpu-none-present", set()),
    "nouveau-bound": ("driver-nouveau-bound", {"driver-not-loaded", "cuda-init-failed"}),
    "toolkit-missing": ("container-toolkit-missing", set()),
    "uvm-missing": ("driver-uvm-missing", {"cuda-init-failed"}),
}

# A disk that holds every image, so that the one under the tests decides nothing.
_ROOMY_BYTES = 500_000_000_000


def staged(
    name: str,
    *,
    nvml: str | None = None,
    more: Mapping[str, str] | None = None,
    gone: tuple[str, ...] = (),
    **parts: Any,
) -> Machine:
    """A test machine with other NVML data, more files, fewer files."""
    machine = Machine.load(name)
    kept = {
        path: entry
        for path, entry in machine.entries.items()
        if not any(path == one or path.startswith(f"{one}/") for one in gone)
    }
    added = {path: Entry(kind="file", text=text) for path, text in (more or {}).items()}
    return replace(machine, entries={**kept, **added}, nvml=machine.nvml if nvml is None else nvml, **parts)


def check(machine: str | Machine, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`gpudoctor check` there."""
    with (Machine.load(machine) if isinstance(machine, str) else machine).stage() as stage:
        done = with_environ(stage, environ).run("check", *arguments)
    assert "Traceback" not in done.stderr
    return done


def with_environ(stage: Stage, environ: Mapping[str, str]) -> Stage:
    """The stage with more variables."""
    return replace(stage, environment={**stage.environment, **environ})


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What it printed, and nothing but that, as JSON."""
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["schema"] == "gpudoctor.check/1"
    return found


def errors(found: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Check and cause of every error."""
    return [
        (result["check"], finding["caused_by"])
        for result in found["results"]
        for finding in result["findings"]
        if finding["severity"] == "error"
    ]


def result_of(found: Mapping[str, Any], name: str) -> Any:
    """What one check said."""
    (one,) = (result for result in found["results"] if result["check"] == name)
    return one


# --- The machines ---


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_machine_has_no_error_and_exits_0(name: str) -> None:
    done = check(name, "--format", "json")
    assert done.returncode == 0
    found = document(done)
    assert errors(found) == []
    assert {result["outcome"] for result in found["results"]} <= {"passed", "not_applicable"}
    assert found["runnable"]


@pytest.mark.parametrize("name", SICK)
def test_a_sick_machine_exits_1_with_its_root_cause_and_folds_the_rest(name: str) -> None:
    root, consequences = SICK[name]
    done = check(name, "--format", "json")
    assert done.returncode == 1
    found = document(done)
    assert found["outcome"] == "failed"
    assert sorted(errors(found), key=str) == sorted([(root, None), *((one, root) for one in consequences)], key=str)
    for result in found["results"]:
        if result["outcome"] == "unknown":
            assert result["explained_by"] == root


@pytest.mark.parametrize("name", SICK)
def test_the_first_line_of_the_text_is_what_to_mend_first(name: str) -> None:
    lines = check(name).stdout.splitlines()
    assert lines[2].startswith("✗ ")
    assert f"[{SICK[name][0]}]" in " ".join(lines[2:4])
    assert len([line for line in lines if line.startswith("✗")]) == 1


def test_a_machine_without_gpu_is_not_told_that_its_driver_is_not_loaded() -> None:
    done = check("none")
    assert done.returncode == 1
    assert "✗ GPU         this machine has no NVIDIA GPU" in done.stdout
    assert "not loaded" not in done.stdout
    assert "✗ Driver" not in done.stdout


def saved(stage: Stage) -> dict[str, Any]:
    """The machine's facts, with what belongs to the machine under the tests put into its place."""
    facts: dict[str, Any] = json.loads(stage.run("probe").stdout)
    facts["system"].update(architecture="x86_64", shm_bytes=16 << 30, memlock_limit_bytes=8 << 20)
    if facts["engine"]["data_root_free_bytes"] is not None:
        facts["engine"]["data_root_free_bytes"] = _ROOMY_BYTES
    return facts


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*((name, ()) for name in (*HEALTHY, *SICK)), ("uvm-missing", ("-v",)), ("toolkit-missing", ("-q",))],
    ids=lambda value: "".join(value) if isinstance(value, tuple) else value,
)
def test_the_whole_text_is_as_it_was_agreed(
    name: str, arguments: tuple[str, ...], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    with Machine.load(name).stage() as stage:
        path = tmp_path / "facts.json"
        path.write_text(json.dumps(saved(stage)))
        done = stage.run("check", "--facts", str(path), *arguments)
    text = done.stdout.replace(f"gpudoctor {gpudoctor.__version__} on", "gpudoctor VERSION on")
    golden.compare(f"check/{name}{''.join(arguments)}.txt", text, pytestconfig)


# --- Saved facts ---


# Of every other machine tests/machines/test_zoo.py shows it, within one process.
@pytest.mark.parametrize("name", ["h100-580", "driver-library-mismatch"])
def test_saved_facts_give_the_verdict_of_the_live_machine(name: str, tmp_path: Path) -> None:
    with Machine.load(name).stage() as stage:
        live = stage.run("check", "--format", "json")
        path = tmp_path / "facts.json"
        path.write_text(stage.run("probe").stdout)
    # Elsewhere: no stand-in, no root, no engine.
    later = run("check", "--facts", str(path), "--format", "json")
    assert later.returncode == live.returncode
    assert _without_free_bytes(json.loads(later.stdout)) == _without_free_bytes(json.loads(live.stdout))


def _without_free_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """The disk under the tests fills and empties meanwhile."""
    return {**found, "results": [one for one in found["results"] if one["check"] != "container-disk-full"]}


def run(*arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[str]:
    """gpudoctor as a process on the machine under the tests."""
    done = subprocess.run(
        (sys.executable, "-m", "gpudoctor", *arguments),
        input=stdin,
        capture_output=True,
        env={**os.environ, **environ},
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def facts_json(facts: Facts | None = None) -> bytes:
    """Facts as probe prints them."""
    return to_json.dumps(to_json.facts(facts or facts_of())).encode()


def test_facts_come_through_a_pipe() -> None:
    done = run("check", "--facts", "-", stdin=facts_json())
    assert (done.returncode, done.stderr) == (0, "")
    assert "on workstation (Ubuntu" in done.stdout


def _broken() -> Iterator[tuple[str, bytes, str]]:
    good = encode(facts_of())
    head = {"schema": "gpudoctor.probe/1", "version": "0"}
    yield "empty", b"", "standard input:1: not JSON"
    yield "truncated", facts_json()[:500], "not JSON"
    yield "binary", bytes(range(256)), "not JSON"
    yield "a list", b"[]", "schema: expected"
    yield "another schema", b'{"schema": "gpudoctor.check/1"}', "schema: expected"
    yield "nothing else", json.dumps(head).encode(), "probed_at: missing"
    yield "null", json.dumps({**head, **good, "gpus": None}).encode(), "gpus: null, and unread does not say why"
    system = {**good["system"], "wsl": "no"}
    yield "wrong kind", json.dumps({**head, **good, "system": system}).encode(), "system.wsl: expected true or false"
    yield "deep", b"[" * 1_000_000, "not JSON"


@pytest.mark.parametrize(("name", "text", "words"), list(_broken()), ids=[one[0] for one in _broken()])
def test_broken_facts_exit_2_with_the_place_in_one_line(name: str, text: bytes, words: str) -> None:
    done = run("check", "--facts", "-", stdin=text)
    assert (done.returncode, done.stdout) == (2, "")
    first, *hint = done.stderr.splitlines()
    assert first.startswith("gpudoctor: standard input")
    assert words in first
    assert len(hint) <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--facts", "/no/such/file"), "/no/such/file: cannot be read: No such file"),
        (("--facts", "/"), "cannot be read: Is a directory"),
        (("--host-root", "/no/such/folder"), "--host-root /no/such/folder: no such folder"),
        (("--host-root", "/etc/passwd"), "no such folder"),
        (("--timeout", "0"), "--timeout"),
        (("--timeout", "soon"), "--timeout"),
        (("--format", "yaml"), "--format"),
        (("--driver", "banana", "--gpu", "8.6"), "--driver: "),
        (("--gpu", "Voodoo 2", "--driver", "535.129.03"), "Voodoo 2"),
        (("surplus",), "unexpected extra argument"),
        (("--wrong",), "--wrong"),
    ],
)
def test_bad_input_exits_2_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = run("check", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    first, *hint = done.stderr.splitlines()
    assert first.startswith("gpudoctor: ")
    assert words in first
    assert len(hint) <= 1


# --- What could not be read ---


def failing(statement: str) -> Machine:
    """A healthy machine whose NVML fails."""
    return staged("rtx3090-455", nvml=f"{statement}\n{Machine.load('rtx3090-455').nvml}")


def test_nvml_that_fails_on_a_host_with_gpu_and_module_exits_3() -> None:
    done = check(failing("return nvmlInit* = 999"))
    assert done.returncode == 3
    assert "NVML_ERROR_UNKNOWN 999" in done.stdout
    assert "Could not look" in done.stdout


def test_quiet_still_says_why_it_exits_3() -> None:
    done = check(failing("return nvmlInit* = 999"), "-q")
    assert done.returncode == 3
    assert done.stdout.count("999") == 1


@pytest.mark.parametrize(("code", "exit_code"), [(15, 1), (17, 3), (999, 3)])
def test_a_gpu_that_stops_answering_is_named_and_decides(code: int, exit_code: int) -> None:
    text = (Machine.load("h100-580").nvml or "").replace("[gpu 3]\n", f"[gpu 3]\nreturn * = {code}\n", 1)
    done = check(staged("h100-580", nvml=text), "--format", "json")
    assert done.returncode == exit_code
    found = document(done)
    if exit_code == 3:
        assert result_of(found, "gpu-not-listed")["unread"]["code"] == code
    else:  # this code says what is wrong
        assert errors(found) == [("gpu-fallen-off-bus", None)]
        assert "GPU 3" in result_of(found, "gpu-fallen-off-bus")["findings"][0]["message"]


def test_nvml_that_hangs_exits_3_within_the_time_limit() -> None:
    begun = time.monotonic()
    done = check(failing("hang nvmlInit*"), "--timeout", "2")
    assert done.returncode == 3
    assert "! Driver the driver did not answer nvmlInitWithFlags in time" in " ".join(
        done.stdout.splitlines()[2].split()
    )
    assert "nvmlInitWithFlags → no answer within" in " ".join(done.stdout.split())
    assert time.monotonic() - begun < 8


@contextlib.contextmanager
def hung_engine(folder: Path) -> Iterator[str]:
    """DOCKER_HOST of an engine that takes connections and says nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(folder / "hung.sock"))
        server.listen()
        yield f"unix://{folder}/hung.sock"


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--engine",), 3), (("--strict",), 3)])
def test_an_engine_that_hangs_is_named_and_decides_only_where_it_is_wanted(
    arguments: tuple[str, ...], code: int
) -> None:
    with Machine.load("rtx3090-455").stage() as stage, hung_engine(stage.root.parent) as host:
        done = with_environ(stage, {"DOCKER_HOST": host}).run("check", "--timeout", "3", *arguments)
    assert done.returncode == code, done.stdout
    assert "whether a container engine answers" in " ".join(done.stdout.split())
    # The GPU was asked all the same.
    assert "GeForce RTX 3090" in done.stdout


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--engine",), 1), (("--strict",), 0)])
def test_no_engine_is_an_error_only_where_it_is_wanted(arguments: tuple[str, ...], code: int) -> None:
    done = check(staged("rtx3090-455", engine=None), *arguments)
    assert done.returncode == code
    said = " ".join(done.stdout.split())
    assert "no container engine answers: Docker is installed and does not run [container-engine-unreachable]" in said


def unprivileged() -> tuple[str, ...]:
    """What makes a command run as a user who owns nothing; root may use every socket.

    Reading is left to it: the interpreter may stand in root's home.
    """
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        cannot("no setpriv to become another user with")
    capability = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *capability)


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--engine",), 1), (("--strict",), 3)])
def test_a_healthy_desktop_without_the_right_to_its_engine_exits_0_and_names_it(
    arguments: tuple[str, ...], code: int
) -> None:
    with Machine.load("rtx3090-455").stage() as stage:
        Path(stage.environment["DOCKER_HOST"].removeprefix("unix://")).chmod(0)
        done = subprocess.run(
            (*unprivileged(), sys.executable, "-m", "gpudoctor", "check", *stage.arguments, *arguments),
            env={**stage.environment, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == code, done.stderr
    assert "this user may not use the container engine" in done.stdout
    assert "GeForce RTX 3090" in done.stdout
    assert ("Nothing wrong." in done.stdout) is (code == 0)


def test_a_warning_counts_under_strict_alone() -> None:
    assert check("gpu-power-brake").returncode == 0
    done = check("gpu-power-brake", "--strict")
    assert done.returncode == 1
    assert done.stdout.endswith("1 warning: too much for --strict.\n")


# --- Healthy, though it looks otherwise ---


def _healthy(facts: Facts, *arguments: str) -> dict[str, Any]:
    done = run("check", "--facts", "-", "--format", "json", *arguments, stdin=facts_json(facts))
    assert done.returncode == 0, done.stdout
    found = document(done)
    assert errors(found) == []
    return found


def test_a_gpu_that_a_virtual_machine_has_is_not_missed() -> None:
    machine = staged("rtx3090-455")
    base = "sys/devices/pci0000:00/0000:0b:00.0"
    more = {
        f"{base}/vendor": Entry(kind="file", text="0x10de\n"),
        f"{base}/device": Entry(kind="file", text="0x2204\n"),
        f"{base}/class": Entry(kind="file", text="0x030000\n"),
        f"{base}/driver": Entry(kind="link", text="../../../bus/pci/drivers/vfio-pci"),
        "sys/bus/pci/drivers/vfio-pci": Entry(kind="folder"),
        "sys/bus/pci/devices/0000:0b:00.0": Entry(kind="link", text=f"../../../devices/pci0000:00/{base[-12:]}"),
    }
    done = check(replace(machine, entries={**machine.entries, **more}), "--format", "json")
    assert (done.returncode, errors(document(done))) == (0, [])


def test_a_device_node_that_nvidia_modprobe_will_make_is_no_error() -> None:
    done = check(staged("rtx3090-455", gone=("dev/nvidia-uvm",)), "--format", "json")
    # gpudoctor itself asked for CUDA, which had it made.
    assert (done.returncode, document(done)["outcome"]) == (0, "passed")


def test_wsl_with_a_gpu_of_windows_is_healthy() -> None:
    done = check("wsl2-rtx4070", "--format", "json")
    found = document(done)
    assert (done.returncode, errors(found), found["host"]["wsl"]) == (0, [], True)


@pytest.mark.parametrize("node", ["dev/nvhost-gpu", None])
def test_a_jetson_without_nvml_is_healthy(node: str | None) -> None:
    gone = ("proc/driver", "sys/module/nvidia", "sys/bus/pci", "dev/nvidia0", "dev/nvidiactl", "dev/nvidia-uvm")
    more = {"etc/nv_tegra_release": "# R35 (release), REVISION: 4.1\n", "proc/modules": "" if node else "nvgpu 1 0\n"}
    machine = replace(staged("rtx3090-455", gone=gone, more=more), nvml=None)
    shown = {"sys/bus/platform": Entry(kind="folder")}
    if node:
        shown[node] = Entry(kind="link", text="/dev/null")
    done = check(replace(machine, entries={**machine.entries, **shown}))
    assert done.returncode == 0, done.stdout
    assert "Jetson)" in done.stdout.splitlines()[0]
    assert "✗" not in done.stdout


def test_a_container_that_was_given_one_of_eight_gpus_is_healthy() -> None:
    bus = tuple(pci_gpu(index) for index in range(8))
    _healthy(facts_of(system={"container": "docker"}, pci_gpus=bus))


def test_mig_is_healthy() -> None:
    text = (Machine.load("a100-450").nvml or "").replace("mig_mode = 0", "mig_mode = 1", 1)
    text = text.replace("max_mig_devices = 0", "max_mig_devices = 7", 1)
    instance = "uuid = MIG-1f4bade7-562e-4ed9-85a7-9972ed9eed2b\nmemory_total = 4864 MiB\n"
    text += f"\n[mig 0.0]\nname = A100-SXM4-40GB MIG 1g.5gb\n{instance}"
    done = check(staged("a100-450", nvml=text), "--format", "json")
    assert (done.returncode, errors(document(done))) == (0, [])


# --- What-if ---


@pytest.mark.parametrize(("gpu", "driver", "code"), [("RTX 3090", "455.45.01", 0), ("RTX 5090", "550.54.14", 1)])
def test_a_host_that_is_thought_of_is_judged_by_its_images_alone(gpu: str, driver: str, code: int) -> None:
    done = run("check", "--driver", driver, "--gpu", gpu, "--format", "json")
    assert done.returncode == code
    found = document(done)
    assert (found["results"], found["host"]["what_if"]) == ([], True)


# --- Formats and files ---

BRAKING = golden.FOLDER / "machines/gpu-power-brake.json"


@pytest.mark.parametrize("format_", ["text", "json", "junit", "sarif", "prometheus", "markdown"])
def test_a_report_goes_into_the_named_file_and_nowhere_else(format_: str, tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.write_text("of yesterday")
    asked = ("check", "--facts", str(BRAKING), "--format", format_)
    shown, written = run(*asked), run(*asked, "--output", str(target))
    assert (written.returncode, written.stdout, written.stderr) == (shown.returncode, "", "")
    assert target.read_text() == shown.stdout
    assert list(tmp_path.iterdir()) == [target], "nothing half-written stays behind"


def test_an_empty_report_leaves_no_report_of_yesterday(tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.write_text("of yesterday")
    assert run("check", "--facts", "-", "-q", "--output", str(target), stdin=facts_json()).returncode == 0
    assert target.read_text().strip() == ""


@pytest.mark.parametrize(("place", "words"), [("", "is a directory"), ("no/such/folder/report", "No such file")])
@pytest.mark.parametrize("format_", ["text", "prometheus"])
def test_an_output_that_cannot_be_written_exits_2_in_one_line(
    format_: str, place: str, words: str, tmp_path: Path
) -> None:
    target = tmp_path / place
    done = run("check", "--facts", "-", "--format", format_, "--output", str(target), stdin=facts_json())
    assert (done.returncode, done.stdout) == (2, "")
    first, *hint = done.stderr.splitlines()
    assert first.startswith("gpudoctor: ")
    assert [word for word in ("--output", str(target), words) if word not in first] == []
    assert len(hint) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", ["text", "json", "junit", "sarif", "prometheus", "markdown"])
def test_redacted_reports_name_neither_host_nor_gpu(format_: str) -> None:
    saved_facts = json.loads(BRAKING.read_text())
    secrets = [saved_facts["system"]["hostname"], *(gpu["uuid"] for gpu in saved_facts["gpus"])]
    asked = ("check", "--facts", str(BRAKING), "--format", format_, "-v")
    plain, hidden = run(*asked).stdout, run(*asked, "--redact").stdout
    assert [secret for secret in secrets if secret in plain]
    assert [secret for secret in secrets if secret in hidden] == []
    assert "gpu-power-brake" in hidden


def test_quiet_says_only_what_is_wrong_and_takes_nothing_from_what_programs_read() -> None:
    asked = ("check", "--facts", str(BRAKING))
    lines = run(*asked, "--quiet").stdout.splitlines()
    assert lines[0].startswith("! GPU         each of GPUs 0 to 3")
    assert all(line.startswith(" ") for line in lines[1:])
    for format_ in ("json", "prometheus"):
        assert run(*asked, "--format", format_, "--quiet").stdout == run(*asked, "--format", format_).stdout


# --- Terminals ---

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(*arguments: str, **environ: str) -> str:
    """What gpudoctor check writes to a terminal that calls itself xterm."""
    with Machine.load("toolkit-missing").stage() as stage:
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            (sys.executable, "-m", "gpudoctor", "check", *stage.arguments, *arguments),
            env={**_plain(stage.environment), "TERM": "xterm-256color", **environ},
            stdin=subprocess.DEVNULL,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        text = b""
        while select.select([leader], [], [], 60)[0]:
            try:
                text += os.read(leader, 65536)
            except OSError:
                break  # Linux reports the end of a terminal as an error
        os.close(leader)
        assert process.wait(60) == 1
    return text.decode().replace("\r\n", "\n")


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name != "NO_COLOR"}


def test_a_terminal_gets_colours_and_the_same_words() -> None:
    text = on_a_terminal()
    assert "\x1b[31m✗" in text
    assert ESCAPE.sub("", text) == on_a_terminal("--no-color")


@pytest.mark.parametrize(
    ("arguments", "environ"), [(("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})]
)
def test_colours_can_be_turned_off(arguments: tuple[str, ...], environ: Mapping[str, str]) -> None:
    assert "\x1b" not in on_a_terminal(*arguments, **environ)


def test_an_empty_no_color_turns_nothing_off() -> None:
    assert "\x1b" in on_a_terminal(NO_COLOR="")


def test_what_is_no_terminal_gets_no_escape_codes() -> None:
    assert "\x1b" not in check("toolkit-missing", "-v", TERM="xterm-256color").stdout


@pytest.mark.parametrize(("encoding", "mark"), [("latin-1", "x GPU"), ("koi8-r", "x GPU"), ("utf-8", "✗ GPU")])
def test_a_terminal_of_another_encoding_gets_the_nearest_marks(encoding: str, mark: str) -> None:
    with Machine.load("none").stage() as stage:
        done = subprocess.run(
            (sys.executable, "-m", "gpudoctor", "check", *stage.arguments),
            env={**stage.environment, "PYTHONIOENCODING": encoding},
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")
    assert mark in done.stdout.decode(encoding)


def test_a_reader_that_is_gone_gets_no_traceback() -> None:
    with Machine.load("none").stage() as stage:
        command = f"{sys.executable} -m gpudoctor check --host-root {stage.root} -v | head -n 1"
        done = subprocess.run(
            ("sh", "-c", command), env=dict(stage.environment), capture_output=True, text=True, timeout=60, check=False
        )
    assert done.stdout.startswith("gpudoctor ")
    assert done.stderr == ""
