"""What the spellings share: words of a shell, scripts, and the name of an image for tools that take one part only."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from gpudoctor.plan import LaunchPlan
from gpudoctor.reference import DOCKER_HUB, parse

SERVICE = "tensorflow"
"""What a container is called where it needs a name and nobody gave one."""

FORWARD_PORTS = "the container has the host's network: its ports are the host's, and none is published"
SHM_OF_HOST = "the container has the host's /dev/shm: --shm-size changes nothing"
OWN_USER = "the container runs as whoever starts it: --user changes nothing"
NO_LABELS = "there are no labels here: --label is left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """A plan in the words of one tool."""

    text: str
    notes: tuple[str, ...] = ()
    """What this tool cannot be told, or wants to be there."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A word of a shell that is quoted already."""

    text: str


Word = str | Raw


def line(words: Iterable[Word]) -> str:
    """A command of a POSIX shell that gets exactly these words."""
    return " ".join(word.text if isinstance(word, Raw) else shlex.quote(word) for word in words)


def lines(groups: Iterable[Iterable[Word]]) -> str:
    """The same command, one group of words a line."""
    return " \\\n  ".join(line(group) for group in groups)


def comments(texts: Iterable[str]) -> str:
    """Lines that begin with #, whatever is in the texts."""
    return "".join(f"# {' '.join(text.split())}\n" for text in texts)


def csv_field(text: str) -> str:
    """A field of one line of CSV, as Go's encoding/csv reads it."""
    return '"' + text.replace('"', '""') + '"' if any(letter in text for letter in '",') else text


def by_digest(plan: LaunchPlan) -> str:
    """The image for tools that take a tag or a digest, and not both."""
    return f"{parse(plan.image).name}@{plan.digest}" if plan.digest else plan.image


def enroot_image(plan: LaunchPlan) -> str:
    """[REGISTRY#]IMAGE[:TAG], as enroot and pyxis have it; Docker's own registry goes unnamed."""
    reference = parse(plan.image)
    registry = "" if reference.registry == DOCKER_HUB else f"{reference.registry}#"
    version = f"@{plan.digest}" if plan.digest else f":{reference.tag}"
    return f"{registry}{reference.repository}{version}"


def cache_in_home(plan: LaunchPlan) -> bool:
    """The cache is a name, and the tool knows no volumes: it is a folder of the user's then."""
    return bool(plan.cache) and not plan.cache_is_folder


def home_cache(plan: LaunchPlan) -> str:
    """That folder, as a word of a shell; its name needs no quotes."""
    return f'"$HOME"/.cache/{plan.cache}'


def notes_of_host_network(plan: LaunchPlan) -> tuple[str, ...]:
    """What tools without networks, users and labels of their own leave out."""
    notes = []
    if plan.ports:
        notes.append(FORWARD_PORTS)
    if not plan.host_ipc:
        notes.append(SHM_OF_HOST)
    if plan.user:
        notes.append(OWN_USER)
    if plan.labels:
        notes.append(NO_LABELS)
    return tuple(notes)
