"""Which image fits a host: every candidate with its verdict and reasons, the best first, and what would help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gpudoctor.errors import InputError
from gpudoctor.host import Host
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Unread
from gpudoctor.rules import GpuRuling, bundled_driver, judge
from gpudoctor.verdicts import Reason, Verdict
from gpudoctor.versions import DriverVersion, TfVersion, VersionError

REGISTRY = "nvcr.io/nvidia"
REPOSITORY = "tensorflow"
UPSTREAM = "docker.io/tensorflow/tensorflow"

LATEST = "latest"

_SPEC_EXAMPLES = "say 1.15, 1.15.5, 2, 2.17, latest, or '>=2.10,<2.13'"
_MAX_SPEC = 200
_PYTHON = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    tf: str | None = None
    """As typed: 1.15, 2, latest, >=2.10,<2.13."""
    tag: str | None = None
    image: str | None = None
    """Any image, as typed; the matrix is then asked for no other."""
    python: str | None = None
    """3.8: only images with that Python."""
    cpu_only: bool = False
    """`--gpus none`."""
    registry: str = REGISTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An image that holds what was asked for, and what becomes of it on the host."""

    image: ImageRow
    reference: str
    """Full reference: nvcr.io/nvidia/tensorflow:22.12-tf1-py3."""
    verdict: Verdict
    reasons: tuple[Reason, ...]
    gpus: tuple[GpuRuling, ...]
    min_driver: DriverVersion | None
    """The driver that the image's CUDA ships with."""

    @property
    def confidence(self) -> str:
        """Of the matrix row: high, medium or low."""
        return self.image.provenance.confidence

    @property
    def all_reasons(self) -> tuple[Reason, ...]:
        """Of the host and of every GPU, each once."""
        everything = (*self.reasons, *(reason for gpu in self.gpus for reason in gpu.reasons))
        return tuple(dict.fromkeys(everything))


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What would help, and which tags it unlocks."""

    text: str
    unlocks: tuple[str, ...]
    driver: DriverVersion | None = None
    """The driver to install, where that is the advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The answer to a Request."""

    request: Request
    host: Host
    verdict: Verdict
    best: Candidate | None
    candidates: tuple[Candidate, ...]
    """Best first."""
    advice: tuple[Advice, ...]
    message: str
    """Where there is no candidate at all: why not, and the nearest."""


def resolve(request: Request, host: Host, matrix: Matrix) -> Resolution:
    """Judge every image that holds what was asked for.

    Raises InputError when the request itself cannot be read.
    """
    if request.python is not None and not _PYTHON.fullmatch(request.python):
        raise InputError(f"--python {request.python!r}: expected X.Y", "as in 3.8")
    wanted = _wanted(request)
    images = [image for image in matrix.images if wanted(image) and _python_fits(image, request)]
    if not images:  # what NVIDIA has no image of, TensorFlow's own project may have
        images = [image for image in matrix.upstream_images if wanted(image) and _python_fits(image, request)]
    asked = sorted((_candidate(image, request, host, matrix) for image in images), key=_preference)
    latest = request.tag is None and (request.tf or LATEST).strip() == LATEST
    candidates = _latest(asked) if latest else asked
    message = ""
    if not candidates:
        verdict, message = Verdict.NO_SUCH_IMAGE, _nearest(request, matrix)
    else:
        verdict = candidates[0].verdict
    best = next((candidate for candidate in candidates if candidate.verdict.runs), None)
    advice = () if best is not None else tuple(_advice(request, asked, host, matrix))
    return Resolution(
        request=request,
        host=host,
        verdict=verdict,
        best=best,
        candidates=tuple(candidates),
        advice=advice,
        message=message,
    )


def runnable(host: Host, matrix: Matrix, *, python: str | None = None) -> tuple[Candidate, ...]:
    """For every minor version of TensorFlow, newest first, the best image for the host, whether it runs or not."""
    request = Request(python=python)
    by_minor: dict[tuple[int, int], Candidate] = {}
    for image in matrix.images:
        if image.tensorflow is None or image.igpu != host.jetson or not _python_fits(image, request):
            continue
        candidate = _candidate(image, request, host, matrix)
        other = by_minor.get(image.tensorflow.minor)
        if other is None or _preference(candidate) < _preference(other):
            by_minor[image.tensorflow.minor] = candidate
    return tuple(by_minor[minor] for minor in sorted(by_minor, reverse=True))


def _candidate(image: ImageRow, request: Request, host: Host, matrix: Matrix) -> Candidate:
    ruling = judge(image, host, matrix, cpu_only=request.cpu_only)
    return Candidate(
        image=image,
        reference=f"{UPSTREAM if image.upstream else f'{request.registry}/{REPOSITORY}'}:{image.tag}",
        verdict=ruling.verdict,
        reasons=ruling.reasons,
        gpus=ruling.gpus,
        min_driver=bundled_driver(image, matrix, windows=host.wsl),
    )


def _preference(candidate: Candidate) -> tuple[int, bool, tuple[int, ...], bool, tuple[int, ...], str]:
    """Best verdict, then sure rows, the newest release, Python 3 before Python 2, the newest TensorFlow."""
    image = candidate.image
    newest_first = tuple(-part for part in (*image.release_key, 0, 0, 0)[:4])
    python2 = (image.python or "").startswith("2")
    numbers = () if image.tensorflow is None else image.tensorflow.numbers
    tensorflow = tuple(-part for part in (*numbers, 0, 0, 0)[:3])
    return (candidate.verdict.rank, candidate.confidence == "low", newest_first, python2, tensorflow, image.tag)


def _latest(candidates: list[Candidate]) -> list[Candidate]:
    """The newest minor of TensorFlow that runs; where none does, the newest there is."""
    minors = [
        (candidate.verdict.runs, candidate.image.tensorflow.minor)
        for candidate in candidates
        if candidate.image.tensorflow is not None
    ]
    if not minors:
        return candidates
    _, newest = max(minors)
    return [
        candidate
        for candidate in candidates
        if candidate.image.tensorflow is not None and candidate.image.tensorflow.minor == newest
    ]


def _wanted(request: Request) -> Callable[[ImageRow], bool]:
    if request.tag is not None:
        return lambda image: image.tag == request.tag
    matches = tf_matcher(LATEST if request.tf is None else request.tf)  # without either, the newest is meant
    return lambda image: image.tensorflow is not None and matches(image.tensorflow)


def _python_fits(image: ImageRow, request: Request) -> bool:
    return request.python is None or image.python == request.python


def tf_matcher(spec: str) -> Callable[[TfVersion], bool]:
    """What `--tf` means: 1.15 is 1.15.*, `latest` is anything, operators are PEP 440's.

    Raises InputError with examples when it means nothing.
    """
    spec = spec.strip()
    if len(spec) > _MAX_SPEC:
        raise InputError("--tf: longer than any TensorFlow version", _SPEC_EXAMPLES)
    if spec == LATEST:
        return lambda _version: True
    if spec and spec[0] in "<>=!~":
        return _specifier(spec)
    try:
        asked = TfVersion(spec.removesuffix(".*"))
    except VersionError:
        raise InputError(f"--tf {spec!r} is no TensorFlow version", _SPEC_EXAMPLES) from None
    # Read from the text, because a trailing zero counts here: 1.0 means 1.0.*, and 1 means 1.*.
    typed = tuple(int(part) for part in asked.text.partition("-")[0].split("."))

    def matches(version: TfVersion) -> bool:
        numbers = (*version.numbers, 0, 0, 0)
        return numbers[: len(typed)] == typed and asked.prerelease in ("", version.prerelease)

    return matches


def _specifier(spec: str) -> Callable[[TfVersion], bool]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import Version

    try:
        specifiers = SpecifierSet(spec, prereleases=True)
    except InvalidSpecifier as error:
        raise InputError(f"--tf {spec!r}: {error}", "say '>=2.10,<2.13' or '~=1.15.0'") from None
    return lambda version: specifiers.contains(Version(version.text))


def _nearest(request: Request, matrix: Matrix) -> str:
    """Why there is no candidate, with what comes nearest."""
    if request.tag is not None:
        if request.python is not None and matrix.image(request.tag) is not None:
            return f"{request.tag} does not hold Python {request.python}"
        import difflib

        tags = [row.tag for row in (*matrix.images, *matrix.upstream_images)]
        near = difflib.get_close_matches(request.tag, tags, n=3, cutoff=0.5)
        return f"no tag {request.tag!r} in the matrix; the nearest: {', '.join(near) or 'none'}"
    matches = tf_matcher(LATEST if request.tf is None else request.tf)
    everything = (*matrix.images, *matrix.upstream_images)
    held = [row for row in everything if row.tensorflow is not None and matches(row.tensorflow)]
    if held and request.python is not None:
        pythons = sorted({row.python for row in held if row.python}, key=_as_numbers)
        known = f"comes with Python {', '.join(pythons)}" if pythons else "comes with a Python that is not known"
        return f"TensorFlow {request.tf or LATEST} {known}, not with {request.python}"
    minors = sorted({row.tensorflow.minor for row in everything if row.tensorflow is not None})
    if not minors:
        return "the matrix names no image with its TensorFlow"
    return (
        f"no image in the matrix holds TensorFlow {request.tf}; nearest: "
        f"{', '.join(_dotted(minor) for minor in _around(request.tf or '', minors))}"
        f" (they go from {_dotted(minors[0])} to {_dotted(minors[-1])}; NVIDIA's own ended with 25.02)"
    )


def _dotted(minor: tuple[int, int]) -> str:
    return f"{minor[0]}.{minor[1]}"


def _as_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def _around(spec: str, minors: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The minors next below and above the first version that a spec names."""
    first = re.search(r"[0-9]+(\.[0-9]+)*", spec)
    target = (*_as_numbers("" if first is None else first[0]), 0, 0)[:2]
    below = [minor for minor in sorted(minors) if minor <= target]
    above = [minor for minor in sorted(minors) if minor > target]
    return below[-1:] + above[:1]


def _advice(request: Request, candidates: Sequence[Candidate], host: Host, matrix: Matrix) -> Iterator[Advice]:
    if request.cpu_only:
        return
    driver = _driver_advice(request, [one.image for one in candidates if _driver_may_help(one)], host, matrix)
    if driver is not None:
        yield driver
    nearest = _nearest_running(request, [one.image for one in candidates], host, matrix)
    if nearest is not None:
        yield nearest


def _driver_may_help(candidate: Candidate) -> bool:
    """Whether nothing refuses the image that no driver changes."""
    return not any(
        reason.verdict is Verdict.WILL_NOT_RUN and reason.rule in ("platform", "gpu_range", "gpu_code")
        for reason in candidate.all_reasons
    )


def _driver_advice(request: Request, images: list[ImageRow], host: Host, matrix: Matrix) -> Advice | None:
    """The least change of driver with which one of the images runs: found by judging, so it keeps its promise."""
    if isinstance(host.driver, Unread) or isinstance(host.gpus, Unread) or host.wsl or host.jetson:
        return None
    # A new driver must know the GPU by the table: that it lists it today says nothing of tomorrow. One of each kind
    # is enough to ask.
    kinds = {(gpu.compute_capability, gpu.data_center, gpu.product_first_branch): gpu for gpu in host.gpus}
    gpus = tuple(replace(gpu, listed_by_driver=False) for gpu in kinds.values())
    for driver in _driver_steps(images, host.driver, matrix):
        later = replace(host, driver=driver, gpus=gpus)
        unlocked = sorted(
            (one for one in (_candidate(image, request, later, matrix) for image in images) if one.verdict.runs),
            key=_preference,
        )
        if unlocked:
            first = unlocked[0]
            text = (
                f"install driver {driver} or newer of branch {driver.branch}: then {first.image.tag}"
                f" {in_words(first.verdict)}"
            )
            return Advice(text=text, unlocks=tuple(one.image.tag for one in unlocked), driver=driver)
    return None


def _driver_steps(images: list[ImageRow], current: DriverVersion, matrix: Matrix) -> list[DriverVersion]:
    """Every driver number at which a verdict can change: newer ones, least first; then older ones, newest first.

    Older ones help a GPU that the newest drivers have dropped, and nothing else: any other image that an older
    driver runs, a newer one runs too.
    """
    steps: set[DriverVersion] = set()
    for image in images:
        bundled = bundled_driver(image, matrix)
        if bundled is not None:
            steps.add(bundled)
        if image.cuda is not None:
            floor = matrix.minor_version_row(image.cuda.major)
            if floor is not None:
                steps.add(floor.min_driver)
        steps.update(image.forward_compat or ())
    for row in matrix.generations:
        steps.update(branch for branch in (row.first_branch, row.last_branch) if branch is not None)
    steps.update(row.first_branch for row in matrix.gpus if row.first_branch is not None)
    newer = sorted(step for step in steps if step > current)
    return [*newer, *sorted((step for step in steps if step < current), reverse=True)]


def _nearest_running(request: Request, images: list[ImageRow], host: Host, matrix: Matrix) -> Advice | None:
    """The TensorFlow nearest to the one asked for that runs on the host as it is."""
    running = [one for one in runnable(host, matrix, python=request.python) if one.verdict.runs]
    asked = [image.tensorflow.minor for image in images if image.tensorflow is not None]
    if not asked and request.tf is not None:
        asked = _around(request.tf, [one.image.tensorflow.minor for one in running if one.image.tensorflow])
    if not running or not asked:  # nothing runs, or a tag was asked for whose TensorFlow nobody knows
        return None

    def distance(candidate: Candidate) -> tuple[int, int]:
        assert candidate.image.tensorflow is not None  # runnable() holds no other
        major, minor = candidate.image.tensorflow.minor
        return min((abs(major - one[0]), abs(minor - one[1])) for one in asked)

    nearest = min(running, key=distance)
    text = (
        f"on this host as it is, {nearest.image.tag} with TensorFlow {nearest.image.tensorflow}"
        f" {in_words(nearest.verdict)}"
    )
    return Advice(text=text, unlocks=(nearest.image.tag,))


_WORDS = {
    Verdict.RUNS: "runs",
    Verdict.RUNS_WITH_FORWARD_COMPAT: "runs with forward compatibility",
    Verdict.RUNS_WITH_MINOR_VERSION_COMPAT: "runs with minor-version compatibility",
    Verdict.RUNS_UNSUPPORTED: "runs, outside what NVIDIA documents",
    Verdict.RUNS_WITH_PTX_JIT: "runs with code compiled at first use",
    Verdict.UNKNOWN: "unknown",
    Verdict.WILL_NOT_RUN: "will not run",
    Verdict.NO_SUCH_IMAGE: "no such image",
}


def in_words(verdict: Verdict) -> str:
    """A verdict as part of a sentence."""
    return _WORDS[verdict]
