"""Fixtures that hand real parts to the tests; tests/conftest.py names this module in `pytest_plugins`.

What they cost on two cores and a slow disk: the engine less than 1 s to start and 2 s to stop; the registry
1 s, a minute when the cache is empty; pulling TensorFlow 7 to 10 s and 620 MB of disk, removing it 1 s;
pulling the tiny image half a second. Prefer the tiny image where TensorFlow itself is not the point.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.real.engine import HOOK_FOLDER, Engine, PrivateEngine, engine_for_tests
from tests.real.registry import HTPASSWD, LocalRegistry
from tests.real.tensorflow_image import (
    TENSORFLOW,
    TENSORFLOW_TAGS,
    TINY,
    TINY_TAGS,
    BuiltImages,
    built_images,
)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine: a private one with the stand-in hook, or that of GPUDOCTOR_TEST_DOCKER_HOST."""
    with engine_for_tests() as running:
        yield running


@pytest.fixture(scope="session")
def gpu_engine(engine: Engine) -> Iterator[PrivateEngine]:
    """A private engine that accepts GPU requests: the session's own, else one more."""
    if isinstance(engine, PrivateEngine):
        yield engine
        return
    with PrivateEngine(path_prefix=HOOK_FOLDER) as running:
        yield running


@pytest.fixture(scope="session")
def docker_host(engine: Engine) -> str:
    """The engine's address, for DOCKER_HOST."""
    return engine.docker_host


@pytest.fixture(scope="session")
def images() -> BuiltImages:
    """The images in the cache, made on first use."""
    return built_images()


@pytest.fixture(scope="session")
def registry(images: BuiltImages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    """A registry with the images; what a test pushes is gone after the session."""
    storage = tmp_path_factory.mktemp("registry")
    images.copy_storage(storage)
    with LocalRegistry(storage) as running:
        yield running


@pytest.fixture(scope="session")
def _local_images_removed(engine: Engine, registry: LocalRegistry) -> Iterator[None]:
    """Take what was pulled from the local registry off an engine that outlives the tests."""
    yield
    if engine.is_private:
        return
    with closing(docker.DockerClient(base_url=engine.docker_host)) as client:
        for image in client.images.list():
            for name in image.tags:
                if name.startswith(f"{registry.address}/"):
                    client.images.remove(name, force=True)


def _present(engine: Engine, name: str) -> str:
    with closing(docker.DockerClient(base_url=engine.docker_host)) as client:
        try:
            client.images.get(name)
        except docker.errors.ImageNotFound:
            client.images.pull(name)
    return name


@pytest.fixture
def pulled_image(engine: Engine, registry: LocalRegistry, _local_images_removed: None) -> str:
    """The name of the TensorFlow image 22.12-tf1-py3; the engine has it, pulled anew if it was removed."""
    return _present(engine, registry.reference(TENSORFLOW, TENSORFLOW_TAGS[0].name))


@pytest.fixture
def tiny_image(engine: Engine, registry: LocalRegistry, _local_images_removed: None) -> str:
    """The name of the tiny image 20.12-tf1-py3, a shell and no Python; the engine has it."""
    return _present(engine, registry.reference(TINY, TINY_TAGS[0].name))


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    """A password file that lets in `tests.real.registry.ACCOUNT`, for a LocalRegistry of the test's own."""
    path = tmp_path / "htpasswd"
    path.write_text(HTPASSWD)
    return path
