"""Ends a test whose real part is not to be had: a skip on a developer's machine, a failure in CI."""

import os
from typing import NoReturn

import pytest


def cannot(reason: str) -> NoReturn:
    """Skip with the reason; fail with it where the environment says CI: skipping never makes CI green."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(f"in CI this must not be skipped: {reason}", pytrace=False)
    pytest.skip(reason)
