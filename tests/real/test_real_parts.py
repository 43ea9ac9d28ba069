"""The real parts do what the tests lean on: proofs on the engine, the registry and the images themselves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.types import DeviceRequest

from tests.real.cannot import cannot
from tests.real.engine import Engine, PrivateEngine, small_data_root
from tests.real.interpreters import cache_folder
from tests.real.mounts import mounts_below
from tests.real.processes import alive, descendants, processes_naming
from tests.real.registry import ACCOUNT, LocalRegistry
from tests.real.tensorflow_image import (
    TENSORFLOW,
    TENSORFLOW_TAGS,
    TINY,
    TINY_TAGS,
    BuiltImages,
    Tag,
    publish,
)

EVERY_GPU = DeviceRequest(count=-1, capabilities=[["gpu"]])


@pytest.fixture
def client(engine: Engine) -> Iterator[docker.DockerClient]:
    """docker-py on the session's engine."""
    with closing(docker.DockerClient(base_url=engine.docker_host)) as connected:
        yield connected


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a container ended."""

    exit_code: int
    output: str


def run(
    client: docker.DockerClient,
    image: str,
    command: Sequence[str],
    device_requests: Sequence[DeviceRequest] = (),
) -> Ended:
    """Run a command in a container, wait for it, remove the container whatever happened."""
    container = client.containers.create(image, list(command), device_requests=list(device_requests))
    try:
        container.start()
        ended = container.wait(timeout=120)
        return Ended(exit_code=ended["StatusCode"], output=container.logs().decode())
    finally:
        container.remove(force=True)


@pytest.mark.parametrize(
    ("script", "exit_code"), [("exit 0", 0), ("exit 7", 7), ("kill -SEGV $$", 139), ("nosuchcommand", 127)]
)
def test_a_container_ends_with_the_exit_code_of_its_command(
    client: docker.DockerClient, tiny_image: str, script: str, exit_code: int
) -> None:
    # The outer shell is process 1, which the kernel shields from signals of its own container.
    ended = run(client, tiny_image, ["sh", "-c", f"sh -c '{script}'; exit $?"])
    assert ended.exit_code == exit_code


def test_tensorflow_1_15_5_computes_in_the_image(client: docker.DockerClient, pulled_image: str) -> None:
    program = (
        "import tensorflow as tf, numpy as np\n"
        "product = tf.matmul(tf.constant([[1., 2.], [3., 4.]]), tf.constant([[5.], [6.]]))\n"
        "with tf.compat.v1.Session() as session:\n"
        "    print('version', tf.__version__, 'product', session.run(product).tolist())\n"
    )
    for python in ("python", "python3"):
        ended = run(client, pulled_image, [python, "-c", program])
        assert ended.exit_code == 0, ended.output
        assert "version 1.15.5 product [[17.0], [39.0]]" in ended.output


def test_the_image_greets_on_stdout_before_the_command_as_nvidias_does(
    client: docker.DockerClient, pulled_image: str
) -> None:
    greeting = client.containers.run(pulled_image, ["echo", "mine"], stderr=False, remove=True).decode()
    assert greeting.startswith("\n====")
    assert "NVIDIA Release 22.12-tf1" in greeting
    assert greeting.endswith("\nmine\n")


def test_the_images_say_of_themselves_what_nvidias_say(client: docker.DockerClient, pulled_image: str) -> None:
    configuration = client.images.get(pulled_image).attrs["Config"]
    environment = dict(variable.split("=", 1) for variable in configuration["Env"])
    assert environment["CUDA_VERSION"] == "11.8.0.065"
    assert environment["CUDA_DRIVER_VERSION"] == "520.61.05"
    assert environment["TENSORFLOW_VERSION"] == "1.15.5"
    assert environment["NVIDIA_TENSORFLOW_VERSION"] == "22.12-tf1"
    assert environment["NVIDIA_REQUIRE_CUDA"] == "cuda>=9.0"
    assert configuration["Labels"] == {"com.nvidia.tensorflow.version": "22.12-tf1"}


def test_both_tensorflow_tags_are_made_of_the_same_layers(registry: LocalRegistry) -> None:
    older, newer = (registry.manifest(TENSORFLOW, tag.name) for tag in TENSORFLOW_TAGS)
    assert older is not None
    assert newer is not None
    assert older["layers"] == newer["layers"]
    assert older["config"] != newer["config"]


def test_an_image_is_pushed_removed_and_pulled_again(
    client: docker.DockerClient, registry: LocalRegistry, tiny_image: str
) -> None:
    name = f"{registry.address}/pushed/tensorflow"
    # A layer that no other image on this engine holds: the pull has to bring it.
    container = client.containers.create(tiny_image, ["dd", "if=/dev/urandom", "of=/noise", "bs=1M", "count=2"])
    try:
        container.start()
        assert container.wait(timeout=60)["StatusCode"] == 0
        image = container.commit(name, "1")
    finally:
        container.remove(force=True)
    pushed = [json.loads(line) for line in client.images.push(name, tag="1").splitlines()]
    assert not [line for line in pushed if "error" in line]

    client.images.remove(f"{name}:1")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(image.id or "")

    lines = list(client.api.pull(name, tag="1", stream=True, decode=True))
    # Bytes done and bytes to come, layer by layer: what a progress bar is drawn from.
    assert any(line.get("progressDetail", {}).get("total") for line in lines)
    assert client.images.get(f"{name}:1").id == image.id
    client.images.remove(f"{name}:1")


def test_a_tag_of_the_tests_own_is_published_in_no_time(
    client: docker.DockerClient, images: BuiltImages, registry: LocalRegistry
) -> None:
    tag = Tag(name="20.11-tf1-py3", cuda_version="11.1.0", cuda_driver_version="455.23")
    publish(registry, images.layers_of(TINY), TINY, tag)
    name = registry.reference(TINY, tag.name)
    ended = run(client, client.images.pull(name).id or "", ["sh", "-c", "echo $CUDA_DRIVER_VERSION"])
    assert ended.output == "455.23\n"
    client.images.remove(name)
    # The cache is shared with other runs and must not have changed.
    tags = images.storage / "docker/registry/v2/repositories" / TINY / "_manifests/tags"
    assert sorted(path.name for path in tags.iterdir()) == sorted(known.name for known in TINY_TAGS)


def test_a_gpu_request_reaches_the_hook(
    gpu_engine: PrivateEngine, registry: LocalRegistry, images: BuiltImages
) -> None:
    del images
    with closing(docker.DockerClient(base_url=gpu_engine.docker_host)) as client:
        image = client.images.pull(registry.reference(TINY, TINY_TAGS[0].name)).id or ""
        before = len(gpu_engine.hook_calls())
        assert run(client, image, ["true"]).exit_code == 0
        assert run(client, image, ["true"], [EVERY_GPU]).exit_code == 0
        two = DeviceRequest(device_ids=["0", "GPU-5f3c"], capabilities=[["gpu"]])
        assert run(client, image, ["true"], [two]).exit_code == 0
        calls = gpu_engine.hook_calls()[before:]
    # The container without a request did not call it; the last value of a name is the one asked for.
    assert [call.visible_devices for call in calls] == ["all", "0,GPU-5f3c"]
    assert all(call.arguments == "prestart" for call in calls)


def test_a_fault_of_the_hook_is_the_engines_answer(gpu_engine: PrivateEngine, registry: LocalRegistry) -> None:
    fault = "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch"
    with closing(docker.DockerClient(base_url=gpu_engine.docker_host)) as client:
        image = client.images.pull(registry.reference(TINY, TINY_TAGS[0].name)).id or ""
        gpu_engine.hook_fault.write_text(fault)
        try:
            with pytest.raises(docker.errors.APIError) as caught:
                run(client, image, ["true"], [EVERY_GPU])
        finally:
            gpu_engine.hook_fault.unlink()
        assert fault in str(caught.value.explanation)
        assert run(client, image, ["true"], [EVERY_GPU]).exit_code == 0


def test_without_the_hook_a_gpu_request_is_refused(registry: LocalRegistry) -> None:
    with PrivateEngine() as bare, closing(docker.DockerClient(base_url=bare.docker_host)) as client:
        image = client.images.pull(registry.reference(TINY, TINY_TAGS[0].name)).id or ""
        with pytest.raises(docker.errors.APIError) as caught:
            run(client, image, ["true"], [EVERY_GPU])
        assert caught.value.explanation == 'could not select device driver "" with capabilities: [[gpu]]'
        assert run(client, image, ["true"]).exit_code == 0


def test_a_registry_with_a_password_lets_in_only_who_has_it(
    client: docker.DockerClient, images: BuiltImages, htpasswd: Path, tmp_path: Path
) -> None:
    images.copy_storage(tmp_path / "storage")
    user, password = ACCOUNT
    with LocalRegistry(tmp_path / "storage", htpasswd=htpasswd) as closed:
        name = closed.reference(TINY, TINY_TAGS[0].name)
        with pytest.raises(docker.errors.APIError, match="no basic auth credentials"):
            client.images.pull(name)
        with pytest.raises(docker.errors.APIError, match="unauthorized"):
            client.images.pull(name, auth_config={"username": user, "password": "wrong"})
        assert client.images.pull(name, auth_config={"username": user, "password": password})
        client.images.remove(name)


def test_a_registry_that_was_stopped_comes_back_under_its_address(tmp_path: Path) -> None:
    with LocalRegistry(tmp_path) as first:
        first.upload_blob("some/image", b"content")
        pid, address = first.pid, first.address
    assert not alive(pid)
    port = int(address.rpartition(":")[2])
    with LocalRegistry(tmp_path, port=port) as second:
        assert second.address == address


def test_a_small_data_root_fills_up_in_a_pull(registry: LocalRegistry) -> None:
    with small_data_root(300 << 20) as small:
        with (
            PrivateEngine(data_root=small) as engine,
            closing(docker.DockerClient(base_url=engine.docker_host)) as client,
        ):
            name = registry.reference(TENSORFLOW, TENSORFLOW_TAGS[0].name)
            lines = list(client.api.pull(name, stream=True, decode=True))
            assert "no space left on device" in lines[-1]["error"]
        # The engine leaves alone what the caller mounted.
        assert [mount.point for mount in mounts_below(small)] == [small]
    assert not small.exists()
    assert not mounts_below(small)


@pytest.mark.parametrize("crashed", [False, True])
def test_nothing_is_left_of_an_engine(registry: LocalRegistry, crashed: bool) -> None:
    with PrivateEngine() as engine:
        with closing(docker.DockerClient(base_url=engine.docker_host)) as client:
            image = client.images.pull(registry.reference(TINY, TINY_TAGS[0].name)).id or ""
            client.containers.create(image, ["true"])
            sleeper = client.containers.run(image, ["sleep", "1000"], detach=True)
            sleeper.reload()
            started = {*descendants(processes_naming(str(engine.run_folder))), sleeper.attrs["State"]["Pid"]}
        folders = (engine.run_folder, engine.data_root)
        assert engine.pid in started
        assert len(started) >= 4, "dockerd, containerd, the shim and the sleeper"
        assert mounts_below(engine.data_root)
        if crashed:
            engine.crash()
            assert alive(sleeper.attrs["State"]["Pid"]), "a container outlives its engine"
    assert not [pid for pid in started if alive(pid)]
    assert not [mount for folder in folders for mount in mounts_below(folder)]
    assert not [folder for folder in folders if folder.exists()]


def test_an_engine_ends_with_a_test_run_that_is_killed() -> None:
    program = (
        "import time\n"
        "from tests.real.engine import PrivateEngine\n"
        "with PrivateEngine() as engine:\n"
        "    print(engine.pid, engine.run_folder, engine.data_root, flush=True)\n"
        "    time.sleep(600)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
    ) as killed:
        assert killed.stdout is not None
        pid, run_folder, data_root = killed.stdout.readline().split()
        killed.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (alive(int(pid)) or processes_naming(run_folder.decode())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(int(pid))
    assert not processes_naming(run_folder.decode())
    # Nobody was there to remove its folders: the next engine does.
    with PrivateEngine():
        assert not Path(data_root.decode()).exists()
        assert not Path(run_folder.decode()).exists()


def test_what_cannot_be_had_is_a_skip_and_in_ci_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such part"):
        cannot("no such part")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no such part"):
        cannot("no such part")


def test_the_cache_holds_no_half_made_images(images: BuiltImages) -> None:
    assert images.storage.parent.parent == cache_folder()
    assert not list(cache_folder().glob("images-partial-*"))
    for layer in images.layers:
        digest = layer.digest.removeprefix("sha256:")
        blob = images.storage / "docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"
        assert blob.stat().st_size == layer.size_bytes
