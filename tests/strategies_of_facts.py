"""Any Facts at all, for hypothesis, and every reading in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from gpudoctor.facts import Facts, PciGpu, SystemFacts
from gpudoctor.readings import Unread
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion

Path = tuple[str | int, ...]
"""Fields and positions that lead to a reading."""

# Plain hypothesis would hardly ever hit on a word that a check knows.
_WORDS = (
    "",
    "nvidia",
    "nouveau",
    "vfio-pci",
    "docker",
    "kubernetes",
    "nvgpu",
    "nvidia_uvm",
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "nvidia-ctk",
    "nvidia-container-runtime-hook",
    "nvidia.com/gpu=all",
    "unix:///var/run/docker.sock",
    "0000:01:00.0",
    "ubuntu",
    "apptainer",
    "systemd",
    "name=rootless",
    "enforcing",
    "unix:///run/podman/podman.sock",
    "29.3.0",
    "1.17.8",
    "Docker Desktop",
    "legacy",
    "cdi",
    "driver",
    # driver, cuda
    "NovaCore",
    "1c81",
    "2b85",
    "open",
    "proprietary",
    "6.8.0-85-generic",
    "nvidia-driver-535",
    "key_rejected",
    "rm_init_adapter_failed",
    "legacy_branch",
    "resume",
    "compat",
    "/usr/local/cuda/compat/libcuda.so.525.60.13",
    "CUDA_VISIBLE_DEVICES",
    "-1",
    "0,7",
    "no answer within 20 s (process state D)",
    # gpu
    "xid",
    "fallen_off_bus",
    "gpu_reset",
    "driver_loaded",
    "compute",
    "exclusive_process",
    "prohibited",
    "gpu_idle",
    "hw_slowdown",
    "unhealthy",
    "in_progress",
    "node_reboot",
    "nv-fabricmanager",
)
_TEXT = st.sampled_from(_WORDS) | st.text(max_size=12)

for _kind, _versions in (
    (DriverVersion, ("450.80.02", "535.129.03", "535.161.07", "580.95.05")),
    (CudaVersion, ("11.0", "12.2", "13.0")),
    (ComputeCapability, ("3.7", "8.6", "9.0", "12.0")),
):
    st.register_type_strategy(_kind, st.sampled_from([_kind(version) for version in _versions]))
st.register_type_strategy(str, _TEXT)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))  # as JSON has them
# NVML's codes are what checks tell apart.
st.register_type_strategy(
    Unread,
    st.builds(
        Unread,
        detail=st.text(min_size=1, max_size=12),
        code=st.sampled_from([None, 2, 3, 9, 12, 13, 15, 16, 18, 34, 100, 802, 803, 804, 805, 999]),
    ),
)

ANY_FACTS = st.builds(
    Facts,
    system=st.builds(SystemFacts, wsl=st.booleans(), jetson=st.booleans()),
    pci_gpus=st.from_type(Unread) | st.lists(st.from_type(PciGpu), max_size=3).map(tuple),
)


def readings(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where a reading stands in the value, read or not."""
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from readings(item, (*path, index))
    elif is_dataclass(value) and not isinstance(value, (type, Unread)):
        hints = get_type_hints(type(value))
        for field in fields(value):
            if Unread in get_args(hints[field.name]):
                yield (*path, field.name)
            yield from readings(getattr(value, field.name), (*path, field.name))


def reading_at(value: Any, path: Path) -> Any:
    """What stands there."""
    for step in path:
        value = value[step] if isinstance(step, int) else getattr(value, step)
    return value


def with_reading(value: Any, path: Path, reading: Any) -> Any:
    """The value with another reading there."""
    if not path:
        return reading
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return (*value[:step], with_reading(value[step], rest, reading), *value[step + 1 :])
    return replace(value, **{step: with_reading(getattr(value, step), rest, reading)})
