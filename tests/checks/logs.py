"""Which checks know a line of a log, by way of `explain` itself."""

from __future__ import annotations

from functools import cache

from gpudoctor import checks
from gpudoctor.explain import Reader


@cache
def _reader() -> Reader:
    return Reader(checks.discover())


def suspects(line: str) -> set[str]:
    """Ids of the checks one of whose symptoms is found in it."""
    return {one.check.id for one in _reader().read((line.encode(),)).suspects}
