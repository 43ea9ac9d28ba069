"""The smoke test as seen from the host: sends the script to an interpreter and reads its report.

The script runs beside code that is not ours, so nothing it prints is believed before it is checked.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import IO, Any

import gpudoctor
from gpudoctor.document import DocumentError, decode, encode
from gpudoctor.readings import Reading, Unread, Why

SCHEMA = "gpudoctor.smoke/1"
REPORT_MARK = b"gpudoctor-smoke:"
STAGE_MARK = b"gpudoctor-smoke-stage:"

OPERATIONS: dict[str, str] = {
    "matmul": "a matrix product against NumPy, on every GPU",
    "conv2d": "a convolution against NumPy, on every GPU",
    "gather": "tf.gather of rows, a single row and columns, on every GPU",
    "gather-nd": "tf.gather_nd of single cells",
    "batch-gather": "tf.batch_gather, or tf.gather(batch_dims=1)",
    "map-fn-gather-nd": "tf.map_fn over tf.gather_nd",
    "expand-dims": "K.expand_dims on every axis",
    "tile": "K.tile, also where the number of rows is unknown",
    "lambda-square": "a model with Lambda(x ** 2)",
    "lambda-antirectifier": "a Lambda of several steps that doubles the width",
    "lambda-slice": "Lambdas with arguments, put together again",
    "plot-model": "plot_model writes a picture; wants pydot and graphviz",
    "crossentropy": "categorical and sparse cross-entropy agree",
    "fit": "fit(batch_size=32): the loss falls as it does in NumPy",
    "fit-generator": "training on pictures from ImageDataGenerator",
    "train-on-batch": "batches of different sizes, against NumPy",
    "callback": "a callback hears of every batch and epoch",
    "save-weights": "weights kept in HDF5 and loaded",
    "save-model": "a whole model kept and loaded, optimizer included",
    "multi-gpu": "trained on several GPUs, loaded where there is none",
    "bert4keras": "a tiny random BERT; --with bert4keras installs it",
    "stress-matmul": "TFLOP/s against what the product should reach, on every GPU",
    "stress-memory": "memory bandwidth against the product's, on every GPU",
    "stress-host-to-device": "copies from the host, on every GPU",
    "stress-all-reduce": "sums over all GPUs by NCCL",
}
"""Every operation by its public name, in the order they run."""

QUICK_OPERATIONS = ("matmul", "conv2d", "gather")
_STRESS_OPERATIONS = tuple(name for name in OPERATIONS if name.startswith("stress-"))

LEVELS: dict[str, tuple[str, ...]] = {
    "quick": QUICK_OPERATIONS,
    "full": tuple(name for name in OPERATIONS if name not in _STRESS_OPERATIONS),
    "stress": (*QUICK_OPERATIONS, *_STRESS_OPERATIONS),
}

EXTRAS = ("bert4keras",)
"""What --with installs for the test alone."""

# Every operation with two packages of Keras made 12 KiB (TensorFlow 1.15.5). A line this long is noise or malice.
LINE_BYTES = 1 << 20
CHATTER_BYTES = 64 << 10
TEXT_CHARACTERS = 2000
NESTING = 12

STRESS_SECONDS = 5.0
"""How long each figure of the stress level is measured: a GPU that is too hot slows down within seconds."""

# The script answers SIGTERM within milliseconds, unless it is inside a library call: then only SIGKILL helps.
GRACE_SECONDS = 2.0


class SmokeOutcome(str, Enum):
    """How the smoke test ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It never began: there is no interpreter to ask, or it ran no line of the script."""


class OperationOutcome(str, Enum):
    """How one operation ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWith:
    """What TensorFlow was compiled against."""

    cuda: Reading[str]
    """By hand: python -c "import tensorflow as tf; print(tf.sysconfig.get_build_info())" """
    cudnn: Reading[str]
    compute_capabilities: Reading[tuple[str, ...]]
    """As TensorFlow spells them: sm_80 for code, compute_90 for PTX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeDevice:
    """One device that TensorFlow sees."""

    name: str
    """GPU:0, CPU:0."""
    description: str
    compute_capability: Reading[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasPackage:
    """A Keras beside tf.keras: the operations of models run with it too."""

    package: str
    """keras, tf_keras."""
    version: Reading[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedLibrary:
    """A library of NVIDIA's in the process that computed."""

    name: str
    path: str
    version: Reading[str]
    """By its own call, else by its file name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One figure of the stress level."""

    name: str
    """matmul_float32_tflops, memory_gbs, host_to_device_gbs, all_reduce_gbs."""
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation on one device."""

    name: str
    package: str = ""
    """tensorflow, tf.keras, or the Keras package it ran with."""
    outcome: OperationOutcome
    device_asked: str
    device: Reading[str]
    """Where it really ran."""
    seconds: Reading[float]
    expected: str
    got: str
    note: str
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Wall time inside the script."""

    import_seconds: Reading[float]
    first_kernel_seconds: Reading[float]
    """Context, memory pool and, where the image has no native code, minutes of PTX compilation."""
    total_seconds: Reading[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeError:
    """Why the test ended early."""

    stage: str
    """How far it came: start, import, devices, `operation fit on GPU:0`."""
    message: str
    causes: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """What the smoke test found."""

    outcome: SmokeOutcome
    device_asked: str
    level: str
    seed: int
    """Draws the same random inputs again with --seed."""
    python: Reading[str]
    tensorflow: Reading[str]
    keras: Reading[str]
    numpy: Reading[str]
    built_with: BuiltWith
    devices: tuple[SmokeDevice, ...]
    operations: tuple[Operation, ...]
    timings: Timings
    keras_packages: tuple[KerasPackage, ...] = ()
    libraries: tuple[LoadedLibrary, ...] = ()
    remarks: tuple[str, ...] = ()
    """What explains a failure, or will cause one."""
    error: SmokeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the script was asked, to hold its answer against."""

    device: str
    level: str = "full"
    only: tuple[str, ...] = ()
    seed: int
    extras: tuple[str, ...] = ()
    stress_seconds: float = STRESS_SECONDS

    def operations(self) -> tuple[str, ...]:
        """The names that the report must hold."""
        return self.only or LEVELS[self.level]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    stage: str
    so_far: SmokeReport


def script() -> bytes:
    """The script, to be sent to `python -` on stdin."""
    return resources.files("gpudoctor").joinpath("smoke_in_container.py").read_bytes()


def fresh_seed() -> int:
    """A seed for the random inputs; the report names it."""
    return secrets.randbelow(1 << 32)


def arguments(
    device: str,
    level: str = "full",
    only: Sequence[str] = (),
    seed: int | None = None,
    extras: Sequence[str] = (),
    stress_seconds: float = STRESS_SECONDS,
) -> tuple[str, ...]:
    """What follows `python -`."""
    chosen = ("--only", *only) if only else ()
    seeded = () if seed is None else ("--seed", str(seed))
    installed = tuple(word for name in extras for word in ("--with", name))
    bounded = () if stress_seconds == STRESS_SECONDS else ("--stress-seconds", f"{stress_seconds:g}")
    return ("--device", device, "--level", level, *chosen, *seeded, *installed, *bounded)


def parse(stdout: bytes | str, *, asked: Asked | None = None, ended: str = "") -> SmokeReport:
    """The report in what the script printed; `ended` tells how its process ended, as `exit code 139`."""
    listener = Listener()
    listener.feed(stdout.encode("utf-8", "surrogateescape") if isinstance(stdout, str) else stdout)
    return listener.report(asked=asked, ended=ended)


def to_json(report: SmokeReport) -> dict[str, Any]:
    """The report by contract."""
    return {"schema": SCHEMA, "version": gpudoctor.__version__, **encode(report)}


class Listener:
    """Keeps the marked lines out of any amount of output."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._overlong = b""
        """The mark of a line that is being dropped, a dash where it has none."""
        self._stage: bytes | None = None
        self._last: bytes | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of stdout, cut anywhere."""
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            self._add(line)
            self._end_line()
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        if self._overlong:
            return
        self._partial += piece
        if len(self._partial) > LINE_BYTES:
            marks = (REPORT_MARK, STAGE_MARK)
            self._overlong = next((mark for mark in marks if self._partial.startswith(mark)), b"-")
            self._partial.clear()

    def _end_line(self) -> None:
        line = self._overlong or bytes(self._partial)
        self._overlong = b""
        self._partial.clear()
        if line.startswith((REPORT_MARK, STAGE_MARK)):
            self._last = line
        if line.startswith(STAGE_MARK) and line != STAGE_MARK:
            self._stage = line

    @property
    def silent(self) -> bool:
        """Whether no marked line was heard: the script never ran."""
        return self._last is None

    def report(self, *, asked: Asked | None = None, ended: str = "", causes: Sequence[str] = ()) -> SmokeReport:
        """What the lines so far amount to; never an exception."""
        if self._partial or self._overlong:
            self._end_line()
        reached = self._reached()
        if self._last is None or not self._last.startswith(REPORT_MARK):
            message = f"{ended or 'the process ended'} without a report"
            return _cut_short(reached, asked, message, causes)
        try:
            report = decode(SmokeReport, _document(self._last[len(REPORT_MARK) :], SCHEMA))
            _hold_against(report, asked)
        except (DocumentError, ValueError) as error:
            message = f"the report is not to be trusted: {_visible(str(error))}"
            return _cut_short(reached, asked, message, causes)
        return _without_fix(report)

    def _reached(self) -> _Stage | None:
        """The last stage that was announced, None when there is none that can be read."""
        if self._stage is None:
            return None
        try:
            return decode(_Stage, _document(self._stage[len(STAGE_MARK) :]))
        except (DocumentError, ValueError):
            return None


def _document(line: bytes, schema: str | None = None) -> dict[str, Any]:
    """JSON types out of one line, with every string made safe to print; raises ValueError."""
    if len(line) > LINE_BYTES or not line.strip():
        raise ValueError("its line is empty or longer than 1 MiB")
    try:
        document = json.loads(line.decode("utf-8"), parse_int=_whole, parse_float=_finite, parse_constant=_not_a_number)
        cleaned = _cleaned(document, 0)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not isinstance(cleaned, dict):
        raise ValueError("it is no JSON object")
    if schema is not None and cleaned.get("schema") != schema:
        raise ValueError(f"its schema is not {schema}")
    return cleaned


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("it holds a number without measure")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number) or abs(number) > 1e15:
        raise ValueError("it holds a number without measure")
    return number


def _not_a_number(name: str) -> float:
    raise ValueError(f"it holds {name}")


def _cleaned(value: Any, depth: int) -> Any:
    if depth > NESTING:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        return _visible(value)
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {name: _cleaned(item, depth + 1) for name, item in value.items()}
    return value


def _visible(text: str) -> str:
    """The text without anything that moves a cursor, changes a colour or turns the reading direction."""
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text[:TEXT_CHARACTERS]
    )
    return shown if len(text) <= TEXT_CHARACTERS else shown + "…"


def _hold_against(report: SmokeReport, asked: Asked | None) -> None:
    """Raise ValueError for a report that contradicts itself or answers another question."""
    if report.outcome is SmokeOutcome.UNKNOWN:
        raise ValueError("its outcome is neither passed nor failed")
    if report.outcome is SmokeOutcome.FAILED:
        return
    outcomes = {operation.outcome for operation in report.operations}
    if report.error is not None or OperationOutcome.FAILED in outcomes or OperationOutcome.PASSED not in outcomes:
        raise ValueError("it says passed, and its operations say otherwise")
    kind = f"{report.device_asked.upper()}:"
    for operation in report.operations:
        in_place = operation.device == operation.device_asked and operation.device_asked.startswith(kind)
        if operation.outcome is OperationOutcome.PASSED and not in_place:
            raise ValueError(f"{operation.name} passed, and not on the {report.device_asked} asked for")
    if asked is not None:
        _hold_against_question(report, asked)


def _hold_against_question(report: SmokeReport, asked: Asked) -> None:
    # The seed is drawn for this run, so that a line from elsewhere cannot pass for the answer.
    for name, given, wanted in (
        ("device", report.device_asked, asked.device),
        ("level", report.level, asked.level),
        ("seed", report.seed, asked.seed),
    ):
        if given != wanted:
            raise ValueError(f"it answers another question: {name} {given}, asked for {wanted}")
    missing = set(asked.operations()) - {operation.name for operation in report.operations}
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")


def _without_fix(report: SmokeReport) -> SmokeReport:
    """The script proposes no fix; one that came with its report would be an order of somebody else's."""
    if report.error is None:
        return report
    return replace(report, error=replace(report.error, fix=""))


def _cut_short(reached: _Stage | None, asked: Asked | None, message: str, causes: Sequence[str]) -> SmokeReport:
    """The failed report of a run that gave none of its own."""
    stage = "start" if reached is None else reached.stage
    error = SmokeError(stage=stage, message=message, causes=tuple(causes))
    if reached is None:
        return _blank(asked, SmokeOutcome.FAILED, error)
    return replace(reached.so_far, outcome=SmokeOutcome.FAILED, error=error)


def _blank(asked: Asked | None, outcome: SmokeOutcome, error: SmokeError) -> SmokeReport:
    """A report of which nothing is known but why."""
    unread = Unread(source="smoke test", why=Why.NOT_ASKED, detail="the test did not come so far")
    return SmokeReport(
        outcome=outcome,
        device_asked="" if asked is None else asked.device,
        level="" if asked is None else asked.level,
        seed=0 if asked is None else asked.seed,
        python=unread,
        tensorflow=unread,
        keras=unread,
        numpy=unread,
        built_with=BuiltWith(cuda=unread, cudnn=unread, compute_capabilities=unread),
        devices=(),
        operations=(),
        timings=Timings(import_seconds=unread, first_kernel_seconds=unread, total_seconds=unread),
        error=error,
    )


def run_local(
    python: str,
    *,
    device: str,
    level: str = "full",
    only: Sequence[str] = (),
    seed: int | None = None,
    extras: Sequence[str] = (),
    stress_seconds: float = STRESS_SECONDS,
    timeout_seconds: float,
    talk: Callable[[bytes], None] | None = None,
) -> SmokeReport:
    """Run the script in an interpreter of this machine; whatever happens is in the report.

    `talk` is given what the script and TensorFlow write to stderr, as it comes.
    """
    asked = Asked(
        device=device,
        level=level,
        only=tuple(only),
        seed=fresh_seed() if seed is None else seed,
        extras=tuple(extras),
        stress_seconds=stress_seconds,
    )
    path = shutil.which(python)
    if path is None:
        return _could_not_start(asked, _why_not_runnable(python))
    # The script clears up behind itself, unless it is killed.
    with tempfile.TemporaryDirectory(prefix="gpudoctor-", ignore_cleanup_errors=True) as folder:
        return _converse(path, asked, timeout_seconds, talk, folder)


def _converse(
    path: str, asked: Asked, timeout_seconds: float, talk: Callable[[bytes], None] | None, folder: str
) -> SmokeReport:
    words = arguments(asked.device, asked.level, asked.only, asked.seed, asked.extras, asked.stress_seconds)
    try:
        process = subprocess.Popen(
            [path, "-", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": folder},
            start_new_session=True,  # so that the deadline reaches its children too
        )
    except (OSError, ValueError) as error:
        return _could_not_start(asked, f"{path} cannot be started: {error}")
    conversation = _Conversation(process, time.monotonic() + timeout_seconds, talk)
    try:
        conversation.hold()
    finally:
        stuck = conversation.end()
    return _judge(conversation, asked, path, timeout_seconds, stuck)


def _why_not_runnable(python: str) -> str:
    path = Path(python)
    if not python:
        return "there is no interpreter named ''"
    if os.sep not in python:
        return f"there is no {python} on PATH"
    if path.is_dir():
        return f"{python} is a folder, not an interpreter"
    if path.exists():
        return f"{python} is not executable"
    return f"there is no interpreter {python}"


def _could_not_start(asked: Asked, message: str, causes: Sequence[str] = ()) -> SmokeReport:
    fix = "name a Python 2.7, or 3.5 and later, that has TensorFlow: gpudoctor smoke --python PATH"
    error = SmokeError(stage="start", message=_visible(message), causes=tuple(causes), fix=fix)
    return _blank(asked, SmokeOutcome.UNKNOWN, error)


class _Conversation:
    """One process: the script goes in, marked lines and chatter come out, until it ends or the deadline."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float, talk: Callable[[bytes], None] | None) -> None:
        self.process = process
        self.listener = Listener()
        self.timed_out = False
        self._deadline = deadline
        self._talk = talk
        self._chatter = bytearray()
        self._unsent = memoryview(script())

    def hold(self) -> None:
        """Talk until the process has ended or may not go on."""
        with selectors.DefaultSelector() as selector:
            for stream, event in self._streams():
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, event)
            self._exchange(selector, self._deadline)
            if not self._has_ended():
                self.timed_out = True
                self._signal(signal.SIGTERM)
                self._exchange(selector, time.monotonic() + GRACE_SECONDS)

    def _streams(self) -> Iterator[tuple[IO[bytes], int]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        yield self.process.stdin, selectors.EVENT_WRITE
        yield self.process.stdout, selectors.EVENT_READ
        yield self.process.stderr, selectors.EVENT_READ

    def _exchange(self, selector: selectors.BaseSelector, deadline: float) -> None:
        """Pass bytes until the process has ended and its pipes are read empty, or until the deadline."""
        while (left := deadline - time.monotonic()) > 0:
            ended = self._has_ended()
            readers = [key for key in selector.get_map().values() if key.events & selectors.EVENT_READ]
            if ended and not readers:
                return
            # A child that outlives the process may hold its pipes open: then silence is the end.
            ready = selector.select(min(left, 0.2 if ended or not readers else 1.0))
            if ended and not any(mask & selectors.EVENT_READ for _, mask in ready):
                return
            for key, _ in ready:
                self._pass(selector, key.fileobj)

    def _pass(self, selector: selectors.BaseSelector, stream: Any) -> None:
        try:
            sending = stream is self.process.stdin
            open_still = self._send(stream) if sending else self._receive(stream)
        except BlockingIOError:
            return
        except OSError:  # it stopped reading
            open_still = False
        if not open_still:
            selector.unregister(stream)
            with contextlib.suppress(OSError):
                stream.close()

    def _send(self, stream: IO[bytes]) -> bool:
        self._unsent = self._unsent[os.write(stream.fileno(), self._unsent) :]
        return len(self._unsent) > 0

    def _receive(self, stream: IO[bytes]) -> bool:
        chunk = os.read(stream.fileno(), 1 << 16)
        if stream is self.process.stdout:
            self.listener.feed(chunk)
        else:
            self._chatter += chunk
            del self._chatter[:-CHATTER_BYTES]
            if chunk and self._talk is not None:
                self._talk(chunk)
        return bool(chunk)

    def end(self) -> bool:
        """Leave nothing of it behind; true when it could not be ended."""
        self._signal(signal.SIGKILL)
        for stream, _ in self._streams():
            with contextlib.suppress(OSError):
                stream.close()
        try:
            self.process.wait(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _has_ended(self) -> bool:
        # Not reaped before its group is dead: until then nobody else can be given its number.
        state = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return state is not None

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def last_words(self) -> tuple[str, ...]:
        """The end of stderr, without the script's own talk."""
        lines = self._chatter.decode("utf-8", "replace").splitlines()
        telling = [line.strip() for line in lines if line.strip() and not line.startswith("gpudoctor: ")]
        return tuple(f"stderr: {_visible(line)}" for line in telling[-3:])


def _judge(conversation: _Conversation, asked: Asked, python: str, timeout_seconds: float, stuck: bool) -> SmokeReport:
    """The report, held against how the process ended."""
    code = conversation.process.returncode
    ended = f"no answer within {timeout_seconds:g} s" if conversation.timed_out else ending(code)
    causes = conversation.last_words()
    if stuck:
        process = conversation.process.pid
        causes = (*causes, f"process {process} cannot be killed: it waits inside the kernel (state D)")
    if conversation.listener.silent:
        how = f"{python}: {ended}, and not a line of the script ran"
        if not conversation.timed_out:
            how = f"{python} did not run the script: {ended}"
        return _could_not_start(asked, how, causes)
    report = conclude(
        conversation.listener,
        asked=asked,
        ended=ended,
        timed_out=conversation.timed_out,
        clean=code == 0,
        causes=causes,
    )
    return _with_fix(report, python)


def conclude(
    listener: Listener, *, asked: Asked, ended: str, timed_out: bool, clean: bool, causes: Sequence[str]
) -> SmokeReport:
    """The report of a script that ran somewhere, held against how its process ended.

    `ended` tells it in words; `clean` is exit code 0. A passed report of a process that did not end well, or not in
    time, is a failure.
    """
    report = hold_against_product(listener.report(asked=asked, ended=ended, causes=causes))
    stage = report.error.stage if report.error is not None else "end"
    if timed_out:
        message = f"{ended}, stopped at {stage}" if stage != "end" else ended
    elif report.outcome is SmokeOutcome.PASSED and not clean:
        message = f"every operation passed, then {ended}"
    else:
        return report
    error = SmokeError(stage=stage, message=message, causes=tuple(causes))
    return replace(report, outcome=SmokeOutcome.FAILED, error=error)


def hold_against_product(report: SmokeReport) -> SmokeReport:
    """Measured rates beside what each GPU's product should reach; far below it the operation has failed.

    On the CPU there is nothing to compare with.
    """
    if not any(operation.rates for operation in report.operations) or report.device_asked != "gpu":
        return report
    operations = tuple(_beside_peaks(operation, report) for operation in report.operations)
    slow = any(one.outcome is not other.outcome for one, other in zip(operations, report.operations, strict=True))
    outcome = SmokeOutcome.FAILED if slow else report.outcome
    return replace(report, operations=operations, outcome=outcome)


def _beside_peaks(operation: Operation, report: SmokeReport) -> Operation:
    from gpudoctor import performance

    device = next((one for one in report.devices if one.name == operation.device), None)
    if device is None or not operation.rates:
        return operation
    named = re.search(r"name: ([^,]+)", device.description)
    product = named[1] if named else device.description
    capability = "" if isinstance(device.compute_capability, Unread) else device.compute_capability
    # TensorFlow multiplies in TF32 by itself where there is TF32; 1.x images of NVIDIA's do as well.
    tf32 = capability.partition(".")[0].isdecimal() and int(capability.partition(".")[0]) >= 8
    notes, slow = [], []
    for rate in operation.rates:
        peak = performance.peak_of(product, rate.name, tf32=tf32)
        if peak is None:
            notes.append(f"nothing is known to compare {rate.name} of {product} with")
            continue
        share = rate.value / peak.value
        sentence = f"{rate.value:.4g} {peak.unit} is {share:.0%} of the {peak.value:g} of {peak.product}"
        notes.append(f"{rate.name}: {sentence}")
        if share < peak.least:
            slow.append(f"{rate.name} too slow: {sentence}, less than {peak.least:.0%}")
    if slow and operation.outcome is OperationOutcome.PASSED:
        advice = "look for heat, a power limit, a narrow PCIe link or another process: gpudoctor check"
        note = "; ".join([*slow, advice, operation.note])
        return replace(operation, outcome=OperationOutcome.FAILED, note=note, expected="", got="")
    return replace(operation, note="; ".join([*notes, operation.note]))


# What the signals mean that TensorFlow is known to die of.
_SIGNALS = {
    "SIGILL": "this TensorFlow needs instructions, as AVX, that this CPU lacks",
    "SIGKILL": "the kernel kills so when memory runs out: see dmesg",
    "SIGBUS": "often a full /dev/shm or a truncated file",
}


def ending(code: int | None) -> str:
    """How a process ended, in words; a negative code is a signal, as subprocess has it."""
    if code is None:
        return "no end"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"killed by signal {-code}"
    return f"killed by {name}" + (f" ({_SIGNALS[name]})" if name in _SIGNALS else "")


_NO_TENSORFLOW = re.compile(r"No module named '?tensorflow'?$")


def _with_fix(report: SmokeReport, python: str) -> SmokeReport:
    error = report.error
    if error is None:
        return report
    if error.stage == "import" and _NO_TENSORFLOW.search(error.message):
        own = Path(python) == Path(sys.executable)
        install = "pip install 'gpudoctor[tensorflow]'" if own else f"{python} -m pip install tensorflow"
        fix = f"{install}, or name an interpreter that has it: gpudoctor smoke --python PATH"
    elif error.stage == "devices" and report.device_asked == "gpu":
        fix = "gpudoctor check tells what this machine lacks; --device cpu tests the operations without a GPU"
    else:
        return report
    return replace(report, error=replace(error, fix=fix))


_MARKS = {OperationOutcome.PASSED: "✓", OperationOutcome.FAILED: "✗", OperationOutcome.SKIPPED: "–"}


def render(report: SmokeReport) -> str:
    """The report for people: a line per operation and a total."""
    lines = [_versions(report)] if not isinstance(report.tensorflow, Unread) else []
    lines += [f"! {remark}" for remark in report.remarks]
    lines += [
        f"! the package {one.package} was left out: {one.version.detail}"
        for one in report.keras_packages
        if isinstance(one.version, Unread)
    ]
    width = max((len(shown_name(operation)) for operation in report.operations), default=0)
    lines += [_operation_line(operation, width) for operation in report.operations]
    if report.error is not None:
        lines.append(f"✗ {report.error.stage}: {report.error.message}")
        lines += [f"    {cause}" for cause in report.error.causes]
        if report.error.fix:
            lines.append(f"  fix: {report.error.fix}")
    lines.append(_total(report))
    return "\n".join(lines) + "\n"


def _versions(report: SmokeReport) -> str:
    named = (
        ("TensorFlow", report.tensorflow),
        ("Keras", report.keras),
        ("NumPy", report.numpy),
        ("Python", report.python),
        ("built with CUDA", report.built_with.cuda),
        ("cuDNN", report.built_with.cudnn),
    )
    return ", ".join(f"{name} {value}" for name, value in named if not isinstance(value, Unread))


def shown_name(operation: Operation) -> str:
    """The name, with the package where it is not TensorFlow's own."""
    own = operation.package in ("", "tensorflow", "tf.keras")
    return operation.name if own else f"{operation.name} ({operation.package})"


def _rates(operation: Operation) -> str:
    """Figures that were compared with nothing: those that were have their sentence in the note."""
    if any(rate.name in operation.note for rate in operation.rates):
        return ""
    return "".join(f"{rate.name} {rate.value:.4g}; " for rate in operation.rates)


def _operation_line(operation: Operation, width: int) -> str:
    device = operation.device_asked if isinstance(operation.device, Unread) else operation.device
    seconds = "" if isinstance(operation.seconds, Unread) else f"{operation.seconds:.2f} s"
    mark = _MARKS[operation.outcome]
    line = f"{mark} {shown_name(operation):<{width}}  {device:<6} {seconds:>8}  {_rates(operation)}{operation.note}"
    if operation.outcome is OperationOutcome.FAILED and operation.expected != operation.got:
        line += f"\n    expected {operation.expected}\n    got      {operation.got}"
    return line.rstrip()


def _total(report: SmokeReport) -> str:
    counted = [
        f"{count} {outcome.value}"
        for outcome in OperationOutcome
        if (count := sum(operation.outcome is outcome for operation in report.operations))
    ]
    total, loading, first = (
        report.timings.total_seconds,
        report.timings.import_seconds,
        report.timings.first_kernel_seconds,
    )
    spent = "" if isinstance(total, Unread) else f" in {total:.1f} s"
    parts = [
        f"{name} {value:.2f} s"
        for name, value in (("import", loading), ("first kernel", first))
        if not isinstance(value, Unread)
    ]
    inside = f" ({', '.join(parts)})" if parts else ""
    where = " on the CPU, as asked" if report.device_asked == "cpu" else ""
    head = f"smoke test {report.outcome.value}{spent}{where}{inside}, seed {report.seed}"
    return f"{head}; operations: {', '.join(counted)}" if counted else head
