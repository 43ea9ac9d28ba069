"""A file whose opening never returns and whose opener cannot be killed, as in a driver that lost its GPU.

A FUSE file system that greets the kernel and answers nothing after that: once it has taken a request, the kernel
keeps the caller in state D, SIGKILL or not, until the file system is aborted. Linux, root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.real.cannot import cannot

# https://github.com/torvalds/linux/blob/v6.1/include/uapi/linux/fuse.h (2026-11)
_IN_HEADER = struct.Struct("<IIQQIIII")
_OUT_HEADER = struct.Struct("<IiQ")
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
_INIT = 26
_MAJOR, _MINOR = 7, 31

# umount2(2): abort what waits, and detach at once.
_FORCE_AND_DETACH = 3


@contextlib.contextmanager
def stuck_file(folder: Path) -> Iterator[Path]:
    """Mount on `folder`, which must be empty; the file's path."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        cannot(f"no process in state D without FUSE: {error}")
    target = os.fsencode(folder)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"gpudoctor-test", target, b"fuse", 0, options) != 0:
        os.close(device)
        cannot(f"no process in state D without FUSE: mount: {os.strerror(ctypes.get_errno())}")
    server = threading.Thread(target=_serve, args=(device,))
    server.start()
    try:
        yield folder / "gpu"
    finally:
        libc.umount2(target, _FORCE_AND_DETACH)
        server.join()
        os.close(device)


def _serve(device: int) -> None:
    while True:
        try:
            request = os.read(device, 1 << 17)
        except OSError:
            # Unmounted.
            return
        _, opcode, unique, *_ = _IN_HEADER.unpack_from(request)
        if opcode == _INIT:
            answer = _INIT_OUT.pack(_MAJOR, _MINOR, 0, 0, 1, 1, 1 << 16, 1, 0, 0, 0)
            os.write(device, _OUT_HEADER.pack(_OUT_HEADER.size + len(answer), 0, unique) + answer)
