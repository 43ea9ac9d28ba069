"""`python -m tests.machines NAME FOLDER` lays a machine's files out, for a look by hand."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.machines import Machine, lay_out, names


def main(arguments: list[str]) -> int:
    """Lay the files of one machine out; FOLDER must not exist."""
    if len(arguments) != 2 or arguments[0] not in names():
        sys.stderr.write(f"usage: python -m tests.machines NAME FOLDER\nmachines: {', '.join(names())}\n")
        return 2
    name, folder = arguments
    if Path(folder).exists():
        sys.stderr.write(f"{folder} is there already\n")
        return 2
    lay_out(Machine.load(name).entries, Path(folder))
    return 0


sys.exit(main(sys.argv[1:]))
