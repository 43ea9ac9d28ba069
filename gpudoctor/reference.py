"""Names of images as docker reads them: [HOST[:PORT]/]PATH[:TAG][@DIGEST].

https://pkg.go.dev/github.com/distribution/reference (2026-11)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpudoctor.errors import InputError

DOCKER_HUB = "docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io")
_OFFICIAL = "library"
_LATEST = "latest"

_EXAMPLE = "an image is named like nvcr.io/nvidia/tensorflow:22.12-tf1-py3"

# Longer than any name with tag and digest can be.
_MAX_TEXT = 1024
_MAX_REPOSITORY = 255

_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::([0-9]{{1,5}}))?", re.ASCII)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)
_IDENTIFIER = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The name of an image, taken apart and completed."""

    registry: str
    """HOST[:PORT]; docker.io where none is named."""
    repository: str
    """nvidia/tensorflow; library/ubuntu for Docker's own images."""
    tag: str
    """latest where neither tag nor digest is named; "" where only a digest is."""
    digest: str
    """sha256:… or "": it decides where both are named."""

    @property
    def version(self) -> str:
        """What to ask a registry for."""
        return self.digest or self.tag

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        """In full: another parse gives the same."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def is_digest(text: str) -> bool:
    """Whether this is a digest of a kind that can be verified."""
    return _DIGEST.fullmatch(text) is not None


def parse(text: str) -> Reference:
    """Take the name of an image apart.

    Raises InputError where it is none.
    """
    if not text or len(text) > _MAX_TEXT:
        raise _fault(text, "is empty" if not text else "is longer than any name")
    rest, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _fault(text, "names no digest after the @: expected sha256: and 64 hexadecimal digits")
    registry, path = _split_registry(rest)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _fault(text, "has no tag after the colon: letters, digits, _ . and -, 128 at most")
    host = _HOST.fullmatch(registry)
    if host is None or int(host[1] or 1) not in range(1, 65536):
        raise _fault(text, "names no registry in front of the first slash: expected HOST or HOST:PORT")
    if _IDENTIFIER.fullmatch(path):
        raise _fault(text, "is an image's id, and no registry knows those")
    if registry in _HUB_NAMES:
        registry, path = DOCKER_HUB, path if "/" in path else f"{_OFFICIAL}/{path}"
    if len(path) > _MAX_REPOSITORY or not all(_COMPONENT.fullmatch(part) for part in path.split("/")):
        capitals = ": capital letters are not allowed" if path.lower() != path else ""
        raise _fault(text, f"is no name of an image{capitals}")
    return Reference(registry=registry, repository=path, tag=tag or ("" if digest else _LATEST), digest=digest)


def _split_registry(text: str) -> tuple[str, str]:
    """What stands before the first slash is a registry if it looks like a host and like no path."""
    first, slash, rest = text.partition("/")
    if slash and (any(letter in first for letter in ".:[") or first == "localhost" or first.lower() != first):
        return first, rest
    return DOCKER_HUB, text


def _fault(text: str, what: str) -> InputError:
    shown = text if len(text) <= 80 else text[:80] + "…"
    return InputError(f"image {shown!r} {what}", _EXAMPLE)
