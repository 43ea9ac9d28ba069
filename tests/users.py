"""Being another user than root for a while: root may do everything, so nothing would be forbidden."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

NOBODY = 65534

# capabilities(7), capget(2)
_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights; whoever has none anyway stays who they are."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def give_up_reading_everything() -> None:
    """From here on this process may read only what its user may, root or not; who is no root had no such right."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    # Effective, permitted, inheritable; of the lower 32 capabilities and of the others.
    sets = (ctypes.c_uint32 * 6)()
    lost = 1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH
    if libc.capget(header, sets) == 0:
        sets[0] &= ~lost
        sets[1] &= ~lost
        if libc.capset(header, sets) == 0:
            return
    raise OSError(ctypes.get_errno(), "capset")
