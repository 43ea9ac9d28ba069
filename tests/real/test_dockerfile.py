"""docker/Dockerfile builds, and its image does what it is for: built and run on a private engine, without network.

The engine's builder is the classic one, which Docker 20.10 uses when nobody asks for BuildKit.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.types import DeviceRequest, Mount
from docker.utils.build import exclude_paths

from gpudoctor import __version__
from tests.machines import Machine, lay_out
from tests.nvml import standin
from tests.real.engine import PrivateEngine
from tests.real.python_image import LIBRARY, publish_python_image
from tests.real.registry import LocalRegistry

ROOT = Path(__file__).parents[2]
DOCKERFILE = "docker/Dockerfile"

HOST_ROOT = "/host"

# Where NVIDIA's device plugin on some clusters mounts the driver, and no linker looks by itself.
LIBRARY_FOLDER = "/usr/local/nvidia/lib64"

# What the image may add to its base, unpacked. Measured as the difference of the engine's sizes, 2026-11: 33 MB, of
# which 9.7 are byte code of the standard library and 9.6 Pygments, which rich brings. Room for a dependency that
# grows; not for a pip of the image's own (8 MB, 16 with byte code), let alone a compiler or CUDA.
ADDED_BYTES = 40_000_000

# Less than the 8 MiB that --facts takes.
HALF_SENT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The image that the Dockerfile made, and the one it was made from."""

    image: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a container ended."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def client(gpu_engine: PrivateEngine) -> Iterator[docker.DockerClient]:
    """docker-py on a private engine, where nothing of this module is left behind."""
    with closing(docker.DockerClient(base_url=gpu_engine.docker_host)) as connected:
        before = _present(connected)
        yield connected
        # The first stage is an image without a name; removing it takes the steps before it along.
        for image in connected.images.list(filters={"dangling": True}):
            if image.id is not None and image.id not in before:
                connected.images.remove(image.id)
        assert _present(connected) == before


def _present(client: docker.DockerClient) -> set[str | None]:
    """Every image and container on the engine, intermediate and stopped ones too."""
    images = {image.id for image in client.images.list(all=True)}
    return images | {container.id for container in client.containers.list(all=True)}


@pytest.fixture(scope="module")
def base(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image like the official one that the Dockerfile starts from."""
    with LocalRegistry(tmp_path_factory.mktemp("registry")) as registry:
        name = publish_python_image(registry, ROOT)
        client.images.pull(name)
    yield name
    client.images.remove(name)


@pytest.fixture(scope="module")
def built(client: docker.DockerClient, base: str) -> Iterator[Built]:
    """The image, built anew from this checkout."""
    name = "gpudoctor:of-the-tests"
    try:
        client.images.build(
            path=str(ROOT),
            dockerfile=DOCKERFILE,
            buildargs={"BASE": base},
            tag=name,
            network_mode="none",
            nocache=True,
            rm=True,
            forcerm=True,
        )
    except docker.errors.BuildError as error:
        log = "".join(line.get("stream", "") for line in error.build_log)
        pytest.fail(f"{error.msg}\n{log[-3000:]}", pytrace=False)
    yield Built(image=name, base=base)
    client.images.remove(name)


@contextmanager
def created(
    client: docker.DockerClient,
    image: str,
    command: Sequence[str],
    *,
    mounts: Mapping[Path, str] | None = None,
    environment: Mapping[str, str] | None = None,
    entrypoint: Sequence[str] | None = None,
    device_requests: Sequence[DeviceRequest] = (),
    **more: Any,
) -> Iterator[Container]:
    """A container that may do as little as a cluster's strictest rules leave to it, removed afterwards."""
    container = client.containers.create(
        image,
        list(command),
        entrypoint=list(entrypoint) if entrypoint else None,
        environment=dict(environment or {}),
        mounts=[Mount(target, str(source), "bind", read_only=True) for source, target in (mounts or {}).items()],
        device_requests=list(device_requests),
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        **more,
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def run(client: docker.DockerClient, image: str, command: Sequence[str], **more: Any) -> Ended:
    """Run a command in a container of `image`, to its end."""
    with created(client, image, command, **more) as container:
        container.start()
        return Ended(
            exit_code=container.wait(timeout=60)["StatusCode"],
            stdout=container.logs(stdout=True, stderr=False).decode(),
            stderr=container.logs(stdout=False, stderr=True).decode(),
        )


@pytest.fixture
def machine_without_gpu(tmp_path: Path) -> Path:
    """The files of a test machine, as `-v /:/host:ro` would show them."""
    return _files_of("none", tmp_path)


def _files_of(machine: str, folder: Path) -> Path:
    root = folder / "root"
    lay_out(Machine.load(machine).entries, root)
    return root


def test_the_image_runs_gpudoctor_and_shows_its_help_when_asked_nothing(
    client: docker.DockerClient, built: Built
) -> None:
    ended = run(client, built.image, ["--version"])
    assert (ended.exit_code, ended.stdout) == (0, f"gpudoctor, version {__version__}\n")
    ended = run(client, built.image, [])
    assert ended.exit_code == 0
    assert ended.stdout.startswith("Usage: gpudoctor")


def test_the_image_resolves_tensorflow_1_15_on_an_rtx_3090(client: docker.DockerClient, built: Built) -> None:
    what_if = ["--tf", "1.15", "--driver", "455.45.01", "--gpu", "RTX 3090", "--format", "json"]
    ended = run(client, built.image, ["resolve", *what_if])
    assert ended.exit_code == 0, ended.stderr
    assert json.loads(ended.stdout)["best"]["tag"] == "20.12-tf1-py3"


def test_a_machine_without_gpu_is_judged_by_the_files_mounted_from_it(
    client: docker.DockerClient, built: Built, machine_without_gpu: Path
) -> None:
    check = ["check", "--host-root", HOST_ROOT]
    mounts = {machine_without_gpu: HOST_ROOT}
    ended = run(client, built.image, check, mounts=mounts)
    assert ended.exit_code == 1, ended.stderr
    assert "this machine has no NVIDIA GPU" in ended.stdout
    # Not this machine, nor the container.
    assert "vm-plain (Debian GNU/Linux 12 (bookworm)" in ended.stdout
    ended = run(client, built.image, [*check, "--format", "json"], mounts=mounts)
    failed = [result["check"] for result in json.loads(ended.stdout)["results"] if result["outcome"] == "failed"]
    assert failed[0] == "gpu-none-present"


def test_nvidias_runtime_is_asked_for_nvml_of_every_gpu_which_check_then_reads(
    client: docker.DockerClient, gpu_engine: PrivateEngine, built: Built, tmp_path: Path
) -> None:
    machine = Machine.load("rtx3090-455")
    assert machine.nvml is not None
    data = tmp_path / "nvml.txt"
    data.write_text(machine.nvml)
    library = standin.library_folder(standin.missing_calls(machine.nvml))
    with created(
        client,
        built.image,
        ["check", "--host-root", HOST_ROOT, "--format", "json"],
        # The stand-in of NVIDIA's hook notes what it is asked for; what the real one would mount is mounted here.
        device_requests=[DeviceRequest(count=-1, capabilities=[["gpu"]])],
        mounts={_files_of(machine.name, tmp_path): HOST_ROOT, library: LIBRARY_FOLDER, data: "/nvml.txt"},
        environment={"LD_LIBRARY_PATH": LIBRARY_FOLDER, "GPUDOCTOR_NVML_DATA": "/nvml.txt"},
    ) as container:
        container.start()
        exit_code = container.wait(timeout=60)["StatusCode"]
        report = json.loads(container.logs(stdout=True, stderr=False))
        call = next(call for call in gpu_engine.hook_calls() if call.container == container.id)
    assert call.visible_devices == "all"
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in call.environment
    # Without --gpus, under `--runtime nvidia`, the image alone says which GPUs.
    assert "NVIDIA_VISIBLE_DEVICES=all" in client.images.get(built.image).attrs["Config"]["Env"]
    assert exit_code == 0, report
    assert "455.45.01" in json.dumps(report["host"])
    assert "RTX 3090" in json.dumps(report["host"])


def test_this_machine_looks_from_inside_as_it_does_from_outside(client: docker.DockerClient, built: Built) -> None:
    probe = ["probe", "--host-root", HOST_ROOT]
    inside = run(client, built.image, probe, mounts={Path("/"): HOST_ROOT}, uts_mode="host")
    assert inside.exit_code in (0, 3), inside.stderr
    outside = subprocess.run(
        (sys.executable, "-m", "gpudoctor", "probe"), capture_output=True, text=True, timeout=60, check=False
    )
    here, there = json.loads(inside.stdout), json.loads(outside.stdout)
    assert here["system"]["os_name"]
    for part in ("hostname", "os_name", "kernel_release", "architecture"):
        assert here["system"][part] == there["system"][part]
    for part in ("kernel_module_version", "modules", "device_nodes"):
        assert here["driver"][part] == there["driver"][part]
    assert here["pci_gpus"] == there["pci_gpus"]


def test_the_image_runs_as_a_user_that_is_not_root_and_has_no_name(client: docker.DockerClient, built: Built) -> None:
    ended = run(client, built.image, ["-u"], entrypoint=["/usr/bin/id"])
    assert (ended.exit_code, ended.stdout) == (0, "65532\n")
    ended = run(client, built.image, ["-G"], entrypoint=["/usr/bin/id"])
    assert ended.stdout == "65532\n"
    # Kubernetes judges this text: a name it would refuse.
    assert client.images.get(built.image).attrs["Config"]["User"] == "65532:65532"


def test_the_image_adds_the_environment_and_byte_code_and_nothing_else(
    client: docker.DockerClient, built: Built
) -> None:
    before, after = (_files(client, image) for image in (built.base, built.image))
    # The premise: the base is as bare of byte code as the official image.
    assert not [path for path in before if path.startswith(LIBRARY) and path.endswith(".pyc")]
    assert before <= after
    environment = {path for path in after - before if path.startswith("/opt/gpudoctor/")}
    byte_code = re.compile(re.escape(LIBRARY) + r"/(.+/)?__pycache__/[^/]+\.pyc")
    assert [path for path in sorted(after - before - environment) if not byte_code.fullmatch(path)] == []
    # No pip, no wheel, nothing of what the wheel was built with, nothing to compile with.
    unwanted = re.compile(r".*/(pip|hatchling|setuptools|wheel)(-[^/]+)?/.*|.*\.(whl|tar\.gz|[achox]|cpp|pyx)")
    assert [path for path in sorted(environment) if unwanted.fullmatch(path)] == []
    compilers = re.compile(r".*/(.+-)?(cc|gcc|g\+\+|c\+\+|clang|ld|as|make|cmake|rustc|cargo)(-[0-9.]+)?")
    assert [path for path in sorted(after) if compilers.fullmatch(path)] == []
    assert [path for path in after if "/.cache/" in path] == []


def _files(client: docker.DockerClient, image: str) -> set[str]:
    """Every file and link of an image, those that only root sees too."""
    command = ["/", "-xdev", "-type", "f", "-o", "-xdev", "-type", "l"]
    ended = run(client, image, command, entrypoint=["/usr/bin/find"], user="0", cap_add=["DAC_READ_SEARCH"])
    assert ended.exit_code == 0, ended.stderr
    return set(ended.stdout.splitlines())


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        (["check", "--host-root", HOST_ROOT], 1),
        (["probe", "--host-root", HOST_ROOT], 0),
        (["resolve", "--tf", ">=2.10,<2.13", "--driver", "535.129.03", "--gpu", "A100", "--format", "json"], 0),
        (["matrix", "list"], 0),
        (["run", "--tf", "1.15", "--dry-run", "--gpus", "none"], 0),
    ],
    ids=["check", "probe", "resolve", "matrix", "run"],
)
def test_no_start_compiles_a_module(
    client: docker.DockerClient, built: Built, machine_without_gpu: Path, command: list[str], exit_code: int
) -> None:
    mounts = {machine_without_gpu: HOST_ROOT}
    ended = run(client, built.image, command, mounts=mounts, environment={"PYTHONVERBOSE": "1"})
    loaded = re.findall(r"^# code object from '?(.+?)'?$", ended.stderr, re.MULTILINE)
    assert [path for path in loaded if not path.endswith(".pyc")] == []
    # Python says the one or the other of every module, ours included; and the command got to its end.
    assert len(loaded) > 50
    assert [path for path in loaded if "/site-packages/gpudoctor/cli/" in path]
    assert ended.exit_code == exit_code, ended.stdout


def test_a_container_that_is_told_to_stop_ends_at_once(client: docker.DockerClient, built: Built) -> None:
    with created(client, built.image, ["check", "--facts", "-"], stdin_open=True) as container:
        with _standard_input(container) as stream:
            container.start()
            # Far more than all the pipes on the way hold: once it is sent, the command reads, and waits for the rest.
            stream.sendall(b" " * HALF_SENT_BYTES)
            begun = time.monotonic()
            container.stop(timeout=20)
            took = time.monotonic() - begun
        exit_code = container.wait(timeout=5)["StatusCode"]
        complaint = container.logs(stdout=False, stderr=True).decode()
    assert (exit_code, complaint.strip()) == (130, "gpudoctor: interrupted")
    assert took < 10


@contextmanager
def _standard_input(container: Container) -> Iterator[socket.socket]:
    """Where what the container reads is written to."""
    attached: Any = container.attach_socket(params={"stdin": 1, "stream": 1})
    with closing(attached), attached._sock as stream:  # docker-py has no name for it
        stream.settimeout(60)
        yield stream


def test_the_image_says_what_it_is_and_stays_small(
    client: docker.DockerClient, built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    image, base = client.images.get(built.image), client.images.get(built.base)
    labels = image.attrs["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "gpudoctor"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    added = image.attrs["Size"] - base.attrs["Size"]
    with capsys.disabled():
        print(f"\nimage of gpudoctor: {added / 1e6:.1f} MB on a base of {base.attrs['Size'] / 1e6:.1f} MB")  # noqa: T201
    assert 0 < added < ADDED_BYTES


def test_only_what_the_image_is_built_from_goes_to_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    sent = {path for path in exclude_paths(str(ROOT), patterns, DOCKERFILE) if (ROOT / path).is_file()}
    # Every client sends the first two, whatever is ignored.
    copied = {".dockerignore", DOCKERFILE, "LICENSE", "README.md"}
    copied |= {"compat_matrix.yaml", "hatch_build.py", "health_policy.yaml", "pyproject.toml"}
    package = [path for path in (ROOT / "gpudoctor").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sent == copied | {str(path.relative_to(ROOT)) for path in package}
