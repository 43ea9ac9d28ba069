"""The TensorFlow of the Python that --python names can use the GPU.

Outside a container TensorFlow has to find everything itself, and where it does not it computes on the CPU with one
line in the log: list_physical_devices("GPU") is [] while nvidia-smi is fine. It may be a build without CUDA
(tensorflow-cpu, tensorflow-intel, a conda build named mkl or eigen, any wheel for macOS or arm64, on Windows anything
after 2.10). It may not find one of the libraries of CUDA and cuDNN that it opens: the wheels of the extra and-cuda are
not installed, hold another major, or stand where it does not look (2.16.1 looks into none of them, 2.21 not into that
of cuSOLVER). A folder in LD_LIBRARY_PATH may come before the wheels with a cuDNN that is older than it was built with.
Its driver or GPU may be too old or too new for what it was built for. Or it cannot even be imported, for NumPy 2 or
protobuf 4 came after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor import image_here, python_here
from gpudoctor.checks import Case
from gpudoctor.facts import Package, PythonFacts, PythonLibrary
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.host import from_facts
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Unread, UnreadError, Why, known
from gpudoctor.rules import GpuRuling, gpu_kind, judge
from gpudoctor.verdicts import Verdict
from gpudoctor.versions import DriverVersion, TfVersion

MENDED_BY = "install the TensorFlow that brings its CUDA along: pip install 'tensorflow[and-cuda]'; or gpudoctor run"
DECIDED_BY = "gpudoctor check --python PATH"
LINKS = (
    "https://www.tensorflow.org/install/pip",
    "https://www.tensorflow.org/install/source#tested_build_configurations",
    "https://github.com/tensorflow/tensorflow/issues/63362",
    "https://github.com/tensorflow/tensorflow/pull/112973",
)
SYMPTOMS = (
    r"Cannot dlopen some GPU libraries",
    r"Could not load dynamic library 'lib(?:cudart|cublas|cufft|curand|cusolver|cusparse|cudnn)",
    r"Could not find cuda drivers",
    r"This TensorFlow binary is not built with CUDA|not built with (?:CUDA|GPU) support",
    r"No matching distribution found for tensorflow",
    r"Loaded runtime CuDNN library: [\d.]+ but source was compiled with",
    r"Skipping registering GPU devices",
)

CAUSED_BY = ("image-tensorflow-replaced",)

_WINDOWS = "https://www.tensorflow.org/install/pip#windows-native"
_NUMPY = "https://github.com/tensorflow/tensorflow/issues/102743"
_PROTOBUF = "https://github.com/tensorflow/tensorflow/issues/59665"
_CUDNN = "https://github.com/tensorflow/tensorflow/issues/60913"
_NO_WHEEL = "https://github.com/tensorflow/tensorflow/issues/37457"

# https://www.tensorflow.org/install/pip#windows-native (2026-11)
_LAST_ON_WINDOWS = (2, 10)
# https://github.com/tensorflow/tensorflow/issues/62498 (2026-11): the extra and-cuda is there from 2.14 on.
_FIRST_WITH_EXTRA = (2, 14)
# From 2.1 on `tensorflow` holds the GPU build, before `tensorflow-gpu` does.
# https://github.com/tensorflow/tensorflow/releases/tag/v2.1.0 (2026-11)
_FIRST_IN_ONE = (2, 1)
# 2.17.1 with NumPy 2.1.3 ends in a SystemError; 2.18 is built for both. _NUMPY, tried on CPython 3.11 (2026-11)
_FIRST_FOR_NUMPY_2 = (2, 18)
# 1.15.5 and 2.3.4 with protobuf 4.21.12 end in a TypeError; 2.12 asks for protobuf>=3.20.3,<5. _PROTOBUF (2026-11)
_FIRST_FOR_PROTOBUF_4 = (2, 12)
_PROTOBUF_VARIABLE = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"

_CUDNN_WHEEL = re.compile(r"nvidia[-_]cudnn[-_]cu\d+", re.IGNORECASE)
# How many libraries a message names before it counts.
_MOST_NAMES = 3

applies = python_here.is_asked


def decides(case: Case) -> bool:
    """Whoever names an interpreter wants to know about it."""
    return python_here.is_asked(case) and isinstance(case.facts.python, Unread)


def check(case: Case) -> Iterator[Finding]:
    """What keeps it from being there, being imported, knowing CUDA, finding its libraries, and using the GPU."""
    python = known(case.facts.python)
    package = python_here.tensorflow(python)
    if package is None:
        # One that somebody built has no metadata, and says itself how it was built.
        if isinstance(python.tensorflow_gpu_build, Unread):
            yield _none(case, python)
            return
        package = Package(name="tensorflow", version="")
    tf = python_here.version(package)
    yield from _imports(case, python, package, tf)
    built = _built(python, package, tf)
    if built is not None:
        yield built
        return
    known(python.tensorflow_gpu_build)
    yield from _libraries(case, python, package, tf)
    if tf is not None and not case.facts.system.jetson and _tells_its_build(python, tf):
        yield from _gpus(case, python, tf)
    # Whatever of it was not to be read might have been a finding.
    known(python.tensorflow)
    if tf is None:
        detail = f"{package.version!r} is no version of TensorFlow that could be compared"
        raise UnreadError(Unread(source=DECIDED_BY, why=Why.GARBLED, detail=detail))
    known(python.libraries)
    known(python.tensorflow_requires)
    if not case.facts.system.jetson:
        if tf.minor >= python_here.FIRST_THAT_SAYS_CUDA:
            known(python.tensorflow_cuda)
        if tf.minor >= python_here.FIRST_THAT_SAYS_CAPABILITIES:
            known(python.tensorflow_capabilities)
        known(from_facts(case.facts, case.matrix).gpus)


def _named(python: PythonFacts, package: Package) -> str:
    return f"{package.name} {package.version}".strip().replace("tensorflow ", "TensorFlow ", 1)


# --- none at all ---


def _none(case: Case, python: PythonFacts) -> Finding:
    number = python_here.numbers(python.version)[:2]
    wheels = _wheels(number, case.matrix)
    minor = ".".join(map(str, number))
    if python.platform != "linux" or case.facts.system.architecture != "x86_64":
        where = python.platform if python.platform != "linux" else case.facts.system.architecture
        return Finding(
            severity=Severity.ERROR,
            message=f"Python {python.version} has no TensorFlow, and for {where} there is no wheel with CUDA",
            evidence=python_here.evidence(python),
            fix=Fix(text="let a container bring TensorFlow", commands=(python_here.run_it(None),), url=LINKS[0]),
        )
    if wheels is None:
        newest = case.matrix.upstream_images[0]
        pythons = ", ".join(newest.wheel_pythons)
        return Finding(
            severity=Severity.ERROR,
            message=f"Python {python.version} has no TensorFlow, and there is no wheel of any for Python {minor}:"
            f" {newest.tensorflow} is for {pythons}",
            evidence=python_here.evidence(python),
            fix=Fix(
                text=f"make an environment with a Python of {pythons}, or let a container bring TensorFlow",
                commands=(python_here.run_it(None),),
                url=_NO_WHEEL,
            ),
        )
    assert wheels.tensorflow is not None  # a row of TensorFlow's own images names it
    return Finding(
        severity=Severity.ERROR,
        message=f"Python {python.version} has no TensorFlow; the newest that has a wheel for it is"
        f" {_of(wheels.tensorflow)}",
        evidence=python_here.evidence(python),
        fix=_install(python, wheels.tensorflow, exact=False),
    )


def _of(tf: TfVersion) -> str:
    return ".".join(map(str, tf.minor))


def _wheels(python: tuple[int, ...], matrix: Matrix) -> ImageRow | None:
    """The newest TensorFlow that has a wheel for this Python."""
    for row in matrix.upstream_images:
        for span in row.wheel_pythons:
            first, _, last = span.partition("-")
            if python_here.numbers(first) <= python <= python_here.numbers(last or first):
                return row
    return None


def _install(python: PythonFacts, tf: TfVersion, *, exact: bool = True) -> Fix:
    """How this TensorFlow comes with CUDA into this interpreter, or into a container."""
    wanted = f"=={tf}" if exact else f"=={_of(tf)}.*"
    container = python_here.run_it(tf)
    if python_here.is_of_conda(python):
        text = "install the build of conda that is named cuda or gpu, or let a container bring TensorFlow"
        return Fix(
            text=text, commands=(f"conda install 'tensorflow={_of(tf)}=*{{cuda,gpu}}*'", container), url=LINKS[0]
        )
    if tf.minor >= _FIRST_WITH_EXTRA:
        text = "install the wheel together with its CUDA, or let a container bring both"
        return Fix(
            text=text, commands=(python_here.pip(python, f"'tensorflow[and-cuda]{wanted}'"), container), url=LINKS[0]
        )
    name = "tensorflow" if tf.minor >= _FIRST_IN_ONE else "tensorflow-gpu"
    text = (
        f"let a container bring TensorFlow {_of(tf)} with its CUDA; or install the wheel, and the CUDA and cuDNN that"
        " TensorFlow's list of tested builds names for it"
    )
    return Fix(text=text, commands=(container, python_here.pip(python, f"'{name}{wanted}'")), url=LINKS[1])


# --- the import ---


def _imports(case: Case, python: PythonFacts, package: Package, tf: TfVersion | None) -> Iterator[Finding]:
    """What came after this TensorFlow and keeps it from being imported; NVIDIA's own builds pin otherwise."""
    if tf is None or "+nv" in package.version:
        return
    numpy = python_here.installed(python, "numpy")
    if numpy is not None and python_here.numbers(numpy)[:1] >= (2,) and tf.minor < _FIRST_FOR_NUMPY_2:
        yield Finding(
            severity=Severity.ERROR,
            message=f"{_named(python, package)} is built for NumPy 1, and cannot be imported with NumPy {numpy}",
            evidence=python_here.evidence(python, "numpy"),
            fix=Fix(
                text="take NumPy back to the last 1.x",
                commands=(python_here.pip(python, "'numpy<2'"),),
                url=_NUMPY,
            ),
        )
    protobuf = python_here.installed(python, "protobuf")
    if protobuf is None or python_here.numbers(protobuf)[:1] < (4,) or tf.minor >= _FIRST_FOR_PROTOBUF_4:
        return
    if case.variable(_PROTOBUF_VARIABLE) != "python":
        yield Finding(
            severity=Severity.ERROR,
            message=f"{_named(python, package)} cannot be imported with protobuf {protobuf}:"
            " descriptors cannot be created directly",
            evidence=python_here.evidence(python, "protobuf"),
            fix=Fix(
                text="take protobuf back to 3.20",
                commands=(python_here.pip(python, "'protobuf<3.21'"),),
                url=_PROTOBUF,
            ),
        )


# --- the build ---


def _built(python: PythonFacts, package: Package, tf: TfVersion | None) -> Finding | None:
    """A build that knows no CUDA, or one for a system on which CUDA is gone."""
    if python.platform == "win32" and tf is not None and tf.minor > _LAST_ON_WINDOWS:
        return Finding(
            severity=Severity.ERROR,
            message=f"{_named(python, package)} on native Windows uses no GPU: 2.10 was the last that did",
            evidence=python_here.evidence(python),
            fix=Fix(
                text="install TensorFlow in WSL, with a Python of Linux",
                commands=("python3 -m pip install 'tensorflow[and-cuda]'", python_here.run_it(tf)),
                url=_WINDOWS,
            ),
        )
    if isinstance(python.tensorflow_gpu_build, Unread) or python.tensorflow_gpu_build:
        return None
    builds = [one for one in python.conda_packages if one.name.startswith(("tensorflow", "_tflow"))]
    evidence = (
        *python_here.evidence(python),
        Evidence(source="is_cuda_build of tensorflow/python/platform/build_info.py", value="False"),
        *(Evidence(source="conda list", value=f"{one.name} {one.version}") for one in builds),
    )
    return Finding(
        severity=Severity.ERROR,
        message=f"{_named(python, package)} is built without CUDA, so it computes on the CPU only",
        evidence=evidence,
        fix=_with_cuda(python, package, tf),
    )


def _with_cuda(python: PythonFacts, package: Package, tf: TfVersion | None) -> Fix:
    if tf is None or python.platform != "linux":
        return Fix(text=MENDED_BY, commands=(python_here.run_it(tf),), url=LINKS[0])
    fix = _install(python, tf)
    if package.name == "tensorflow" or python_here.is_of_conda(python):
        return fix
    # Both hold the same files: the one that goes last takes them with it.
    gone = python_here.pip(python, "").replace(" install ", f" uninstall -y {package.name}")
    return Fix(
        text=f"put another TensorFlow in place of {package.name}: {fix.text}",
        commands=(gone, *fix.commands),
        url=fix.url,
    )


# --- the libraries ---


def _libraries(case: Case, python: PythonFacts, package: Package, tf: TfVersion | None) -> Iterator[Finding]:
    if isinstance(python.libraries, Unread):
        return
    gone = [one for one in python.libraries if not one.path and not one.elsewhere]
    unseen = [one for one in python.libraries if not one.path and one.elsewhere]
    if gone:
        wheels = [one for one in python.distributions if _holds_another_major(one, gone)]
        hint = f"; {' and '.join(f'{one.name} {one.version}' for one in wheels)} hold{'s' if len(wheels) == 1 else ''}"
        yield Finding(
            severity=Severity.ERROR,
            message=f"{_named(python, package)} does not find {_names(gone)}, and without"
            f" {'it' if len(gone) == 1 else 'them'} it uses no GPU" + (f"{hint} another version" if wheels else ""),
            evidence=(
                *python_here.evidence(python, *(one.name for one in wheels)),
                Evidence(
                    source="readelf -d libtensorflow_framework.so.2; ldconfig -p",
                    value=f"no {', '.join(one.name for one in gone)}",
                ),
            ),
            fix=_bring(python, tf),
        )
    if unseen:
        folders = ":".join(dict.fromkeys(one.elsewhere.rpartition("/")[0] for one in unseen))
        yield Finding(
            severity=Severity.ERROR,
            message=f"{_named(python, package)} does not look into the wheels that hold {_names(unseen)}, and without"
            f" {'it' if len(unseen) == 1 else 'them'} it uses no GPU",
            evidence=tuple(
                Evidence(source="readelf -d libtensorflow_framework.so.2", value=f"no way to {one.elsewhere}")
                for one in unseen
            ),
            fix=Fix(
                text="name the folders of these wheels before TensorFlow starts, in the same shell",
                commands=(f'export LD_LIBRARY_PATH="{folders}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"',),
                url=LINKS[3] if len(unseen) == 1 else LINKS[2],
            ),
        )
    yield from _older(case, python, package, tf, python.libraries)


def _names(libraries: list[PythonLibrary]) -> str:
    shown = [one.name for one in libraries[:_MOST_NAMES]]
    more = len(libraries) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _holds_another_major(wheel: Package, gone: list[PythonLibrary]) -> bool:
    """nvidia-cudnn-cu12 8.9 where libcudnn.so.9 is missing, nvidia-cublas-cu11 where it is libcublas.so.12."""
    names = {"nvidia-cuda-runtime": "cudart"}
    kind = re.fullmatch(r"(nvidia-[a-z-]+)-cu\d+", wheel.name)
    if kind is None:
        return False
    library = names.get(kind[1], kind[1].removeprefix("nvidia-"))
    return any(one.name.startswith(f"lib{library}.so.") for one in gone)


def _bring(python: PythonFacts, tf: TfVersion | None) -> Fix:
    if tf is None:
        return Fix(text=MENDED_BY, commands=(python_here.run_it(None),), url=LINKS[0])
    if python_here.has_cuda_extra(python) or python_here.is_of_conda(python) or tf.minor >= _FIRST_WITH_EXTRA:
        return _install(python, tf)
    cuda = python.tensorflow_cuda
    cudnn = python.tensorflow_cudnn
    wanted = " and ".join(
        (
            "CUDA" if isinstance(cuda, Unread) else f"CUDA {cuda.major}.{cuda.minor}",
            "cuDNN" if isinstance(cudnn, Unread) else f"cuDNN {cudnn}",
        )
    )
    return Fix(
        text=f"let a container bring TensorFlow {_of(tf)} with its CUDA; or install {wanted}, beside any other, and"
        " name the folder of their libraries in LD_LIBRARY_PATH",
        commands=(python_here.run_it(tf),),
        url=LINKS[1],
    )


def _older(
    case: Case, python: PythonFacts, package: Package, tf: TfVersion | None, libraries: tuple[PythonLibrary, ...]
) -> Iterator[Finding]:
    """A cuDNN of the right major and an older minor than TensorFlow was built with is refused by TensorFlow itself."""
    cudnn = next((one for one in libraries if one.name.startswith("libcudnn.so.") and one.path), None)
    wanted = python_here.least_asked(python, _CUDNN_WHEEL)[:2]
    row = None if tf is None else python_here.upstream_row(tf, case.matrix)
    if not wanted and row is not None and row.broken is None and row.cudnn is not None:
        wanted = python_here.numbers(row.cudnn)[:2]
    found = () if cudnn is None else python_here.numbers(cudnn.version)[:2]
    if cudnn is None or len(found) < 2 or len(wanted) < 2 or found[0] != wanted[0] or found >= wanted:
        return
    built = ".".join(map(str, wanted))
    evidence = (*python_here.evidence(python), Evidence(source=f"readlink -f {cudnn.path}", value=cudnn.version))
    if cudnn.origin == "LD_LIBRARY_PATH":
        folder = cudnn.path.rpartition("/")[0]
        behind = f", before that of {cudnn.elsewhere}" if cudnn.elsewhere else ""
        yield Finding(
            severity=Severity.ERROR,
            message=f"LD_LIBRARY_PATH gives {_named(python, package)} cuDNN {cudnn.version}{behind},"
            f" and it needs {built} or newer",
            evidence=evidence,
            fix=Fix(
                text=f"take {folder} out of LD_LIBRARY_PATH"
                + ("" if cudnn.elsewhere else f", and install cuDNN {built} or newer"),
                commands=("unset LD_LIBRARY_PATH",) if cudnn.elsewhere else (),
                url=_CUDNN,
            ),
        )
        return
    yield Finding(
        severity=Severity.ERROR,
        message=f"{_named(python, package)} finds cuDNN {cudnn.version}, and it needs {built} or newer",
        evidence=evidence,
        fix=_bring(python, tf),
    )


# --- driver and GPU ---


def _tells_its_build(python: PythonFacts, tf: TfVersion) -> bool:
    """What a version says of itself is not guessed from its image where it could not be read."""
    cuda = isinstance(python.tensorflow_cuda, Unread) and tf.minor >= python_here.FIRST_THAT_SAYS_CUDA
    code = isinstance(python.tensorflow_capabilities, Unread) and tf.minor >= python_here.FIRST_THAT_SAYS_CAPABILITIES
    return not (cuda or code)


def _gpus(case: Case, python: PythonFacts, tf: TfVersion) -> Iterator[Finding]:
    """Judged as an image of the same build would be. What another check accuses the driver of is not said again."""
    host = from_facts(case.facts, case.matrix)
    if isinstance(host.gpus, Unread) or not host.gpus:
        return
    image = python_here.as_image(python, tf, case.matrix)
    kinds = {gpu_kind(ruling.gpu): ruling for ruling in reversed(judge(image, host, case.matrix).gpus)}
    for ruling in reversed(kinds.values()):
        yield from _gpu(case, python, image, ruling)
    for ruling in reversed(kinds.values()):
        for reason in ruling.reasons:
            # A driver that is too old by its number may still have a libcuda that is not: the code counts by itself.
            of_code = reason.rule in ("gpu_range", "gpu_code")
            if reason.verdict is Verdict.UNKNOWN and (of_code or ruling.verdict is Verdict.UNKNOWN):
                image_here.unknown(reason)


def _gpu(case: Case, python: PythonFacts, image: ImageRow, ruling: GpuRuling) -> Iterator[Finding]:
    said = {reason.rule: reason for reason in ruling.reasons}
    assert image.tensorflow is not None
    evidence = (
        *python_here.evidence(python),
        Evidence(source="nvidia-smi --query-gpu=name,compute_cap --format=csv", value=_capability(ruling)),
    )
    for rule in ("gpu_range", "gpu_code"):
        if rule in said and said[rule].verdict is Verdict.WILL_NOT_RUN:
            yield Finding(
                severity=Severity.ERROR,
                message=f"{image.tag} holds no code for {_capability(ruling)}",
                evidence=(*evidence, Evidence(source=said[rule].source, value=said[rule].detail)),
                fix=Fix(
                    text="take a TensorFlow that was built for this GPU: gpudoctor resolve names those that run here",
                    commands=("gpudoctor resolve --tf latest",),
                    url=LINKS[1],
                ),
            )
            return
    jit = said.get("gpu_code")
    if jit is not None and jit.verdict is Verdict.RUNS_WITH_PTX_JIT:
        yield Finding(
            severity=Severity.WARNING,
            message=f"{image.tag} holds no native code for {_capability(ruling)}: the driver compiles it at first use",
            evidence=(*evidence, Evidence(source=jit.source, value=jit.detail)),
            fix=Fix(
                text="take a newer TensorFlow, or keep what was compiled: let its cache grow",
                commands=("export CUDA_CACHE_MAXSIZE=4294967296",),
                url=LINKS[1],
            ),
        )
    try:
        way = image_here.route(ruling)
    except UnreadError:
        return  # said of the whole afterwards
    if way is not None or "driver_native" not in said or _cuda_is_enough(case, image):
        return
    driver = known(case.facts.driver.version)
    needed = _needed(image, driver, case.matrix)
    yield Finding(
        severity=Severity.ERROR,
        message=f"driver {driver} is too old for {image.tag}, which is built for CUDA {image.cuda}",
        evidence=(
            *evidence,
            Evidence(source="nvidia-smi --query-gpu=driver_version --format=csv", value=str(driver)),
            *(
                Evidence(source=reason.source, value=reason.detail)
                for reason in ruling.reasons
                if reason.rule in ("driver_native", "minor_version_compat")
            ),
        ),
        fix=Fix(
            text=("install a newer driver" if needed is None else f"install driver {needed} or newer")
            + ", or a TensorFlow that this one runs: gpudoctor resolve names those",
            commands=("gpudoctor resolve --tf latest",),
            needs_root=True,
            needs_reboot=True,
            url=LINKS[1],
        ),
    )


def _capability(ruling: GpuRuling) -> str:
    capability = ruling.gpu.compute_capability
    return ruling.gpu.label if isinstance(capability, Unread) else f"{ruling.gpu.label} ({capability})"


def _cuda_is_enough(case: Case, image: ImageRow) -> bool:
    """The libcuda that programs get is as new as this TensorFlow: a compat library, whatever the driver's number."""
    version = known(known(case.facts.cuda).version)
    return image.cuda is not None and (version.major, version.minor) >= (image.cuda.major, image.cuda.minor)


def _needed(image: ImageRow, driver: DriverVersion, matrix: Matrix) -> DriverVersion | None:
    """The least of the drivers that would do, by the tables: the floor of its CUDA major, else that of its toolkit."""
    floor = None if image.cuda is None else matrix.minor_version_row(image.cuda.major)
    toolkit = None if image.cuda is None else matrix.cuda_row(image.cuda)
    steps = [None if floor is None else floor.min_driver, None if toolkit is None else toolkit.bundled_driver]
    return min((step for step in steps if step is not None and step > driver), default=None)
