"""Logs of every known fault in the surroundings in which people meet it, made anew from the wording of real ones.

around/KIND.txt is what a log of that kind says of a machine that is well, with `@@` where the fault speaks. The files
beside this one hold what it says, a fault at a time. Statements, one a line:

    # comment
    [ID]        what follows is said of this check
    @ KIND      one wording of it, the lines below, as they stand in a log of that kind

%DRIVER%, %HOST%, %ID%, %ID12%, %KERNEL%, %PID%, %TAG% and %USER% change from one wording to the next.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent

_CHANGING: Mapping[str, tuple[str, ...]] = {
    "DRIVER": ("570.172.08", "535.183.01", "580.95.05"),
    "HOST": ("node-01", "gpu-node-7", "trainer", "ip-10-0-3-17"),
    "ID": (f"{'0f3a' * 16}", f"{'c41be' * 12}9d02"),
    "ID12": ("0f3a0f3a0f3a", "c41bec41bec4"),
    "KERNEL": ("6.8.0-85-generic", "5.14.0-570.17.1.el9_6.x86_64", "6.1.0-40-amd64"),
    "PID": ("4711", "1203", "98011", "271"),
    "TAG": ("24.03-tf2-py3", "22.12-tf1-py3", "25.02-tf2-py3", "20.03-tf1-py3"),
    "USER": ("user", "root", "ubuntu"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One wording of one fault, in its surroundings."""

    check: str
    kind: str
    number: int
    """From 1, of this check's wordings."""
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a test is called by."""
        return f"{self.check}-{self.number}-{self.kind}"

    @property
    def text(self) -> str:
        """The whole log."""
        before, _, after = around(self.kind).partition("@@\n")
        said = "".join(f"{_stamped(self.kind, line, place)}\n" for place, line in enumerate(self.lines))
        return _filled(before + said + after, self.number)


def _stamped(kind: str, line: str, place: int) -> str:
    """A line of dmesg with its time, where it does not bring one, or goes on from the line before it."""
    if kind != "dmesg" or line.startswith("["):
        return line
    return f"[    4.{402130 + 11 * place:06}] {line.strip()}"


@cache
def around(kind: str) -> str:
    """What stands around a fault in a log of this kind; `@@` is its place."""
    return (FOLDER / f"around/{kind}.txt").read_text(encoding="utf-8")


def kinds() -> tuple[str, ...]:
    """Every kind of log."""
    return tuple(sorted(path.stem for path in FOLDER.glob("around/*.txt")))


def harmless(kind: str) -> str:
    """A log of this kind in which nothing is wrong."""
    return _filled(around(kind).replace("@@\n", ""), 0)


def _filled(text: str, number: int) -> str:
    for name, values in _CHANGING.items():
        text = text.replace(f"%{name}%", values[number % len(values)])
    return text


@cache
def logs() -> tuple[Log, ...]:
    """Every wording of every fault."""
    return tuple(itertools.chain.from_iterable(_read(path) for path in sorted(FOLDER.glob("*.txt"))))


def _read(path: Path) -> Iterator[Log]:
    check, kind, number = "", "", 0
    lines: list[str] = []
    for line in [*path.read_text(encoding="utf-8").split("\n"), "@"]:
        closes = line.startswith(("@", "[")) and (line[:1] == "@" or (line.endswith("]") and " " not in line))
        if closes and lines:
            number += 1
            while lines and not lines[-1]:
                lines.pop()
            yield Log(check=check, kind=kind, number=number, lines=tuple(lines))
            lines = []
        if closes and line.startswith("["):
            check, kind, number = line[1:-1], "", 0
        elif closes:
            kind = line[1:].strip()
        elif kind and not line.startswith("# "):
            lines.append(line)


# --- How a log is dressed by what it came through ---


def _plain(text: str) -> str:
    return text


def _windows(text: str) -> str:
    """Line ends of a file that was copied by way of Windows."""
    return text.replace("\n", "\r\n")


def _coloured(text: str) -> str:
    """Colours of `dmesg --color=always` and of `grep --color=always` around words within the line."""
    words = {
        "NVRM": "\x1b[31mNVRM\x1b[0m",
        "failed": "\x1b[01;31m\x1b[Kfailed\x1b[m\x1b[K",
        "rror": "\x1b[1mrror\x1b[22m",
    }
    for word, coloured in words.items():
        text = text.replace(word, coloured)
    return "".join(f"\x1b[32m{line}\x1b[0m\n" for line in text.splitlines())


def _journal(text: str) -> str:
    """By way of a unit's standard error."""
    return "".join(f"Nov 23 04:40:11 node-01 train.sh[2209]: {line}\n" for line in text.splitlines())


def _docker_json(text: str) -> str:
    """As Docker's json-file driver keeps it: quotes and back-slashes are escaped."""
    time = "2026-11-23T04:40:11.120733911Z"
    entries = ({"log": f"{line}\n", "stream": "stderr", "time": time} for line in text.splitlines())
    return "".join(f"{json.dumps(entry)}\n" for entry in entries)


def _kubernetes(text: str) -> str:
    """As kubelet keeps it."""
    return "".join(f"2026-11-23T04:40:11.801614288+00:00 stderr F {line}\n" for line in text.splitlines())


def _upper_level(text: str) -> str:
    """As the message of a logger that quotes it."""
    return "".join(f"time=2026-11-23T04:40:11Z level=ERROR msg={json.dumps(line)}\n" for line in text.splitlines())


DRESSINGS: Mapping[str, Callable[[str], str]] = {
    "plain": _plain,
    "windows": _windows,
    "coloured": _coloured,
    "journal": _journal,
    "docker-json": _docker_json,
    "kubernetes": _kubernetes,
    "quoted": _upper_level,
}
