"""The project's tasks. Without a name: what a change has to pass.

They run in the environment that nox itself runs in, so that one installation serves all of them.
"""

import sys

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "none"


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and code that looks wrong."""
    session.run(sys.executable, "-m", "ruff", "check", ".")
    session.run(sys.executable, "-m", "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict, over the tests too."""
    session.run(sys.executable, "-m", "mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Every test that fits into minutes; real engine, registry, TensorFlow and NVML calls."""
    session.run(sys.executable, "-m", "pytest", *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """The tests that take many minutes: every old TensorFlow."""
    session.run(sys.executable, "-m", "pytest", "-m", "long", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """How fast and how large an installed wheel is; fails where a target of benchmarks/README.md is missed."""
    session.run(sys.executable, "-m", "benchmarks", *session.posargs)
