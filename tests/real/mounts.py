"""Reads the mount table, and takes away the mounts below a folder of ours."""

import re
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of /proc/self/mountinfo."""

    number: int
    point: Path


def mounts_below(folder: Path) -> tuple[Mount, ...]:
    """The mounts at or below the folder, those that lie on others first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        number, _, _, _, escaped = line.split()[:5]
        # Blanks, tabs, line ends and backslashes stand as octal numbers.
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), escaped))
        if point == folder or folder in point.parents:
            found.append(Mount(number=int(number), point=point))
    return tuple(sorted(found, key=lambda mount: (len(mount.point.parts), mount.number), reverse=True))


def unmount_below(folder: Path, but: Collection[int] = ()) -> None:
    """Unmount what is mounted at or below the folder, but the mounts of these numbers."""
    for mount in mounts_below(folder):
        if mount.number not in but:
            # Lazily: a process that dies this moment may still stand in it.
            subprocess.run(["umount", "--lazy", str(mount.point)], check=True, capture_output=True)
