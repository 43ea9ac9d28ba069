"""The TensorFlow of the Python that `--python` names, as the checks ask for it."""

from __future__ import annotations

import re
import shlex

from gpudoctor.checks import Case
from gpudoctor.facts import Package, PythonFacts
from gpudoctor.findings import Evidence
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Unread, Why, known
from gpudoctor.versions import ComputeCapability, CudaVersion, TfVersion, VersionError

# A release, and what stands behind it: 2.22.0.dev20261101, 1.15.5+nv22.12.
_RELEASE = re.compile(r"\d{1,4}(?:\.\d{1,8}){0,2}", re.ASCII)
_CAPABILITY = re.compile(r"(sm|compute)_(\d{1,2})(\d)[af]?", re.ASCII)

FIRST_THAT_SAYS_CUDA = (1, 14)
FIRST_THAT_SAYS_CAPABILITIES = (2, 3)
"""From then on TensorFlow's build information holds them; what it holds before is of TensorFlow's own images."""


def is_asked(case: Case) -> bool:
    """An interpreter was named."""
    python = case.facts.python
    return not (isinstance(python, Unread) and python.why is Why.NOT_ASKED)


def holds_tensorflow(case: Case) -> bool:
    """It has a TensorFlow, or nobody knows: an interpreter without one is another check's matter."""
    python = case.facts.python
    return is_asked(case) and (isinstance(python, Unread) or tensorflow(python) is not None)


def tensorflow(python: PythonFacts) -> Package | None:
    """The distribution of TensorFlow in it, None where it has none. Raises UnreadError where that is not known."""
    package = python.tensorflow
    if isinstance(package, Unread) and package.why is Why.ABSENT:
        return None
    return known(package)


def version(package: Package) -> TfVersion | None:
    """Its release, without what a vendor adds to it; None where it has no such form."""
    match = _RELEASE.match(package.version)
    try:
        return None if match is None else TfVersion(match[0])
    except VersionError:
        return None


def installed(python: PythonFacts, name: str) -> str | None:
    """Version of another distribution in it, None where it is not there."""
    return next((package.version for package in python.distributions if package.name == name), None)


def numbers(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with: 8.9.7.29, 3.20.3, 2.0.0rc1."""
    match = re.match(r"\d{1,8}(?:\.\d{1,8})*", text, re.ASCII)
    return () if match is None else tuple(int(part) for part in match[0].split("."))


def is_of_conda(python: PythonFacts) -> bool:
    """conda put TensorFlow there, and pip should leave it alone."""
    return any(package.name in ("tensorflow", "tensorflow-base") for package in python.conda_packages)


def has_cuda_extra(python: PythonFacts) -> bool:
    """This TensorFlow has the extra and-cuda, which brings its CUDA along."""
    return not isinstance(python.tensorflow_requires, Unread) and any(
        "and-cuda" in one for one in python.tensorflow_requires
    )


def least_asked(python: PythonFacts, distribution: re.Pattern[str]) -> tuple[int, ...]:
    """The least version of a distribution that TensorFlow's metadata takes, () where it names none."""
    if isinstance(python.tensorflow_requires, Unread):
        return ()
    for one in python.tensorflow_requires:
        name, found, bounds = one.partition(";")[0], None, ""
        match = re.match(r"([A-Za-z0-9_.-]+?)((?:[<>=!~]=?|===).*)?$", name)
        if match is not None and distribution.fullmatch(match[1]):
            bounds = match[2] or ""
            found = re.search(r"(?:==|>=|~=)(\d[\d.]*)", bounds)
        if found is not None:
            return numbers(found[1])
    return ()


def pip(python: PythonFacts, what: str) -> str:
    """A command that installs into this interpreter."""
    return f"{shlex.quote(python.executable)} -m pip install {what}"


def run_it(tf: TfVersion | None) -> str:
    """A command that has the container bring everything."""
    return "gpudoctor run" if tf is None else f"gpudoctor run --tf {'.'.join(map(str, tf.minor))}"


def evidence(python: PythonFacts, *names: str) -> tuple[Evidence, ...]:
    """What is installed there: TensorFlow, and what else is named."""
    package = None if isinstance(python.tensorflow, Unread) else python.tensorflow
    shown = [] if package is None else [package]
    shown += [one for one in python.distributions if one.name in names and one is not package]
    listed = ", ".join(f"{one.name} {one.version}" for one in dict.fromkeys(shown))
    source = f"{shlex.quote(python.executable)} -m pip list"
    return (Evidence(source=source, value=f"Python {python.version}{', ' if listed else ''}{listed}"),)


def upstream_row(tf: TfVersion, matrix: Matrix) -> ImageRow | None:
    """TensorFlow's own image of that very version, else of its minor."""
    rows = [row for row in matrix.upstream_images if row.tensorflow is not None and row.tensorflow.minor == tf.minor]
    return next((row for row in rows if row.tensorflow == tf), rows[0] if rows else None)


def as_image(python: PythonFacts, tf: TfVersion, matrix: Matrix) -> ImageRow:
    """What the rules for images look at, by what this TensorFlow says of its own build, else by its own image.

    It brings no compat library, so that forward compatibility is no way for it.
    """
    row = upstream_row(tf, matrix)
    built, ptx = _code(python) if tf.minor >= FIRST_THAT_SAYS_CAPABILITIES else ((), ())
    base = row or matrix.upstream_images[0]
    return base._replace(
        tag=f"TensorFlow {tf}",
        release=".".join(str(number) for number in tf.numbers),
        tensorflow=tf,
        cuda=_cuda(python, tf, row, matrix),
        arm64="yes",  # it is there
        bundled_driver=None,
        min_driver_stated=None,
        forward_compat=(),
        min_capability=None,
        built_for=built or (None if row is None else row.built_for),
        ptx=ptx if built else None if row is None else row.ptx,
        broken=None,
    )


def _cuda(python: PythonFacts, tf: TfVersion, row: ImageRow | None, matrix: Matrix) -> CudaVersion | None:
    """The toolkit; a build that names its minor alone is of any of that minor's in the matrix, they share a driver."""
    if isinstance(python.tensorflow_cuda, Unread) or tf.minor < FIRST_THAT_SAYS_CUDA:
        return None if row is None else row.cuda
    said = python.tensorflow_cuda
    if matrix.cuda_row(said) is not None:
        return said
    like = (said.major, said.minor)
    if row is not None and row.cuda is not None and (row.cuda.major, row.cuda.minor) == like:
        return row.cuda
    same = [one.version for one in matrix.cuda if (one.version.major, one.version.minor) == like]
    return min(same) if same else said


def _code(python: PythonFacts) -> tuple[tuple[ComputeCapability, ...], tuple[ComputeCapability, ...]]:
    """Native code and PTX in it: compute_90 of the build is both, TensorFlow's wheels hold cubins of their newest."""
    if isinstance(python.tensorflow_capabilities, Unread):
        return (), ()
    built: list[ComputeCapability] = []
    ptx: list[ComputeCapability] = []
    for one in python.tensorflow_capabilities:
        match = _CAPABILITY.fullmatch(one)
        if match is None:
            return (), ()
        capability = ComputeCapability(f"{match[2]}.{match[3]}")
        built.append(capability)
        if match[1] == "compute":
            ptx.append(capability)
    return tuple(sorted(built)), tuple(ptx)
