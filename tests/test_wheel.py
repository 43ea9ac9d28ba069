"""The wheel holds the matrix in forms that load faster: they say what compat_matrix.yaml says, and cost little."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from gpudoctor import health_policy
from gpudoctor import matrix as matrices
from gpudoctor.matrix import Matrix

ROOT = Path(__file__).resolve().parent.parent
WHAT_IF = ("--driver", "455.45.01", "--gpu", "RTX 3090")


def built(source: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """The wheel of a source tree, as pip builds it."""
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--wheel-dir")
    return subprocess.run((*command, str(into), str(source)), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    done = built(ROOT, folder / "wheels")
    assert done.returncode == 0, done.stderr
    (wheel,) = (folder / "wheels").glob("gpudoctor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


# As the entry point does it, then a list of what was imported, on the other stream.
PROGRAM = """
import json, sys
sys.argv = ["gpudoctor", *sys.argv[1:]]
from gpudoctor.cli import main
try:
    main()
finally:
    sys.stderr.write(json.dumps({"file": sys.modules["gpudoctor"].__file__, "modules": sorted(sys.modules)}))
"""


def said_by(folder: Path, *arguments: str) -> tuple[str, set[str]]:
    """What the gpudoctor in that folder prints, and what it imported for that."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    command = (sys.executable, "-c", PROGRAM, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    around = json.loads(done.stderr)
    assert Path(around["file"]).is_relative_to(folder)
    return done.stdout, set(around["modules"])


def said(matrix: Matrix) -> dict[str, object]:
    """All that a matrix holds, with the texts of its versions."""
    return {name: repr(getattr(matrix, name)) for name in Matrix.__annotations__}


def test_rows_of_the_wheel_are_those_of_the_yaml(site_packages: Path) -> None:
    rows = (site_packages / "gpudoctor" / matrices.BUILT_ROWS_NAME).read_bytes()
    shipped = matrices.load(ROOT / matrices.FILE_NAME)
    assert said(matrices.from_built_rows(rows)) == said(shipped)
    assert matrices.from_built_rows(rows).images == shipped.images
    assert len(shipped.images) > 150


def test_document_of_the_wheel_is_what_the_yaml_says(site_packages: Path) -> None:
    text = (ROOT / matrices.FILE_NAME).read_bytes()
    document = json.loads((site_packages / "gpudoctor" / matrices.BUILT_DOCUMENT_NAME).read_bytes())
    assert document == yaml.load(text, Loader=yaml.CSafeLoader)
    assert (site_packages / "gpudoctor" / matrices.FILE_NAME).read_bytes() == text


def test_health_policy_of_the_wheel_is_what_the_yaml_says(site_packages: Path) -> None:
    text = (ROOT / health_policy.FILE_NAME).read_bytes()
    document = json.loads((site_packages / "gpudoctor" / health_policy.BUILT_NAME).read_bytes())
    assert document == yaml.load(text, Loader=yaml.CSafeLoader)
    assert (site_packages / "gpudoctor" / health_policy.FILE_NAME).read_bytes() == text
    environment = {**os.environ, "PYTHONPATH": str(site_packages)}
    program = "from gpudoctor import health_policy; import sys; print(health_policy.load(), 'yaml' in sys.modules)"
    command = (sys.executable, "-c", program)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=site_packages)
    assert done.stdout == f"{health_policy.parse(text)} False\n"


def test_wheel_says_what_the_checkout_says(site_packages: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text('images:\n  - {tag: "20.99-ours", release: "20.99", tensorflow: "1.15.9", cuda: "11.1.1"}\n')
    for arguments in (
        ("resolve", "--tf", "1.15", *WHAT_IF),
        ("resolve", "--tf", "1.15", *WHAT_IF, "--format", "json"),
        ("resolve", "--tf", "2.17", "--driver", "590.1", "--gpu", "GH200"),
        ("resolve", "--tf", "1.15", *WHAT_IF, "--matrix", str(site)),
        ("matrix", "list", "--format", "json"),
    ):
        assert said_by(site_packages, *arguments)[0] == said_by(ROOT, *arguments)[0]


def test_resolve_of_a_thought_of_host_imports_nothing_that_it_does_not_use(site_packages: Path) -> None:
    text, modules = said_by(site_packages, "resolve", "--tf", "1.15", *WHAT_IF)
    assert text.startswith("nvcr.io/nvidia/tensorflow:")
    assert "gpudoctor.matrix" in modules
    unused = {"pathlib", "yaml", "packaging", "difflib", "urllib.parse", "ipaddress"}
    unused |= {"gpudoctor.site_matrix", "gpudoctor.facts", "gpudoctor.probe", "gpudoctor.document", "gpudoctor.launch"}
    assert modules & unused == set()


def test_matrix_with_a_fault_ends_the_build_with_its_line(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "gpudoctor", source / "gpudoctor", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "health_policy.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    text = (ROOT / matrices.FILE_NAME).read_text()
    place = 'tensorflow: "1.15.5"'
    assert place in text
    line = text[: text.index(place)].count("\n") + 1
    (source / matrices.FILE_NAME).write_text(text.replace(place, "tensorflow: 1.15", 1))
    done = built(source, tmp_path / "wheels")
    assert done.returncode != 0
    assert f"{matrices.FILE_NAME}:{line}: images[" in done.stderr + done.stdout
    assert not list((tmp_path / "wheels").glob("*.whl"))
