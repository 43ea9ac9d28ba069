"""Generated values: facts from their dataclasses, hosts from the table of products, drivers round every boundary."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import settings
from hypothesis import strategies as st

from gpudoctor import host as hosts
from gpudoctor.facts import Facts
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import GpuRow, ImageRow
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion, TfVersion, Version
from tests.fakes import facts_of, gpu, pci_gpu
from tests.hosts import shipped

# The same examples in every run, so that nobody's unrelated change turns red by chance.
few = settings(max_examples=60, deadline=None, derandomize=True, database=None)
plenty = settings(max_examples=600, deadline=None, derandomize=True, database=None)
many = settings(max_examples=300, deadline=None, derandomize=True, database=None)

_numbers = st.integers(min_value=0, max_value=9999).map(str)


def _dotted(smallest: int, largest: int) -> st.SearchStrategy[str]:
    return st.lists(_numbers, min_size=smallest, max_size=largest).map(".".join)


_VERSION_TEXTS: dict[type[Version], st.SearchStrategy[str]] = {
    DriverVersion: _dotted(1, 4),
    CudaVersion: _dotted(1, 4),
    ComputeCapability: _dotted(2, 2),
    TfVersion: st.builds(
        lambda numbers, tail: numbers + tail, _dotted(1, 3), st.sampled_from(("", "-rc0", "-rc12", "-dev", "-beta1"))
    ),
}
version_texts = st.one_of(
    [texts.map(lambda text, kind=kind: (kind, text)) for kind, texts in _VERSION_TEXTS.items()]  # type: ignore[misc]
)

_texts = st.text(max_size=12)
unreads = st.builds(
    Unread,
    source=_texts,
    why=st.sampled_from(Why),
    detail=_texts,
    code=st.none() | st.integers(min_value=-1, max_value=999),
)


def of_kind(kind: Any) -> st.SearchStrategy[Any]:
    """Any value that a field of this type may hold."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.name: of_kind(hints[field.name]) for field in dataclasses.fields(kind)})
    if get_origin(kind) is tuple:
        return st.lists(of_kind(get_args(kind)[0]), max_size=2).map(tuple)
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of([unreads if one is Unread else of_kind(one) for one in get_args(kind)])
    if kind is type(None):
        return st.none()
    if issubclass(kind, Version):
        return _VERSION_TEXTS[kind].map(kind)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    kinds: dict[Any, st.SearchStrategy[Any]] = {
        str: _texts,
        bool: st.booleans(),
        int: st.integers(min_value=-(1 << 70), max_value=1 << 70),
        float: st.floats(allow_nan=False),
    }
    return kinds[kind]


facts = of_kind(Facts)


def _nested(depth: int) -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    if depth == 0:
        return leaves
    inner = _nested(depth - 1)
    return leaves | st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)


json_values = _nested(3)


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with something else at one place."""
    if not path:
        return value
    head, *rest = path
    if isinstance(document, dict):
        return {**document, head: replaced(document[head], tuple(rest), value)}
    return [replaced(item, tuple(rest), value) if index == head else item for index, item in enumerate(document)]


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document."""
    yield path
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


# --- hosts ---


@lru_cache(maxsize=1)
def classes() -> tuple[HostGpu, ...]:
    """One GPU for each way in which products differ to the rules, and each capability alone."""
    found: dict[tuple[object, ...], HostGpu] = {}
    for row in shipped().gpus:
        gpu = hosts.named_gpu(row.name, shipped())
        key = (row.compute_capability, gpu.data_center, gpu.product_first_branch, gpu.jetson, gpu.architecture)
        found.setdefault(key, gpu)
    bare = [hosts.named_gpu(str(row.compute_capability), shipped()) for row in shipped().generations]
    return (*found.values(), *bare)


@lru_cache(maxsize=1)
def catalogue() -> tuple[ImageRow, ...]:
    """Every tag: NVIDIA's, then TensorFlow's own."""
    return (*shipped().images, *shipped().upstream_images)


@lru_cache(maxsize=1)
def distinct_images() -> tuple[ImageRow, ...]:
    """One tag for each way in which images differ to the rules, which use name and source in their words alone."""
    found: dict[tuple[object, ...], ImageRow] = {}
    for image in catalogue():
        code = (image.min_capability, image.built_for, image.ptx, image.broken)
        drivers = (image.cuda, image.bundled_driver, image.min_driver_stated, image.forward_compat)
        found.setdefault((image.release, image.igpu, image.arm64, *code, *drivers), image)
    return tuple(found.values())


@lru_cache(maxsize=1)
def boundaries() -> tuple[DriverVersion, ...]:
    """Every driver at which some verdict changes, and its neighbours on both sides."""
    named: set[DriverVersion] = set()
    for toolkit in shipped().cuda:
        named.update(one for one in (toolkit.bundled_driver, toolkit.bundled_driver_windows) if one is not None)
    for floor in shipped().minor_version:
        named.update(one for one in (floor.min_driver, floor.min_driver_windows) if one is not None)
    branches: set[DriverVersion] = set()
    for generation in shipped().generations:
        branches.update(one for one in (generation.first_branch, generation.last_branch) if one is not None)
    for row in shipped().forward:
        branches.update((*row.branches, *row.refused, *row.disputed))
    for product in shipped().gpus:
        branches.update(() if product.first_branch is None else (product.first_branch,))
    for image in catalogue():
        branches.update(image.forward_compat or ())
        named.update(one for one in (image.bundled_driver, image.min_driver_stated) if one is not None)
    # A branch ends where the next one begins.
    named.update(branches, (DriverVersion(str(one.branch + 1)) for one in branches))
    return tuple(sorted({one for driver in named for one in neighbours(driver)}))


def neighbours(driver: DriverVersion) -> tuple[DriverVersion, ...]:
    """The driver, the last number below it and the first above it."""
    branch, minor, patch = (*driver.numbers, 0, 0)[:3]
    if patch:
        below = f"{branch}.{minor}.{patch - 1}"
    elif minor:
        below = f"{branch}.{minor - 1}.99"
    else:
        below = f"{branch - 1}.999"
    return (DriverVersion(below), driver, DriverVersion(f"{branch}.{minor}.{patch + 1}"))


images = st.sampled_from(catalogue())
drivers = st.sampled_from(boundaries())
gpus = st.sampled_from(classes())


def host_of(driver: DriverVersion, gpus: tuple[HostGpu, ...], *, wsl: bool = False, arch: str | None = None) -> Host:
    """What --driver, --gpu, --wsl and --arch make; a Jetson and a Grace Hopper are always on Arm."""
    if any(gpu.architecture is not None for gpu in gpus):
        arch = None
    return hosts.what_if(driver=driver, gpus=gpus, architecture=arch, wsl=wsl, base=None)


what_if_hosts = st.builds(
    lambda driver, cards, wsl, arch: host_of(driver, tuple(cards), wsl=wsl, arch=arch),
    drivers,
    st.lists(gpus, min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(("x86_64", "aarch64")),
)


# --- machines as they are: products with the brand that NVML gives them ---


def example_facts() -> Facts:
    """A healthy machine: one A100 on 535.104.05."""
    row = shipped().gpu("A100")
    assert row is not None
    return machine(DriverVersion("535.104.05"), (row,), cuda=CudaVersion("12.2"))


def machine(driver: DriverVersion, rows: tuple[GpuRow, ...], *, cuda: CudaVersion, wsl: bool = False) -> Facts:
    """The facts of a healthy machine with these products."""
    return facts_of(
        system={"wsl": wsl},
        driver={"version": driver, "driver_cuda_version": cuda},
        pci_gpus=tuple(pci_gpu(index) for index in range(len(rows))),
        gpus=tuple(
            gpu(
                index,
                uuid=f"GPU-{index}",
                name=row.name,
                compute_capability=row.compute_capability,
                brand="tesla" if row.data_center == "yes" else "geforce" if row.brand == "GeForce" else "nvidia_rtx",
            )
            for index, row in enumerate(rows)
        ),
    )


cuda_versions = st.sampled_from([row.version for row in shipped().cuda])
machines = st.builds(
    lambda driver, rows, cuda, wsl: machine(driver, tuple(rows), cuda=cuda, wsl=wsl),
    drivers,
    st.lists(st.sampled_from([row for row in shipped().gpus if row.brand != "Tegra"]), min_size=1, max_size=2),
    cuda_versions,
    st.booleans(),
)
