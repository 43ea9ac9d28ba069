"""Interpreters that are asked where they look, and TensorFlows that are read from their files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.document import decode, encode
from gpudoctor.errors import InputError
from gpudoctor.facts import Facts, Package, PythonFacts
from gpudoctor.probe import elf, probe, python
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests.fakes import facts_of
from tests.pythons import (
    BUILD_INFO_2_18,
    BUILD_INFO_CPU,
    NAMES_OF_CUDA_12,
    distribution,
    environment,
    framework,
    library,
    tensorflow,
    wheel,
)
from tests.real.interpreters import interpreter, tensorflow_environment

ORIGINS = tuple(
    f"$ORIGIN/../nvidia/{folder}/lib" for folder in ("cuda_runtime", "cublas", "cufft", "cusparse", "cudnn")
)


def here(*, seconds: float = 20, root: Path = Path("/"), **environ: str) -> World:
    kept = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "PYTHONPATH")}
    return World(root=root, environ={**kept, **environ}, deadline=time.monotonic() + seconds)


def read(path: Path | str, world: World | None = None) -> PythonFacts:
    found = python.probe(world or here(), python.interpreter(str(path)))
    assert not isinstance(found, Unread), found
    return found


def refused(path: Path | str, world: World | None = None) -> Unread:
    found = python.probe(world or here(), python.interpreter(str(path)))
    assert isinstance(found, Unread), found
    return found


def value(reading: Reading[object]) -> object:
    return reading.why if isinstance(reading, Unread) else reading


def places(facts: PythonFacts) -> Mapping[str, tuple[str, str, str]]:
    assert not isinstance(facts.libraries, Unread), facts.libraries
    return {one.name: (one.path, one.origin, one.elsewhere) for one in facts.libraries}


# --- real TensorFlows ---


def test_tensorflow_2_21_of_pypi_is_built_for_cuda_and_brings_none() -> None:
    facts = read(tensorflow_environment("2.21.0"))
    assert (facts.version[:4], facts.platform) == ("3.11", "linux")
    assert facts.tensorflow == Package(name="tensorflow", version="2.21.0")
    assert (facts.tensorflow_gpu_build, str(facts.tensorflow_cuda), facts.tensorflow_cudnn) == (True, "12.5.1", "9")
    assert facts.tensorflow_capabilities == ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90")
    assert tuple(places(facts)) == NAMES_OF_CUDA_12
    assert not isinstance(facts.tensorflow_requires, Unread)
    assert 'nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"' in facts.tensorflow_requires
    assert {"numpy", "protobuf", "h5py", "keras"} <= {one.name for one in facts.distributions}


def test_the_search_path_of_2_21_leaves_out_the_wheel_of_cusolver() -> None:
    """https://github.com/tensorflow/tensorflow/pull/112973"""
    site = tensorflow_environment("2.21.0").parent.parent / "lib/python3.11/site-packages"
    said = elf.dynamic(here(), f"{site}/tensorflow/libtensorflow_framework.so.2")
    assert not isinstance(said, Unread)
    assert f"{site}/nvidia/cudnn/lib" in said.runpath
    assert f"{site}/nvidia/cublas/lib" in said.runpath
    assert f"{site}/nvidia/cusolver/lib" not in said.runpath
    assert said.rpath == ()
    assert "libstdc++.so.6" in said.needed


@pytest.mark.parametrize(
    ("version", "minor", "gpu_build", "cuda"),
    [("1.12.3", "3.6", False, Why.ABSENT), ("1.15.0", "2.7", True, "10"), ("2.3.4", "3.8", True, "10.1")],
)
def test_older_tensorflows_are_read_in_their_own_layouts(
    version: str, minor: str, gpu_build: bool, cuda: object
) -> None:
    facts = read(tensorflow_environment(version))
    assert facts.version.startswith(f"{minor}.")
    assert facts.platform == "linux"
    assert facts.tensorflow == Package(name="tensorflow", version=version)
    assert facts.tensorflow_gpu_build is gpu_build
    found = value(facts.tensorflow_cuda)
    assert (found if isinstance(found, Why) else str(found)) == cuda
    assert facts.conda_packages == ()


@pytest.mark.parametrize(
    ("version", "call"),
    [
        ("2.21.0", "_ZN3tsl8internal9DsoLoader22TryDlopenCUDALibrariesEv"),
        ("2.3.4", "_ZN15stream_executor8internal9DsoLoader22TryDlopenCUDALibrariesEv"),
    ],
)
def test_the_libraries_are_those_that_tensorflow_itself_opens(version: str, call: str) -> None:
    environment = tensorflow_environment(version)
    (file,) = environment.parent.parent.glob("lib/python*/site-packages/tensorflow/libtensorflow_framework.so.2")
    program = f"import ctypes; ctypes.CDLL({str(file)!r})[{call!r}](ctypes.create_string_buffer(256))"
    done = subprocess.run(
        (sys.executable, "-c", program),
        env={**os.environ, "LD_DEBUG": "libs"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-500:]
    marked = [
        line.partition("find library=")[2].split()[0] for line in done.stderr.splitlines() if "find library=" in line
    ]
    opened = {name for name in marked if name.startswith("libcu")}
    assert set(places(read(environment))) == opened


# --- how an interpreter is named ---


def test_an_environment_may_be_named_by_its_folder_and_a_program_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(tmp_path / "venv")
    own = str(tmp_path / "venv/bin/python")
    assert python.interpreter(str(tmp_path / "venv")) == own
    assert python.interpreter(own) == own
    monkeypatch.setenv("PATH", str(tmp_path / "venv/bin"))
    assert python.interpreter("python3") == str(tmp_path / "venv/bin/python3")
    monkeypatch.chdir(tmp_path)
    assert python.interpreter("venv") == own


@pytest.mark.parametrize("name", ["", "no-such-python", "/no/such/python", "a\0b", "EMPTY"])
def test_a_path_without_an_interpreter_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as refusal:
        python.interpreter(str(tmp_path) if name == "EMPTY" else name)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("--python")


# --- what is installed ---


def test_wheels_are_read_from_their_metadata(tmp_path: Path) -> None:
    site = environment(tmp_path / "venv")
    distribution(site, "tensorflow-cpu", "2.17.1", "numpy <2.0.0,>=1.23.5 ; python_version <= '3.11'", "six>=1.12")
    distribution(site, "NumPy", "1.26.4")
    distribution(site, "requests", "2.32.0")
    tensorflow(site, BUILD_INFO_CPU)
    facts = read(tmp_path / "venv")
    assert facts.distributions == (
        Package(name="numpy", version="1.26.4"),
        Package(name="tensorflow-cpu", version="2.17.1"),
    )
    assert facts.tensorflow == Package(name="tensorflow-cpu", version="2.17.1")
    assert facts.tensorflow_requires == ("numpy<2.0.0,>=1.23.5; python_version <= '3.11'",)
    assert (facts.tensorflow_gpu_build, facts.libraries) == (False, ())


def test_an_interpreter_without_tensorflow_says_so(tmp_path: Path) -> None:
    environment(tmp_path / "venv")
    facts = read(tmp_path / "venv")
    assert (facts.distributions, value(facts.tensorflow), value(facts.libraries)) == ((), Why.ABSENT, Why.ABSENT)


def test_a_build_without_metadata_still_says_how_it_was_built(tmp_path: Path) -> None:
    tensorflow(environment(tmp_path / "venv"), BUILD_INFO_CPU)
    facts = read(tmp_path / "venv")
    assert (value(facts.tensorflow), facts.tensorflow_gpu_build) == (Why.ABSENT, False)


def test_what_the_user_installed_for_all_environments_counts(tmp_path: Path) -> None:
    base = interpreter("3.11")
    site = tmp_path / "home/.local/lib/python3.11/site-packages"
    distribution(site, "tensorflow", "2.18.1")
    kept = here(HOME=str(tmp_path / "home"))
    assert read(base, kept).tensorflow == Package(name="tensorflow", version="2.18.1")
    alone = here(HOME=str(tmp_path / "home"), PYTHONNOUSERSITE="1")
    assert read(base, alone).tensorflow != Package(name="tensorflow", version="2.18.1")
    environment(tmp_path / "venv")
    assert value(read(tmp_path / "venv", kept).tensorflow) is Why.ABSENT


def test_the_first_on_the_path_is_the_one(tmp_path: Path) -> None:
    site = environment(tmp_path / "venv")
    distribution(site, "tensorflow", "2.18.1")
    tensorflow(site, BUILD_INFO_2_18)
    distribution(tmp_path / "first", "tensorflow", "2.17.0")
    tensorflow(tmp_path / "first", BUILD_INFO_CPU)
    facts = read(tmp_path / "venv", here(PYTHONPATH=str(tmp_path / "first")))
    assert facts.tensorflow == Package(name="tensorflow", version="2.17.0")
    assert facts.tensorflow_gpu_build is False


def test_an_egg_of_distutils_is_a_distribution_too(tmp_path: Path) -> None:
    site = environment(tmp_path / "venv")
    (site / "tensorflow_gpu-1.12.0-py3.6.egg-info").mkdir()
    (site / "tensorflow_gpu-1.12.0-py3.6.egg-info/PKG-INFO").write_text("Name: tensorflow-gpu\nVersion: 1.12.0\n")
    (site / "numpy-1.16.6.egg-info").write_text("Name: numpy\nVersion: 1.16.6\n")
    (site / "h5py-2.10.0.dist-info").mkdir()
    assert read(tmp_path / "venv").distributions == (
        Package(name="h5py", version="2.10.0"),
        Package(name="numpy", version="1.16.6"),
        Package(name="tensorflow-gpu", version="1.12.0"),
    )


def test_conda_tells_the_build_of_its_packages(tmp_path: Path) -> None:
    site = environment(tmp_path / "conda")
    distribution(site, "tensorflow", "2.10.0")
    tensorflow(site, BUILD_INFO_CPU)
    meta = tmp_path / "conda/conda-meta"
    meta.mkdir()
    record = {"name": "tensorflow-base", "version": "2.10.0", "build": "mkl_py310hb9daa73_0"}
    (meta / "tensorflow-base-2.10.0-mkl_py310hb9daa73_0.json").write_text(json.dumps(record))
    (meta / "tensorflow-2.10.0-mkl_py310h24f4fea_0.json").write_text("{ broken")
    (meta / "zlib-1.2.13-h5eee18b_0.json").write_text("{}")
    (meta / "history").write_text("")
    assert read(tmp_path / "conda").conda_packages == (
        Package(name="tensorflow", version="2.10.0=mkl_py310h24f4fea_0"),
        Package(name="tensorflow-base", version="2.10.0=mkl_py310hb9daa73_0"),
    )


def test_conda_s_own_cuda_is_found_by_the_search_path_of_its_tensorflow(tmp_path: Path) -> None:
    site = environment(tmp_path / "conda")
    distribution(site, "tensorflow", "2.18.1")
    package = tensorflow(site, BUILD_INFO_2_18)
    framework(package / "libtensorflow_framework.so.2", "$ORIGIN/../../..", old=True)
    library(tmp_path / "conda/lib/libcudnn.so.9.3.0")
    (tmp_path / "conda/lib/libcudnn.so.9").symlink_to("libcudnn.so.9.3.0")
    facts = read(tmp_path / "conda", here(LD_LIBRARY_PATH=str(tmp_path)))
    assert places(facts)["libcudnn.so.9"] == (str(tmp_path / "conda/lib/libcudnn.so.9"), "conda", "")
    assert not isinstance(facts.libraries, Unread)
    assert facts.libraries[-1].version == "9.3.0"


# --- where libraries are found ---


@pytest.fixture
def with_wheels(tmp_path: Path) -> Path:
    """An environment whose TensorFlow looks into the wheels of all but cuSOLVER, as 2.21 does."""
    site = environment(tmp_path / "venv")
    distribution(site, "tensorflow", "2.21.0")
    distribution(site, "nvidia-cudnn-cu12", "9.3.0.75")
    distribution(site, "nvidia-cuda-runtime-cu12", "12.5.82")
    package = tensorflow(site, BUILD_INFO_2_18)
    framework(package / "libtensorflow_framework.so.2", *ORIGINS)
    for name in NAMES_OF_CUDA_12:
        wheel(site, name)
    return site


def test_each_library_is_in_its_wheel_or_where_tensorflow_does_not_look(with_wheels: Path, tmp_path: Path) -> None:
    facts = read(tmp_path / "venv")
    for name, place in places(facts).items():
        (path,) = with_wheels.glob(f"nvidia/*/lib/{name}")
        assert place == (("", "", str(path)) if "cusolver" in name else (str(path), "wheel", ""))
    assert not isinstance(facts.libraries, Unread)
    versions = {one.name: one.version for one in facts.libraries}
    assert (versions["libcudnn.so.9"], versions["libcudart.so.12"]) == ("9.3.0.75", "12.5.82")


def test_a_folder_in_ld_library_path_comes_before_the_wheels(with_wheels: Path, tmp_path: Path) -> None:
    library(tmp_path / "cuda/lib64/libcudnn.so.9.1.0")
    (tmp_path / "cuda/lib64/libcudnn.so.9").symlink_to("libcudnn.so.9.1.0")
    facts = read(tmp_path / "venv", here(LD_LIBRARY_PATH=f"relative::/no/such:{tmp_path}/cuda/lib64/"))
    assert places(facts)["libcudnn.so.9"] == (
        str(tmp_path / "cuda/lib64/libcudnn.so.9"),
        "LD_LIBRARY_PATH",
        str(with_wheels / "nvidia/cudnn/lib/libcudnn.so.9"),
    )
    assert not isinstance(facts.libraries, Unread)
    assert facts.libraries[-1].version == "9.1.0"


def test_what_the_loader_passes_over_is_no_library(with_wheels: Path, tmp_path: Path) -> None:
    for folder, content in (("text", b"GROUP ( libcudnn.so.9.3 )"), ("old", b"\x7fELF\x01\x01\x01")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "libcudnn.so.9").write_bytes(content)
    facts = read(tmp_path / "venv", here(LD_LIBRARY_PATH=f"{tmp_path}/text:{tmp_path}/old"))
    assert places(facts)["libcudnn.so.9"][1] == "wheel"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("path", ["", "named", "wheels"])
def test_the_loader_of_this_machine_takes_the_same_files(tmp_path: Path, old: bool, path: str) -> None:
    site = environment(tmp_path / "venv")
    distribution(site, "tensorflow", "2.18.1")
    package = tensorflow(site, BUILD_INFO_2_18)
    framework(package / "libtensorflow_framework.so.2", *ORIGINS, old=old)
    for name in NAMES_OF_CUDA_12[1:]:
        wheel(site, name)
    for name in ("libcudnn.so.9", "libcufft.so.11", "libcudart.so.12"):
        library(tmp_path / "named" / name)
    folder = {"": "", "named": f"{tmp_path}/named", "wheels": f"{site}/nvidia/cusolver/lib"}[path]
    program = (
        "import ctypes, json, sys\n"
        "library = ctypes.CDLL(sys.argv[1])\n"
        "library.opened.restype = ctypes.c_char_p\n"
        "print(json.dumps([library.opened(name.encode()).decode() for name in sys.argv[2:]]))"
    )
    environ = {**os.environ, "LD_LIBRARY_PATH": folder} if folder else dict(os.environ)
    command = (tmp_path / "venv/bin/python", "-c", program, package / "libtensorflow_framework.so.2", *NAMES_OF_CUDA_12)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    taken = {
        name: file and os.path.realpath(file)
        for name, file in zip(NAMES_OF_CUDA_12, json.loads(done.stdout), strict=True)
    }
    found = places(read(tmp_path / "venv", here(LD_LIBRARY_PATH=folder) if folder else here()))
    assert {name: place[0] and os.path.realpath(place[0]) for name, place in found.items()} == taken
    assert any(taken.values())


def test_up_to_1_13_the_libraries_are_those_that_are_linked(tmp_path: Path) -> None:
    site = environment(tmp_path / "venv")
    distribution(site, "tensorflow-gpu", "1.12.0")
    package = tensorflow(site, "is_cuda_build = True\n")
    linked = ("libcublas.so.9.0", "libcudart.so.9.0", "libcudnn.so.7")
    framework(package / "python/_pywrap_tensorflow_internal.so", needed=linked)
    library(package / "libtensorflow_framework.so")
    library(tmp_path / "cuda/libcudnn.so.7")
    facts = read(tmp_path / "venv", here(LD_LIBRARY_PATH=str(tmp_path / "cuda")))
    assert {name: place[1] for name, place in places(facts).items()} == {
        "libcublas.so.9.0": "",
        "libcudart.so.9.0": "",
        "libcudnn.so.7": "LD_LIBRARY_PATH",
    }


def test_a_cuda_that_came_later_is_not_guessed_at(tmp_path: Path) -> None:
    site = environment(tmp_path / "venv")
    package = tensorflow(site, BUILD_INFO_2_18.replace("12.5.1", "14.0"))
    library(package / "libtensorflow_framework.so.2")
    assert value(read(tmp_path / "venv").libraries) is Why.UNSUPPORTED


def test_a_tensorflow_without_its_library_is_unread(tmp_path: Path) -> None:
    tensorflow(environment(tmp_path / "venv"), BUILD_INFO_2_18)
    assert value(read(tmp_path / "venv").libraries) is Why.ABSENT


# --- interpreters that are none ---


def program(folder: Path, *lines: str) -> Path:
    path = folder / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("lines", "why", "words"),
    [
        (["echo Python 3.11.7"], Why.GARBLED, "no answer of a Python: 'Python 3.11.7'"),
        ([":"], Why.GARBLED, "no answer of a Python: ''"),
        (["printf 'gpudoctor-python\\0three\\0linux\\0/usr\\0\\0'"], Why.GARBLED, "no answer"),
        (["printf '\\033[31m\\377\\0\\0'"], Why.GARBLED, "?[31m"),
        (["echo 'no module named encodings' >&2", "exit 1"], Why.FAILED, "exit code 1: no module named encodings"),
        (["kill -9 $$"], Why.FAILED, "exit code -9"),
        (["exec sleep 1000"], Why.TIMEOUT, "no answer within 0.5 s"),
        (["sleep 1000 & echo hello"], Why.TIMEOUT, "no answer within 0.5 s"),
    ],
)
def test_a_program_that_is_no_python_is_a_reading_with_its_reason(
    tmp_path: Path, lines: list[str], why: Why, words: str
) -> None:
    begin = time.monotonic()
    unread = refused(program(tmp_path, *lines), here(seconds=0.5 if why is Why.TIMEOUT else 20))
    assert (unread.why, words in unread.detail) == (why, True), unread
    assert unread.detail.isprintable()
    assert time.monotonic() - begin < 3


def test_an_endless_answer_is_read_to_a_bound(tmp_path: Path) -> None:
    assert refused(program(tmp_path, "exec yes gpudoctor")).why in (Why.GARBLED, Why.FAILED)


def test_a_file_that_is_no_program_is_a_reading_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    assert refused(tmp_path / "text").why is Why.FORBIDDEN
    (tmp_path / "noise").write_bytes(b"\x7fELF\x00\x01")
    (tmp_path / "noise").chmod(0o755)
    assert refused(tmp_path / "noise").why is Why.FAILED


def test_what_a_start_up_file_says_is_no_part_of_the_answer(tmp_path: Path) -> None:
    site = environment(tmp_path / "venv")
    (site / "loud.pth").write_text(
        "import sys; print('hello from a start-up file'); sys.stderr.write('and there\\n')\n"
    )
    distribution(site, "tensorflow", "2.18.1")
    assert read(tmp_path / "venv").tensorflow == Package(name="tensorflow", version="2.18.1")


def test_nothing_of_the_interpreter_s_packages_is_imported_or_written(tmp_path: Path) -> None:
    site = environment(tmp_path / "venv")
    distribution(site, "tensorflow", "2.18.1")
    tensorflow(site, BUILD_INFO_2_18)  # whose import ends the interpreter
    before = sorted(path for path in (tmp_path / "venv").rglob("*"))
    assert read(tmp_path / "venv").tensorflow_gpu_build is True
    assert sorted(path for path in (tmp_path / "venv").rglob("*")) == before


def test_windows_python_in_wsl_is_read_where_wsl_shows_it(tmp_path: Path) -> None:
    answer = "gpudoctor-python\\0003.11.9\\0win32\\0C:\\\\Python311\\0C:\\\\Python311\\\\Lib\\0relative\\0\\0"
    facts = read(program(tmp_path, f"printf '{answer}'"))
    assert (facts.version, facts.platform, value(facts.tensorflow)) == ("3.11.9", "win32", Why.ABSENT)
    assert python._as_here("C:\\Python311\\Lib", "win32") == "/mnt/c/Python311/Lib"
    assert python._as_here("/usr/lib", "linux") == "/usr/lib"


def test_below_another_root_no_program_is_run(tmp_path: Path) -> None:
    assert refused(sys.executable, here(root=tmp_path)).why is Why.UNSUPPORTED


def test_without_a_name_nobody_is_asked() -> None:
    found = python.probe(here(), None)
    assert isinstance(found, Unread)
    assert found.why is Why.NOT_ASKED


def test_the_whole_probe_holds_it_and_its_json_is_read_back(with_wheels: Path, tmp_path: Path) -> None:
    facts = probe(interpreter=python.interpreter(str(tmp_path / "venv")), timeout_seconds=20)
    assert not isinstance(facts.python, Unread)
    assert facts.python.tensorflow == Package(name="tensorflow", version="2.21.0")
    whole = facts_of(python=facts.python)
    assert decode(Facts, json.loads(json.dumps(encode(whole)))) == whole


# --- anything at all ---


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TensorFlow whose files are written over."""
    folder = tmp_path_factory.mktemp("any")
    site = environment(folder / "venv")
    distribution(site, "tensorflow", "2.18.1")
    package = tensorflow(site, BUILD_INFO_2_18)
    framework(package / "libtensorflow_framework.so.2", *ORIGINS)
    return package


@settings(max_examples=100, deadline=None, derandomize=True)
@given(content=st.binary() | st.text().map(lambda text: f"build_info = {text}".encode()))
def test_any_build_information_is_read_without_an_exception(built: Path, content: bytes) -> None:
    (built / "python/platform/build_info.py").write_bytes(content)
    absent = Unread(source="", why=Why.ABSENT, detail="none")
    said = python._build_info(here(), str(built), absent)
    for reading in (
        python._gpu_build(said),
        python._cuda(said),
        python._text(said, "cudnn_version"),
        python._capabilities(said),
    ):
        assert isinstance(reading, Unread) or reading is not None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_library_is_read_without_an_exception(built: Path, data: st.DataObject) -> None:
    whole = (built / "libtensorflow_framework.so.2").read_bytes()
    changed = bytearray(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(0, 4)) if changed else 0):
        # The headers and the dynamic section are what is read.
        changed[data.draw(st.integers(0, min(len(changed), 1024) - 1))] = data.draw(st.integers(0, 255))
    file = built / "any.so"
    file.write_bytes(bytes(changed))
    found = elf.dynamic(here(), str(file))
    assert isinstance(found, elf.Dynamic) or found.why in (Why.GARBLED, Why.FAILED)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(content=st.binary())
def test_any_metadata_is_read_without_an_exception(built: Path, content: bytes) -> None:
    (built.parent / "tensorflow-2.18.1.dist-info/METADATA").write_bytes(content)
    found = python._distributions(here(), (str(built.parent),))
    assert all(one.version.isprintable() for one in found.values())
