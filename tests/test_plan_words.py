"""Mounts, ports, variables and sizes as people type them."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor import plan_words
from gpudoctor.errors import InputError
from gpudoctor.plan import LaunchPlan, Mount, Port

PATHS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(lambda text: f"/x{text}")


def here(path: str) -> str:
    return path if path.startswith("/") else f"/here/{path}"


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", Mount(source="/data", target="/data")),
        ("/data:ro", Mount(source="/data", target="/data", read_only=True)),
        ("/a:/b", Mount(source="/a", target="/b")),
        ("/a:/b:ro", Mount(source="/a", target="/b", read_only=True)),
        ("/a:/b:rw", Mount(source="/a", target="/b")),
        ("data:/b", Mount(source="/here/data", target="/b")),
        ("data", Mount(source="/here/data", target="/here/data")),
        ("type=bind,source=/a:b,target=/c", Mount(source="/a:b", target="/c")),
        ("src=/a,dst=/c,readonly", Mount(source="/a", target="/c", read_only=True)),
        ("source=/a,destination=/c,ro=false", Mount(source="/a", target="/c")),
        ('type=bind,"source=/a,b",target=/c', Mount(source="/a,b", target="/c")),
        ("/a=b:/c", Mount(source="/a=b", target="/c")),
    ],
)
def test_a_mount_is_read_in_both_forms(text: str, mount: Mount) -> None:
    assert plan_words.mount(text, here) == mount


@given(source=PATHS, target=PATHS, read_only=st.booleans())
def test_the_long_form_holds_any_path(source: str, target: str, read_only: bool) -> None:
    line = io.StringIO()
    fields = ["type=bind", f"source={source}", f"target={target}", *(["readonly"] if read_only else [])]
    csv.writer(line, lineterminator="").writerow(fields)
    assert plan_words.mount(line.getvalue(), here) == Mount(source=source, target=target, read_only=read_only)


MOUNTS = [
    ("", "expected SOURCE:TARGET"),
    (":/a", "expected SOURCE:TARGET"),
    ("/a:", "expected SOURCE:TARGET"),
    ("/a:/b:/c", "expected SOURCE:TARGET"),
    ("/a:/b:x", "expected SOURCE:TARGET"),
    ("/a:b", "must begin with /"),
    ("/a:/", "over the whole container"),
    ("/a:///", "over the whole container"),
    ("/a\n:/b", "control character"),
    ("type=volume,source=a,target=/b", "type: expected bind"),
    ("type=bind,source=/a", "expected source= and target="),
    ("source=/a,target=/b,mode=1", "'mode' is no part"),
    ("source=/a,src=/b,target=/b", "'source' stands twice"),
    ("source=/a,target=/b,readonly=perhaps", "readonly: expected"),
    ('"source=/a,target=/b', "quotes that do not match"),
]


@pytest.mark.parametrize(("text", "said"), MOUNTS)
def test_what_is_no_mount_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan_words.mount(text, here)


@given(text=st.text(max_size=40))
def test_no_text_crashes_the_readers(text: str) -> None:
    readers: list[Callable[[str], object]] = [
        lambda one: plan_words.mount(one, here),
        plan_words.port,
        plan_words.variable,
        plan_words.label,
        plan_words.user,
        lambda one: plan_words.size(one, "--shm-size"),
        lambda one: plan_words.name(one, "--name"),
        lambda one: plan_words.folder(one, "--workdir"),
    ]
    for read in readers:
        with contextlib.suppress(InputError):
            read(text)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("8888", Port(container=8888, host=8888)),
        ("80:8080", Port(container=8080, host=80)),
        ("127.0.0.1:80:8080", Port(container=8080, host=80, address="127.0.0.1")),
        ("[::1]:80:8080", Port(container=8080, host=80, address="[::1]")),
        ("53:53/udp", Port(container=53, host=53, protocol="udp")),
    ],
)
def test_a_port_is_read_as_docker_has_it(text: str, port: Port) -> None:
    assert plan_words.port(text) == port


@pytest.mark.parametrize("text", ["", "0", "65536", "80:", ":80", "a", "80/icmp", "80-90", "127.0.0.1:80"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--port"):
        plan_words.port(text)


def test_a_variable_has_a_value_or_is_passed_on_by_name() -> None:
    assert plan_words.variable("A=") == ("A", "")
    assert plan_words.variable("A=b=c") == ("A", "b=c")
    assert plan_words.variable("TOKEN") == ("TOKEN", None)


def test_a_refused_variable_does_not_show_its_value() -> None:
    with pytest.raises(InputError) as caught:
        plan_words.variable("MY-TOKEN=hunter2")
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("1g", 1 << 30), ("512M", 512 << 20), (str(1 << 30), 1 << 30), ("2048k", 2 << 20)]
)
def test_a_size_is_read_as_docker_has_it(text: str, size_bytes: int) -> None:
    assert plan_words.size(text, "--shm-size") == size_bytes


@pytest.mark.parametrize("text", ["", "g", "1.5g", "-1g", "1gb", "1", "0", "999999999999t"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--shm-size"):
        plan_words.size(text, "--shm-size")


def test_two_mounts_at_one_place_are_refused() -> None:
    twice = (Mount(source="/a", target="/x"), Mount(source="/b", target="/x/"))
    with pytest.raises(InputError, match="two of them at '/x'"):
        plan_words.check_targets(LaunchPlan(image="i", command=(), gpus=None, mounts=twice))
    over_cache = (Mount(source="/a", target="/var/cache/cuda"),)
    plan_words.check_targets(LaunchPlan(image="i", command=(), gpus=None, mounts=over_cache))
    with pytest.raises(InputError, match="two of them"):
        plan_words.check_targets(LaunchPlan(image="i", command=(), gpus=None, mounts=over_cache, cache="name"))
