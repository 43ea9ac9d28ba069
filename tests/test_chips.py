"""Device ids of the PCI bus, and the chips they belong to."""

from __future__ import annotations

import pytest

from gpudoctor import chips
from gpudoctor.facts import PciGpu
from gpudoctor.versions import ComputeCapability
from tests.fakes import shipped_matrix, unread


def capability(device_id: object) -> str | None:
    gpu = PciGpu(address="0000:01:00.0", device_id=device_id, driver="")  # type: ignore[arg-type]
    row = chips.generation_of(gpu, shipped_matrix())
    return None if row is None else str(row.compute_capability)


@pytest.mark.parametrize(
    ("device_id", "expected"),
    [
        ("0ff6", "3.0"),  # Quadro K1100M
        ("102d", "3.7"),  # Tesla K80
        ("128b", "3.5"),  # GeForce GT 710
        ("1380", "5.0"),  # GeForce GTX 750 Ti
        ("13c2", "5.2"),  # GeForce GTX 970
        ("15f8", "6.0"),  # Tesla P100
        ("1b80", "6.1"),  # GeForce GTX 1080
        ("1db6", "7.0"),  # Tesla V100
        ("1eb8", "7.5"),  # Tesla T4
        ("2184", "7.5"),  # GeForce GTX 1660
        ("20b0", "8.0"),  # A100
        ("2204", "8.6"),  # GeForce RTX 3090
        ("2230", "8.6"),  # RTX A6000
        ("2330", "9.0"),  # H100
        ("2342", "9.0"),  # GH200
        ("2684", "8.9"),  # GeForce RTX 4090
        ("2901", "10.0"),  # B200
        ("2B85", "12.0"),  # GeForce RTX 5090
        ("2c58", "12.0"),  # GeForce RTX 5090 Laptop
        ("2d04", "12.0"),  # GeForce RTX 5060 Ti
    ],
)
def test_boards_have_the_capability_of_their_chip(device_id: str, expected: str) -> None:
    assert capability(device_id) == expected


@pytest.mark.parametrize("device_id", ["", "22a3", "4fff", "0fbb", "2b85x", "2204 ", unread()])
def test_what_is_no_known_chip_is_unknown(device_id: object) -> None:
    assert capability(device_id) is None


def test_blocks_follow_one_another_and_the_matrix_knows_every_capability() -> None:
    ends = [end for first, last, _ in chips._BLOCKS for end in (first, last)]
    assert ends == sorted(ends)
    for first, last, text in chips._BLOCKS:
        assert len(first) == len(last) == 4
        assert shipped_matrix().generation(ComputeCapability(text)) is not None
