"""This image brings no driver libraries of its own.

libcuda and libnvidia-ml belong to the host's driver and are given to a container when it starts. An image that was
built with them inside, by `apt-get install nvidia-driver…` or by saving a running container, has two: under WSL the
container does not start (`file exists`), elsewhere a program may get those of another driver.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import CudaLibrary
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import known

MENDED_BY = "remove the driver's packages and libraries in the image's Dockerfile"
DECIDED_BY = "ldconfig -p | grep -e libcuda.so.1 -e libnvidia-ml.so.1; ls -l /usr/lib/x86_64-linux-gnu/libcuda.so*"
LINKS = (
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/289",
    "https://github.com/NVIDIA/nvidia-docker/issues/1699",
)
SYMPTOMS = (
    r"lib(?:nvidia-ml|cuda)\.so\.1: file exists",
    r"mount error: file creation failed: .*lib(?:nvidia-ml|cuda)\S*: file exists",
)

CAUSED_BY = ("container-gpus-not-requested",)


def applies(case: Case) -> bool:
    """Inside a container that is shown a driver."""
    return bool(case.container) and (case.facts.system.wsl or case.module_version is not None)


def check(case: Case) -> Iterator[Finding]:
    """Under WSL any but Windows' own; elsewhere one of another version, beside one of the loaded module's."""
    libraries = known(case.facts.driver.libcuda)
    own = tuple(_own(libraries, case))
    if not own:
        return
    first = libraries[0] in own
    yield Finding(
        severity=Severity.ERROR if first else Severity.WARNING,
        message=f"this image brings a libcuda of its own, {own[0].path}"
        + (", and programs get it instead of the host's" if first else " beside the host's"),
        evidence=tuple(Evidence(source="ldconfig -p | grep libcuda.so.1", value=one.path) for one in libraries),
        fix=Fix(text=MENDED_BY, url=LINKS[0]),
    )


def _own(libraries: tuple[CudaLibrary, ...], case: Case) -> Iterator[CudaLibrary]:
    drivers = [library for library in libraries if library.kind == "driver"]
    if case.facts.system.wsl:
        if any(library.kind == "wsl" for library in libraries):
            yield from drivers
        return
    module = case.module_version
    if len(drivers) > 1 and any(known(library.version) == module for library in drivers):
        yield from (library for library in drivers if known(library.version) != module)
