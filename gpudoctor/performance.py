"""What a GPU should reach: the peak rates of its product, and which share of them a healthy one shows.

The table is gpu_performance.csv; every row of it names its source.
"""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The peak of one rate of one product, and the least share of it that is no fault."""

    product: str
    rate: str
    value: float
    unit: str
    least: float
    source: str


# Which column a rate is held against, its unit, and the least share. Long products of 8192 x 8192 reach 60 to 90 %
# of the peak at full clocks, and streams of additions 80 to 95 % of the memory's; a GPU whose clocks are held down by
# heat or power falls to a third. Copies from pageable memory are bound by the host, a quarter of the link is common:
# what is looked for there is a link that lost most of its lanes.
_COLUMNS = {
    "matmul_float32_tflops": (("tf32_tensor_tflops", "fp32_tflops"), "TFLOP/s", 0.4),
    "matmul_float16_tflops": (("fp16_tensor_tflops_dense",), "TFLOP/s", 0.4),
    "memory_gbs": (("memory_bandwidth_gbs",), "GB/s", 0.6),
    "host_to_device_gbs": (("pcie",), "GB/s", 0.08),
    "all_reduce_gbs": (("nvlink_half", "pcie"), "GB/s", 0.25),
}

UNITS = {rate: unit for rate, (_, unit, _) in _COLUMNS.items()}

# One lane of each generation in one direction, after its line code: 8 GT/s x 128/130 / 8 for generation 3.
# https://en.wikipedia.org/wiki/PCI_Express#Comparison_table (2026-11)
_LANE_GBS = {"3": 0.985, "4": 1.969, "5": 3.938}


def peak_of(product: str, rate: str, *, tf32: bool) -> Peak | None:
    """What the product should reach; None where the table does not tell."""
    row = _rows().get(_plain(product))
    if row is None or rate not in _COLUMNS:
        return None
    columns, unit, least = _COLUMNS[rate]
    for column in columns:
        if column == "tf32_tensor_tflops" and not tf32:
            continue
        value = _cell(row, column)
        if value:
            return Peak(
                product=row["product_name"], rate=rate, value=value, unit=unit, least=least, source=row["source_url"]
            )
    return None


def _cell(row: dict[str, str], column: str) -> float | None:
    if column == "pcie":
        lane = _LANE_GBS.get(row["pcie_generation"])
        return lane * float(row["pcie_width"]) if lane is not None and row["pcie_width"] else None
    if column == "nvlink_half":  # the table counts both directions
        return float(row["nvlink_total_gbs"] or 0) / 2 or None
    return float(row[column]) if row[column] else None


@functools.cache
def _rows() -> dict[str, dict[str, str]]:
    text = resources.files("gpudoctor").joinpath("gpu_performance.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {_plain(row["product_name"]): row for row in csv.DictReader(lines)}


def _plain(product: str) -> str:
    """TensorFlow's and NVML's spelling of a name: older drivers leave the maker out."""
    return re.sub(r"^nvidia ", "", " ".join(product.split()).lower())
