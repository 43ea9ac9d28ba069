"""What the core costs inside one process: run by the Python that gpudoctor is installed for, prints one JSON object.

`in_process.py load RUNS`, `in_process.py judge RUNS`, or `in_process.py many TF HOSTS MAX_SECONDS`.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gpudoctor import host as hosts
from gpudoctor import matrix as matrices
from gpudoctor import rules
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import GpuRow, Matrix
from gpudoctor.resolve import Request, resolve
from gpudoctor.versions import DriverVersion

PRODUCTS = 25
DRIVERS = 8
"""Together 200 kinds of host."""

GPUS_OF_A_HOST = (1, 2, 4, 8)


def load(runs: int) -> dict[str, Any]:
    """Read and check the shipped matrix; the file is in the page cache by then."""
    return {"seconds": _median(matrices.load, runs)}


def judge(runs: int) -> dict[str, Any]:
    """Every tag of the matrix for one host, of one GPU and of eight."""
    matrix = matrices.load()
    images = (*matrix.images, *matrix.upstream_images)

    def all_tags(host: Host) -> None:
        for image in images:
            rules.judge(image, host, matrix)

    found: dict[str, Any] = {"tags": len(images), "hosts": []}
    for driver, product, count in (("455.45.01", "RTX 3090", 1), ("535.129.03", "A100", 1), ("535.129.03", "A100", 8)):
        row = matrix.gpu(product)
        assert row is not None, product
        host = _host(DriverVersion(driver), row, count, 0)
        found["hosts"].append(
            {
                "driver": driver,
                "gpu": row.name,
                "gpus": count,
                "seconds": _median(partial(all_tags, host), runs),
            }
        )
    return found


def many(tf: str, count: int, max_seconds: float) -> dict[str, Any]:
    """Resolve for one host after another, as a fleet is judged, and watch the memory.

    Stops at `max_seconds` of processor time: a target that is missed that far is missed.
    """
    matrix = matrices.load()
    request = Request(tf=tf)
    early = max(1, count // 10)
    found: dict[str, Any] = {"tf": tf, "hosts_asked": count, "early_hosts": early, "early_bytes": None}
    done = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for host in _hosts(matrix, count):
        resolve(request, host, matrix)
        done += 1
        if done == early:
            found["early_bytes"] = _resident_bytes()
        if time.process_time() - cpu > max_seconds:
            break
    found["cpu_seconds"] = time.process_time() - cpu
    found["wall_seconds"] = time.perf_counter() - wall
    return {**found, "hosts": done, "late_bytes": _resident_bytes()}


def _hosts(matrix: Matrix, count: int) -> Iterator[Host]:
    """Hosts of 200 kinds in turn, each with GPUs and UUIDs of its own, found by name as those of a probed host."""
    names = _spread([row.name for row in matrix.gpus if row.brand != "Tegra"], PRODUCTS)
    drivers = _spread(sorted({row.bundled_driver for row in matrix.cuda}), DRIVERS)
    kinds = [(driver, name) for driver in drivers for name in names]
    for number in range(count):
        kind = number % len(kinds)
        driver, name = kinds[kind]
        row = matrix.gpu(name)
        assert row is not None, name
        yield _host(driver, row, GPUS_OF_A_HOST[kind % len(GPUS_OF_A_HOST)], number)


def _host(driver: DriverVersion, row: GpuRow, count: int, number: int) -> Host:
    gpus = tuple(
        HostGpu(
            label=row.name,  # as `from_facts` names a GPU
            subject=f"GPU-{number:08x}-{index:04x}",
            index=index,
            compute_capability=row.compute_capability,
            data_center=row.data_center,
            product_first_branch=row.first_branch,
            listed_by_driver=False,  # so that the table is asked, which costs more
            brand=row.brand,
        )
        for index in range(count)
    )
    return hosts.what_if(driver=driver, gpus=gpus, architecture=None, wsl=False, base=None)


def _spread(values: list[Any], count: int) -> list[Any]:
    """So many of them, evenly from the first to the last."""
    return [values[index * (len(values) - 1) // (count - 1)] for index in range(count)]


def _median(work: Callable[[], object], runs: int) -> float:
    """Wall seconds, after one run that warms up."""
    work()
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _resident_bytes() -> int:
    """As it stands now, not the peak. By hand: grep VmRSS /proc/PID/status"""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "load":
        found = load(int(rest[0]))
    elif what == "judge":
        found = judge(int(rest[0]))
    else:
        found = many(rest[0], int(rest[1]), float(rest[2]))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
