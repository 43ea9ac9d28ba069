"""Schemas that others published, taken at test time from pinned packages that carry them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.real.cannot import cannot
from tests.real.interpreters import cache_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A file in the source distribution of a package."""

    package: str
    version: str
    sha256: str
    """Of the source distribution."""
    member: str
    """Below the distribution's folder."""

    def text(self) -> str:
        """Its content; downloaded once, kept outside the tree."""
        kept = cache_folder() / "published" / self.sha256[:16] / Path(self.member).name
        if not kept.exists():
            content = self._download()
            kept.parent.mkdir(parents=True, exist_ok=True)
            # Whoever else downloads it now replaces it by its like.
            with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file:
                file.write(content)
            Path(file.name).replace(kept)
        return kept.read_text(encoding="utf-8")

    def _download(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            wanted = Path(folder, "wanted.txt")
            wanted.write_text(f"{self.package}=={self.version} --hash=sha256:{self.sha256}\n", encoding="utf-8")
            command = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:")
            ended = subprocess.run(
                (*command, "--require-hashes", "-r", str(wanted), "-d", folder),
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            found = sorted(Path(folder).glob("*.tar.gz"))
            if not found:
                cannot(f"{self.package} {self.version} cannot be downloaded: {ended.stderr.strip()[-300:]}")
            with tarfile.open(found[0]) as archive:
                member = archive.extractfile(f"{found[0].name.removesuffix('.tar.gz')}/{self.member}")
                assert member is not None, f"{found[0].name} holds no file {self.member}"
                return member.read()


JUNIT = Published(
    package="pytest",
    version="8.3.4",
    sha256="965370d062bce11e73868e0335abac31b4d3de0e82f4007408d242b4f8610761",
    member="testing/example_scripts/junit-10.xsd",
)
"""The schema of Jenkins' xUnit plugin, against which pytest holds its own reports."""

SARIF = Published(
    package="sarif_pydantic",
    version="0.6.2",
    sha256="634df2784533fcac8e86f0c60a0e45ead1d35452dc2331d32596275595906e7f",
    member="sarif-schema-2.1.0.json",
)
"""The schema of SARIF 2.1.0 by OASIS."""
