"""Which image fits a host: every candidate with its verdict and reasons, the best first, and what would help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from gpudoctor.errors import InputError
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Unread
from gpudoctor.rules import GpuRuling, bundled_driver, driver_knows_gpu, gpu_kind, host_kind, judge
from gpudoctor.verdicts import Reason, Ruling, Verdict, worst
from gpudoctor.versions import DriverVersion, TfVersion, VersionError

REGISTRY = "nvcr.io/nvidia"
REPOSITORY = "tensorflow"
UPSTREAM = "docker.io/tensorflow/tensorflow"

LATEST = "latest"

_SPEC_EXAMPLES = "say 1.15, 1.15.5, 2, 2.17, latest, or '>=2.10,<2.13'"
_MAX_SPEC = 200
_PYTHON = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")


class Request(NamedTuple):
    """What was asked for."""

    tf: str | None = None
    """As typed: 1.15, 2, latest, >=2.10,<2.13."""
    tag: str | None = None
    image: str | None = None
    """Any image, as typed; the matrix is then asked for no other."""
    python: str | None = None
    """3.8: only images with that Python."""
    gpus: str | None = None
    """As typed: all, none, or indices and UUIDs. The host that is judged has been narrowed to them already."""
    registry: str = REGISTRY

    @property
    def cpu_only(self) -> bool:
        """`--gpus none`."""
        return self.gpus == "none"


class Candidate(NamedTuple):
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


class Advice(NamedTuple):
    """What would help, and which tags it unlocks."""

    text: str
    unlocks: tuple[str, ...]
    driver: DriverVersion | None = None
    """The driver to install, where that is the advice."""


class Resolution(NamedTuple):
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
    answer = _answers(matrix)(request, _Alike(host))
    candidates = _with_gpus_of(host, answer.candidates)
    return Resolution(
        request=request,
        host=host,
        verdict=answer.verdict,
        best=next((candidate for candidate in candidates if candidate.verdict.runs), None),
        candidates=candidates,
        advice=answer.advice,
        message=answer.message,
    )


class _Alike:
    """A host that equals every other one of its kind."""

    __slots__ = ("host", "kind")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.kind = host_kind(host)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alike) and self.kind == other.kind

    def __hash__(self) -> int:
        return hash(self.kind)


# A fleet has many hosts of few kinds: 10,000 of 200 kinds are the target, and each kind is asked once.
_KINDS_REMEMBERED = 256


@lru_cache(maxsize=4)
def _answers(matrix: Matrix) -> Callable[[Request, _Alike], Resolution]:
    """Answers by request and kind of host, for one matrix alone."""

    @lru_cache(maxsize=_KINDS_REMEMBERED)
    def answer(request: Request, alike: _Alike) -> Resolution:
        return _resolve(request, _one_gpu_of_each_kind(alike.host), matrix)

    return answer


def _one_gpu_of_each_kind(host: Host) -> Host:
    if isinstance(host.gpus, Unread):
        return host
    kinds: dict[tuple[object, ...], HostGpu] = {}
    for gpu in host.gpus:
        kinds.setdefault(gpu_kind(gpu), gpu)
    return replace(host, gpus=tuple(kinds.values()))


def _with_gpus_of(host: Host, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Candidates that were judged for one GPU of each kind, with every GPU of this host in its place."""
    if isinstance(host.gpus, Unread) or not host.gpus:
        return candidates
    kinds: dict[tuple[object, ...], int] = {}
    places = [(gpu, kinds.setdefault(gpu_kind(gpu), len(kinds))) for gpu in host.gpus]
    return tuple(
        Candidate(
            image=one.image,
            reference=one.reference,
            verdict=one.verdict,
            reasons=one.reasons,
            gpus=tuple(
                GpuRuling(gpu=gpu, verdict=one.gpus[place].verdict, reasons=one.gpus[place].reasons)
                for gpu, place in places
            )
            if one.gpus
            else (),
            min_driver=one.min_driver,
        )
        for one in candidates
    )


def _resolve(request: Request, host: Host, matrix: Matrix) -> Resolution:
    wanted = _wanted(request)
    images = [image for image in matrix.images if wanted(image) is not False and _python_fits(image, request)]
    if not any(map(wanted, images)):  # what NVIDIA has no image of, TensorFlow's own project may have
        upstream = matrix.upstream_images
        images += [image for image in upstream if wanted(image) is not False and _python_fits(image, request)]
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
    held = _held(image, request, matrix)
    return Candidate(
        image=image,
        reference=f"{UPSTREAM if image.upstream else f'{request.registry}/{REPOSITORY}'}:{image.tag}",
        verdict=worst(held.verdict, ruling.verdict),
        reasons=(*held.reasons, *ruling.reasons),
        gpus=ruling.gpus,
        min_driver=bundled_driver(image, matrix, windows=host.wsl),
    )


def _held(image: ImageRow, request: Request, matrix: Matrix) -> Ruling:
    """Whether the image holds the very TensorFlow that was asked for, where it may do so."""
    if _wanted(request)(image) is not None:
        return Ruling(verdict=Verdict.RUNS)
    minor = image.tensorflow
    detail = (
        f"{image.tag} holds some TensorFlow {minor}.x, and whether that is {(request.tf or '').strip()} is not known"
        f"; --tf {minor} takes any of them"
    )
    return Ruling.of(Verdict.UNKNOWN, "tensorflow", detail, matrix.link(image.provenance))


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


@lru_cache(maxsize=16)  # every image asks it again
def _wanted(request: Request) -> Callable[[ImageRow], bool | None]:
    """Whether an image holds what was asked for; None where its row does not say enough of its TensorFlow."""
    if request.tag is not None:
        return lambda image: image.tag == request.tag
    meant = _meaning(LATEST if request.tf is None else request.tf)  # without either, the newest is meant
    return lambda image: image.tensorflow is not None and meant(image.tensorflow)


def _python_fits(image: ImageRow, request: Request) -> bool:
    return request.python is None or image.python == request.python


def tf_matcher(spec: str) -> Callable[[TfVersion], bool]:
    """What `--tf` means: 1.15 is 1.15.*, `latest` is anything, operators are PEP 440's; 2.4 may be any 2.4.*.

    Raises InputError with examples when it means nothing.
    """
    meant = _meaning(spec)
    return lambda version: meant(version) is not False


def _meaning(spec: str) -> Callable[[TfVersion], bool | None]:
    """The same; None for a version whose patch nobody read, where that decides."""
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

    def matches(version: TfVersion) -> bool | None:
        if _patch_unread(version) and len(typed) == 3 and not asked.prerelease:
            return None if version.minor == typed[:2] else False
        numbers = (*version.numbers, 0, 0, 0)
        return numbers[: len(typed)] == typed and asked.prerelease in ("", version.prerelease)

    return matches


def _patch_unread(version: TfVersion) -> bool:
    """2.4: a row says so where its source names no patch."""
    return version.text.count(".") == 1 and not version.prerelease


# No minor of TensorFlow came to patch 9. https://github.com/tensorflow/tensorflow/releases (2026-11)
_PATCHES = range(10)


def _specifier(spec: str) -> Callable[[TfVersion], bool | None]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import Version

    try:
        specifiers = SpecifierSet(spec, prereleases=True)
    except InvalidSpecifier as error:
        raise InputError(f"--tf {spec!r}: {error}", "say '>=2.10,<2.13' or '~=1.15.0'") from None

    def matches(version: TfVersion) -> bool | None:
        if not _patch_unread(version):
            return specifiers.contains(Version(version.text))
        answers = {specifiers.contains(Version(f"{version.text}.{patch}")) for patch in _PATCHES}
        return None if len(answers) > 1 else answers.pop()

    return matches


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
    yield from _nearest_running(request, [one.image for one in candidates], host, matrix)


def _driver_may_help(candidate: Candidate) -> bool:
    """Whether nothing is against the image that no driver changes."""
    return not any(
        not reason.verdict.runs and reason.rule in ("tensorflow", "platform", "as_shipped", "gpu_range", "gpu_code")
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
        if not all(driver_knows_gpu(gpu, later, matrix).verdict.runs for gpu in gpus):
            continue  # then no image runs
        unlocked = sorted(
            (one for one in (_candidate(image, request, later, matrix) for image in images) if one.verdict.runs),
            key=_preference,
        )
        if unlocked:
            first = unlocked[0]
            text = f"install {driver_in_words(driver)}: then {first.image.tag} {in_words(first.verdict)}"
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


def _nearest_running(request: Request, images: list[ImageRow], host: Host, matrix: Matrix) -> Iterator[Advice]:
    """The TensorFlow nearest to the one asked for that runs on the host as it is.

    In NVIDIA's image, and where TensorFlow's own has a nearer one, in that as well: it is built for GPUs that NVIDIA's
    has dropped.
    """
    ngc = [one for one in runnable(host, matrix, python=request.python) if one.verdict.runs]
    upstream = [_candidate(image, request, host, matrix) for image in matrix.upstream_images]
    upstream = [one for one in upstream if one.verdict.runs and _python_fits(one.image, request)]
    asked = [image.tensorflow.minor for image in images if image.tensorflow is not None]
    if not asked and request.tf is not None:
        asked = _around(request.tf, [one.image.tensorflow.minor for one in ngc if one.image.tensorflow])
    if not asked:  # a tag was asked for whose TensorFlow nobody knows
        return

    def distance(candidate: Candidate) -> tuple[int, int]:
        assert candidate.image.tensorflow is not None  # neither has any other
        major, minor = candidate.image.tensorflow.minor
        return min((abs(major - one[0]), abs(minor - one[1])) for one in asked)

    nearest = min(ngc, key=distance, default=None)
    if nearest is not None:
        yield _as_it_is(nearest, "")
    own = min(upstream, key=lambda one: (distance(one), _preference(one)), default=None)
    if own is not None and (nearest is None or distance(own) < distance(nearest)):
        yield _as_it_is(own, ", TensorFlow's own image,")


def _as_it_is(running: Candidate, whose: str) -> Advice:
    image = running.image
    text = f"on this host as it is, {image.tag}{whose} with TensorFlow {image.tensorflow} {in_words(running.verdict)}"
    return Advice(text=text, unlocks=(image.tag,))


def driver_in_words(driver: DriverVersion) -> str:
    """The driver to install: that one or a newer one of its branch."""
    if driver.text == str(driver.branch):  # the branch is all that is known of it
        return f"a driver of branch {driver}"
    return f"driver {driver} or newer of branch {driver.branch}"


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
