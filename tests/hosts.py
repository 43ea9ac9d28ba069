"""Hosts for tests of the rules: named like on the command line, or put together by hand."""

from __future__ import annotations

from functools import lru_cache

from gpudoctor import host as hosts
from gpudoctor import matrix as matrices
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import ImageRow, Matrix
from gpudoctor.readings import Reading, Unread, Why
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion

UNREAD = Unread(source="nvml", why=Why.FAILED, detail="did not say")


@lru_cache(maxsize=1)
def shipped() -> Matrix:
    """The matrix that gpudoctor ships."""
    return matrices.load()


def image(tag: str) -> ImageRow:
    """A row of it."""
    row = shipped().image(tag)
    assert row is not None, tag
    return row


def named(driver: str, *gpus: str, arch: str | None = None, wsl: bool = False) -> Host:
    """As `--driver` and `--gpu` name it."""
    return hosts.what_if(
        driver=DriverVersion(driver),
        gpus=tuple(hosts.named_gpu(gpu, shipped()) for gpu in gpus),
        architecture=arch,
        wsl=wsl,
        base=None,
    )


def gpu(
    capability: Reading[str] = "8.6", *, data_center: Reading[str] = "no", listed: bool = True, index: int = 0
) -> HostGpu:
    """As a driver lists it."""
    return HostGpu(
        label=f"GPU {index}",
        subject=f"GPU-{index}",
        index=index,
        compute_capability=capability if isinstance(capability, Unread) else ComputeCapability(capability),
        data_center=data_center,
        product_first_branch=None,
        listed_by_driver=listed,
    )


def live(
    driver: Reading[str],
    gpus: Reading[tuple[HostGpu, ...]],
    *,
    wsl: bool = False,
    cuda: Reading[str] = UNREAD,
    architecture: str = "x86_64",
    jetson: bool = False,
) -> Host:
    """A machine that was looked at."""
    return Host(
        architecture=architecture,
        wsl=wsl,
        jetson=jetson,
        driver=driver if isinstance(driver, Unread) else DriverVersion(driver),
        driver_cuda_version=cuda if isinstance(cuda, Unread) else CudaVersion(cuda),
        gpus=gpus,
        what_if=False,
    )
