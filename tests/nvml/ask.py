"""`python -m tests.nvml.ask SECONDS DATA_FILE...` probes NVML once a data file and prints each outcome as JSON.

The loader reads LD_LIBRARY_PATH when a process starts, so a test that chooses the library starts another process.
"""

from __future__ import annotations

import json
import os
import sys
import time

from gpudoctor.document import encode
from gpudoctor.probe import nvml


def main(timeout_seconds: float, data_files: list[str]) -> None:
    """One line of JSON a data file."""
    for data_file in data_files:
        os.environ["GPUDOCTOR_NVML_DATA"] = data_file
        started = time.monotonic()
        facts = nvml.probe(timeout_seconds)
        outcome = {
            "facts": encode(facts),
            "seconds": time.monotonic() - started,
            "imported": [name for name in ("pynvml", "ctypes", "subprocess") if name in sys.modules],
        }
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
