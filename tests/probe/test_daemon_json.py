"""The engine's configuration file, wherever the kind of engine keeps it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.facts import DaemonConfiguration
from gpudoctor.probe import containers, daemon_json
from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why
from tests.fakes import unread as unread_reading
from tests.real.engine import PrivateEngine
from tests.users import as_nobody

ROOTLESS = ("name=seccomp,profile=builtin", "name=rootless", "name=cgroupns")
SOCKET = "unix:///var/run/docker.sock"
TEXT = json.dumps(
    {
        "runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}, "crun": {"path": "crun"}},
        "default-runtime": "nvidia",
        "features": {"cdi": True},
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "log-driver": "json-file",
    }
)


def read(
    root: Path,
    environ: dict[str, str] | None = None,
    *,
    host: str = SOCKET,
    security_options: Reading[tuple[str, ...]] = (),
    data_root: Reading[str] = "/var/lib/docker",
) -> Reading[DaemonConfiguration]:
    """The configuration of an engine that says this of itself."""
    world = World(root=root, environ=environ or {}, deadline=time.monotonic() + 20)
    return daemon_json.probe(world, host=host, security_options=security_options, data_root=data_root)


def place(reading: Reading[DaemonConfiguration]) -> str:
    """Where it was read."""
    assert isinstance(reading, DaemonConfiguration), reading
    return reading.path


def unread(reading: object) -> Unread:
    """The reading, which has no value."""
    assert isinstance(reading, Unread), reading
    return reading


def write(root: Path, path: str, text: str = TEXT) -> Path:
    """A file below the root."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    return root / path


def test_the_file_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path, "etc/docker/daemon.json")
    assert read(tmp_path) == DaemonConfiguration(
        path="/etc/docker/daemon.json",
        runtimes=("crun", "nvidia"),
        default_runtime="nvidia",
        cdi=True,
        exec_options=("native.cgroupdriver=cgroupfs",),
    )


@pytest.mark.parametrize("text", [None, "", " \n", "{}", '{"features": {}}', '{"features": null, "runtimes": null}'])
def test_no_file_and_one_that_says_nothing_are_the_same(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        write(tmp_path, "etc/docker/daemon.json", text)
    assert read(tmp_path) == DaemonConfiguration(
        path="/etc/docker/daemon.json", runtimes=(), default_runtime="", cdi=None, exec_options=()
    )


def test_cdi_that_is_switched_off_is_not_cdi_that_is_not_mentioned(tmp_path: Path) -> None:
    write(tmp_path, "etc/docker/daemon.json", '{"features": {"cdi": false}}')
    found = read(tmp_path)
    assert isinstance(found, DaemonConfiguration)
    assert found.cdi is False


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, "etc/docker/daemon.json", "\ufeff" + TEXT)
    assert isinstance(read(tmp_path), DaemonConfiguration)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('{\n  "runtimes": {\n    "nvidia": {}\n  },\n}\n', "line 5: no JSON: "),
        ('{"runtimes": ["nvidia"]}', "runtimes: expected a mapping, found a list"),
        ('{"default-runtime": 7}', "default-runtime: expected text, found a number"),
        ('{"features": {"cdi": "yes"}}', "features.cdi: expected true or false, found text"),
        ('{"features": true}', "features: expected a mapping, found true or false"),
        ('{"exec-opts": "native.cgroupdriver=cgroupfs"}', "exec-opts: expected a list, found text"),
        ('{"exec-opts": [1]}', "exec-opts[0]: expected text, found a number"),
    ],
)
def test_a_fault_names_its_line_or_field(tmp_path: Path, text: str, detail: str) -> None:
    write(tmp_path, "etc/docker/daemon.json", text)
    found = unread(read(tmp_path))
    assert (found.why, found.source) == (Why.GARBLED, "/etc/docker/daemon.json")
    assert found.detail.startswith(detail)


def test_a_file_that_this_user_may_not_read_is_forbidden(public_folder: Path) -> None:
    write(public_folder, "etc/docker/daemon.json").chmod(0)
    with as_nobody():
        assert unread(read(public_folder)).why is Why.FORBIDDEN


# --- Where it stands ---


def test_a_rootless_engines_file_is_in_the_home_that_its_data_stands_in(tmp_path: Path) -> None:
    write(tmp_path, "home/alice/.config/docker/daemon.json")
    write(tmp_path, "etc/docker/daemon.json", "{")
    found = read(tmp_path, {"HOME": "/root"}, security_options=ROOTLESS, data_root="/home/alice/.local/share/docker")
    assert isinstance(found, DaemonConfiguration)
    assert (found.path, found.cdi) == ("/home/alice/.config/docker/daemon.json", True)


def test_a_rootless_engine_with_data_elsewhere_is_our_own_users(tmp_path: Path) -> None:
    own = tmp_path / "own"
    write(own, ".config/docker/daemon.json")
    write(own, "xdg/docker/daemon.json")
    home = {"HOME": str(own)}
    assert place(read(tmp_path, home, security_options=ROOTLESS)) == f"{own}/.config/docker/daemon.json"
    named = home | {"XDG_CONFIG_HOME": f"{own}/xdg"}
    assert place(read(tmp_path, named, security_options=ROOTLESS)) == f"{own}/xdg/docker/daemon.json"


def test_our_own_rootless_engine_heeds_our_folder_for_configuration(tmp_path: Path) -> None:
    write(tmp_path, "xdg/docker/daemon.json")
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": f"{tmp_path}/xdg"}
    data_root = f"{tmp_path}/.local/share/docker"
    found = read(Path("/"), environ, security_options=ROOTLESS, data_root=data_root)
    assert place(found) == f"{tmp_path}/xdg/docker/daemon.json"


def test_a_silent_engine_is_rootless_where_its_socket_is_a_users(tmp_path: Path) -> None:
    silent = unread_reading()
    environ = {"HOME": "/home/alice"}
    sockets = {
        "unix:///run/user/1000/docker.sock": "/home/alice/.config/docker/daemon.json",
        SOCKET: "/etc/docker/daemon.json",
    }
    for host, expected in sockets.items():
        found = read(tmp_path, environ, host=host, security_options=silent, data_root=silent)
        assert place(found) == expected


def test_a_snaps_file_is_in_the_snap(tmp_path: Path) -> None:
    write(tmp_path, "var/snap/docker/2915/config/daemon.json")
    (tmp_path / "var/snap/docker/current").symlink_to("2915")
    snap = "/var/snap/docker/current/config/daemon.json"
    assert place(read(tmp_path, data_root="/var/snap/docker/common/var-lib-docker")) == snap
    assert place(read(tmp_path, data_root=unread_reading())) == snap
    assert place(read(tmp_path)) == "/etc/docker/daemon.json"
    write(tmp_path, "etc/docker/daemon.json")
    assert place(read(tmp_path, data_root=unread_reading())) == "/etc/docker/daemon.json"


@given(
    text=st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["runtimes", "default-runtime", "features", "exec-opts", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=4),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["cdi", "nvidia"]), inner),
            max_leaves=5,
        ),
    ).map(lambda document: json.dumps(document).encode())
)
def test_any_file_is_read_or_refused(text: bytes) -> None:
    found = daemon_json.parse(text, "daemon.json")
    assert isinstance(found, DaemonConfiguration) or found.detail.isprintable()


# --- A real engine ---


def test_a_real_engine_does_what_its_file_says() -> None:
    configuration = {
        "runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime", "runtimeArgs": []}},
        "default-runtime": "nvidia",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    }
    with PrivateEngine(configuration=configuration) as engine:
        said = daemon_json.parse((engine.run_folder / "daemon.json").read_bytes(), "daemon.json")
        world = World(root=Path("/"), environ={"DOCKER_HOST": engine.docker_host}, deadline=time.monotonic() + 20)
        found = containers.probe(world)
    assert isinstance(said, DaemonConfiguration)
    assert not isinstance(found.runtimes, Unread)
    assert set(said.runtimes) <= set(found.runtimes)
    assert said.default_runtime == found.default_runtime == "nvidia"
    assert f"native.cgroupdriver={found.cgroup_driver}" in said.exec_options
    assert found.running_containers == 0
