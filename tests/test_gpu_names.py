"""The product that a GPU's name means, judged against the products of the shipped matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpudoctor import gpu_names

MATRIX = Path(__file__).resolve().parent.parent / "compat_matrix.yaml"
PRODUCTS: list[dict[str, Any]] = yaml.load(MATRIX.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["gpus"]
NAMES = tuple(row["name"] for row in PRODUCTS)
INDEX = gpu_names.index((row["name"], row) for row in PRODUCTS)

# Names as NVML reports them, as vGPU and MIG rewrite them, and as people type them; with the product and the
# capability that each must give.
MEANT = (
    ("NVIDIA GeForce RTX 3090", "GeForce RTX 3090", "8.6"),
    ("RTX 3090", "GeForce RTX 3090", "8.6"),
    ("rtx3090", "GeForce RTX 3090", "8.6"),
    ("3090", "GeForce RTX 3090", "8.6"),
    ("3090 Ti", "GeForce RTX 3090 Ti", "8.6"),
    ("NVIDIA GeForce RTX 3080 Laptop GPU", "GeForce RTX 3080", "8.6"),
    ("NVIDIA GeForce RTX 3050Ti Laptop GPU", "GeForce RTX 3050 Ti", "8.6"),
    ("NVIDIA GeForce RTX 3050 6GB Laptop GPU", "GeForce RTX 3050", "8.6"),
    ("NVIDIA GeForce RTX 3050 A Laptop GPU", "GeForce RTX 3050 A", "8.9"),
    ("NVIDIA GeForce RTX 2050", "GeForce RTX 2050", "8.6"),
    ("NVIDIA GeForce RTX 4090 D", "GeForce RTX 4090", "8.9"),
    ("4090d", "GeForce RTX 4090", "8.9"),
    ("NVIDIA GeForce RTX 4070 Ti SUPER", "GeForce RTX 4070 Ti SUPER", "8.9"),
    ("RTX 4070 SUPER", "GeForce RTX 4070 SUPER", "8.9"),
    ("RTX 4070 Ti", "GeForce RTX 4070 Ti", "8.9"),
    ("NVIDIA GeForce RTX 5090 Laptop GPU", "GeForce RTX 5090", "12.0"),
    ("NVIDIA GeForce RTX 2080 with Max-Q Design", "GeForce RTX 2080", "7.5"),
    ("NVIDIA GeForce RTX 2070 Super with Max-Q Design", "GeForce RTX 2070 SUPER", "7.5"),
    ("GeForce GTX 1660 SUPER", "GeForce GTX 1660 SUPER", "7.5"),
    ("GeForce GTX 1080 Ti", "GeForce GTX 1080 Ti", "6.1"),
    ("1080ti", "GeForce GTX 1080 Ti", "6.1"),
    ("GTX 1080", "GeForce GTX 1080", "6.1"),
    ("GeForce GTX 1060 3GB", "GeForce GTX 1060", "6.1"),
    ("GTX 980M", "GeForce GTX 980M", "5.2"),
    ("GTX 960M", "GeForce GTX 960M", "5.0"),
    ("GTX 960", "GeForce GTX 960", "5.2"),
    ("GeForce GTX TITAN X", "GeForce GTX TITAN X", "5.2"),
    ("GTX TITAN X", "GeForce GTX TITAN X", "5.2"),
    ("TITAN X (Pascal)", "NVIDIA TITAN X", "6.1"),
    ("NVIDIA TITAN X", "NVIDIA TITAN X", "6.1"),
    ("TitanXp", "NVIDIA TITAN Xp", "6.1"),
    ("Titan V", "NVIDIA TITAN V", "7.0"),
    ("RTX Titan", "NVIDIA TITAN RTX", "7.5"),
    ("GeForce GTX TITAN", "GeForce GTX TITAN", "3.5"),
    ("NVIDIA A100-SXM4-40GB", "NVIDIA A100", "8.0"),
    ("NVIDIA A100 80GB PCIe", "NVIDIA A100", "8.0"),
    ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100", "8.0"),
    ("NVIDIA A100-PG509-200", "NVIDIA A100", "8.0"),
    ("GRID A100-10C", "NVIDIA A100", "8.0"),
    ("GRID A100D-20C", "NVIDIA A100", "8.0"),
    ("GRID A100-1-5C", "NVIDIA A100", "8.0"),
    ("a100", "NVIDIA A100", "8.0"),
    ("Tesla A100", "NVIDIA A100", "8.0"),
    ("NVIDIA A100X", "NVIDIA A100X", "8.0"),
    ("NVIDIA A800-SXM4-80GB", "NVIDIA A800", "8.0"),
    ("NVIDIA A800 40GB Active", "NVIDIA A800 40GB Active", "8.0"),
    ("NVIDIA A10G", "NVIDIA A10G", "8.6"),
    ("NVIDIA A10-24Q", "NVIDIA A10", "8.6"),
    ("Tesla V100-SXM2-16GB", "Tesla V100", "7.0"),
    ("V100", "Tesla V100", "7.0"),
    ("Tesla V100S-PCIE-32GB", "Tesla V100S", "7.0"),
    ("Tesla V100-DGXS-32GB", "Tesla V100", "7.0"),
    ("Tesla P100-PCIE-16GB", "Tesla P100", "6.0"),
    ("Tesla P4", "Tesla P4", "6.1"),
    ("GRID P40-24Q", "Tesla P40", "6.1"),
    ("Tesla T4", "Tesla T4", "7.5"),
    ("NVIDIA T4", "Tesla T4", "7.5"),
    ("GRID T4-16Q", "Tesla T4", "7.5"),
    ("NVIDIA T4G", "NVIDIA T4G", "7.5"),
    ("Tesla K80", "Tesla K80", "3.7"),
    ("Tesla K20Xm", "Tesla K20", "3.5"),
    ("Tesla K10.G1.8GB", "Tesla K10", "3.0"),
    ("Tesla M60", "Tesla M60", "5.2"),
    ("NVIDIA H100 80GB HBM3", "NVIDIA H100", "9.0"),
    ("NVIDIA H100 PCIe", "NVIDIA H100", "9.0"),
    ("NVIDIA H100 NVL", "NVIDIA H100 NVL", "9.0"),
    ("h100-sxm5-80gb", "NVIDIA H100", "9.0"),
    ("NVIDIA H20-3e", "NVIDIA H20", "9.0"),
    ("NVIDIA GH200 480GB", "NVIDIA GH200", "9.0"),
    ("NVIDIA GH200 144G HBM3e", "NVIDIA GH200", "9.0"),
    ("NVIDIA L4", "NVIDIA L4", "8.9"),
    ("NVIDIA L40S-48C", "NVIDIA L40S", "8.9"),
    ("NVIDIA B200", "NVIDIA B200", "10.0"),
    ("NVIDIA GB200", "NVIDIA GB200", "10.0"),
    ("NVIDIA B300 SXM6 AC", "NVIDIA B300", "10.3"),
    ("NVIDIA GB10", "NVIDIA GB10", "12.1"),
    ("NVIDIA RTX 6000 Ada Generation", "NVIDIA RTX 6000 Ada Generation", "8.9"),
    ("RTX 6000 Ada", "NVIDIA RTX 6000 Ada Generation", "8.9"),
    ("RTX6000Ada", "NVIDIA RTX 6000 Ada Generation", "8.9"),
    ("Quadro RTX 6000", "Quadro RTX 6000", "7.5"),
    ("NVIDIA RTX A6000", "NVIDIA RTX A6000", "8.6"),
    ("A6000", "NVIDIA RTX A6000", "8.6"),
    ("Quadro RTX A6000", "NVIDIA RTX A6000", "8.6"),
    (
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        "12.0",
    ),
    (
        "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        "12.0",
    ),
    ("RTX PRO 5000", "NVIDIA RTX PRO 5000 Blackwell", "12.0"),
    ("NVIDIA RTX 5000 Ada Generation Embedded GPU", "NVIDIA RTX 5000 Ada Generation", "8.9"),
    ("RTX 4000 SFF Ada", "NVIDIA RTX 4000 SFF Ada Generation", "8.9"),
    ("RTX 8000", "Quadro RTX 8000", "7.5"),
    ("Quadro T1000", "NVIDIA T1000", "7.5"),
    ("Quadro M2000", "Quadro M2000", "5.2"),
    ("Quadro M2000M", "Quadro M2000M", "5.0"),
    ("Quadro M6000 24GB", "Quadro M6000 24GB", "5.2"),
    ("Quadro K2200", "Quadro K2200", "5.0"),
    ("NVIDIA Jetson AGX Orin Developer Kit", "Jetson AGX Orin", "8.7"),
    ("Jetson Orin Nano", "Jetson Orin Nano", "8.7"),
    ("Jetson Nano", "Jetson Nano", "5.3"),
    ("NVIDIA® GeForce® RTX™ 3090", "GeForce RTX 3090", "8.6"),
)

# Names that could be several products, that are no product, or that are one the matrix has not heard of.
MEANT_BY_NOTHING = (
    "RTX 6000",  # Quadro RTX 6000, RTX 6000 Ada or RTX PRO 6000
    "RTX 5000",
    "RTX 4000",
    "4000",
    "RTX 2000",  # the Ada one has no Quadro before it, but "Ada" is not to be left out
    "RTX PRO 6000",  # three editions, one of them for servers
    "TITAN",
    "GeForce GTX TITAN X (Pascal)",  # names both
    "Orin",
    "RTX 3090 Ti SUPER",
    "RTX 3090 SUPER",
    "RTX 4090 Ti",
    "GTX 1060 Ti",
    "GTX 2080",
    "RTX 1080",
    "GeForce RTX 3090 Blackwell",
    "RTX 3090 4090",
    "A100 A30",
    "A6000 Ada",
    "GeForce A100",
    "GeForce T4",
    "Tesla RTX 3090",
    "Quadro K80",
    "NVIDIA AX800",
    "NVIDIA RTX A4000H",
    "NVIDIA T400E",
    "GeForce 940MX",
    "GTX 980 X",
    "Jetson Orin Nano Super",
    "Radeon RX 7900 XTX",
    "NVIDIA Graphics Device",
    "NVIDIA",
    "GeForce RTX",
    "80GB",
    "banana",
    "8.6",
    "",
    "   ",
)


@pytest.mark.parametrize(("name", "product", "capability"), MEANT, ids=[name for name, _, _ in MEANT])
def test_name_finds_its_product(name: str, product: str, capability: str) -> None:
    found = gpu_names.find(name, INDEX)
    assert found is not None
    assert (found["name"], found["compute_capability"]) == (product, capability)


@pytest.mark.parametrize("name", MEANT_BY_NOTHING)
def test_name_that_is_no_product_or_several_finds_none(name: str) -> None:
    assert gpu_names.find(name, INDEX) is None


@pytest.mark.parametrize("row", PRODUCTS, ids=NAMES)
def test_every_product_finds_itself_by_its_own_name(row: dict[str, Any]) -> None:
    for spelling in (row["name"], row["name"].upper(), row["name"].casefold(), row["name"].replace(" ", "-")):
        assert gpu_names.find(spelling, INDEX) is row


@pytest.mark.parametrize("suffix", [" Laptop GPU", "-SXM4-40GB", " 80GB PCIe", "-16Q", " MIG 1g.5gb", "-1-5C"])
def test_what_says_nothing_about_the_product_changes_no_capability(suffix: str) -> None:
    for row in PRODUCTS:
        found = gpu_names.find(row["name"] + suffix, INDEX)
        assert found is not None, row["name"]
        assert found["compute_capability"] == row["compute_capability"], row["name"]


@pytest.mark.parametrize("suffix", [" Ti", " SUPER", " Ada", " Blackwell", " PRO", " 9999", " B999", " Ultra"])
def test_what_could_name_another_product_never_finds_the_plain_one(suffix: str) -> None:
    for row in PRODUCTS:
        words = frozenset(gpu_names.tokens(row["name"] + suffix))
        if words == frozenset(gpu_names.tokens(row["name"])):
            continue  # the word stands in the name already
        found = gpu_names.find(row["name"] + suffix, INDEX)
        assert found is None or set(gpu_names.tokens(suffix)) <= set(gpu_names.tokens(found["name"])), row["name"]


def test_product_is_passed_over_only_where_no_word_could_mean_it() -> None:
    # What `find` leaves out before it looks at words must be what the words would leave out.
    products = gpu_names.index((str(row["name"]), str(row["name"])) for row in PRODUCTS)
    everything = {value: words for words, value in products.entries()}
    for name in everything:
        for asked in (name, name.replace(" ", ""), name.casefold().replace("-", " "), f"{name} 80 GB"):
            for word in gpu_names.tokens(asked):
                kept = {value for _, value in products.entries([word])}
                assert {value for value, words in everything.items() if word in words} <= kept, (asked, word)
    assert [value for _, value in products.entries(["gb10"])] == ["NVIDIA GB10"]


def test_order_of_the_products_changes_nothing() -> None:
    backwards = gpu_names.index((row["name"], row) for row in reversed(PRODUCTS))
    for name, _, _ in MEANT:
        assert gpu_names.find(name, backwards) is gpu_names.find(name, INDEX)
    for name in MEANT_BY_NOTHING:
        assert gpu_names.find(name, backwards) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA A100-SXM4-40GB", ("nvidia", "a100", "sxm4", "40gb")),
        ("1080ti", ("1080", "ti")),
        ("RTX4070TiSuper", ("rtx", "4070", "ti", "super")),
        ("Tesla V100S-PCIE-32GB", ("tesla", "v100s", "pcie", "32gb")),
        ("H100 80 GB", ("h100", "80gb")),
        ("GeForce RTX 2080 with Max-Q Design", ("geforce", "rtx", "2080", "with", "maxq", "design")),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", ("nvidia", "a100", "sxm4", "40gb")),
        ("", ()),
    ],
)
def test_tokens_are_the_words_in_one_spelling(name: str, expected: tuple[str, ...]) -> None:
    assert gpu_names.tokens(name) == expected


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("rtx 3900", "GeForce RTX 3090"),
        ("GTX 2080", "GeForce RTX 2080"),
        ("RTX 1080", "GeForce GTX 1080"),
        ("RTX PRO 6000", "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
        ("NVIDIA T400E", "NVIDIA T400"),
    ],
)
def test_nearest_puts_the_likely_name_first(name: str, first: str) -> None:
    assert gpu_names.nearest(name, NAMES)[0] == first


def test_nearest_names_every_product_that_an_ambiguous_name_could_be() -> None:
    near = gpu_names.nearest("RTX 6000", NAMES)
    assert near[:2] == ("Quadro RTX 6000", "NVIDIA RTX 6000 Ada Generation")


@pytest.mark.parametrize("name", ["banana", "Radeon RX 7900 XTX", "", "8.6"])
def test_nearest_of_something_else_is_empty(name: str) -> None:
    assert gpu_names.nearest(name, NAMES) == ()


def test_nearest_gives_no_more_than_asked_for() -> None:
    assert len(gpu_names.nearest("RTX 3000", NAMES, limit=2)) == 2
