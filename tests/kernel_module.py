"""A kernel module's file as far as modinfo(8) cares: a 64-bit ELF object whose one section is .modinfo."""

from __future__ import annotations

import struct

_HEADER_BYTES = 64


def content(*, version: str, licence: str) -> bytes:
    """The bytes of an nvidia.ko of that version; licence "NVIDIA" or "Dual MIT/GPL"."""
    modinfo = f"license={licence}\0version={version}\0vermagic=6.8.0 SMP mod_unload \0".encode()
    names = b"\0.modinfo\0.shstrtab\0"
    names_at = _HEADER_BYTES + len(modinfo)
    table_at = names_at + len(names) + -(names_at + len(names)) % 8
    sections = (
        struct.pack("<2I4Q2I2Q", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        struct.pack("<2I4Q2I2Q", 1, 1, 2, 0, _HEADER_BYTES, len(modinfo), 0, 0, 1, 0),
        struct.pack("<2I4Q2I2Q", 10, 3, 0, 0, names_at, len(names), 0, 0, 1, 0),
    )
    # Relocatable (1), x86-64 (62); no program headers, three section headers, the last one names them.
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<2HI3QI6H", 1, 62, 1, 0, 0, table_at, 0, _HEADER_BYTES, 0, 0, 64, len(sections), 2)
    return (header + modinfo + names).ljust(table_at, b"\0") + b"".join(sections)
