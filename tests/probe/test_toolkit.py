"""The toolkit's config.toml, and the package sources that name its repository."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.facts import ToolkitConfiguration
from gpudoctor.probe import toolkit
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why
from tests.users import as_nobody

# As the package installs it on Ubuntu, shortened: what is commented out says nothing.
INSTALLED = """\
disable-require = false
#swarm-resource = "DOCKER_RESOURCE_GPU"

[nvidia-container-cli]
environment = []
#ldcache = "/etc/ld.so.cache"
ldconfig = "@/sbin/ldconfig.real"
load-kmods = true
#no-cgroups = true
#root = "/run/nvidia/driver"

[nvidia-container-runtime]
mode = "auto"
runtimes = ["docker-runc", "runc"]

[nvidia-container-runtime.modes.cdi]
spec-dirs = ["/etc/cdi", "/var/run/cdi"]
"""


def world(root: Path) -> World:
    """A machine below the folder."""
    return World(root=root, environ={}, deadline=time.monotonic() + 20)


def unread(reading: object) -> Unread:
    """The reading, which has no value."""
    assert isinstance(reading, Unread), reading
    return reading


def write(root: Path, path: str, text: str) -> Path:
    """A file below the root."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def configuration(root: Path, text: str) -> ToolkitConfiguration:
    """What a config.toml of this text says."""
    write(root, "etc/nvidia-container-runtime/config.toml", text)
    found = toolkit.configuration(world(root))
    assert isinstance(found, ToolkitConfiguration), found
    return found


def test_the_installed_configuration_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path, "sbin/ldconfig.real", "")
    assert configuration(tmp_path, INSTALLED) == ToolkitConfiguration(
        path="/etc/nvidia-container-runtime/config.toml",
        mode="auto",
        no_cgroups=False,
        ldconfig="/sbin/ldconfig.real",
        ldconfig_exists=True,
        root="",
    )


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    found = configuration(tmp_path, "")
    assert (found.mode, found.no_cgroups, found.ldconfig, found.ldconfig_exists, found.root) == (
        "",
        False,
        "",
        None,
        "",
    )


def test_what_a_rootless_set_up_and_a_driver_container_change_is_seen(tmp_path: Path) -> None:
    text = INSTALLED.replace("#no-cgroups", "no-cgroups").replace("#root", "root").replace('"auto"', '"cdi"')
    found = configuration(tmp_path, text)
    assert (found.mode, found.no_cgroups, found.root) == ("cdi", True, "/run/nvidia/driver")


@pytest.mark.parametrize(
    ("value", "path", "exists"),
    [
        ("@/sbin/ldconfig.real", "/sbin/ldconfig.real", False),
        ("@/sbin/ldconfig", "/sbin/ldconfig", True),
        ("/sbin/ldconfig.real", "/sbin/ldconfig.real", None),
        ("@ldconfig", "ldconfig", None),
        ("", "", None),
    ],
)
def test_only_the_hosts_own_ldconfig_is_looked_for(tmp_path: Path, value: str, path: str, exists: bool | None) -> None:
    write(tmp_path, "usr/sbin/ldconfig", "")
    (tmp_path / "sbin").symlink_to("/usr/sbin")
    found = configuration(tmp_path, f'[nvidia-container-cli]\nldconfig = "{value}"\n')
    assert (found.ldconfig, found.ldconfig_exists) == (path, exists)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('[nvidia-container-cli]\nno-cgroups = "true"\n', "nvidia-container-cli.no-cgroups: expected true or false"),
        (
            "[nvidia-container-cli]\nldconfig = true\n",
            "nvidia-container-cli.ldconfig: expected text, found true or false",
        ),
        ("[nvidia-container-runtime]\nmode = 1\n", "nvidia-container-runtime.mode: expected text, found a number"),
        ("nvidia-container-cli = 1\n", "nvidia-container-cli: expected a mapping, found a number"),
        ("[[nvidia-container-runtime]]\n", "nvidia-container-runtime: expected a mapping, found a list"),
        ("[nvidia-container-cli]\nmode = 2026-11-01\nroot = 2026-11-01\n", "nvidia-container-cli.root: expected text"),
        ("[nvidia-container-cli\n", "no TOML: "),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, detail: str) -> None:
    write(tmp_path, "etc/nvidia-container-runtime/config.toml", text)
    found = unread(toolkit.configuration(world(tmp_path)))
    assert (found.why, found.source) == (Why.GARBLED, toolkit.CONFIGURATION)
    assert found.detail.startswith(detail)


def test_no_file_is_absent_and_a_closed_one_forbidden(public_folder: Path) -> None:
    assert unread(toolkit.configuration(world(public_folder))).why is Why.ABSENT
    write(public_folder, "etc/nvidia-container-runtime/config.toml", INSTALLED).chmod(0)
    with as_nobody():
        assert unread(toolkit.configuration(world(public_folder))).why is Why.FORBIDDEN


@given(
    text=st.binary(max_size=200)
    | st.lists(st.sampled_from([*INSTALLED.splitlines(), "[", "=", '"', "a.b.c = {}", "\x00", "'''"]), max_size=12).map(
        lambda lines: "\n".join(lines).encode()
    )
)
def test_any_configuration_is_read_or_refused(text: bytes) -> None:
    found = toolkit.parse(text, "config.toml", world(Path("/nowhere")))
    assert isinstance(found, ToolkitConfiguration) or found.detail.isprintable()


# --- Package sources ---

LINE = "deb [signed-by=/usr/share/keyrings/x.gpg] https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n"
STANZA = "Types: deb\nURIs: https://nvidia.github.io/libnvidia-container/stable/deb/amd64\nSuites: /\n"


def test_files_that_name_the_repository_are_found(tmp_path: Path) -> None:
    for name, text in (
        ("nvidia-container-toolkit.list", f"# comment\n{LINE}"),
        ("nvidia-docker.list", LINE),
        ("nvidia.sources", STANZA),
        ("off.list", f"# {LINE}"),
        ("off.sources", f"Enabled: no\n{STANZA}\n\nTypes: deb\nURIs: https://mirror.example/debian\n"),
        ("half.sources", f"Types: deb\nURIs: https://mirror.example/debian\nEnabled: no\n\n{STANZA}"),
        ("debian.list", "deb https://mirror.example/debian bookworm main\n"),
        ("nvidia-docker.list.save", LINE),
        ("nvidia docker.list", LINE),
    ):
        write(tmp_path, f"etc/apt/sources.list.d/{name}", text)
    (tmp_path / "etc/apt/sources.list.d/dangling.list").symlink_to("nowhere")
    folder = "/etc/apt/sources.list.d"
    assert toolkit.sources(world(tmp_path)) == (
        f"{folder}/half.sources",
        f"{folder}/nvidia-container-toolkit.list",
        f"{folder}/nvidia-docker.list",
        f"{folder}/nvidia.sources",
    )


def test_a_machine_without_apt_has_no_sources(tmp_path: Path) -> None:
    assert toolkit.sources(world(tmp_path)) == ()


def test_a_source_that_this_user_may_not_read_is_a_reason(public_folder: Path) -> None:
    write(public_folder, "etc/apt/sources.list.d/private.list", "deb https://user:password@host/ x y\n").chmod(0)
    with as_nobody():
        assert unread(toolkit.sources(world(public_folder))).why is Why.FORBIDDEN
