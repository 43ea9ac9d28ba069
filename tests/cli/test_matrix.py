"""`gpudoctor matrix`: list, show and validate."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gpudoctor import matrix as matrices
from tests.cli import PROGRAM, assert_one_line, gpudoctor
from tests.hosts import shipped
from tests.test_matrix import SMALL

# NVIDIA's as the matrix has them, then TensorFlow's own.
EVERY_TAG = [image.tag for image in (*shipped().images, *shipped().upstream_images)]


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "site.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


# --- list ---


def test_list_has_a_line_for_every_image_newest_first() -> None:
    ended = gpudoctor("matrix", "list")
    assert (ended.code, ended.err) == (0, "")
    head, *lines = ended.out.splitlines()
    assert head.split() == ["TAG", "TENSORFLOW", "CUDA", "DRIVER", "PYTHON", "CONFIDENCE", "CATALOGUE"]
    assert [line.split()[0] for line in lines] == EVERY_TAG
    cells = [" ".join(line.split()) for line in lines]
    assert "20.12-tf1-py3 1.15.4 11.1.1 455.32 3.8 medium ngc" in cells
    assert "16.12 ? ? ? ? low ngc" in cells
    assert "2.17.0-gpu 2.17.0 12.3.0 545.23.06 3.11 high upstream" in cells
    assert "2.19.0-gpu 2.19.0 12.3.0 545.23.06 3.11 high upstream, broken as shipped" in cells


@pytest.mark.parametrize(
    ("spec", "first", "last"),
    [
        ("1.15", "23.03-tf1-py3", "1.15.5-gpu-py3"),
        ("2.17", "25.02-tf2-py3", "2.17.0-gpu"),
        (">=2.10,<2.12", "23.03-tf2-py3", "2.10.1-gpu"),
        ("2.21", "2.21.0-gpu", "2.21.0-gpu"),
    ],
)
def test_list_narrows_by_tensorflow(spec: str, first: str, last: str) -> None:
    lines = gpudoctor("matrix", "list", "--tf", spec).out.splitlines()[1:]
    assert (lines[0].split()[0], lines[-1].split()[0]) == (first, last)


def test_list_of_a_tensorflow_that_nobody_made_is_empty() -> None:
    ended = gpudoctor("matrix", "list", "--tf", "9.9")
    assert (ended.code, len(ended.out.splitlines())) == (0, 1)


def test_list_as_json_has_every_cell_and_null_for_unknown() -> None:
    document = json.loads(gpudoctor("matrix", "list", "--format", "json").out)
    assert document["schema"] == "gpudoctor.matrix-list/1"
    rows = {row["tag"]: row for row in document["images"]}
    assert list(rows) == EVERY_TAG
    assert {row["catalogue"] for row in rows.values() if row["upstream"]} == {"upstream"}
    assert {row["catalogue"] for row in rows.values() if not row["upstream"]} == {"ngc"}
    assert rows["20.12-tf1-py3"]["tensorflow"] == "1.15.4"
    assert rows["20.12-tf1-py3"]["min_driver"] == "455.32"
    assert rows["20.12-tf1-py3"]["forward_compat"] == ["418", "440.30", "450"]
    assert rows["18.08-py3"]["forward_compat"] == []
    assert rows["22.04-tf1-py3"]["forward_compat"] is None
    assert rows["16.12"]["cuda"] is None


def test_list_with_a_whole_matrix_over_the_shipped_one_keeps_every_tag_and_marks_what_changed(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace('tensorflow: "1.15.4"', 'tensorflow: "1.15.3"'))
    head, *lines = gpudoctor("matrix", "list", "--matrix", path).out.splitlines()
    assert head.split()[-1] == "SITE"
    assert [line.split()[0] for line in lines] == EVERY_TAG
    (changed,) = (line for line in lines if line.startswith("20.12-tf1-py3 "))
    assert changed.split()[1:3] == ["1.15.3", "11.1.1"]
    assert changed.endswith(f"  {path}; driver: {path}")


# --- show ---


def test_show_prints_every_cell_with_its_sources() -> None:
    ended = gpudoctor("matrix", "show", "22.12-tf1-py3")
    assert (ended.code, ended.err) == (0, "")
    cells = {line.split()[0]: line.split(maxsplit=1)[1] for line in ended.out.splitlines()}
    assert cells["tag"] == "22.12-tf1-py3"
    assert cells["tensorflow"] == "1.15.5"
    assert cells["cuda"] == "11.8.0"
    assert cells["min_driver"] == "520.61.05"
    assert cells["forward_compat"] == "450.51, 470.57, 510.47, 515.65"
    assert cells["ptx"] == "unknown"
    assert "https://docs.nvidia.com/" in cells["sources"]
    none = [line.split() for line in gpudoctor("matrix", "show", "18.08-py3").out.splitlines()]
    assert ["forward_compat", "none"] in none


def test_show_as_json_is_the_row() -> None:
    document = json.loads(gpudoctor("matrix", "show", "22.12-tf1-py3", "--format", "json").out)
    assert document["schema"] == "gpudoctor.matrix-show/1"
    assert document["image"]["tag"] == "22.12-tf1-py3"
    assert document["image"]["built_for"][0] == "5.2"


def test_show_of_an_unknown_tag_is_exit_1_with_the_nearest() -> None:
    said, hint = assert_one_line(gpudoctor("matrix", "show", "22.13-tf1-py3"), code=1)
    assert said == "no tag '22.13-tf1-py3' in the matrix"
    assert "22.12-tf1-py3" in hint


# --- validate ---


def test_validate_of_a_good_file_counts_what_it_holds(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    ended = gpudoctor("matrix", "validate", path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{path}: 1 images, 1 CUDA releases, 1 GPUs: no fault\n"
    assert gpudoctor("matrix", "validate", str(matrices.shipped_path())).code == 0


def test_validate_prints_every_fault_with_its_line_and_is_exit_1(tmp_path: Path) -> None:
    broken = (
        SMALL.replace('version: "11.1.1"', "version: 11.1")
        .replace('min_driver: "450.80.02"', 'min_drivr: "450.80.02"')
        .replace('compute_capability: "8.6", data', 'compute_capability: "Ampere", data')
        .replace('release: "20.12"', "release: 20.12")
    )
    path = write(tmp_path, broken)
    ended = gpudoctor("matrix", "validate", path)
    assert (ended.code, ended.err) == (1, "")
    assert [line.removeprefix(f"{path}:").partition("; ")[0] for line in ended.out.splitlines()] == [
        "5: cuda[0].version: expected text, found the number 11.1",
        "9: minor_version_compatibility[0].min_driver: missing",
        "10: minor_version_compatibility[0].min_drivr: unknown key",
        "22: gpus[0].compute_capability: 'Ampere' is no compute capability",
        "25: images[0].release: expected text, found the number 20.12",
    ]
    assert "did you mean 'min_driver'?" in ended.out


def test_validate_of_a_part_judges_it_over_the_shipped_matrix(tmp_path: Path) -> None:
    path = write(tmp_path, 'images:\n  - {tag: "22.12-tf1-py3", cuda: "12.0.1"}\n')
    ended = gpudoctor("matrix", "validate", path)
    assert (ended.code, ended.out, ended.err) == (0, f"{path}: 1 row changed or added: no fault\n", "")
    path = write(tmp_path, 'images:\n  - {tag: "22.12-tf1-py3", cuda: "12.9.99"}\n')
    ended = gpudoctor("matrix", "validate", path)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out == f"{path}:2: images[0].cuda: 12.9.99 is not in the section `cuda`\n"


def test_validate_of_several_files_puts_each_over_the_one_before(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text('cuda:\n  - {version: "12.9.99", bundled_driver: "599.10"}\n')
    second.write_text('images:\n  - {tag: "22.12-tf1-py3", cuda: "12.9.99"}\n')
    assert gpudoctor("matrix", "validate", str(second)).code == 1
    ended = gpudoctor("matrix", "validate", str(first), str(second))
    assert (ended.code, ended.out) == (0, f"{first}, {second}: 2 rows changed or added: no fault\n")


def test_validate_of_a_whole_matrix_with_a_hole_says_that_it_leans_on_the_shipped_one(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace('    min_driver: "450.80.02"\n', ""))
    ended = gpudoctor("matrix", "validate", path)
    assert ended.code == 0
    assert "changed or added: no fault" in ended.out
    assert ended.err.startswith(f"only over the shipped matrix: by itself it has 1 fault, {path}:9: minor_version_comp")


def test_validate_tells_doubled_tags_and_unknown_cuda(tmp_path: Path) -> None:
    twice = SMALL + '  - {tag: "20.12-tf1-py3", release: "20.12", cuda: "12.9.9", source: [notes]}\n'
    ended = gpudoctor("matrix", "validate", write(tmp_path, twice))
    assert ended.code == 1
    assert ":29: images[1].cuda: 12.9.9 is not in the section `cuda`" in ended.out
    assert ":29: images[1]: '20.12-tf1-py3' stands already in images[0]" in ended.out


UNREADABLE: tuple[tuple[str, bytes, str], ...] = (
    ("not YAML", b"a: [1,\n", "not YAML: "),
    ("binary", bytes(range(256)), "not YAML: "),
    ("huge", b" " * (5 << 20), "larger than 2 MiB, which no matrix is"),
    (
        "alias bomb",
        b"a0: &a0 [x, x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (one, one, one - 1, one - 1) for one in range(1, 60)),
        "2: alias *a0",
    ),
    (
        "merge bomb",
        b"a0: &a0 {x: y}\n"
        + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (one, one, one - 1, one - 1) for one in range(1, 60)),
        "2: alias *a0",
    ),
    ("flow nesting", b"[" * 200_000, "1: nested more than 20 levels deep"),
    ("block nesting", b"- " * 200_000, "1: nested more than 20 levels deep"),
    ("code", b"!!python/object/apply:os.system [touch pwned]\n", "1: tag tag:yaml.org,2002:python/object"),
)


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_file_that_cannot_be_read_is_exit_2_and_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = write(tmp_path, text)
    for arguments in (("matrix", "validate", path), ("matrix", "list", "--matrix", path)):
        said, _ = assert_one_line(gpudoctor(*arguments), code=2)
        assert said.startswith(path)
        assert message in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("matrix", "validate", "/nowhere.yaml"), "/nowhere.yaml: cannot be read: No such file or directory"),
        (("matrix", "validate", "/"), "/: cannot be read: Is a directory"),
        (("matrix", "validate"), "Missing argument 'FILE...'"),
        (("matrix", "show"), "show wants one tag"),
        (("matrix", "list", "--tf", "banana"), "--tf 'banana' is no TensorFlow version"),
        (("matrix", "list", "--tf", ">=" + "1" * 5000), "--tf: longer than any TensorFlow version"),
        (("matrix", "draw"), "No such command 'draw'"),
        (("matrx", "list"), "no such command 'matrx'; did you mean matrix?"),
    ],
)
def test_bad_command_line_is_exit_2_and_one_line(arguments: tuple[str, ...], message: str) -> None:
    said, _ = assert_one_line(gpudoctor(*arguments), code=2)
    assert said.startswith(message)


def test_broken_matrix_stops_every_command_that_wants_one_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace('cuda: "11.1.1"', "cuda: 11.1"))
    for arguments in (
        ("resolve", "--driver", "455.45.01", "--gpu", "8.6"),
        ("matrix", "list"),
        ("matrix", "show", "20.12-tf1-py3"),
        ("check", "--driver", "455.45.01", "--gpu", "8.6"),
    ):
        said, hint = assert_one_line(gpudoctor(*arguments, "--matrix", path), code=2)
        assert said.startswith(f"{path}:27: images[0].cuda: expected text, found the number 11.1; versions stand in")
        assert hint == f"gpudoctor matrix validate {path} lists every fault"


def test_files_that_never_end_are_refused_wherever_they_are_named(tmp_path: Path) -> None:
    pipe = tmp_path / "gpudoctor" / "matrix.yaml"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    said, _ = assert_one_line(gpudoctor("matrix", "validate", str(pipe)), code=2)
    assert said == f"{pipe}: cannot be read: Not a regular file"
    for around in ({"GPUDOCTOR_MATRIX": str(pipe)}, {"XDG_CONFIG_HOME": str(tmp_path)}):
        words = (str(PROGRAM), "matrix", "list")
        done = subprocess.run(
            words, env={**os.environ, **around}, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert "Not a regular file" in done.stderr


def test_a_terminal_cannot_be_driven_through_a_note(tmp_path: Path) -> None:
    path = write(tmp_path, 'images: [{tag: "20.12-tf1-py3", note: "\\e[2J\\e]0;owned\\a mine \\u202e"}]\n')
    for arguments in (("show", "20.12-tf1-py3"), ("list",)):
        done = gpudoctor("matrix", *arguments, "--matrix", path)
        assert (done.code, done.err) == (0, "")
        assert all(line.isprintable() for line in done.out.splitlines())
    assert "\\x1b]0;owned" in gpudoctor("matrix", "show", "20.12-tf1-py3", "--matrix", path).out


# --- the page ---


def test_a_page_is_written_into_a_device_or_pipe_and_through_a_link_and_never_in_their_place(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target.html", tmp_path / "link.html", tmp_path / "pipe"
    link.symlink_to(target)
    drawn = ("matrix", "show", "--gpu", "A100", "--tf", "1.15", "--html")
    assert gpudoctor(*drawn, str(link)).code == 0
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    os.mkfifo(pipe)
    said, _ = assert_one_line(gpudoctor(*drawn, str(pipe)), code=2)
    assert said.startswith(f"--html {pipe}: cannot be written: ")
    words = ("bash", "-c", 'exec "$@" >(cat)', "bash", str(PROGRAM), *drawn)
    into_pipe = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert into_pipe.stdout == target.read_bytes()
    full = gpudoctor(*drawn, "/dev/full")
    assert (full.code, Path("/dev/full").is_char_device()) == (2, True)
    assert "No space left" in full.err


def test_show_html_writes_one_page_for_a_gpu(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = gpudoctor("matrix", "show", "--html", str(page), "--gpu", "RTX 3090", "--tf", "1.15")
    assert (done.code, done.out) == (0, "")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "20.12-tf1-py3" in text
    assert "20.12-tf2-py3" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--html", "page.html"), "--html draws all tags for a GPU"),
        (("--html", "page.html", "--gpu", "A100", "22.12-tf1-py3"), "--html draws all tags for a GPU"),
        (("--html", "no-such-folder/page.html", "--gpu", "A100"), "cannot be written"),
        (("--html", "page.html", "--gpu", "RTX 3099"), "no such GPU"),
        ((), "show wants one tag"),
        (("22.12-tf1-py3", "--gpu", "A100"), "show wants one tag"),
    ],
)
def test_a_page_that_cannot_be_drawn_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    said, _ = assert_one_line(gpudoctor("matrix", "show", *arguments), code=2)
    assert message in said
