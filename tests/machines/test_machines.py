"""The test machines themselves: their files, their NVML and their engine, seen by the real probe."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpudoctor.document import decode
from gpudoctor.probe import containers, kernel
from gpudoctor.probe.nvml import NvmlFacts
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests.machines import FOLDER, Entry, Machine, Stage, lay_out, names
from tests.nvml import standin

ROOT = Path(__file__).parents[2]

# driver, CUDA of the driver, GPUs: name, compute capability, brand
HEALTHY = {
    "a100-450": ("450.80.02", "11.0", 8, "A100-SXM4-40GB", "8.0", "tesla"),
    "h100-580": ("580.95.05", "13.0", 8, "NVIDIA H100 80GB HBM3", "9.0", "nvidia"),
    "rtx3090-455": ("455.45.01", "11.1", 1, "GeForce RTX 3090", "8.6", "geforce"),
    "t4-470": ("470.256.02", "11.4", 1, "Tesla T4", "7.5", "nvidia"),
    "toolkit-missing": ("455.45.01", "11.1", 1, "GeForce RTX 3090", "8.6", "geforce"),
    "uvm-missing": ("455.45.01", "11.1", 1, "GeForce RTX 3090", "8.6", "geforce"),
}

REFUSED = {
    "driver-library-mismatch": (Why.FAILED, 18),
    "driver-not-loaded": (Why.FAILED, 9),
    "none": (Why.ABSENT, 12),
    "nouveau-bound": (Why.FAILED, 9),
}
"""Machines whose NVML answers nothing, with its reason."""


def nvml_facts(stage: Stage) -> NvmlFacts:
    data = stage.environment.get("GPUDOCTOR_NVML_DATA", os.devnull)
    ended = subprocess.run(
        (sys.executable, "-m", "tests.nvml.ask", "20", data),
        env=dict(stage.environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    return decode(NvmlFacts, json.loads(ended.stdout)["facts"])


def world(stage: Stage) -> World:
    return World(root=stage.root, environ=stage.environment, deadline=time.monotonic() + 20)


def shown(reading: Reading[object]) -> str:
    assert not isinstance(reading, Unread)
    return str(reading)


def test_every_machine_that_is_expected_exists() -> None:
    assert set(names()) >= HEALTHY.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", HEALTHY)
def test_nvml_of_a_machine_tells_its_driver_and_gpus(name: str) -> None:
    driver, cuda, count, gpu_name, capability, brand = HEALTHY[name]
    with Machine.load(name).stage() as stage:
        facts = nvml_facts(stage)
    assert (shown(facts.driver_version), shown(facts.driver_cuda_version)) == (driver, cuda)
    assert not isinstance(facts.gpus, Unread)
    assert {(gpu.name, shown(gpu.compute_capability), gpu.brand) for gpu in facts.gpus} == {
        (gpu_name, capability, brand)
    }
    assert len({shown(gpu.uuid) for gpu in facts.gpus}) == len(facts.gpus) == count


@pytest.mark.parametrize("name", REFUSED)
def test_nvml_of_a_sick_machine_refuses_with_its_code(name: str) -> None:
    why, code = REFUSED[name]
    with Machine.load(name).stage() as stage:
        refused = nvml_facts(stage).gpus
    assert isinstance(refused, Unread)
    assert (refused.why, refused.code) == (why, code)


@pytest.mark.parametrize("name", [*HEALTHY, *REFUSED])
def test_files_and_nvml_of_a_machine_agree(name: str) -> None:
    with Machine.load(name).stage() as stage:
        from_files = kernel.probe(world(stage))
        from_nvml = nvml_facts(stage)
    assert not isinstance(from_files.pci_gpus, Unread)
    assert not isinstance(from_files.device_nodes, Unread)
    nodes = [node for node in from_files.device_nodes if node[len("/dev/nvidia") :].isdigit()]
    if isinstance(from_nvml.gpus, Unread):
        return
    assert {gpu.pci_address for gpu in from_nvml.gpus} == {gpu.address for gpu in from_files.pci_gpus}
    assert {gpu.driver for gpu in from_files.pci_gpus} == {"nvidia"}
    assert len(nodes) == len(from_nvml.gpus)
    assert from_files.module_version == from_nvml.driver_version


def test_the_sick_machines_show_what_they_are_named_for() -> None:
    with Machine.load("uvm-missing").stage() as stage:
        facts = kernel.probe(world(stage))
        assert "nvidia_uvm" not in shown(facts.modules)
        assert "nvidia-uvm" not in shown(facts.device_nodes)
    with Machine.load("nouveau-bound").stage() as stage:
        facts = kernel.probe(world(stage))
        assert not isinstance(facts.pci_gpus, Unread)
        assert [gpu.driver for gpu in facts.pci_gpus] == ["nouveau"]
    with Machine.load("driver-not-loaded").stage() as stage:
        facts = kernel.probe(world(stage))
        assert not isinstance(facts.pci_gpus, Unread)
        assert [gpu.driver for gpu in facts.pci_gpus] == [""]
        assert isinstance(facts.module_version, Unread)
    with Machine.load("driver-library-mismatch").stage() as stage:
        library = stage.root / "usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
        assert library.resolve().name == "libnvidia-ml.so.535.161.07"
        assert shown(kernel.probe(world(stage)).module_version) == "535.129.03"


def test_the_engines_of_the_machines_answer_the_real_probe() -> None:
    for name in (*HEALTHY, *REFUSED):
        with Machine.load(name).stage() as stage:
            engine = containers.probe(world(stage))
        assert not isinstance(engine.runtimes, Unread)
        assert ("nvidia" in engine.runtimes) == (name not in ("none", "toolkit-missing"))
        assert not isinstance(engine.cdi_devices, Unread)
        assert ("nvidia.com/gpu=all" in engine.cdi_devices) == (name == "h100-580")


def _get(path: Path, request: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(str(path))
    try:
        connection.request("GET", request)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_an_engine_answers_with_and_without_the_api_version_and_is_gone_afterwards() -> None:
    machine = Machine.load("h100-580")
    with machine.stage() as stage:
        path = Path(stage.environment["DOCKER_HOST"].removeprefix("unix://"))
        assert _get(path, "/_ping") == (200, b"OK")
        assert (
            _get(path, "/v1.51/info")
            == _get(path, "/info")
            == (200, (FOLDER / "h100-580/engine-info.json").read_bytes())
        )
        assert _get(path, "/v1.51/version")[0] == 200
        assert _get(path, "/v1.51/images/json")[0] == 404
        root = stage.root
    assert not path.exists()
    assert not root.exists()


def test_a_machine_sees_nothing_of_the_host_that_runs_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "DOCKER_CONTEXT", "SLURM_JOB_ID", "LD_PRELOAD"):
        monkeypatch.setenv(name, "")
    with Machine.load("none").stage() as stage:
        assert not {"CUDA_VISIBLE_DEVICES", "DOCKER_CONTEXT", "SLURM_JOB_ID", "LD_PRELOAD"} & stage.environment.keys()
        assert stage.environment["HOME"] != os.environ.get("HOME")


def test_a_library_of_the_host_is_hidden_from_a_machine_without_one(tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text(standin.describe(1), encoding="utf-8")
    with Machine.load("none").stage() as stage:
        # As if this machine had a driver of its own.
        seen = Stage(root=stage.root, environment=standin.environment(data) | dict(stage.environment))
        assert isinstance(nvml_facts(seen).gpus, Unread)


# --- host.txt ---


def load(folder: Path, text: str, **others: str) -> Machine:
    for name, content in {"it": text, **others}.items():
        (folder / name).mkdir()
        (folder / name / "host.txt").write_text(content, encoding="utf-8")
    return Machine.load("it", folder)


def test_every_statement_is_laid_out_as_it_says(tmp_path: Path) -> None:
    text = (
        "# comment\n\nfile etc/a\n| one\n|\n|   two\nfile etc/empty\nvalue etc/v = x = y\nfolder dev/shm\n"
        "link etc/l -> a\nchar dev/nvidia0\nprogram usr/bin/p\npci 0000:0a:00.0 10de:2204 0x030000 nvidia\n"
    )
    root = tmp_path / "root"
    lay_out(load(tmp_path, text).entries, root)
    assert (root / "etc/a").read_text() == (root / "etc/l").read_text() == "one\n\n  two\n"
    assert (root / "etc/empty").read_text() == ""
    assert (root / "etc/v").read_text() == "x = y\n"
    assert (root / "dev/shm").is_dir()
    assert stat.S_ISCHR((root / "dev/nvidia0").stat().st_mode)
    assert os.access(root / "usr/bin/p", os.X_OK)
    device = root / "sys/bus/pci/devices/0000:0a:00.0"
    assert (device / "vendor").read_text() == "0x10de\n"
    assert (device / "driver").resolve() == root / "sys/bus/pci/drivers/nvidia"


def test_other_bytes_than_text_and_files_that_are_forbidden_are_laid_out(tmp_path: Path) -> None:
    machine = load(tmp_path, "like base\nbytes sys/v = 0600000001\nforbidden etc/a\n", base="file etc/a\n| secret\n")
    with machine.stage() as stage:
        assert (stage.root / "sys/v").read_bytes() == b"\x06\0\0\0\x01"
        assert stat.S_IMODE((stage.root / "etc/a").stat().st_mode) == 0
        assert stage.unprivileged


def test_a_machine_that_is_like_another_has_its_files_but_for_what_it_says(tmp_path: Path) -> None:
    base = "file a/b\n| b\nfile a/c\n| c\nfile d\npci 0000:0a:00.0 10de:2204 0x030000 nvidia\n"
    text = "like base\nfile a/c\n| other\ngone d\npci 0000:0a:00.0 10de:2204 0x030000 -\n"
    (tmp_path / "base").mkdir()
    (tmp_path / "base/nvml.txt").write_text("driver_version = 1\n", encoding="utf-8")
    (tmp_path / "base/engine-info.json").write_text("{}", encoding="utf-8")
    (tmp_path / "base/host.txt").write_text(base, encoding="utf-8")
    machine = load(tmp_path, text)
    assert machine.entries["a/b"] == Entry(kind="file", text="b\n")
    assert machine.entries["a/c"] == Entry(kind="file", text="other\n")
    assert "d" not in machine.entries
    assert not any(path.endswith("/driver") for path in machine.entries)
    assert (machine.nvml, machine.engine) == ("driver_version = 1\n", {"/info": b"{}"})
    (tmp_path / "it/host.txt").write_text(text + "without nvml\nwithout engine\n", encoding="utf-8")
    bare = Machine.load("it", tmp_path)
    assert (bare.nvml, bare.engine) == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fil a\n", "host.txt:1: no statement begins with 'fil'"),
        ("file a\nfile /etc/passwd\n", "host.txt:2: '/etc/passwd' is no plain path"),
        ("file ../a\n", "is no plain path"),
        ("file\n", "is no plain path"),
        ("| text\n", "host.txt:1: text without a file"),
        ("folder a\n| text\n", "host.txt:2: text without a file"),
        ("value a\n", "expected A = B"),
        ("link a b\n", "expected A -> B"),
        ("gone a\n", "nothing there"),
        ("file a\nlike base\n", "like goes first"),
        ("without docker\n", "expected nvml, cuda or engine"),
        ("pci 0000:0a:00.0 10de2204 0x030000 -\n", "expected A:B"),
        ("pci 0000:0a:00.0\n", "host.txt:1"),
        ("bytes a = 0x06\n", "host.txt:1"),
        ("forbidden a\n", "no a there"),
    ],
)
def test_a_wrong_statement_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"host\.txt") as caught:
        load(tmp_path, text, base="file b\n")
    assert message in str(caught.value)


def test_laying_out_by_hand_never_overwrites(tmp_path: Path) -> None:
    def lay(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "tests.machines", *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    target = tmp_path / "host"
    assert lay("none", str(target)).returncode == 0
    assert (target / "etc/os-release").exists()
    again = lay("none", str(target))
    assert (again.returncode, again.stderr) == (2, f"{target} is there already\n")
    assert "machines: a100-450" in lay("nobody", str(target)).stderr
