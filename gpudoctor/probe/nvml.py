"""What NVML says: driver, CUDA and GPUs, asked in a process that can be left behind.

A sick driver can keep a caller in the kernel for ever, or kill it. So a forked child loads pynvml, says on a
pipe which call it is about to make and then what came back; the parent reads until the deadline and keeps
whatever was answered by then. Fork before any thread is started.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gpudoctor.facts import GpuFacts, MigDevice
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion

T = TypeVar("T")

_LIBRARY = "libnvidia-ml.so.1"

# The package's own name, for what goes wrong before the library is asked anything.
_LOADER = "pynvml"

# Values of nvmlReturn_t. https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html (2026-11)
_NOT_SUPPORTED = 3
_NO_PERMISSION = 4
_NOT_FOUND = 6
_TIMEOUT = 10
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
_ARGUMENT_VERSION_MISMATCH = 25
_DEPRECATED = 26

_WHY = {
    _NOT_SUPPORTED: Why.UNSUPPORTED,
    _NO_PERMISSION: Why.FORBIDDEN,
    _TIMEOUT: Why.TIMEOUT,
    _LIBRARY_NOT_FOUND: Why.ABSENT,
    _FUNCTION_NOT_FOUND: Why.UNSUPPORTED,
    _ARGUMENT_VERSION_MISMATCH: Why.UNSUPPORTED,
    _DEPRECATED: Why.UNSUPPORTED,
}

# Answers after which an older spelling of the same question is tried.
_TRY_OLDER = frozenset({_NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _ARGUMENT_VERSION_MISMATCH, _DEPRECATED})

# Newer calls first, older ones as fall-back: driver 384 knows no nvmlInitWithFlags, driver 470 no
# nvmlDeviceGetMemoryInfo_v2.
_INIT = ("nvmlInitWithFlags", "nvmlInit_v2")
_HOST_CALLS: dict[str, tuple[str, ...]] = {
    "driver_version": ("nvmlSystemGetDriverVersion",),
    "nvml_version": ("nvmlSystemGetNVMLVersion",),
    "driver_cuda_version": ("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"),
    "count": ("nvmlDeviceGetCount_v2",),
}
_HANDLE = ("nvmlDeviceGetHandleByIndex_v2",)
_GPU_CALLS: dict[str, tuple[str, ...]] = {
    "uuid": ("nvmlDeviceGetUUID",),
    "name": ("nvmlDeviceGetName",),
    "pci_address": ("nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2"),
    "compute_capability": ("nvmlDeviceGetCudaComputeCapability",),
    "brand": ("nvmlDeviceGetBrand",),
    "memory": ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"),
    "mig_mode": ("nvmlDeviceGetMigMode",),
}
_MIG_COUNT = ("nvmlDeviceGetMaxMigDeviceCount",)
_MIG_HANDLE = ("nvmlDeviceGetMigDeviceHandleByIndex",)
_MIG_CALLS: dict[str, tuple[str, ...]] = {key: _GPU_CALLS[key] for key in ("uuid", "name", "memory")}

# More GPUs than any machine holds: a count above it is an answer gone wrong, not a reason to ask for hours.
_MOST_GPUS = 1024

# A killed child is gone within milliseconds, on a busy machine too, unless the kernel holds it.
_BURIAL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class NvmlFacts:
    """The part of the facts that NVML tells."""

    driver_version: Reading[DriverVersion]
    nvml_version: Reading[str]
    driver_cuda_version: Reading[CudaVersion]
    gpus: Reading[tuple[GpuFacts, ...]]


def probe(timeout_seconds: float) -> NvmlFacts:
    """Ask NVML everything, for `timeout_seconds` at most.

    Answers given before the deadline, a crash of the library or the loss of a GPU are kept; every other
    reading is an Unread that names the call and what it returned.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        child, pipe = _start()
    except OSError as error:
        detail = f"no process to ask NVML in: {error.strerror}"
        return _nothing(Unread(source=_LOADER, why=Why.FAILED, detail=detail))
    transcript = _Transcript()
    try:
        in_time = _listen(pipe, transcript, deadline)
        state = "" if in_time else _state(child)
    finally:
        os.close(pipe)
        ending = _bury(child)
    if not in_time:
        survived = "" if ending is not None else f"; it does not die when killed{_state(child)}"
        transcript.end(Why.TIMEOUT, f"no answer within {timeout_seconds:g} s{state}{survived}")
    elif not transcript.complete:
        transcript.end(Why.FAILED, _death(ending))
    return _facts(transcript)


# --- The parent ---


def _start() -> tuple[int, int]:
    """Fork the child; its process id and the end of the pipe to read from."""
    reader, writer = os.pipe()
    parent = os.getpid()
    try:
        child = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if child == 0:
        _run_child(writer, parent)
    os.close(writer)
    return child, reader


def _listen(pipe: int, transcript: _Transcript, deadline: float) -> bool:
    """Read what the child says until it ends (True) or the deadline passes (False)."""
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    rest = b""
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poller.poll(max(1, int(remaining * 1000))):
            return False
        received = os.read(pipe, 65536)
        if not received:
            return True
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            transcript.add(*json.loads(line))


def _state(child: int) -> str:
    """What a child that does not answer is doing: state D is the driver's doing, R and S may be ours."""
    try:
        stat = Path(f"/proc/{child}/stat").read_text(encoding="ascii", errors="replace")
        # The second field is the program's name in brackets, and may hold blanks.
        state = stat.rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    try:
        where = Path(f"/proc/{child}/wchan").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        where = ""
    return f" (process state {state}{f', in {where}' if where not in ('', '0') else ''})"


def _bury(child: int) -> int | None:
    """Kill the child and what it started; its wait status, None when it does not die.

    A process in state D dies when the driver lets go of it, which may be never: it is left behind.
    """
    try:
        os.killpg(child, signal.SIGKILL)
    except OSError:
        # It had no time yet to become the leader of a group of its own.
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
    give_up = time.monotonic() + _BURIAL_SECONDS
    while True:
        try:
            buried, status = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            # Whoever started us ignores SIGCHLD, so the kernel buries children unseen: its status is lost.
            return 0
        if buried:
            return status
        if time.monotonic() > give_up:
            return None
        time.sleep(0.005)


def _death(ending: int | None) -> str:
    if ending is None or not os.WIFSIGNALED(ending):
        return "the process that asked NVML ended without an answer"
    number = os.WTERMSIG(ending)
    if number == signal.SIGKILL:
        return "the process that asked NVML was killed from outside"
    return f"the library crashed: {signal.strsignal(number)} (signal {number})"


class _Transcript:
    """What the child said, by question."""

    def __init__(self) -> None:
        self.complete = False
        self._answers: dict[str, tuple[str, Any]] = {}
        self._unread: dict[str, Unread] = {}
        self._pending: tuple[str, str] | None = ("import", _LOADER)
        self._stopped_at = ""

    def add(self, word: str, key: str = "", call: str = "", *more: Any) -> None:
        """One line of the child."""
        self._pending = (key, call) if word == "asking" else None
        if word == "answered":
            self._answers[key] = (call, more[0])
        elif word == "unread":
            why, detail, code = more
            self._unread[key] = Unread(source=call, why=Why(why), detail=detail, code=code)
        elif word == "end":
            self.complete = True

    def end(self, why: Why, detail: str) -> None:
        """The child says no more: the question it was at gets this reason, those behind it point to it."""
        self._stopped_at = detail
        if self._pending is not None:
            key, call = self._pending
            self._unread[key] = Unread(source=call, why=why, detail=detail)
            self._stopped_at = f"{call}{_of_gpu(key)} came first and gave no answer"

    def reading(self, key: str, calls: tuple[str, ...], convert: Callable[[Any], T]) -> Reading[T]:
        """The answer to a question, or why there is none."""
        if key in self._unread:
            return self._unread[key]
        if key not in self._answers:
            return Unread(source=calls[0], why=Why.NOT_ASKED, detail=self._stopped_at)
        call, value = self._answers[key]
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            return Unread(source=call, why=Why.GARBLED, detail=str(error))


def _of_gpu(key: str) -> str:
    index, dot, _ = key.partition(".")
    return f" of GPU {index}" if dot else ""


def _facts(transcript: _Transcript) -> NvmlFacts:
    for step, calls in (("import", (_LOADER,)), ("init", _INIT)):
        begun = transcript.reading(step, calls, bool)
        if isinstance(begun, Unread):
            return _nothing(begun)
    count = transcript.reading("count", _HOST_CALLS["count"], _gpu_count)
    return NvmlFacts(
        driver_version=_host(transcript, "driver_version", lambda value: DriverVersion.parse(_text(value))),
        nvml_version=_host(transcript, "nvml_version", _text),
        driver_cuda_version=_host(transcript, "driver_cuda_version", CudaVersion.from_nvml),
        gpus=count if isinstance(count, Unread) else tuple(_gpu(transcript, index) for index in range(count)),
    )


def _nothing(unread: Unread) -> NvmlFacts:
    return NvmlFacts(driver_version=unread, nvml_version=unread, driver_cuda_version=unread, gpus=unread)


def _host(transcript: _Transcript, key: str, convert: Callable[[Any], T]) -> Reading[T]:
    return transcript.reading(key, _HOST_CALLS[key], convert)


def _gpu(transcript: _Transcript, index: int) -> GpuFacts:
    handle = transcript.reading(f"{index}.handle", _HANDLE, bool)

    def ask(key: str, convert: Callable[[Any], T]) -> Reading[T]:
        if isinstance(handle, Unread):
            # Nothing was asked without a handle: what the handle's call said is the reason for all.
            return handle
        return transcript.reading(f"{index}.{key}", _GPU_CALLS[key], convert)

    mig_enabled = ask("mig_mode", lambda value: value[0] == 1)
    return GpuFacts(
        index=index,
        uuid=ask("uuid", _text),
        name=ask("name", _text),
        pci_address=ask("pci_address", _pci_address),
        compute_capability=ask("compute_capability", _compute_capability),
        brand=_brand(ask("brand", _brand_name)),
        memory_bytes=ask("memory", lambda value: _positive(value[0])),
        memory_free_bytes=ask("memory", lambda value: int(value[1])),
        mig_enabled=mig_enabled,
        mig_devices=_mig_devices(transcript, index, mig_enabled),
    )


def _mig_devices(transcript: _Transcript, index: int, mig_enabled: Reading[bool]) -> Reading[tuple[MigDevice, ...]]:
    if isinstance(mig_enabled, Unread):
        # A GPU or driver without MIG has no instances: that much is known.
        return () if mig_enabled.why is Why.UNSUPPORTED else mig_enabled
    if not mig_enabled:
        return ()
    most = transcript.reading(f"{index}.mig_count", _MIG_COUNT, _gpu_count)
    if isinstance(most, Unread):
        return most
    devices = []
    for prefix in (f"{index}.mig.{place}" for place in range(most)):
        handle = transcript.reading(f"{prefix}.handle", _MIG_HANDLE, bool)
        if not isinstance(handle, Unread):
            devices.append(_mig_device(transcript, prefix))
        elif handle.code != _NOT_FOUND:
            # An instance may be there or not: how many there are is unknown.
            return handle
    return tuple(devices)


def _mig_device(transcript: _Transcript, prefix: str) -> MigDevice:
    def ask(key: str, convert: Callable[[Any], T]) -> Reading[T]:
        return transcript.reading(f"{prefix}.{key}", _MIG_CALLS[key], convert)

    return MigDevice(
        uuid=ask("uuid", _text),
        name=ask("name", _text),
        memory_bytes=ask("memory", lambda value: _positive(value[0])),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("empty text")
    # Terminals obey control characters: what holds any is shown escaped and never used.
    if not value.isprintable():
        raise ValueError(f"text with unprintable characters: {value!r}")
    return value


def _compute_capability(value: list[int]) -> ComputeCapability:
    return ComputeCapability(f"{value[0]}.{value[1]}")


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError(f"{value} bytes")
    return value


def _gpu_count(value: int) -> int:
    if not 0 <= value <= _MOST_GPUS:
        raise ValueError(f"a count of {value}")
    return value


def _brand_name(value: object) -> str:
    if isinstance(value, int):
        raise ValueError(f"brand {value}, which this version of pynvml does not know")
    return _text(value)


def _brand(reading: Reading[str]) -> Reading[str]:
    """NVML has a constant for a brand that it does not know: that is no answer."""
    if reading != "unknown":
        return reading
    return Unread(source=_GPU_CALLS["brand"][0], why=Why.UNSUPPORTED, detail="NVML_BRAND_UNKNOWN")


def _pci_address(value: object) -> str:
    """NVML writes eight digits of domain, the kernel four: 00000000:01:00.0 is 0000:01:00.0."""
    domain, _, rest = _text(value).partition(":")
    return f"{int(domain, 16):04x}:{rest.lower()}"


# --- The child ---


def _run_child(pipe: int, parent: int) -> NoReturn:
    """Everything that happens after the fork; never returns, never speaks but through the pipe."""
    status = 1
    try:
        pipe = _detach(pipe, parent)
        _interview(_Speaker(pipe))
        status = 0
    finally:
        # No handler of the parent's, no flushing of its buffers, no traceback.
        os._exit(status)


def _detach(pipe: int, parent: int) -> int:
    """Cut the child off from the parent's files, signals and terminal; the pipe's new number."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.setsid()
    # Whatever a child in state D keeps open stays open for ever: a stdout whose reader waits for its end, a
    # lock of the caller. Nothing is kept but the pipe, and no program that the library starts inherits it.
    # The pipe moves first: its number is 0, 1 or 2 where the caller was started with those closed.
    kept = 3
    if pipe != kept:
        os.dup2(pipe, kept, inheritable=False)
    silence = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(silence, standard)
    # Not a range up to the limit: containers set it to a thousand million.
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > kept:
            # The listing's own descriptor is in the list, and closed by now.
            with contextlib.suppress(OSError):
                os.close(descriptor)
    _die_with(parent)
    return kept


def _die_with(parent: int) -> None:
    """End with the parent, however it ends, and leave no core file behind."""
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class _Speaker:
    """The child's end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def say(self, *words: object) -> None:
        os.write(self._pipe, json.dumps(words).encode() + b"\n")

    def unread(self, key: str, call: str, why: Why, detail: str, code: int | None = None) -> None:
        # One line, and nothing that a terminal would obey.
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in detail)
        self.say("unread", key, call, why.value, shown, code)


def _interview(speaker: _Speaker) -> None:
    """Import pynvml, load the library and put every question."""
    speaker.say("asking", "import", _LOADER)
    try:
        import pynvml
    except Exception as error:
        speaker.unread("import", _LOADER, Why.FAILED, f"cannot be imported: {error}")
    else:
        speaker.say("answered", "import", _LOADER, True)
        _Interviewer(speaker, pynvml).ask_everything()
    speaker.say("end")


class _Interviewer:
    """Puts one question after another to pynvml."""

    def __init__(self, speaker: _Speaker, nvml: Any) -> None:
        self._speaker = speaker
        self._nvml = nvml
        self._names = {
            value: name
            for name, value in vars(nvml).items()
            if name.startswith("NVML_ERROR_") and isinstance(value, int)
        }
        self._special: dict[str, Callable[..., Any]] = {
            "nvmlInitWithFlags": lambda: nvml.nvmlInitWithFlags(0) is None,
            "nvmlInit_v2": lambda: self._call("nvmlInit_v2"),
            "nvmlDeviceGetCount_v2": nvml.nvmlDeviceGetCount,
            "nvmlDeviceGetHandleByIndex_v2": nvml.nvmlDeviceGetHandleByIndex,
            "nvmlDeviceGetPciInfo_v3": lambda handle: self._bus_id(nvml.nvmlDeviceGetPciInfo_v3(handle)),
            "nvmlDeviceGetPciInfo_v2": self._pci_info_v2,
            "nvmlDeviceGetBrand": self._brand,
            "nvmlDeviceGetMemoryInfo_v2": lambda handle: self._memory(handle, version=nvml.nvmlMemory_v2),
            "nvmlDeviceGetMemoryInfo": self._memory,
        }

    def ask_everything(self) -> None:
        """The whole interview, one GPU after the other."""
        if self._ask("init", _INIT) is None:
            return
        answers = {key: self._ask(key, calls) for key, calls in _HOST_CALLS.items()}
        count = answers["count"]
        if count is None or count > _MOST_GPUS:
            return
        for index in range(count):
            handle = self._ask(f"{index}.handle", _HANDLE, index, shown=bool)
            if handle is not None:
                self._ask_gpu(index, handle)

    def _ask_gpu(self, index: int, handle: Any) -> None:
        answers = {key: self._ask(f"{index}.{key}", calls, handle) for key, calls in _GPU_CALLS.items()}
        mode = answers["mig_mode"]
        if mode is None or mode[0] != 1:
            return
        most = self._ask(f"{index}.mig_count", _MIG_COUNT, handle)
        for place in range(most if most is not None and most <= _MOST_GPUS else 0):
            instance = self._ask(f"{index}.mig.{place}.handle", _MIG_HANDLE, handle, place, shown=bool)
            if instance is not None:
                for key, calls in _MIG_CALLS.items():
                    self._ask(f"{index}.mig.{place}.{key}", calls, instance)

    def _ask(
        self,
        key: str,
        calls: tuple[str, ...],
        *arguments: Any,
        shown: Callable[[Any], object] = lambda value: value,
    ) -> Any:
        """Put one question in its spellings, newest first; the value, or None once the reason was told."""
        for call in calls:
            self._speaker.say("asking", key, call)
            try:
                value = (self._special.get(call) or getattr(self._nvml, call))(*arguments)
            except Exception as error:
                code = getattr(error, "value", None) if isinstance(error, self._nvml.NVMLError) else None
                if code in _TRY_OLDER and call != calls[-1]:
                    continue
                self._tell(key, call, error, code)
                return None
            self._speaker.say("answered", key, call, shown(value))
            return value
        return None

    def _tell(self, key: str, call: str, error: Exception, code: int | None) -> None:
        if isinstance(error, UnicodeDecodeError):
            detail = f"text that is not UTF-8: {ascii(error.object)[1:]}"
            self._speaker.unread(key, call, Why.GARBLED, detail)
        elif code is None:
            self._speaker.unread(key, call, Why.FAILED, f"{type(error).__name__}: {error}")
        elif code == _LIBRARY_NOT_FOUND and isinstance(error.__context__, OSError):
            # pynvml answers as NVML would, and keeps the loader's own words as the exception's context.
            words = str(error.__context__)
            self._speaker.unread(key, call, _why_not_loaded(words), words, code)
        else:
            detail = f"{self._words(error, code)} ({self._names.get(code, 'nvmlReturn_t')} {code})"
            self._speaker.unread(key, call, _WHY.get(code, Why.FAILED), detail, code)

    def _words(self, error: Exception, code: int) -> str:
        """NVML's own, which users know from nvidia-smi; pynvml's where the library cannot say."""
        for describe in (lambda: self._nvml.nvmlErrorString(code), lambda: str(error)):
            with contextlib.suppress(Exception):
                words = describe()
                if words:
                    return str(words)
        return "no description"

    def _call(self, name: str, *arguments: Any) -> bool:
        """A function of old libraries that pynvml no longer wraps."""
        try:
            function = getattr(self._nvml.nvmlLib, name)
        except AttributeError:
            raise self._nvml.NVMLError(_FUNCTION_NOT_FOUND) from None
        code = function(*arguments)
        if code:
            raise self._nvml.NVMLError(code)
        return True

    def _pci_info_v2(self, handle: Any) -> str:
        """Of before the longer bus id, and else the same structure."""
        import ctypes

        info = self._nvml.nvmlPciInfo_t()
        self._call("nvmlDeviceGetPciInfo_v2", handle, ctypes.byref(info))
        return self._bus_id(info)

    @staticmethod
    def _bus_id(info: Any) -> str:
        # pynvml's structures hand out texts as str, by way of a hook of their own.
        return str(info.busId or info.busIdLegacy)

    def _brand(self, handle: Any) -> str | int:
        number: int = self._nvml.nvmlDeviceGetBrand(handle)
        prefix = "NVML_BRAND_"
        for name, value in vars(self._nvml).items():
            if value == number and name.startswith(prefix) and name != "NVML_BRAND_COUNT":
                return str(name[len(prefix) :].lower())
        return number

    def _memory(self, handle: Any, **version: int) -> tuple[int, int]:
        info = self._nvml.nvmlDeviceGetMemoryInfo(handle, **version)
        return info.total, info.free


def _why_not_loaded(words: str) -> Why:
    if "Permission denied" in words:
        return Why.FORBIDDEN
    # A library that is there and lacks one of its own reports the other's name.
    if f"{_LIBRARY}: " in words and "No such file" in words:
        return Why.ABSENT
    return Why.FAILED
