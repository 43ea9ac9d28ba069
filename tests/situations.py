"""Real situations: an image, a machine, and what becomes of it by the public source that decides it.

The verdicts are read from the sources, not from gpudoctor. Each row names the rule that has to say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpudoctor.verdicts import Verdict

_DOCS = "https://docs.nvidia.com"
FORWARD = f"{_DOCS}/deploy/cuda-compatibility/forward-compatibility.html"
MINOR = f"{_DOCS}/deploy/cuda-compatibility/minor-version-compatibility.html"
# Floors in full, of Linux and of Windows.
FLOORS = f"{_DOCS}/deeplearning/cudnn/archives/cudnn-895/pdf/cuDNN-Support-Matrix.pdf"
# Cubins run on their own major from their minor upwards, PTX on anything newer.
BINARY = f"{_DOCS}/cuda/cuda-c-programming-guide/index.html#binary-compatibility"
# Last driver branch of Kepler, Maxwell, Pascal and Volta.
LAST_BRANCH = f"{_DOCS}/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html"
# Table of toolkits and the drivers they ship with, of Linux and of Windows.
TOOLKITS = f"{_DOCS}/cuda/cuda-toolkit-release-notes/index.html"
OPEN_MODULES = "https://github.com/NVIDIA/open-gpu-kernel-modules/blob/main/CHANGELOG.md"
CUDA_10_ON_AMPERE = "https://github.com/NVIDIA/DeepLearningExamples/issues/803"
BLACKWELL_PTX = "https://github.com/tensorflow/tensorflow/issues/101746"


def notes(page: str) -> str:
    """A page of NVIDIA's TensorFlow release notes."""
    return f"{_DOCS}/deeplearning/frameworks/tensorflow-release-notes/{page}.html"


def dgx_notes(page: str) -> str:
    """A page of the same notes in their other place."""
    return f"{_DOCS}/deeplearning/dgx/tensorflow-release-notes/{page}.html"


def triton(page: str) -> str:
    """The same month's page of Triton, which names drivers and GPUs in the same words."""
    return f"{_DOCS}/deeplearning/sdk/inference-release-notes/{page}.html"


def later_triton(page: str) -> str:
    """The same, where Triton's notes went later."""
    return f"{_DOCS}/deeplearning/triton-inference-server/release-notes/{page}.html"


MXNET_17_10 = f"{_DOCS}/deeplearning/frameworks/mxnet-release-notes/rel_17.10.html"
PYTORCH_23_02 = f"{_DOCS}/deeplearning/frameworks/pytorch-release-notes/rel-23-02.html"
_TRITON_FILES = "https://github.com/triton-inference-server/server/blob"
TRITON_24_12 = f"{_TRITON_FILES}/r24.12/docs/introduction/release_notes.md"
TRITON_25_01 = f"{_TRITON_FILES}/r25.01/docs/introduction/release_notes.md"


RUNS = Verdict.RUNS
WITH_FORWARD = Verdict.RUNS_WITH_FORWARD_COMPAT
WITH_MINOR = Verdict.RUNS_WITH_MINOR_VERSION_COMPAT
UNSUPPORTED = Verdict.RUNS_UNSUPPORTED
WITH_JIT = Verdict.RUNS_WITH_PTX_JIT
UNKNOWN = Verdict.UNKNOWN
REFUSED = Verdict.WILL_NOT_RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A what-if host, as it is typed."""

    driver: str
    gpus: tuple[str, ...]
    arch: str | None = None
    wsl: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One tag on one machine."""

    tag: str
    machine: Machine
    verdict: Verdict
    rule: str
    """The rule that comes to this verdict."""
    source: str

    @property
    def name(self) -> str:
        """For the test's id."""
        machine = self.machine
        return f"{self.tag} on {' + '.join(machine.gpus)}, {machine.driver}{', WSL' if machine.wsl else ''}"


def _on(
    tag: str,
    driver: str,
    gpu: str,
    verdict: Verdict,
    rule: str,
    source: str,
    *,
    and_gpu: str | None = None,
    arch: str | None = None,
    wsl: bool = False,
) -> Situation:
    gpus = (gpu,) if and_gpu is None else (gpu, and_gpu)
    machine = Machine(driver=driver, gpus=gpus, arch=arch, wsl=wsl)
    return Situation(tag=tag, machine=machine, verdict=verdict, rule=rule, source=source)


SITUATIONS: tuple[Situation, ...] = (
    # Kepler: last branch 470; images took it until 17.10
    _on("17.05", "384.81", "Tesla K80", RUNS, "gpu_code", notes("rel_17.05")),
    _on("17.10", "384.111", "GeForce GTX 680", REFUSED, "gpu_range", MXNET_17_10),
    _on("18.08-py3", "410.48", "Tesla K80", REFUSED, "gpu_range", notes("rel_18.08")),
    _on("17.10", "495.44", "Tesla K40", REFUSED, "driver_knows_gpu", LAST_BRANCH),
    # Maxwell: documented until 18.11, in the build lists until 22.12
    _on("18.08-py2", "390.46", "Tesla M40", RUNS, "driver_native", notes("rel_18.08")),
    _on("22.12-tf1-py3", "520.61.05", "GeForce GTX TITAN X", UNSUPPORTED, "gpu_range", notes("rel-22-12")),
    _on("22.09-tf2-py3", "520.61.05", "GTX 750 Ti", REFUSED, "gpu_range", triton("rel-22-09")),
    _on("23.08-tf2-py3", "535.104.05", "Tesla M60", REFUSED, "gpu_range", triton("rel-23-08")),
    _on("20.12-tf1-py3", "590.44.01", "GeForce GTX 980", REFUSED, "driver_knows_gpu", LAST_BRANCH),
    # Pascal: until 24.12, last branch 580
    _on("17.10", "384.81", "Tesla P4", RUNS, "driver_native", TOOLKITS),
    _on("22.12-tf2-py3", "525.60.13", "GTX 1080 Ti", RUNS, "driver_native", notes("rel-22-12")),
    _on("24.12-tf2-py3", "550.54.15", "GeForce GTX 1080", WITH_MINOR, "minor_version_compat", MINOR),
    _on("24.12-tf2-py3", "470.82.01", "Tesla P40", WITH_FORWARD, "forward_compat", TRITON_24_12),
    _on("25.02-tf2-py3", "570.86.10", "Tesla P100", REFUSED, "gpu_range", notes("rel-25-02")),
    _on("22.12-tf1-py3", "590.48.01", "GTX 1080", REFUSED, "driver_knows_gpu", LAST_BRANCH),
    _on("20.03-tf1-py3", "418.87.00", "Tesla P100", WITH_FORWARD, "forward_compat", notes("rel_20-03")),
    _on("20.03-tf1-py3", "418.87.00", "GTX 1080 Ti", REFUSED, "forward_compat", FORWARD),
    # CUDA 10.0: branch 384 is listed, 390 and 396 are not, and minor-version compatibility begins with 11
    _on("18.10-py3", "384.145", "Tesla P100", WITH_FORWARD, "forward_compat", dgx_notes("rel_18.10")),
    _on("19.01-py3", "390.30", "Tesla V100", REFUSED, "forward_compat", dgx_notes("rel_19.01")),
    _on("18.12-py2", "396.44", "Tesla P4", REFUSED, "forward_compat", dgx_notes("rel_18.12")),
    _on("19.02-py3", "396.82", "Tesla P40", REFUSED, "minor_version_compat", MINOR),
    # Volta: until 24.12, last branch 580; CUDA 8 has no code for it
    _on("17.05", "384.81", "Tesla V100", WITH_JIT, "gpu_code", BINARY),
    _on("17.10", "384.81", "V100", RUNS, "gpu_code", TOOLKITS),
    _on("17.07", "375.26", "Tesla V100", REFUSED, "driver_knows_gpu", TOOLKITS),
    _on("22.12-tf1-py3", "450.51.06", "Tesla V100", WITH_FORWARD, "forward_compat", notes("rel-22-12")),
    _on("25.01-tf2-py3", "580.65.06", "Tesla V100", REFUSED, "gpu_range", TRITON_25_01),
    _on("23.03-tf1-py3", "595.45.04", "TITAN V", REFUSED, "driver_knows_gpu", LAST_BRANCH),
    # Turing: first branch 410; CUDA 9.0 has code for 7.0, which runs on 7.5
    _on("18.08-py3", "410.78", "RTX 2080 Ti", UNSUPPORTED, "gpu_code", BINARY),
    _on("18.10-py3", "410.48", "RTX 2080 Ti", RUNS, "driver_native", TOOLKITS),
    _on("18.08-py3", "396.37", "RTX 2080", REFUSED, "driver_knows_gpu", TOOLKITS),
    _on("20.06-tf1-py3", "440.33.01", "Tesla T4", WITH_FORWARD, "forward_compat", dgx_notes("rel_20-06")),
    _on("22.03-tf1-py3", "418.226.00", "T4", WITH_FORWARD, "forward_compat", triton("rel_22-03")),
    # 418 and 440 left the list after 22.03
    _on("22.05-tf1-py3", "440.118.02", "T4", REFUSED, "forward_compat", triton("rel_22-05")),
    _on("21.10-tf1-py3", "450.36.06", "T4", REFUSED, "forward_compat", notes("rel_21-10")),
    _on("21.03-tf1-py3", "450.80.02", "RTX 2080", WITH_MINOR, "minor_version_compat", FLOORS),
    _on("21.02-tf1-py3", "450.66", "RTX 2070", REFUSED, "minor_version_compat", FLOORS),
    # CUDA 12.0: branches 470, 510 and 515 are listed, 520 is not
    _on("23.01-tf1-py3", "520.61.05", "Tesla T4", REFUSED, "forward_compat", notes("rel-23-01")),
    _on("23.01-tf2-py3", "470.57.02", "Tesla T4", WITH_FORWARD, "forward_compat", notes("rel-23-01")),
    _on("23.02-tf1-py3", "515.65.01", "Tesla T4", WITH_FORWARD, "forward_compat", PYTORCH_23_02),
    _on("23.06-tf2-py3", "525.60.13", "RTX 2080 Ti", WITH_MINOR, "minor_version_compat", FLOORS),
    _on("23.04-tf2-py3", "525.53", "RTX 2070", REFUSED, "minor_version_compat", FLOORS),
    _on("25.02-tf2-py3", "570.86.10", "T4", RUNS, "gpu_code", notes("rel-25-02")),
    # Ampere, data-centre
    _on("20.06-tf1-py3", "450.51.05", "NVIDIA A100-SXM4-40GB", RUNS, "driver_native", dgx_notes("rel_20-06")),
    _on("20.03-tf1-py3", "450.80.02", "A100", REFUSED, "gpu_code", CUDA_10_ON_AMPERE),
    _on("20.12-tf1-py3", "450.51.06", "A100", WITH_FORWARD, "forward_compat", triton("rel_20-12")),
    _on("20.11-tf1-py3", "418.87.00", "A100", REFUSED, "driver_knows_gpu", TOOLKITS),
    _on("23.12-tf2-py3", "510.39.01", "A100", REFUSED, "forward_compat", notes("rel-23-12")),
    _on("23.08-tf2-py3", "510.47.03", "A30", WITH_FORWARD, "forward_compat", triton("rel-23-08")),
    _on("22.12-tf1-py3", "470.57.02", "A10", WITH_FORWARD, "forward_compat", notes("rel-22-12")),
    _on("24.01-tf2-py3", "510.108.03", "A40", REFUSED, "forward_compat", later_triton("rel-24-01")),
    # Ampere, consumer and workstation
    _on("20.12-tf1-py3", "455.45.01", "RTX 3090", RUNS, "gpu_code", triton("rel_20-12")),
    _on("20.10-tf1-py3", "455.23.04", "RTX 3080", RUNS, "driver_native", notes("rel_20-10")),
    _on("20.09-tf1-py3", "455.45.01", "RTX 3090", UNSUPPORTED, "gpu_code", BINARY),
    _on("19.10-py3", "455.45.01", "RTX 3090", REFUSED, "gpu_code", CUDA_10_ON_AMPERE),
    _on("21.07-tf1-py3", "455.38", "RTX 3070", WITH_MINOR, "minor_version_compat", MINOR),
    _on("20.12-tf1-py3", "450.119.03", "RTX 3060", REFUSED, "driver_knows_gpu", TOOLKITS),
    _on("23.01-tf1-py3", "515.65.01", "RTX 3090 Ti", REFUSED, "forward_compat", FORWARD),
    _on("23.02-tf2-py3", "510.47.03", "RTX A6000", REFUSED, "forward_compat", FORWARD),
    # Ada: CUDA 11.8 is the first to know it, 8.6 code runs on it
    _on("22.12-tf1-py3", "525.60.11", "RTX 4090", RUNS, "gpu_code", BINARY),
    _on("22.05-tf2-py3", "535.54.03", "RTX 4090", UNSUPPORTED, "gpu_code", BINARY),
    _on("24.08-tf2-py3", "535.129.03", "RTX 4080", WITH_MINOR, "minor_version_compat", MINOR),
    _on("20.03-tf1-py3", "535.129.03", "L40S", REFUSED, "gpu_code", CUDA_10_ON_AMPERE),
    _on("22.12-tf1-py3", "520.61.05", "NVIDIA L4", REFUSED, "driver_knows_gpu", OPEN_MODULES),
    _on("23.05-tf2-py3", "515.105.01", "RTX 4090", REFUSED, "driver_knows_gpu", OPEN_MODULES),
    # Hopper: CUDA 11.7 has no code for it
    _on("22.09-tf2-py3", "520.61.05", "H100", RUNS, "gpu_code", OPEN_MODULES),
    _on("22.08-tf1-py3", "525.85.12", "NVIDIA H100 80GB HBM3", WITH_JIT, "gpu_code", BINARY),
    _on("19.12-tf1-py3", "535.104.05", "H100", REFUSED, "gpu_code", CUDA_10_ON_AMPERE),
    _on("25.02-tf2-py3", "535.104.05", "H100 PCIe", WITH_FORWARD, "forward_compat", later_triton("rel-25-02")),
    _on("22.04-tf2-py3", "515.43.04", "H100", REFUSED, "driver_knows_gpu", OPEN_MODULES),
    # Branch 550 is on no list of 24.06, which only says that the compat library does not load
    _on("24.06-tf2-py3", "550.54.15", "H200", WITH_MINOR, "minor_version_compat", MINOR),
    # Blackwell
    _on("25.02-tf2-py3", "570.124.06", "RTX 5090", RUNS, "gpu_code", notes("rel-25-02")),
    _on("24.12-tf2-py3", "575.57.08", "RTX 5090", REFUSED, "gpu_code", BLACKWELL_PTX),
    _on("25.02-tf2-py3", "550.54.15", "RTX 5080", REFUSED, "driver_knows_gpu", TOOLKITS),
    _on("25.02-tf2-py3", "570.133.20", "B200", RUNS, "gpu_code", TOOLKITS),
    _on("22.12-tf1-py3", "570.133.20", "B200", REFUSED, "gpu_code", BLACKWELL_PTX),
    _on("25.02-tf2-py3", "580.95.05", "B300", UNSUPPORTED, "gpu_code", BINARY),
    _on("25.02-tf2-py3", "580.95.05", "GB10", UNSUPPORTED, "gpu_code", BINARY, arch="aarch64"),
    _on("25.02-tf2-py3", "570.86.10", "GB10", REFUSED, "driver_knows_gpu", TOOLKITS, arch="aarch64"),
    # Processors: servers on Arm from 21.10 on; 21.06 is for x86_64 alone
    _on("21.10-tf1-py3", "470.57.02", "A100", RUNS, "driver_native", notes("rel_21-10"), arch="aarch64"),
    _on("21.06-tf1-py3", "470.57.02", "A100", REFUSED, "platform", dgx_notes("rel_21-06"), arch="aarch64"),
    _on("22.10-tf1-py3", "520.61.05", "A100", UNKNOWN, "platform", notes("rel-22-10"), arch="aarch64"),
    # Jetson: the -igpu images, and nothing else
    _on("23.01-tf2-py3", "540.3", "Jetson AGX Orin", REFUSED, "platform", notes("rel-23-01")),
    _on("23.01-tf1-py3", "540.3", "8.7", REFUSED, "platform", notes("rel-23-01")),
    _on("25.02-tf2-py3-igpu", "540.3", "Jetson Orin Nano", UNKNOWN, "driver_native", notes("rel-25-02")),
    _on("25.02-tf2-py3-igpu", "550.54.15", "A100", REFUSED, "platform", notes("rel-25-02")),
    _on("25.02-tf2-py3-igpu", "550.54.15", "H100", REFUSED, "platform", notes("rel-25-02"), arch="aarch64"),
    # WSL: the driver of Windows, with floors of its own and without forward compatibility
    _on("20.12-tf1-py3", "456.81", "RTX 3090", RUNS, "driver_native", TOOLKITS, wsl=True),
    _on("20.12-tf2-py3", "456.38", "RTX 3090", WITH_MINOR, "minor_version_compat", FLOORS, wsl=True),
    _on("21.10-tf1-py3", "452.06", "RTX 2080", REFUSED, "minor_version_compat", FLOORS, wsl=True),
    _on("21.10-tf2-py3", "452.39", "RTX 2070", WITH_MINOR, "minor_version_compat", FLOORS, wsl=True),
    _on("23.01-tf1-py3", "516.94", "T4", REFUSED, "forward_compat", FORWARD, wsl=True),
    _on("24.08-tf2-py3", "528.49", "RTX 4090", WITH_MINOR, "minor_version_compat", FLOORS, wsl=True),
    # Several GPUs: the worst decides
    _on("20.12-tf1-py3", "455.45.01", "V100", RUNS, "gpu_code", triton("rel_20-12"), and_gpu="A100"),
    _on("25.02-tf2-py3", "580.65.06", "RTX 3090", REFUSED, "gpu_range", notes("rel-25-02"), and_gpu="GTX 1080"),
    _on("20.02-tf1-py3", "418.87.00", "T4", REFUSED, "forward_compat", FORWARD, and_gpu="RTX 2080 Ti"),
    _on("22.08-tf1-py3", "525.85.12", "RTX 4090", WITH_JIT, "gpu_code", BINARY, and_gpu="H100"),
    _on("20.08-tf2-py3", "455.45.01", "A100", UNSUPPORTED, "gpu_code", BINARY, and_gpu="RTX 3090"),
    _on("23.03-tf1-py3", "590.44.01", "A100", REFUSED, "driver_knows_gpu", LAST_BRANCH, and_gpu="V100"),
    # MIG: judged by the parent
    _on("20.10-tf1-py3", "450.80.02", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", WITH_FORWARD, "forward_compat", FORWARD),
    _on("22.12-tf2-py3", "535.104.05", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", RUNS, "gpu_code", notes("rel-22-12")),
    # A bare capability: judged as no data-centre GPU
    _on("20.12-tf1-py3", "455.45.01", "8.6", RUNS, "gpu_code", triton("rel_20-12")),
    _on("23.01-tf1-py3", "470.103.01", "8.0", REFUSED, "forward_compat", FORWARD),
    # What nobody has written down
    _on("17.01", "384.81", "Tesla P100", UNKNOWN, "gpu_range", f"{_DOCS}/deeplearning/frameworks/index.html"),
    _on("23.10-tf2-py3", "510.39.01", "A100", UNKNOWN, "forward_compat", triton("rel-23-09")),
    _on("24.11-tf2-py3", "545.23.08", "RTX 4090", WITH_MINOR, "minor_version_compat", MINOR),
    _on("17.09", "535.54.03", "RTX 3090", REFUSED, "gpu_code", CUDA_10_ON_AMPERE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A TensorFlow on one machine, and the tag that is chosen for it."""

    tf: str
    machine: Machine
    best: str | None
    verdict: Verdict
    source: str

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.tf} on {' + '.join(self.machine.gpus)}, {self.machine.driver}"


def _wish(tf: str, driver: str, gpu: str, best: str | None, verdict: Verdict, source: str) -> Wish:
    return Wish(tf=tf, machine=Machine(driver=driver, gpus=(gpu,)), best=best, verdict=verdict, source=source)


WISHES: tuple[Wish, ...] = (
    _wish("1.15", "455.45.01", "RTX 3090", "20.12-tf1-py3", RUNS, triton("rel_20-12")),
    _wish("1.15", "535.104.05", "H100", "23.03-tf1-py3", RUNS, TOOLKITS),
    _wish("1.15", "570.124.06", "RTX 5090", None, REFUSED, BLACKWELL_PTX),
    _wish("1.12", "410.104", "Tesla V100", "19.01-py3", RUNS, dgx_notes("rel_19.01")),
    _wish("2.17", "580.65.06", "GTX 1080", "24.12-tf2-py3", RUNS, TRITON_24_12),
    _wish("2.17", "470.82.01", "RTX 3090", None, REFUSED, MINOR),
    _wish("2.9", "470.82.01", "Tesla K80", None, REFUSED, triton("rel-22-09")),
    _wish("latest", "570.124.06", "RTX 5090", "25.02-tf2-py3", RUNS, notes("rel-25-02")),
    _wish("latest", "470.57.02", "RTX 3090", "22.12-tf2-py3", WITH_MINOR, notes("rel-22-12")),
    _wish("2", "520.61.05", "RTX 2080 Ti", "22.12-tf2-py3", RUNS, notes("rel-22-12")),
    _wish(">=2.6,<2.9", "495.29.05", "RTX 3080", "21.12-tf2-py3", RUNS, triton("rel_21-12")),
    _wish("2.22", "570.124.06", "RTX 5090", None, Verdict.NO_SUCH_IMAGE, notes("rel-25-02")),
    # NVIDIA ended with 2.17; TensorFlow's own 2.18 finds no GPU as shipped.
    _wish(
        "2.18",
        "570.124.06",
        "RTX 4090",
        None,
        Verdict.WILL_NOT_RUN,
        "https://github.com/tensorflow/tensorflow/issues/62412",
    ),
    _wish("1.3", "384.81", "Tesla P100", "17.10", RUNS, MXNET_17_10),
)
