"""Resolutions as text for a terminal: the choice and why, then why not the others."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gpudoctor.readings import Unread
from gpudoctor.render.paint import WIDTH, Paint, plain
from gpudoctor.resolve import Candidate, Request, Resolution, in_words
from gpudoctor.verdicts import Reason, Verdict, deciding

if TYPE_CHECKING:
    from gpudoctor.host import Host


def resolution(value: Resolution, *, paint: Paint = plain) -> str:
    """What `resolve` says: the choice and why, then why not the others."""
    lines = list(_best(value, paint)) if value.best is not None else list(_none(value, paint))
    rest = value.candidates[1:]  # the first is the best, or stands for why there is none
    if rest:
        lines.extend(("", "Others:"))
        lines.extend(_others(rest))
    return "\n".join(lines)


def _on(host: Host) -> str:
    driver = "an unread driver" if isinstance(host.driver, Unread) else f"driver {host.driver}"
    if isinstance(host.gpus, Unread):
        return f"{driver}, GPUs unread"
    kinds: dict[str, int] = {}
    for gpu in host.gpus:
        kinds[gpu.label] = kinds.get(gpu.label, 0) + 1
    gpus = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in kinds.items())
    return f"{gpus or 'no GPU'}, {driver}, {host.architecture}" + (", WSL" if host.wsl else "")


def _best(value: Resolution, paint: Paint) -> Iterator[str]:
    best = value.best
    assert best is not None
    yield paint("green", best.reference)
    yield f"  {_contents(best)}"
    if best.image.upstream:
        yield f"  {_NOT_NVIDIAS}"
    where = "without a GPU" if value.request.cpu_only else f"on {_on(value.host)}"
    yield f"  {in_words(best.verdict)} {where}:"
    for reason in best.all_reasons:
        yield from _bullet(reason)
    if best.confidence != "high":
        yield f"  confidence of this row: {best.confidence}" + (
            f" ({best.image.provenance.note})" if best.image.provenance.note else ""
        )
    yield from _advised(value)
    yield f"  start it: {_start(value.request, best)}"


def _start(request: Request, best: Candidate) -> str:
    """The command to paste; `gpudoctor run` starts the images of the matrix only."""
    if request.image is None:
        return f"gpudoctor run --tag {best.image.tag}" + (" --gpus none" if request.cpu_only else "")
    gpus = "" if request.cpu_only else "--gpus all "
    return f"docker run --rm -it {gpus}--ipc=host --ulimit memlock=-1 --ulimit stack=67108864 {best.reference}"


_NOT_NVIDIAS = "TensorFlow's own image, not NVIDIA's, which has none of this version"


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


def _none(value: Resolution, paint: Paint) -> Iterator[str]:
    asked = value.request.image or value.request.tag or f"TensorFlow {value.request.tf or 'latest'}"
    if not value.candidates:
        yield paint("red", f"no such image: {value.message}")
    else:
        yield paint("red", f"{asked}: {in_words(value.verdict)} on {_on(value.host)}")
        if value.candidates[0].image.upstream:
            yield f"  {value.candidates[0].reference}: {_NOT_NVIDIAS}"
        for reason in value.candidates[0].all_reasons:
            yield from _bullet(reason)
    yield from _advised(value)


def _advised(value: Resolution) -> Iterator[str]:
    for advice in value.advice:
        yield textwrap.fill(f"→ {advice.text}", WIDTH, initial_indent="  ", subsequent_indent="    ")


def _bullet(reason: Reason) -> Iterator[str]:
    yield textwrap.fill(
        reason.detail,
        WIDTH,
        initial_indent="    - ",
        subsequent_indent="      ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    yield f"      {reason.source}"


def _others(candidates: Sequence[Candidate]) -> Iterator[str]:
    """By verdict, then by the reason that decided, so that twenty tags of one fate take one line."""
    groups: dict[tuple[Verdict, str], list[str]] = {}
    for candidate in candidates:
        reason = "" if candidate.verdict is Verdict.RUNS else _deciding(candidate)
        groups.setdefault((candidate.verdict, reason), []).append(candidate.image.tag)
    for (verdict, reason), tags in groups.items():
        text = f"{in_words(verdict)}: {', '.join(tags)}" + (f" – {reason}" if reason else "")
        yield textwrap.fill(
            text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
        )


def _deciding(candidate: Candidate) -> str:
    """The reason that the verdict hangs on."""
    reason = deciding(candidate.verdict, candidate.all_reasons)
    return "" if reason is None else reason.detail
