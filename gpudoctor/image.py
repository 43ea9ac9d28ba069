"""Any image by what it says of itself: its manifest, its configuration, and the verdict on it.

NVIDIA's images name their CUDA, the driver that it came with and their TensorFlow in the environment, so that an
image can be judged that the matrix has never heard of, and a row of the matrix be checked against the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from gpudoctor import requirement
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import NO_RELEASE, ImageRow, Matrix, Provenance
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.requirement import Requirements, Subject
from gpudoctor.resolve import Advice, Candidate, Request, Resolution, driver_in_words, in_words
from gpudoctor.rules import GpuRuling, ImageRuling, bundled_driver, judge
from gpudoctor.verdicts import Reason, Ruling, Verdict, worst
from gpudoctor.versions import CudaVersion, DriverVersion, TfVersion, Version, VersionError

_V = TypeVar("_V", bound=Version)

CUDA_VERSION = "CUDA_VERSION"
CUDA_DRIVER_VERSION = "CUDA_DRIVER_VERSION"
TENSORFLOW_VERSION = "TENSORFLOW_VERSION"
NVIDIA_TENSORFLOW_VERSION = "NVIDIA_TENSORFLOW_VERSION"
TENSORFLOW_LABEL = "com.nvidia.tensorflow.version"

# NVIDIA's images name their Python by the first, Docker's own by the second.
_PYTHON_VARIABLES = ("PYVER", "PYTHON_VERSION")

_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}

# Older drivers name A100 and their like tesla: NVML learnt the brands after titan with branch 470, as NVIDIA's own
# NVIDIA_REQUIRE_CUDA shows, which lists them from there on.
# https://gitlab.com/nvidia/container-images/cuda/-/blob/master/dist/12.4.1/ubuntu2204/base/Dockerfile (2026-11)
_FIRST_BRANCH_OF_NEW_BRANDS = 470
_OLD_BRAND = {"nvidia": "tesla", "nvidiartx": "quadro", "quadrortx": "quadro"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image says of itself."""

    reference: str
    """In full: nvcr.io/nvidia/tensorflow:22.12-tf1-py3."""
    repository: str
    """Without tag and digest."""
    tag: str
    """"" where it was named by digest alone."""
    digest: str
    platforms: tuple[str, ...]
    """linux/amd64, linux/arm64: all that the name holds an image for."""
    platform: str
    """The one that the rest is about."""
    packed_bytes: int | None
    """Sum of the packed layers; None where nobody says, as in an engine."""
    layers: int
    environment: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    entrypoint: tuple[str, ...]
    created: str
    """RFC 3339, or "" where it does not say."""
    source: str
    """Registry or engine that was asked."""
    bytes_read: int
    """Bodies of the answers together."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment by name; the last of a name counts, as in a container."""
        return dict(self.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatList:
    """The driver branches that the image's own compat libraries take; they know better than any table."""

    branches: tuple[DriverVersion, ...] | None
    """Empty where the image holds no such libraries; None where they do not say, and the table decides."""
    detail: str
    source: str


def pairs(value: object) -> tuple[tuple[str, str], ...]:
    """Env (a list of NAME=VALUE) or Labels (an object) of a configuration; what is neither is left out."""
    if isinstance(value, dict):
        return tuple((name, text) for name, text in value.items() if isinstance(text, str))
    split = (item.partition("=") for item in texts(value))
    return tuple((name, text) for name, _, text in split)


def texts(value: object) -> tuple[str, ...]:
    """A list of texts of a configuration, such as Entrypoint."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


# --- the row that the image would have ---


def matrix_row(facts: ImageFacts, matrix: Matrix) -> ImageRow | None:
    """The matrix's row for this image: one of nvcr.io/nvidia/tensorflow, or of a mirror that kept its last name."""
    return matrix.image(facts.tag) if facts.tag and facts.repository.endswith("/tensorflow") else None


def to_row(facts: ImageFacts, matrix: Matrix, compat: CompatList | None = None) -> ImageRow:
    """The image as a row of the matrix: what it says itself, then what the matrix knows of its tag or its CUDA."""
    variables, known = facts.variables, matrix_row(facts, matrix)
    cuda, cuda_is_derived = _cuda(variables.get(CUDA_VERSION, ""), matrix)
    if known is not None and cuda is not None and known.cuda is not None and _minor(known.cuda) != _minor(cuda):
        known = None  # another image under the same tag: its cells say nothing of this one
    derived = ["cuda"] if cuda_is_derived else []
    if cuda is None and known is not None:
        cuda = known.cuda
    release = _release(facts) or (NO_RELEASE if known is None else known.release)
    min_capability = None if known is None else known.min_capability
    if min_capability is None and release == NO_RELEASE and cuda is not None:
        toolkit = matrix.cuda_row(cuda)
        min_capability = None if toolkit is None else toolkit.min_capability
        derived.append("min_capability")
    driver = _version(DriverVersion, variables.get(CUDA_DRIVER_VERSION, ""))
    tensorflow = _version(TfVersion, variables.get(TENSORFLOW_VERSION, "").partition("+")[0])
    python = next((match[0] for match in map(_python, map(variables.get, _PYTHON_VARIABLES)) if match), None)
    forward = None if known is None else known.forward_compat
    if compat is not None and compat.branches is not None:
        forward = compat.branches
    return ImageRow(
        tag=facts.tag or facts.reference,
        release=release,
        tensorflow=tensorflow or (None if known is None else known.tensorflow),
        cuda=cuda,
        cudnn=None if known is None else known.cudnn,
        python=python or (None if known is None else known.python),
        ubuntu=None if known is None else known.ubuntu,
        arm64="yes" if _holds("aarch64", facts) else "no",
        bundled_driver=driver or (None if known is None else known.bundled_driver),
        min_driver_stated=None if known is None else known.min_driver_stated,
        forward_compat=forward,
        min_capability=min_capability,
        built_for=None if known is None else known.built_for,
        ptx=None if known is None else known.ptx,
        derived=tuple(derived) if known is None else known.derived,
        provenance=_provenance(facts, known),
    )


def _provenance(facts: ImageFacts, known: ImageRow | None) -> Provenance:
    if known is not None:
        return known.provenance
    note = f"by the image's own environment, from {facts.source}; which GPUs it was built for follows from its CUDA"
    return Provenance(source=(), checked="", confidence="medium", note=note)


def _cuda(text: str, matrix: Matrix) -> tuple[CudaVersion | None, bool]:
    """CUDA_VERSION as the matrix numbers toolkits (11.8.0 for 11.8.0.065), and whether that had to be guessed."""
    stated = _version(CudaVersion, text)
    if stated is None:
        return None, False
    short = CudaVersion(".".join(stated.text.split(".")[:3]))
    if matrix.cuda_row(short) is not None:
        return short, False
    same = [row.version for row in matrix.cuda if _minor(row.version) == _minor(short)]
    return (max(same), True) if same else (short, False)


def _version(kind: type[_V], text: str) -> _V | None:
    try:
        return kind(text)
    except VersionError:
        return None


def _minor(version: CudaVersion) -> tuple[int, int]:
    return version.major, version.minor


_RELEASE = re.compile(r"([0-9]{2}\.[0-9]{2})(?:[.-].*)?", re.ASCII)


def _release(facts: ImageFacts) -> str:
    """22.12 of 22.12-tf1; "" where the image is none of NVIDIA's monthly ones for TensorFlow."""
    text = facts.variables.get(NVIDIA_TENSORFLOW_VERSION) or dict(facts.labels).get(TENSORFLOW_LABEL, "")
    match = _RELEASE.fullmatch(text)
    return match[1] if match else ""


def _python(text: str | None) -> re.Match[str] | None:
    return re.match(r"[0-9]\.[0-9]{1,2}(?![0-9])", text or "", re.ASCII)


def _holds(architecture: str, facts: ImageFacts) -> bool:
    wanted = f"linux/{_ARCHITECTURE.get(architecture, architecture)}"
    return any(one == wanted or one.startswith(f"{wanted}/") for one in facts.platforms)


# --- the verdict ---


def resolve_image(
    facts: ImageFacts, request: Request, host: Host, matrix: Matrix, compat: CompatList | None = None
) -> Resolution:
    """Judge one image by its own word. Total, as the rules are."""
    row = to_row(facts, matrix, compat)
    ruling = _ruling(facts, row, request, host, matrix)
    reasons = (*ruling.reasons, *_notes(facts, row, matrix, compat))
    candidate = Candidate(
        image=row,
        reference=facts.reference,
        verdict=ruling.verdict,
        reasons=reasons,
        gpus=ruling.gpus,
        min_driver=bundled_driver(row, matrix, windows=host.wsl),
    )
    return Resolution(
        request=request,
        host=host,
        verdict=ruling.verdict,
        best=candidate if ruling.verdict.runs else None,
        candidates=(candidate,),
        advice=tuple(_advice(candidate, request, host, matrix)),
        message="",
    )


def _ruling(facts: ImageFacts, row: ImageRow, request: Request, host: Host, matrix: Matrix) -> ImageRuling:
    ruling = judge(row, host, matrix, cpu_only=request.cpu_only)
    if row.cuda is None and not request.cpu_only:
        ruling = _without_cuda(facts, host, ruling)
    elif not request.cpu_only:
        demands = requirement.from_environment(facts.variables)
        gpus = tuple(_with_requirements(gpu, index, demands, host, matrix) for index, gpu in enumerate(ruling.gpus))
        ruling = ruling._replace(gpus=gpus, verdict=worst(ruling.verdict, *(gpu.verdict for gpu in gpus)))
    if facts.platforms and host.architecture == "x86_64" and not _holds(host.architecture, facts):
        detail = f"it holds no image for {host.architecture}, only for {', '.join(facts.platforms[:8])}"
        none = Ruling.of(Verdict.WILL_NOT_RUN, "platform", detail, _source(facts))
        verdict = worst(ruling.verdict, none.verdict)
        ruling = ruling._replace(verdict=verdict, reasons=(*none.reasons, *ruling.reasons))
    gpus = tuple(gpu._replace(reasons=_sourced(gpu.reasons, facts)) for gpu in ruling.gpus)
    return ruling._replace(reasons=_sourced(ruling.reasons, facts), gpus=gpus)


def _source(facts: ImageFacts) -> str:
    return f"configuration of {facts.reference}"


def _sourced(reasons: tuple[Reason, ...], facts: ImageFacts) -> tuple[Reason, ...]:
    """What rests on no row of the matrix rests on the image's own word."""
    return tuple(reason if reason.source else reason._replace(source=_source(facts)) for reason in reasons)


def _without_cuda(facts: ImageFacts, host: Host, ruling: ImageRuling) -> ImageRuling:
    """Nothing can be said of an image that does not say which CUDA it holds."""
    stated = facts.variables.get(CUDA_VERSION)
    if stated:
        detail = f"its {CUDA_VERSION}, {stated[:40]!r}, is no CUDA version"
    else:
        detail = f"its environment names no {CUDA_VERSION}: it holds no CUDA, or does not say which"
    unknown = Ruling.of(Verdict.UNKNOWN, "image", detail, _source(facts))
    if isinstance(host.gpus, Unread) or not host.gpus:
        return ruling._replace(
            verdict=worst(ruling.verdict, unknown.verdict), reasons=(*ruling.reasons, *unknown.reasons)
        )
    gpus = tuple(GpuRuling(gpu=gpu, verdict=unknown.verdict, reasons=unknown.reasons) for gpu in host.gpus)
    of_host = worst(*(reason.verdict for reason in ruling.reasons))
    return ImageRuling(verdict=worst(of_host, unknown.verdict), reasons=ruling.reasons, gpus=gpus)


def _with_requirements(ruling: GpuRuling, index: int, demands: Requirements, host: Host, matrix: Matrix) -> GpuRuling:
    subject = Subject(
        driver_cuda_version=driver_cuda_version(host, matrix),
        driver=host.driver,
        compute_capability=ruling.gpu.compute_capability,
        brand=_brand(ruling.gpu, host),
    )
    found = requirement.judge(demands, subject, first=index == 0)
    return ruling._replace(verdict=worst(ruling.verdict, found.verdict), reasons=(*ruling.reasons, *found.reasons))


def driver_cuda_version(host: Host, matrix: Matrix) -> Reading[CudaVersion]:
    """The CUDA of the host's driver: NVML's word, else that of the newest toolkit that came with no newer branch."""
    if not isinstance(host.driver_cuda_version, Unread):
        return host.driver_cuda_version
    if isinstance(host.driver, Unread):
        return host.driver
    driver = host.driver
    if host.wsl:
        drivers = [(row.bundled_driver_windows, row.version) for row in matrix.cuda]
        came = [cuda for windows, cuda in drivers if windows is not None and windows <= driver]
    else:
        came = [row.version for row in matrix.cuda if row.bundled_driver.branch <= driver.branch]
    if not came:
        detail = f"driver {driver} is older than every CUDA in the matrix"
        return Unread(source="compat_matrix.yaml: cuda", why=Why.ABSENT, detail=detail)
    newest = max(came)
    return CudaVersion(f"{newest.major}.{newest.minor}")


def _brand(gpu: HostGpu, host: Host) -> Reading[str]:
    """As NVIDIA's evaluators spell it, without blanks and underscores."""
    if isinstance(gpu.brand, Unread):
        return gpu.brand
    brand = gpu.brand.lower().replace("_", "").replace(" ", "")
    if host.what_if and not isinstance(host.driver, Unread) and host.driver.branch < _FIRST_BRANCH_OF_NEW_BRANDS:
        return _OLD_BRAND.get(brand, brand)
    return brand


# --- what else there is to say ---


def _notes(facts: ImageFacts, row: ImageRow, matrix: Matrix, compat: CompatList | None) -> Iterator[Reason]:
    if compat is not None:
        yield Reason(rule="forward_compat", detail=compat.detail, source=compat.source, verdict=Verdict.RUNS)
    known = matrix_row(facts, matrix)
    if known is None:
        return
    links = matrix.links(known.provenance)
    source = links[0] if links else "compat_matrix.yaml: images"
    compared = [
        (
            "TensorFlow",
            _version(TfVersion, facts.variables.get(TENSORFLOW_VERSION, "").partition("+")[0]),
            known.tensorflow,
        ),
        ("CUDA", _cuda(facts.variables.get(CUDA_VERSION, ""), matrix)[0], known.cuda),
        ("the driver of its CUDA", row.bundled_driver, bundled_driver(known, matrix)),
        ("the release", _release(facts) or None, known.release),
    ]
    agreed = []
    for what, own, listed in compared:
        if own is None or listed is None:
            continue
        if own == listed:
            agreed.append(what)
            continue
        detail = f"{what} is {own} by the image itself and {listed} by the matrix: the image's word is taken"
        yield Reason(rule="matrix", detail=detail, source=source, verdict=Verdict.RUNS)
    if known.arm64 != "unknown" and facts.platforms and (known.arm64 == "yes") is not _holds("aarch64", facts):
        detail = (
            f"an image for aarch64: {known.arm64} by the matrix, but the name holds {', '.join(facts.platforms[:8])}"
        )
        yield Reason(rule="matrix", detail=detail, source=source, verdict=Verdict.RUNS)
    if agreed:
        detail = f"the image and the matrix agree on {', '.join(agreed)}"
        yield Reason(rule="matrix", detail=detail, source=source, verdict=Verdict.RUNS)


def _advice(candidate: Candidate, request: Request, host: Host, matrix: Matrix) -> Iterator[Advice]:
    if request.cpu_only:
        return
    unlocks = (candidate.image.tag,)
    refused = any(
        reason.rule == requirement.RULE and reason.verdict is not Verdict.RUNS for reason in candidate.all_reasons
    )
    if refused and candidate.verdict.runs:
        text = "where NVIDIA's hook refuses the container, start it with -e NVIDIA_DISABLE_REQUIRE=true"
        yield Advice(text=text, unlocks=unlocks)
    if candidate.verdict.runs or isinstance(host.driver, Unread) or host.wsl or host.jetson:
        return
    for driver in _newer_drivers(candidate.image, host.driver, matrix):
        # A new driver must know the GPU by the table: that it lists it today says nothing of tomorrow.
        gpus = host.gpus
        if not isinstance(gpus, Unread):
            gpus = tuple(replace(gpu, listed_by_driver=False) for gpu in gpus)
        later = replace(host, driver=driver, gpus=gpus)
        found = judge(candidate.image, later, matrix)
        if candidate.image.cuda is not None and found.verdict.runs:
            text = f"install {driver_in_words(driver)}: then it {in_words(found.verdict)}"
            yield Advice(text=text, unlocks=unlocks, driver=driver)
            return


def _newer_drivers(image: ImageRow, current: DriverVersion, matrix: Matrix) -> list[DriverVersion]:
    """Numbers at which the verdict on one image can change, least first."""
    floor = None if image.cuda is None else matrix.minor_version_row(image.cuda.major)
    bundled = bundled_driver(image, matrix)
    steps = {
        *(() if floor is None else (floor.min_driver,)),
        *(() if bundled is None else (bundled,)),
        *(image.forward_compat or ()),
        *(row.first_branch for row in matrix.generations if row.first_branch is not None),
    }
    return sorted(step for step in steps if step > current)
