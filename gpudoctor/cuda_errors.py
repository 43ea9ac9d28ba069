"""What the driver API answers where CUDA does not start, and what each answer means."""

from __future__ import annotations

from typing import NamedTuple

from gpudoctor.facts import CudaFacts, Facts
from gpudoctor.readings import Unread, known


class CudaError(NamedTuple):
    """One value of CUresult."""

    name: str
    meaning: str
    """As it is meant where cuInit gives it."""
    look_at: str
    """What tells its causes apart."""


# https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html (2026-11)
ERRORS = {
    2: CudaError(
        "CUDA_ERROR_OUT_OF_MEMORY",
        "there is too little memory to start in: of the GPU, or of the process's own limits",
        "nvidia-smi; ulimit -v",
    ),
    3: CudaError(
        "CUDA_ERROR_NOT_INITIALIZED",
        "the driver could not set CUDA up: MIG is on without an instance, or nvidia_uvm fails over HMM",
        "nvidia-smi -L; cat /sys/module/nvidia_uvm/parameters/uvm_disable_hmm",
    ),
    34: CudaError(
        "CUDA_ERROR_STUB_LIBRARY",
        "the library is a stub of the CUDA toolkit, made to link against, and no driver",
        "ldconfig -p | grep libcuda.so; echo $LD_LIBRARY_PATH",
    ),
    35: CudaError(
        "CUDA_ERROR_INSUFFICIENT_DRIVER",
        "the driver is older than the CUDA that asks it, or there is none",
        "nvidia-smi; cat /proc/driver/nvidia/version",
    ),
    46: CudaError(
        "CUDA_ERROR_DEVICE_UNAVAILABLE",
        "every GPU is taken by a process that has it alone, or its compute mode forbids computing",
        "nvidia-smi --query-gpu=index,compute_mode --format=csv; nvidia-smi",
    ),
    100: CudaError(
        "CUDA_ERROR_NO_DEVICE",
        "CUDA sees no GPU: CUDA_VISIBLE_DEVICES hides them, or this process was given none",
        'echo "$CUDA_VISIBLE_DEVICES"; ls -l /dev/nvidia*',
    ),
    101: CudaError(
        "CUDA_ERROR_INVALID_DEVICE",
        "a GPU is there that CUDA cannot use, as it is while it is being reset",
        "nvidia-smi -q; sudo dmesg | grep -i NVRM",
    ),
    304: CudaError(
        "CUDA_ERROR_OPERATING_SYSTEM",
        "a call to the operating system failed: a device node that may not be opened, or nvidia_uvm fails over HMM",
        "ls -l /dev/nvidia*; cat /sys/module/nvidia_uvm/parameters/uvm_disable_hmm",
    ),
    500: CudaError(
        "CUDA_ERROR_NOT_FOUND",
        "something that CUDA needs is missing: its libraries are of several versions",
        "ldconfig -p | grep -e libcuda -e libnvidia; cat /proc/driver/nvidia/version",
    ),
    802: CudaError(
        "CUDA_ERROR_SYSTEM_NOT_READY",
        "the machine is not ready: GPUs behind NVSwitches wait for the Fabric Manager, those in confidential computing"
        " mode until they are set ready",
        "systemctl status nvidia-fabricmanager; nvidia-smi -q | grep -A2 -i fabric; nvidia-smi conf-compute -grs",
    ),
    803: CudaError(
        "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        "libcuda and the kernel module do not go together: a compat library that is older than the driver, or a driver"
        " that was upgraded and is still the old one in the kernel",
        "ldconfig -p | grep libcuda.so.1; cat /proc/driver/nvidia/version",
    ),
    804: CudaError(
        "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
        "a compat libcuda that is newer than the driver was loaded, on a GPU that forward compatibility is not for",
        "ldconfig -p | grep libcuda.so.1; nvidia-smi -L",
    ),
    805: CudaError(
        "CUDA_ERROR_MPS_CONNECTION_FAILED",
        "the control daemon or the server of MPS cannot be reached",
        "ps -e | grep nvidia-cuda-mps; ls ${CUDA_MPS_PIPE_DIRECTORY:-/tmp/nvidia-mps}",
    ),
    806: CudaError(
        "CUDA_ERROR_MPS_RPC_FAILURE",
        "the server of MPS and this process could not talk",
        "ps -e | grep nvidia-cuda-mps; ls ${CUDA_MPS_PIPE_DIRECTORY:-/tmp/nvidia-mps}",
    ),
    807: CudaError(
        "CUDA_ERROR_MPS_SERVER_NOT_READY",
        "the server of MPS takes nobody at the moment: it starts, or recovers from a fault",
        "ps -e | grep nvidia-cuda-mps; tail ${CUDA_MPS_LOG_DIRECTORY:-/var/log/nvidia-mps}/server.log",
    ),
    999: CudaError(
        "CUDA_ERROR_UNKNOWN",
        "the driver does not say: /dev/nvidia-uvm is missing, nvidia_uvm did not survive a suspend, or a container's"
        " toolkit handed out only part of what CUDA needs",
        "ls -l /dev/nvidia-uvm; sudo dmesg | grep -i -e nvidia -e 'suspend exit'",
    ),
}
_OTHER = CudaError("", "see the list of NVIDIA's", "sudo dmesg | grep -i -e NVRM -e nvidia")


def answered(facts: Facts) -> bool:
    """Whether cuInit answered at all; that it did not is one question, however many checks would ask it."""
    return not isinstance(facts.cuda, Unread) and (facts.cuda.init is True or _code(facts.cuda) is not None)


def init_code(facts: Facts) -> int:
    """What cuInit gave, 0 where CUDA starts.

    Raises UnreadError where it gave nothing.
    """
    cuda = known(facts.cuda)
    code = _code(cuda)
    if code is None:
        known(cuda.init)
        return 0
    return code


def explained(code: int) -> CudaError:
    """What a code means."""
    return ERRORS.get(code, _OTHER)


def in_words(code: int) -> str:
    """804 as `error 804 (CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE)`."""
    name = explained(code).name
    return f"error {code}" + (f" ({name})" if name else "")


def _code(cuda: CudaFacts) -> int | None:
    return cuda.init.code if isinstance(cuda.init, Unread) else None
