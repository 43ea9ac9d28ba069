"""Reads this machine: everything that is judged later, nothing judged here."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from gpudoctor.facts import DriverFacts, Facts
from gpudoctor.probe import containers, kernel, nvml, system
from gpudoctor.probe.world import World

DEFAULT_TIMEOUT_SECONDS = 20.0


def probe(
    *,
    root: Path = Path("/"),
    environ: Mapping[str, str] = os.environ,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Facts:
    """Read the machine whose files stand below `root`, within `timeout_seconds`.

    Never raises for the machine's sake: what cannot be read is an Unread with its reason.
    """
    world = World(root=root, environ=environ, deadline=time.monotonic() + timeout_seconds)
    # The engine has its own limit, less than half of the time: what it leaves is more than a sound driver needs.
    engine = containers.probe(world)
    from_nvml = nvml.probe(round(world.remaining_seconds(), 1))
    from_kernel = kernel.probe(world)
    return Facts(
        probed_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        system=system.probe(world),
        driver=DriverFacts(
            kernel_module_version=from_kernel.module_version,
            module_flavour=from_kernel.module_flavour,
            modules=from_kernel.modules,
            device_nodes=from_kernel.device_nodes,
            modprobe_helper=from_kernel.modprobe_helper,
            version=from_nvml.driver_version,
            nvml_version=from_nvml.nvml_version,
            driver_cuda_version=from_nvml.driver_cuda_version,
        ),
        pci_gpus=from_kernel.pci_gpus,
        gpus=from_nvml.gpus,
        engine=engine,
    )
