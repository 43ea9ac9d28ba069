"""The core touches nothing of the world, and each heavy library is imported in its own files only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpudoctor

PACKAGE = Path(gpudoctor.__file__).parent

# Files and folders that may touch the world; everything else is the core. smoke_in_container.py runs elsewhere.
SHELL = (
    "compat_note.py",
    "__main__.py",
    "cli/",
    "health_policy.py",
    "launch.py",
    "matrix.py",
    "named_file.py",
    "plain_yaml.py",
    "probe/",
    "registry.py",
    "smoke.py",
    "smoke_in_container.py",
)

# Of the standard library, what reaches for a file, the environment, a clock, a process, a net or chance.
WORLD = {
    "asyncio",
    "ctypes",
    "fcntl",
    "getpass",
    "glob",
    "http",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "platform",
    "pty",
    "random",
    "resource",
    "secrets",
    "select",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
}
HEAVY = {
    "docker": {"launch.py", "plan.py", "registry.py"},
    "packaging": {"resolve.py"},
    "pynvml": {"probe/nvml.py"},
    "requests": {"launch.py", "registry.py"},
    "rich": {"launch.py"},
    "yaml": {"plain_yaml.py"},
}


def _files() -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "smoke_in_container.py"
    }


FILES = _files()
CORE = [name for name in FILES if not name.startswith(SHELL)]


def _imported(tree: ast.Module) -> Iterator[str]:
    """First words of every import, wherever it stands, but for those that only the type checker sees."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            skipped.update(inner for one in node.body for inner in ast.walk(one))
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_the_core_is_more_than_half_of_the_files() -> None:
    assert len(CORE) > len(FILES) / 2  # an entry of SHELL that swallows everything would leave nothing to test
    assert {"facts.py", "report.py", "rules.py", "checks/__init__.py", "render/to_text.py"} <= set(CORE)


@pytest.mark.parametrize("name", CORE)
def test_core_touches_nothing_of_the_world(name: str) -> None:
    assert set(_imported(FILES[name])) & WORLD == set()


@pytest.mark.parametrize("name", CORE)
def test_core_knows_no_shell(name: str) -> None:
    shell = {f"gpudoctor.{one.rstrip('/').removesuffix('.py').replace('/', '.')}" for one in SHELL} - {
        "gpudoctor.health_policy",  # its rules and parse() are core; load() is not
        "gpudoctor.matrix",  # as with that
        "gpudoctor.smoke",
    }
    for node in ast.walk(FILES[name]):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            assert not any(one == part or one.startswith(f"{part}.") for one in names for part in shell)


@pytest.mark.parametrize("name", CORE)
def test_core_opens_nothing_and_prints_nothing(name: str) -> None:
    called = {
        node.func.id for node in ast.walk(FILES[name]) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"open", "print", "input", "exec", "eval", "__import__"} == set()


@pytest.mark.parametrize("library", sorted(HEAVY))
def test_each_heavy_library_keeps_to_its_files(library: str) -> None:
    found = {name for name, tree in FILES.items() if library in set(_imported(tree))}
    assert found
    assert found <= HEAVY[library]


@pytest.mark.parametrize(
    "name", [name for name in FILES if name.startswith("checks/") and name != "checks/__init__.py"]
)
def test_checks_import_no_other_check(name: str) -> None:
    for node in ast.walk(FILES[name]):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert not node.module.startswith("gpudoctor.checks.")
