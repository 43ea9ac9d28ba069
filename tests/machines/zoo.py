"""What the test machines show, and what each of them has to show: its expected.txt.

`python -m tests.machines.zoo NAME…` prints what `gpudoctor check` says of a machine, and what its expected.txt would
be. Statements of expected.txt, one a line:

    # comment
    root: ID                   what the machine suffers from: its one error that follows from no other; where it has
                               no error, one of its gravest findings; none where all is well
    exit: 0                    exit code of `gpudoctor check`
    findings: ID:error, ID:warning*8    every finding, sorted, with how often it was found; none
    open: ID                   checks that remain unknown, and which the root does not explain; left out: none
    set: engine.data_root_free_bytes = 3e9    a fact that no stage can set, as JSON, after it was read; repeatable
    timeout: 2                 seconds, for machines that hang
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machines import FOLDER, Machine, Stage

# What changes from one look to the next; nothing else may.
_VOLATILE = "container-disk-full"

_GRAVITY = ("error", "warning", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a machine has to show."""

    root: str
    exit_code: int
    findings: tuple[str, ...]
    open: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...]
    timeout_seconds: float

    @classmethod
    def load(cls, name: str, folder: Path = FOLDER) -> Expected:
        """Read expected.txt; ValueError with its place for the first fault."""
        path = folder / name / "expected.txt"
        said: dict[str, str] = {}
        settings: list[tuple[str, Any]] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            word, colon, rest = line.partition(":")
            if not line.strip() or line.startswith("#"):
                continue
            if not colon or word not in ("root", "exit", "findings", "open", "set", "timeout"):
                raise ValueError(f"{path}:{number}: no statement: {line!r}")
            if word == "set":
                place, _, value = rest.partition(" = ")
                settings.append((place.strip(), json.loads(value)))
            else:
                said[word] = rest.strip()
        if missing := {"root", "exit", "findings"} - said.keys():
            raise ValueError(f"{path}: nothing says {', '.join(sorted(missing))}")
        return cls(
            root=said["root"],
            exit_code=int(said["exit"]),
            findings=_names(said["findings"]),
            open=_names(said.get("open", "none")),
            settings=tuple(settings),
            timeout_seconds=float(said.get("timeout", "20")),
        )


def _names(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(name.strip() for name in text.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One run of `gpudoctor check --format json`."""

    exit_code: int
    report: dict[str, Any]

    @property
    def results(self) -> list[dict[str, Any]]:
        """Everything but what changes from one look to the next."""
        return [result for result in self.report["results"] if result["check"] != _VOLATILE]

    @property
    def findings(self) -> tuple[str, ...]:
        """As expected.txt has them."""
        found = Counter(f"{result['check']}:{finding['severity']}" for result, finding in self._pairs())
        return tuple(f"{name}*{count}" if count > 1 else name for name, count in sorted(found.items()))

    @property
    def roots(self) -> tuple[str, ...]:
        """Checks whose finding may be called the root; more than one only where there is no error."""
        for severity in _GRAVITY:
            of_it = [(result, finding) for result, finding in self._pairs() if finding["severity"] == severity]
            if of_it:
                return tuple(dict.fromkeys(result["check"] for result, one in of_it if one["caused_by"] is None))
        return ()

    @property
    def open(self) -> tuple[str, ...]:
        """Checks without an answer that no finding explains."""
        unknown = {
            result["check"]
            for result in self.report["results"]
            if result["outcome"] == "crashed" or (result["unread"] is not None and result["explained_by"] is None)
        }
        return tuple(sorted(unknown))

    def _pairs(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return [(result, finding) for result in self.report["results"] for finding in result["findings"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one machine shows."""

    facts: str
    """Printed by `probe`, without what belongs to the machine under the tests."""
    live: Judged
    """By `check` itself."""
    saved: Judged
    """By `check --facts` of what `probe` printed just before."""
    settled: Judged
    """By `check --facts` of `facts`."""
    complaints: str
    """All of stderr."""

    @classmethod
    def of(cls, stage: Stage, expected: Expected | None) -> Shown:
        """Look at a staged machine, from one process, because what it loads is chosen when a process starts."""
        settings = expected.settings if expected else ()
        seconds = expected.timeout_seconds if expected else 20
        arguments = (str(stage.root), str(seconds), json.dumps(settings), "unprivileged" if stage.unprivileged else "")
        ended = subprocess.run(
            (sys.executable, "-m", "tests.look", *arguments),
            env=dict(stage.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ended.returncode != 0:
            raise RuntimeError(ended.stderr)
        document = json.loads(ended.stdout)
        judged = {name: Judged(**document[name]) for name in ("live", "saved", "settled")}
        return cls(facts=document["facts"], complaints=ended.stderr, **judged)


def _show(name: str) -> None:
    expected = Expected.load(name) if (FOLDER / name / "expected.txt").exists() else None
    with Machine.load(name).stage() as stage:
        text = stage.run("check", "--timeout", str(expected.timeout_seconds if expected else 20))
        shown = Shown.of(stage, expected)
    settled = shown.settled
    lines = [f"root: {' or '.join(settled.roots) or 'none'}", f"exit: {settled.exit_code}"]
    lines.append(f"findings: {', '.join(settled.findings) or 'none'}")
    if settled.open:
        lines.append(f"open: {', '.join(settled.open)}")
    sys.stdout.write(
        f"=== {name}\n{text.stdout}{text.stderr}{shown.complaints}\n" + "".join(f"{one}\n" for one in lines)
    )
    sys.stdout.flush()


if __name__ == "__main__":
    for one in sys.argv[1:]:
        _show(one)
