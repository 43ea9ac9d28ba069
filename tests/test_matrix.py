"""The matrix is read or refused with every fault, its line and its place, in bounded time and memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpudoctor import matrix as matrices
from gpudoctor import plain_yaml
from gpudoctor.errors import GpudoctorError, InputError
from gpudoctor.matrix import MAX_FAULTS, MAX_FILE_BYTES, Matrix, MatrixError, fault_line, load, parse
from gpudoctor.versions import ComputeCapability, CudaVersion

SMALL = """\
schema: "gpudoctor.matrix/1"
sources:
  notes: "https://example.org/notes"
cuda:
  - version: "11.1.1"
    bundled_driver: "455.32"
    source: [notes]
minor_version_compatibility:
  - cuda_major: 11
    min_driver: "450.80.02"
    source: [notes]
forward_compatibility:
  - cuda: "11.1"
    branches: ["450"]
    source: [notes]
generations:
  - compute_capability: "8.6"
    architecture: "Ampere"
    open_module: "optional"
    source: [notes]
gpus:
  - {name: "GeForce RTX 3090", compute_capability: "8.6", data_center: "no", brand: "GeForce", source: [notes]}
images:
  - tag: "20.12-tf1-py3"
    release: "20.12"
    tensorflow: "1.15.4"
    cuda: "11.1.1"
    source: [notes]
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "site.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def faults_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(MatrixError) as refused:
        load(write(folder, text))
    return [fault_line("site.yaml", fault) for fault in refused.value.faults]


# --- what is well ---


def test_shipped_matrix_is_read_without_a_fault_and_says_what_its_yaml_says() -> None:
    shipped = load()
    document = yaml.load(matrices.shipped_path().read_text(), Loader=yaml.CSafeLoader)
    assert [row.tag for row in shipped.images] == [row["tag"] for row in document["images"]]
    assert [row.version.text for row in shipped.cuda] == [row["version"] for row in document["cuda"]]
    assert [row.name for row in shipped.gpus] == [row["name"] for row in document["gpus"]]
    assert len(shipped.images) > 150


def test_our_reader_of_yaml_reads_the_shipped_file_as_pyyaml_does() -> None:
    text = matrices.shipped_path().read_bytes()
    assert plain_yaml.read(text).value == yaml.load(text, Loader=yaml.CSafeLoader)


def test_small_matrix_is_read(tmp_path: Path) -> None:
    small = load(write(tmp_path, SMALL))
    image = small.image("20.12-tf1-py3")
    assert image is not None
    assert image.cuda == CudaVersion("11.1.1")
    assert image.release_key == (20, 12)
    assert image.python is None
    assert image.provenance.confidence == "high"
    assert small.links(image.provenance) == ("https://example.org/notes",)
    assert small.image("20.11-tf1-py3") is None
    assert small.cuda_row(CudaVersion("11.1.1")) is not None
    assert small.cuda_row(CudaVersion("11.1")) is None
    assert small.forward_row(CudaVersion("11.1.9")) is not None
    assert small.forward_row(CudaVersion("11.2")) is None
    assert small.minor_version_row(10) is None
    assert small.generation(ComputeCapability("8.9")) is None


def test_absent_cell_is_unknown_and_empty_list_is_none_at_all(tmp_path: Path) -> None:
    text = SMALL + "    forward_compat: []\n"
    image = load(write(tmp_path, text)).images[0]
    assert image.forward_compat == ()
    assert load(write(tmp_path, SMALL)).images[0].forward_compat is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_yaml_are_read(tmp_path: Path, encoding: str) -> None:
    assert load(write(tmp_path, SMALL.encode(encoding))).images[0].tag == "20.12-tf1-py3"


# --- faults of one cell: the place, the line, what was found ---


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1, old
    return SMALL.replace(old, new)


ONE_FAULT: tuple[tuple[str, str, str], ...] = (
    ("unquoted version", changed('cuda: "11.1.1"', "cuda: 11.1"),
     "site.yaml:27: images[0].cuda: expected text, found the number 11.1; versions stand in quotes,"),
    ("unquoted ten", changed('tensorflow: "1.15.4"', "tensorflow: 2.10"),
     "site.yaml:26: images[0].tensorflow: expected text, found the number 2.1; versions stand in quotes,"),
    ("date", changed('release: "20.12"', "release: 2020-12-01"),
     "site.yaml:25: images[0].release: expected text, found 2020-12-01 without quotes; versions stand in quotes,"),
    ("truth", changed('open_module: "optional"', "open_module: no"),
     "site.yaml:19: generations[0].open_module: expected text, found true or false without quotes"),
    ("list for text", changed('tag: "20.12-tf1-py3"', "tag: [a]"),
     "site.yaml:24: images[0].tag: expected text, found a list"),
    ("nothing", changed('tensorflow: "1.15.4"', "tensorflow:"),
     "site.yaml:26: images[0].tensorflow: expected text, found nothing"),
    ("empty text", changed('tensorflow: "1.15.4"', 'tensorflow: ""'),
     "site.yaml:26: images[0].tensorflow: expected text, found ''"),
    ("no version", changed('tensorflow: "1.15.4"', 'tensorflow: "one"'),
     "site.yaml:26: images[0].tensorflow: 'one' is no TensorFlow version; one looks like 2.17.0"),
    ("unknown key", changed('tensorflow: "1.15.4"', 'tensorfow: "1.15.4"'),
     "site.yaml:26: images[0].tensorfow: unknown key; did you mean 'tensorflow'?"),
    ("unknown key like none", SMALL + '    colour: "red"\n',
     "site.yaml:29: images[0].colour: unknown key; known: arm64, "),
    ("unknown section", SMALL + "image: []\n", "site.yaml:29: image: unknown key; did you mean 'images'?"),
    ("unknown CUDA", changed('cuda: "11.1.1"', 'cuda: "11.1.2"'),
     "site.yaml:27: images[0].cuda: 11.1.2 is not in the section `cuda`"),
    ("unknown generation", changed('compute_capability: "8.6", data', 'compute_capability: "8.9", data'),
     "site.yaml:22: gpus[0].compute_capability: 8.9 is not in the section `generations`"),
    ("unknown source", changed('min_driver: "450.80.02"\n    source: [notes]',
                               'min_driver: "450.80.02"\n    source: [note]'),
     "site.yaml:11: minor_version_compatibility[0].source[0]: 'note' is not a key of `sources`"),
    ("no source", changed('branches: ["450"]\n    source: [notes]', 'branches: ["450"]'),
     "site.yaml:13: forward_compatibility[0].source: missing; every row names its sources"),
    ("no tag", changed('  - tag: "20.12-tf1-py3"\n    release', "  - release"),
     "site.yaml:24: images[0].tag: missing; expected a tag like '22.12-tf1-py3'"),
    ("tag for no registry", changed('tag: "20.12-tf1-py3"', 'tag: "20.12; rm"'),
     "site.yaml:24: images[0].tag: expected a tag like '22.12-tf1-py3', found '20.12; rm'"),
    ("no release", changed('release: "20.12"', 'release: "December"'),
     "site.yaml:25: images[0].release: expected a release like '22.12', found 'December'"),
    ("endless release", changed('release: "20.12"', f'release: "{"9" * 5000}"'),
     "site.yaml:25: images[0].release: expected a release like '22.12', found '999"),
    ("choice", changed('data_center: "no"', 'data_center: "maybe"'),
     "site.yaml:22: gpus[0].data_center: expected yes or no or ngc-ready, found 'maybe'"),
    ("processor by another name", changed('data_center: "no"', 'data_center: "no", architecture: "arm64"'),
     "site.yaml:22: gpus[0].architecture: expected x86_64 or aarch64, found 'arm64'"),
    ("no text for a processor", changed('data_center: "no"', 'data_center: "no", architecture: 64'),
     "site.yaml:22: gpus[0].architecture: expected text, found the number 64"),
    ("text for number", changed("cuda_major: 11", 'cuda_major: "11"'),
     "site.yaml:9: minor_version_compatibility[0].cuda_major: expected a whole number, found '11'"),
    ("bad item of a list", changed('branches: ["450"]', 'branches: ["450", 460]'),
     "site.yaml:14: forward_compatibility[0].branches[1]: expected text, found the number 460"),
    ("no list", changed('branches: ["450"]', 'branches: "450"'),
     "site.yaml:14: forward_compatibility[0].branches: expected a list of texts, found '450'"),
    ("row is no mapping", SMALL + "  - 22.12\n",
     "site.yaml:29: images[1]: expected a mapping, found the number 22.12"),
    ("section is no list", changed('forward_compatibility:\n  - cuda: "11.1"\n    branches: ["450"]\n'
                                   "    source: [notes]\n", "forward_compatibility: none\n"),
     "site.yaml:12: forward_compatibility: expected a list of rows, found 'none'"),
    ("other schema", changed("gpudoctor.matrix/1", "gpudoctor.matrix/2"),
     "site.yaml:1: schema: expected 'gpudoctor.matrix/1', found 'gpudoctor.matrix/2'"),
    ("no schema", changed('schema: "gpudoctor.matrix/1"\n', ""),
     "site.yaml:1: schema: missing; expected gpudoctor.matrix/1"),
    ("tag twice", SMALL + '  - {tag: "20.12-tf1-py3", release: "20.12", source: [notes]}\n',
     "site.yaml:29: images[1]: '20.12-tf1-py3' stands already in images[0]"),
    ("key twice", SMALL + '    cuda: "11.1.1"\n',
     "site.yaml:29: images[0].cuda: stands twice; the second would hide the first"),
    ("section twice", SMALL + "images: []\n",
     "site.yaml:29: images: stands twice; the second would hide the first"),
    ("a list", "- a\n", "site.yaml:1: expected a mapping, found a list"),
    ("a text", "hello\n", "site.yaml:1: expected a mapping, found 'hello'"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "line"), [row[1:] for row in ONE_FAULT], ids=[row[0] for row in ONE_FAULT])
def test_fault_is_told_once_with_line_place_and_what_was_found(tmp_path: Path, text: str, line: str) -> None:
    (told,) = faults_of(tmp_path, text)
    assert told.startswith(line)
    assert len(told) < 400
    assert "\n" not in told


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_empty_file_is_no_matrix(tmp_path: Path, text: str) -> None:
    (told,) = faults_of(tmp_path, text)
    assert told.endswith("expected a mapping, found nothing")


@pytest.mark.parametrize(
    ("section", "row", "key"),
    [
        ("cuda", '  - {version: "11.1.1.0", bundled_driver: "455.32", source: [notes]}\n', "11.1.1.0"),
        ("minor_version_compatibility", '  - {cuda_major: 11, min_driver: "450", source: [notes]}\n', "11"),
        ("forward_compatibility", '  - {cuda: "11.1.0", source: [notes]}\n', "11.1"),
        (
            "generations",
            '  - {compute_capability: "08.6", architecture: "A", open_module: "no", source: [notes]}\n',
            "08.6",
        ),
        (
            "gpus",
            '  - {name: "GeForce RTX 3090", compute_capability: "8.6", data_center: "no", brand: "x",'
            " source: [notes]}\n",
            "GeForce RTX 3090",
        ),
    ],
)
def test_row_that_says_the_same_key_in_other_digits_stands_twice(
    tmp_path: Path, section: str, row: str, key: str
) -> None:
    text = SMALL.replace(f"{section}:\n", f"{section}:\n{row}")
    (told,) = faults_of(tmp_path, text)
    assert f"{section}[1]: " in told
    assert f"stands already in {section}[0]" in told


def test_every_fault_is_told_in_one_run_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        SMALL.replace('version: "11.1.1"', "version: 11.1")
        .replace('min_driver: "450.80.02"', 'min_driver: "x"')
        .replace('    architecture: "Ampere"\n', "")
        .replace('brand: "GeForce", source: [notes]', "brand: 1")
        .replace("    source: [notes]\n", "", 1)
    )
    told = faults_of(tmp_path, text)
    assert [line.split(": ")[1] for line in told] == [
        "cuda[0].version",
        "cuda[0].source",
        "minor_version_compatibility[0].min_driver",
        "generations[0].architecture",
        "gpus[0].brand",
        "gpus[0].source",
    ]


def test_first_fault_and_the_number_of_the_others_make_the_one_line(tmp_path: Path) -> None:
    text = SMALL.replace('version: "11.1.1"', "version: 11.1").replace("cuda_major: 11", "cuda_major: x")
    path = write(tmp_path, text)
    with pytest.raises(MatrixError) as refused:
        load(path)
    assert refused.value.message.startswith(f"{path}:5: cuda[0].version: expected text")
    assert refused.value.message.endswith("(and 1 more)")
    assert refused.value.hint == f"gpudoctor matrix validate {path} lists every fault"
    assert refused.value.exit_code == 2


def test_parse_alone_tells_places_without_lines() -> None:
    document: dict[str, Any] = yaml.safe_load(SMALL)
    document["images"][0]["cuda"] = 11.1
    with pytest.raises(MatrixError) as refused:
        parse(document)
    assert fault_line("m", refused.value.faults[0]).startswith("m: images[0].cuda: expected text")


@pytest.mark.parametrize(
    "value",
    [1 << 20_000, float("nan"), float("inf"), b"x", {1: 2}, object()],
    ids=["long number", "nan", "inf", "bytes", "mapping", "object"],
)
def test_values_that_no_yaml_holds_are_refused_as_well(value: object) -> None:
    document: dict[Any, Any] = yaml.safe_load(SMALL)
    document["images"][0]["cuda"] = value
    document[3] = value
    document["sources"][4] = "x"
    with pytest.raises(MatrixError) as refused:
        parse(document)
    assert {fault.place for fault in refused.value.faults} == {"images[0].cuda", "3", "sources.4"}


# --- what cannot be read at all ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [1, 2\n", "site.yaml:2: not YAML: "),
        (b"a: b: c\n", "site.yaml:1: not YAML: mapping values are not allowed in this context"),
        (b"\tx: 1\n", "site.yaml:1: not YAML: "),
        (b"\x00\x01\x02", "site.yaml: not YAML: "),
        (b"\xff\xfe\xff", "site.yaml: not YAML: "),
        (b"a: \xc3\x28\n", "site.yaml: not YAML: "),
        (bytes(range(256)) * 4, "site.yaml: not YAML: "),
        (b"\x7fELF\x02\x01\x01\x00", "site.yaml: not YAML: "),
        (b"a: &x [1]\nb: *x\n", "site.yaml:2: alias *x: write the value out, a matrix has no aliases"),
        (b"a: &x {b: c}\nd:\n  <<: *x\n", "site.yaml:3: alias *x"),
        (b"&x [*x]\n", "site.yaml:1: alias *x"),
        (b"a: 1\n---\nb: 2\n", "site.yaml:2: a second document begins here"),
        (b"a: !!python/object/apply:os.system [echo]\n", "site.yaml:1: tag tag:yaml.org,2002:python/object"),
        (b"a: !!int ''\n", "site.yaml:1: tag tag:yaml.org,2002:int"),
        (b"a: !!timestamp x\n", "site.yaml:1: tag tag:yaml.org,2002:timestamp"),
        (b"? [a]\n: b\n", "site.yaml:1: expected a key, found a list or a mapping"),
        (b"[" * 30, "site.yaml:1: nested more than 20 levels deep"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(tmp_path: Path, text: bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as refused:
        load(path)
    assert refused.value.message.startswith(message.replace("site.yaml", str(path)))
    assert refused.value.exit_code == 2


def test_missing_file_folder_and_too_large_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load(tmp_path)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(InputError, match=f"larger than {MAX_FILE_BYTES >> 20} MiB"):
        load(huge)


HOSTILE: dict[str, bytes] = {
    "flow nesting": b"[" * 1_000_000,
    "block nesting": b"- " * 900_000 + b"x",
    "mapping nesting": b"".join(b" " * depth + b"a:\n" for depth in range(1500)),
    "nesting below an unknown key": b"x: " + b"[" * 19 + b"]" * 19 + b"\n",
    "aliases of aliases": b"a0: &a0 [x, x]\n"
    + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (level, level, level - 1, level - 1) for level in range(1, 60)),
    "merge keys": b"a0: &a0 {k: v}\n"
    + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (level, level, level - 1, level - 1) for level in range(1, 60)),
    "number of base sixty": b"schema: 1" + b":59" * 600_000,
    "number of base sixteen": b"schema: 0x" + b"f" * 1_000_000,
    "number of base ten": b"schema: " + b"9" * 1_000_000,
    "unknown keys": b"".join(b"k%d:\n" % number for number in range(150_000)),
    "repeated keys": b"k:\n" * 500_000,
    "rows that are none": b"images:\n" + b"- \n" * 500_000,
    "a long key": b"? " + b"k" * 1_900_000 + b"\n: 1\n",
    "a long text": b'schema: "' + b"x" * 1_900_000 + b'"\n',
    "100 MB of blanks": b" " * (100 << 20),
}  # fmt: skip

_READ_IN_BOUNDS = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from gpudoctor import matrix
from gpudoctor.errors import GpudoctorError
try:
    matrix.load(Path(sys.argv[1]))
except GpudoctorError as error:
    print(error.message)
"""


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file_is_refused_in_one_line_within_bounds(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, HOSTILE[kind])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-c", _READ_IN_BOUNDS, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(path))
    assert done.stdout.count("\n") == 1
    assert len(done.stdout) < 500
    # Measured in 2026-11 on two busy cores: 4 seconds the slowest; PyYAML's own loader crashes or takes minutes.
    assert spent < 30


def test_faults_beyond_a_thousand_are_not_looked_for() -> None:
    rows: list[object] = [None] * (MAX_FAULTS * 3)
    with pytest.raises(MatrixError) as refused:
        parse({"schema": matrices.SCHEMA, "images": rows})
    assert len(refused.value.faults) == MAX_FAULTS + 1
    assert refused.value.faults[-1].message == f"more than {MAX_FAULTS} faults; the rest was not looked at"


def test_loading_is_quick_enough_for_a_command_line() -> None:
    load()
    started = time.process_time()
    load()
    # 0.03 s when measured in 2026-11; ten times that would be felt at every start.
    assert time.process_time() - started < 0.3


def test_matrix_error_is_one_of_ours() -> None:
    assert issubclass(MatrixError, GpudoctorError)
    assert Matrix.__hash__ is object.__hash__  # one is itself alone: the key of caches
