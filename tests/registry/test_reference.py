"""Names of images: as docker completes them, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpudoctor.errors import InputError
from gpudoctor.reference import parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "in_full"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest"),
        ("ubuntu:22.04", "docker.io/library/ubuntu:22.04"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu:latest"),
        ("index.docker.io/ubuntu", "docker.io/library/ubuntu:latest"),
        ("tensorflow/tensorflow:2.17.0-gpu", "docker.io/tensorflow/tensorflow:2.17.0-gpu"),
        ("nvcr.io/nvidia/tensorflow:22.12-tf1-py3", "nvcr.io/nvidia/tensorflow:22.12-tf1-py3"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ("Registry/x", "Registry/x:latest"),
        (f"nvcr.io/nvidia/tensorflow@{DIGEST}", f"nvcr.io/nvidia/tensorflow@{DIGEST}"),
        (f"ubuntu:22.04@{DIGEST}", f"docker.io/library/ubuntu:22.04@{DIGEST}"),
        ("a.b/c__d/e-----f.g_h:_.x", "a.b/c__d/e-----f.g_h:_.x"),
        ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128),
    ],
)
def test_completes_as_docker_does(text: str, in_full: str) -> None:
    assert str(parse(text)) == in_full
    assert parse(in_full) == parse(text)


def test_a_digest_decides_over_a_tag() -> None:
    assert parse(f"ubuntu:22.04@{DIGEST}").version == DIGEST
    assert parse("ubuntu:22.04").version == "22.04"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("x" * 2000, "longer than any name"),
        ("-rm", "no name of an image"),
        ("--privileged", "no name of an image"),
        ("nvcr.io/-nvidia/x", "no name of an image"),
        ("nvidia/TensorFlow", "capital letters"),
        ("Ubuntu", "capital letters"),
        ("ubuntu:", "no tag after the colon"),
        ("ubuntu:-x", "no tag after the colon"),
        ("ubuntu:a:b", "no tag after the colon"),
        ("ubuntu:" + "t" * 129, "no tag after the colon"),
        ("ubuntu\n", "no name of an image"),
        ("ubuntu:22.04\n", "no tag after the colon"),
        ("ubuntu\x1b[2J", "no name of an image"),
        ("ub untu", "no name of an image"),
        ("/x", "no name of an image"),
        ("x/", "no name of an image"),
        ("a//b", "no name of an image"),
        ("a/../b", "no name of an image"),
        ("nvcr.io/", "no name of an image"),
        ("nvcr.io/a?b=c", "no name of an image"),
        ("nvcr.io/a#b", "no name of an image"),
        ("nvcr.io/a%2fb", "no name of an image"),
        ("user@nvcr.io/a", "no digest after the @"),
        ("https://nvcr.io/nvidia/tensorflow", "no registry in front"),
        ("host:99999/x", "no registry in front"),
        ("host:0/x", "no registry in front"),
        ("host:/x", "no registry in front"),
        ("-host.io/x", "no registry in front"),
        ("h\u00f6st.io/x", "no registry in front"),
        ("\u00fcbung", "no name of an image"),
        ("x@sha256:abc", "no digest after the @"),
        ("x@" + DIGEST.upper(), "no digest after the @"),
        ("x@md5:" + "0" * 32, "no digest after the @"),
        ("0123456789abcdef" * 4, "an image's id"),
        ("a/" + "b" * 256, "no name of an image"),
    ],
)
def test_refuses_what_is_no_name(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.exit_code == 2


_PART = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)


@settings(max_examples=50)
@given(
    registry=st.sampled_from(["", "nvcr.io/", "localhost:5000/", "[::1]:1/", "A-1.b:65535/"]),
    path=st.lists(_PART, min_size=1, max_size=4),
    tag=st.one_of(st.just(""), st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)),
    digest=st.sampled_from(["", f"@{DIGEST}"]),
)
def test_every_good_name_survives_the_round_trip(registry: str, path: list[str], tag: str, digest: str) -> None:
    # Without a registry in front, a first part with a dot is one: docker reads it so, too.
    assume(registry or len(path) == 1 or "." not in path[0])
    reference = parse(registry + "/".join(path) + tag + digest)
    assert parse(str(reference)) == reference
    # A first part with a dot in it is a registry, as it is to docker.
    assert reference.name.endswith("/".join(path))
    if tag:
        assert reference.tag == tag[1:]


@given(st.one_of(st.text(max_size=60), st.text(alphabet="aB1.-_:/@[]%\n s", max_size=40)))
def test_any_text_is_a_name_or_a_fault_of_one_kind(text: str) -> None:
    try:
        reference = parse(text)
    except InputError:
        return
    assert parse(str(reference)) == reference
    assert str(reference).isascii()
    assert str(reference).isprintable()
    assert not any(part.startswith("-") for part in str(reference).split("/"))
