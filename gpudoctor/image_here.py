"""The image that this process's container was started from, by its environment, judged by the rules for images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Fix, Severity
from gpudoctor.host import Host, from_facts
from gpudoctor.image import (
    CUDA_DRIVER_VERSION,
    CUDA_VERSION,
    NVIDIA_TENSORFLOW_VERSION,
    TENSORFLOW_VERSION,
    ImageFacts,
    resolve_image,
)
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Unread, UnreadError, Why, known
from gpudoctor.resolve import REGISTRY, REPOSITORY, Candidate, Request, Resolution, in_words, resolve
from gpudoctor.rules import GpuRuling, gpu_kind
from gpudoctor.verdicts import Reason, Verdict
from gpudoctor.versions import DriverVersion

_REFERENCE = "this container's image"
_PLATFORMS = {"x86_64": "amd64", "aarch64": "arm64"}
_BLACKWELL = 10  # major compute capability
_DRIVER_RULES = ("driver_native", "forward_compat", "minor_version_compat")

# Variables by which NVIDIA's images and TensorFlow's own tell what they hold.
_STATED = (CUDA_VERSION, CUDA_DRIVER_VERSION, NVIDIA_TENSORFLOW_VERSION, TENSORFLOW_VERSION)


# Checks whose findings say why nobody knows the GPUs that an image would be judged for.
NO_GPUS_TO_JUDGE = (
    "container-gpus-not-requested",
    "container-apptainer-without-nv",
    "container-lost-gpu-after-daemon-reload",
    "container-selinux-denies-devices",
    "driver-library-mismatch",
)


class ImageHere(NamedTuple):
    """The image, and what the rules make of it on this host."""

    resolution: Resolution
    host: Host
    matrix: Matrix

    @property
    def row(self) -> ImageRow:
        """What it holds."""
        return self.resolution.candidates[0].image

    @property
    def driver(self) -> DriverVersion:
        """The host's. Raises UnreadError where it is not known."""
        return known(self.host.driver)

    @property
    def cuda(self) -> str:
        """For people: CUDA 12.4.1."""
        return f"CUDA {self.row.cuda}"

    @property
    def severity(self) -> Severity:
        """Of what its TensorFlow cannot do: an image that names none may hold code that can."""
        return Severity.WARNING if self.row.tensorflow is None else Severity.ERROR

    @property
    def gpus(self) -> tuple[GpuRuling, ...]:
        """What becomes of the GPUs, one of each kind. Raises UnreadError where they are not known."""
        known(self.host.gpus)
        kinds = {gpu_kind(ruling.gpu): ruling for ruling in reversed(self.resolution.candidates[0].gpus)}
        return tuple(reversed(kinds.values()))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What the image says of itself, and the host's driver."""
        row = self.row
        stated = [
            ("echo $CUDA_VERSION", row.cuda),
            ("echo $CUDA_DRIVER_VERSION", row.bundled_driver),
            ("echo $TENSORFLOW_VERSION", row.tensorflow),
            ("nvidia-smi --query-gpu=driver_version --format=csv", self.host.driver),
        ]
        return tuple(
            Evidence(source=source, value=str(value))
            for source, value in stated
            if value is not None and not isinstance(value, Unread)
        )

    def fix(self, mended_by: str) -> Fix:
        """That, with the driver or the image that would do: of the same TensorFlow, else of the newest that runs."""
        parts = [mended_by, *(f"on the host, {advice.text}" for advice in self.resolution.advice)]
        tensorflow = self.row.tensorflow
        if tensorflow is None:
            return Fix(text="; ".join(parts))
        asked = ".".join(tensorflow.text.split(".")[:2])
        better = self._better(Request(tf=asked)) or self._better(Request())
        if better is not None:
            parts.append(
                f"{better.reference} holds TensorFlow {better.image.tensorflow} and {in_words(better.verdict)} as it is"
            )
        return Fix(text="; ".join(parts), commands=(f"gpudoctor resolve --tf {asked}",))

    def _better(self, request: Request) -> Candidate | None:
        """The best that was asked for, where it does better than this one."""
        best = resolve(request, self.host, self.matrix).best
        here = self.resolution.candidates[0].verdict
        return None if best is None or best.verdict.rank >= here.rank else best


def applies(case: Case) -> bool:
    """Inside a container whose image says what CUDA it holds; a Jetson's driver is judged by no row."""
    return bool(case.container) and not case.facts.system.jetson and bool(case.variable(CUDA_VERSION))


def holds_tensorflow(case: Case) -> bool:
    """The image says that it was made for TensorFlow."""
    return any(case.variable(name) for name in (TENSORFLOW_VERSION, NVIDIA_TENSORFLOW_VERSION))


def judged(case: Case) -> ImageHere:
    """The image around this process. Raises UnreadError where its CUDA or the GPUs are not known."""
    facts = image_facts(case)
    known(case.facts.gpus)  # what NVML does not list cannot be judged, though the bus may show that nothing is there
    host = from_facts(case.facts, case.matrix)
    here = ImageHere(resolution=resolve_image(facts, Request(), host, case.matrix), host=host, matrix=case.matrix)
    if here.row.cuda is None:
        detail = f"{facts.variables[CUDA_VERSION][:40]!r} is no CUDA version"
        raise UnreadError(Unread(source=f"${CUDA_VERSION}", why=Why.GARBLED, detail=detail))
    return here


def image_facts(case: Case) -> ImageFacts:
    """What the environment says; manifest and layers are not to be seen from inside."""
    environment = tuple((one.name, one.value) for one in known(case.facts.system.variables))
    tag = _tag(case)
    platform = f"linux/{_PLATFORMS.get(case.facts.system.architecture, case.facts.system.architecture)}"
    repository = f"{REGISTRY}/{REPOSITORY}" if tag else ""
    return ImageFacts(
        reference=f"{repository}:{tag}" if tag else _REFERENCE,
        repository=repository,
        tag=tag,
        digest="",
        platforms=(platform,),  # it runs, so it is of this one
        platform=platform,
        packed_bytes=None,
        layers=0,
        environment=environment,
        labels=(),
        entrypoint=(),
        created="",
        source="the environment of this process",
        bytes_read=0,
    )


def _tag(case: Case) -> str:
    """The tag in the matrix that goes with $NVIDIA_TENSORFLOW_VERSION, which leaves out the Python."""
    stated = case.variable(NVIDIA_TENSORFLOW_VERSION)
    if not stated:
        return ""
    python = (case.variable("PYVER") or case.variable("PYTHON_VERSION") or "3").partition(".")[0]
    tags = (f"{stated}-py{python}", f"{stated}-py3", stated)
    return next((tag for tag in tags if case.matrix.image(tag) is not None), "")


def reason(ruling: GpuRuling, rule: str) -> Reason | None:
    """What one rule said of the GPU."""
    return next((one for one in ruling.reasons if one.rule == rule), None)


def with_verdict(here: ImageHere, rule: str, verdict: Verdict) -> Iterator[tuple[GpuRuling, Reason]]:
    """The GPUs of which the rule says that.

    Raises UnreadError after the last one where of another the rule could say nothing: that one is not well either.
    """
    open_: Reason | None = None
    for ruling in here.gpus:
        said = reason(ruling, rule)
        if said is not None and said.verdict is verdict:
            yield ruling, said
        elif said is not None and said.verdict is Verdict.UNKNOWN:
            open_ = open_ or said
    if open_ is not None:
        unknown(open_)


def route(ruling: GpuRuling) -> Reason | None:
    """The rule that lets the driver run the image for this GPU; None where none does.

    Raises UnreadError where that is open.
    """
    said = [one for one in ruling.reasons if one.rule in _DRIVER_RULES]
    way = next((one for one in said if one.verdict.runs), None)
    if way is None:
        for one in said:
            if one.verdict is Verdict.UNKNOWN:
                unknown(one)
    return way


def branch_is_skipped(here: ImageHere, ruling: GpuRuling) -> bool:
    """The image's compat libraries take an older branch than the host's and not this one.

    Raises UnreadError where it is not known whether the GPU could use them at all.
    """
    row, driver = here.row, here.driver
    listed = row.forward_compat
    if listed is None:
        by_cuda = None if row.cuda is None else here.matrix.forward_row(row.cuda)
        listed = () if by_cuda is None else by_cuda.branches
    branches = {one.branch for one in listed}
    if here.host.wsl or driver.branch in branches or not any(branch < driver.branch for branch in branches):
        return False
    return known(ruling.gpu.data_center) != "no"


def unknown(said: Reason) -> NoReturn:
    """The rules cannot tell."""
    raise UnreadError(Unread(source=said.source, why=Why.ABSENT, detail=said.detail))


def is_newer(here: ImageHere, ruling: GpuRuling) -> bool:
    """The GPU is newer than the newest code in the image; else it is older than all of it."""
    row = here.row
    toolkit = None if row.cuda is None else here.matrix.cuda_row(row.cuda)
    newest = max(row.built_for) if row.built_for else None if toolkit is None else toolkit.max_native_capability
    return newest is None or known(ruling.gpu.compute_capability) > newest


def is_blackwell(ruling: GpuRuling) -> bool:
    """Of the generation that images before 25.01 know nothing of."""
    return known(ruling.gpu.compute_capability).major >= _BLACKWELL
