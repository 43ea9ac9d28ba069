"""The kernel's side of the driver: modules, device nodes and the PCI bus, read from /proc, /sys and /dev."""

from __future__ import annotations

import stat
from dataclasses import dataclass

from gpudoctor.facts import PciGpu
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import DriverVersion, VersionError

_MODULES = ("nvidia", "nouveau", "nova_core", "nova_drm", "vfio_pci", "dxgkrnl", "nvgpu")

# PCI class codes: VGA controller and 3D controller. https://pci-ids.ucw.cz/read/PD/03 (2026-11)
_DISPLAY_CLASSES = ("0x0300", "0x0302")
# A bridge of another kind: what an NVSwitch is, and what network controllers of NVIDIA's old chip sets call themselves,
# whose device numbers all lie below. https://pci-ids.ucw.cz/read/PC/10de (2026-11)
_NVSWITCH_CLASS = "0x0680"
_LEAST_NVSWITCH = 0x1000
_NVIDIA_VENDOR = "0x10de"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """What the kernel says of the driver."""

    module_version: Reading[DriverVersion]
    module_flavour: Reading[str]
    modules: Reading[tuple[str, ...]]
    device_nodes: Reading[tuple[str, ...]]
    modprobe_helper: Reading[bool]
    pci_gpus: Reading[tuple[PciGpu, ...]]
    nvswitches: Reading[int]
    uvm_hmm_disabled: Reading[bool]
    preserves_video_memory: Reading[bool]
    char_links: Reading[bool]


def probe(world: World) -> KernelFacts:
    """Read everything; nothing here can hang or raise."""
    version, flavour = _module(world)
    devices = _pci_devices(world)
    return KernelFacts(
        module_version=version,
        module_flavour=flavour,
        modules=_modules(world),
        device_nodes=_device_nodes(world),
        modprobe_helper=_modprobe_helper(world),
        pci_gpus=_pci_gpus(world, devices),
        nvswitches=_nvswitches(world, devices),
        uvm_hmm_disabled=_uvm_hmm_disabled(world),
        preserves_video_memory=_preserves_video_memory(world),
        char_links=_char_links(world),
    )


def _module(world: World) -> tuple[Reading[DriverVersion], Reading[str]]:
    """The loaded module's version and flavour.

    1. /proc/driver/nvidia/version, first line: `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  …`,
       of the open flavour `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  …`.
    2. /sys/module/nvidia/version, which does not tell the flavour.
    """
    source = "/proc/driver/nvidia/version"
    text = world.read(source)
    if isinstance(text, Unread):
        return _first_known(_module_version_of_sys(world), text), text
    line = text.partition("\n")[0]
    garbled = Unread(source=source, why=Why.GARBLED, detail=f"no version of a kernel module in {line[:80]!r}")
    if "Kernel Module" not in line:
        return _first_known(_module_version_of_sys(world), garbled), garbled
    flavour = "open" if "Open Kernel Module" in line else "proprietary"
    for word in line.split():
        try:
            version = DriverVersion(word)
        except VersionError:
            continue
        if len(version.text.split(".")) > 1:
            return version, flavour
    return _first_known(_module_version_of_sys(world), garbled), flavour


def _first_known(second: Reading[DriverVersion], first: Unread) -> Reading[DriverVersion]:
    """The second source where it answers; else the first one's reason, unless that was only that it is not there."""
    return first if isinstance(second, Unread) and first.why is not Why.ABSENT else second


def _module_version_of_sys(world: World) -> Reading[DriverVersion]:
    source = "/sys/module/nvidia/version"
    text = world.read(source)
    if isinstance(text, Unread):
        return text
    try:
        return DriverVersion(text.strip())
    except VersionError as error:
        return Unread(source=source, why=Why.GARBLED, detail=str(error))


def _modules(world: World) -> Reading[tuple[str, ...]]:
    """1. /proc/modules. 2. Where the kernel was built without modules: the folders of /sys/module."""
    text = world.read("/proc/modules")
    if isinstance(text, Unread):
        folders = world.entries("/sys/module") if text.why is Why.ABSENT else text
        if isinstance(folders, Unread):
            return text
        names = folders
    else:
        names = tuple(line.partition(" ")[0] for line in text.splitlines())
    return tuple(sorted({name for name in names if name in _MODULES or name.startswith("nvidia_")}))


def _device_nodes(world: World) -> Reading[tuple[str, ...]]:
    """Character devices only: a container engine leaves plain files where a node was missing."""
    entries = world.entries("/dev")
    if isinstance(entries, Unread):
        return entries
    names = [f"/dev/{name}" for name in entries if name.startswith(("nvidia", "nvhost")) or name == "dxg"]
    inside = world.entries("/dev/nvidia-caps")
    if not isinstance(inside, Unread):
        names.extend(f"/dev/nvidia-caps/{name}" for name in inside)
    return tuple(name for name in names if _is_character_device(world, name))


def _is_character_device(world: World, name: str) -> bool:
    try:
        return stat.S_ISCHR(world.path(name, follow_last=False).stat().st_mode)
    except OSError:
        return False


def _modprobe_helper(world: World) -> Reading[bool]:
    folder = world.entries("/usr/bin")
    return folder if isinstance(folder, Unread) else "nvidia-modprobe" in folder


@dataclass(frozen=True, slots=True, kw_only=True)
class _PciDevice:
    """A device of NVIDIA's on the PCI bus."""

    path: str
    kind: str
    """Class code: 0x030000."""


def _pci_devices(world: World) -> Reading[tuple[_PciDevice, ...]]:
    folder = "/sys/bus/pci/devices"
    addresses = world.entries(folder)
    if isinstance(addresses, Unread):
        buses = world.entries("/sys/bus")
        # A kernel without PCI knows its other buses; without them sysfs itself is missing.
        return () if addresses.why is Why.ABSENT and not isinstance(buses, Unread) and buses else addresses
    found: list[_PciDevice] = []
    for device in (f"{folder}/{address}" for address in addresses):
        vendor, kind = _word(world, f"{device}/vendor"), _word(world, f"{device}/class")
        for reading in (vendor, kind):
            if isinstance(reading, Unread) and world.exists(device):
                return reading  # it may be a GPU; one that was pulled out meanwhile is none
        if vendor == _NVIDIA_VENDOR:
            found.append(_PciDevice(path=device, kind=str(kind)))
    return tuple(found)


def _pci_gpus(world: World, devices: Reading[tuple[_PciDevice, ...]]) -> Reading[tuple[PciGpu, ...]]:
    if isinstance(devices, Unread):
        return devices
    gpus: list[PciGpu] = []
    for device in (one.path for one in devices if one.kind.startswith(_DISPLAY_CLASSES)):
        identity = _word(world, f"{device}/device")
        gpus.append(
            PciGpu(
                address=device.rpartition("/")[2],
                device_id=identity if isinstance(identity, Unread) else identity.removeprefix("0x"),
                driver=_bound(world, device),
            )
        )
    return tuple(gpus)


def _nvswitches(world: World, devices: Reading[tuple[_PciDevice, ...]]) -> Reading[int]:
    if isinstance(devices, Unread):
        return devices
    count = 0
    for device in (one for one in devices if one.kind.startswith(_NVSWITCH_CLASS)):
        identity = _word(world, f"{device.path}/device")
        if isinstance(identity, Unread):
            return identity
        try:
            count += int(identity, 16) >= _LEAST_NVSWITCH
        except ValueError:
            return Unread(source=f"{device.path}/device", why=Why.GARBLED, detail=f"no number: {identity[:20]!r}")
    return count


def _uvm_hmm_disabled(world: World) -> Reading[bool]:
    """A module's parameter, Y or N; drivers before 535 have none."""
    return _truth(world, "/sys/module/nvidia_uvm/parameters/uvm_disable_hmm")


def _truth(world: World, name: str) -> Reading[bool]:
    text = world.read(name)
    if isinstance(text, Unread):
        return text
    found = {"y": True, "1": True, "n": False, "0": False}.get(text.strip().lower())
    return Unread(source=name, why=Why.GARBLED, detail=f"neither Y nor N in {text[:20]!r}") if found is None else found


def _preserves_video_memory(world: World) -> Reading[bool]:
    source = "/proc/driver/nvidia/params"
    text = world.read(source)
    if isinstance(text, Unread):
        return text
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == "PreserveVideoMemoryAllocations":
            return value.strip() not in ("0", "")
    # Drivers that do not know of it lose the memory. It came with 430.
    return Unread(source=source, why=Why.UNSUPPORTED, detail="the driver has no PreserveVideoMemoryAllocations")


def _char_links(world: World) -> Reading[bool]:
    """Whether links in /dev/char lead to GPUs' device nodes, by their names: 195:0 -> ../nvidia0.

    https://github.com/NVIDIA/nvidia-container-toolkit/issues/48 (2026-11)
    """
    names = world.entries("/dev/char")
    if isinstance(names, Unread):
        if names.why is not Why.ABSENT:
            return names
        nodes = world.entries("/dev")
        return nodes if isinstance(nodes, Unread) else False
    for name in names:
        path = world.path(f"/dev/char/{name}", follow_last=False)
        try:
            if path.is_symlink() and path.readlink().name.startswith("nvidia"):
                return True
        except OSError as error:
            return unread_os_error(f"/dev/char/{name}", error)
    return False


def _word(world: World, name: str) -> Reading[str]:
    text = world.read(name)
    return text if isinstance(text, Unread) else text.strip().lower()


def _bound(world: World, device: str) -> Reading[str]:
    path = world.path(f"{device}/driver", follow_last=False)
    try:
        return path.readlink().name if path.is_symlink() else ""
    except OSError as error:
        return unread_os_error(f"{device}/driver", error)
