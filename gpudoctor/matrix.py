"""The compatibility matrix: which image holds which TensorFlow and CUDA, and what drivers and GPUs those need.

`parse` is pure and reports every fault with its place; `load` reads `compat_matrix.yaml` and adds line numbers,
`load_merged` puts the files of a site over it. The file's own comments describe its sections.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gpudoctor import gpu_names, plain_yaml
from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion, TfVersion, Version, VersionError

if TYPE_CHECKING:
    from pathlib import Path

    from gpudoctor.site_matrix import Site

SCHEMA = "gpudoctor.matrix/1"
FILE_NAME = "compat_matrix.yaml"

# How the source begins that a row of a site file has: what follows is the file.
SITE = "site: "

# Without one of these sections nothing can be judged: a file that holds them all is a matrix of its own.
_WHOLE = frozenset(("schema", "sources", "cuda", "generations", "gpus", "images"))
# Made from the YAML by the build of the wheel (hatch_build.py), which takes 25 times as long to read.
BUILT_DOCUMENT_NAME = "compat_matrix.json"
"""The same as JSON: what a site's files are put over."""
BUILT_ROWS_NAME = "compat_matrix_rows.json"
"""The rows, read and checked: where no site has a say they are all that is needed, in 3 ms instead of 7 (2026-11)."""

# The shipped file is about 200 kB.
MAX_FILE_BYTES = 2 << 20

# More faults than anyone mends one by one: such a file is something else.
MAX_FAULTS = 1000

CONFIDENCES = ("high", "medium", "low")
ARCHITECTURES = ("x86_64", "aarch64")

_V = TypeVar("_V", bound=Version)
_R = TypeVar("_R")


class Provenance(NamedTuple):
    """Where a row comes from."""

    source: tuple[str, ...]
    """Keys of the section `sources`."""
    checked: str
    """Month in which somebody last looked: 2026-11."""
    confidence: str
    """high, medium or low."""
    note: str


class CudaRow(NamedTuple):
    """A CUDA toolkit release and the driver it ships with."""

    version: CudaVersion
    bundled_driver: DriverVersion
    bundled_driver_windows: DriverVersion | None
    min_capability: ComputeCapability | None
    max_native_capability: ComputeCapability | None
    provenance: Provenance


class MinorVersionRow(NamedTuple):
    """Floor of minor-version compatibility for one CUDA major."""

    cuda_major: int
    min_driver: DriverVersion
    min_driver_windows: DriverVersion | None
    provenance: Provenance


class ForwardRow(NamedTuple):
    """Host branches on which the compat package of one CUDA works, for images whose own list is unknown."""

    cuda: CudaVersion
    branches: tuple[DriverVersion, ...]
    refused: tuple[DriverVersion, ...]
    disputed: tuple[DriverVersion, ...]
    provenance: Provenance


class GenerationRow(NamedTuple):
    """First and last driver branch that knows GPUs of one compute capability."""

    compute_capability: ComputeCapability
    architecture: str
    first_branch: DriverVersion | None
    last_branch: DriverVersion | None
    first_cuda: CudaVersion | None
    """First toolkit that makes native code for it."""
    open_module: str
    """no, optional or required."""
    provenance: Provenance


class GpuRow(NamedTuple):
    """A product."""

    name: str
    compute_capability: ComputeCapability
    data_center: str
    """yes, no or ngc-ready: whether forward compatibility is offered on it."""
    brand: str
    first_branch: DriverVersion | None
    """Only where it needs a newer branch than its compute capability."""
    architecture: str | None
    """x86_64 or aarch64, only where it exists beside no other processor."""
    provenance: Provenance


NO_RELEASE = "0"
"""Release of an image that is none of NVIDIA's monthly ones: what is derived from their months is not for it."""


class ImageRow(NamedTuple):
    """A tag of nvcr.io/nvidia/tensorflow, or of TensorFlow's own images. None is unknown."""

    tag: str
    release: str
    tensorflow: TfVersion | None
    cuda: CudaVersion | None
    cudnn: str | None
    python: str | None
    ubuntu: str | None
    arm64: str
    """yes, no or unknown."""
    bundled_driver: DriverVersion | None
    """CUDA_DRIVER_VERSION of the image where it is not that of its CUDA row."""
    min_driver_stated: DriverVersion | None
    """Floor for any GPU as the release notes say it."""
    forward_compat: tuple[DriverVersion, ...] | None
    """Data-centre floors, one a branch; empty: the notes offer none."""
    min_capability: ComputeCapability | None
    built_for: tuple[ComputeCapability, ...] | None
    """Native code inside."""
    ptx: tuple[ComputeCapability, ...] | None
    """PTX inside, where known."""
    derived: tuple[str, ...]
    """Cells that no source states for this very image."""
    provenance: Provenance
    upstream: bool = False
    """Of docker.io/tensorflow/tensorflow, not NVIDIA's; its release is its TensorFlow version."""
    broken: str | None = None
    """What keeps it from finding the GPU as shipped, and what mends it."""
    wheel_pythons: tuple[str, ...] = ()
    """Pythons for which there are wheels of this minor of TensorFlow: 2.7, 3.5-3.8."""

    @property
    def igpu(self) -> bool:
        """Made for Jetson's integrated GPU."""
        return self.tag.endswith("-igpu")

    @property
    def called(self) -> str:
        """In a sentence: its tag, unless that says nothing, as `latest` of anybody's image does."""
        return "the image" if self.release == NO_RELEASE else self.tag

    @property
    def release_key(self) -> tuple[int, ...]:
        """(22, 12) for 22.12: the order of time."""
        return tuple(int(part) for part in self.release.split("."))


@dataclass(frozen=True, kw_only=True, eq=False)  # one is itself alone: large, and the key of caches
class Matrix:
    """The whole matrix, read and checked."""

    sources: Mapping[str, str]
    cuda: tuple[CudaRow, ...]
    minor_version: tuple[MinorVersionRow, ...]
    forward: tuple[ForwardRow, ...]
    generations: tuple[GenerationRow, ...]
    gpus: tuple[GpuRow, ...]
    images: tuple[ImageRow, ...]
    upstream_images: tuple[ImageRow, ...]

    def cuda_row(self, version: CudaVersion) -> CudaRow | None:
        """The toolkit release of that very number."""
        return self._cuda_rows.get(version)

    @cached_property
    def _cuda_rows(self) -> dict[CudaVersion, CudaRow]:
        return {row.version: row for row in self.cuda}

    def minor_version_row(self, cuda_major: int) -> MinorVersionRow | None:
        """The floor of one CUDA major; none below 11."""
        return next((row for row in self.minor_version if row.cuda_major == cuda_major), None)

    def forward_row(self, cuda: CudaVersion) -> ForwardRow | None:
        """The compat package of one CUDA minor."""
        for row in self.forward:
            if (row.cuda.major, row.cuda.minor) == (cuda.major, cuda.minor):
                return row
        return None

    def generation(self, capability: ComputeCapability) -> GenerationRow | None:
        """The generation that holds one compute capability."""
        return self._generation_rows.get(capability)

    @cached_property
    def _generation_rows(self) -> dict[ComputeCapability, GenerationRow]:
        return {row.compute_capability: row for row in self.generations}

    def image(self, tag: str) -> ImageRow | None:
        """The image of one tag."""
        return next((row for row in (*self.images, *self.upstream_images) if row.tag == tag), None)

    def gpu(self, name: str) -> GpuRow | None:
        """The product that a name means, as people type it and as NVML prints it."""
        return gpu_names.find(name, self._gpu_index)

    @cached_property
    def _gpu_index(self) -> gpu_names.NameIndex[GpuRow]:
        return gpu_names.index((row.name, row) for row in self.gpus)

    def link(self, provenance: Provenance) -> str:
        """The first of a row's links, "" without one."""
        return self.sources[provenance.source[0]] if provenance.source else ""

    def links(self, provenance: Provenance) -> tuple[str, ...]:
        """The links behind a row's source keys."""
        return tuple(self.sources[key] for key in provenance.source)

    def rows(self) -> Iterator[AnyRow]:
        """Every row of every section."""
        yield from self.cuda
        yield from self.minor_version
        yield from self.forward
        yield from self.generations
        yield from self.gpus
        yield from self.images
        yield from self.upstream_images


_SECTIONS: Mapping[str, Any] = {
    "cuda": CudaRow,
    "minor_version": MinorVersionRow,
    "forward": ForwardRow,
    "generations": GenerationRow,
    "gpus": GpuRow,
    "images": ImageRow,
    "upstream_images": ImageRow,
}

AnyRow = CudaRow | MinorVersionRow | ForwardRow | GenerationRow | GpuRow | ImageRow


def site_of(provenance: Provenance) -> str | None:
    """The site file that changed or added a row, the last where several did."""
    return next((key.removeprefix(SITE) for key in provenance.source if key.startswith(SITE)), None)


class Fault(NamedTuple):
    """One thing wrong with a matrix file."""

    place: str
    """images[12].cuda"""
    message: str
    line: int | None = None
    file: str = ""
    """Where several are read as one."""


class MatrixError(GpudoctorError):
    """A matrix that cannot be used: every fault, each with its place."""

    def __init__(self, name: str, faults: tuple[Fault, ...], read: Sequence[str] = ()) -> None:
        self.name = name
        self.faults = faults
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        files = " ".join(f'"{file}"' if " " in file else file for file in read or (name,))
        super().__init__(fault_line(name, faults[0]) + more, f"gpudoctor matrix validate {files} lists every fault")


def fault_line(name: str, fault: Fault) -> str:
    """compat_matrix.yaml:41: images[12].cuda: expected text, found the number 11.1"""
    line = "" if fault.line is None else f":{fault.line}"
    place = f" {fault.place}:" if fault.place else ""
    return f"{fault.file or name}{line}:{place} {fault.message}"


class MergedRow(dict[Any, Any]):
    """The cells of a row that site files speak of, and what they did to it."""

    __slots__ = ("nearest", "sites", "unset")

    def __init__(
        self,
        cells: Mapping[Any, Any],
        *,
        sites: tuple[str, ...],
        unset: tuple[str, ...] = (),
        nearest: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(cells)
        self.sites = sites
        """Source keys of the files that changed or added it, the last first."""
        self.unset = unset
        """Names of cells that they took away."""
        self.nearest = nearest
        """Of a row that was added: says which row may have been meant."""


class _TooManyFaultsError(Exception):
    """There is no point in reading on."""


@lru_cache(maxsize=4096)  # a few hundred texts stand in some 2500 cells
def _version(kind: type[_V], text: str) -> _V:
    return kind(text)


class _Row:
    """One mapping of the document: reads its cells, notes faults, and which cells were asked for."""

    def __init__(self, document: object, place: str, faults: list[Fault]) -> None:
        self.place = place
        self.faults = faults
        self.asked: set[str] = set()
        self.is_mapping = isinstance(document, dict)
        self.cells: dict[Any, Any] = document if isinstance(document, dict) else {}
        self.merged = document if isinstance(document, MergedRow) else None
        if not self.is_mapping:
            _note(faults, place, f"expected a mapping, found {_found(document)}")

    def fault(self, key: str, message: str) -> None:
        if self.is_mapping:  # of what is no mapping, that much is said already
            _note(self.faults, f"{self.place}.{key}" if self.place else key, message)

    def missing(self, key: str, expected: str = "") -> None:
        added = self.merged.nearest if self.merged is not None else None
        self.fault(key, f"missing{expected and '; expected '}{expected}" + ("" if added is None else added()))

    def text(self, key: str, *, default: str | None = None, example: str = "text") -> str:
        value = self.optional_text(key)
        if value is not None:
            return value
        if key not in self.cells and default is None:
            self.missing(key, example)
        return default or ""

    def optional_text(self, key: str) -> str | None:
        self.asked.add(key)
        if key not in self.cells:
            return None
        value = self.cells[key]
        if isinstance(value, str) and value.strip():
            return value
        instead = f"; to make it unknown, say unset: [{key}]" if value is None and self.merged is not None else ""
        self.fault(key, _expected_text(value) + instead)
        return None

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default=default, example=" or ".join(choices))
        if key in self.cells and value and value not in choices:
            self.fault(key, f"expected {' or '.join(choices)}, found {_found(value)}")
        return value

    def version(self, key: str, kind: type[_V]) -> _V:
        value = self.optional_version(key, kind)
        if value is None:
            if key not in self.cells:
                self.missing(key, f"a {kind.kind} like {kind.example!r}")
            return kind(kind.example)  # never seen: a document with faults makes no Matrix
        return value

    def optional_version(self, key: str, kind: type[_V]) -> _V | None:
        text = self.optional_text(key)
        if text is None:
            return None
        return self._read(kind, text, key)

    def _read(self, kind: type[_V], text: str, key: str) -> _V | None:
        try:
            version: _V = _version(kind, text)  # type: ignore[arg-type] # a type is hashable
        except VersionError as error:
            self.fault(key, str(error))
            return None
        return version

    def texts(self, key: str) -> tuple[str, ...] | None:
        self.asked.add(key)
        if key not in self.cells:
            return None
        value = self.cells[key]
        if not isinstance(value, list):
            self.fault(key, f"expected a list of texts, found {_found(value)}")
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.fault(f"{key}[{index}]", _expected_text(item))
        return tuple(item for item in value if isinstance(item, str))

    def versions(self, key: str, kind: type[_V]) -> tuple[_V, ...] | None:
        texts = self.texts(key)
        if texts is None:
            return None
        read = (self._read(kind, text, f"{key}[{index}]") for index, text in enumerate(texts))
        return tuple(version for version in read if version is not None)

    def number(self, key: str) -> int:
        self.asked.add(key)
        value = self.cells.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if key in self.cells:
            self.fault(key, f"expected a whole number, found {_found(value)}")
        else:
            self.missing(key)
        return 0

    def close(self) -> None:
        """Cells that nobody reads are typing errors: refuse them."""
        unset = () if self.merged is None else self.merged.unset
        for key in (*self.cells, *unset):
            if key in self.asked:
                continue
            import difflib

            name = plain_yaml.shown_key(str(key))
            near = difflib.get_close_matches(name, sorted(self.asked), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(self.asked))}"
            self.fault(name, f"unknown key{meant}")


def _note(faults: list[Fault], place: str, message: str) -> None:
    if len(faults) >= MAX_FAULTS:
        raise _TooManyFaultsError
    faults.append(Fault(place=place, message=message))


def _found(value: object) -> str:
    if isinstance(value, bool):
        return "true or false without quotes"
    if isinstance(value, plain_yaml.Unquoted):
        return f"{_shortened(value.text)} without quotes"
    if isinstance(value, int) and value.bit_length() > 64:  # str() of a really long one raises
        return "a very long number"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return repr(_shortened(value))
    return {type(None): "nothing", list: "a list", dict: "a mapping"}.get(type(value), type(value).__name__)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


def _expected_text(value: object) -> str:
    unquoted = isinstance(value, (int, float, plain_yaml.Unquoted)) and not isinstance(value, bool)
    quotes = "; versions stand in quotes, or 12.10 is read as 12.1" if unquoted else ""
    return f"expected text, found {_found(value)}{quotes}"


def parse(document: object, name: str = FILE_NAME, *, cross_check: bool = True) -> Matrix:
    """Turn what YAML read into a Matrix; `cross_check` compares rows with each other.

    Raises MatrixError with every fault.
    """
    faults: list[Fault] = []
    try:
        matrix = _parse(document, faults, cross_check=cross_check)
    except _TooManyFaultsError:
        last = Fault(place=faults[-1].place, message=f"more than {MAX_FAULTS} faults; the rest was not looked at")
        raise MatrixError(name, (*faults, last)) from None
    if faults:
        raise MatrixError(name, tuple(faults))
    return matrix


def _parse(document: object, faults: list[Fault], *, cross_check: bool) -> Matrix:
    root = _Row(document, "", faults)
    _schema(root, root.text("schema", example=SCHEMA))
    sources = _sources(root)

    def section(key: str, read: Callable[[_Row], _R]) -> tuple[_R, ...]:
        return tuple(
            _read_row(item, f"{key}[{index}]", faults, read) for index, item in enumerate(_section_rows(root, key))
        )

    def provenance(row: _Row) -> Provenance:
        sites = () if row.merged is None else row.merged.sites
        named = row.texts("source") or ()
        found = Provenance(
            source=(*sites, *named),
            checked=row.text("checked", default=""),
            confidence=row.choice("confidence", CONFIDENCES, "high"),
            note=row.text("note", default=""),
        )
        if not sites and row.cells.get("source", []) == []:
            row.fault("source", "missing; every row names its sources")
        for index, key in enumerate(named):
            if key not in sources:
                row.fault(f"source[{index}]", f"{_shortened(key)!r} is not a key of `sources`")
        return found

    matrix = Matrix(
        sources=sources,
        cuda=section("cuda", lambda row: _cuda(row, provenance)),
        minor_version=section("minor_version_compatibility", lambda row: _minor_version(row, provenance)),
        forward=section("forward_compatibility", lambda row: _forward(row, provenance)),
        generations=section("generations", lambda row: _generation(row, provenance)),
        gpus=section("gpus", lambda row: _gpu(row, provenance)),
        images=section("images", lambda row: _image(row, provenance)),
        upstream_images=section("upstream_images", lambda row: _upstream_image(row, provenance)),
    )
    root.close()
    # Rows with faults of their own hold stand-ins, which would be compared with each other here.
    if not faults and cross_check:
        for fault in _across(matrix):
            _note(faults, fault.place, fault.message)
    return matrix


def _schema(root: _Row, schema: str | None) -> None:
    if schema and schema != SCHEMA:
        root.fault("schema", f"expected {SCHEMA!r}, found {_found(schema)}")


def _section_rows(root: _Row, key: str) -> list[object]:
    root.asked.add(key)
    rows = root.cells.get(key, [])
    if isinstance(rows, list):
        return rows
    root.fault(key, f"expected a list of rows, found {_found(rows)}")
    return []


def _read_row(item: object, place: str, faults: list[Fault], read: Callable[[_Row], _R]) -> _R:
    row = _Row(item, place, faults)
    result = read(row)
    row.close()
    return result


def _sources(root: _Row) -> Mapping[str, str]:
    row = _Row(root.cells.get("sources", {}), "sources", root.faults)
    root.asked.add("sources")
    for key in row.cells:
        if not isinstance(key, str):
            row.fault(_shortened(str(key)), f"expected a key as text, found {_found(key)}")
    return {key: row.text(key) for key in row.cells if isinstance(key, str)}


_ReadProvenance = Callable[[_Row], Provenance]


def _cuda(row: _Row, provenance: _ReadProvenance) -> CudaRow:
    return CudaRow(
        version=row.version("version", CudaVersion),
        bundled_driver=row.version("bundled_driver", DriverVersion),
        bundled_driver_windows=row.optional_version("bundled_driver_windows", DriverVersion),
        min_capability=row.optional_version("min_capability", ComputeCapability),
        max_native_capability=row.optional_version("max_native_capability", ComputeCapability),
        provenance=provenance(row),
    )


def _minor_version(row: _Row, provenance: _ReadProvenance) -> MinorVersionRow:
    return MinorVersionRow(
        cuda_major=row.number("cuda_major"),
        min_driver=row.version("min_driver", DriverVersion),
        min_driver_windows=row.optional_version("min_driver_windows", DriverVersion),
        provenance=provenance(row),
    )


def _forward(row: _Row, provenance: _ReadProvenance) -> ForwardRow:
    return ForwardRow(
        cuda=row.version("cuda", CudaVersion),
        branches=row.versions("branches", DriverVersion) or (),
        refused=row.versions("refused", DriverVersion) or (),
        disputed=row.versions("disputed", DriverVersion) or (),
        provenance=provenance(row),
    )


def _generation(row: _Row, provenance: _ReadProvenance) -> GenerationRow:
    return GenerationRow(
        compute_capability=row.version("compute_capability", ComputeCapability),
        architecture=row.text("architecture"),
        first_branch=row.optional_version("first_branch", DriverVersion),
        last_branch=row.optional_version("last_branch", DriverVersion),
        first_cuda=row.optional_version("first_cuda", CudaVersion),
        open_module=row.choice("open_module", ("no", "optional", "required")),
        provenance=provenance(row),
    )


def _gpu(row: _Row, provenance: _ReadProvenance) -> GpuRow:
    return GpuRow(
        name=row.text("name"),
        compute_capability=row.version("compute_capability", ComputeCapability),
        data_center=row.choice("data_center", ("yes", "no", "ngc-ready")),
        brand=row.text("brand"),
        first_branch=row.optional_version("first_branch", DriverVersion),
        architecture=row.choice("architecture", ARCHITECTURES, "") or None,
        provenance=provenance(row),
    )


# https://pkg.go.dev/github.com/distribution/reference (2026-11)
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_RELEASE = r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}"
_PYTHONS = r"[23]\.[0-9]{1,2}(-[23]\.[0-9]{1,2})?"


def _image(row: _Row, provenance: _ReadProvenance) -> ImageRow:
    tag = row.text("tag", example="a tag like '22.12-tf1-py3'")
    if tag and not re.fullmatch(_TAG, tag):
        row.fault("tag", f"expected a tag like '22.12-tf1-py3', found {_found(tag)}")
    release = row.text("release", example="a release like '22.12'")
    if release and not re.fullmatch(_RELEASE, release):
        row.fault("release", f"expected a release like '22.12', found {_found(release)}")
    return _image_cells(row, tag, release, row.optional_version("tensorflow", TfVersion), provenance)


def _upstream_image(row: _Row, provenance: _ReadProvenance) -> ImageRow:
    tag = row.text("tag", example="a tag like '2.15.0-gpu'")
    if tag and not re.fullmatch(_TAG, tag):
        row.fault("tag", f"expected a tag like '2.15.0-gpu', found {_found(tag)}")
    tensorflow = row.version("tensorflow", TfVersion)
    release = ".".join(str(number) for number in tensorflow.numbers)
    pythons = row.texts("wheel_pythons") or ()
    for index, span in enumerate(pythons):
        if not re.fullmatch(_PYTHONS, span):
            row.fault(f"wheel_pythons[{index}]", f"expected a range like '3.9-3.12', found {_found(span)}")
    image = _image_cells(row, tag, release, tensorflow, provenance)
    return image._replace(upstream=True, broken=row.optional_text("broken"), wheel_pythons=pythons)


def _image_cells(
    row: _Row, tag: str, release: str, tensorflow: TfVersion | None, provenance: _ReadProvenance
) -> ImageRow:
    return ImageRow(
        tag=tag,
        release=release,
        tensorflow=tensorflow,
        cuda=row.optional_version("cuda", CudaVersion),
        cudnn=row.optional_text("cudnn"),
        python=row.optional_text("python"),
        ubuntu=row.optional_text("ubuntu"),
        arm64=row.choice("arm64", ("yes", "no", "unknown"), "unknown"),
        bundled_driver=row.optional_version("bundled_driver", DriverVersion),
        min_driver_stated=row.optional_version("min_driver_stated", DriverVersion),
        forward_compat=row.versions("forward_compat", DriverVersion),
        min_capability=row.optional_version("min_capability", ComputeCapability),
        built_for=row.versions("built_for", ComputeCapability),
        ptx=row.versions("ptx", ComputeCapability),
        derived=row.texts("derived") or (),
        provenance=provenance(row),
    )


def _across(matrix: Matrix) -> Iterator[Fault]:
    """Faults that no row shows alone: doubled keys and names of rows that are not there."""
    toolkits = {row.version for row in matrix.cuda}
    for section, index, image in (
        *(("images", index, image) for index, image in enumerate(matrix.images)),
        *(("upstream_images", index, image) for index, image in enumerate(matrix.upstream_images)),
    ):
        if image.cuda is not None and image.cuda not in toolkits:
            message = f"{image.cuda} is not in the section `cuda`"
            yield Fault(place=f"{section}[{index}].cuda", message=message)
    generations = {row.compute_capability for row in matrix.generations}
    for index, gpu in enumerate(matrix.gpus):
        if gpu.compute_capability not in generations:
            message = f"{gpu.compute_capability} is not in the section `generations`"
            yield Fault(place=f"gpus[{index}].compute_capability", message=message)
    keys: tuple[tuple[str, list[Hashable]], ...] = (
        ("cuda", [row.version for row in matrix.cuda]),
        ("minor_version_compatibility", [row.cuda_major for row in matrix.minor_version]),
        ("forward_compatibility", [(row.cuda.major, row.cuda.minor) for row in matrix.forward]),
        ("generations", [row.compute_capability for row in matrix.generations]),
        ("gpus", [row.name for row in matrix.gpus]),
        ("images", [row.tag for row in matrix.images]),
        ("upstream_images", [row.tag for row in matrix.upstream_images]),
    )
    for section, rows in keys:
        seen: dict[Hashable, int] = {}
        for index, key in enumerate(rows):
            if key in seen:
                yield stands_already(key, section, index, seen[key])
            seen.setdefault(key, index)


def stands_already(key: Hashable, section: str, index: int, first: int) -> Fault:
    """A second row of one key."""
    shown = ".".join(map(str, key)) if isinstance(key, tuple) else str(key)
    message = f"{_shortened(shown)!r} stands already in {section}[{first}]"
    return Fault(place=f"{section}[{index}]", message=message)


class _File(NamedTuple):
    """A file that was read, and is YAML."""

    name: str
    text: bytes
    document: plain_yaml.Document


def load(path: Path | None = None) -> Matrix:
    """Read and check a matrix file that is whole; without a path, the one that gpudoctor ships.

    Raises MatrixError with every fault and its line, InputError when the file cannot be read or is no YAML.
    """
    if path is not None:
        return _alone(_opened(path))
    rows = _beside_the_package(BUILT_ROWS_NAME)
    return _alone(_shipped()) if rows is None else from_built_rows(rows)


def load_merged(sites: Mapping[Path, str]) -> Matrix:
    """The shipped matrix with the files of a site over it, row by row and cell by cell, the last one winning.

    Each path has the words that say where it comes from. Raises like `load`; faults name the file they stand in.
    """
    return _merged([_opened(path, named_by) for path, named_by in sites.items()])


class Validation(NamedTuple):
    """What is to be said of matrix files."""

    matrix: Matrix | None
    """None where there are faults."""
    faults: tuple[Fault, ...]
    is_whole: bool
    """Judged by itself, not over the shipped matrix."""
    faults_alone: tuple[Fault, ...]
    """Of a file that has every section, yet is good over the shipped matrix only."""


def validate(paths: Sequence[Path]) -> Validation:
    """Judge files as a site's, over the shipped matrix in that order; one that holds every section, by itself.

    Raises InputError when a file cannot be read or is no YAML.
    """
    files = [_opened(path) for path in paths]
    root = files[0].document.value
    is_whole = len(files) == 1 and isinstance(root, dict) and root.keys() >= _WHOLE
    alone: tuple[Fault, ...] = ()
    if is_whole:
        try:
            return Validation(matrix=_alone(files[0]), faults=(), is_whole=True, faults_alone=())
        except MatrixError as error:
            alone = error.faults
    try:
        return Validation(matrix=_merged(files), faults=(), is_whole=False, faults_alone=alone)
    except MatrixError as error:
        # With a whole matrix for its base, a whole one with holes would have none: what it lacks itself says more.
        return Validation(matrix=None, faults=alone or error.faults, is_whole=is_whole, faults_alone=())


def _shipped() -> _File:
    text = _beside_the_package(BUILT_DOCUMENT_NAME)
    if text is None:
        return _opened(shipped_path())
    document = plain_yaml.Document(value=json.loads(text), repeated=(), lines={})
    return _File(name=BUILT_DOCUMENT_NAME, text=text, document=document)


def _beside_the_package(name: str) -> bytes | None:
    """A file that the build put beside this one; None in a checkout, which has none."""
    path = os.path.join(os.path.dirname(__file__), name)  # noqa: PTH118, PTH120 - pathlib takes longer than the rest
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read()
    except FileNotFoundError:
        return None


_VERSIONS: Mapping[str, type[Version]] = {
    "version": CudaVersion,
    "cuda": CudaVersion,
    "first_cuda": CudaVersion,
    "bundled_driver": DriverVersion,
    "bundled_driver_windows": DriverVersion,
    "min_driver": DriverVersion,
    "min_driver_windows": DriverVersion,
    "min_driver_stated": DriverVersion,
    "first_branch": DriverVersion,
    "last_branch": DriverVersion,
    "branches": DriverVersion,
    "refused": DriverVersion,
    "disputed": DriverVersion,
    "forward_compat": DriverVersion,
    "tensorflow": TfVersion,
    "compute_capability": ComputeCapability,
    "min_capability": ComputeCapability,
    "max_native_capability": ComputeCapability,
    "built_for": ComputeCapability,
    "ptx": ComputeCapability,
}
"""What the cells of a row hold that are no text: one version, or a list of them."""

_LISTS_OF_TEXTS = ("derived", "wheel_pythons")


def to_built_rows(matrix: Matrix) -> str:
    """The rows as JSON for `from_built_rows`: a row is a tuple, so a list there, and a version is its text."""
    sections = {name: getattr(matrix, name) for name in ("sources", *_SECTIONS)}
    return json.dumps(sections, default=str, separators=(",", ":"))


def from_built_rows(text: bytes) -> Matrix:
    """What `to_built_rows` wrote; nothing is checked a second time."""
    document = json.loads(text)
    kinds: tuple[type[Version], ...] = (CudaVersion, DriverVersion, TfVersion, ComputeCapability)
    versions = {kind: _ByText(kind) for kind in kinds}
    sections = {name: _built_rows(kind, document[name], versions) for name, kind in _SECTIONS.items()}
    return Matrix(sources=document["sources"], **sections)


class _ByText(dict[str, Version]):
    """Versions by their text, each read when it is first asked for."""

    def __init__(self, kind: type[Version]) -> None:
        super().__init__()
        self.kind = kind

    def __missing__(self, text: str) -> Version:
        version = self[text] = self.kind(text)
        return version


def _built_rows(kind: Any, rows: list[list[Any]], versions: Mapping[type[Version], _ByText]) -> tuple[Any, ...]:
    """Each list of cells as a row of that kind."""
    read = [(place, versions[_VERSIONS[name]]) for place, name in enumerate(kind._fields) if name in _VERSIONS]
    texts = [place for place, name in enumerate(kind._fields) if name in _LISTS_OF_TEXTS]
    provenance = kind._fields.index("provenance")
    for cells in rows:
        for place, by_text in read:
            cell = cells[place]
            if cell is not None:
                cells[place] = by_text[cell] if type(cell) is str else tuple([by_text[one] for one in cell])
        for place in texts:
            cells[place] = tuple(cells[place])
        source, *rest = cells[provenance]
        cells[provenance] = Provenance(tuple(source), *rest)
    return tuple(map(kind._make, rows))


def _opened(path: Path, named_by: str = "") -> _File:
    text = _read(path, named_by)
    try:
        return _File(name=str(path), text=text, document=plain_yaml.read(text))
    except plain_yaml.PlainYamlError as error:
        line = "" if error.line is None else f":{error.line}"
        raise InputError(f"{path}{line}: {error.message}", f"it comes from {named_by}" if named_by else "") from None


def _alone(file: _File) -> Matrix:
    faults: tuple[Fault, ...] = ()
    try:
        matrix = parse(file.document.value, file.name)
    except MatrixError as error:
        faults = error.faults
    if not faults and not file.document.repeated:
        return matrix
    raise MatrixError(file.name, _with_lines(file.text, faults))


def _merged(sites: Sequence[_File]) -> Matrix:
    from gpudoctor import site_matrix

    files = (_shipped(), *sites)
    faults: list[list[Fault]] = [[] for _ in files]
    read = [_site(file, found) for file, found in zip(sites, faults[1:], strict=True)]
    merged = site_matrix.merge(files[0].document.value, read)
    for number, fault in merged.faults:
        faults[number].append(fault)
    try:
        # A site's row that could not be merged would be missed by others.
        matrix = parse(merged.document, cross_check=not any(faults))
    except MatrixError as error:
        for fault in error.faults:
            number, place = site_matrix.origin(_places_around(fault.place), merged.origins)
            faults[number].append(fault._replace(place=place))
    if not any(faults) and not any(file.document.repeated for file in files):
        return matrix
    told = tuple(
        fault._replace(file=file.name)
        for file, found in zip(files, faults, strict=True)
        if found or file.document.repeated
        for fault in sorted(_with_lines(file.text, tuple(found)), key=lambda fault: fault.line or 0)
    )
    raise MatrixError(told[0].file, told, [file.name for file in sites])


def _site(file: _File, faults: list[Fault]) -> Site:
    """The parts of a site's file; an empty one has none."""
    from gpudoctor import site_matrix

    document = file.document.value
    root = _Row({} if document is None else document, "", faults)
    _schema(root, root.optional_text("schema"))
    sections = {key: _section_rows(root, key) for key in site_matrix.KEYS}
    root.asked.add("sources")
    sources = _Row(root.cells.get("sources", {}), "sources", faults).cells
    try:
        root.close()
    except _TooManyFaultsError:
        faults.append(Fault(place="", message=f"more than {MAX_FAULTS} faults; the rest was not looked at"))
    return site_matrix.Site(name=file.name, sections=sections, sources=sources)


def _with_lines(text: bytes, faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """The faults with their lines, and keys that stand twice among them: the file is read again, with marks."""
    around = {place for fault in faults for place in _places_around(fault.place)}
    marked = plain_yaml.read(text, places=around)
    twice = tuple(
        Fault(place=one.place, message="stands twice; the second would hide the first", line=one.line)
        for one in marked.repeated
    )

    def line(fault: Fault) -> int | None:
        return next((marked.lines[place] for place in _places_around(fault.place) if place in marked.lines), None)

    return twice + tuple(fault._replace(line=line(fault)) for fault in faults)


def _places_around(place: str) -> Iterator[str]:
    """The place itself, then each thing that holds it, innermost first."""
    while place:
        yield place
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    yield ""


def shipped_path() -> Path:
    """The matrix beside the package in a wheel, one folder up in a checkout."""
    from pathlib import Path

    inside = Path(__file__).parent / FILE_NAME
    return inside if inside.exists() else inside.parents[1] / FILE_NAME


def cell_place(row: str, key: object) -> str:
    """images[12].cuda"""
    return f"{row}.{plain_yaml.shown_key(str(key))}"


def _read(path: Path, named_by: str) -> bytes:
    from gpudoctor import named_file

    try:
        text = named_file.read(path, MAX_FILE_BYTES)
    except OSError as error:
        hint = "name a file that this user can read" + (f"; this one comes from {named_by}" if named_by else "")
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint) from None
    if len(text) > MAX_FILE_BYTES:
        raise InputError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB, which no matrix is")
    return text
