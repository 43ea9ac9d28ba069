"""Plans to spell, and stand-ins that note the words a shell gave them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gpudoctor.plan import LaunchPlan, Mount, Port

IMAGE = "nvcr.io/nvidia/tensorflow:23.03-tf1-py3"
DIGEST = "sha256:" + "5a" * 32
UUIDS = ("GPU-1f4bade7-562e-4ed9-85a7-9972ed9eed2b", "GPU-9c4c7b91-2f11-4809-96fd-9a502e5e4db0")

AWKWARD = (
    "", "-", "--", "--rm", "a b", "it's", '"', "'", "$HOME", "${HOME}", "$(id)", "`id`", "\\", "\\n", "\n", "a\nb",
    "\t", "*", "?", "~", "#", "!", "!!", "a;b", "&", "|", ">", "%s", "=", "a=b", "{}", "[x]", "é", "日本", "\x07",
    "\U0001f600", "\x85", "\u2028", "\ufeff", "null", "yes", "1e3", "0x10", "1:30", ": ", "- ", "$$", "$(A)",
    "$$(A)", "$", "trailing\\", "'quoted'", '"x" ',
)  # fmt: skip

# Whatever a command line can hold: no NUL, and no half of a pair.
TEXT = st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
# Without control characters, which are refused in paths.
_PATH_LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
PATHS = st.text(_PATH_LETTERS, max_size=20).map(lambda text: f"/{text}")
# Letters that fstab(5) and pyxis take for themselves are refused there.
PLAIN_PATHS = st.text(st.characters(categories=["L", "N"], include_characters="$'\"`#*-_.=~!"), max_size=20).map(
    lambda text: f"/{text}"
)
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True).map(lambda name: f"X_{name}")

SOME = LaunchPlan(
    image=IMAGE,
    digest=DIGEST,
    command=("python", "train.py", "--name", "it's $HOME"),
    gpus=UUIDS,
    gpu_count=2,
    name="train-1",
    mounts=(Mount(source="/da ta,x", target="/data", read_only=True), Mount(source='/b"c', target="/b:c")),
    environment=(("A", '$x "y" z'), ("TOKEN", None)),
    user="1000:1000",
    workdir="/work dir",
    host_ipc=False,
    shm_bytes=8 << 30,
    ports=(Port(container=8888, host=8888, address="127.0.0.1"), Port(container=53, host=53, protocol="udp")),
    labels=(("project", "a $b"),),
    interactive=True,
)
"""Everything that can be wished for at once."""

ODD = LaunchPlan(
    image=IMAGE,
    command=("run-it", *AWKWARD),
    gpus=None,
    environment=tuple((f"X_{number}", text) for number, text in enumerate(AWKWARD)),
    labels=(("label", "".join(AWKWARD)),),
)
"""Every awkward text at once: each property holds for it, whatever hypothesis draws."""


def plans(paths: st.SearchStrategy[str] = PATHS) -> st.SearchStrategy[LaunchPlan]:
    """Plans with any argument, mount and value."""
    mounts = st.builds(Mount, source=paths, target=paths, read_only=st.booleans())
    environment = st.dictionaries(NAMES, st.one_of(st.none(), TEXT), max_size=4)
    return st.builds(
        LaunchPlan,
        image=st.just(IMAGE),
        digest=st.sampled_from(("", DIGEST)),
        command=st.lists(TEXT, max_size=5).map(lambda words: ("run-it", *words)),
        gpus=st.sampled_from((None, (), UUIDS[:1], UUIDS)),
        mounts=st.lists(mounts, max_size=3, unique_by=lambda one: one.target).map(tuple),
        environment=environment.map(lambda found: tuple(found.items())),
        labels=st.dictionaries(st.just("label"), TEXT, max_size=1).map(lambda found: tuple(found.items())),
        cache=st.sampled_from(("", "cuda-cache", "/var/tmp/cuda")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How a stand-in was called."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


_PROGRAM = """#!{python} -IS
import json, os, sys
with open({log!r}, "a", encoding="ascii") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
if sys.argv[1:2] == ["import"]:
    open(sys.argv[3], "w").close()
"""


class StandIns:
    """Executables of other tools that write down how they are called, and a shell that finds no others by their names.

    What is shown is that a shell gives the tool exactly these words; that the tool takes them is shown elsewhere.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.log = folder / "calls"
        programs = folder / "programs"
        programs.mkdir()
        for name in names:
            path = programs / name
            path.write_text(_PROGRAM.format(python=sys.executable, log=str(self.log)))
            path.chmod(0o755)
        home = folder / "home folder"
        home.mkdir()
        self.environment = {
            "PATH": f"{programs}{os.pathsep}{os.defpath}",
            "HOME": str(home),
            "PYTHONUTF8": "1",
            "LC_ALL": "C.UTF-8",
        }

    def run(self, shell: str, script: str, passed_on: Mapping[str, str]) -> list[Call]:
        """The calls that a script makes, in their order."""
        self.log.write_text("")
        file = self.folder / "script"
        file.write_bytes(script.encode())
        subprocess.run(
            (shell, str(file)),
            cwd=self.folder,
            env={**self.environment, **passed_on},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
            timeout=60,
        )
        return [Call(words=tuple(words), environment=around) for words, around in self._calls()]

    def _calls(self) -> list[Any]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def passed_on(plan: LaunchPlan) -> dict[str, str]:
    """A value for every variable that goes in by its name alone."""
    return {name: f"value of {name}" for name, value in plan.environment if value is None}


def values(plan: LaunchPlan) -> dict[str, str]:
    """What the variables are in the container."""
    around = passed_on(plan)
    return {name: around[name] if value is None else value for name, value in plan.whole_environment}
