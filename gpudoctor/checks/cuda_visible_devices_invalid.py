"""CUDA_VISIBLE_DEVICES names GPUs that there are.

CUDA shows a program only the GPUs that this variable lists, by index or by UUID, and stops reading at the first entry
that it cannot use: `0,7,1` on a machine with two GPUs leaves GPU 0. An empty value, -1, or a first entry that is wrong
hides every GPU, and cuInit says error 100, no CUDA-capable device, while nvidia-smi, which does not read it, is fine.
Left over in a shell's start-up file, set by a script from an argument that it did not get (`$0`), or by a scheduler for
a job without a GPU (NoDevFiles), it turns TensorFlow to the CPU without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Reading, Unread, UnreadError, known

CAUSED_BY = (
    "container-gpus-not-requested",
    "gpu-none-present",
    "driver-not-loaded",
    "driver-library-mismatch",
    "driver-libraries-missing",
    "driver-call-hung",
    "gpu-not-listed",
)

MENDED_BY = "unset CUDA_VISIBLE_DEVICES, or name GPUs that `nvidia-smi -L` lists"
DECIDED_BY = 'echo "$CUDA_VISIBLE_DEVICES"; nvidia-smi -L'
LINKS = (
    "https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html",
    "https://github.com/endernewton/tf-faster-rcnn/issues/38",
    "https://github.com/endernewton/tf-faster-rcnn/issues/235",
)
SYMPTOMS = (
    r"no CUDA-capable device is detected",
    r"CUDA_ERROR_NO_DEVICE",
    r"cudaErrorNoDevice",
    r"CUDA_VISIBLE_DEVICES=(\s|$|-1|NoDevFiles|['\"]{2})",
    r"CUDA_VISIBLE_DEVICES .{0,40}(set to -1|hides all|may be set incorrectly)",
)

_NAME = "CUDA_VISIBLE_DEVICES"

# What hides every GPU by intent; the last is what Slurm sets for a job that has none.
# https://slurm.schedmd.com/gres.html (2026-11)
_NONE = ("", "-1", "NoDevFiles")


def applies(case: Case) -> bool:
    """Where a program could see a GPU at all; NVML does not list the one of a Jetson."""
    return not case.facts.system.jetson


def check(case: Case) -> Iterator[Finding]:
    """Read the list as CUDA does: up to the first entry that names no GPU.

    Hiding every GPU is an error even where it was meant: the question is whether TensorFlow finds a GPU in this
    environment, and a script that wants none has no use for the answer. Losing some of them is a warning.
    """
    value = case.variable(_NAME)
    if value is None:
        return
    entries = [entry.strip() for entry in value.split(",")]
    if entries[0] in _NONE:
        yield _hidden(case, value, "which hides every GPU")
        return
    for place, entry in enumerate(entries):
        fault = _fault(case, entry)
        if fault is None:
            continue
        if place == 0:
            yield _hidden(case, value, f"which hides every GPU: {fault}")
        elif entry not in _NONE or place < len(entries) - 1:
            yield Finding(
                severity=Severity.WARNING,
                message=f"{_NAME} is {value!r}, of which CUDA reads only {','.join(entries[:place])!r}: {fault}",
                evidence=tuple(_evidence(case, value)),
                fix=Fix(text=MENDED_BY, url=LINKS[0]),
            )
        return
    yield from _order(case, value, entries)


def _hidden(case: Case, value: str, what: str) -> Finding:
    if value == "NoDevFiles":
        text = "the scheduler gave this job no GPU: ask for one, as with sbatch --gres=gpu:1"
        return Finding(
            severity=Severity.ERROR,
            message=f"{_NAME} is {value!r}, {what}",
            evidence=tuple(_evidence(case, value)),
            fix=Fix(text=text, url="https://slurm.schedmd.com/gres.html"),
        )
    return Finding(
        severity=Severity.ERROR,
        message=f"{_NAME} is {'empty' if value == '' else repr(value)}, {what}",
        evidence=tuple(_evidence(case, value)),
        fix=Fix(text=MENDED_BY, commands=(f"unset {_NAME}",), url=LINKS[0]),
    )


def _evidence(case: Case, value: str) -> Iterator[Evidence]:
    yield Evidence(source=f'echo "${_NAME}"', value=value or "(empty)")
    if not isinstance(case.facts.gpus, Unread):
        yield Evidence(source="nvidia-smi -L", value=case.listed_in_words)


def _fault(case: Case, entry: str) -> str | None:
    """What is wrong with one entry, None where CUDA finds a GPU by it."""
    if entry in _NONE:
        return f"{entry!r} names no GPU" if entry else "an entry is empty"
    if entry.startswith("MIG-"):
        return _fault_of_mig(case, entry)
    if entry.upper().startswith("GPU-"):
        return _fault_of_uuid(entry, [gpu.uuid for gpu in known(case.facts.gpus)])
    if not re.fullmatch(r"\+?[0-9]+", entry):
        return f"{entry!r} is neither an index nor a UUID"
    gpus = known(case.facts.gpus)
    if int(entry) < len(gpus):
        return None
    if any(_may_be_divided(gpu) for gpu in gpus):
        return None  # CUDA counts instances there, and how depends on the driver
    return f"there is no GPU {entry}, the last is {len(gpus) - 1}" if gpus else "no GPU is listed"


def _may_be_divided(gpu: GpuFacts) -> bool:
    return gpu.mig_enabled is True


def _fault_of_uuid(entry: str, uuids: list[Reading[str]]) -> str | None:
    """The first letters are enough where they name one alone."""
    fits = [uuid for uuid in uuids if not isinstance(uuid, Unread) and uuid.lower().startswith(entry.lower())]
    if len(fits) == 1:
        return None
    for uuid in uuids:
        if isinstance(uuid, Unread):
            raise UnreadError(uuid)
    return f"{entry!r} fits {len(fits)} GPUs" if fits else f"no GPU here has a UUID that begins with {entry!r}"


def _fault_of_mig(case: Case, entry: str) -> str | None:
    gpus = known(case.facts.gpus)
    if entry.startswith("MIG-GPU-"):
        # Before driver 470: MIG-<UUID of the GPU>/<GPU instance>/<compute instance>
        return _fault_of_uuid(entry.removeprefix("MIG-").partition("/")[0], [gpu.uuid for gpu in gpus])
    return _fault_of_uuid(entry, [device.uuid for gpu in gpus for device in known(gpu.mig_devices)])


def _order(case: Case, value: str, entries: list[str]) -> Iterator[Finding]:
    """CUDA numbers the fastest GPU first, nvidia-smi by the bus: on unlike GPUs an index may mean another one."""
    if not any(entry.isdecimal() for entry in entries) or case.variable("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return
    names = {gpu.name for gpu in case.listed_gpus if not isinstance(gpu.name, Unread)}
    if len(names) < 2 or len(entries) >= len(case.listed_gpus):
        return
    yield Finding(
        severity=Severity.INFO,
        message=f"{_NAME} is {value!r}, and CUDA may number these unlike GPUs otherwise than nvidia-smi does",
        evidence=(*_evidence(case, value), Evidence(source="nvidia-smi -L", value=", ".join(sorted(names)))),
        fix=Fix(
            text="have CUDA number them by the bus, as nvidia-smi does, or name them by UUID",
            commands=("export CUDA_DEVICE_ORDER=PCI_BUS_ID",),
            url=LINKS[0],
        ),
    )
