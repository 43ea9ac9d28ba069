"""Makes folders that name the process they belong to, so that those of a killed one can be told and removed."""

import os
import shutil
import tempfile
from pathlib import Path

from tests.real.mounts import unmount_below
from tests.real.processes import alive, processes_naming


def new_folder(parent: Path, kind: str) -> Path:
    """An empty folder gpudoctor-KIND-PID-…; those of that kind whose process has ended are removed first."""
    prefix = f"gpudoctor-{kind}-"
    for old in parent.glob(f"{prefix}*"):
        owner = old.name.removeprefix(prefix).partition("-")[0]
        # What a killed run started may take a moment to end; then the next one removes the folder.
        if owner.isdigit() and not alive(int(owner)) and not processes_naming(str(old)):
            unmount_below(old)
            # Another run may be at the same work.
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent))


def temporary_folder(kind: str) -> Path:
    """The same below the folder for temporary files."""
    return new_folder(Path(tempfile.gettempdir()), kind)
