"""Sizes of images and shared memory, and how to say them."""

from __future__ import annotations

# Docker gives a container 64 MiB of /dev/shm; NVIDIA's images ask for --ipc=host or --shm-size=1g.
# https://docs.nvidia.com/deeplearning/frameworks/user-guide/index.html (2026-11)
SHM_BYTES = 1 << 30

# nvcr.io/nvidia/tensorflow: 1 to 8 GB packed, by the tag pages of
# https://catalog.ngc.nvidia.com/orgs/nvidia/containers/tensorflow/tags (2026-11)
SMALLEST_PACKED_IMAGE_BYTES = 1_000_000_000
LARGEST_PACKED_IMAGE_BYTES = 8_000_000_000

# The same images take about 2.5 times their packed size once unpacked.
UNPACKED_TO_PACKED = 2.5


def pull_bytes(packed_bytes: int) -> int:
    """Disk that a pull needs: the packed layers and what they unpack to lie there together."""
    return int(packed_bytes * (1 + UNPACKED_TO_PACKED))


def bytes_in_words(size_bytes: int) -> str:
    """As disks are sold: 3.5 GB, 28 GB, 64 MB."""
    return _in_words(size_bytes, 1000, ("B", "kB", "MB", "GB", "TB"))


def memory_in_words(size_bytes: int) -> str:
    """As memory is sold, by powers of two: 64 MiB, 24 GiB."""
    return _in_words(size_bytes, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def _in_words(size_bytes: int, step: int, units: tuple[str, ...]) -> str:
    value = float(size_bytes)
    unit = units[0]
    for larger in units[1:]:
        # What would be rounded up to a whole step is said in the next unit.
        if value < step - 0.5:
            break
        value, unit = value / step, larger
    short = value < 9.95 and value != int(value)
    return f"{value:.1f} {unit}" if short else f"{value:.0f} {unit}"
