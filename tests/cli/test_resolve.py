"""`gpudoctor resolve`: what it prints, how it ends, and what it says to input that cannot be used."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import gpudoctor as package
from gpudoctor.cli import options
from gpudoctor.errors import InputError
from gpudoctor.render import to_json
from tests import golden
from tests.cli import PROGRAM, assert_one_line, gpudoctor
from tests.properties.strategies import example_facts
from tests.users import as_nobody

RTX_3090 = ("--driver", "455.45.01", "--gpu", "RTX 3090")


def resolved(*arguments: str, code: int = 0) -> dict[str, Any]:
    ended = gpudoctor("resolve", *arguments, "--format", "json")
    assert (ended.code, ended.err) == (code, "")
    document: dict[str, Any] = json.loads(ended.out)
    return document


# --- the answer ---


def test_tensorflow_1_15_on_rtx_3090_with_455_is_20_12_then_20_11_and_20_10() -> None:
    document = resolved("--tf", "1.15", *RTX_3090)
    assert document["verdict"] == "runs"
    assert document["best"]["tag"] == "20.12-tf1-py3"
    assert document["best"]["verdict"] == "runs"
    assert document["best"]["image"] == "nvcr.io/nvidia/tensorflow:20.12-tf1-py3"
    assert document["best"] == document["candidates"][0]
    by_verdict: dict[str, list[str]] = {}
    for candidate in document["candidates"]:
        by_verdict.setdefault(candidate["verdict"], []).append(candidate["tag"])
    assert by_verdict["runs"] == ["20.12-tf1-py3", "20.11-tf1-py3", "20.10-tf1-py3"]
    assert by_verdict["runs_unsupported"] == [f"20.{month}-tf1-py3" for month in ("09", "08", "07", "06")]
    for candidate in document["candidates"]:
        assert candidate["reasons"], candidate["tag"]
        for gpu in candidate["gpus"]:
            assert gpu["reason"], candidate["tag"]
    refused = {one["tag"]: one for one in document["candidates"] if one["verdict"] == "will_not_run"}
    assert "CUBLAS_STATUS_EXECUTION_FAILED" in refused["20.03-tf1-py3"]["gpus"][0]["reason"]
    assert "came with driver 530.30.02; 455.45.01 is older" in refused["23.03-tf1-py3"]["gpus"][0]["reason"]


# CONTRACT: what scripts rely on. Nothing may be missing, and unknown is null.
_TEXT = {"type": "string", "minLength": 1}
_TEXT_OR_NULL = {"anyOf": [_TEXT, {"type": "null"}]}
_VERDICT = {
    "enum": [
        "runs",
        "runs_with_forward_compat",
        "runs_with_minor_version_compat",
        "runs_unsupported",
        "runs_with_ptx_jit",
        "unknown",
        "will_not_run",
        "no_such_image",
    ]
}
_REASON = {
    "type": "object",
    "required": ["rule", "detail", "source"],
    "properties": {"rule": _TEXT, "detail": _TEXT, "source": _TEXT},
}
_CANDIDATE = {
    "type": "object",
    "required": [
        *("tag", "image", "tensorflow", "cuda", "python", "release", "min_driver", "verdict", "gpus", "reasons"),
        "confidence",
    ],
    "properties": {
        "tag": _TEXT,
        "image": _TEXT,
        "tensorflow": _TEXT_OR_NULL,
        "cuda": _TEXT_OR_NULL,
        "python": _TEXT_OR_NULL,
        "release": _TEXT,
        "min_driver": _TEXT_OR_NULL,
        "verdict": _VERDICT,
        "gpus": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["gpu", "verdict", "reason"],
                "properties": {"gpu": _TEXT, "verdict": _VERDICT, "reason": _TEXT},
            },
        },
        "reasons": {"type": "array", "items": _REASON, "minItems": 1},
        "confidence": {"enum": ["high", "medium", "low"]},
    },
}
_RESOLVE = {
    "type": "object",
    "required": ["schema", "version", "request", "host", "verdict", "best", "candidates", "advice"],
    "properties": {
        "schema": {"const": "gpudoctor.resolve/1"},
        "version": {"const": package.__version__},
        "request": {"type": "object"},
        "host": {"type": "object"},
        "verdict": _VERDICT,
        "best": {"anyOf": [_CANDIDATE, {"type": "null"}]},
        "candidates": {"type": "array", "items": _CANDIDATE},
        "advice": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["text", "unlocks"],
                "properties": {"text": _TEXT, "unlocks": {"type": "array", "items": _TEXT, "minItems": 1}},
            },
        },
    },
}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--tf", "1.15", *RTX_3090), 0),
        (("--tf", "2.17", *RTX_3090), 1),
        (("--tf", "2.18", *RTX_3090), 1),
        (("--tag", "24.11-tf2-py3", "--driver", "560.35.05", "--gpu", "RTX 4090"), 0),
        (("--tag", "25.02-tf2-py3-igpu", "--driver", "540.3", "--gpu", "Jetson AGX Orin"), 1),
        (("--driver", "580.65.06", "--gpu", "V100", "--gpu", "8.6"), 0),
        (("--driver", "580.95.05", "--gpu", "GB10", "--arch", "arm64"), 0),
        (("--driver", "452.39", "--gpu", "RTX 2080", "--wsl", "--tf", "1.15"), 0),
        (("--gpus", "none", "--tf", "1.15", *RTX_3090), 0),
    ],
)
def test_json_has_the_shape_of_the_contract(arguments: tuple[str, ...], code: int) -> None:
    document = resolved(*arguments, code=code)
    jsonschema.validate(document, _RESOLVE)
    assert (document["best"] is not None) == (code == 0)
    if document["best"] is None:
        assert not document["verdict"].startswith("runs")


def test_text_says_which_image_why_and_how_to_start_it() -> None:
    ended = gpudoctor("resolve", "--tf", "1.15", *RTX_3090)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "nvcr.io/nvidia/tensorflow:20.12-tf1-py3"
    assert "driver 455.45.01 is as new as CUDA 11.1.1, which came with 455.32" in ended.out
    assert "gpudoctor run --tag 20.12-tf1-py3" in ended.out
    assert "\x1b" not in ended.out


def test_text_says_why_no_newer_image_was_chosen() -> None:
    said = " ".join(gpudoctor("resolve", "--tf", "1.15", "--driver", "470.82.01", "--gpu", "RTX 3090").out.split())
    why = said.partition(" why no newer image: ")[2].partition(" start it: ")[0]
    assert why == (
        "- 23.03-tf1-py3 will not run: CUDA 12.1.0 came with driver 530.30.02; 470.82.01 is older"
        " - 22.12-tf1-py3 runs with minor-version compatibility, which is less sure: same CUDA major:"
        " driver 470.82.01 against 450.80.02, the floor of CUDA 11.x"
    )
    newest = gpudoctor("resolve", "--tf", "1.15", "--driver", "535.104.05", "--gpu", "RTX 3090")
    assert newest.code == 0
    assert "why no newer image" not in newest.out


def test_text_keeps_to_its_width_but_for_links_and_commands() -> None:
    out = gpudoctor("resolve", "--driver", "535.104.05", "--gpu", "A100").out
    assert "confidence of this row: medium (" in out
    assert [line for line in out.splitlines() if len(line) > 100 and "://" not in line] == []


def test_text_says_what_would_help_and_names_no_candidate_twice() -> None:
    ended = gpudoctor("resolve", "--tf", "2.17", *RTX_3090)
    assert (ended.code, ended.err) == (1, "")
    assert "install driver 525.60.13 or newer of branch 525" in " ".join(ended.out.split())
    assert ended.out.count("25.01-tf2-py3") == 1


def test_host_without_a_gpu_is_called_so(tmp_path: Path) -> None:
    document = facts_document(gpus=[], pci_gpus=[])
    ended = gpudoctor("resolve", "--facts", save(tmp_path, document))
    assert ended.code == 1
    assert ended.out.startswith("the latest TensorFlow: will not run on a host without an NVIDIA GPU, x86_64\n")


def test_command_to_start_it_says_again_which_gpus_and_which_mirror(tmp_path: Path) -> None:
    path = save(tmp_path, facts_document())
    mirror = ("--registry", "localhost:5000/mirror")
    out = gpudoctor("resolve", "--tag", "20.12-tf1-py3", "--facts", path, "--gpus", "0, GPU-0", *mirror).out
    line = "  start it: gpudoctor run --tag 20.12-tf1-py3 --gpus 0,GPU-0 --registry localhost:5000/mirror"
    assert line in out.splitlines()
    document = resolved("--tag", "20.12-tf1-py3", "--facts", path, "--gpus", "0, GPU-0")
    assert document["request"]["gpus"] == "0,GPU-0"


def test_only_a_version_that_nvidia_has_no_image_of_is_called_so() -> None:
    asked = ("--driver", "470.256.02", "--gpu", "Tesla K80")
    by_tag = gpudoctor("resolve", "--tag", "1.15.5-gpu-py3", *asked)
    assert "TensorFlow's own image, not NVIDIA's\n" in by_tag.out
    by_version = gpudoctor("resolve", "--tf", "2.18", *asked)
    assert "TensorFlow's own image, not NVIDIA's, which has none of this version\n" in by_version.out


def test_unknown_tag_is_exit_1_with_the_nearest() -> None:
    ended = gpudoctor("resolve", "--tag", "22.13-tf1-py3", *RTX_3090)
    assert ended.code == 1
    assert "22.12-tf1-py3" in ended.out


def test_registry_of_a_mirror_stands_in_the_reference() -> None:
    document = resolved("--tag", "20.12-tf1-py3", *RTX_3090, "--registry", "localhost:5000/mirror")
    assert document["best"]["image"] == "localhost:5000/mirror/tensorflow:20.12-tf1-py3"


def test_bytes_that_are_no_text_are_no_tag_and_no_crash() -> None:
    for format_ in ("json", "text"):
        ended = gpudoctor("resolve", "--tag", os.fsdecode(b"\xff\xfe"), *RTX_3090, "--format", format_)
        assert (ended.code, ended.err) == (1, "")


# --- saved hosts ---


def save(folder: Path, document: object) -> str:
    path = folder / "facts.json"
    path.write_text(json.dumps(document))
    return str(path)


def facts_document(**changes: Any) -> dict[str, Any]:
    return {**to_json.facts(example_facts()), **changes}


def test_saved_host_is_judged_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    document = facts_document()
    from_file = gpudoctor("resolve", "--tf", "1.15", "--facts", save(tmp_path, document))
    assert (from_file.code, from_file.err) == (0, "")
    assert from_file.out.splitlines()[0].endswith(":23.03-tf1-py3")
    from_stdin = gpudoctor("resolve", "--tf", "1.15", "--facts", "-", stdin=json.dumps(document))
    assert from_stdin == from_file


def test_saved_host_whose_driver_is_unread_is_exit_3(tmp_path: Path) -> None:
    document = facts_document()
    document["driver"]["version"] = None
    document["driver"].setdefault("unread", {})["version"] = {"source": "nvml", "why": "timeout", "detail": "hung"}
    ended = gpudoctor("resolve", "--tf", "1.15", "--facts", save(tmp_path, document))
    assert ended.code == 3
    assert "hung" in ended.out


def test_saved_host_without_any_gpu_is_exit_1(tmp_path: Path) -> None:
    document = facts_document(gpus=None, pci_gpus=[])
    document["unread"]["gpus"] = {"source": "nvml", "why": "absent", "detail": "no library"}
    document["driver"]["version"] = None
    document["driver"].setdefault("unread", {})["version"] = {"source": "nvml", "why": "absent", "detail": "no library"}
    ended = gpudoctor("resolve", "--tf", "1.15", "--facts", save(tmp_path, document))
    assert ended.code == 1
    assert "no NVIDIA GPU" in ended.out


def test_gpus_narrows_a_saved_host(tmp_path: Path) -> None:
    document = facts_document()
    old = {**document["gpus"][0], "index": 1, "uuid": "GPU-old", "name": "Tesla K80", "compute_capability": "3.7"}
    path = save(tmp_path, {**document, "gpus": [document["gpus"][0], old]})
    assert gpudoctor("resolve", "--tf", "1.15", "--facts", path).code == 1
    assert gpudoctor("resolve", "--tf", "1.15", "--facts", path, "--gpus", "0").code == 0
    assert gpudoctor("resolve", "--tf", "1.15", "--facts", path, "--gpus", "GPU-old").code == 1
    message, hint = assert_one_line(gpudoctor("resolve", "--facts", path, "--gpus", "0,7"), code=2)
    assert message == "--gpus '7': no such GPU"
    assert "GPU-old" in hint


def test_a_gpu_named_twice_counts_once(tmp_path: Path) -> None:
    path = save(tmp_path, facts_document())
    uuid = facts_document()["gpus"][0]["uuid"]
    document = resolved("--tf", "1.15", "--facts", path, "--gpus", f"0,0,{uuid}")
    assert [gpu["gpu"] for gpu in document["host"]["gpus"]] == [uuid]


def test_a_mig_instance_is_judged_as_the_gpu_it_is_a_part_of(tmp_path: Path) -> None:
    document = facts_document()
    migs = [{"uuid": f"MIG-{number}", "name": "MIG 3g.20gb", "memory_bytes": 1} for number in (1, 2)]
    cut = {**document["gpus"][0], "index": 1, "uuid": "GPU-cut", "name": "NVIDIA A100-SXM4-40GB"}
    cut.update(compute_capability="8.0", mig_devices=migs)
    path = save(tmp_path, {**document, "gpus": [document["gpus"][0], cut]})
    judged = resolved("--tf", "1.15", "--facts", path, "--gpus", "MIG-2,MIG-2,MIG-1")["host"]["gpus"]
    assert [gpu["gpu"] for gpu in judged] == ["MIG-2", "MIG-1"]
    assert {gpu["compute_capability"] for gpu in judged} == {"8.0"}
    for asked, hint in (("MIG-3", "there are: MIG-1, MIG-2"), ("all,0", "say all alone"), ("0,none", "say none alone")):
        said, what_to_do = assert_one_line(gpudoctor("resolve", "--facts", path, "--gpus", asked), code=2)
        assert said.endswith("no such GPU")
        assert what_to_do.startswith(hint)
    said, what_to_do = assert_one_line(
        gpudoctor("resolve", "--facts", save(tmp_path, document), "--gpus", "MIG-1"), code=2
    )
    assert what_to_do == "no GPU here has a MIG instance"


def test_mig_instances_that_could_not_be_read_are_not_denied(tmp_path: Path) -> None:
    document = facts_document()
    gpu = {**document["gpus"][0], "mig_devices": None}
    gpu["unread"] = {**gpu.get("unread", {}), "mig_devices": {"source": "nvml", "why": "forbidden", "detail": "no"}}
    path = save(tmp_path, {**document, "gpus": [gpu]})
    _, hint = assert_one_line(gpudoctor("resolve", "--facts", path, "--gpus", "MIG-1"), code=2)
    assert hint == "the MIG instances of this machine are not all known: nvml: no"


def test_the_index_of_a_gpu_thought_of_is_its_place_on_the_command_line() -> None:
    named = ("--tf", "2.11", "--driver", "515.65.01", "--gpu", "GTX 1080", "--gpu", "A100", "--gpu", "A100")
    for asked, gpus in (("0", ["GeForce GTX 1080"]), ("1", ["NVIDIA A100"]), ("2,1,2", ["NVIDIA A100"] * 2)):
        document = resolved(*named, "--gpus", asked, code=1 if asked == "0" else 0)
        assert [gpu["gpu"] for gpu in document["host"]["gpus"]] == gpus
    _, hint = assert_one_line(gpudoctor("resolve", *named, "--gpus", "3"), code=2)
    assert hint.startswith("there are: 0 (GeForce GTX 1080), 1 (NVIDIA A100), 2 (NVIDIA A100); or say all")


def test_thousands_of_gpus_are_not_all_listed_for_a_slip(tmp_path: Path) -> None:
    document = facts_document()
    gpus = [{**document["gpus"][0], "index": number, "uuid": "GPU-" + "x" * 500} for number in range(2000)]
    _, hint = assert_one_line(
        gpudoctor("resolve", "--facts", save(tmp_path, {**document, "gpus": gpus}), "--gpus", "9" * 5000), code=2
    )
    assert len(hint) < 1600
    assert "and 1984 more" in hint


# --- what cannot be used: exit 2, one line, nothing on stdout ---

BAD_COMMAND_LINES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("--tf", "banana", *RTX_3090), "--tf 'banana' is no TensorFlow version", "1.15"),
    (("--tf", "", *RTX_3090), "--tf '' is no TensorFlow version", "1.15"),
    (("--tf", ">=", *RTX_3090), "--tf '>=': Invalid specifier", "2.10"),
    (("--tf", ">=" + "1" * 5000, *RTX_3090), "--tf: longer than any TensorFlow version", "1.15"),
    (("--tf", "1.15", "--tag", "20.12-tf1-py3", *RTX_3090), "--tf and --tag", "one of them"),
    (("--python", "three", *RTX_3090), "--python 'three': expected X.Y", "3.8"),
    (("--driver", "x", "--gpu", "RTX 3090"), "--driver: 'x' is no driver version", ""),
    (("--driver", "", "--gpu", "RTX 3090"), "--driver: '' is no driver version", ""),
    (("--driver", ""), "--driver: '' is no driver version", ""),
    (("--driver", "455.45.01", "--gpu", "RTX 3900"), "--gpu 'RTX 3900': no such GPU", "RTX 3090"),
    (("--driver", "455.45.01", "--gpu", "banana"), "--gpu 'banana': no such GPU", "compute capability"),
    (("--driver", "455.45.01", "--gpu", ""), "--gpu '': no such GPU", ""),
    (("--driver", "455.45.01", "--gpu", "8.5"), "--gpu 8.5: no GPU has compute capability 8.5", "8.6"),
    (("--driver", "540.3", "--gpu", "Jetson AGX Orin", "--arch", "x86_64"), "a Jetson is no x86_64 machine", "--arch"),
    (
        ("--driver", "580.65.06", "--gpu", "GH200", "--arch", "amd64"),
        "NVIDIA GH200 comes with an aarch64 processor only, not x86_64",
        "--arch",
    ),
    (("--gpus", "7", *RTX_3090), "--gpus '7': no such GPU", "RTX 3090"),
    (("--gpus", "", *RTX_3090), "--gpus '': no such GPU", "RTX 3090"),
    (("--registry", "nowhere", *RTX_3090), "--registry 'nowhere': expected HOST[:PORT]/PREFIX", "nvcr.io/nvidia"),
    (("--arch", "sparc", *RTX_3090), "Invalid value for '--arch'", "resolve --help"),
    (("--format", "xml", *RTX_3090), "Invalid value for '--format'", "resolve --help"),
    (("--tff", "1.15", *RTX_3090), "No such option", "resolve --help"),
    (("--tf",), "Option '--tf' requires an argument", "--help"),
    (("surplus",), "Got unexpected extra argument", "resolve --help"),
    (("--timeout", "-1"), "Invalid value for '--timeout'", "resolve --help"),
    (("--timeout", "soon"), "Invalid value for '--timeout'", "resolve --help"),
    (("--host-root", "/nowhere/at/all"), "--host-root /nowhere/at/all: no such folder", ""),
    (("--matrix", "/nowhere.yaml", *RTX_3090), "/nowhere.yaml: cannot be read: No such file", "read"),
    (("--matrix", "/", *RTX_3090), "/: cannot be read: Is a directory", "read"),
    (("--facts", "/nowhere.json"), "/nowhere.json: cannot be read: No such file", "gpudoctor probe"),
    (("--facts", "/"), "/: cannot be read: Is a directory", "gpudoctor probe"),
)


@pytest.mark.parametrize(("arguments", "message", "hint"), BAD_COMMAND_LINES)
def test_bad_command_line_is_exit_2_and_one_line(arguments: tuple[str, ...], message: str, hint: str) -> None:
    said, what_to_do = assert_one_line(gpudoctor("resolve", *arguments), code=2)
    assert said.startswith(message)
    assert hint in what_to_do


def test_driver_without_gpu_where_there_is_none_is_exit_2(tmp_path: Path) -> None:
    for asked in (("--driver", "455.45.01"), ("--arch", "aarch64"), ("--wsl",)):
        arguments = ("resolve", *asked, "--host-root", str(tmp_path), "--facts")
        document = facts_document(gpus=None)
        document["unread"]["gpus"] = {"source": "nvml", "why": "absent", "detail": "no library"}
        said, hint = assert_one_line(gpudoctor(*arguments, save(tmp_path, document)), code=2)
        assert "needs --gpu on a machine without a readable NVIDIA GPU" in said
        assert "--gpu" in hint


def test_gpu_without_driver_where_there_is_none_is_exit_2(tmp_path: Path) -> None:
    document = facts_document()
    document["driver"]["version"] = None
    document["driver"].setdefault("unread", {})["version"] = {"source": "nvml", "why": "absent", "detail": "no library"}
    said, _ = assert_one_line(gpudoctor("resolve", "--gpu", "A100", "--facts", save(tmp_path, document)), code=2)
    assert said.startswith("--gpu needs --driver")


BAD_FACTS: tuple[tuple[str, bytes, str], ...] = (
    ("empty", b"", ":1: not JSON: "),
    ("text", b"hello", ":1: not JSON: Expecting value"),
    ("truncated", json.dumps(facts_document(), indent=1).encode()[:-200], ": not JSON: "),
    ("binary", bytes(range(256)), ": not JSON: "),
    ("deep", b"[" * 100_000, ": not JSON: "),
    ("long number", b'{"schema": ' + b"9" * 10_000 + b"}", ": not JSON: "),
    ("a list", b"[]", ": schema: expected 'gpudoctor.probe/1'"),
    ("no schema", b"{}", ": schema: expected 'gpudoctor.probe/1', found 'None'"),
    ("other schema", json.dumps(facts_document(schema="gpudoctor.probe/2")).encode(), ": schema: expected"),
    ("schema alone", b'{"schema": "gpudoctor.probe/1"}', ": probed_at: missing"),
    ("null without reason", json.dumps(facts_document(gpus=None)).encode(), ": gpus: null, and unread does not say"),
    ("wrong type", json.dumps(facts_document(gpus={})).encode(), ": gpus: expected a list, found an object"),
    (
        "wrong version",
        json.dumps(facts_document(gpus=[{**facts_document()["gpus"][0], "compute_capability": 8.6}])).encode(),
        ": gpus[0].compute_capability: expected compute capability as text",
    ),
    (
        "lone surrogate",
        json.dumps(facts_document(gpus=[{**facts_document()["gpus"][0], "name": "\ud800"}])).encode(),
        ": gpus[0].name: half a surrogate pair",
    ),
    ("too large", b" " * (9 << 20), ": larger than 8 MiB"),
)


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in BAD_FACTS], ids=[row[0] for row in BAD_FACTS])
def test_broken_facts_are_exit_2_and_one_line_with_the_place(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(text)
    said, _ = assert_one_line(gpudoctor("resolve", "--facts", str(path)), code=2)
    assert said.startswith(str(path))
    assert message in said


def test_broken_facts_on_standard_input_are_called_so() -> None:
    said, _ = assert_one_line(gpudoctor("resolve", "--facts", "-", stdin=b"{"), code=2)
    assert said.startswith("standard input:1: not JSON")


def test_unreadable_file_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("{}")
    path.chmod(0)
    # In this process, because nobody may not start an interpreter that lives in root's home.
    with as_nobody():
        for read in (lambda: options.read_facts(str(path)), lambda: options.load_matrix(path)):
            with pytest.raises(InputError) as refused:
                read()
            assert refused.value.message == f"{path}: cannot be read: Permission denied"


@pytest.mark.parametrize("option", ["--facts", "--matrix"])
def test_a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for(tmp_path: Path, option: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    host = () if option == "--facts" else RTX_3090
    for path in (pipe, Path("/dev/zero")):
        said, _ = assert_one_line(gpudoctor("resolve", option, str(path), *host), code=2)
        assert said == f"{path}: cannot be read: Not a regular file"


def test_a_pipe_of_the_shell_is_read_to_its_end(tmp_path: Path) -> None:
    path = save(tmp_path, facts_document())
    late = 'sleep 0.3; cat "$0"'
    words = ("bash", "-c", f"exec '{PROGRAM}' resolve --tf 1.15 --facts <({late.replace('$0', '$1')})", "bash", path)
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].endswith(":23.03-tf1-py3")


HOSTILE = "\x1b[2J\x1b]0;owned\x07NVIDIA A100\u202e\x9b31m\nall well"


@pytest.mark.parametrize("arguments", [(), ("--format", "json"), ("--gpus", "7")])
def test_terminal_cannot_be_driven_through_saved_facts(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    document = facts_document()
    gpu = {**document["gpus"][0], "name": HOSTILE, "uuid": HOSTILE, "compute_capability": None}
    gpu["unread"] = {
        **gpu.get("unread", {}),
        "compute_capability": {"source": HOSTILE, "why": "failed", "detail": HOSTILE},
    }
    path = save(tmp_path, {**document, "gpus": [gpu]})
    # By a terminal, because click takes colours away where there is none.
    words = (str(PROGRAM), "resolve", "--facts", path, *arguments)
    terminal, inside = pty.openpty()
    with subprocess.Popen(words, stdout=inside, stderr=inside, env={**os.environ, "NO_COLOR": "1"}):
        os.close(inside)
        said = b"".join(iter(lambda: _some(terminal), b"")).decode()
        os.close(terminal)
    assert "NVIDIA A100" in said
    assert [letter for letter in set(said) if not letter.isprintable() and letter not in "\r\n"] == []


def _some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how a terminal ends whose other side is closed
        return b""


def test_terminal_cannot_be_driven_through_a_message() -> None:
    ended = gpudoctor("resolve", "--driver", "\x1b[2J\n1", "--gpu", "8.6")
    said, _ = assert_one_line(ended, code=2)
    assert "\x1b" not in said


# --- whole outputs ---

GOLDENS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("resolve_rtx3090_on_455.json", ("--tf", "1.15", "--python", "3.6", *RTX_3090)),
    ("resolve_two_gpus_on_515.json", ("--tf", "2.11", "--driver", "515.65.01", "--gpu", "T4", "--gpu", "GTX 1080")),
    ("resolve_gtx1080_on_590.json", ("--tf", "2.17", "--driver", "590.48.01", "--gpu", "GTX 1080")),
)  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), GOLDENS, ids=[name for name, _ in GOLDENS])
def test_json_is_the_golden_one(name: str, arguments: tuple[str, ...], pytestconfig: pytest.Config) -> None:
    document = gpudoctor("resolve", *arguments, "--format", "json").out
    golden.compare(name, document.replace(f'"version": "{package.__version__}"', '"version": "any"', 1), pytestconfig)
