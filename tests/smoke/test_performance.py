"""Measured rates are held against what the product of each GPU should reach."""

import copy
import csv
from pathlib import Path
from typing import Any

import pytest

import gpudoctor
from gpudoctor import performance, smoke
from gpudoctor.smoke import OperationOutcome, SmokeOutcome, SmokeReport
from tests.smoke.test_parse import GOOD, line


def measured(name: str, value: float, *, product: str, capability: str = "9.0", device: str = "GPU:0") -> SmokeReport:
    told: dict[str, Any] = copy.deepcopy(GOOD)
    kind = device.partition(":")[0].lower()
    told["device_asked"] = kind
    told["devices"] = [{"name": device, "description": product, "compute_capability": capability}]
    record = {**GOOD["operations"][0], "device_asked": device, "device": device}
    told["operations"] = [{**record, "name": "stress", "rates": [{"name": name, "value": value}]}]
    return smoke.hold_against_product(smoke.parse(line(told)))


@pytest.mark.parametrize(
    ("name", "value", "peak"),
    [
        ("matmul_float32_tflops", 350.0, "71% of the 494.7"),
        ("matmul_float16_tflops", 700.0, "71% of the 989.4"),
        ("memory_gbs", 3000.0, "90% of the 3350"),
        ("host_to_device_gbs", 12.0, "19% of the 63"),
        ("all_reduce_gbs", 360.0, "80% of the 450"),
    ],
)
def test_a_healthy_gpu_passes_and_its_share_is_told(name: str, value: float, peak: str) -> None:
    report = measured(name, value, product="NVIDIA H100 80GB HBM3")
    assert report.outcome is SmokeOutcome.PASSED
    assert peak in report.operations[0].note


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("matmul_float32_tflops", 150.0),
        ("matmul_float16_tflops", 300.0),
        ("memory_gbs", 1500.0),
        ("host_to_device_gbs", 3.0),
        ("all_reduce_gbs", 40.0),
    ],
)
def test_a_throttled_gpu_fails_with_the_share_and_what_to_look_for(name: str, value: float) -> None:
    report = measured(name, value, product="NVIDIA H100 80GB HBM3")
    assert report.outcome is SmokeOutcome.FAILED
    [operation] = report.operations
    assert operation.outcome is OperationOutcome.FAILED
    assert f"{name} too slow" in operation.note
    assert "gpudoctor check" in smoke.render(report)


def test_tensorflow_1_names_the_product_inside_a_sentence_and_volta_has_no_tf32() -> None:
    described = "device: 0, name: Tesla V100-SXM2-16GB, pci bus id: 0000:00:1e.0, compute capability: 7.0"
    report = measured("matmul_float32_tflops", 12.0, product=described, capability="7.0")
    assert "76% of the 15.7 of Tesla V100-SXM2-16GB" in report.operations[0].note


def test_an_unknown_product_and_the_cpu_are_compared_with_nothing() -> None:
    unknown = measured("memory_gbs", 1.0, product="NVIDIA Z9000")
    assert unknown.outcome is SmokeOutcome.PASSED
    assert "nothing is known to compare memory_gbs of NVIDIA Z9000 with" in unknown.operations[0].note
    on_cpu = measured("memory_gbs", 1.0, product="", device="CPU:0")
    assert on_cpu.outcome is SmokeOutcome.PASSED
    assert "memory_gbs 1; " in smoke.render(on_cpu)


def test_every_row_has_a_source_and_plausible_figures() -> None:
    text = (Path(gpudoctor.__file__).parent / "gpu_performance.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert len(rows) > 80
    assert len({row["product_name"] for row in rows}) == len(rows)
    for row in rows:
        assert "http" in row["source_url"], row
        for name in ("memory_bandwidth_gbs", "fp32_tflops", "tf32_tensor_tflops", "fp16_tensor_tflops_dense"):
            assert not row[name] or 0 < float(row[name]) < 20_000, row
        for rate in performance.UNITS:
            peak = performance.peak_of(row["product_name"], rate, tf32=True)
            assert peak is None or peak.value > 0
