"""Resolutions as text for a terminal: the choice and why, then why not the others."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gpudoctor.readings import Unread
from gpudoctor.render.paint import WIDTH, Paint, plain, printable
from gpudoctor.resolve import LATEST, REGISTRY, Candidate, Request, Resolution, in_words
from gpudoctor.verdicts import Reason, Verdict, deciding

if TYPE_CHECKING:
    from gpudoctor.host import Host


def resolution(value: Resolution, *, paint: Paint = plain) -> str:
    """What `resolve` says: the choice and why, then why not the others."""
    head, *lines = map(printable, _best(value, value.best) if value.best is not None else _none(value))
    rest = value.candidates[1:]  # the first is the best, or stands for why there is none
    if rest:
        lines.extend(("", "Others:", *map(printable, _others(rest))))
    return "\n".join((paint("red" if value.best is None else "green", head), *lines))


def _on(host: Host) -> str:
    if host.gpus == ():
        return f"a host without an NVIDIA GPU, {host.architecture}" + (", WSL" if host.wsl else "")
    driver = "an unread driver" if isinstance(host.driver, Unread) else f"driver {host.driver}"
    if isinstance(host.gpus, Unread):
        return f"{driver}, GPUs unread"
    kinds: dict[str, int] = {}
    for gpu in host.gpus:
        kinds[gpu.label] = kinds.get(gpu.label, 0) + 1
    gpus = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in kinds.items())
    return f"{gpus}, {driver}, {host.architecture}" + (", WSL" if host.wsl else "")


def _best(value: Resolution, best: Candidate) -> Iterator[str]:
    yield best.reference
    yield f"  {_contents(best)}"
    if best.image.upstream:
        yield f"  {_not_nvidias(value.request)}"
    where = "without a GPU" if value.request.cpu_only else f"on {_on(value.host)}"
    yield f"  {in_words(best.verdict)} {where}:"
    for reason in best.all_reasons:
        yield from _bullet(reason)
    if best.confidence != "high":
        note = f" ({best.image.provenance.note})" if best.image.provenance.note else ""
        yield from _wrapped(f"confidence of this row: {best.confidence}{note}", "  ", "    ")
    newer = tuple(_newer(value, best))
    if newer:
        yield "  why no newer image:"
        for why in newer:
            yield from _wrapped(why, "    - ", "      ")
    yield from _advised(value)
    yield f"  start it: {_start(value.request, best)}"


def _newer(value: Resolution, best: Candidate) -> Iterator[str]:
    """Why not the newest image that holds what was asked for; where that will not run, also the newest that does."""
    newer = [
        one
        for one in value.candidates
        if one.image.release_key > best.image.release_key
        and one.image.upstream is best.image.upstream
        and one.image.igpu is best.image.igpu
    ]
    newest = max(newer, key=_release, default=None)
    running = max((one for one in newer if one.verdict.runs), key=_release, default=None)
    for one in dict.fromkeys(one for one in (newest, running) if one is not None):
        if one.verdict.rank == best.verdict.rank:
            yield f"{one.image.tag} {in_words(one.verdict)} too, but its row is of {one.confidence} confidence"
        else:
            only = ", which is less sure" if one.verdict.runs else ""
            yield f"{one.image.tag} {in_words(one.verdict)}{only}: {_deciding(one)}"


def _release(candidate: Candidate) -> tuple[int, ...]:
    return candidate.image.release_key


def _start(request: Request, best: Candidate) -> str:
    """The command to paste; `gpudoctor run` starts the images of the matrix only."""
    if request.image is None:
        gpus = f" --gpus {shlex.quote(request.gpus)}" if request.gpus not in (None, "all") else ""
        mirror = f" --registry {shlex.quote(request.registry)}" if request.registry != REGISTRY else ""
        return f"gpudoctor run --tag {best.image.tag}{gpus}{mirror}"
    gpus = "" if request.cpu_only else f"--gpus {_devices(request.gpus)} "
    return f"docker run --rm -it {gpus}--ipc=host --ulimit memlock=-1 --ulimit stack=67108864 {best.reference}"


def _devices(gpus: str | None) -> str:
    # docker reads the value as one line of CSV: a list of devices needs quotes of its own.
    return "all" if gpus in (None, "all") else shlex.quote(f'"device={gpus}"')


def _not_nvidias(request: Request) -> str:
    own = "TensorFlow's own image, not NVIDIA's"
    return own if request.tag is not None else f"{own}, which has none of this version"


def _contents(candidate: Candidate) -> str:
    image = candidate.image
    derived = set(image.derived)
    cells = (
        ("TensorFlow", "tensorflow", image.tensorflow),
        ("CUDA", "cuda", image.cuda),
        ("Python", "python", image.python),
    )
    return ", ".join(
        f"{name} {'unknown' if cell is None else cell}" + (" (derived)" if key in derived else "")
        for name, key, cell in cells
    )


def _asked(tf: str | None) -> str:
    return "the latest TensorFlow" if (tf or LATEST).strip() == LATEST else f"TensorFlow {tf}"


def _none(value: Resolution) -> Iterator[str]:
    asked = value.request.image or value.request.tag or _asked(value.request.tf)
    if not value.candidates:
        yield f"no such image: {value.message}"
    else:
        yield f"{asked}: {in_words(value.verdict)} on {_on(value.host)}"
        if value.candidates[0].image.upstream:
            yield f"  {value.candidates[0].reference}: {_not_nvidias(value.request)}"
        for reason in value.candidates[0].all_reasons:
            yield from _bullet(reason)
    yield from _advised(value)


def _advised(value: Resolution) -> Iterator[str]:
    for advice in value.advice:
        yield from _wrapped(f"→ {advice.text}", "  ", "    ")


def _bullet(reason: Reason) -> Iterator[str]:
    yield from _wrapped(reason.detail, "    - ", "      ")
    yield f"      {reason.source}"


def _others(candidates: Sequence[Candidate]) -> Iterator[str]:
    """By verdict, then by the reason that decided, so that twenty tags of one fate take one line."""
    groups: dict[tuple[Verdict, str], list[str]] = {}
    for candidate in candidates:
        reason = "" if candidate.verdict is Verdict.RUNS else _deciding(candidate)
        groups.setdefault((candidate.verdict, reason), []).append(candidate.image.tag)
    for (verdict, reason), tags in groups.items():
        text = f"{in_words(verdict)}: {', '.join(tags)}" + (f" – {reason}" if reason else "")
        yield from _wrapped(text, "  ", "    ")


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    """The text in lines, the first of them indented by `first`."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


def _deciding(candidate: Candidate) -> str:
    """The reason that the verdict hangs on."""
    reason = deciding(candidate.verdict, candidate.all_reasons)
    return "" if reason is None else reason.detail
