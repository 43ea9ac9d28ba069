"""The loader's cache, /etc/ld.so.cache: which file a library's name leads to.

glibc's format 1.1, alone or behind the older table; every offset and count in it is checked before it is used.
https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/generic/dl-cache.h (2026-11). By hand: ldconfig -p
"""

from __future__ import annotations

import struct

from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why

_NAME = "/etc/ld.so.cache"
# That of a desktop has 200 kB.
_MOST_BYTES = 16 << 20
_MOST_LIBRARIES = 200_000
_MOST_TEXT = 4096

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER_BYTES = 48
_ENTRY_BYTES = 24

# Of an entry's flags the kind of library, and those of 64 bits for which there is a driver: x86-64, arm64, POWER.
# ldconfig.h of glibc
_KIND = 0xFF00
_OF_64_BITS = (0x0300, 0x0A00, 0x0500)
_LITTLE, _BIG = 2, 3


def paths(world: World, library: str) -> Reading[tuple[str, ...]]:
    """Where the cache leads the loader that looks for a library of 64 bits, in its order."""
    content = world.read_bytes(_NAME, most_bytes=_MOST_BYTES)
    if isinstance(content, Unread):
        return content
    found = parse(content, library)
    return Unread(source=_NAME, why=Why.GARBLED, detail="no cache of glibc's format 1.1") if found is None else found


def parse(content: bytes, library: str) -> tuple[str, ...] | None:
    """Paths of a library in the cache; None where it is none that can be read."""
    # The older table of 12 bytes an entry stands before the newer one, for programs that know only it.
    begin = content.find(_MAGIC)
    if begin < 0 or len(content) - begin < _HEADER_BYTES:
        return None
    cache = content[begin:]
    order = {_LITTLE: "<", _BIG: ">"}.get(cache[28] & 3, "=")
    (count,) = struct.unpack_from(f"{order}I", cache, 20)
    if count > _MOST_LIBRARIES or _HEADER_BYTES + count * _ENTRY_BYTES > len(cache):
        return None
    wanted = library.encode()
    found: list[str] = []
    for index in range(count):
        flags, key, value = struct.unpack_from(f"{order}i2I", cache, _HEADER_BYTES + index * _ENTRY_BYTES)
        if flags & _KIND in _OF_64_BITS and _text(cache, key) == wanted:
            found.append(_text(cache, value).decode("utf-8", "backslashreplace"))
    return tuple(dict.fromkeys(path for path in found if path.startswith("/")))


def _text(cache: bytes, begin: int) -> bytes:
    """The text that begins there, up to its NUL; offsets count from the newer table's beginning."""
    end = cache.find(b"\0", begin, begin + _MOST_TEXT)
    return cache[begin:end] if end >= 0 else b""
