"""The shipped matrix is consistent, and says what its sources say. Read as plain YAML, without gpudoctor's parser."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

MATRIX = Path(__file__).resolve().parent.parent / "compat_matrix.yaml"
TEXT = MATRIX.read_text(encoding="utf-8")
DATA: dict[str, Any] = yaml.load(TEXT, Loader=yaml.CSafeLoader)

SECTIONS = (
    "cuda",
    "minor_version_compatibility",
    "forward_compatibility",
    "generations",
    "gpus",
    "images",
    "upstream_images",
)
IMAGES: dict[str, dict[str, Any]] = {row["tag"]: row for row in DATA["images"]}
CUDA: dict[str, dict[str, Any]] = {row["version"]: row for row in DATA["cuda"]}
GENERATIONS: dict[str, dict[str, Any]] = {row["compute_capability"]: row for row in DATA["generations"]}
GPUS: dict[str, dict[str, Any]] = {row["name"]: row for row in DATA["gpus"]}

IMAGE_KEYS = (
    "tag", "release", "tensorflow", "cuda", "cudnn", "python", "ubuntu", "arm64", "bundled_driver",
    "min_driver_stated", "forward_compat", "min_capability", "built_for", "ptx", "derived", "confidence", "source",
    "checked", "note",
)  # fmt: skip


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def branch(driver: str) -> int:
    return number(driver)[0]


def rows() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{section}[{place}]", row) for section in SECTIONS for place, row in enumerate(DATA[section])]


def test_schema_is_the_first_one() -> None:
    assert DATA["schema"] == "gpudoctor.matrix/1"
    assert set(DATA) == {"schema", "sources", *SECTIONS}


def test_every_row_has_a_source_that_stands_in_sources_and_a_month() -> None:
    for place, row in rows():
        assert row["source"], place
        assert set(row["source"]) <= set(DATA["sources"]), place
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row["checked"]), place


def test_every_source_is_used_and_stands_once() -> None:
    used = {key for _, row in rows() for key in row["source"]}
    assert set(DATA["sources"]) == used
    assert len(set(DATA["sources"].values())) == len(DATA["sources"])


def test_nothing_is_null_empty_or_an_unquoted_number() -> None:
    for place, row in rows():
        for key, cell in row.items():
            if key == "cuda_major":
                assert isinstance(cell, int), f"{place}.{key}"
                continue
            cells = cell if isinstance(cell, list) else [cell]
            assert cells or key in ("forward_compat",), f"{place}.{key}"
            assert all(isinstance(part, str) and part.strip() == part and part for part in cells), f"{place}.{key}"


def test_no_key_is_written_twice() -> None:
    # YAML keeps the last of two equal keys in silence.
    def walk(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), node.start_mark
            for _, value in node.value:
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for child in node.value:
                walk(child)

    root = yaml.compose(TEXT, Loader=yaml.CSafeLoader)
    assert root is not None
    walk(root)


def test_the_file_mentions_nothing_of_the_place_it_was_written_at() -> None:
    assert not re.search(r"/work|find_string|\bindex ids?\b|\bCSV\b|the lead\b", TEXT, re.IGNORECASE)
    assert not [line for line in TEXT.splitlines() if line != line.rstrip()]


# --- images ---------------------------------------------------------------------------------------------------------


def test_every_release_of_the_line_has_its_tags() -> None:
    # 16.12 is the first chapter of NVIDIA's release notes, 25.02 the last. 105 tags up to 21.12 and 59 after it.
    assert len(DATA["images"]) == len(IMAGES) == 164
    releases = {row["release"] for row in IMAGES.values()}
    months = {f"{year}.{month:02}" for year in range(17, 26) for month in range(1, 13)}
    never_released = {"17.08", "20.04", "20.05", "21.01", *(f"25.{month:02}" for month in range(3, 13))}
    assert releases == {"16.12", *months} - never_released


def test_keys_of_an_image_are_known_and_stand_in_one_order() -> None:
    for tag, row in IMAGES.items():
        assert list(row) == [key for key in IMAGE_KEYS if key in row], tag
        assert {"tag", "release", "arm64", "confidence"} <= set(row), tag


def test_release_is_the_one_in_the_tag() -> None:
    for tag, row in IMAGES.items():
        assert re.fullmatch(r"\d\d\.\d\d(-tf[12])?(-py[23])?(-igpu)?", tag), tag
        assert tag.partition("-")[0] == row["release"], tag


def test_newest_release_stands_first() -> None:
    for newer, older in pairwise(DATA["images"]):
        assert newer["release"] >= older["release"], older["tag"]


def test_python_and_tensorflow_are_those_of_the_suffix() -> None:
    for tag, row in IMAGES.items():
        suffix = re.search(r"-py([23])", tag)
        if suffix and "python" in row:
            assert row["python"].startswith(f"{suffix[1]}."), tag
        line = re.search(r"-tf([12])-", tag)
        if line and "tensorflow" in row:
            assert row["tensorflow"].startswith(f"{line[1]}."), tag


def test_every_image_names_a_cuda_of_the_table() -> None:
    for tag, row in IMAGES.items():
        assert "cuda" not in row or row["cuda"] in CUDA, tag


def test_a_driver_stands_in_an_image_only_where_its_cuda_has_another() -> None:
    for tag, row in IMAGES.items():
        if "bundled_driver" in row:
            assert row["bundled_driver"] != CUDA[row["cuda"]]["bundled_driver"], tag
            assert branch(row["bundled_driver"]) == branch(CUDA[row["cuda"]]["bundled_driver"]), tag


def test_forward_compatible_branches_stand_once_rising_and_not_above_the_images_own() -> None:
    for tag, row in IMAGES.items():
        if row.get("forward_compat"):
            own = row.get("bundled_driver", CUDA[row["cuda"]]["bundled_driver"])
            branches = [branch(floor) for floor in row["forward_compat"]]
            assert branches == sorted(set(branches)), tag
            assert branches[-1] <= branch(own), tag


def test_build_lists_rise_and_fit_the_toolkit() -> None:
    for tag, row in IMAGES.items():
        if "built_for" in row:
            built = [number(capability) for capability in row["built_for"]]
            assert built == sorted(set(built)), tag
            toolkit = CUDA[row["cuda"]]
            assert number(toolkit["min_capability"]) <= built[0], tag
            assert built[-1] <= number(toolkit["max_native_capability"]), tag
            assert set(row["built_for"]) <= set(GENERATIONS), tag
            assert set(row.get("ptx", ())) <= set(row["built_for"]), tag


def test_derived_names_cells_that_are_there() -> None:
    for tag, row in IMAGES.items():
        assert set(row.get("derived", ())) <= set(row) - {"derived", "tag", "release", "source", "checked", "note"}, tag


def test_versions_never_fall_from_one_release_to_the_next() -> None:
    for line in ("tf1-py3", "tf2-py3"):
        run = [row for row in reversed(DATA["images"]) if row["tag"].endswith(line)]
        for key in ("cuda", "python", "ubuntu", "tensorflow"):
            known = [(row["tag"], number(row[key])) for row in run if key in row]
            for (_, before), (tag, after) in pairwise(known):
                # "2.3" after "2.3.0" is the same minor with its patch unread
                assert after >= before[: len(after)], f"{tag}.{key}"


def test_an_igpu_image_says_nothing_of_the_desktop_stack() -> None:
    tags = [tag for tag in IMAGES if tag.endswith("-igpu")]
    assert len(tags) == 6
    for tag in tags:
        assert IMAGES[tag]["arm64"] == "yes"
        assert not {"cuda", "min_driver_stated", "forward_compat", "built_for"} & set(IMAGES[tag]), tag


def test_confidence_and_arm64_are_of_the_known_words() -> None:
    for place, row in rows():
        assert row.get("confidence", "high") in ("high", "medium", "low"), place
        assert row.get("arm64", "no") in ("yes", "no", "unknown"), place


# Read on the pages named, 2026-11; none of it is copied from the file.
SPOT_VALUES: tuple[tuple[str, dict[str, Any]], ...] = (
    # docs.nvidia.com/deeplearning/frameworks/tensorflow-release-notes/rel_18.05.html
    ("18.05-py2", {"tensorflow": "1.7.0", "cuda": "9.0", "cudnn": "7.1.2", "python": "2.7", "ubuntu": "16.04"}),
    ("18.05-py3", {"tensorflow": "1.7.0", "python": "3.5", "min_driver_stated": "384", "forward_compat": []}),
    # …/dgx/tensorflow-release-notes/rel_18.06.html, rel_18.07.html
    ("18.06-py3", {"tensorflow": "1.8.0", "cuda": "9.0", "cudnn": "7.1.4", "min_driver_stated": "384"}),
    ("18.07-py3", {"tensorflow": "1.8.0", "cuda": "9.0", "cudnn": "7.1.4", "ubuntu": "16.04"}),
    # …/frameworks/tensorflow-release-notes/rel_18.08.html
    ("18.08-py2", {"tensorflow": "1.9.0", "cuda": "9.0", "cudnn": "7.2.1", "python": "2.7"}),
    # …/dgx/tensorflow-release-notes/rel_18.09.html to rel_19.02.html
    ("18.09-py3", {"tensorflow": "1.10.0", "cuda": "10.0", "cudnn": "7.3.0", "forward_compat": ["384"]}),
    ("18.10-py3", {"tensorflow": "1.10.0", "cuda": "10.0", "cudnn": "7.4.0", "min_driver_stated": "410"}),
    ("18.11-py3", {"tensorflow": "1.12.0-rc2", "cuda": "10.0", "cudnn": "7.4.1", "python": "3.5"}),
    ("18.12-py3", {"cuda": "10.0", "cudnn": "7.4.1", "min_capability": "6.0", "forward_compat": ["384"]}),
    ("19.01-py2", {"cuda": "10.0", "cudnn": "7.4.2", "min_capability": "6.0", "python": "2.7"}),
    ("19.02-py3", {"cuda": "10.0", "cudnn": "7.4.2", "min_capability": "6.0", "min_driver_stated": "410"}),
    # …/frameworks/tensorflow-release-notes/rel_19.09.html
    ("19.09-py3", {"cuda": "10.1.243", "cudnn": "7.6.3", "python": "3.6", "ubuntu": "18.04"}),
    # …/dgx/tensorflow-release-notes/rel_19.11.html, …/frameworks/tensorflow-release-notes/rel_19.12.html
    (
        "19.11-tf1-py3",
        {
            "cuda": "10.2.89",
            "min_driver_stated": "440.30",
            "forward_compat": ["384.111", "396", "410", "418"],
        },
    ),
    (
        "19.12-tf2-py3",
        {
            "cuda": "10.2.89",
            "min_driver_stated": "440.30",
            "forward_compat": ["384.111", "396", "410", "418", "440.30"],
        },
    ),
    # rel_20-03.html, rel_20-06.html, rel_20-10.html
    ("20.03-tf2-py3", {"cuda": "10.2.89", "cudnn": "7.6.5", "python": "3.6", "min_driver_stated": "440.33.01"}),
    ("20.06-tf1-py3", {"cuda": "11.0.1", "cudnn": "8.0.1", "python": "3.6", "forward_compat": ["418", "440.30"]}),
    (
        "20.10-tf1-py3",
        {
            "cuda": "11.1.0",
            "cudnn": "8.0.4",
            "python": "3.6",
            "ubuntu": "18.04",
            "min_driver_stated": "455",
            "forward_compat": ["418", "440.30", "450"],
        },
    ),
    # docs.nvidia.com/deeplearning/sdk/inference-release-notes/rel_20-12.html (Triton)
    (
        "20.12-tf1-py3",
        {
            "cuda": "11.1.1",
            "cudnn": "8.0.5",
            "python": "3.8",
            "ubuntu": "20.04",
            "min_driver_stated": "455",
            "forward_compat": ["418", "440.30", "450"],
            "min_capability": "6.0",
        },
    ),
    # rel_21-04.html, rel_21-05.html, rel_21-06.html, rel_21-10.html
    ("21.04-tf1-py3", {"cuda": "11.3.0", "cudnn": "8.2.0.41", "python": "3.8", "min_driver_stated": "465.19.01"}),
    ("21.05-tf2-py3", {"cuda": "11.3.0", "cudnn": "8.2.0.51", "ubuntu": "20.04"}),
    ("21.06-tf2-py3", {"cuda": "11.3.1", "cudnn": "8.2.1", "min_driver_stated": "465.19.01"}),
    # docs.nvidia.com/deeplearning/frameworks/dlprof-release-notes/dlprof-release-notes-2109.html
    (
        "21.09-tf2-py3",
        {"tensorflow": "2.6.0", "cuda": "11.4.2", "forward_compat": ["418.40", "440.33", "450.51", "460.27"]},
    ),
    ("21.10-tf1-py3", {"cuda": "11.4.2", "cudnn": "8.2.4.15", "arm64": "yes", "min_driver_stated": "470"}),
    # Triton 21.12, 22.01, 22.05, 22.07, 22.12
    ("21.12-tf2-py3", {"cuda": "11.5.0", "cudnn": "8.3.1.22", "min_driver_stated": "495"}),
    (
        "22.01-tf1-py3",
        {"cuda": "11.6.0", "forward_compat": ["418.40", "440.33", "450.51", "460.27", "470.57"]},
    ),
    ("22.05-tf2-py3", {"min_driver_stated": "515", "forward_compat": ["450.51", "470.57", "510.47"]}),
    ("22.06-tf1-py3", {"cuda": "11.7.1", "min_driver_stated": "515", "min_capability": "6.0"}),
    ("22.07-tf1-py3", {"min_driver_stated": "515", "forward_compat": ["450.51", "470.57", "510.47"]}),
    ("22.10-tf2-py3", {"cuda": "11.8.0", "forward_compat": ["450.51", "470.57", "510.47", "515.65"]}),
    # github.com/NVIDIA/tensorflow/releases
    ("22.12-tf1-py3", {"tensorflow": "1.15.5", "python": "3.8", "ubuntu": "20.04", "cuda": "11.8.0"}),
    ("23.03-tf1-py3", {"tensorflow": "1.15.5", "python": "3.8", "ubuntu": "20.04"}),
    # rel-23-01.html; Triton 23.06, 23.08, 23.12, 24.06, 24.10
    (
        "23.01-tf2-py3",
        {"cuda": "12.0.1", "forward_compat": ["450.51", "470.57", "510.47", "515.65", "525.85"]},
    ),
    ("23.06-tf2-py3", {"cuda": "12.1.1", "min_driver_stated": "530", "min_capability": "6.0"}),
    (
        "23.08-tf2-py3",
        {"cuda": "12.2.1", "forward_compat": ["450.51", "470.57", "510.47", "525.85", "535.86"]},
    ),
    ("23.12-tf2-py3", {"cuda": "12.3.2", "min_driver_stated": "545", "min_capability": "6.0"}),
    (
        "24.06-tf2-py3",
        {
            "cuda": "12.5.0",
            "min_driver_stated": "545",
            "forward_compat": ["470.57", "525.85", "535.86", "545.23"],
        },
    ),
    (
        "24.10-tf2-py3",
        {
            "cuda": "12.6.2",
            "min_driver_stated": "560",
            "forward_compat": ["470.57", "525.85", "535.86", "545.23"],
        },
    ),
    # developer.download.nvidia.com/compute/redist/jp/v60/tensorflow/tensorflow-2.16.1+nv24.07-….whl
    ("24.07-tf2-py3", {"tensorflow": "2.16.1"}),
)


@pytest.mark.parametrize(("tag", "cells"), SPOT_VALUES, ids=[tag for tag, _ in SPOT_VALUES])
def test_image_says_what_its_source_says(tag: str, cells: dict[str, Any]) -> None:
    assert {key: IMAGES[tag].get(key) for key in cells} == cells


def test_tensorflow_that_no_source_gives_is_absent_where_the_neighbours_differ() -> None:
    for tag in ("23.07-tf2-py3", "23.10-tf2-py3", "24.09-tf2-py3", "24.10-tf2-py3", "24.11-tf2-py3"):
        assert "tensorflow" not in IMAGES[tag]
        assert "TF not found" in IMAGES[tag]["note"]
    assert IMAGES["24.03-tf2-py3"]["tensorflow"] == "2.15.0"
    assert "tensorflow" in IMAGES["24.03-tf2-py3"]["derived"]


# --- CUDA and drivers -----------------------------------------------------------------------------------------------


def test_cuda_rows_stand_once_newest_first() -> None:
    versions = [number(row["version"]) for row in DATA["cuda"]]
    assert versions == sorted(set(versions), reverse=True)


def test_a_newer_cuda_never_ships_with_an_older_branch() -> None:
    # "8.0" stands for either build of 8.0, with the driver of the newer one.
    for newer, older in pairwise(row for row in DATA["cuda"] if row["version"] != "8.0"):
        assert branch(newer["bundled_driver"]) >= branch(older["bundled_driver"]), newer["version"]
        assert number(newer["max_native_capability"]) >= number(older["max_native_capability"]), newer["version"]
        assert number(newer["min_capability"]) >= number(older["min_capability"]), newer["version"]


# NVIDIA's table of toolkits and drivers, as copied for CUDA 11.6 at
# https://blog.csdn.net/ytomc/article/details/122805982 (2026-11), and the installers' file names for 10.1.168 and
# 10.1.243 (cuda_10.1.243_418.87.00_linux.run, cuda_10.1.243_426.00_win10.exe).
TOOLKIT_DRIVERS = (
    ("11.6.0", "510.39.01", "511.23"),
    ("11.5.2", "495.29.05", "496.13"),
    ("11.5.0", "495.29.05", "496.04"),
    ("11.4.4", "470.82.01", "472.50"),
    ("11.4.2", "470.57.02", "471.41"),
    ("11.4.0", "470.42.01", "471.11"),
    ("11.3.1", "465.19.01", "465.89"),
    ("11.2.2", "460.32.03", "461.33"),
    ("11.2.0", "460.27.03", "460.82"),
    ("11.1.1", "455.32", "456.81"),
    ("11.1.0", "455.23", "456.38"),
    ("11.0.3", "450.51.06", "451.82"),
    ("11.0.2", "450.51.05", "451.48"),
    ("11.0.1", "450.36.06", "451.22"),
    ("10.2.89", "440.33", "441.22"),
    ("10.1.243", "418.87.00", "426.00"),
    ("10.1.168", "418.67", "425.25"),
    ("10.1.105", "418.39", "418.96"),
    ("10.0", "410.48", "411.31"),
    ("9.2.148", "396.37", "398.26"),
    ("9.1", "390.46", "391.29"),
    ("9.0", "384.81", "385.54"),
    ("8.0.61", "375.26", "376.51"),
    ("8.0.44", "367.48", "369.30"),
)


@pytest.mark.parametrize(("version", "linux", "windows"), TOOLKIT_DRIVERS)
def test_toolkit_ships_with_the_driver_of_nvidias_table(version: str, linux: str, windows: str) -> None:
    assert CUDA[version]["bundled_driver"] == linux
    assert CUDA[version]["bundled_driver_windows"] == windows


def test_minor_version_floors_are_those_of_the_cudnn_support_matrix() -> None:
    # docs.nvidia.com/deeplearning/cudnn/archives/cudnn-895/pdf/cuDNN-Support-Matrix.pdf (2026-11)
    floors = {row["cuda_major"]: row for row in DATA["minor_version_compatibility"]}
    assert set(floors) == {int(version.partition(".")[0]) for version in CUDA if number(version)[0] >= 11}
    assert (floors[11]["min_driver"], floors[11]["min_driver_windows"]) == ("450.80.02", "452.39")
    assert (floors[12]["min_driver"], floors[12]["min_driver_windows"]) == ("525.60.13", "527.41")
    assert floors[13]["min_driver"] == "580.65.06"
    assert "min_driver_windows" not in floors[13]


def test_forward_compatibility_knows_every_cuda_from_10_and_says_each_branch_once() -> None:
    listed = [row["cuda"] for row in DATA["forward_compatibility"]]
    assert len(listed) == len(set(listed))
    assert {".".join(row["cuda"].split(".")[:2]) for row in IMAGES.values() if "cuda" in row} - set(listed) == {
        "8.0",
        "9.0",  # CUDA 10.0 was the first with a compat package
    }
    for row in DATA["forward_compatibility"]:
        said = [*row["branches"], *row.get("refused", ()), *row.get("disputed", ())]
        assert len(said) == len(set(said)), row["cuda"]
        own = next(c["bundled_driver"] for c in DATA["cuda"] if c["version"].startswith(row["cuda"]))
        assert all(branch(other) < branch(own) for other in said), row["cuda"]


# --- GPUs -----------------------------------------------------------------------------------------------------------


def test_every_gpu_stands_once_and_has_its_generation() -> None:
    assert len(GPUS) == len(DATA["gpus"])
    assert {row["compute_capability"] for row in GPUS.values()} == set(GENERATIONS)
    for name, row in GPUS.items():
        assert row["data_center"] in ("yes", "no", "ngc-ready"), name


def test_generations_stand_newest_first_and_live_from_first_to_last_branch() -> None:
    capabilities = [number(row["compute_capability"]) for row in DATA["generations"]]
    assert capabilities == sorted(set(capabilities), reverse=True)
    for capability, row in GENERATIONS.items():
        if "first_branch" in row and "last_branch" in row:
            assert branch(row["first_branch"]) < branch(row["last_branch"]), capability


def test_a_product_has_its_own_first_branch_only_where_it_came_later() -> None:
    for name, row in GPUS.items():
        if "first_branch" in row:
            generation = GENERATIONS[row["compute_capability"]]
            assert branch(row["first_branch"]) > branch(generation["first_branch"]), name


@pytest.mark.parametrize(
    ("capabilities", "last"),
    # docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html (2026-11)
    [
        (("3.0", "3.5", "3.7"), "470"),
        (("5.0", "5.2", "6.0", "6.1", "7.0"), "580"),
        (("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0"), None),
    ],
)
def test_driver_support_ends_where_nvidias_architecture_matrix_ends_it(
    capabilities: tuple[str, ...], last: str | None
) -> None:
    for capability in capabilities:
        assert GENERATIONS[capability].get("last_branch") == last


def test_open_kernel_module_drives_turing_and_newer_and_blackwell_wants_it() -> None:
    for capability, row in GENERATIONS.items():
        wanted = "required" if row["architecture"] == "Blackwell" else "optional"
        assert row["open_module"] == (wanted if number(capability) >= (7, 5) else "no"), capability


@pytest.mark.parametrize(
    ("name", "capability", "data_center"),
    # developer.nvidia.com/cuda-gpus and cuda-legacy-gpus (2026-11)
    [
        ("NVIDIA GB10", "12.1", "no"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0", "yes"),
        ("GeForce RTX 5090", "12.0", "no"),
        ("Jetson T5000", "11.0", "no"),
        ("NVIDIA B300", "10.3", "yes"),
        ("NVIDIA B200", "10.0", "yes"),
        ("NVIDIA GH200", "9.0", "yes"),
        ("NVIDIA L40S", "8.9", "yes"),
        ("GeForce RTX 4090", "8.9", "no"),
        ("Jetson AGX Orin", "8.7", "no"),
        ("NVIDIA A40", "8.6", "yes"),
        ("GeForce RTX 3090", "8.6", "no"),
        ("NVIDIA A100", "8.0", "yes"),
        ("Tesla T4", "7.5", "yes"),
        ("Jetson AGX Xavier", "7.2", "no"),
        ("Tesla V100", "7.0", "yes"),
        ("NVIDIA TITAN V", "7.0", "no"),
        ("Tesla P40", "6.1", "yes"),
        ("GeForce GTX 1080 Ti", "6.1", "no"),
        ("Tesla P100", "6.0", "yes"),
        ("Tesla M60", "5.2", "yes"),
        ("GeForce GTX TITAN X", "5.2", "no"),
        ("Quadro K2200", "5.0", "no"),
        ("Tesla K80", "3.7", "yes"),
    ],
)
def test_product_has_the_capability_of_nvidias_list(name: str, capability: str, data_center: str) -> None:
    assert (GPUS[name]["compute_capability"], GPUS[name]["data_center"]) == (capability, data_center)


# --- upstream images ------------------------------------------------------------------------------------------------

UPSTREAM: dict[str, dict[str, Any]] = {row["tag"]: row for row in DATA["upstream_images"]}

UPSTREAM_KEYS = (
    "tag", "tensorflow", "cuda", "cudnn", "python", "ubuntu", "arm64", "wheel_pythons", "bundled_driver",
    "forward_compat", "built_for", "ptx", "broken", "derived", "confidence", "source", "checked", "note",
)  # fmt: skip

# Minors with an image of their own on Docker Hub, from CUDA 8 on.
UPSTREAM_MINORS = {*(f"1.{minor}" for minor in range(4, 16)), *(f"2.{minor}" for minor in range(22))}


def minor(tensorflow: str) -> str:
    return ".".join(tensorflow.split(".")[:2])


def test_keys_of_an_upstream_image_are_known_and_stand_in_one_order() -> None:
    for tag, row in UPSTREAM.items():
        assert list(row) == [key for key in UPSTREAM_KEYS if key in row], tag
        assert set(UPSTREAM_KEYS) - set(row) <= {
            "cudnn",
            "bundled_driver",
            "forward_compat",
            "broken",
            "derived",
            "note",
        }, tag


def test_every_minor_of_upstream_has_its_image_once_and_the_newest_stands_first() -> None:
    assert len(UPSTREAM) == len(DATA["upstream_images"])
    assert {minor(row["tensorflow"]) for row in UPSTREAM.values()} == UPSTREAM_MINORS
    versions = [number(row["tensorflow"]) for row in DATA["upstream_images"]]
    assert versions == sorted(versions, reverse=True)


def test_an_upstream_tag_says_its_tensorflow_and_holds_python_3() -> None:
    for tag, row in UPSTREAM.items():
        assert re.fullmatch(r"(\d+\.\d+\.\d+)(\.post\d+)?-gpu(-py3)?", tag), tag
        assert tag.startswith(row["tensorflow"]), tag
        assert row["python"].startswith("3."), tag
        # From 2.1 on the tag without a suffix holds Python 3.
        assert tag.endswith("-py3") == (number(row["tensorflow"]) < (2, 1)), tag


def test_no_upstream_tag_is_one_of_nvidias() -> None:
    assert not set(UPSTREAM) & set(IMAGES)


def test_every_upstream_image_names_a_cuda_of_the_table() -> None:
    for tag, row in UPSTREAM.items():
        assert row["cuda"] in CUDA, tag
        if "bundled_driver" in row:
            assert row["bundled_driver"] != CUDA[row["cuda"]]["bundled_driver"], tag


def test_upstream_versions_never_fall_from_one_tensorflow_to_the_next() -> None:
    run = [row for row in reversed(DATA["upstream_images"]) if "broken" not in row]
    for key in ("cuda", "cudnn", "python", "ubuntu"):
        known = [(row["tag"], number(row[key])) for row in run if key in row]
        for (_, before), (tag, after) in pairwise(known):
            assert after >= before[: len(after)], f"{tag}.{key}"


def test_upstream_build_lists_rise_and_fit_the_toolkit() -> None:
    for tag, row in UPSTREAM.items():
        built = [number(capability) for capability in row["built_for"]]
        assert built == sorted(set(built)), tag
        toolkit = CUDA[row["cuda"]]
        assert number(toolkit["min_capability"]) <= built[0], tag
        assert built[-1] <= number(toolkit["max_native_capability"]), tag
        assert set(row["built_for"]) <= set(GENERATIONS), tag
        # TensorFlow puts PTX in for what it also puts native code in for, always for the newest.
        assert set(row["ptx"]) <= set(row["built_for"]), tag
        assert row["ptx"][-1] == row["built_for"][-1], tag


def test_upstream_has_ptx_for_older_capabilities_up_to_tensorflow_2_2_only() -> None:
    # RELEASE.md of TensorFlow 2.3.0
    for tag, row in UPSTREAM.items():
        assert (row["ptx"] == row["built_for"]) == (number(row["tensorflow"]) < (2, 3)), tag


def test_upstream_oldest_capability_falls_away_where_the_wheels_drop_it() -> None:
    # Read in the wheels, 2026-11; 5.x also in the release notes of TensorFlow 2.17.0.
    floors = {minor(row["tensorflow"]): row["built_for"][0] for row in UPSTREAM.values() if row["built_for"] != ["3.7"]}
    kepler = {*(f"1.{n}" for n in range(5, 16)), *(f"2.{n}" for n in range(15))}
    assert floors == {
        "1.4": "3.0",
        **dict.fromkeys(kepler, "3.5"),
        **dict.fromkeys(("2.15", "2.16"), "5.0"),
        **dict.fromkeys(("2.17", "2.18", "2.19", "2.20", "2.21"), "6.0"),
    }


def test_upstream_images_that_find_no_gpu_say_what_mends_them() -> None:
    # github.com/tensorflow/tensorflow/issues/62412: 2.17.0-gpu works, 2.18.0-gpu does not.
    broken = {tag for tag, row in UPSTREAM.items() if "broken" in row}
    assert broken == {
        "2.21.0-gpu", "2.20.0-gpu", "2.19.0-gpu", "2.18.0-gpu", "2.15.0-gpu", "1.12.3-gpu-py3",
    }  # fmt: skip
    for tag in broken:
        sentence = UPSTREAM[tag]["broken"]
        other = re.search(r"take (\S+)$", sentence)
        assert ("install" in sentence) != bool(other), tag
        if other:
            assert "broken" not in UPSTREAM[other[1]], tag
            assert minor(UPSTREAM[other[1]]["tensorflow"]) == minor(UPSTREAM[tag]["tensorflow"]), tag


def test_derived_cells_of_an_upstream_image_are_there() -> None:
    for tag, row in UPSTREAM.items():
        assert set(row.get("derived", ())) <= set(row) - {"derived", "tag", "source", "checked", "note"}, tag
        # The capabilities were read in the wheel of the very version.
        assert not {"built_for", "ptx", "tensorflow"} & set(row.get("derived", ())), tag


# Read on the pages and in the wheels named, 2026-11; none of it is copied from the file.
UPSTREAM_SPOT_VALUES: tuple[tuple[str, dict[str, Any]], ...] = (
    # github.com/tensorflow/build tensorflow_runtime_dockerfiles/gpu.Dockerfile and gpu.packages.txt, main branch
    ("2.17.0-gpu", {"cuda": "12.3.0", "cudnn": "8.9.6.50", "python": "3.11", "ubuntu": "22.04"}),
    # the same files before their change of 2023-11-17
    ("2.14.0-gpu", {"cuda": "11.8.0", "cudnn": "8.6.0.163"}),
    # github.com/tensorflow/tensorflow tensorflow/tools/dockerfiles/dockerfiles/gpu.Dockerfile of their time
    ("2.11.1-gpu", {"cuda": "11.2.1", "cudnn": "8.1.0.77"}),
    ("2.2.3-gpu", {"cudnn": "7.6.4.38", "ubuntu": "18.04"}),
    # github.com/tensorflow/tensorflow/pull/31674
    ("1.15.5-gpu-py3", {"cuda": "10.0", "cudnn": "7.6.2.24"}),
    # github.com/tensorflow/tensorflow/issues/26333
    ("1.13.1-gpu-py3", {"python": "3.5", "cuda": "10.0"}),
    # tensorflow.org/install/source, tested build configurations
    ("1.12.0-gpu-py3", {"cuda": "9.0"}),
    ("1.4.1-gpu-py3", {"cuda": "8.0", "cudnn": "6"}),
    # cuda_compute_capabilities of build_info.py in the wheels; the last is the one that also gets PTX
    ("2.21.0-gpu", {"built_for": ["6.0", "7.0", "8.0", "8.9", "9.0"], "ptx": ["9.0"]}),
    ("2.16.1-gpu", {"built_for": ["5.0", "6.0", "7.0", "8.0", "9.0"], "ptx": ["9.0"]}),
    ("2.15.0.post1-gpu", {"built_for": ["5.0", "6.0", "7.0", "7.5", "8.0"], "ptx": ["8.0"]}),
    ("2.13.0-gpu", {"built_for": ["3.5", "5.0", "6.0", "7.0", "7.5", "8.0"], "ptx": ["8.0"]}),
    # fat binaries in the wheels
    ("2.3.4-gpu", {"built_for": ["3.5", "3.7", "5.2", "6.0", "6.1", "7.0"], "ptx": ["7.0"]}),
    ("1.12.3-gpu-py3", {"built_for": ["3.7"], "ptx": ["3.7"]}),
)


@pytest.mark.parametrize(("tag", "cells"), UPSTREAM_SPOT_VALUES, ids=[tag for tag, _ in UPSTREAM_SPOT_VALUES])
def test_upstream_image_says_what_its_source_says(tag: str, cells: dict[str, Any]) -> None:
    assert {key: UPSTREAM[tag].get(key) for key in cells} == cells


def test_only_upstream_images_older_than_the_compat_package_have_no_forward_compatibility() -> None:
    for tag, row in UPSTREAM.items():
        assert ("forward_compat" in row) == (row["cuda"] in ("8.0", "9.0")), tag
        assert row.get("forward_compat", []) == [], tag
