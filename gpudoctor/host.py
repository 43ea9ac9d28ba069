"""The host that images are judged for: this one, a saved one, or one that somebody thinks of buying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpudoctor import gpu_names
from gpudoctor.errors import InputError
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion, VersionError

if TYPE_CHECKING:
    from gpudoctor.facts import Facts, MigDevice
    from gpudoctor.matrix import GpuRow, Matrix

# What Python, Docker and people call the same two machines.
_ARCHITECTURE_NAMES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


_NO_BRAND = Unread(source="command line", why=Why.NOT_ASKED, detail="the GPU is named by its compute capability alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """A GPU as far as it decides whether an image runs."""

    label: str
    """For people, the same for equal GPUs: `NVIDIA GeForce RTX 3090`; `GPU 0` where its name is unread."""
    subject: str
    """UUID where there is one, else the label: names the GPU in JSON."""
    index: int | None
    compute_capability: Reading[ComputeCapability]
    data_center: Reading[str]
    """yes, no, or ngc-ready: who may use forward compatibility."""
    product_first_branch: DriverVersion | None
    """Where the product needs a newer driver branch than its compute capability."""
    listed_by_driver: bool
    """The driver in question lists this GPU: it knows it, whatever a table says."""
    bare_capability: bool = False
    """Named by its compute capability alone, so judged as no data-centre board."""
    brand: Reading[str] = _NO_BRAND
    """NVML's brand, or the product's as the table has it: geforce, Tesla, NVIDIA RTX."""
    jetson: bool = False
    """Built into a Jetson, which makes the machine around it one."""
    architecture: str | None = None
    """Of every machine that has one, where there is but one: aarch64 beside a Grace processor and in a Jetson."""
    mig_devices: Reading[tuple[str, ...]] = ()
    """UUIDs of its MIG instances: each is judged as the GPU that it is a part of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine as far as it decides whether an image runs."""

    architecture: str
    wsl: bool
    jetson: bool
    driver: Reading[DriverVersion]
    """On WSL the driver of Windows."""
    driver_cuda_version: Reading[CudaVersion]
    gpus: Reading[tuple[HostGpu, ...]]
    what_if: bool
    """Nobody has this machine in front of them: at least its driver or its GPUs were named by hand."""


def architecture_name(text: str) -> str:
    """x86_64 or aarch64 by any of their names; other machines as they are called."""
    return _ARCHITECTURE_NAMES.get(text.lower(), text.lower())


def from_facts(facts: Facts, matrix: Matrix) -> Host:
    """The host that was probed."""
    gpus: Reading[tuple[HostGpu, ...]]
    elsewhere = facts.system.wsl or facts.system.jetson  # those show their GPU on no PCI bus
    if isinstance(facts.gpus, Unread) and facts.pci_gpus == () and not elsewhere:
        gpus = ()
    elif isinstance(facts.gpus, Unread):
        gpus = facts.gpus
    else:
        gpus = tuple(
            replace(
                _probed_gpu(gpu.index, gpu.uuid, gpu.name, gpu.compute_capability, gpu.brand, matrix),
                mig_devices=_mig_uuids(gpu.mig_devices),
            )
            for gpu in facts.gpus
        )
    return Host(
        architecture=architecture_name(facts.system.architecture),
        wsl=facts.system.wsl,
        jetson=facts.system.jetson,
        driver=facts.driver.version,
        driver_cuda_version=facts.driver.driver_cuda_version,
        gpus=gpus,
        what_if=False,
    )


def _mig_uuids(devices: Reading[tuple[MigDevice, ...]]) -> Reading[tuple[str, ...]]:
    if isinstance(devices, Unread):
        return devices
    return tuple(device.uuid for device in devices if not isinstance(device.uuid, Unread))


def _probed_gpu(
    index: int,
    uuid: Reading[str],
    name: Reading[str],
    capability: Reading[ComputeCapability],
    brand: Reading[str],
    matrix: Matrix,
) -> HostGpu:
    row = None if isinstance(name, Unread) else matrix.gpu(name)
    if isinstance(capability, Unread) and row is not None:
        capability = row.compute_capability
    data_center: Reading[str]
    if row is not None:
        data_center = row.data_center
    elif brand in ("geforce", "geforce_rtx", "titan", "titan_rtx"):
        data_center = "no"
    elif brand == "tesla":
        data_center = "yes"
    else:
        data_center = Unread(
            source="compat_matrix.yaml: gpus",
            why=Why.ABSENT,
            detail=f"{name} is not in the table of products, and its brand does not tell a data-centre GPU",
        )
    return HostGpu(
        label=f"GPU {index}" if isinstance(name, Unread) else name,
        subject=f"GPU {index}" if isinstance(uuid, Unread) else uuid,
        index=index,
        compute_capability=capability,
        data_center=data_center,
        product_first_branch=None if row is None else row.first_branch,
        listed_by_driver=True,
        brand=brand,
        architecture=None if row is None else row.architecture,
    )


def named_gpu(text: str, matrix: Matrix) -> HostGpu:
    """The GPU that `--gpu` means: a product's name or a compute capability.

    Raises InputError with the nearest names when there is none such.
    """
    capability = _capability(text)
    if capability is not None:
        return _bare_gpu(text, capability, matrix)
    row = matrix.gpu(text)
    if row is None:
        near = gpu_names.nearest(text, tuple(row.name for row in matrix.gpus))
        meant = f"did you mean {' or '.join(near)}?" if near else "say its compute capability, such as 8.6"
        raise InputError(f"--gpu {text!r}: no such GPU in the table of products", meant)
    return HostGpu(
        label=row.name,
        subject=row.name,
        index=None,
        compute_capability=row.compute_capability,
        data_center=row.data_center,
        product_first_branch=row.first_branch,
        listed_by_driver=False,
        brand=row.brand,
        jetson=_is_jetson(row),
        architecture=_architecture(row),
    )


def _is_jetson(row: GpuRow) -> bool:
    return row.brand == "Tegra"


def _architecture(row: GpuRow) -> str | None:
    return "aarch64" if _is_jetson(row) else row.architecture


def _capability(text: str) -> ComputeCapability | None:
    try:
        return ComputeCapability(text.strip())
    except VersionError:
        return None


def _bare_gpu(text: str, capability: ComputeCapability, matrix: Matrix) -> HostGpu:
    if matrix.generation(capability) is None:
        known = ", ".join(str(row.compute_capability) for row in matrix.generations)
        raise InputError(f"--gpu {text}: no GPU has compute capability {text}", f"known: {known}")
    products = [row for row in matrix.gpus if row.compute_capability == capability]
    architectures = {_architecture(row) for row in products}
    return HostGpu(
        label=f"a GPU of compute capability {capability}",
        subject=str(capability),
        index=None,
        compute_capability=capability,
        data_center="no",
        product_first_branch=None,
        listed_by_driver=False,
        bare_capability=True,
        jetson=bool(products) and all(_is_jetson(row) for row in products),
        architecture=architectures.pop() if len(architectures) == 1 else None,
    )


def what_if(
    *,
    driver: DriverVersion | None,
    gpus: Sequence[HostGpu],
    architecture: str | None,
    wsl: bool,
    base: Host | None,
) -> Host:
    """A host of which some or all parts were named by hand; the rest comes from `base`.

    Raises InputError when a part is neither named nor there.
    """
    if base is None:
        base = Host(
            architecture="x86_64",
            wsl=False,
            jetson=False,
            driver=NOT_NAMED,
            driver_cuda_version=NOT_NAMED,
            gpus=NOT_NAMED,
            what_if=True,
        )
    chosen: Reading[tuple[HostGpu, ...]] = base.gpus
    if gpus:  # in the order in which they were named: what `--gpus 0` means
        chosen = tuple(replace(gpu, index=index) for index, gpu in enumerate(gpus))
    elif isinstance(chosen, Unread) or not chosen:
        asked = "--driver" if driver is not None else "a what-if"
        message = f"{asked} needs --gpu on a machine without a readable NVIDIA GPU"
        raise InputError(message, 'name the GPU: --gpu "RTX 3090" or --gpu 8.6')
    elif driver is not None:
        chosen = tuple(replace(gpu, listed_by_driver=False) for gpu in chosen)
    if driver is None and isinstance(base.driver, Unread):
        asked = "--gpu" if gpus else "a what-if"
        message = f"{asked} needs --driver on a machine without a readable NVIDIA driver"
        raise InputError(message, "name the driver: --driver 535.129.03")
    jetson = any(gpu.jetson for gpu in gpus) if gpus else base.jetson
    by_name = architecture is not None
    if architecture is None:
        architecture = next((gpu.architecture for gpu in gpus if gpu.architecture is not None), base.architecture)
    architecture = architecture_name(architecture)
    if jetson and architecture != "aarch64":
        raise InputError(f"a Jetson is no {architecture} machine", "leave --arch out, or name another GPU")
    for gpu in chosen if by_name else gpus:
        if gpu.architecture not in (None, architecture):
            message = f"{gpu.label} comes with an {gpu.architecture} processor only, not {architecture}"
            raise InputError(message, "leave --arch out, or name another GPU")
    return Host(
        architecture=architecture,
        wsl=wsl or base.wsl,
        jetson=jetson,
        driver=base.driver if driver is None else driver,
        driver_cuda_version=base.driver_cuda_version if driver is None else NOT_NAMED,
        gpus=chosen,
        what_if=True,
    )


NOT_NAMED = Unread(source="command line", why=Why.NOT_ASKED, detail="not named")
