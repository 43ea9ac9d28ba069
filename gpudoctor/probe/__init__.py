"""Reads this machine: everything that is judged later, nothing judged here."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from gpudoctor.facts import DriverFacts, Facts
from gpudoctor.probe import containers, cuda, kernel, kernel_log, libraries, modules, nvml, python, system
from gpudoctor.probe.child import listen
from gpudoctor.probe.world import World

DEFAULT_TIMEOUT_SECONDS = 20.0


def probe(
    *,
    root: Path = Path("/"),
    environ: Mapping[str, str] = os.environ,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    interpreter: str | None = None,
) -> Facts:
    """Read the machine whose files stand below `root`, within `timeout_seconds`, and the Python at `interpreter`.

    Never raises for the machine's sake: what cannot be read is an Unread with its reason.
    """
    world = World(root=root, environ=environ, deadline=time.monotonic() + timeout_seconds)
    # The driver is asked by two processes of their own while this one reads everything else: what each waits for
    # costs the others no time. They start before anything here may start a thread.
    with nvml.start() as nvml_child, cuda.start() as cuda_child:
        from_kernel = kernel.probe(world)
        from_system = system.probe(world)
        module_files = modules.module_files(world)
        dkms = modules.dkms(world)
        kernel_headers = modules.kernel_headers(world)
        libcuda = libraries.libcuda(world)
        wsl_libraries = libraries.wsl_libraries(world)
        from_kernel_log = kernel_log.probe(world)
        engine = containers.probe(world, from_system.packages)
        from_python = python.probe(world, interpreter)
        listen((nvml_child, cuda_child), world.deadline)
    from_nvml = nvml.facts(nvml_child.transcript)
    from_cuda = cuda.facts(cuda_child.transcript, world.root)
    return Facts(
        probed_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        system=from_system,
        driver=DriverFacts(
            kernel_module_version=from_kernel.module_version,
            module_flavour=from_kernel.module_flavour,
            modules=from_kernel.modules,
            device_nodes=from_kernel.device_nodes,
            modprobe_helper=from_kernel.modprobe_helper,
            module_files=module_files,
            dkms=dkms,
            kernel_headers=kernel_headers,
            uvm_hmm_disabled=from_kernel.uvm_hmm_disabled,
            preserves_video_memory=from_kernel.preserves_video_memory,
            char_links=from_kernel.char_links,
            nvswitches=from_kernel.nvswitches,
            libcuda=libcuda,
            wsl_libraries=wsl_libraries,
            version=from_nvml.driver_version,
            nvml_version=from_nvml.nvml_version,
            driver_cuda_version=from_nvml.driver_cuda_version,
        ),
        pci_gpus=from_kernel.pci_gpus,
        gpus=from_nvml.gpus,
        cuda=from_cuda,
        kernel_log=from_kernel_log,
        engine=engine,
        python=from_python,
    )
