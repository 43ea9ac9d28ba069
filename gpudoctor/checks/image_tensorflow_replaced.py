"""The TensorFlow of NVIDIA's image is still NVIDIA's.

A pip install inside the image, often of some other package that asks for tensorflow, puts the wheel of PyPI in place of
the build that NVIDIA made for the CUDA in the image. The new one looks for a CUDA of its own, finds no cuDNN of the
right major or no library at all, and computes on the CPU. NVIDIA's builds are told by what stands behind their version:
2.17.0+nv25.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import python_here
from gpudoctor.checks import Case
from gpudoctor.facts import Package, PythonFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.image import NVIDIA_TENSORFLOW_VERSION, TENSORFLOW_VERSION
from gpudoctor.readings import Unread, known
from gpudoctor.versions import TfVersion, VersionError

MENDED_BY = "start from the image again, and keep pip from replacing its TensorFlow"
DECIDED_BY = 'echo "$NVIDIA_TENSORFLOW_VERSION"; pip list | grep -i tensorflow'
LINKS = (
    "https://docs.nvidia.com/deeplearning/frameworks/tensorflow-user-guide/index.html",
    "https://github.com/tensorflow/tensorflow/issues/62412",
    "https://github.com/tensorflow/tensorflow/issues/63362",
)
SYMPTOMS = (
    r"Cannot dlopen some GPU libraries|Skipping registering GPU devices",
    r"Could not find cuda drivers",
    r"Uninstalling tensorflow[\w-]*-[\d.]+\+nv",
    r"Found existing installation: tensorflow\S* [\d.]+\+nv",
)

# From then on the image's own variable says 1.15.2+nv; before, its build may be called as the wheel of PyPI is.
_FIRST_WITH_MARK = (20, 1)


def applies(case: Case) -> bool:
    """An interpreter with a TensorFlow was named, inside one of NVIDIA's TensorFlow images."""
    asked = python_here.is_asked(case) and bool(case.variable(NVIDIA_TENSORFLOW_VERSION))
    return asked and python_here.holds_tensorflow(case)


def check(case: Case) -> Iterator[Finding]:
    """Compare what pip lists with what the image came with; where the GPU is lost with it, that is an error."""
    python = known(case.facts.python)
    package = python_here.tensorflow(python)
    if package is None or "+nv" in package.version or package.name == "nvidia-tensorflow":
        return
    came = case.variable(NVIDIA_TENSORFLOW_VERSION) or ""
    held = (case.variable(TENSORFLOW_VERSION) or "").partition("+")[0]
    if python_here.numbers(came)[:2] < _FIRST_WITH_MARK and _is_same(package, held):
        return
    lost = _lost_gpu(python)
    yield Finding(
        severity=Severity.ERROR if lost else Severity.WARNING,
        message=f"{package.name} {package.version} stands in place of NVIDIA's {held or 'build'} in image {came}"
        + (f", and {lost}" if lost else ""),
        evidence=(
            Evidence(source=f'echo "${NVIDIA_TENSORFLOW_VERSION}"', value=came),
            *python_here.evidence(python),
        ),
        fix=Fix(
            text=f"{MENDED_BY}: give pip a list of what may not change",
            commands=(
                "pip list --format=freeze | grep -i tensorflow > constraints.txt",
                "pip install -c constraints.txt PACKAGE",
            ),
            url=LINKS[0],
        ),
    )


def _is_same(package: Package, held: str) -> bool:
    version = python_here.version(package)
    try:
        return not held or version == TfVersion(held)
    except VersionError:
        return True  # nothing to compare with


def _lost_gpu(python: PythonFacts) -> str:
    if python.tensorflow_gpu_build is False:
        return "it is built without CUDA"
    if not isinstance(python.libraries, Unread) and any(not one.path for one in python.libraries):
        return "it does not find its CUDA libraries"
    return ""
