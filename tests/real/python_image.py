"""Makes an image as Docker's official python:3.12-slim is, with the wheels that pip wants when there is no network.

CPython 3.12 of this machine below /usr/local, a pip, the commands of a minimal Debian. As in the official image the
standard library comes without byte code; beyond it PYTHONDONTWRITEBYTECODE is set, as many images have it.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

from tests.real.cannot import cannot
from tests.real.folders import new_folder
from tests.real.interpreters import INSTALL_TIMEOUT_SECONDS, cache_folder, interpreter
from tests.real.layers import LayerWriter, fill_base, fill_python, write_layer
from tests.real.registry import MANIFEST_TYPE, LocalRegistry
from tests.real.tensorflow_image import CONFIG_TYPE, LAYER_TYPE, UNUSED_SECONDS

REPOSITORY = "python"
PYTHON_VERSION = "3.12"
LIBRARY = f"/usr/local/lib/python{PYTHON_VERSION}"
TAG = f"{PYTHON_VERSION}-slim"

# Where an ordinary Dockerfile has no business: what it leaves behind is told from what was there before.
WHEEL_FOLDER = "srv/wheels"

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PIP_FIND_LINKS": f"/{WHEEL_FOLDER}",
    "PIP_NO_INDEX": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}

_NOTHING = re.compile(r"(?!)")

# tomllib came with Python 3.11; the tests also run on 3.10, the image's interpreter is newer.
_REQUIREMENTS_PROGRAM = """\
import json, sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)
print(json.dumps(project["build-system"]["requires"] + project["project"]["dependencies"]))
"""


def publish_python_image(registry: LocalRegistry, project: Path) -> str:
    """Put the image into the registry and give its name; its wheels are what `project` is built from and needs."""
    python = interpreter(PYTHON_VERSION)
    wheels = _wheels(python, project)
    prefix = Path(_told_by(python, "import sys; print(sys.base_prefix)"))
    scratch = new_folder(cache_folder(), "python")
    try:
        stripped = _without_byte_code(prefix, scratch / "prefix")
        installer = scratch / "pip"
        with zipfile.ZipFile(_pip_wheel(wheels)) as packed:
            packed.extractall(installer)
        layers = (
            write_layer(registry, REPOSITORY, "base", fill_base),
            write_layer(registry, REPOSITORY, "python", lambda to: fill_python(to, stripped, PYTHON_VERSION)),
            write_layer(registry, REPOSITORY, "pip and wheels", lambda to: _fill_wheels(to, installer, wheels)),
        )
    finally:
        shutil.rmtree(scratch)
    configuration = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Env": [f"{name}={text}" for name, text in ENVIRONMENT.items()], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created_by": layer.name} for layer in layers],
    }
    body = json.dumps(configuration).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "size": len(body),
            "digest": registry.upload_blob(REPOSITORY, body),
        },
        "layers": [{"mediaType": LAYER_TYPE, "size": layer.size_bytes, "digest": layer.digest} for layer in layers],
    }
    registry.put_manifest(REPOSITORY, TAG, manifest)
    return registry.reference(REPOSITORY, TAG)


def _fill_wheels(layer: LayerWriter, installer: Path, wheels: Path) -> None:
    layer.tree(f"{LIBRARY.lstrip('/')}/site-packages", installer, _NOTHING)
    for wheel in sorted(wheels.iterdir()):
        layer.file(f"{WHEEL_FOLDER}/{wheel.name}", wheel)


def _pip_wheel(wheels: Path) -> Path:
    return next(wheels.glob("pip-*.whl"))


def _without_byte_code(prefix: Path, target: Path) -> Path:
    """The interpreter and its library once more, as links where the file system allows it."""
    library = f"lib/python{PYTHON_VERSION}"
    shutil.copytree(
        prefix / library,
        target / library,
        symlinks=True,
        copy_function=_link_or_copy,
        ignore=shutil.ignore_patterns("__pycache__", "test", "tests", "site-packages"),
    )
    (target / "bin").mkdir()
    (target / "bin" / f"python{PYTHON_VERSION}").symlink_to(prefix / "bin" / f"python{PYTHON_VERSION}")
    return target


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _wheels(python: Path, project: Path) -> Path:
    """A folder in the cache with pip itself, what builds the project and what it needs, downloaded on first use."""
    requirements: list[str] = json.loads(_told_by(python, _REQUIREMENTS_PROGRAM, str(project / "pyproject.toml")))
    identity = json.dumps([requirements, _told_by(python, "import sys; print(sys.version)"), platform.machine()])
    folder = cache_folder() / f"wheels-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    if not folder.exists():
        _remove_unused()
        partial = new_folder(cache_folder(), "wheels")
        try:
            _download(python, partial, requirements)
            # Another run may have been quicker: a folder that holds something is not replaced.
            partial.rename(folder)
        except OSError:
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    os.utime(folder)
    return folder


def _download(python: Path, folder: Path, requirements: list[str]) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    command = [str(python), "-m", "pip", "download", *quiet, "--only-binary=:all:", f"--dest={folder}", "pip"]
    try:
        ended = subprocess.run(
            [*command, *requirements],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        cannot(f"downloading the wheels of the image: no end within {INSTALL_TIMEOUT_SECONDS:.0f} s")
    if ended.returncode != 0:
        causes = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or [ended.stderr.strip()]
        cannot(f"downloading the wheels of the image: {' | '.join(causes[-3:])}")


def _remove_unused() -> None:
    for folder in cache_folder().glob("wheels-*"):
        if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _told_by(python: Path, program: str, *arguments: str) -> str:
    told = subprocess.run([str(python), "-c", program, *arguments], capture_output=True, text=True, check=True)
    return told.stdout.strip()
