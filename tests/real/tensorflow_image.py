"""Makes the images that the tests pull: real TensorFlow 1.15.5 under the names and environment of NVIDIA's.

The layers are sent to a registry as they are packed; no engine takes part. The registry's storage is kept in
the tests' cache, where the next run finds it. It takes 20 s, after TensorFlow is downloaded and installed.

=====================  ==========================================  =======================================
repository             layers                                      entry point
=====================  ==========================================  =======================================
nvidia/tensorflow      base, python, tensorflow (200 MB,           /opt/nvidia/nvidia_entrypoint.sh, which
                       620 MB unpacked)                            prints a banner, as NVIDIA's does
tiny/tensorflow        base (6 MB, 14 MB unpacked)                 none: the command is exec'd by runc
=====================  ==========================================  =======================================
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.real import layers as layers_module
from tests.real.cannot import cannot
from tests.real.interpreters import cache_folder, tensorflow_environment
from tests.real.layers import Layer, LayerWriter, fill_base, fill_python, fill_tensorflow, write_layer
from tests.real.registry import MANIFEST_TYPE, LocalRegistry

TENSORFLOW = "nvidia/tensorflow"
TINY = "tiny/tensorflow"

TENSORFLOW_VERSION = "1.15.5"
PYTHON_VERSION = "3.7"

CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"

ENTRYPOINT = "/opt/nvidia/nvidia_entrypoint.sh"

# NVIDIA's images greet on stdout before they exec the command: stdout is not the command's alone.
ENTRYPOINT_TEXT = """\
#!/bin/bash
echo
echo "================"
echo "== TensorFlow =="
echo "================"
echo
echo "NVIDIA Release ${NVIDIA_TENSORFLOW_VERSION} (made for the tests of gpudoctor)"
echo "TensorFlow Version ${TENSORFLOW_VERSION}"
echo
if [[ $# -eq 0 ]]; then
    exec /bin/bash
fi
exec "$@"
"""

UNUSED_SECONDS = 14 * 24 * 3600.0
"""Images in the cache that nobody used for so long are removed when new ones are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag and what NVIDIA's image of that name says of itself."""

    name: str
    cuda_version: str
    cuda_driver_version: str
    tensorflow_version: str = TENSORFLOW_VERSION

    def environment(self) -> dict[str, str]:
        """The variables that say what is inside."""
        return {
            "CUDA_VERSION": self.cuda_version,
            "CUDA_DRIVER_VERSION": self.cuda_driver_version,
            "TENSORFLOW_VERSION": self.tensorflow_version,
            "NVIDIA_TENSORFLOW_VERSION": self.name.removesuffix("-py3"),
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
            "NVIDIA_REQUIRE_CUDA": "cuda>=9.0",
            "PATH": "/usr/local/nvidia/bin:/usr/local/cuda/bin"
            ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": "/usr/local/cuda/compat/lib:/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
        }


TENSORFLOW_TAGS = (
    Tag(name="22.12-tf1-py3", cuda_version="11.8.0.065", cuda_driver_version="520.61.05"),
    Tag(name="23.03-tf1-py3", cuda_version="12.1.0", cuda_driver_version="530.30.02"),
)
TINY_TAGS = (
    Tag(
        name="20.12-tf1-py3",
        cuda_version="11.1.1",
        cuda_driver_version="455.32",
        tensorflow_version="1.15.4",
    ),
    *TENSORFLOW_TAGS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImages:
    """The images in the cache. A registry that a test pushes to gets a copy_storage, never `storage`."""

    storage: Path
    layers: tuple[Layer, ...]
    """Base, python, entry point, tensorflow, in the order they lie upon each other."""

    def layers_of(self, repository: str) -> tuple[Layer, ...]:
        """The layers that the images of a repository are made of."""
        return self.layers[:1] if repository == TINY else self.layers

    def copy_storage(self, folder: Path) -> None:
        """A storage folder with the same content, to be written to: the blobs are links to the cache's."""
        shutil.copytree(self.storage, folder, copy_function=_link_blob, dirs_exist_ok=True)


def built_images() -> BuiltImages:
    """The images from the cache, made when they are not there or what they are made of has changed."""
    site_packages = _site_packages()
    folder = cache_folder() / f"images-{_key(site_packages)}"
    with (cache_folder() / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _remove_unused()
            partial = Path(tempfile.mkdtemp(prefix="images-partial-", dir=cache_folder()))
            try:
                _build(partial, site_packages)
                # A run that was interrupted leaves no folder of the final name.
                partial.rename(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        os.utime(folder)
    described = json.loads((folder / "layers.json").read_text())
    return BuiltImages(storage=folder / "storage", layers=tuple(Layer(**layer) for layer in described))


def publish(registry: LocalRegistry, layers: tuple[Layer, ...], repository: str, tag: Tag) -> str:
    """Tag an image of these layers, which the repository has, and give its digest; takes milliseconds."""
    has_python = len(layers) > 1
    configuration: dict[str, object] = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "2022-12-16T00:00:00Z",
        "config": {
            "Env": [f"{name}={text}" for name, text in tag.environment().items()],
            "Labels": {"com.nvidia.tensorflow.version": tag.name.removesuffix("-py3")},
            "WorkingDir": "/workspace",
            "Entrypoint": [ENTRYPOINT] if has_python else None,
            "Cmd": None if has_python else ["/bin/bash"],
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": "2022-12-16T00:00:00Z", "created_by": layer.name} for layer in layers],
    }
    body = json.dumps(configuration).encode()
    manifest: Mapping[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "size": len(body),
            "digest": registry.upload_blob(repository, body),
        },
        "layers": [{"mediaType": LAYER_TYPE, "size": layer.size_bytes, "digest": layer.digest} for layer in layers],
    }
    return registry.put_manifest(repository, tag.name, manifest)


def _build(folder: Path, site_packages: Path) -> None:
    prefix = _prefix(site_packages)
    compiled = folder / "site-packages"
    _compile(site_packages, compiled, prefix)
    storage = folder / "storage"
    storage.mkdir()
    with LocalRegistry(storage) as registry:
        layers = (
            write_layer(registry, TENSORFLOW, "base", fill_base),
            write_layer(registry, TENSORFLOW, "python", lambda to: fill_python(to, prefix, PYTHON_VERSION)),
            write_layer(registry, TENSORFLOW, "entry point", _fill_entrypoint),
            write_layer(registry, TENSORFLOW, "tensorflow", lambda to: fill_tensorflow(to, compiled, PYTHON_VERSION)),
        )
        for tag in TENSORFLOW_TAGS:
            publish(registry, layers, TENSORFLOW, tag)
        registry.mount_blob(layers[0].digest, source=TENSORFLOW, repository=TINY)
        for tag in TINY_TAGS:
            publish(registry, layers[:1], TINY, tag)
    shutil.rmtree(compiled)
    (folder / "layers.json").write_text(json.dumps([dataclasses.asdict(layer) for layer in layers], indent=1))


def _fill_entrypoint(layer: LayerWriter) -> None:
    layer.text(ENTRYPOINT.lstrip("/"), ENTRYPOINT_TEXT, 0o755)


def _site_packages() -> Path:
    """Where a virtual environment has TensorFlow 1.15.5 installed."""
    environment = tensorflow_environment(TENSORFLOW_VERSION).parent.parent
    return environment / "lib" / f"python{PYTHON_VERSION}" / "site-packages"


def _prefix(site_packages: Path) -> Path:
    """Where the CPython that the virtual environment was made from is installed."""
    python = site_packages.parents[2] / "bin" / "python"
    told = subprocess.run(
        [str(python), "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    )
    return Path(told.stdout.strip())


def _compile(site_packages: Path, compiled: Path, prefix: Path) -> None:
    """A copy with byte code for all of it, which every new container would otherwise make anew."""
    shutil.copytree(
        site_packages,
        compiled,
        symlinks=True,
        copy_function=_hard_link,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    ended = subprocess.run(
        [
            str(prefix / "bin" / f"python{PYTHON_VERSION}"), "-m", "compileall", "-q", "-j", "2",
            "-d", f"/usr/local/lib/python{PYTHON_VERSION}/site-packages", str(compiled),
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    if ended.returncode != 0:
        cannot(f"byte code of the image: {(ended.stdout + ended.stderr).strip()[-500:]}")


def _hard_link(source: str, target: str) -> str:
    os.link(source, target, follow_symlinks=False)
    return target


def _link_blob(source: str, target: str) -> str:
    # Blobs are named by their digest and never written again; everything else is small.
    if Path(source).name == "data":
        Path(target).symlink_to(source)
    else:
        shutil.copyfile(source, target)
    return target


def _key(site_packages: Path) -> str:
    """A hash of all that the images are made of."""
    inputs = hashlib.sha256()
    for module in (__file__, layers_module.__file__):
        inputs.update(Path(module).read_bytes())
    inputs.update(Path("/etc/os-release").read_bytes())
    inputs.update(f"{platform.machine()} {platform.libc_ver()} {_prefix(site_packages)}".encode())
    for package in sorted(path.name for path in site_packages.glob("*.dist-info")):
        inputs.update(package.encode())
    return inputs.hexdigest()[:16]


def _remove_unused() -> None:
    """Under the lock: what an interrupted run left, and what has not been used for long."""
    for folder in cache_folder().glob("images-*"):
        if folder.name.startswith("images-partial-") or time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder)
