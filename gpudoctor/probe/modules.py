"""The driver's kernel modules on disk: files, DKMS, headers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping

from gpudoctor.facts import DkmsModule, ModuleFile
from gpudoctor.probe import module_file
from gpudoctor.probe.world import World, unread_os_error
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import DriverVersion, VersionError

_FOLDER = "/lib/modules"
_RUNNING = "/proc/sys/kernel/osrelease"

# Debian names the module after its package: nvidia-current.ko, nvidia-tesla-470.ko.
# Package nvidia-kernel-dkms of Debian 12 (2026-11)
_NAME = re.compile(r"nvidia(?:-current|-legacy-\d{3}xx|-tesla(?:-\d{3})?)?(?:-open)?\.ko(?:\.xz|\.zst|\.gz)?", re.ASCII)

# modules.dep of a distribution's kernel has some 700 kB; one line a module, its path first. modules.dep(5)
_LIST = "modules.dep"
_MOST_LIST_BYTES = 16 << 20

# Where a module stands that depmod has not seen yet: below these nearly all is from outside the kernel, so that
# walking them costs little; of the kernel's own folder only the parts with drivers of GPUs are looked at.
_NOT_WALKED = ("kernel", "build", "source", "vdso")
_OF_KERNEL = ("kernel/drivers/video", "kernel/drivers/char/drm")
_MOST_KERNELS = 50
_MOST_ENTRIES = 5_000
_MOST_DEPTH = 5
_SECONDS = 2.0

_OPEN_LICENCE = "Dual MIT/GPL"

_DKMS = "/var/lib/dkms"
# Debian's nvidia-current, openSUSE's nvidia-open…; not nvidia-fs, which is another module.
_DKMS_NAME = re.compile(r"nvidia(?:-(?:current|open|srv|tesla|legacy|\d).*)?", re.ASCII)
# The first line of a build's log: DKMS make.log for nvidia-535.129.03 for kernel 6.8.0-85-generic (x86_64)
_BUILT_FOR = re.compile(r"make\.log for \S{1,200} for kernel (\S{1,200})")
_MOST_VERSIONS = 50


def module_files(world: World) -> Reading[tuple[ModuleFile, ...]]:
    """Every nvidia.ko of every installed kernel, that of the running one first.

    1. modules.dep of each. 2. What depmod has not seen: folders for modules from outside the kernel.
    """
    releases = world.entries(_FOLDER)
    if isinstance(releases, Unread):
        return releases
    running = _running(world)
    until = time.monotonic() + min(_SECONDS, world.remaining_seconds())
    found: list[ModuleFile] = []
    for release in sorted(filter(str.isprintable, releases), key=lambda one: one != running)[:_MOST_KERNELS]:
        folder = f"{_FOLDER}/{release}"
        listed = _listed(world, folder)
        if isinstance(listed, Unread) and listed.why is not Why.ABSENT:
            return listed
        paths = () if isinstance(listed, Unread) else listed
        for path in dict.fromkeys((*paths, *_walked(world, folder, until))):
            if world.exists(path):
                found.append(_module_file(world, path, release, until))
    return tuple(found)


def _running(world: World) -> str:
    release = world.read(_RUNNING)
    return "" if isinstance(release, Unread) else release.strip()


def _listed(world: World, folder: str) -> Reading[tuple[str, ...]]:
    content = world.read_bytes(f"{folder}/{_LIST}", most_bytes=_MOST_LIST_BYTES)
    if isinstance(content, Unread):
        return content
    lines = (line.partition(b":")[0].decode("utf-8", "replace") for line in content.splitlines() if b"nvidia" in line)
    # Paths are relative to the folder, in Debian's oldest releases absolute.
    paths = (path if path.startswith("/") else f"{folder}/{path}" for path in lines)
    return tuple(path for path in paths if _NAME.fullmatch(path.rpartition("/")[2]))


def _walked(world: World, folder: str, until: float) -> Iterator[str]:
    tops = world.entries(folder)
    if isinstance(tops, Unread):
        return
    begin = [f"{folder}/{name}" for name in tops if name not in _NOT_WALKED and not name.startswith("modules.")]
    inside = world.entries(f"{folder}/kernel")
    # Ubuntu's signed modules: kernel/nvidia-535.
    own = () if isinstance(inside, Unread) else tuple(f"kernel/{name}" for name in inside if name.startswith("nvidia"))
    begin.extend(f"{folder}/{name}" for name in (*_OF_KERNEL, *own))
    ahead = [(path, 0) for path in begin]
    seen = 0
    while ahead and seen < _MOST_ENTRIES and time.monotonic() < until:
        path, depth = ahead.pop()
        names = world.entries(path) if depth < _MOST_DEPTH else ()
        for name in () if isinstance(names, Unread) else names:
            seen += 1
            if _NAME.fullmatch(name):
                yield f"{path}/{name}"
            elif ".ko" not in name:
                ahead.append((f"{path}/{name}", depth + 1))


def _module_file(world: World, path: str, release: str, until: float) -> ModuleFile:
    fields = module_file.information(world, path, until)
    return ModuleFile(path=path, kernel_release=release, version=_version(fields, path), flavour=_flavour(fields, path))


def _version(fields: Reading[Mapping[str, str]], path: str) -> Reading[DriverVersion]:
    if isinstance(fields, Unread):
        return fields
    try:
        return DriverVersion(fields.get("version", ""))
    except VersionError as error:
        return Unread(source=f"{path}: .modinfo", why=Why.GARBLED, detail=str(error))


def _flavour(fields: Reading[Mapping[str, str]], path: str) -> Reading[str]:
    if isinstance(fields, Unread):
        return fields
    if "license" not in fields:
        return Unread(source=f"{path}: .modinfo", why=Why.GARBLED, detail="no licence in it")
    return "open" if fields["license"] == _OPEN_LICENCE else "proprietary"


def dkms(world: World) -> Reading[tuple[DkmsModule, ...]]:
    """What DKMS built of NVIDIA's driver, and what it could not build; nothing where there is no DKMS.

    What was built: NAME/VERSION/RELEASE/ARCHITECTURE/module/*.ko. What could not be leaves its log behind, in
    NAME/VERSION/build/make.log, or in NAME/VERSION/RELEASE/ARCHITECTURE/log/. dkms(8)
    https://github.com/dkms-project/dkms/blob/main/dkms.in (2026-11)
    """
    names = world.entries(_DKMS)
    if isinstance(names, Unread):
        return () if names.why is Why.ABSENT else names
    found: list[DkmsModule] = []
    for name in (one for one in names if _DKMS_NAME.fullmatch(one)):
        versions = world.entries(f"{_DKMS}/{name}")
        if isinstance(versions, Unread):
            return versions
        # Beside them stand links kernel-RELEASE-ARCHITECTURE, and modules that were replaced.
        for version in [one for one in versions if one[0].isdecimal() and one.isprintable()][:_MOST_VERSIONS]:
            module = _dkms_module(world, f"{_DKMS}/{name}/{version}", version)
            if isinstance(module, Unread):
                return module
            found.append(module)
    return tuple(found)


def _dkms_module(world: World, folder: str, version: str) -> Reading[DkmsModule]:
    releases = world.entries(folder)
    if isinstance(releases, Unread):
        return releases
    built, failed = set(), set()
    for release in (one for one in releases if one not in ("build", "source") and one.isprintable()):
        architectures = world.entries(f"{folder}/{release}")
        for architecture in () if isinstance(architectures, Unread) else architectures:
            modules = world.entries(f"{folder}/{release}/{architecture}/module")
            if not isinstance(modules, Unread) and any(_NAME.fullmatch(name) for name in modules):
                built.add(release)
            elif world.exists(f"{folder}/{release}/{architecture}/log/make.log"):
                failed.add(release)
    log = world.read(f"{folder}/build/make.log")
    match = None if isinstance(log, Unread) else _BUILT_FOR.search(log.partition("\n")[0])
    if match is not None:
        failed.add(match[1])
    return DkmsModule(version=version, built_for=tuple(sorted(built)), failed_for=tuple(sorted(failed - built)))


def kernel_headers(world: World) -> Reading[bool]:
    """Whether the running kernel's headers are installed: its folder's link `build` leads to them."""
    running = world.read(_RUNNING)
    kernels = world.entries(_FOLDER)
    for reading in (running, kernels):
        if isinstance(reading, Unread):
            return reading  # without the folder this is a container, or a kernel that needs no modules
    name = f"{_FOLDER}/{_running(world)}/build"
    try:
        world.path(name).stat()
    except (OSError, ValueError) as error:
        unread = unread_os_error(name, error)
        return False if unread.why is Why.ABSENT else unread
    return True
