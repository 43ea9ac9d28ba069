"""image-host-tensorflow-without-gpu: a TensorFlow outside a container that cannot use the GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import checks
from gpudoctor.facts import CudaFacts, Facts, Package, PythonFacts, PythonLibrary, Variable
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion
from tests import strategies_of_facts
from tests.checks.symptoms import knows
from tests.fakes import answer, data_center_gpu, facts_of, gpu, shipped_matrix, shipped_policy, unread
from tests.pythons import NAMES_OF_CUDA_12, found, python, with_tensorflow

CHECK = "image-host-tensorflow-without-gpu"

# A workstation whose driver is as new as the toolkit of TensorFlow 2.18.
DRIVER = {"version": DriverVersion("560.35.03"), "driver_cuda_version": CudaVersion("12.6")}
CUDA = CudaFacts(init=True, library="/usr/lib/libcuda.so.560.35.03", version=CudaVersion("12.6"), device_count=1)


def asked(facts: PythonFacts, **changed: Any) -> CheckResult:
    return answer(CHECK, on_workstation(facts, **changed))


def on_workstation(facts: PythonFacts, **changed: Any) -> Facts:
    return facts_of(**{"python": facts, "driver": DRIVER, "cuda": CUDA, **changed})


def error(result: CheckResult) -> Finding:
    (finding,) = result.findings
    assert (result.outcome, finding.severity) == (Outcome.FAILED, Severity.ERROR)
    assert finding.evidence
    assert finding.fix is not None
    return finding


def mended_by(finding: Finding) -> str:
    assert finding.fix is not None
    return " ".join((finding.fix.text, *finding.fix.commands))


def libraries(**places: PythonLibrary) -> tuple[PythonLibrary, ...]:
    """Those of CUDA 12, but for the ones that are named without lib and .so."""
    return tuple(places.get(name[3:].partition(".")[0], found(name)) for name in NAMES_OF_CUDA_12)


def nowhere(name: str, **changed: Any) -> PythonLibrary:
    return replace(found(name), **{"path": "", "origin": "", "version": "", **changed})


def test_a_tensorflow_that_finds_all_it_needs_is_well() -> None:
    result = asked(python())
    assert (result.outcome, result.findings) == (Outcome.PASSED, ())


def test_without_python_nobody_asked() -> None:
    assert answer(CHECK, facts_of()).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("why", [Why.TIMEOUT, Why.GARBLED, Why.FORBIDDEN])
def test_an_interpreter_that_gave_no_answer_leaves_the_question_open_and_decides(why: Why) -> None:
    result = answer(CHECK, facts_of(python=unread(why)))
    assert (result.outcome, result.deciding) == (Outcome.UNKNOWN, True)
    assert not asked(python()).deciding


# --- none ---


def test_no_tensorflow_is_an_error_with_the_newest_that_this_python_can_have() -> None:
    absent = unread(Why.ABSENT)
    bare = python(
        version="3.9.18",
        distributions=(),
        tensorflow=absent,
        tensorflow_requires=absent,
        tensorflow_gpu_build=absent,
        libraries=absent,
    )
    finding = error(asked(bare))
    assert "Python 3.9.18 has no TensorFlow; the newest that has a wheel for it is 2.20" in finding.message
    assert "/opt/venv/bin/python -m pip install 'tensorflow[and-cuda]==2.20.*'" in mended_by(finding)
    finding = error(asked(replace(bare, version="3.14.0")))
    assert "there is no wheel of any for Python 3.14: 2.21.0 is for 3.10-3.13" in finding.message
    assert "gpudoctor run" in mended_by(finding)
    assert "the newest that has a wheel for it is 2.1" in error(asked(replace(bare, version="2.7.18"))).message
    finding = error(asked(bare, system={"architecture": "aarch64"}))
    assert "for aarch64 there is no wheel with CUDA" in finding.message


def test_a_path_with_blanks_is_quoted() -> None:
    finding = error(
        asked(with_tensorflow("2.18.1", executable="/home/me/my env/bin/python", tensorflow_gpu_build=False))
    )
    assert "'/home/me/my env/bin/python' -m pip install 'tensorflow[and-cuda]==2.18.1'" in mended_by(finding)


# --- the build ---


def test_a_wheel_without_cuda_gives_way_to_the_one_with_it() -> None:
    finding = error(asked(with_tensorflow("2.17.1", name="tensorflow-cpu", tensorflow_gpu_build=False)))
    assert "tensorflow-cpu 2.17.1 is built without CUDA" in finding.message
    assert finding.fix is not None
    assert finding.fix.commands == (
        "/opt/venv/bin/python -m pip uninstall -y tensorflow-cpu",
        "/opt/venv/bin/python -m pip install 'tensorflow[and-cuda]==2.17.1'",
        "gpudoctor run --tf 2.17",
    )


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.12.3", "'tensorflow-gpu==1.12.3'"),
        ("2.10.1", "'tensorflow==2.10.1'"),
        ("2.14.0", "'tensorflow[and-cuda]==2.14.0'"),
    ],
)
def test_what_brings_cuda_depends_on_the_version(version: str, words: str) -> None:
    assert words in mended_by(error(asked(with_tensorflow(version, tensorflow_gpu_build=False))))


def test_a_build_of_conda_is_replaced_by_conda() -> None:
    build = Package(name="tensorflow-base", version="2.10.0=mkl_py310hb9daa73_0")
    finding = error(asked(with_tensorflow("2.10.0", tensorflow_gpu_build=False, conda_packages=(build,))))
    assert any(one.value == "tensorflow-base 2.10.0=mkl_py310hb9daa73_0" for one in finding.evidence)
    assert "conda install" in mended_by(finding)
    assert "-m pip install" not in mended_by(finding)


@pytest.mark.parametrize(("version", "outcome"), [("2.10.1", Outcome.UNKNOWN), ("2.11.0", Outcome.FAILED)])
def test_windows_has_no_gpu_after_2_10(version: str, outcome: Outcome) -> None:
    facts = with_tensorflow(version, name="tensorflow-intel", platform="win32", libraries=unread(Why.UNSUPPORTED))
    result = asked(facts)
    assert result.outcome is outcome
    assert all("WSL" in mended_by(finding) for finding in result.findings)


# --- the import ---


@pytest.mark.parametrize(
    ("tensorflow", "name", "version", "outcome"),
    [
        ("2.17.1", "numpy", "2.1.3", Outcome.FAILED),
        ("2.17.1", "numpy", "1.26.4", Outcome.PASSED),
        ("2.18.0", "numpy", "2.0.2", Outcome.PASSED),
        ("2.17.0+nv25.2", "numpy", "2.1.3", Outcome.PASSED),
        ("2.11.1", "protobuf", "4.21.12", Outcome.FAILED),
        ("2.11.1", "protobuf", "3.20.3", Outcome.PASSED),
        ("2.12.0", "protobuf", "4.21.12", Outcome.PASSED),
    ],
)
def test_numpy_2_and_protobuf_4_keep_older_tensorflows_from_being_imported(
    tensorflow: str, name: str, version: str, outcome: Outcome
) -> None:
    facts = with_tensorflow(tensorflow, more=(Package(name=name, version=version),))
    result = asked(facts, gpus=(gpu(),))
    assert result.outcome is outcome
    assert all(name in mended_by(finding) for finding in result.findings)


def test_protobuf_in_python_is_slow_and_works() -> None:
    facts = with_tensorflow("2.11.1", more=(Package(name="protobuf", version="4.21.12"),))
    variables = (Variable(name="PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", value="python"),)
    assert asked(facts, system={"variables": variables}).outcome is Outcome.PASSED
    assert asked(facts, system={"variables": unread()}).outcome is Outcome.UNKNOWN


# --- the libraries ---


def test_libraries_that_are_nowhere_are_named_with_the_extra_that_brings_them() -> None:
    gone = tuple(nowhere(name) for name in NAMES_OF_CUDA_12)
    finding = error(asked(with_tensorflow("2.18.1", libraries=gone)))
    assert (
        "does not find libcudart.so.12, libcublas.so.12, libcublasLt.so.12 and 4 more, and without them"
        in finding.message
    )
    assert "'tensorflow[and-cuda]==2.18.1'" in mended_by(finding)
    finding = error(asked(with_tensorflow("2.10.1", tensorflow_requires=(), libraries=gone)))
    assert "install CUDA 12.5 and cuDNN 9" in mended_by(finding)
    assert "gpudoctor run --tf 2.10" in mended_by(finding)


def test_a_wheel_of_another_major_is_named() -> None:
    facts = with_tensorflow(
        "2.18.1",
        more=(
            Package(name="nvidia-cudnn-cu12", version="8.9.7.29"),
            Package(name="nvidia-nccl-cu12", version="2.21.5"),
        ),
        libraries=libraries(cudnn=nowhere("libcudnn.so.9")),
    )
    message = error(asked(facts)).message
    assert "does not find libcudnn.so.9, and without it it uses no GPU" in message
    assert message.endswith("; nvidia-cudnn-cu12 8.9.7.29 holds another version")


def test_a_wheel_where_tensorflow_does_not_look_is_put_on_the_path() -> None:
    path = "/opt/venv/lib/python3.11/site-packages/nvidia/cusolver/lib/libcusolver.so.11"
    facts = with_tensorflow("2.21.0", libraries=libraries(cusolver=nowhere("libcusolver.so.11", elsewhere=path)))
    finding = error(asked(facts))
    assert "does not look into the wheels that hold libcusolver.so.11" in finding.message
    assert finding.fix is not None
    (command,) = finding.fix.commands
    assert command.startswith('export LD_LIBRARY_PATH="/opt/venv/lib/python3.11/site-packages/nvidia/cusolver/lib$')


@pytest.mark.parametrize(
    ("version", "outcome"),
    [("9.1.0", Outcome.FAILED), ("9.3.0", Outcome.PASSED), ("9.5.1", Outcome.PASSED), ("", Outcome.PASSED)],
)
def test_a_cudnn_of_ld_library_path_may_not_be_older_than_the_one_tensorflow_was_built_with(
    version: str, outcome: Outcome
) -> None:
    name = "libcudnn.so.9"
    before = found(
        name, path=f"/opt/cuda/{name}", origin="LD_LIBRARY_PATH", version=version, elsewhere=found(name).path
    )
    result = asked(python(libraries=libraries(cudnn=before)))
    assert result.outcome is outcome
    for finding in result.findings:
        assert "LD_LIBRARY_PATH gives TensorFlow 2.18.1 cuDNN 9.1.0" in finding.message
        assert "needs 9.3 or newer" in finding.message
        assert finding.fix is not None
        assert finding.fix.commands == ("unset LD_LIBRARY_PATH",)


def test_without_metadata_the_upstream_image_tells_the_cudnn() -> None:
    old = found("libcudnn.so.8", path="/usr/lib/libcudnn.so.8", origin="system", version="8.0.5")
    facts = with_tensorflow(
        "2.10.1",
        tensorflow_requires=(),
        tensorflow_cuda=CudaVersion("11.2"),
        tensorflow_cudnn="8",
        tensorflow_capabilities=("sm_80", "compute_80"),
        libraries=(old,),
    )
    assert "finds cuDNN 8.0.5, and it needs 8.1 or newer" in error(asked(facts)).message
    assert asked(replace(facts, libraries=(replace(old, version="8.1.1"),))).outcome is Outcome.PASSED


# --- driver and GPU ---


@pytest.mark.parametrize(
    ("driver", "outcome"),
    [("525.60.12", Outcome.FAILED), ("525.60.13", Outcome.PASSED), ("555.42.06", Outcome.PASSED)],
)
def test_the_floor_of_the_cuda_major_is_the_floor_of_the_driver(driver: str, outcome: Outcome) -> None:
    cuda = replace(CUDA, version=CudaVersion("12.0" if outcome is Outcome.PASSED else "11.8"))
    result = asked(python(), driver={"version": DriverVersion(driver)}, cuda=cuda)
    assert result.outcome is outcome
    for finding in result.findings:
        assert "driver 525.60.12 is too old for TensorFlow 2.18.1, which is built for CUDA 12.5.1" in finding.message
        assert "install driver 525.60.13 or newer" in mended_by(finding)


def test_a_compat_library_of_the_host_counts_and_one_that_nobody_could_ask_accuses_nobody() -> None:
    old = {"version": DriverVersion("470.57.02")}
    facts = python(), {"driver": old, "gpus": (data_center_gpu(compute_capability=ComputeCapability("8.0")),)}
    assert asked(facts[0], **facts[1], cuda=replace(CUDA, version=CudaVersion("12.5"))).outcome is Outcome.PASSED
    assert asked(facts[0], **facts[1], cuda=replace(CUDA, version=CudaVersion("11.4"))).outcome is Outcome.FAILED
    assert asked(facts[0], **facts[1], cuda=replace(CUDA, version=unread())).outcome is Outcome.UNKNOWN
    assert asked(facts[0], **facts[1], cuda=unread()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("capability", "outcome", "severity"),
    [
        ("5.2", Outcome.FAILED, Severity.ERROR),
        ("6.1", Outcome.PASSED, None),
        ("8.6", Outcome.PASSED, None),
        ("12.0", Outcome.FAILED, Severity.ERROR),
    ],
)
def test_a_gpu_for_which_it_holds_no_code(capability: str, outcome: Outcome, severity: Severity | None) -> None:
    result = asked(python(), gpus=(gpu(compute_capability=ComputeCapability(capability), name="some GPU"),))
    assert result.outcome is outcome
    assert [finding.severity for finding in result.findings] == ([] if severity is None else [severity])
    assert all(f"holds no code for some GPU ({capability})" in finding.message for finding in result.findings)


def test_code_that_the_driver_compiles_at_first_use_is_a_warning() -> None:
    facts = python(tensorflow_capabilities=("sm_60", "sm_70", "sm_80", "compute_80"))
    (finding,) = asked(facts, gpus=(data_center_gpu(),)).findings
    assert (finding.severity, "compiles it at first use" in finding.message) == (Severity.WARNING, True)


def test_two_equal_gpus_are_one_finding() -> None:
    old = {"compute_capability": ComputeCapability("5.2"), "name": "some GPU"}
    assert len(asked(python(), gpus=(gpu(0, **old), gpu(1, **old))).findings) == 1


def test_before_2_3_its_own_image_tells_what_code_it_holds() -> None:
    facts = with_tensorflow(
        "1.15.5",
        tensorflow_requires=(),
        tensorflow_cuda=CudaVersion("10"),
        tensorflow_cudnn="7",
        tensorflow_capabilities=unread(Why.ABSENT),
        libraries=(),
    )
    assert "holds no code for NVIDIA GeForce RTX 3090 (8.6)" in error(asked(facts)).message
    volta = gpu(compute_capability=ComputeCapability("7.0"), name="Tesla V100-SXM2-16GB")
    assert asked(facts, gpus=(volta,)).outcome is Outcome.PASSED


def test_a_machine_without_gpus_leaves_no_question_and_one_that_gave_no_answer_does() -> None:
    assert asked(python(), gpus=()).outcome is Outcome.PASSED
    assert asked(python(), gpus=unread(Why.ABSENT), pci_gpus=()).outcome is Outcome.PASSED
    assert asked(python(), gpus=unread()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "field",
    [
        "tensorflow",
        "tensorflow_requires",
        "tensorflow_gpu_build",
        "tensorflow_cuda",
        "tensorflow_capabilities",
        "libraries",
    ],
)
def test_what_could_not_be_read_is_a_question_and_accuses_nobody(field: str) -> None:
    result = asked(python(**{field: unread()}))
    assert (result.outcome, result.findings) == (Outcome.UNKNOWN, ())


def test_a_version_that_is_none_is_a_question() -> None:
    assert asked(with_tensorflow("of my own")).outcome is Outcome.UNKNOWN
    nightly = with_tensorflow("2.22.0.dev20261101", name="tf-nightly")
    assert asked(nightly).outcome is Outcome.PASSED


def test_a_jetson_is_judged_by_its_libraries_alone() -> None:
    jetson = {"system": {"jetson": True, "architecture": "aarch64"}, "gpus": unread()}
    assert asked(python(), **jetson).outcome is Outcome.PASSED


def test_in_an_image_whose_tensorflow_was_replaced_that_is_the_root() -> None:
    variables = (Variable(name="NVIDIA_TENSORFLOW_VERSION", value="25.02-tf2"),)
    gone = tuple(nowhere(name) for name in NAMES_OF_CUDA_12)
    finding = error(asked(with_tensorflow("2.18.1", libraries=gone), system={"variables": variables}))
    assert finding.caused_by == "image-tensorflow-replaced"


@pytest.mark.parametrize(
    "line",
    [
        "W tensorflow/core/common_runtime/gpu/gpu_device.cc:2343] Cannot dlopen some GPU libraries. Please make sure",
        "Could not load dynamic library 'libcudnn.so.8'; dlerror: libcudnn.so.8: cannot open shared object file",
        "I tsl/cuda/cudart_stub.cc:32] Could not find cuda drivers on your machine, GPU will not be used.",
        "E cuda_dnn.cc:522] Loaded runtime CuDNN library: 9.1.0 but source was compiled with: 9.3.0.",
        "ERROR: No matching distribution found for tensorflow",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert knows(CHECK, line)


def test_a_line_that_is_near_and_another_fault() -> None:
    assert not knows(CHECK, "Could not load dynamic library 'libcuda.so.1'; dlerror: libcuda.so.1: cannot open")


# --- knowing less ---

NAMES = ("image-host-tensorflow-without-gpu", "image-h5py3-with-tf1", "image-tensorflow-replaced")
CHECKS = tuple(check for check in checks.discover() if check.id in NAMES)

_ONE_LIBRARY: st.SearchStrategy[dict[str, str]] = st.sampled_from(
    (
        {},
        {},
        {"path": "", "origin": ""},
        {"path": "", "origin": "", "elsewhere": "/opt/wheel"},
        {"origin": "LD_LIBRARY_PATH", "version": "9.1.0"},
    )
)
PYTHONS = st.builds(
    lambda version, numpy, protobuf, h5py, places, **changed: with_tensorflow(
        version,
        more=(
            Package(name="numpy", version=numpy),
            Package(name="protobuf", version=protobuf),
            Package(name="h5py", version=h5py),
        ),
        libraries=tuple(found(name, **place) for name, place in zip(NAMES_OF_CUDA_12, places, strict=True)),
        **changed,
    ),
    version=st.sampled_from(
        ("1.12.3", "1.15.5", "2.3.4", "2.10.1", "2.17.0+nv25.2", "2.18.1", "2.21.0", "2.30.0", "x")
    ),
    numpy=st.sampled_from(("1.26.4", "2.1.3")),
    protobuf=st.sampled_from(("3.20.3", "4.21.12")),
    h5py=st.sampled_from(("2.10.0", "3.8.0")),
    places=st.one_of(st.just([{}] * 7), st.lists(_ONE_LIBRARY, min_size=7, max_size=7)),
    platform=st.sampled_from(("linux", "linux", "win32")),
    tensorflow_gpu_build=st.sampled_from((True, True, False)),
    tensorflow_cuda=st.sampled_from((CudaVersion("10"), CudaVersion("11.2"), CudaVersion("12.5.1"))),
    tensorflow_capabilities=st.sampled_from((("sm_60", "sm_80", "compute_90"), ("sm_60", "compute_70"))),
    tensorflow_requires=st.sampled_from(((), ("nvidia-cudnn-cu12==9.3.0.75; extra == 'and-cuda'",))),
)
MACHINES = st.builds(
    lambda facts, driver, cuda, gpus, variables: facts_of(
        python=facts,
        driver={"version": DriverVersion(driver)},
        cuda=replace(CUDA, version=CudaVersion(cuda)),
        gpus=gpus,
        system={"variables": variables},
    ),
    facts=PYTHONS,
    driver=st.sampled_from(("450.51.06", "525.60.13", "535.129.03", "580.95.05")),
    cuda=st.sampled_from(("11.0", "12.8")),
    gpus=st.sampled_from(
        ((), (gpu(),), (data_center_gpu(),), (gpu(name="some GPU", compute_capability=ComputeCapability("12.0")),))
    ),
    variables=st.sampled_from(((), (Variable(name="NVIDIA_TENSORFLOW_VERSION", value="25.02-tf2"),))),
)


def answers(facts: Facts) -> dict[str, CheckResult]:
    case = checks.Case(facts=facts, matrix=shipped_matrix(), policy=shipped_policy(), engine_asked=False)
    return {result.check: result for result in checks.run(case, CHECKS)}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(facts=MACHINES, why=st.sampled_from((Why.FORBIDDEN, Why.TIMEOUT, Why.ABSENT)))
def test_knowing_less_never_heals_and_never_accuses(facts: Facts, why: Why) -> None:
    before = answers(facts)
    for path in strategies_of_facts.readings(facts):
        concerned = path[0] in ("python", "cuda", "gpus") or path[-1] in ("version", "variables")
        if not concerned or isinstance(strategies_of_facts.reading_at(facts, path), Unread):
            continue
        for name, now in answers(strategies_of_facts.with_reading(facts, path, unread(why))).items():
            assert now.outcome is not Outcome.CRASHED, (path, now.crash)
            if before[name].outcome is Outcome.FAILED:
                assert now.outcome is not Outcome.PASSED, path
            if before[name].outcome is Outcome.PASSED and why is not Why.ABSENT:
                assert not any(finding.severity is Severity.ERROR for finding in now.findings), path
