"""`python -m tests.look ROOT SECONDS SETTINGS RIGHTS` looks at a staged machine by `probe`, `check`, `check --facts`.

One process does it all, and imports little: there are many machines, and what is loaded into a process is chosen when
it starts. See tests/machines/zoo.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.users import give_up_reading_everything

# What belongs to the machine under the tests, and what the test machines have in its place.
_OF_THIS_MACHINE = {
    "probed_at": "2026-11-01T12:00:00Z",
    "version": "any",
    "system.architecture": "x86_64",
    "system.shm_bytes": 16 << 30,
    "system.memlock_limit_bytes": 8 << 20,
    "engine.host": "unix:///var/run/docker.sock",
    "engine.data_root_free_bytes": 500_000_000_000,
}
# Every kernel has its own name for the place in it where a process waits.
_WHERE_IT_WAITS = re.compile(r"(process state \w), in \w+")


def main(root: str, seconds: str, settings: str, rights: str) -> None:
    """Print what the machine below `root` shows, as one object of JSON."""
    if rights == "unprivileged":
        give_up_reading_everything()
    arguments = ("--host-root", root, "--timeout", seconds)
    _, facts = _gpudoctor("probe", *arguments)
    facts_settled = _settled(facts, Path(root), json.loads(settings))
    with tempfile.TemporaryDirectory() as folder:
        saved, settled = Path(folder, "saved.json"), Path(folder, "settled.json")
        saved.write_text(facts, encoding="utf-8")
        settled.write_text(facts_settled, encoding="utf-8")
        document = {
            "facts": facts_settled,
            "live": _judged(*arguments),
            "saved": _judged("--facts", str(saved)),
            "settled": _judged("--facts", str(settled)),
        }
    sys.stdout.write(json.dumps(document))


def _judged(*arguments: str) -> dict[str, Any]:
    code, text = _gpudoctor("check", "--format", "json", *arguments)
    return {"exit_code": code, "report": json.loads(text)}


def _gpudoctor(*arguments: str) -> tuple[int, str]:
    """The command line in this process; gives its exit code and what it printed."""
    from gpudoctor import cli

    sys.argv = ["gpudoctor", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = cli._main()
    return code, printed.getvalue()


def _settled(facts: str, root: Path, settings: list[tuple[str, Any]]) -> str:
    """The facts without what belongs to the machine under the tests, and with what no stage can set."""
    text = _WHERE_IT_WAITS.sub(r"\1", facts.replace(str(root), "").replace(str(root.parent), "/stage"))
    document = json.loads(text)
    for place, value in _OF_THIS_MACHINE.items():
        holder, name = _holder(document, place)
        if holder[name] is not None:
            holder[name] = value
    for place, value in settings:
        holder, name = _holder(document, place)
        holder[name] = value
        holder.get("unread", {}).pop(name, None)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _holder(document: Any, place: str) -> tuple[Any, Any]:
    *path, name = place.split(".")
    for step in path:
        document = document[int(step) if step.isdecimal() else step]
    return document, int(name) if name.isdecimal() else name


if __name__ == "__main__":
    main(*sys.argv[1:])
