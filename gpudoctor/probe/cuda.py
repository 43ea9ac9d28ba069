"""What CUDA itself says: cuInit and what goes with it, asked in a process that can be left behind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from gpudoctor.facts import CudaFacts
from gpudoctor.probe.child import Child, Speaker, Transcript, why_not_loaded
from gpudoctor.readings import Unread, Why
from gpudoctor.versions import CudaVersion

_LIBRARY = "libcuda.so.1"
_MAPS = "/proc/self/maps"
_VERSION = "cuDriverGetVersion"
_INIT = "cuInit(0)"
_COUNT = "cuDeviceGetCount"

# More than any machine holds, MIG instances and all.
_MOST_DEVICES = 1024

_NOT_SUPPORTED = 801

# CUresult, what these three calls are known to give: the library's own cuGetErrorName is young, and a stub's knows
# nothing. https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html (2026-11)
_NAMES = {
    1: "CUDA_ERROR_INVALID_VALUE",
    2: "CUDA_ERROR_OUT_OF_MEMORY",
    3: "CUDA_ERROR_NOT_INITIALIZED",
    4: "CUDA_ERROR_DEINITIALIZED",
    34: "CUDA_ERROR_STUB_LIBRARY",
    36: "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER",
    46: "CUDA_ERROR_DEVICE_UNAVAILABLE",
    100: "CUDA_ERROR_NO_DEVICE",
    101: "CUDA_ERROR_INVALID_DEVICE",
    102: "CUDA_ERROR_DEVICE_NOT_LICENSED",
    201: "CUDA_ERROR_INVALID_CONTEXT",
    214: "CUDA_ERROR_ECC_UNCORRECTABLE",
    220: "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    300: "CUDA_ERROR_INVALID_SOURCE",
    301: "CUDA_ERROR_FILE_NOT_FOUND",
    302: "CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND",
    303: "CUDA_ERROR_SHARED_OBJECT_INIT_FAILED",
    304: "CUDA_ERROR_OPERATING_SYSTEM",
    401: "CUDA_ERROR_ILLEGAL_STATE",
    500: "CUDA_ERROR_NOT_FOUND",
    600: "CUDA_ERROR_NOT_READY",
    800: "CUDA_ERROR_NOT_PERMITTED",
    _NOT_SUPPORTED: "CUDA_ERROR_NOT_SUPPORTED",
    802: "CUDA_ERROR_SYSTEM_NOT_READY",
    803: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    804: "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    805: "CUDA_ERROR_MPS_CONNECTION_FAILED",
    806: "CUDA_ERROR_MPS_RPC_FAILURE",
    807: "CUDA_ERROR_MPS_SERVER_NOT_READY",
    808: "CUDA_ERROR_MPS_MAX_CLIENTS_REACHED",
    809: "CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED",
    810: "CUDA_ERROR_MPS_CLIENT_TERMINATED",
    999: "CUDA_ERROR_UNKNOWN",
}


def start() -> Child:
    """Begin to ask CUDA, in a process of its own."""
    return Child(_interview, "load", _LIBRARY)


def facts(transcript: Transcript, root: Path) -> CudaFacts:
    """What came of it; a library that stands below `root` is named as the host names it.

    Where no library could be loaded, every reading says why.
    """
    loaded = transcript.reading("load", (_LIBRARY,), bool)
    if isinstance(loaded, Unread):
        return CudaFacts(init=loaded, library=loaded, version=loaded, device_count=loaded)
    init = transcript.reading("init", (_INIT,), bool)
    count = transcript.reading("count", (_COUNT,), _device_count)
    if isinstance(init, Unread) and init.code is not None:
        count = Unread(source=_COUNT, why=Why.NOT_ASKED, detail=f"{_INIT} gave {init.code}")
    return CudaFacts(
        init=init,
        library=transcript.reading("library", (_MAPS,), lambda path: _as_on_host(path, root)),
        version=transcript.reading("version", (_VERSION,), _cuda_version),
        device_count=count,
    )


# --- The parent ---


def _as_on_host(path: str, root: Path) -> str:
    if not path.isprintable():
        raise ValueError(f"path with unprintable characters: {path!r}")
    top = os.path.realpath(root)
    return path[len(top) :] if top != "/" and path.startswith(f"{top}/") else path


def _cuda_version(number: int) -> CudaVersion:
    if number <= 0:
        raise ValueError(f"version {number}")
    return CudaVersion.from_nvml(number)


def _device_count(number: int) -> int:
    if not 0 <= number <= _MOST_DEVICES:
        raise ValueError(f"a count of {number}")
    return number


# --- The child ---


def _interview(speaker: Speaker) -> None:
    """Load the library, and ask it what a program would that wants to compute.

    1. Which file it is. 2. Its version, which needs no GPU. 3. Whether it can be initialised. 4. How many devices.
    """
    import ctypes

    speaker.asking("load", _LIBRARY)
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        speaker.unread("load", _LIBRARY, why_not_loaded(_LIBRARY, str(error)), str(error))
        return
    speaker.answered("load", _LIBRARY, True)
    _tell_path(speaker)
    number = ctypes.c_int()
    if _call(speaker, library, "version", _VERSION, ctypes.byref(number)):
        speaker.answered("version", _VERSION, number.value)
    if not _call(speaker, library, "init", _INIT, 0):
        return
    speaker.answered("init", _INIT, True)
    if _call(speaker, library, "count", _COUNT, ctypes.byref(number)):
        speaker.answered("count", _COUNT, number.value)


def _tell_path(speaker: Speaker) -> None:
    """Where the loader found it, links followed: what is mapped tells, whatever the search path was."""
    speaker.asking("library", _MAPS)
    try:
        mapped = Path(_MAPS).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        speaker.unread("library", _MAPS, Why.FAILED, error.strerror or str(error), error.errno)
        return
    for line in mapped.splitlines():
        # Five fields, then the path, which may hold blanks.
        *_, path = line.split(maxsplit=5)
        if path.startswith("/") and path.rpartition("/")[2].startswith("libcuda.so"):
            speaker.answered("library", _MAPS, path)
            return
    speaker.unread("library", _MAPS, Why.FAILED, f"{_LIBRARY} is loaded and nothing of that name is mapped")


def _call(speaker: Speaker, library: Any, key: str, call: str, argument: object) -> bool:
    """Make one call; whether it gave CUDA_SUCCESS. Why it did not is told."""
    speaker.asking(key, call)
    try:
        code: int = getattr(library, call.partition("(")[0])(argument)
    except AttributeError as error:
        speaker.unread(key, call, Why.UNSUPPORTED, str(error))
        return False
    if code:
        detail = f"{_words(library, code)} ({_NAMES.get(code, 'CUresult')} {code})"
        speaker.unread(key, call, Why.UNSUPPORTED if code == _NOT_SUPPORTED else Why.FAILED, detail, code)
    return code == 0


def _words(library: Any, code: int) -> str:
    """The library's own, which users know from TensorFlow's log."""
    import ctypes

    text = ctypes.c_char_p()
    with contextlib.suppress(AttributeError):
        if library.cuGetErrorString(code, ctypes.byref(text)) == 0 and text.value:
            return text.value.decode("utf-8", "replace")
    return "no description"
