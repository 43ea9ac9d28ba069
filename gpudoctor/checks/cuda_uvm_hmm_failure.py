"""CUDA starts with the memory management that nvidia_uvm shares with the kernel.

HMM, heterogeneous memory management, lets a GPU use the memory of a process as it is. With some kernels, those of
Enterprise Linux 9 and 10 and some new ones among them, the open driver from branch 570 on cannot set it up: cuInit ends
in error 3, now and then in 304, while nvidia-smi is fine and every device node is there. Without HMM the same driver
works. Error 3 also comes of GPUs in MIG mode that hold no instance.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.checks import Case
from gpudoctor.cuda_errors import answered, in_words, init_code
from gpudoctor.facts import GpuFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, Why, known

CAUSED_BY = (
    "container-gpus-not-requested",
    "driver-library-mismatch",
    "driver-uvm-missing",
    "gpu-mig-enabled-without-instances",
)

MENDED_BY = "switch HMM off in nvidia_uvm and load it anew; a reboot does both, too"
DECIDED_BY = "cat /sys/module/nvidia_uvm/parameters/uvm_disable_hmm; nvidia-smi -L; uname -r"
LINKS = (
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/901",
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/797",
    "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/947",
)
SYMPTOMS = (
    r"CUDA_ERROR_NOT_INITIALIZED",
    r"initialization error \(error 3\)",
    r"cuda driver library init failure: 3",
    r"CUDA driver initialization failed, you might not have a CUDA gpu",
    r"OS call failed or operation not supported on this OS",
    r"CUDA_ERROR_OPERATING_SYSTEM",
)

_NOT_INITIALIZED = 3
_OPERATING_SYSTEM = 304
_NODE = "/dev/nvidia-uvm"
_OPTION = "echo 'options nvidia_uvm uvm_disable_hmm=1' | sudo tee /etc/modprobe.d/nvidia-uvm-hmm.conf"


def applies(case: Case) -> bool:
    """Where cuInit answered; neither WSL nor Jetson has the module."""
    return not case.facts.system.wsl and not case.facts.system.jetson and answered(case.facts)


def check(case: Case) -> Iterator[Finding]:
    """1. The code. 2. No GPU that MIG has left empty is the reason. 3. The node is there. 4. HMM is on."""
    code = init_code(case.facts)
    if code not in (_NOT_INITIALIZED, _OPERATING_SYSTEM):
        return
    driver = case.facts.driver
    known(driver.version)
    gpus = known(case.facts.gpus)
    empty = [gpu for gpu in gpus if _holds_nothing(gpu)]
    # CUDA gives the first code over one GPU that is split and empty, too: gpu-mig-enabled-without-instances.
    if len(empty) == len(gpus) or (empty and code == _NOT_INITIALIZED):
        return
    if _NODE not in known(driver.device_nodes) or known(driver.uvm_hmm_disabled):
        return
    release = case.facts.system.kernel_release
    kernel = () if isinstance(release, Unread) else (Evidence(source="uname -r", value=release),)
    yield Finding(
        severity=Severity.ERROR,
        message=f"CUDA does not start ({in_words(code)}) while nvidia-smi is well and nvidia_uvm uses HMM, which fails"
        " with some kernels",
        evidence=(
            Evidence(source="cuInit(0)", value=in_words(code)),
            Evidence(source="nvidia-smi -L", value=case.listed_in_words),
            Evidence(source="cat /sys/module/nvidia_uvm/parameters/uvm_disable_hmm", value="N"),
            *kernel,
        ),
        fix=Fix(
            text=f"on the host: {MENDED_BY}" if case.container else MENDED_BY,
            commands=(_OPTION, "sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm"),
            needs_root=True,
            url=LINKS[0],
        ),
    )


def _holds_nothing(gpu: GpuFacts) -> bool:
    """In MIG mode without an instance; CUDA cannot use it, HMM or not."""
    if isinstance(gpu.mig_enabled, Unread) and gpu.mig_enabled.why is Why.UNSUPPORTED:
        return False
    return known(gpu.mig_enabled) and not known(gpu.mig_devices)
