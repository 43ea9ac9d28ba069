"""The compatibility matrix: which image holds which TensorFlow and CUDA, and what drivers and GPUs those need.

`parse` is pure and reports every fault with its place; `load` reads `compat_matrix.yaml` and adds line numbers.
The file's own comments describe its sections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from gpudoctor import gpu_names
from gpudoctor.errors import GpudoctorError
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion, TfVersion, Version, VersionError

SCHEMA = "gpudoctor.matrix/1"
FILE_NAME = "compat_matrix.yaml"

# The shipped file is about 200 kB. YAML takes some 100 times its size in memory while it is read.
MAX_FILE_BYTES = 4 << 20

CONFIDENCES = ("high", "medium", "low")

_V = TypeVar("_V", bound=Version)
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a row comes from."""

    source: tuple[str, ...]
    """Keys of the section `sources`."""
    checked: str
    """Month in which somebody last looked: 2026-11."""
    confidence: str
    """high, medium or low."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaRow:
    """A CUDA toolkit release and the driver it ships with."""

    version: CudaVersion
    bundled_driver: DriverVersion
    bundled_driver_windows: DriverVersion | None
    min_capability: ComputeCapability | None
    max_native_capability: ComputeCapability | None
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class MinorVersionRow:
    """Floor of minor-version compatibility for one CUDA major."""

    cuda_major: int
    min_driver: DriverVersion
    min_driver_windows: DriverVersion | None
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardRow:
    """Host branches on which the compat package of one CUDA works, for images whose own list is unknown."""

    cuda: CudaVersion
    branches: tuple[DriverVersion, ...]
    refused: tuple[DriverVersion, ...]
    disputed: tuple[DriverVersion, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRow:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRow:
    """A product."""

    name: str
    compute_capability: ComputeCapability
    data_center: str
    """yes, no or ngc-ready: whether forward compatibility is offered on it."""
    brand: str
    first_branch: DriverVersion | None
    """Only where it needs a newer branch than its compute capability."""
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """A tag of nvcr.io/nvidia/tensorflow. None is unknown."""

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

    @property
    def igpu(self) -> bool:
        """Made for Jetson's integrated GPU."""
        return self.tag.endswith("-igpu")

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

    def cuda_row(self, version: CudaVersion) -> CudaRow | None:
        """The toolkit release of that very number."""
        return next((row for row in self.cuda if row.version == version), None)

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
        return next((row for row in self.generations if row.compute_capability == capability), None)

    def image(self, tag: str) -> ImageRow | None:
        """The image of one tag."""
        return next((row for row in self.images if row.tag == tag), None)

    def gpu(self, name: str) -> GpuRow | None:
        """The product that a name means, as people type it and as NVML prints it."""
        return gpu_names.find(name, self._gpu_index)

    @cached_property
    def _gpu_index(self) -> gpu_names.NameIndex[GpuRow]:
        return gpu_names.index((row.name, row) for row in self.gpus)

    def links(self, provenance: Provenance) -> tuple[str, ...]:
        """The links behind a row's source keys."""
        return tuple(self.sources[key] for key in provenance.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a matrix file."""

    place: str
    """images[12].cuda"""
    message: str
    line: int | None = None


class MatrixError(GpudoctorError):
    """A matrix that cannot be used: every fault, each with its place."""

    def __init__(self, name: str, faults: tuple[Fault, ...]) -> None:
        self.name = name
        self.faults = faults
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(fault_line(name, faults[0]) + more, f"gpudoctor matrix validate {name} lists every fault")


def fault_line(name: str, fault: Fault) -> str:
    """compat_matrix.yaml:41: images[12].cuda: expected text, found the number 11.1"""
    line = "" if fault.line is None else f":{fault.line}"
    place = f" {fault.place}:" if fault.place else ""
    return f"{name}{line}:{place} {fault.message}"


class _Row:
    """One mapping of the document: reads its cells, notes faults, and which cells were asked for."""

    def __init__(self, document: object, place: str, faults: list[Fault]) -> None:
        self.place = place
        self.faults = faults
        self.asked: set[str] = set()
        if isinstance(document, dict):
            self.cells: dict[Any, Any] = document
        else:
            self.cells = {}
            self.fault("", f"expected a mapping, found {_found(document)}")

    def fault(self, key: str, message: str) -> None:
        place = self.place if not key else f"{self.place}.{key}" if self.place else key
        self.faults.append(Fault(place=place, message=message))

    def text(self, key: str, *, default: str | None = None, example: str = "text") -> str:
        value = self.optional_text(key)
        if value is not None:
            return value
        if key not in self.cells and default is None:
            self.fault(key, f"missing; expected {example}")
        return default or ""

    def optional_text(self, key: str) -> str | None:
        self.asked.add(key)
        if key not in self.cells:
            return None
        value = self.cells[key]
        if isinstance(value, str) and value.strip():
            return value
        self.fault(key, _expected_text(value))
        return None

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default=default, example=" or ".join(choices))
        if key in self.cells and value and value not in choices:
            self.fault(key, f"expected {' or '.join(choices)}, found {value!r}")
        return value

    def version(self, key: str, kind: type[_V]) -> _V:
        value = self.optional_version(key, kind)
        if value is None:
            if key not in self.cells:
                self.fault(key, f"missing; expected a {kind.kind} like {kind.example!r}")
            return kind(kind.example)  # never seen: a document with faults makes no Matrix
        return value

    def optional_version(self, key: str, kind: type[_V]) -> _V | None:
        text = self.optional_text(key)
        if text is None:
            return None
        return self._read(kind, text, key)

    def _read(self, kind: type[_V], text: str, key: str) -> _V | None:
        try:
            return kind(text)
        except VersionError as error:
            self.fault(key, str(error))
            return None

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
        self.fault(key, f"expected a whole number, found {_found(value)}" if key in self.cells else "missing")
        return 0

    def close(self) -> None:
        """Cells that nobody reads are typing errors: refuse them."""
        import difflib

        for key in self.cells:
            if key in self.asked:
                continue
            near = difflib.get_close_matches(str(key), sorted(self.asked), n=1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(self.asked))}"
            self.fault(_shortened(str(key)), f"unknown key{meant}")


def _found(value: object) -> str:
    if isinstance(value, bool):
        return "true or false without quotes"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return repr(_shortened(value))
    return {type(None): "nothing", list: "a list", dict: "a mapping"}.get(type(value), type(value).__name__)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


def _expected_text(value: object) -> str:
    quotes = "; versions stand in quotes, or 12.10 is read as 12.1" if isinstance(value, (int, float)) else ""
    return f"expected text, found {_found(value)}{quotes}"


def parse(document: object, name: str = FILE_NAME) -> Matrix:
    """Turn what YAML read into a Matrix.

    Raises MatrixError with every fault.
    """
    faults: list[Fault] = []
    root = _Row(document, "", faults)
    if not faults:
        schema = root.text("schema", example=SCHEMA)
        if schema and schema != SCHEMA:
            root.fault("schema", f"expected {SCHEMA!r}, found {_shortened(schema)!r}")
    sources = _sources(root)

    def section(key: str, read: Callable[[_Row], _R]) -> tuple[_R, ...]:
        root.asked.add(key)
        rows = root.cells.get(key, [])
        if not isinstance(rows, list):
            root.fault(key, f"expected a list of rows, found {_found(rows)}")
            return ()
        return tuple(_read_row(item, f"{key}[{index}]", faults, read) for index, item in enumerate(rows))

    def provenance(row: _Row) -> Provenance:
        found = Provenance(
            source=row.texts("source") or (),
            checked=row.text("checked", default=""),
            confidence=row.choice("confidence", CONFIDENCES, "high"),
            note=row.text("note", default=""),
        )
        if not found.source and not faults:
            row.fault("source", "missing; every row names its sources")
        for index, key in enumerate(found.source):
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
    )
    root.close()
    faults.extend(_across(matrix))
    if faults:
        raise MatrixError(name, tuple(faults))
    return matrix


def _read_row(item: object, place: str, faults: list[Fault], read: Callable[[_Row], _R]) -> _R:
    row = _Row(item, place, faults)
    result = read(row)
    row.close()
    return result


def _sources(root: _Row) -> Mapping[str, str]:
    row = _Row(root.cells.get("sources", {}), "sources", root.faults)
    root.asked.add("sources")
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
        provenance=provenance(row),
    )


def _image(row: _Row, provenance: _ReadProvenance) -> ImageRow:
    release = row.text("release", example="a release like '22.12'")
    if release and not all(part.isascii() and part.isdecimal() for part in release.split(".")):
        row.fault("release", f"expected a release like '22.12', found {_shortened(release)!r}")
    return ImageRow(
        tag=row.text("tag", example="a tag like '22.12-tf1-py3'"),
        release=release,
        tensorflow=row.optional_version("tensorflow", TfVersion),
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
    for index, image in enumerate(matrix.images):
        if image.cuda is not None and image.cuda not in toolkits:
            message = f"{image.cuda} is not in the section `cuda`"
            yield Fault(place=f"images[{index}].cuda", message=message)
    for section, rows in (
        ("images", [row.tag for row in matrix.images]),
        ("cuda", [row.version.text for row in matrix.cuda]),
        ("gpus", [row.name for row in matrix.gpus]),
        ("generations", [row.compute_capability.text for row in matrix.generations]),
    ):
        seen: dict[str, int] = {}
        for index, key in enumerate(rows):
            if key in seen:
                yield Fault(place=f"{section}[{index}]", message=f"{key!r} stands already in {section}[{seen[key]}]")
            seen.setdefault(key, index)


def load(path: Path | None = None) -> Matrix:
    """Read and check a matrix file; without a path, the one that gpudoctor ships.

    Raises MatrixError with every fault and its line, InputError when the file cannot be read.
    """
    if path is None:
        path = shipped_path()
    text = _read(path)
    import yaml

    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError) as error:
        raise MatrixError(str(path), (_yaml_fault(error),)) from None
    except RecursionError:
        raise MatrixError(str(path), (Fault(place="", message="nested too deeply to be a matrix"),)) from None
    try:
        return parse(document, str(path))
    except MatrixError as error:
        lines = _lines(text)
        faults = tuple(replace(fault, line=_line(lines, fault.place)) for fault in error.faults)
        raise MatrixError(str(path), faults) from None


def shipped_path() -> Path:
    """The matrix beside the package in a wheel, one folder up in a checkout."""
    inside = Path(__file__).parent / FILE_NAME
    return inside if inside.exists() else inside.parents[1] / FILE_NAME


def _read(path: Path) -> bytes:
    from gpudoctor.errors import InputError

    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        hint = "name a file that this user can read"
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint) from None
    if len(text) > MAX_FILE_BYTES:
        message = f"larger than {MAX_FILE_BYTES >> 20} MiB, which no matrix is"
        raise MatrixError(str(path), (Fault(place="", message=message),))
    return text


def _yaml_fault(error: Exception) -> Fault:
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Fault(place="", message=f"not YAML: {message}", line=None if mark is None else mark.line + 1)


def _lines(text: bytes) -> dict[str, int]:
    """Line of every mapping, list and cell by its place; only called when there is a fault to show."""
    import yaml

    lines: dict[str, int] = {}
    walked: set[int] = set()

    def walk(node: yaml.Node, place: str) -> None:
        lines.setdefault(place, node.start_mark.line + 1)
        if id(node) in walked:  # an alias: a small file of aliases of aliases has no end
            return
        walked.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                under = f"{place}.{_shortened(str(key.value))}" if place else str(key.value)
                lines[under] = key.start_mark.line + 1
                walk(value, under)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                walk(value, f"{place}[{index}]")

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        walk(root, "")
    return lines


def _line(lines: Mapping[str, int], place: str) -> int | None:
    """The line of a place, or of the nearest thing around it that is there."""
    while place:
        if place in lines:
            return lines[place]
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return lines.get("")
