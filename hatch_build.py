"""Puts the matrix into the wheel a second time, as JSON: Python reads that 25 times faster than YAML."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MatrixBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Made anew from compat_matrix.yaml by every build, so that the two cannot differ."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the JSON beside the build and name it to hatchling; an editable install reads the YAML itself."""
        if version == "editable":
            return
        text = (Path(self.root) / "compat_matrix.yaml").read_bytes()
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "compat_matrix.json"
        path.write_text(json.dumps(yaml.load(text, Loader=yaml.SafeLoader), separators=(",", ":")), encoding="utf-8")
        build_data["force_include"][str(path)] = "gpudoctor/compat_matrix.json"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what initialize wrote."""
        if version != "editable":
            self._folder.cleanup()
