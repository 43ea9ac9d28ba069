"""Which compute capability a device of the PCI bus has: what can be told of a GPU that no driver will speak to.

A device id names the chip, in blocks: NVIDIA numbers the boards of one chip side by side.
"""

from __future__ import annotations

from gpudoctor.facts import PciGpu
from gpudoctor.matrix import GenerationRow, Matrix
from gpudoctor.readings import Unread
from gpudoctor.versions import ComputeCapability

# First and last device id of each block, display and 3D controllers alone. Up to Ada from the list of
# https://pci-ids.ucw.cz/read/PC/10de (2026-11); Blackwell from
# https://github.com/NVIDIA/open-gpu-kernel-modules#compatible-gpus (2026-11) and the kernel logs of
# https://github.com/NVIDIA/open-gpu-kernel-modules/issues (2c58, 2d04). A device outside every block is unknown.
_BLOCKS = (
    ("0fc0", "0fff", "3.0"),  # GK107
    ("1000", "102c", "3.5"),  # GK110, GK180
    ("102d", "102d", "3.7"),  # GK210: Tesla K80
    ("102e", "103f", "3.5"),  # GK110
    ("1180", "11ff", "3.0"),  # GK104, GK106
    ("1280", "12bf", "3.5"),  # GK208
    ("1340", "13bf", "5.0"),  # GM108, GM107
    ("13c0", "143f", "5.2"),  # GM204, GM206
    ("15f0", "15ff", "6.0"),  # GP100
    ("1600", "167f", "5.2"),  # GM204
    ("1720", "172f", "6.0"),  # GP100
    ("1740", "17bf", "5.0"),  # GM108, GM107
    ("17c0", "17ff", "5.2"),  # GM200
    ("1b00", "1d7f", "6.1"),  # GP102, GP104, GP106, GP107, GP108
    ("1d80", "1dff", "7.0"),  # GV100
    ("1e00", "1fff", "7.5"),  # TU102, TU104, TU106, TU117
    ("2080", "20ff", "8.0"),  # GA100
    ("2180", "21ff", "7.5"),  # TU116
    ("2200", "223f", "8.6"),  # GA102
    ("2300", "233f", "9.0"),  # GH100
    ("2340", "237f", "9.0"),  # GH200
    ("2400", "25ff", "8.6"),  # GA103, GA104, GA106, GA107
    ("2680", "28ff", "8.9"),  # AD102, AD103, AD104, AD106, AD107
    ("2900", "297f", "10.0"),  # GB100, GB200
    ("2b80", "2dff", "12.0"),  # GB202, GB203, GB206, GB207
    ("2e00", "2e7f", "12.1"),  # GB10
    ("2f00", "2f7f", "12.0"),  # GB205
    ("3180", "31ff", "10.3"),  # GB300
)


def generation_of(gpu: PciGpu, matrix: Matrix) -> GenerationRow | None:
    """What the matrix says of this GPU's generation, None where its device id tells no chip."""
    if isinstance(gpu.device_id, Unread):
        return None
    # Numbers of one length sort as text.
    identity = gpu.device_id.lower()
    for first, last, capability in _BLOCKS:
        if len(identity) == len(first) and first <= identity <= last:
            return matrix.generation(ComputeCapability(capability))
    return None
