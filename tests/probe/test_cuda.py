"""CUDA through the C stand-in library: what cuInit gives, which library it was, hangs and crashes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.document import decode
from gpudoctor.facts import CudaFacts, Facts
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import CudaVersion
from tests.machines import Machine, Stage
from tests.nvml import standin
from tests.nvml.asker import HANG_SECONDS, ROOT, survivors_of, unread

HEALTHY = "version = 12.2\ncount = 2\n"


class CudaAsker:
    """Runs the probe where LD_LIBRARY_PATH names the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.library = folder / standin.CUDA_SONAME
        shutil.copyfile(standin.cuda_library(), self.library)

    def ask(
        self, *texts: str, seconds: float = 20.0, environment: Mapping[str, str] | None = None
    ) -> tuple[tuple[CudaFacts, float], ...]:
        """The facts of each data file, and how long they took."""
        files = [self.folder / f"{number}.txt" for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "CUDA_"))}
        own = {"LD_LIBRARY_PATH": str(self.folder), "GPUDOCTOR_TEST_MARK": self.mark, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(
            (sys.executable, "-W", "error", "-m", "tests.nvml.ask", "--cuda", f"{seconds}", *map(str, files)),
            env=kept | own | dict(environment or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=ROOT,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        documents: list[dict[str, Any]] = [json.loads(line) for line in ended.stdout.splitlines()]
        assert all(document["imported"] == [] for document in documents)
        return tuple((decode(CudaFacts, document["facts"]), document["seconds"]) for document in documents)

    def ask_one(self, text: str, **more: Any) -> CudaFacts:
        """The facts of one data file."""
        ((facts, _),) = self.ask(text, **more)
        return facts

    def assert_nothing_left(self) -> None:
        """Killed processes are gone within moments."""
        give_up = time.monotonic() + 5
        while survivors_of(self.mark) and time.monotonic() < give_up:
            time.sleep(0.02)
        assert survivors_of(self.mark) == []


@pytest.fixture
def asker(tmp_path: Path) -> CudaAsker:
    return CudaAsker(tmp_path)


def test_a_healthy_cuda_tells_its_library_version_and_devices(asker: CudaAsker) -> None:
    facts = asker.ask_one(HEALTHY)
    assert facts == CudaFacts(init=True, library=str(asker.library), version=CudaVersion("12.2"), device_count=2)
    asker.assert_nothing_left()


NAMES = {
    3: "CUDA_ERROR_NOT_INITIALIZED",
    34: "CUDA_ERROR_STUB_LIBRARY",
    46: "CUDA_ERROR_DEVICE_UNAVAILABLE",
    100: "CUDA_ERROR_NO_DEVICE",
    304: "CUDA_ERROR_OPERATING_SYSTEM",
    802: "CUDA_ERROR_SYSTEM_NOT_READY",
    803: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    804: "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    805: "CUDA_ERROR_MPS_CONNECTION_FAILED",
    999: "CUDA_ERROR_UNKNOWN",
    4711: "CUresult",
}


def test_each_code_of_cuinit_is_told_with_its_name(asker: CudaAsker) -> None:
    outcomes = asker.ask(*(f"init = {code}\n{HEALTHY}" for code in NAMES))
    for (code, name), (facts, _) in zip(NAMES.items(), outcomes, strict=True):
        reason = unread(facts.init)
        assert (reason.source, reason.why, reason.code) == ("cuInit(0)", Why.FAILED, code)
        assert f"({name} {code})" in reason.detail
        assert unread(facts.device_count).why is Why.NOT_ASKED
        assert f"{code}" in unread(facts.device_count).detail
        assert (facts.version, facts.library) == (CudaVersion("12.2"), str(asker.library))


def test_the_librarys_own_words_are_told(asker: CudaAsker) -> None:
    assert unread(asker.ask_one("init = 100").init).detail.startswith("no CUDA-capable device is detected")


def test_a_stub_answers_every_call_with_its_code(asker: CudaAsker) -> None:
    facts = asker.ask_one("return cu* = 34\n")
    assert (unread(facts.init).code, unread(facts.version).code) == (34, 34)
    assert "no description (CUDA_ERROR_STUB_LIBRARY 34)" in unread(facts.init).detail


def test_no_library_is_absent_in_the_loaders_own_words(asker: CudaAsker) -> None:
    facts = asker.ask_one(HEALTHY, environment=standin.with_libraries())
    reason = unread(facts.init)
    assert (reason.source, reason.why, reason.code) == ("libcuda.so.1", Why.ABSENT, None)
    assert reason.detail == "libcuda.so.1: cannot open shared object file: No such file or directory"
    assert facts == CudaFacts(init=reason, library=reason, version=reason, device_count=reason)


def test_a_library_that_is_no_library_is_not_called_absent(asker: CudaAsker) -> None:
    asker.library.write_text("no ELF file, though long enough to hold a header of one\n" * 4)
    reason = unread(asker.ask_one(HEALTHY).init)
    assert reason.why is Why.FAILED
    assert "invalid ELF header" in reason.detail


def test_a_library_without_the_functions_is_told(asker: CudaAsker, tmp_path: Path) -> None:
    source = tmp_path / "empty.c"
    source.write_text("int unused;\n")
    subprocess.run(("cc", "-shared", "-fPIC", "-o", str(asker.library), str(source)), check=True)
    reason = unread(asker.ask_one(HEALTHY).init)
    assert reason.why is Why.UNSUPPORTED
    assert "cuInit" in reason.detail


def test_links_to_the_library_are_followed(asker: CudaAsker, tmp_path: Path) -> None:
    real = tmp_path / "a folder" / "libcuda.so.535.129.03"
    real.parent.mkdir()
    asker.library.rename(real)
    asker.library.symlink_to(real)
    assert asker.ask_one(HEALTHY).library == str(real)


@pytest.mark.parametrize(
    ("text", "field"),
    [("count = 4294967295\nversion = 12.2", "device_count"), ("count = 1\nversion = -1.0", "version")],
)
def test_a_number_that_means_nothing_is_garbled(asker: CudaAsker, text: str, field: str) -> None:
    facts = asker.ask_one(text)
    assert unread(getattr(facts, field)).why is Why.GARBLED
    assert facts.init is True


@pytest.mark.parametrize("how", ["", " = spin", " = uninterruptible", " = helper"])
def test_a_hang_ends_at_the_deadline_and_names_the_call(asker: CudaAsker, how: str) -> None:
    ((facts, seconds),) = asker.ask(f"hang cuInit{how}\n{HEALTHY}", seconds=HANG_SECONDS)
    assert HANG_SECONDS <= seconds < HANG_SECONDS + 1
    reason = unread(facts.init)
    assert (reason.source, reason.why, reason.code) == ("cuInit(0)", Why.TIMEOUT, None)
    assert "process state" in reason.detail
    assert facts.version == CudaVersion("12.2")
    assert "cuInit(0) came first" in unread(facts.device_count).detail
    asker.assert_nothing_left()


@pytest.mark.parametrize("how", ["abort", "crash"])
def test_a_crash_is_a_failed_reading(asker: CudaAsker, how: str) -> None:
    reason = unread(asker.ask_one(f"{how} cuInit\n{HEALTHY}").init)
    assert (reason.source, reason.why) == ("cuInit(0)", Why.FAILED)
    assert "library crashed" in reason.detail


# --- On a machine, beside NVML ---


def probed(stage: Stage, seconds: float = 20.0) -> tuple[Facts, float]:
    started = time.monotonic()
    ended = stage.run("probe", "--timeout", f"{seconds}")
    assert ended.stderr == ""
    return decode(Facts, json.loads(ended.stdout)), time.monotonic() - started


def cuda_of(name: str) -> CudaFacts:
    with Machine.load(name).stage() as stage:
        cuda = probed(stage)[0].cuda
    assert not isinstance(cuda, Unread)
    return cuda


def code_of(reading: Reading[Any]) -> int | None:
    return unread(reading).code


def test_cuda_of_a_machine_goes_with_its_nvml() -> None:
    assert cuda_of("h100-580") == CudaFacts(
        init=True,
        library="/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",
        version=CudaVersion("13.0"),
        device_count=8,
    )
    assert code_of(cuda_of("driver-not-loaded").init) == 100
    assert code_of(cuda_of("driver-library-mismatch").init) == 803
    assert code_of(cuda_of("uvm-missing").init) == 999
    assert unread(cuda_of("none").init).why is Why.ABSENT


def machine(nvml: str = "", cuda: str = "") -> Machine:
    healthy = Machine.load("h100-580")
    return dataclasses.replace(healthy, nvml=f"{nvml}\n{healthy.nvml}", cuda_says=cuda)


def test_a_hang_of_cuda_costs_nvml_nothing() -> None:
    with machine(cuda="hang cuInit = uninterruptible").stage() as stage:
        facts, seconds = probed(stage, 2.0)
    assert seconds < 3
    assert not isinstance(facts.gpus, Unread)
    assert len(facts.gpus) == 8
    # The last question of all was asked.
    last = [gpu.inforom_valid for gpu in facts.gpus]
    assert not any(isinstance(reading, Unread) and reading.why is Why.NOT_ASKED for reading in last)
    assert not isinstance(facts.cuda, Unread)
    assert "process state D" in unread(facts.cuda.init).detail


def test_hangs_of_both_and_of_the_engine_cost_the_limit_once(tmp_path: Path) -> None:
    import socket

    silent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    silent.bind(str(tmp_path / "engine.sock"))
    silent.listen()
    mark = uuid.uuid4().hex
    with silent, machine("hang nvmlInit* = uninterruptible", "hang cuInit = spin").stage() as stage:
        environment = {
            **stage.environment,
            "GPUDOCTOR_TEST_MARK": mark,
            "DOCKER_HOST": f"unix://{tmp_path / 'engine.sock'}",
        }
        facts, seconds = probed(Stage(root=stage.root, environment=environment), 2.0)
        assert seconds < 3
        assert unread(facts.gpus).source == "nvmlInitWithFlags"
        assert not isinstance(facts.cuda, Unread)
        assert unread(facts.cuda.init).source == "cuInit(0)"
        assert unread(facts.engine.version).why is Why.TIMEOUT
        time.sleep(0.1)
        assert survivors_of(mark) == []


def test_a_machine_says_where_its_cuda_stands_and_with_which_variables(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    folder.mkdir()
    (folder / "host.txt").write_text(
        "env LD_LIBRARY_PATH = /usr/local/cuda/compat\n"
        "env CUDA_VISIBLE_DEVICES =\n"
        "file usr/local/cuda/compat/libcuda.so.550.54.15\n"
        "link usr/local/cuda/compat/libcuda.so.1 -> libcuda.so.550.54.15\n"
        "file usr/lib/x86_64-linux-gnu/libcuda.so.1\n"
    )
    (folder / "nvml.txt").write_text(standin.describe(1))
    (folder / "cuda.txt").write_text("init = 803")
    it = Machine.load("it", tmp_path)
    with it.stage() as stage:
        assert stage.environment["CUDA_VISIBLE_DEVICES"] == ""
        assert stage.environment["LD_LIBRARY_PATH"] == "/usr/local/cuda/compat"
        cuda = probed(stage)[0].cuda
    assert not isinstance(cuda, Unread)
    assert cuda.library == "/usr/local/cuda/compat/libcuda.so.550.54.15"
    assert (code_of(cuda.init), cuda.version) == (803, CudaVersion("12.2"))
    with dataclasses.replace(it, cuda_says="library = /usr/local/cuda/lib64/stubs/libcuda.so\n").stage() as stage:
        cuda = probed(stage)[0].cuda
    assert not isinstance(cuda, Unread)
    assert cuda.library == "/usr/local/cuda/lib64/stubs/libcuda.so"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("env NAME\n", "expected NAME = VALUE"),
        ("env 1 = x\n", "expected NAME = VALUE"),
        ("env LD_AUDIT = x\n", "LD_AUDIT is the stage's own"),
    ],
)
def test_a_wrong_variable_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it/host.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        Machine.load("it", tmp_path)


def test_a_machine_like_another_keeps_its_cuda_and_its_variables_unless_it_says_otherwise(tmp_path: Path) -> None:
    for name in ("base", "same", "bare", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "base/host.txt").write_text("env TF_CPP_MIN_LOG_LEVEL = 3\n")
    (tmp_path / "base/nvml.txt").write_text(standin.describe(1))
    (tmp_path / "base/cuda.txt").write_text("init = 804\n")
    (tmp_path / "same/host.txt").write_text("like base\n")
    (tmp_path / "bare/host.txt").write_text("like base\nwithout cuda\n")
    (tmp_path / "other/host.txt").write_text("like bare\n")
    same, bare, other = (Machine.load(name, tmp_path) for name in ("same", "bare", "other"))
    assert same.cuda == Machine.load("base", tmp_path).cuda
    assert same.environment == {"TF_CPP_MIN_LOG_LEVEL": "3"}
    assert (bare.cuda, other.cuda) == (None, None)
    assert bare.nvml is not None
