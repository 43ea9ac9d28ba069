"""A site's files change the shipped matrix row by row, the last one wins, and every fault names its file and line."""

from __future__ import annotations

import copy
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor import host as hosts
from gpudoctor import matrix as matrices
from gpudoctor import site_matrix
from gpudoctor.cli import options
from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.matrix import MAX_FAULTS, ImageRow, Matrix, MatrixError, fault_line, load_merged, site_of
from gpudoctor.resolve import Request, resolve
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion
from tests.cli import PROGRAM, Ended, assert_one_line
from tests.hosts import named, shipped
from tests.properties.strategies import few, json_values, places, replaced
from tests.test_matrix import HOSTILE
from tests.users import as_nobody

TAG = "22.12-tf1-py3"


def site(folder: Path, text: str | bytes, name: str = "site.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def merged(*paths: Path) -> Matrix:
    return load_merged(dict.fromkeys(paths, "--matrix"))


def faults_of(*paths: Path) -> list[str]:
    with pytest.raises(MatrixError) as refused:
        merged(*paths)
    folder = f"{paths[0].parent}/"
    return [fault_line("?", fault).removeprefix(folder) for fault in refused.value.faults]


def image(matrix: Matrix, tag: str = TAG) -> ImageRow:
    row = matrix.image(tag)
    assert row is not None
    return row


def said(matrix: Matrix) -> dict[str, object]:
    """All that a matrix holds, with the texts of its versions."""
    return {name: repr(getattr(matrix, name)) for name in Matrix.__annotations__}


@lru_cache(maxsize=1)
def shipped_document() -> Any:
    return yaml.load(matrices.shipped_path().read_bytes(), Loader=yaml.CSafeLoader)


# --- rows and cells ---


def test_cells_that_a_site_names_replace_and_the_others_stay(tmp_path: Path) -> None:
    path = site(tmp_path, f'images:\n  - {{tag: "{TAG}", bundled_driver: "520.61.07", built_for: ["8.6"]}}\n')
    old, new = image(shipped()), image(merged(path))
    assert new.bundled_driver == DriverVersion("520.61.07")
    assert new.built_for == (ComputeCapability("8.6"),)
    assert (new.tensorflow, new.cuda, new.python) == (old.tensorflow, old.cuda, old.python)
    assert len(merged(path).images) == len(shipped().images)


def test_site_says_which_processor_a_gpu_comes_with(tmp_path: Path) -> None:
    def architecture(name: str, *paths: Path) -> str:
        matrix = merged(*paths) if paths else shipped()
        gpu = hosts.named_gpu(name, matrix)
        driver = DriverVersion("590.1")
        return hosts.what_if(driver=driver, gpus=(gpu,), architecture=None, wsl=False, base=None).architecture

    cells = 'compute_capability: "9.0", data_center: "yes", brand: "Board", architecture: "aarch64"'
    added = site(tmp_path, f'gpus:\n  - {{name: "Board 9000", {cells}}}\n')
    taken = site(tmp_path, 'gpus:\n  - {name: "GH200", unset: [architecture]}\n', "taken.yaml")
    assert (architecture("Board 9000", added), architecture("GH200", added)) == ("aarch64", "aarch64")
    assert (architecture("GH200"), architecture("GH200", taken)) == ("aarch64", "x86_64")


def test_only_the_row_that_a_site_names_changes(tmp_path: Path) -> None:
    matrix = merged(site(tmp_path, f'images:\n  - {{tag: "{TAG}", python: "3.9"}}\n'))
    assert [row.tag for row in matrix.images if row != shipped().image(row.tag)] == [TAG]
    without = [name for name in Matrix.__annotations__ if name not in ("images", "sources")]
    assert all(getattr(matrix, name) == getattr(shipped(), name) for name in without)


def test_row_with_a_new_key_is_added_and_needs_neither_source_nor_month(tmp_path: Path) -> None:
    path = site(tmp_path, 'images:\n  - {tag: "25.99-ours", release: "25.99", tensorflow: "2.18.0", cuda: "12.8.1"}\n')
    matrix = merged(path)
    added = image(matrix, "25.99-ours")
    assert len(matrix.images) == len(shipped().images) + 1
    assert added.provenance.source == (f"site: {path}",)
    assert matrix.links(added.provenance) == (f"site: {path}",)
    assert site_of(added.provenance) == str(path)


def test_changed_row_has_the_site_as_its_first_source_and_keeps_the_others(tmp_path: Path) -> None:
    path = site(tmp_path, f'images:\n  - {{tag: "{TAG}", python: "3.9"}}\n')
    source = image(merged(path)).provenance.source
    assert source == (f"site: {path}", *image(shipped()).provenance.source)
    assert site_of(image(shipped()).provenance) is None


def test_site_may_name_sources_of_its_own(tmp_path: Path) -> None:
    text = f'sources: {{wiki: "https://wiki.example.org/gpu"}}\nimages:\n  - {{tag: "{TAG}", source: [wiki]}}\n'
    path = site(tmp_path, text)
    matrix = merged(path)
    assert matrix.links(image(matrix).provenance) == (f"site: {path}", "https://wiki.example.org/gpu")


def test_cell_that_is_unset_is_unknown_afterwards(tmp_path: Path) -> None:
    old = image(shipped())
    assert old.forward_compat
    assert old.cudnn
    new = image(merged(site(tmp_path, f'images:\n  - {{tag: "{TAG}", unset: [forward_compat, cudnn]}}\n')))
    assert (new.forward_compat, new.cudnn) == (None, None)
    assert site_of(new.provenance) is not None


def test_unset_of_a_cell_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    assert image(shipped()).ptx is None
    assert said(merged(site(tmp_path, f'images:\n  - {{tag: "{TAG}", unset: [ptx]}}\n'))) == said(shipped())


def test_cell_that_a_site_states_is_derived_no_longer(tmp_path: Path) -> None:
    assert "min_driver_stated" in image(shipped()).derived
    new = image(merged(site(tmp_path, f'images:\n  - {{tag: "{TAG}", min_driver_stated: "525"}}\n')))
    assert new.derived == tuple(name for name in image(shipped()).derived if name != "min_driver_stated")


SECTIONS: tuple[tuple[str, str, str, str], ...] = (
    ("cuda", '{version: "11.8.0", bundled_driver: "520.99"}', "520.99", "cuda"),
    ("cuda", '{version: "11.8", bundled_driver: "520.99"}', "520.99", "cuda"),
    ("minor_version_compatibility", '{cuda_major: 11, min_driver: "450.99"}', "450.99", "minor_version"),
    ("forward_compatibility", '{cuda: "11.8.0", branches: ["599"]}', "599", "forward"),
    ("generations", '{compute_capability: "8.6", last_branch: "599"}', "599", "generations"),
    ("gpus", '{name: "GeForce RTX 3090", first_branch: "599"}', "599", "gpus"),
    ("gpus", '{name: "NVIDIA GeForce RTX 3090", first_branch: "599"}', "599", "gpus"),
    ("images", f'{{tag: "{TAG}", bundled_driver: "599.01"}}', "599.01", "images"),
    ("upstream_images", '{tag: "2.15.0-gpu", bundled_driver: "599.01"}', "599.01", "upstream_images"),
)  # fmt: skip


@pytest.mark.parametrize(("section", "row", "version", "name"), SECTIONS, ids=[row[1] for row in SECTIONS])
def test_every_section_is_merged_by_its_key(tmp_path: Path, section: str, row: str, version: str, name: str) -> None:
    matrix = merged(site(tmp_path, f"{section}:\n  - {row}\n"))
    old, new = getattr(shipped(), name), getattr(matrix, name)
    assert len(old) == len(new)
    (changed,) = (after for before, after in zip(old, new, strict=True) if before != after)
    assert version in repr(changed)
    assert site_of(changed.provenance) is not None


def test_every_section_of_the_matrix_can_be_merged() -> None:
    assert site_matrix.KEYS.keys() == shipped_document().keys() - {"schema", "sources"}


def test_key_in_other_digits_keeps_the_text_it_had(tmp_path: Path) -> None:
    matrix = merged(site(tmp_path, 'cuda:\n  - {version: "11.8.0.0", bundled_driver: "520.99"}\n'))
    row = matrix.cuda_row(CudaVersion("11.8.0"))
    assert row is not None
    assert (row.version.text, row.bundled_driver.text) == ("11.8.0", "520.99")


def test_product_named_as_nvml_prints_it_still_means_one_row(tmp_path: Path) -> None:
    matrix = merged(site(tmp_path, 'gpus:\n  - {name: "NVIDIA GeForce RTX 3090", first_branch: "599"}\n'))
    for name in ("RTX 3090", "GeForce RTX 3090", "NVIDIA GeForce RTX 3090"):
        row = matrix.gpu(name)
        assert row is not None
        assert row.first_branch == DriverVersion("599")


# --- several files ---


def test_later_file_wins_cell_by_cell_and_both_are_sources(tmp_path: Path) -> None:
    first = site(tmp_path, f'images:\n  - {{tag: "{TAG}", python: "3.9", cudnn: "8.1"}}\n', "first.yaml")
    second = site(tmp_path, f'images:\n  - {{tag: "{TAG}", python: "3.10"}}\n', "second.yaml")
    row = image(merged(first, second))
    assert (row.python, row.cudnn) == ("3.10", "8.1")
    assert row.provenance.source[:2] == (f"site: {second}", f"site: {first}")
    assert site_of(row.provenance) == str(second)
    assert image(merged(second, first)).python == "3.9"


def test_later_file_may_use_and_change_what_an_earlier_one_added(tmp_path: Path) -> None:
    first = site(tmp_path, 'cuda:\n  - {version: "12.9.99", bundled_driver: "599.10"}\n', "first.yaml")
    second = site(
        tmp_path,
        'cuda:\n  - {version: "12.9.99", min_capability: "7.0"}\n'
        f'images:\n  - {{tag: "{TAG}", cuda: "12.9.99", unset: [cudnn]}}\n',
        "second.yaml",
    )
    matrix = merged(first, second)
    row = matrix.cuda_row(CudaVersion("12.9.99"))
    assert row is not None
    assert (row.bundled_driver.text, row.min_capability) == ("599.10", ComputeCapability("7.0"))
    assert image(matrix).cudnn is None
    assert image(merged(first, second, site(tmp_path, f'images:\n  - {{tag: "{TAG}", cudnn: "9"}}'))).cudnn == "9"


# --- what changes nothing ---


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "{}\n", 'schema: "gpudoctor.matrix/1"\n',
                                  "images: []\n", "sources: {}\nimages: []\ngpus: []\n"])  # fmt: skip
def test_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    assert said(merged(site(tmp_path, text))) == said(shipped())


def test_shipped_file_over_itself_changes_nothing() -> None:
    assert said(merged(matrices.shipped_path())) == said(shipped())


@given(st.randoms(use_true_random=False), st.data())
@few
def test_any_part_of_the_shipped_file_in_any_order_changes_nothing(chance: random.Random, data: st.DataObject) -> None:
    document = shipped_document()
    part = {}
    for section in data.draw(st.sets(st.sampled_from(sorted(site_matrix.KEYS)))):
        rows = copy.deepcopy(chance.sample(document[section], chance.randint(0, len(document[section]))))
        key = site_matrix.KEYS[section][0]
        part[section] = [{name: row[name] for name in row if name == key or chance.random() < 0.5} for row in rows]
    before = copy.deepcopy(document)
    one = site_matrix.Site(name="m", sections=part, sources={})
    put = site_matrix.merge(document, [one])
    assert put.faults == ()
    assert put.document == document == before
    assert dict(put.origins) == {}


_CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("images", {"tag": TAG, "python": "3.9"}),
    ("images", {"tag": "20.12-tf1-py3", "cuda": "11.2.0", "unset": ["forward_compat"]}),
    ("images", {"tag": "25.98-ours", "release": "25.98", "tensorflow": "1.15.6", "cuda": "11.8.0"}),
    ("images", {"tag": "25.99-ours", "release": "25.99", "tensorflow": "1.15.5", "cuda": "12.9.99"}),
    ("cuda", {"version": "12.9.99", "bundled_driver": "599.10"}),
    ("cuda", {"version": "11.8.0", "bundled_driver": "520.99"}),
    ("gpus", {"name": "GeForce RTX 3090", "first_branch": "456"}),
    ("gpus", {"name": "Board 9000", "compute_capability": "8.6", "data_center": "yes", "brand": "Board"}),
)  # fmt: skip


@given(st.permutations(_CHANGES))
@few
def test_order_of_unrelated_rows_does_not_matter(changes: list[tuple[str, dict[str, Any]]]) -> None:
    def put(rows: Any) -> Matrix:
        sections: dict[str, list[object]] = {}
        for section, row in rows:
            sections.setdefault(section, []).append(dict(row))
        done = site_matrix.merge(shipped_document(), [site_matrix.Site(name="m", sections=sections, sources={})])
        assert done.faults == ()
        return matrices.parse(done.document)

    def judged(matrix: Matrix) -> object:
        host = named("525.60.13", "RTX 3090")
        return [(one.image, one.verdict) for one in resolve(Request(tf="1.15"), host, matrix).candidates]

    one, other = put(_CHANGES), put(changes)
    assert set(map(repr, one.rows())) == set(map(repr, other.rows()))
    assert one.sources == other.sources
    assert judged(one) == judged(other)


# --- faults ---

FAULTS: tuple[tuple[str, str, str], ...] = (
    ("cell of a changed row", f'images:\n  - tag: "{TAG}"\n    cuda: 11.8\n',
     "site.yaml:3: images[0].cuda: expected text, found the number 11.8; versions stand in quotes"),
    ("item of a list", f'images:\n  - tag: "{TAG}"\n    built_for:\n      - "8.6"\n      - "x"\n',
     "site.yaml:5: images[0].built_for[1]: 'x' is no compute capability"),
    ("nothing", f'images:\n  - tag: "{TAG}"\n    cudnn:\n',
     "site.yaml:3: images[0].cudnn: expected text, found nothing; to make it unknown, say unset: [cudnn]"),
    ("unknown cell", f'images:\n  - tag: "{TAG}"\n    pyton: "3.8"\n',
     "site.yaml:3: images[0].pyton: unknown key; did you mean 'python'?"),
    ("long unknown cell", f'images:\n  - tag: "{TAG}"\n    {"k" * 100}: "3.8"\n',
     f"site.yaml:3: images[0].{'k' * 60}…: unknown key"),
    ("unknown CUDA", f'images:\n  - tag: "{TAG}"\n    cuda: "11.8.9"\n',
     "site.yaml:3: images[0].cuda: 11.8.9 is not in the section `cuda`"),
    ("unknown generation", 'gpus:\n  - name: "GeForce RTX 3090"\n    compute_capability: "8.8"\n',
     "site.yaml:3: gpus[0].compute_capability: 8.8 is not in the section `generations`"),
    ("unknown source", f'images:\n  - tag: "{TAG}"\n    source: [wiki]\n',
     "site.yaml:3: images[0].source[0]: 'wiki' is not a key of `sources`"),
    ("mistyped tag", 'images:\n  - tag: "22.12-tf1-py4"\n    python: "3.8"\n',
     "site.yaml:2: images[0].release: missing; expected a release like '22.12'; there is no row '22.12-tf1-py4' to"
     " change, the nearest is '22.12-tf1-py3'"),
    ("mistyped major", 'minor_version_compatibility:\n  - cuda_major: 99\n',
     "site.yaml:2: minor_version_compatibility[0].min_driver: missing; expected a driver version like"),
    ("no key", 'images:\n  - release: "22.12"\n', "site.yaml:2: images[0].tag: missing; expected a tag like"),
    ("no number", 'minor_version_compatibility:\n  - min_driver: "450"\n',
     "site.yaml:2: minor_version_compatibility[0].cuda_major: missing"),
    ("bad key", 'cuda:\n  - {version: "eleven", bundled_driver: "520"}\n',
     "site.yaml:2: cuda[0].version: 'eleven' is no CUDA version"),
    ("row is no mapping", "images:\n  - 22.12\n", "site.yaml:2: images[0]: expected a mapping, found the number 22.12"),
    ("section is no list", "sources: {a: b}\nimages: none\n",
     "site.yaml:2: images: expected a list of rows, found 'none'"),
    ("sources are no mapping", "sources: [a]\n", "site.yaml:1: sources: expected a mapping, found a list"),
    ("source is no text", "sources:\n  a: 3\n", "site.yaml:2: sources.a: expected text, found the number 3"),
    ("source of ours", 'sources:\n  "site: x": "y"\n', "site.yaml:2: sources.site: x: keys that begin with 'site: '"),
    ("unknown section", "image: []\n", "site.yaml:1: image: unknown key; did you mean 'images'?"),
    ("other schema", 'schema: "gpudoctor.matrix/2"\n', "site.yaml:1: schema: expected 'gpudoctor.matrix/1', found"),
    ("schema is no text", "schema: 1\n", "site.yaml:1: schema: expected text, found the number 1"),
    ("a list", "- a\n", "site.yaml:1: expected a mapping, found a list"),
    ("tag twice", f'images:\n  - {{tag: "{TAG}", python: "3.9"}}\n  - {{tag: "{TAG}", python: "3.8"}}\n',
     f"site.yaml:3: images[1]: '{TAG}' stands already in images[0]"),
    ("CUDA twice in other digits", 'cuda:\n  - {version: "11.8"}\n  - {version: "11.8.0"}\n',
     "site.yaml:3: cuda[1]: '11.8.0' stands already in cuda[0]"),
    ("product twice", 'gpus:\n  - {name: "GeForce RTX 3090"}\n  - {name: "NVIDIA GeForce RTX 3090"}\n',
     "site.yaml:3: gpus[1]: 'NVIDIA GeForce RTX 3090' stands already in gpus[0]"),
    ("cell twice", f'images:\n  - tag: "{TAG}"\n    python: "3.9"\n    python: "3.8"\n',
     "site.yaml:4: images[0].python: stands twice; the second would hide the first"),
    ("unset of what is needed", f'images:\n  - tag: "{TAG}"\n    unset: [cudnn, release]\n',
     "site.yaml:3: images[0].unset[1]: missing; expected a release"),
    ("unset of what is no cell", f'images:\n  - tag: "{TAG}"\n    unset: [cudn]\n',
     "site.yaml:3: images[0].unset[0]: unknown key; did you mean 'cudnn'?"),
    ("unset of the key", f'images:\n  - tag: "{TAG}"\n    unset: [tag]\n',
     "site.yaml:3: images[0].unset[0]: 'tag' is the key of the row, which stays"),
    ("unset of what is named", f'images:\n  - tag: "{TAG}"\n    python: "3.9"\n    unset: [python]\n',
     "site.yaml:4: images[0].unset[0]: the same row names this cell as well"),
    ("unset that is no list", f'images:\n  - tag: "{TAG}"\n    unset: python\n',
     "site.yaml:3: images[0].unset: expected a list of names of cells"),
    ("unset of no text", f'images:\n  - tag: "{TAG}"\n    unset: [3]\n',
     "site.yaml:3: images[0].unset[0]: expected the name of a cell"),
    ("unset in a new row", 'images:\n  - tag: "25.99-ours"\n    release: "25.99"\n    unset: [python]\n',
     "site.yaml:4: images[0].unset: this row is new: it has nothing to take away"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "line"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_fault_is_told_once_with_its_line_in_the_file_of_the_site(tmp_path: Path, text: str, line: str) -> None:
    (told,) = faults_of(site(tmp_path, text))
    assert told.startswith(line)
    assert len(told) < 500


def test_faults_of_several_files_each_name_their_own(tmp_path: Path) -> None:
    first = site(tmp_path, f'gpu: []\nimages:\n  - tag: "{TAG}"\n    cuda: 11.8\n    cudnn: 8\n', "first.yaml")
    second = site(tmp_path, f'images:\n  - {{tag: "{TAG}", python: 3.9,\n     cudnn: "8"}}\n', "second.yaml")
    told = faults_of(first, second)
    assert [line.partition(" expected")[0] for line in told] == [
        "first.yaml:1: gpu: unknown key; did you mean 'gpus'?",
        "first.yaml:4: images[0].cuda:",
        "second.yaml:2: images[0].python:",
    ]


def test_fault_of_an_added_row_stays_with_its_file_when_a_later_one_speaks_of_the_row(tmp_path: Path) -> None:
    first = site(tmp_path, 'images:\n  - {tag: "25.99-ours"}\n', "first.yaml")
    second = site(tmp_path, 'images:\n  - {tag: "x"}\n  - {tag: "25.99-ours", python: "3.9"}\n', "second.yaml")
    assert [line.partition(" missing")[0] for line in faults_of(first, second)] == [
        "first.yaml:2: images[0].release:",
        "second.yaml:2: images[0].release:",
    ]


def test_the_one_line_names_the_files_that_tell_the_rest(tmp_path: Path) -> None:
    first = site(tmp_path, "images: 3\ngpus: 4\n", "first file.yaml")
    second = site(tmp_path, "", "second.yaml")
    with pytest.raises(MatrixError) as refused:
        merged(first, second)
    assert refused.value.message.startswith(f"{first}:1: images: expected a list of rows, found the number 3 (and 1 mo")
    assert refused.value.hint == f'gpudoctor matrix validate "{first}" {second} lists every fault'
    assert refused.value.exit_code == 2


def test_empty_cell_of_a_whole_matrix_is_not_told_of_unset() -> None:
    document = copy.deepcopy(shipped_document())
    document["images"][0]["cudnn"] = None
    document["images"][1]["unset"] = ["cudnn"]
    with pytest.raises(MatrixError) as refused:
        matrices.parse(document)
    assert [(fault.place, fault.message.partition(";")[0]) for fault in refused.value.faults] == [
        ("images[0].cudnn", "expected text, found nothing"),
        ("images[1].unset", "unknown key"),
    ]


_PARTS: dict[str, Any] = {
    "schema": "gpudoctor.matrix/1",
    "sources": {"wiki": "https://wiki.example.org"},
    "cuda": [{"version": "11.8.0", "bundled_driver": "520.99"}, {"version": "12.9.99", "bundled_driver": "599"}],
    "gpus": [{"name": "GeForce RTX 3090", "first_branch": "456"}],
    "images": [{"tag": TAG, "python": "3.9", "source": ["wiki"], "unset": ["cudnn"]}],
    "minor_version_compatibility": [{"cuda_major": 11, "min_driver": "450"}],
}


@given(st.sampled_from(tuple(places(_PARTS))), json_values)
@few
def test_site_with_anything_at_one_place_is_merged_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps(replaced(_PARTS, place, value)))
    error = _refused(path)
    if error is None:
        return
    assert error.exit_code == 2
    assert error.message.startswith(str(path))
    assert "\n" not in error.message
    assert len(error.message) < 700
    faults = error.faults if isinstance(error, MatrixError) else ()
    assert all(fault.file == str(path) and fault.message for fault in faults)


def _refused(path: Path) -> GpudoctorError | None:
    try:
        merged(path)
    except GpudoctorError as error:
        return error
    return None


# --- hostile files ---

_MERGE_IN_BOUNDS = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from gpudoctor import matrix
from gpudoctor.errors import GpudoctorError
try:
    matrix.load_merged({Path(sys.argv[1]): "--matrix"})
except GpudoctorError as error:
    print(error.message)
"""

HOSTILE_ROWS: dict[str, bytes] = {
    "one row for ever": b"images:\n" + b'- {tag: "22.12-tf1-py3"}\n' * 80_000,
    "new rows without a cell": b"images:\n" + b"".join(b'- {tag: "22.12-tf1-%d"}\n' % one for one in range(70_000)),
    "unset for ever": b'images:\n- tag: "22.12-tf1-py3"\n  unset: [' + b"a," * 900_000 + b"]\n",
    "a long unset": b'images:\n- tag: "22.12-tf1-py3"\n  unset: ["' + b"a" * 1_900_000 + b'"]\n',
    "a long tag": b'images:\n- tag: "' + b"2" * 1_900_000 + b'"\n',
    "a long product": b'gpus:\n- name: "' + b"rtx 3090 " * 200_000 + b'"\n',
    "unknown cells": b'images:\n- tag: "22.12-tf1-py3"\n' + b"".join(b"  k%d: x\n" % one for one in range(150_000)),
    "sources of ours": b"sources:\n" + b"".join(b'  "site: %d": x\n' % one for one in range(90_000)),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*HOSTILE, *HOSTILE_ROWS])
def test_hostile_site_is_refused_in_one_line_within_bounds(tmp_path: Path, kind: str) -> None:
    path = site(tmp_path, {**HOSTILE, **HOSTILE_ROWS}[kind])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-c", _MERGE_IN_BOUNDS, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(path))
    assert done.stdout.count("\n") == 1
    assert len(done.stdout) < 700
    assert spent < 30


def test_faults_of_a_site_beyond_a_thousand_are_not_looked_for(tmp_path: Path) -> None:
    told = faults_of(site(tmp_path, HOSTILE_ROWS["one row for ever"]))
    assert len(told) == MAX_FAULTS + 1
    assert told[-1].endswith(f"more than {MAX_FAULTS} faults; the rest was not looked at")


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"a: [1, 2\n", ":2: not YAML: "), (b"a: &x [1]\nb: *x\n", ":2: alias *x"), (b"\x00\x01", ": not YAML: ")],
)
def test_what_is_no_plain_yaml_is_refused_as_everywhere(tmp_path: Path, text: bytes, message: str) -> None:
    path = site(tmp_path, text)
    with pytest.raises(InputError) as refused:
        load_merged({path: "$GPUDOCTOR_MATRIX"})
    assert refused.value.message.startswith(f"{path}{message}")
    assert refused.value.hint == "it comes from $GPUDOCTOR_MATRIX"


# --- on the command line: who names the files ---

WHAT_IF = ("--driver", "455.45.01", "--gpu", "RTX 3090")


def row(python: str, tag: str = TAG) -> str:
    return f'images:\n  - {{tag: "{tag}", python: "{python}"}}\n'


class User:
    """Somebody with a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def configure(self, text: str, folder: str = ".config") -> Path:
        path = self.home / folder / "gpudoctor" / "matrix.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return path

    def runs(self, *arguments: str, before: tuple[str, ...] = (), **variables: str) -> Ended:
        around = {name: value for name, value in os.environ.items() if name not in ("XDG_CONFIG_HOME", "NO_COLOR")}
        done = subprocess.run(
            [*before, str(PROGRAM), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**around, "HOME": str(self.home), **variables},
            cwd=self.home,
        )
        return Ended(code=done.returncode, out=done.stdout, err=done.stderr)

    def python_of(self, tag: str, *arguments: str, **variables: str) -> tuple[str, str | None]:
        ended = self.runs("matrix", "show", tag, "--format", "json", *arguments, before=(), **variables)
        assert (ended.code, ended.err) == (0, "")
        image: Mapping[str, str] = json.loads(ended.out)["image"]
        return image["python"], image["site"]


@pytest.fixture
def user(tmp_path: Path) -> User:
    home = tmp_path / "home"
    home.mkdir()
    return User(home)


def test_without_a_site_no_row_is_marked(user: User) -> None:
    assert user.python_of(TAG) == ("3.8", None)
    assert "SITE" not in user.runs("matrix", "list").out
    assert "site" not in user.runs("matrix", "show", TAG).out


def test_file_in_the_config_folder_of_the_user_is_read(user: User) -> None:
    path = user.configure(row("3.9"))
    assert user.python_of(TAG) == ("3.9", str(path))


def test_xdg_config_home_replaces_the_folder_and_is_ignored_where_it_is_not_absolute(user: User) -> None:
    home = user.configure(row("3.9"))
    other = user.configure(row("3.10"), "elsewhere")
    assert user.python_of(TAG, XDG_CONFIG_HOME=str(user.home / "elsewhere")) == ("3.10", str(other))
    assert user.python_of(TAG, XDG_CONFIG_HOME="elsewhere") == ("3.9", str(home))
    assert user.python_of(TAG, XDG_CONFIG_HOME="") == ("3.9", str(home))
    assert user.python_of(TAG, XDG_CONFIG_HOME=str(user.home / "nowhere")) == ("3.8", None)


def test_option_wins_over_the_variable_and_that_over_the_config_folder(user: User) -> None:
    config = user.configure(row("3.9"))
    variable, option = site(user.home, row("3.10"), "v.yaml"), site(user.home, row("3.11"), "o.yaml")
    assert user.python_of(TAG, GPUDOCTOR_MATRIX=str(variable)) == ("3.10", str(variable))
    assert user.python_of(TAG, "--matrix", str(option), GPUDOCTOR_MATRIX=str(variable)) == ("3.11", str(option))
    assert user.python_of(TAG, "--matrix", str(config), GPUDOCTOR_MATRIX=str(variable)) == ("3.9", str(config))
    assert user.python_of(TAG, GPUDOCTOR_MATRIX="") == ("3.9", str(config))


def test_all_files_are_merged_each_for_its_own_rows(user: User) -> None:
    config = user.configure(row("3.9"))
    variable = site(user.home, row("3.10", "22.11-tf1-py3"), "v.yaml")
    option = site(user.home, row("3.11", "22.10-tf1-py3"), "o.yaml")
    ended = user.runs("matrix", "list", "--tf", "1.15", "--matrix", str(option), GPUDOCTOR_MATRIX=str(variable))
    assert ended.out.splitlines()[0].split()[-1] == "SITE"
    cells = {line.split()[0]: line.split() for line in ended.out.splitlines()}
    assert {tag: line[-1] for tag, line in cells.items() if len(line) == 8 and tag != "TAG"} == {
        TAG: str(config),
        "22.11-tf1-py3": str(variable),
        "22.10-tf1-py3": str(option),
    }


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here: nothing can stand in for /etc")
def test_file_of_the_system_is_read_before_that_of_the_user(user: User, tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "gpudoctor"
    folder.mkdir(parents=True)
    site(folder, row("3.9") + '  - {tag: "22.11-tf1-py3", python: "3.10"}\n', "matrix.yaml")
    inside = ("unshare", "--mount", "--map-root-user", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"')
    before = (*inside, str(folder.parent))
    allowed = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"no mount of one's own is allowed here: {allowed.stderr.strip()}")
    path = user.configure(row("3.12"))
    document = json.loads(user.runs("matrix", "list", "--format", "json", before=before).out)
    images = {one["tag"]: (one["python"], one["site"]) for one in document["images"]}
    assert images[TAG] == ("3.12", str(path))
    assert images["22.11-tf1-py3"] == ("3.10", "/etc/gpudoctor/matrix.yaml")


def test_named_file_that_is_not_there_is_exit_2_and_says_who_names_it(user: User) -> None:
    for arguments in (("resolve", *WHAT_IF), ("check", *WHAT_IF), ("matrix", "list")):
        told, hint = assert_one_line(user.runs(*arguments, GPUDOCTOR_MATRIX="/nowhere.yaml"), code=2)
        assert told == "/nowhere.yaml: cannot be read: No such file or directory"
        assert hint.endswith("this one comes from $GPUDOCTOR_MATRIX")
        told, hint = assert_one_line(user.runs(*arguments, "--matrix", "/nowhere.yaml"), code=2)
        assert told == "/nowhere.yaml: cannot be read: No such file or directory"
        assert hint.endswith("this one comes from --matrix")


def test_broken_config_file_is_exit_2_and_names_it(user: User) -> None:
    path = user.configure(f'images:\n  - tag: "{TAG}"\n    python: 3.9\n')
    for arguments in (("resolve", *WHAT_IF), ("check", *WHAT_IF), ("matrix", "list"), ("matrix", "show", TAG)):
        told, hint = assert_one_line(user.runs(*arguments), code=2)
        assert told.startswith(f"{path}:3: images[0].python: expected text, found the number 3.9")
        assert hint == f"gpudoctor matrix validate {path} lists every fault"
    path.write_text("images: [\n")
    told, hint = assert_one_line(user.runs("resolve", *WHAT_IF), code=2)
    assert told.startswith(f"{path}:")
    assert hint == "it comes from the configuration folder"


def test_config_file_that_cannot_be_read_is_exit_2_and_never_passed_over(user: User) -> None:
    path = user.home / ".config" / "gpudoctor" / "matrix.yaml"
    path.mkdir(parents=True)
    told, _ = assert_one_line(user.runs("resolve", *WHAT_IF), code=2)
    assert told == f"{path}: cannot be read: Is a directory"
    path.rmdir()
    path.symlink_to("/nowhere.yaml")
    told, hint = assert_one_line(user.runs("resolve", *WHAT_IF), code=2)
    assert told == f"{path}: cannot be read: No such file or directory"
    assert hint.endswith("this one comes from the configuration folder")
    path.unlink()
    path.symlink_to(path)
    told, _ = assert_one_line(user.runs("resolve", *WHAT_IF), code=2)
    assert told.startswith(f"{path}: cannot be read: ")


@pytest.fixture
def neighbour() -> Iterator[User]:
    """Whose home everybody may enter; pytest's own folders are for one user alone."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        yield User(Path(home))
        Path(home).chmod(0o755)


def test_config_file_or_folder_of_somebody_else_is_refused(neighbour: User, monkeypatch: pytest.MonkeyPatch) -> None:
    path = neighbour.configure(row("3.9"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(neighbour.home / ".config"))
    for one in (path, path.parent):
        one.chmod(0)
        # In this process, because nobody may not start an interpreter that lives in root's home.
        with as_nobody(), pytest.raises(InputError) as refused:
            options.load_matrix(None)
        assert refused.value.message == f"{path}: cannot be read: Permission denied"
        one.chmod(0o755)


def test_home_of_somebody_else_is_passed_over_with_a_line(
    neighbour: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = neighbour.configure(row("3.9"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(neighbour.home / ".config"))
    neighbour.home.chmod(0)
    with as_nobody():
        matrix = options.load_matrix(None)
    assert image(matrix).python == "3.8"
    assert capsys.readouterr().err == f"gpudoctor: {path}: not looked for: Permission denied\n"


def test_config_folder_that_is_a_file_holds_no_matrix(user: User) -> None:
    (user.home / ".config").write_text("")
    assert user.python_of(TAG) == ("3.8", None)


def test_resolve_chooses_by_the_site_and_says_so(user: User) -> None:
    path = site(
        user.home,
        'images:\n  - {tag: "20.99-ours", release: "20.99", tensorflow: "1.15.9", cuda: "11.1.1",'
        ' built_for: ["8.6"]}\n',
    )
    ended = user.runs("resolve", "--tf", "1.15", *WHAT_IF, "--matrix", str(path), "--format", "json")
    best = json.loads(ended.out)["best"]
    assert (ended.code, best["tag"], best["sources"]) == (0, "20.99-ours", [f"site: {path}"])
    assert f"site: {path}" in [reason["source"] for reason in best["reasons"]]
    text = user.runs("resolve", "--tf", "1.15", *WHAT_IF, "--matrix", str(path)).out
    assert text.startswith("nvcr.io/nvidia/tensorflow:20.99-ours\n")
    assert f"      site: {path}\n" in text


def test_list_and_show_mark_what_a_site_has_a_hand_in(user: User) -> None:
    path = site(
        user.home,
        'cuda:\n  - {version: "11.1.1", bundled_driver: "455.40"}\n'
        'images:\n  - {tag: "25.99-ours", release: "25.99", tensorflow: "1.15.9", cuda: "11.8.0"}\n',
    )
    listed = user.runs("matrix", "list", "--tf", "1.15", "--matrix", str(path)).out.splitlines()
    assert listed[1].split() == ["25.99-ours", "1.15.9", "11.8.0", "520.61.05", "?", "high", "ngc", str(path)]
    (line,) = (line for line in listed if line.startswith("20.12-tf1-py3 "))
    assert line.split()[:7] == ["20.12-tf1-py3", "1.15.4", "11.1.1", "455.40", "3.8", "medium", "ngc"]
    assert line.split()[7:] == ["driver:", str(path)]
    shown = user.runs("matrix", "show", "20.12-tf1-py3", "--matrix", str(path)).out.splitlines()
    assert [one.split(maxsplit=1) for one in shown if "site" in one] == [["min_driver_site", str(path)]]
    shown = user.runs("matrix", "show", "25.99-ours", "--matrix", str(path)).out.splitlines()
    assert ["site", str(path)] in [one.split(maxsplit=1) for one in shown]
    rows = json.loads(user.runs("matrix", "list", "--matrix", str(path), "--format", "json").out)["images"]
    assert [one["tag"] for one in rows if one["site"]] == ["25.99-ours"]
    assert {one["cuda"] for one in rows if one["min_driver_site"]} == {"11.1.1"}


def test_without_a_site_nothing_of_merging_is_imported(user: User) -> None:
    program = "import sys; from gpudoctor.cli import options; options.load_matrix(None); print(*sys.modules)"
    environment = {**os.environ, "HOME": str(user.home), "XDG_CONFIG_HOME": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert "gpudoctor.matrix" in done.stdout.split()
    assert "gpudoctor.site_matrix" not in done.stdout.split()
