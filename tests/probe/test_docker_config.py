"""Registries with credentials in ~/.docker/config.json, and never the credentials."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.probe import docker_config
from gpudoctor.probe.world import World
from gpudoctor.readings import Unread, Why


def world(**environ: str) -> World:
    """A machine whose user has this environment."""
    return World(root=Path("/nowhere"), environ=environ, deadline=time.monotonic() + 20)


@pytest.mark.parametrize(
    ("document", "registries"),
    [
        ({}, ()),
        ({"auths": {"nvcr.io": {"auth": "c2VjcmV0"}}}, ("nvcr.io",)),
        ({"auths": {"https://index.docker.io/v1/": {"auth": "c2VjcmV0"}}}, ("docker.io",)),
        ({"auths": {"https://user@Harbor.example:5000/v2/": {"auth": "x"}}}, ("harbor.example:5000",)),
        ({"auths": {"nvcr.io": {}}}, ()),
        ({"auths": {"nvcr.io": {}}, "credsStore": "desktop"}, ("*", "nvcr.io")),
        ({"credsStore": "secretservice"}, ("*",)),
        ({"credHelpers": {"gcr.io": "gcloud", "nvcr.io": "pass"}}, ("gcr.io", "nvcr.io")),
        ({"auths": None, "credHelpers": None, "credsStore": ""}, ()),
    ],
)
def test_registries_are_named_by_their_host(
    tmp_path: Path, document: dict[str, object], registries: tuple[str, ...]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert docker_config.registries(world(DOCKER_CONFIG=str(tmp_path))) == registries


def test_the_file_is_the_users_own_below_another_root_too(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"auths": {"nvcr.io": {"auth": "x"}}}')
    assert docker_config.registries(world(HOME=str(tmp_path))) == ("nvcr.io",)


def test_a_user_without_the_file_has_no_credentials(tmp_path: Path) -> None:
    assert docker_config.registries(world(HOME=str(tmp_path))) == ()


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("{", "line 1: no JSON"),
        ('{"auths": []}', "auths: expected a mapping, found a list"),
        ('{"auths": {}, "credsStore": 1}', "credsStore: expected text, found a number"),
        ('{"credHelpers": "pass"}', "credHelpers: expected a mapping, found text"),
    ],
)
def test_a_broken_file_is_a_reason(tmp_path: Path, text: str, detail: str) -> None:
    (tmp_path / "config.json").write_text(text)
    found = docker_config.registries(world(DOCKER_CONFIG=str(tmp_path)))
    assert isinstance(found, Unread)
    assert (found.why, found.source) == (Why.GARBLED, str(tmp_path / "config.json"))
    assert found.detail.startswith(detail)


SECRET = "hunter2hunter2"


@given(
    text=st.binary(max_size=200)
    | st.fixed_dictionaries(
        {
            "auths": st.dictionaries(
                st.sampled_from(["nvcr.io", "https://docker.io/", "x", ""]),
                st.sampled_from(
                    [{"auth": SECRET}, {"username": SECRET, "password": SECRET}, SECRET, {}, [SECRET], None]
                ),
            ),
            "credHelpers": st.dictionaries(st.sampled_from(["gcr.io", ""]), st.just(SECRET)),
            "HttpHeaders": st.just({"X-Token": SECRET}),
            "credsStore": st.sampled_from(["", "pass", None, 1]),
        }
    ).map(lambda document: json.dumps(document).encode())
)
def test_any_file_is_read_or_refused_and_no_credential_is_told(text: bytes) -> None:
    found = docker_config.parse(text, "config.json")
    assert SECRET not in repr(found)
    if isinstance(found, Unread):
        assert found.detail.isprintable()
    else:
        assert "" not in found
