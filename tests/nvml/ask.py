"""`python -m tests.nvml.ask SECONDS DATA_FILE...` probes NVML once a data file and prints each outcome as JSON.

With `--cuda` before them it probes CUDA. The loader reads its variables when a process starts, so a test that chooses
the library starts another process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from gpudoctor.document import encode
from gpudoctor.facts import CudaFacts
from gpudoctor.probe import cuda, nvml
from gpudoctor.probe.child import listen
from gpudoctor.probe.nvml import NvmlFacts


def ask_nvml(timeout_seconds: float) -> NvmlFacts:
    """What NVML says within so many seconds."""
    deadline = time.monotonic() + timeout_seconds
    with nvml.start() as child:
        listen((child,), deadline)
    return nvml.facts(child.transcript)


def ask_cuda(timeout_seconds: float) -> CudaFacts:
    """What CUDA says within so many seconds."""
    deadline = time.monotonic() + timeout_seconds
    with cuda.start() as child:
        listen((child,), deadline)
    return cuda.facts(child.transcript, Path("/"))


def main(arguments: list[str]) -> None:
    """One line of JSON a data file."""
    of_cuda = arguments[0] == "--cuda"
    timeout, *data_files = arguments[of_cuda:]
    for data_file in data_files:
        os.environ["GPUDOCTOR_CUDA_DATA" if of_cuda else "GPUDOCTOR_NVML_DATA"] = data_file
        started = time.monotonic()
        facts = ask_cuda(float(timeout)) if of_cuda else ask_nvml(float(timeout))
        outcome = {
            "facts": encode(facts),
            "seconds": time.monotonic() - started,
            "imported": [name for name in ("pynvml", "ctypes") if name in sys.modules],
        }
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
