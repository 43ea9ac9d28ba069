"""Which checks know a line of a log."""

from __future__ import annotations

import importlib
import re


def knows(check: str, line: str) -> bool:
    """Whether one of a check's symptoms stands in the line, read as `explain` reads it."""
    module = importlib.import_module(f"gpudoctor.checks.{check.replace('-', '_')}")
    return any(re.search(symptom, line, re.IGNORECASE) for symptom in module.SYMPTOMS)
