"""`resolve --image`: reads an image where it is, and has it judged."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpudoctor.errors import InputError
from gpudoctor.host import Host
from gpudoctor.image import CUDA_VERSION, ImageFacts, resolve_image, to_row
from gpudoctor.matrix import NO_RELEASE, Matrix
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread
from gpudoctor.reference import Reference, parse
from gpudoctor.render.paint import printable
from gpudoctor.resolve import REGISTRY, Request, Resolution
from gpudoctor.sizes import bytes_in_words
from gpudoctor.verdicts import Verdict

# A sound engine answers for one image in milliseconds; the registry is there for the rest of the time.
_ENGINE_SHARE = 0.25

# What of an image's environment the verdict rests on.
_TELLING = ("CUDA_", "NVIDIA_", "TENSORFLOW_", "PYVER", "PYTHON_VERSION")


def reference_from(image: str, registry: str) -> Reference:
    """The image that was named, on the mirror that was named.

    Raises InputError for what is no name, or is on no mirror of nvcr.io/nvidia.
    """
    reference = parse(image)
    if registry == REGISTRY:
        return reference
    prefix = f"{REGISTRY}/"
    if not reference.name.startswith(prefix):
        message = f"--registry {registry} replaces {REGISTRY}, and {reference} is not from there"
        raise InputError(message, "name the image on the mirror, without --registry")
    return parse(f"{registry}/{str(reference).removeprefix(prefix)}")


def resolve(
    reference: Reference, request: Request, host: Host, matrix: Matrix, *, timeout_seconds: float, from_engine: bool
) -> tuple[Resolution, ImageFacts | None]:
    """Read the image from the engine, where that may be asked and has it, else from its registry; judge it.

    Raises RegistryError where neither tells.
    """
    from gpudoctor.registry import NoSuchImageError, describe

    deadline = time.monotonic() + timeout_seconds
    facts = _from_engine(reference, host, timeout_seconds) if from_engine else None
    if facts is not None:
        resolution = resolve_image(facts, request, host, matrix)
        return _by_its_own_list(resolution, facts, reference, request, host, matrix, deadline), facts
    try:
        facts = describe(reference, host.architecture, max(0.001, deadline - time.monotonic()))
    except NoSuchImageError as error:
        message = error.message + _nearest(reference, matrix)
        missing = Resolution(
            request=request,
            host=host,
            verdict=Verdict.NO_SUCH_IMAGE,
            best=None,
            candidates=(),
            advice=(),
            message=message,
        )
        return missing, None
    return resolve_image(facts, request, host, matrix), facts


def _nearest(reference: Reference, matrix: Matrix) -> str:
    """Tags of the matrix that look like the one that is not there."""
    if not reference.tag or not reference.repository.endswith("/tensorflow"):
        return ""
    near = difflib.get_close_matches(reference.tag, [row.tag for row in matrix.images], n=3, cutoff=0.5)
    return f"; the nearest that NVIDIA published: {', '.join(near)}" if near else ""


def _from_engine(reference: Reference, host: Host, timeout_seconds: float) -> ImageFacts | None:
    """What the engine says, where there is one and it has the image for this processor."""
    from gpudoctor.probe import images

    found = images.inspect(reference, _world(time.monotonic() + _ENGINE_SHARE * timeout_seconds))
    return None if isinstance(found, Unread) else found


def _world(deadline: float) -> World:
    return World(root=Path("/"), environ=os.environ, deadline=deadline)


def _by_its_own_list(
    resolution: Resolution,
    facts: ImageFacts,
    reference: Reference,
    request: Request,
    host: Host,
    matrix: Matrix,
    deadline: float,
) -> Resolution:
    """The same by the list in the image's own compat libraries, where forward compatibility might be the way."""
    driver = host.driver
    if request.cpu_only or host.wsl or isinstance(driver, Unread) or not host.gpus or isinstance(host.gpus, Unread):
        return resolution
    bundled = resolution.candidates[0].min_driver
    if facts.variables.get(CUDA_VERSION) is None or bundled is None or driver.branch >= bundled.branch:
        return resolution
    from gpudoctor.launch import Signals
    from gpudoctor.probe import images

    with Signals():  # the container that is read from goes away whatever comes
        found = images.compat_libraries(reference, to_row(facts, matrix).cuda, _world(deadline))
    if isinstance(found, Unread):
        return resolution
    return resolve_image(facts, request, host, matrix, images.compat_list(found))


def to_json(resolution: dict[str, Any], facts: ImageFacts | None) -> dict[str, Any]:
    """The object that `resolve` prints, with what the image says of itself beside it."""
    for candidate in (resolution["best"], *resolution["candidates"]):
        if candidate is not None and candidate["release"] == NO_RELEASE:
            candidate["release"] = None
    if facts is None:
        return {**resolution, "inspected": None}
    inspected = {
        "reference": facts.reference,
        "digest": facts.digest,
        "source": facts.source,
        "platforms": list(facts.platforms),
        "platform": facts.platform,
        "packed_bytes": facts.packed_bytes,
        "layers": facts.layers,
        "created": facts.created or None,
        "entrypoint": list(facts.entrypoint),
        "labels": dict(facts.labels),
        "environment": {name: text for name, text in facts.environment if name.startswith(_TELLING)},
        "bytes_read": facts.bytes_read,
    }
    return {**resolution, "inspected": inspected}


def to_text(facts: ImageFacts) -> str:
    """What the image says of itself, in two lines."""
    return "\n".join(f"  {printable(line)}" for line in _lines(facts))


def _lines(facts: ImageFacts) -> Iterator[str]:
    weight = "" if facts.packed_bytes is None else f"{bytes_in_words(facts.packed_bytes)} packed, "
    layers = f"{facts.layers} layer{'' if facts.layers == 1 else 's'}"
    made = f", made {facts.created[:10]}" if facts.created else ""
    yield f"image: {weight}{layers}, {', '.join(facts.platforms[:8]) or 'platform unknown'}{made}"
    read = f" ({bytes_in_words(facts.bytes_read)} read)" if facts.bytes_read else ""
    yield f"{facts.digest or 'no digest'} by {facts.source}{read}"
