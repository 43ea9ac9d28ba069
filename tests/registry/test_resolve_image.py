"""`gpudoctor resolve --image`, as people type it: against a real registry, a real engine, and servers that fail."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from gpudoctor.compat_note import CompatLibraries, CompatNote
from gpudoctor.probe import images as engine_images
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from gpudoctor.reference import parse
from gpudoctor.versions import CudaVersion
from tests.launch.command import containers, environment
from tests.nvml import standin
from tests.real.engine import Engine
from tests.real.registry import ACCOUNT, LocalRegistry
from tests.real.tensorflow_image import BuiltImages, Tag, publish
from tests.registry import servers
from tests.registry.servers import Answer, configuration, counting, serving, several, single, talking
from tests.test_compat_note import CUDA_12_9, library, note

RTX_3090_ON_470 = ("--driver", "470.57.02", "--gpu", "RTX 3090")
A100_ON_535 = ("--driver", "535.129.03", "--gpu", "A100")


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def resolve(*arguments: str, env: Mapping[str, str] | None = None) -> Ended:
    """The command in a process of its own, where nobody is logged in and no engine runs."""
    quiet = {"DOCKER_CONFIG": "/nonexistent", "DOCKER_HOST": "unix:///nonexistent"}
    start = time.monotonic()
    ended = subprocess.run(
        (sys.executable, "-m", "gpudoctor", "resolve", *arguments),
        env={**os.environ, **quiet, **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr, time.monotonic() - start)


def assert_one_line(ended: Ended, code: int, message: str) -> None:
    """One line and at most one hint on stderr, nothing on stdout."""
    assert (ended.code, ended.out) == (code, ""), ended
    lines = ended.err.splitlines()
    assert 1 <= len(lines) <= 2, ended.err
    assert lines[0].startswith("gpudoctor: ")
    assert message in lines[0]
    assert all(line.startswith("  ") for line in lines[1:])


def reasons(document: dict[str, Any], rule: str) -> list[str]:
    return [one["detail"] for one in document["candidates"][0]["reasons"] if one["rule"] == rule]


# --- a real registry ---


def test_an_image_is_judged_unpulled_by_a_few_kilobytes(registry: LocalRegistry) -> None:
    with counting(registry.address) as relay:
        image = f"{relay.address}/nvidia/tensorflow:22.12-tf1-py3"
        ended = resolve("--image", image, *RTX_3090_ON_470, "--format", "json")
    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    assert document["schema"] == "gpudoctor.resolve/1"
    assert document["request"]["image"] == image
    assert document["verdict"] == "runs_with_minor_version_compat"
    best = document["best"]
    assert (best["image"], best["tensorflow"], best["cuda"]) == (image, "1.15.5", "11.8.0")
    assert (best["release"], best["min_driver"]) == ("22.12", "520.61.05")
    assert document["inspected"]["environment"]["CUDA_VERSION"] == "11.8.0.065"
    assert document["inspected"]["platforms"] == ["linux/amd64"]
    assert reasons(document, "requirement") == [
        "NVIDIA_REQUIRE_CUDA is met by cuda>=9.0: the CUDA version of the driver is 11.4"
    ]
    assert reasons(document, "matrix") == [
        "the image and the matrix agree on TensorFlow, CUDA, the driver of its CUDA, the release"
    ]
    assert all(one["source"] for one in best["reasons"])
    assert relay.received_bytes < 100_000


def test_the_text_names_verdict_weight_and_the_command(registry: LocalRegistry) -> None:
    image = registry.reference("nvidia/tensorflow", "22.12-tf1-py3")
    ended = resolve("--image", image, *RTX_3090_ON_470)
    assert ended.code == 0
    assert ended.out.startswith(f"{image}\n  TensorFlow 1.15.5, CUDA 11.8.0, Python 3.8\n")
    assert f"--gpus all --ipc=host --ulimit memlock=-1 --ulimit stack=67108864 {image}\n" in ended.out
    assert "MB packed, 4 layers, linux/amd64, made 2022-12-16" in ended.out


def test_a_mirror_takes_the_place_of_nvcr_io(registry: LocalRegistry) -> None:
    there = ("--registry", f"{registry.address}/nvidia")
    ended = resolve("--image", "nvcr.io/nvidia/tensorflow:22.12-tf1-py3", *there, *RTX_3090_ON_470, "--format", "json")
    assert ended.document["best"]["image"] == registry.reference("nvidia/tensorflow", "22.12-tf1-py3")
    ended = resolve("--image", "ubuntu:22.04", *there, *RTX_3090_ON_470)
    assert_one_line(ended, 2, "docker.io/library/ubuntu:22.04 is not from there")


def test_an_image_that_contradicts_the_matrix_is_believed_and_the_difference_shown(
    registry: LocalRegistry, images: BuiltImages
) -> None:
    other = Tag(
        name="21.02-tf1-py3", cuda_version="12.1.0", cuda_driver_version="530.30.02", tensorflow_version="1.15.9"
    )
    publish(registry, images.layers_of("tiny/tensorflow"), "tiny/tensorflow", other)
    image = registry.reference("tiny/tensorflow", other.name)
    ended = resolve("--image", image, *RTX_3090_ON_470, "--format", "json")
    assert ended.code == 1
    document = ended.document
    assert document["verdict"] == "will_not_run"
    assert document["candidates"][0]["cuda"] == "12.1.0"
    said = reasons(document, "matrix")
    assert any(one.startswith("CUDA is 12.1.0 by the image itself and 11.2") for one in said)
    assert any(one.startswith("TensorFlow is 1.15.9 by the image itself and 1.15.") for one in said)
    (advice,) = document["advice"]
    assert advice["text"].startswith("install driver 525.60.13 or newer of branch 525: then it runs with minor-version")
    # What is advised comes true.
    driver = ("--driver", "525.60.13", "--gpu", "RTX 3090", "--format", "json")
    assert resolve("--image", image, *driver).document["verdict"] == "runs_with_minor_version_compat"


def test_an_unknown_tag_is_exit_1_with_the_nearest(registry: LocalRegistry) -> None:
    image = registry.reference("nvidia/tensorflow", "22.12-tf1-py9")
    ended = resolve("--image", image, *RTX_3090_ON_470)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith(f"no such image: the registry {registry.address} has no {image} (manifest unknown)")
    assert "22.12-tf1-py3" in ended.out
    document = resolve("--image", image, *RTX_3090_ON_470, "--format", "json").document
    assert (document["verdict"], document["best"], document["inspected"]) == ("no_such_image", None, None)


def test_passwords_right_wrong_and_missing(images: BuiltImages, htpasswd: Path, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    images.copy_storage(storage)
    with LocalRegistry(storage, htpasswd=htpasswd) as guarded:
        image = guarded.reference("nvidia/tensorflow", "22.12-tf1-py3")
        ended = resolve("--image", image, *RTX_3090_ON_470)
        assert_one_line(ended, 1, f"the registry {guarded.address} wants a password for {image}")
        assert f"docker login {guarded.address}" in ended.err

        def logged_in(name: str, account: tuple[str, str]) -> dict[str, str]:
            folder = tmp_path / name
            folder.mkdir()
            auth = base64.b64encode(":".join(account).encode()).decode()
            (folder / "config.json").write_text(json.dumps({"auths": {guarded.address: {"auth": auth}}}))
            return {"DOCKER_CONFIG": str(folder)}

        right = logged_in("right", ACCOUNT)
        assert resolve("--image", image, *RTX_3090_ON_470, env=right).code == 0
        wrong = logged_in("wrong", (ACCOUNT[0], "an old key"))
        assert_one_line(resolve("--image", image, *RTX_3090_ON_470, env=wrong), 1, f"refuses {image}")


# --- images that the matrix has never heard of ---

CUDA_12_1 = (
    "cuda>=12.1 brand=tesla,driver>=450,driver<451 brand=tesla,driver>=470,driver<471"
    " brand=geforce,driver>=470,driver<471"
)


def test_a_requirement_that_is_not_met_is_shown_arm_by_arm_and_skipped_on_advice() -> None:
    made = single(configuration(CUDA_VERSION="12.1.1", NVIDIA_REQUIRE_CUDA=CUDA_12_1))
    with serving(made.behaviour) as server:
        host = ("--driver", "525.85.12", "--gpu", "RTX 3090", "--format", "json")
        document = resolve("--image", f"{server.address}/some/cuda:1", *host).document
    # CUDA would run it by minor-version compatibility; NVIDIA's hook refuses it.
    assert document["verdict"] == "runs_unsupported"
    said = reasons(document, "requirement")
    for arm in CUDA_12_1.split(" "):
        assert any(arm in one for one in said), arm
    assert "the brand is geforce" in " ".join(said)
    assert document["advice"][0]["text"].endswith("start it with -e NVIDIA_DISABLE_REQUIRE=true")


def test_what_the_image_turns_off_is_not_asked() -> None:
    words = {"CUDA_VERSION": "12.1.1", "NVIDIA_REQUIRE_CUDA": CUDA_12_1, "NVIDIA_DISABLE_REQUIRE": "true"}
    with serving(single(configuration(**words)).behaviour) as server:
        host = ("--driver", "525.85.12", "--gpu", "RTX 3090", "--format", "json")
        document = resolve("--image", f"{server.address}/some/cuda:1", *host).document
    assert document["verdict"] == "runs_with_minor_version_compat"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"PATH": "/bin"}, "its environment names no CUDA_VERSION"),
        ({"CUDA_VERSION": "eleven"}, "its CUDA_VERSION, 'eleven', is no CUDA version"),
        ({"CUDA_DRIVER_VERSION": "520.61.05"}, "its environment names no CUDA_VERSION"),
    ],
)
def test_an_image_that_does_not_say_its_cuda_is_unknown(words: dict[str, str], message: str) -> None:
    with serving(single(configuration(**words)).behaviour) as server:
        ended = resolve("--image", f"{server.address}/a/b:1", *A100_ON_535, "--format", "json")
        without_gpu = resolve("--image", f"{server.address}/a/b:1", *A100_ON_535, "--gpus", "none", "--format", "json")
    assert (ended.code, ended.document["verdict"], ended.document["best"]) == (1, "unknown", None)
    assert any(message in one for one in reasons(ended.document, "image"))
    assert (without_gpu.code, without_gpu.document["verdict"]) == (0, "runs")


@pytest.mark.parametrize("size", [10**400, 1 << 63, -1, 1.5, True, "7", None])
def test_a_size_that_is_none_is_no_size_and_no_crash(size: object) -> None:
    configured = configuration(CUDA_VERSION="12.3.2", CREATED="x")
    whole = json.loads(servers.manifest(configured))
    whole["layers"] = [{"size": size, "digest": servers.digest(b"")}]
    body = json.dumps(whole).encode()
    made = servers.Made(
        {
            "manifests/1": Answer(headers={"Content-Type": servers.MANIFEST}, body=body),
            f"blobs/{servers.digest(configured)}": Answer(body=configured),
        }
    )
    with serving(made.behaviour) as server:
        text, machine = (
            resolve("--image", f"{server.address}/some/image:1", *A100_ON_535, "--format", format_)
            for format_ in ("text", "json")
        )
    assert (text.code, text.err) == (0, "")
    assert "  image: 1 layer, linux/amd64" in text.out
    assert machine.document["inspected"]["packed_bytes"] is None


def test_what_an_image_says_of_itself_cannot_drive_a_terminal() -> None:
    hostile = "\x1b[2J\x9b31m\u202e"
    words = {"CUDA_VERSION": f"12{hostile}", "NVIDIA_REQUIRE_CUDA": f"cuda>=9{hostile}", "TENSORFLOW_VERSION": hostile}
    configured = json.dumps({**json.loads(configuration(hostile, **words)), "created": hostile}).encode()
    with serving(single(configured).behaviour) as server:
        for format_ in ("text", "json"):
            ended = resolve("--image", f"{server.address}/some/image:1", *A100_ON_535, "--format", format_)
            assert (ended.code, ended.err) == (1, "")
            assert all(line.isprintable() for line in ended.out.split("\n"))


def test_an_image_that_is_none_of_nvidias_months_is_called_the_image_and_not_by_its_tag() -> None:
    with serving(single(configuration(CUDA_VERSION="14.2.0"), tag="latest").behaviour) as server:
        said = resolve("--image", f"{server.address}/some/image:latest", *A100_ON_535).out
    assert "which driver the image was built for is not known" in said
    assert " latest " not in said


def test_the_platform_is_that_of_the_host() -> None:
    made = several(
        {
            "linux/amd64": configuration(CUDA_VERSION="12.4.1"),
            "linux/arm64": configuration("arm64", CUDA_VERSION="12.5.0"),
        }
    )
    with serving(made.behaviour) as server:
        image = f"{server.address}/a/b:1"
        here = resolve("--image", image, *A100_ON_535, "--arch", "amd64", "--format", "json").document
        there = resolve("--image", image, *A100_ON_535, "--arch", "arm64", "--format", "json").document
    assert (here["best"]["cuda"], there["best"]["cuda"]) == ("12.4.1", "12.5.0")
    assert here["inspected"]["platforms"] == ["linux/amd64", "linux/arm64"]
    only = several({"linux/arm64": configuration("arm64", CUDA_VERSION="12.5.0")})
    with serving(only.behaviour) as server:
        ended = resolve("--image", f"{server.address}/a/b:1", *A100_ON_535, "--arch", "amd64", "--format", "json")
    assert (ended.code, ended.document["verdict"]) == (1, "will_not_run")
    assert reasons(ended.document, "platform") == ["it holds no image for x86_64, only for linux/arm64"]


# --- what fails ---


@contextlib.contextmanager
def _nobody() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{free.getsockname()[1]}"


@contextlib.contextmanager
def _answering(answer: Answer) -> Iterator[str]:
    with serving(lambda _: answer) as server:
        yield server.address


@contextlib.contextmanager
def _self_signed(folder: Path) -> Iterator[str]:
    with serving(lambda _: Answer(), tls=servers.certificate(folder)[1]) as server:
        yield server.address


def _dripping() -> contextlib.AbstractContextManager[str]:
    def speak(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        while True:
            connection.sendall(b"H")
            time.sleep(0.05)

    return talking(speak)


FAILURES: dict[str, tuple[Callable[[Path], contextlib.AbstractContextManager[str]], int, str]] = {
    "dead": (lambda _: _nobody(), 3, "cannot be reached: Connection refused"),
    "tls": (_self_signed, 3, "cannot be asked securely: self-signed certificate"),
    "drip": (lambda _: _dripping(), 3, "did not answer within 2 s"),
    "redirect": (lambda _: _answering(Answer(302, {"Location": "/v2/"})), 3, "redirects in circles"),
    "5 GB": (lambda _: _answering(Answer(200, {"Content-Length": "5368709120"})), 3, "a manifest of 5368709120 bytes"),
    "garbage": (lambda _: _answering(Answer(200, body=b"\x00\xff{")), 3, "the manifest is no JSON"),
    "429": (lambda _: _answering(Answer(429)), 3, "asked too often (HTTP status 429)"),
    "forbidden": (lambda _: _answering(Answer(403)), 1, "refuses"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_is_one_line_with_its_exit_code_in_time(name: str, tmp_path: Path) -> None:
    serve, code, message = FAILURES[name]
    with serve(tmp_path) as address:
        ended = resolve("--image", f"{address}/some/image:1", *A100_ON_535, "--timeout", "2")
    assert_one_line(ended, code, message)
    assert ended.seconds < 6  # two of them for the registry, the rest for Python on a busy machine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image", "-rf"), "no name of an image"),
        (("--image", "nvcr.io/nvidia/TensorFlow"), "capital letters are not allowed"),
        (("--image", "a\x1b[31mb"), "no name of an image"),
        (("--image", ""), "is empty"),
        (("--image", "a", "--tf", "2"), "--tf and --image name two images"),
        (("--image", "a", "--tag", "b"), "--tag and --image name two images"),
        (("--image", "a", "--tag", "b", "--tf", "2"), "name three images"),
        (("--image", "a", "--python", "3.8"), "--python narrows a choice"),
    ],
)
def test_a_request_that_cannot_be_meant_is_exit_2(arguments: tuple[str, ...], message: str) -> None:
    assert_one_line(resolve(*arguments, *A100_ON_535), 2, message)


# --- the engine ---


@pytest.fixture(scope="module")
def with_compat(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image on the engine whose compat libcuda carries a list, below a link as NVIDIA's have it."""
    made = library(tmp_path_factory.mktemp("compat"), note(json.dumps(CUDA_12_9).encode()))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        link = tarfile.TarInfo("usr/local/cuda")
        link.type, link.linkname = tarfile.SYMTYPE, "/usr/local/cuda-12.9"
        archive.addfile(link)
        archive.add(made, "usr/local/cuda-12.9/compat/lib.real/libcuda.so.575.57.08")
        alias = tarfile.TarInfo("usr/local/cuda-12.9/compat/lib.real/libcuda.so.1")
        alias.type, alias.linkname = tarfile.SYMTYPE, "libcuda.so.575.57.08"
        archive.addfile(alias)
        large = tarfile.TarInfo("usr/local/cuda-12.9/compat/lib.real/libnvidia-ptxjitcompiler.so.575.57.08")
        large.size = 3 << 20
        archive.addfile(large, io.BytesIO(bytes(large.size)))
    name = "gpudoctor.test/compat:12.9"
    words = ["ENV CUDA_VERSION=12.9.1", "ENV NVIDIA_REQUIRE_CUDA=cuda>=9.0", "LABEL from=tests"]
    with contextlib.closing(docker.DockerClient(base_url=engine.docker_host)) as client:
        client.api.import_image_from_data(
            content.getvalue(), repository="gpudoctor.test/compat", tag="12.9", changes=words
        )
        yield name
        client.images.remove(name, force=True)


def world(engine: Engine, seconds: float = 20.0) -> World:
    environ = {"DOCKER_HOST": engine.docker_host}
    return World(root=Path("/"), environ=environ, deadline=time.monotonic() + seconds)


def test_a_present_image_says_the_same_as_its_registry(
    engine: Engine, tiny_image: str, registry: LocalRegistry
) -> None:
    from gpudoctor.registry import describe

    reference = parse(tiny_image)
    local = engine_images.inspect(reference, world(engine))
    remote = describe(reference, "x86_64", 5.0)
    assert not isinstance(local, Unread)
    assert (local.environment, local.labels, local.platforms) == (remote.environment, remote.labels, remote.platforms)
    assert (local.digest, local.layers, local.tag) == (remote.digest, remote.layers, remote.tag)
    assert local.created.startswith(remote.created[:10])


def test_an_absent_image_and_an_absent_engine_are_readings(engine: Engine) -> None:
    missing = engine_images.inspect(parse("gpudoctor.test/nothing:1"), world(engine))
    assert isinstance(missing, Unread)
    assert missing.why is Why.ABSENT
    environ = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    nowhere = World(root=Path("/"), environ=environ, deadline=time.monotonic() + 5)
    assert isinstance(engine_images.inspect(parse("ubuntu"), nowhere), Unread)
    assert isinstance(engine_images.compat_libraries(parse("ubuntu"), None, nowhere), Unread)


def test_the_list_of_the_compat_libraries_is_read_and_no_container_left(engine: Engine, with_compat: str) -> None:
    before = containers(engine.docker_host)
    found = engine_images.compat_libraries(parse(with_compat), CudaVersion("12.9.1"), world(engine))
    assert isinstance(found, CompatLibraries)
    assert found.names == ("libcuda.so.575.57.08",)
    assert isinstance(found.note, CompatNote)
    assert found.note.branches == (535, 550, 560, 565, 570, 575)
    assert containers(engine.docker_host) == before


def test_without_time_nothing_is_made(engine: Engine, with_compat: str) -> None:
    before = containers(engine.docker_host)
    found = engine_images.compat_libraries(parse(with_compat), None, world(engine, 0.0))
    assert isinstance(found, Unread)
    assert found.why is Why.TIMEOUT
    assert containers(engine.docker_host) == before


def test_an_image_without_compat_libraries_says_so(engine: Engine, tiny_image: str) -> None:
    before = containers(engine.docker_host)
    found = engine_images.compat_libraries(parse(tiny_image), CudaVersion("11.1"), world(engine))
    assert isinstance(found, CompatLibraries)
    assert found.names == ()
    assert engine_images.compat_list(found).branches == ()
    assert containers(engine.docker_host) == before


@pytest.mark.parametrize(
    ("driver", "cuda", "verdict", "said"),
    [
        # On the image's own list; the table alone would say the same.
        ("550.54.15", "12.4", "runs_with_forward_compat", "lists the driver branches 535, 550, 560, 565, 570, 575"),
        # Not on the list, so it is minor-version compatibility that runs it.
        ("545.23.08", "12.3", "runs_with_minor_version_compat", "lists the driver branches"),
        # As new as the image: nobody asks for compat libraries.
        ("575.57.08", "12.9", "runs", ""),
    ],
)
def test_a_present_image_is_judged_by_its_own_list_without_any_registry(
    engine: Engine, with_compat: str, tmp_path: Path, driver: str, cuda: str, verdict: str, said: str
) -> None:
    """On a machine with an A100, as the real probe reads it from NVML."""
    text = standin.describe(1).replace("535.129.03", driver).replace("= 12.2", f"= {cuda}")
    data = tmp_path / "nvml.txt"
    data.write_text(text)
    env = {**environment(engine.docker_host, HOME=str(tmp_path)), **standin.environment(data)}
    before = containers(engine.docker_host)
    ended = resolve("--image", with_compat, "--format", "json", env=env)
    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    assert document["verdict"] == verdict
    assert document["inspected"]["source"] == f"the engine at {engine.docker_host}"
    details = " | ".join(reasons(document, "forward_compat"))
    assert said in details
    assert bool(said) == ("libcuda.so.575.57.08" in details)
    assert containers(engine.docker_host) == before


def test_a_what_if_never_asks_the_engine(engine: Engine, with_compat: str) -> None:
    ended = resolve("--image", with_compat, *A100_ON_535, "--timeout", "5", env=environment(engine.docker_host))
    # gpudoctor.test does not resolve: the registry was asked, though the engine has the image.
    assert_one_line(ended, 3, "the registry gpudoctor.test cannot be reached")
