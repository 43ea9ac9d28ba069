"""Real situations: an image, a machine, and what becomes of it by the public source that decides it.

The outcomes are read from the sources, not from gpudoctor. Each row names the rule that has to say so, and which of
the rule's answers it has to be. No two situations differ in the driver alone: those are the boundaries.
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
SOURCE_COPIES = "https://github.com/janilbols-w/ngc-tensorflow-collection"
DEVELOPMENT_FILES = "https://github.com/houtoms/tensorflow"
CONTENTS = f"{_DOCS}/deeplearning/frameworks/index.html"
# TensorFlow's own images: their Dockerfiles, what each version was tested with, the code inside its wheel.
RUNTIME_FILES = "https://github.com/tensorflow/build/tree/5b1c753/tensorflow_runtime_dockerfiles"
TESTED_BUILDS = "https://www.tensorflow.org/install/source#tested_build_configurations"
RELEASE_2_17 = "https://github.com/tensorflow/tensorflow/releases/tag/v2.17.0"
WHEELS = "the published wheel of that version, unpacked: its build information and the GPU code in its libraries"
# What works on WSL, and on which GPUs.
WSL_GUIDE = f"{_DOCS}/cuda/wsl-user-guide/index.html"
JETSON_WHEEL = (
    "https://developer.download.nvidia.com/compute/redist/jp/v60/"
    "tensorflow/tensorflow-2.16.1+nv24.07-cp310-cp310-linux_aarch64.whl"
)
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


def issue(repository: str, number: int) -> str:
    """What a user reported."""
    return f"https://github.com/{repository}/issues/{number}"


def tensorflow_issue(number: int) -> str:
    """The same, of TensorFlow."""
    return issue("tensorflow/tensorflow", number)


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
class Outcome:
    """A rule, what it comes to, and which of its answers that is."""

    rule: str
    verdict: Verdict
    says: str
    """A pattern of the answer."""


def _outcome(rule: str, verdict: Verdict, says: str) -> Outcome:
    return Outcome(rule=rule, verdict=verdict, says=says)


SERVER_IMAGE_ON_JETSON = _outcome("platform", REFUSED, r"a Jetson needs an -igpu image")
JETSON_IMAGE_ON_SERVER = _outcome("platform", REFUSED, r"for Jetson's integrated GPU only")
NOT_FOR_ARM = _outcome("platform", REFUSED, r"holds no image for aarch64")
FOR_ARM_UNKNOWN = _outcome("platform", UNKNOWN, r"image for aarch64 is not known")

NOT_YET_DRIVEN = _outcome("driver_knows_gpu", REFUSED, r"does not know .* needs branch \S+ or newer")
NO_LONGER_DRIVEN = _outcome("driver_knows_gpu", REFUSED, r"no longer drives .* was the last")
NOT_YET_DRIVEN_ON_WINDOWS = _outcome("driver_knows_gpu", REFUSED, r"of Windows does not know .* came with \S+$")
NO_LONGER_DRIVEN_ON_WINDOWS = _outcome("driver_knows_gpu", REFUSED, r"of Windows no longer drives .* was the last")
WSL_FROM_PASCAL_ON = _outcome("driver_knows_gpu", UNSUPPORTED, r"supports WSL from Pascal")

BELOW_DOCUMENTED = _outcome("gpu_range", REFUSED, r"documented for \S+ and newer$")
BELOW_OTHERS_OF_2018 = _outcome("gpu_range", REFUSED, r"derived from the images of its year")
BELOW_OTHERS_TO_2024 = _outcome("gpu_range", REFUSED, r"derived: 18\.12 to 24\.12 all say so")
BELOW_OTHERS_OF_2025 = _outcome("gpu_range", REFUSED, r"derived: 25\.x say so")
BELOW_BUILD_LIST = _outcome("gpu_range", REFUSED, r"\(from its build list\)$")
BUILT_ALL_THE_SAME = _outcome("gpu_range", UNSUPPORTED, r"build list names \S+ all the same$")
NEIGHBOURS_BUILT_ALL_THE_SAME = _outcome("gpu_range", UNSUPPORTED, r"all the same \(derived")
RANGE_UNKNOWN = _outcome("gpu_range", UNKNOWN, r"lowest compute capability of \S+ is not known")

OWN_CODE = _outcome("gpu_code", RUNS, r"native code for (\S+) runs on \1$")
CODE_OF_LOWER_MINOR = _outcome("gpu_code", RUNS, r"native code for (\S+) runs on (?!\1)\S+$")
CODE_OF_NEIGHBOURS = _outcome("gpu_code", RUNS, r"native code for \S+ runs on \S+ \(derived")
CUDA_TOO_OLD_FOR_GPU = _outcome("gpu_code", UNSUPPORTED, r"does not know .* yet; it runs the code for \S+$")
CUDA_TOO_OLD_FOR_GPU_BY_NEIGHBOURS = _outcome("gpu_code", UNSUPPORTED, r"yet; it runs the code for \S+ \(derived")
COMPILED_AT_FIRST_USE = _outcome("gpu_code", WITH_JIT, r"compiles PTX of \S+ at first use")
NO_CODE_FOR_BLACKWELL = _outcome("gpu_code", REFUSED, r"CUDA_ERROR_INVALID_PTX")
NO_CODE_BEFORE_CUDA_11 = _outcome("gpu_code", REFUSED, r"CUBLAS_STATUS_EXECUTION_FAILED")
NO_CODE_AND_NO_PTX = _outcome("gpu_code", REFUSED, r"neither native code nor PTX")
CODE_UNKNOWN = _outcome("gpu_code", UNKNOWN, r"holds code for is not known")

AS_NEW_AS_TOOLKIT = _outcome("driver_native", RUNS, r"is as new as .* came with \S+$")
AS_NEW_AS_TOOLKIT_WHATEVER_THE_NOTES_SAY = _outcome("driver_native", RUNS, r"as new as .* own number decides")
SAME_BRANCH_AS_TOOLKIT = _outcome("driver_native", RUNS, r"of the same branch as")
OLDER_THAN_TOOLKIT_WHATEVER_THE_NOTES_SAY = _outcome("driver_native", REFUSED, r"is older; .* own number decides")
DRIVER_OF_JETPACK = _outcome("driver_native", UNKNOWN, r"comes with JetPack")
TOOLKIT_UNKNOWN = _outcome("driver_native", UNKNOWN, r"its CUDA version is not known")

LISTED_BRANCH = _outcome("forward_compat", WITH_FORWARD, r"is on the image's list")
BRANCH_THE_PACKAGE_TAKES = _outcome("forward_compat", WITH_FORWARD, r"takes branch \S+ \(derived")
NO_DATA_CENTRE_GPU = _outcome("forward_compat", REFUSED, r"CUDA error 804$")
BARE_CAPABILITY = _outcome("forward_compat", REFUSED, r"a data-centre GPU of this capability could use it")
BELOW_LISTED_NUMBER = _outcome("forward_compat", REFUSED, r"is listed .* from \S+ on, and \S+ is older")
BRANCH_NOT_LISTED = _outcome("forward_compat", REFUSED, r"is not on the image's list .*\)$")
NEWER_BRANCH_IS_WORSE = _outcome("forward_compat", REFUSED, r"a newer branch is not a better one here")
NOTHING_LISTED = _outcome("forward_compat", REFUSED, r"list no driver")
BRANCH_THE_PACKAGE_REFUSES = _outcome("forward_compat", REFUSED, r"does not take branch")
NO_COMPAT_ON_WSL = _outcome("forward_compat", REFUSED, r"does not work on WSL")
SOURCES_DISAGREE = _outcome("forward_compat", UNKNOWN, r"the sources contradict each other")
BRANCH_UNKNOWN = _outcome("forward_compat", UNKNOWN, r"takes branch \S+: not known$")
NUMBER_UNKNOWN = _outcome("forward_compat", UNKNOWN, r"other images take it from")

SAME_CUDA_MAJOR = _outcome("minor_version_compat", WITH_MINOR, r"same CUDA major")
NONE_BEFORE_CUDA_11 = _outcome("minor_version_compat", REFUSED, r"it begins with 11")
BELOW_FLOOR = _outcome("minor_version_compat", REFUSED, r"too old for minor-version compatibility")
PTX_OF_NEWER_CUDA = _outcome("minor_version_compat", REFUSED, r"error 222")
CUDA_UNKNOWN = _outcome("minor_version_compat", UNKNOWN, r"the CUDA version of \S+ is not known")

CUDNN_DOES_NOT_FIT = _outcome("as_shipped", REFUSED, r"cuDNN 9 and the image holds 8")
CUDA_DOES_NOT_FIT = _outcome("as_shipped", REFUSED, r"its CUDA does not fit its TensorFlow")
BUILT_FOR_KEPLER_ALONE = _outcome("as_shipped", REFUSED, r"built for 3\.7 alone")


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
    outcome: Outcome
    """What the source makes of it; its verdict is that of the whole."""
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
    outcome: Outcome,
    source: str,
    *,
    and_gpu: str | None = None,
    arch: str | None = None,
    wsl: bool = False,
) -> Situation:
    gpus = (gpu,) if and_gpu is None else (gpu, and_gpu)
    machine = Machine(driver=driver, gpus=gpus, arch=arch, wsl=wsl)
    return Situation(tag=tag, machine=machine, outcome=outcome, source=source)


SITUATIONS: tuple[Situation, ...] = (
    # Kepler: last branch 470; images took it until 17.10
    _on("17.05", "384.81", "Tesla K80", CODE_OF_LOWER_MINOR, notes("rel_17.05")),
    _on("17.10", "384.111", "GeForce GTX 680", BELOW_DOCUMENTED, MXNET_17_10),
    _on("18.08-py3", "410.48", "Tesla K80", BELOW_DOCUMENTED, notes("rel_18.08")),
    _on("17.10", "495.44", "Tesla K40", NO_LONGER_DRIVEN, LAST_BRANCH),
    # Maxwell: documented until 18.11, in the build lists until 22.12
    _on("18.08-py2", "390.46", "Tesla M40", AS_NEW_AS_TOOLKIT, notes("rel_18.08")),
    _on("22.12-tf1-py3", "520.61.05", "GeForce GTX TITAN X", BUILT_ALL_THE_SAME, notes("rel-22-12")),
    _on("22.09-tf2-py3", "520.61.05", "GTX 750 Ti", BELOW_DOCUMENTED, triton("rel-22-09")),
    _on("23.08-tf2-py3", "535.104.05", "Tesla M60", BELOW_DOCUMENTED, triton("rel-23-08")),
    _on("20.12-tf1-py3", "590.44.01", "GeForce GTX 980", NO_LONGER_DRIVEN, LAST_BRANCH),
    _on("22.11-tf2-py3", "520.61.05", "GTX 980 Ti", NEIGHBOURS_BUILT_ALL_THE_SAME, SOURCE_COPIES),
    _on("18.05-py3", "390.30", "GTX 750 Ti", BELOW_OTHERS_OF_2018, DEVELOPMENT_FILES),
    _on("24.03-tf2-py3", "550.54.15", "Tesla M60", BELOW_OTHERS_TO_2024, later_triton("rel-24-01")),
    # Pascal: until 24.12, last branch 580
    _on("17.10", "384.81", "Tesla P4", AS_NEW_AS_TOOLKIT, TOOLKITS),
    _on("22.12-tf2-py3", "525.60.13", "GTX 1080 Ti", AS_NEW_AS_TOOLKIT, notes("rel-22-12")),
    _on("24.12-tf2-py3", "550.54.15", "GeForce GTX 1080", SAME_CUDA_MAJOR, MINOR),
    _on("24.12-tf2-py3", "470.82.01", "Tesla P40", LISTED_BRANCH, TRITON_24_12),
    _on("25.02-tf2-py3", "570.86.10", "Tesla P100", BELOW_DOCUMENTED, notes("rel-25-02")),
    _on("22.10-tf1-py3", "590.48.01", "GTX 1080", NO_LONGER_DRIVEN, LAST_BRANCH),
    # Before CUDA 10.0 there was no compat library, and the notes list no branch
    _on("18.06-py3", "375.26", "Tesla P100", NOTHING_LISTED, dgx_notes("rel_18.06")),
    _on("20.03-tf1-py3", "418.87.00", "Tesla P100", LISTED_BRANCH, notes("rel_20-03")),
    _on("20.03-tf1-py3", "418.87.00", "GTX 1080 Ti", NO_DATA_CENTRE_GPU, FORWARD),
    _on("19.07-py3", "418.67", "TITAN Xp", CODE_OF_NEIGHBOURS, notes("rel_19.07")),
    # CUDA 10.0: branch 384 is listed, 390 and 396 are not, and minor-version compatibility begins with 11
    _on("18.10-py3", "384.145", "Tesla P100", LISTED_BRANCH, dgx_notes("rel_18.10")),
    _on("19.01-py3", "390.30", "Tesla V100", NEWER_BRANCH_IS_WORSE, dgx_notes("rel_19.01")),
    _on("18.12-py2", "396.44", "Tesla P4", NEWER_BRANCH_IS_WORSE, dgx_notes("rel_18.12")),
    _on("19.02-py3", "396.82", "Tesla P40", NONE_BEFORE_CUDA_11, MINOR),
    # Volta: until 24.12, last branch 580; CUDA 8 has no code for it
    _on("17.05", "384.81", "Tesla V100", COMPILED_AT_FIRST_USE, BINARY),
    _on("17.10", "384.81", "V100", OWN_CODE, TOOLKITS),
    _on("17.07", "375.26", "Tesla V100", NOT_YET_DRIVEN, TOOLKITS),
    _on("22.12-tf1-py3", "450.51.06", "Tesla V100", LISTED_BRANCH, notes("rel-22-12")),
    _on("25.01-tf2-py3", "580.65.06", "Tesla V100", BELOW_DOCUMENTED, TRITON_25_01),
    _on("23.03-tf1-py3", "595.45.04", "TITAN V", NO_LONGER_DRIVEN, LAST_BRANCH),
    # Turing: first branch 410; CUDA 9.0 has code for 7.0, which runs on 7.5
    _on("18.08-py3", "410.78", "RTX 2080 Ti", CUDA_TOO_OLD_FOR_GPU, BINARY),
    _on("18.10-py3", "410.48", "RTX 2080 Ti", AS_NEW_AS_TOOLKIT, TOOLKITS),
    _on("20.06-tf1-py3", "440.33.01", "Tesla T4", LISTED_BRANCH, dgx_notes("rel_20-06")),
    _on("22.03-tf1-py3", "418.226.00", "T4", LISTED_BRANCH, triton("rel_22-03")),
    # 418 and 440 left the list after 22.03
    _on("22.05-tf1-py3", "440.118.02", "T4", BRANCH_NOT_LISTED, triton("rel_22-05")),
    _on("21.10-tf1-py3", "450.36.06", "T4", BELOW_LISTED_NUMBER, notes("rel_21-10")),
    _on("21.03-tf1-py3", "450.80.02", "RTX 2080", SAME_CUDA_MAJOR, FLOORS),
    _on("21.02-tf1-py3", "450.66", "RTX 2070", BELOW_FLOOR, FLOORS),
    # CUDA 12.0: branches 470, 510 and 515 are listed, 520 is not
    _on("23.01-tf2-py3", "470.57.02", "A30", LISTED_BRANCH, notes("rel-23-01")),
    _on("23.01-tf1-py3", "520.61.05", "Tesla T4", NEWER_BRANCH_IS_WORSE, notes("rel-23-01")),
    _on("23.02-tf1-py3", "515.65.01", "Tesla T4", LISTED_BRANCH, PYTORCH_23_02),
    _on("23.06-tf2-py3", "525.60.13", "RTX 2080 Ti", SAME_CUDA_MAJOR, FLOORS),
    _on("23.04-tf2-py3", "525.53", "RTX 2070", BELOW_FLOOR, FLOORS),
    _on("25.02-tf2-py3", "570.86.10", "T4", OWN_CODE, notes("rel-25-02")),
    # Ampere, data-centre
    _on("20.06-tf1-py3", "450.51.05", "NVIDIA A100-SXM4-40GB", AS_NEW_AS_TOOLKIT, dgx_notes("rel_20-06")),
    _on("20.03-tf1-py3", "450.80.02", "A100", NO_CODE_BEFORE_CUDA_11, CUDA_10_ON_AMPERE),
    _on("20.12-tf1-py3", "450.51.06", "A100", LISTED_BRANCH, triton("rel_20-12")),
    _on("20.11-tf1-py3", "418.87.00", "A100", NOT_YET_DRIVEN, TOOLKITS),
    _on("23.12-tf2-py3", "510.39.01", "A100", BELOW_LISTED_NUMBER, notes("rel-23-12")),
    _on("23.08-tf2-py3", "510.47.03", "A30", LISTED_BRANCH, triton("rel-23-08")),
    _on("22.12-tf1-py3", "470.57.02", "A10", LISTED_BRANCH, notes("rel-22-12")),
    _on("24.01-tf2-py3", "510.108.03", "A40", NEWER_BRANCH_IS_WORSE, later_triton("rel-24-01")),
    # Branch 460 is not listed by 22.06, and needs no compat library: it is of the same CUDA major
    _on("22.06-tf2-py3", "460.106.00", "A2", SAME_CUDA_MAJOR, MINOR),
    _on("22.03-tf2-py3", "450.80.02", "A100", LISTED_BRANCH, triton("rel_22-03")),
    # Ampere, consumer and workstation
    _on("22.06-tf1-py3", "515.43.04", "RTX 3080", SAME_BRANCH_AS_TOOLKIT, TOOLKITS),
    _on("24.04-tf2-py3", "520.61.05", "RTX A5000", OLDER_THAN_TOOLKIT_WHATEVER_THE_NOTES_SAY, FLOORS),
    _on("20.12-tf1-py3", "455.45.01", "RTX 3090", OWN_CODE, triton("rel_20-12")),
    _on("20.10-tf1-py3", "455.23.04", "RTX 3080", AS_NEW_AS_TOOLKIT, notes("rel_20-10")),
    _on("20.09-tf1-py3", "455.45.01", "RTX 3090", CUDA_TOO_OLD_FOR_GPU_BY_NEIGHBOURS, BINARY),
    _on("19.10-py3", "455.45.01", "RTX 3090", NO_CODE_BEFORE_CUDA_11, CUDA_10_ON_AMPERE),
    _on("21.07-tf1-py3", "455.38", "RTX 3070", SAME_CUDA_MAJOR, MINOR),
    _on("20.12-tf1-py3", "450.119.03", "RTX 3060", NOT_YET_DRIVEN, TOOLKITS),
    _on("23.01-tf1-py3", "515.65.01", "RTX 3090 Ti", NO_DATA_CENTRE_GPU, FORWARD),
    _on("23.02-tf2-py3", "510.47.03", "RTX A6000", NO_DATA_CENTRE_GPU, FORWARD),
    # Ada: CUDA 11.8 is the first to know it, 8.6 code runs on it
    _on("22.12-tf1-py3", "525.60.11", "RTX 4090", CODE_OF_LOWER_MINOR, BINARY),
    _on("22.05-tf2-py3", "535.54.03", "RTX 4090", CUDA_TOO_OLD_FOR_GPU_BY_NEIGHBOURS, BINARY),
    _on("24.08-tf2-py3", "535.129.03", "RTX 4080", SAME_CUDA_MAJOR, MINOR),
    _on("20.03-tf1-py3", "535.129.03", "L40S", NO_CODE_BEFORE_CUDA_11, CUDA_10_ON_AMPERE),
    _on("22.12-tf1-py3", "520.61.05", "NVIDIA L4", NOT_YET_DRIVEN, OPEN_MODULES),
    _on("23.05-tf2-py3", "515.105.01", "RTX 4090", NOT_YET_DRIVEN, OPEN_MODULES),
    # The notes of 24.05 say 545, its CUDA 12.4.1 came with 550
    _on("24.05-tf2-py3", "555.42.02", "RTX 4070 Ti", AS_NEW_AS_TOOLKIT_WHATEVER_THE_NOTES_SAY, TOOLKITS),
    _on("24.07-tf2-py3", "535.183.01", "L40S", LISTED_BRANCH, later_triton("rel-24-07")),
    # Hopper: CUDA 11.7 has no code for it
    _on("22.09-tf2-py3", "520.61.05", "H100", OWN_CODE, OPEN_MODULES),
    _on("22.08-tf1-py3", "525.85.12", "NVIDIA H100 80GB HBM3", COMPILED_AT_FIRST_USE, BINARY),
    _on("19.12-tf1-py3", "535.104.05", "H100", NO_CODE_BEFORE_CUDA_11, CUDA_10_ON_AMPERE),
    _on("25.02-tf2-py3", "535.104.05", "H100 PCIe", LISTED_BRANCH, later_triton("rel-25-02")),
    _on("22.04-tf2-py3", "515.43.04", "H100", NOT_YET_DRIVEN, OPEN_MODULES),
    # Branch 550 is on no list of 24.06, which only says that the compat library does not load
    _on("24.06-tf2-py3", "550.54.15", "H200", SAME_CUDA_MAJOR, MINOR),
    # Blackwell
    _on("25.02-tf2-py3", "570.124.06", "RTX 5090", OWN_CODE, notes("rel-25-02")),
    _on("24.12-tf2-py3", "575.57.08", "RTX 5090", NO_CODE_FOR_BLACKWELL, BLACKWELL_PTX),
    _on("25.01-tf2-py3", "550.54.15", "RTX 5080", NOT_YET_DRIVEN, TOOLKITS),
    _on("25.02-tf2-py3", "570.133.20", "B200", OWN_CODE, TOOLKITS),
    _on("25.01-tf2-py3", "565.57.01", "B200", NOT_YET_DRIVEN, TOOLKITS),
    _on("22.12-tf1-py3", "570.133.20", "B200", NO_CODE_FOR_BLACKWELL, BLACKWELL_PTX),
    _on("25.02-tf2-py3", "580.95.05", "B300", CUDA_TOO_OLD_FOR_GPU, BINARY),
    _on("25.02-tf2-py3", "580.95.05", "GB10", CUDA_TOO_OLD_FOR_GPU, BINARY, arch="aarch64"),
    # Processors: servers on Arm from 21.10 on; 21.06 is for x86_64 alone
    _on("21.10-tf1-py3", "470.57.02", "A100", AS_NEW_AS_TOOLKIT, notes("rel_21-10"), arch="aarch64"),
    _on("21.06-tf1-py3", "470.57.02", "A100", NOT_FOR_ARM, dgx_notes("rel_21-06"), arch="aarch64"),
    _on("22.10-tf1-py3", "520.61.05", "A100", FOR_ARM_UNKNOWN, notes("rel-22-10"), arch="aarch64"),
    _on("25.02-tf2-py3", "570.124.06", "GH200", OWN_CODE, notes("rel-25-02"), arch="aarch64"),
    _on("22.08-tf2-py3", "515.65.01", "RTX A6000", OWN_CODE, SOURCE_COPIES, arch="aarch64"),
    _on("2.17.0-gpu", "545.23.08", "L4", NOT_FOR_ARM, RUNTIME_FILES, arch="aarch64"),
    # Jetson: the -igpu images, and nothing else
    _on("23.01-tf2-py3", "540.3", "Jetson AGX Orin", SERVER_IMAGE_ON_JETSON, notes("rel-23-01")),
    _on("23.01-tf1-py3", "540.3", "8.7", SERVER_IMAGE_ON_JETSON, notes("rel-23-01")),
    _on("25.02-tf2-py3-igpu", "540.3", "Jetson Orin Nano", DRIVER_OF_JETPACK, notes("rel-25-02")),
    _on("24.07-tf2-py3-igpu", "540.3", "Jetson Orin NX", CODE_UNKNOWN, JETSON_WHEEL),
    _on("25.02-tf2-py3-igpu", "540.3", "Jetson AGX Xavier", BELOW_OTHERS_OF_2025, notes("rel-25-02")),
    _on("2.17.0-gpu", "540.3", "Jetson AGX Orin", SERVER_IMAGE_ON_JETSON, RUNTIME_FILES),
    _on("24.07-tf2-py3-igpu", "550.54.15", "RTX 4090", JETSON_IMAGE_ON_SERVER, JETSON_WHEEL),
    _on("25.02-tf2-py3-igpu", "550.54.15", "A100", JETSON_IMAGE_ON_SERVER, notes("rel-25-02")),
    _on("25.02-tf2-py3-igpu", "550.54.15", "H100", JETSON_IMAGE_ON_SERVER, notes("rel-25-02"), arch="aarch64"),
    # WSL: the driver of Windows, with floors of its own and without forward compatibility
    _on("20.12-tf1-py3", "456.81", "RTX 3090", AS_NEW_AS_TOOLKIT, TOOLKITS, wsl=True),
    _on("21.10-tf1-py3", "452.06", "RTX 2080", BELOW_FLOOR, FLOORS, wsl=True),
    _on("23.01-tf1-py3", "516.94", "T4", NO_COMPAT_ON_WSL, FORWARD, wsl=True),
    _on("24.08-tf2-py3", "528.49", "RTX 4090", SAME_CUDA_MAJOR, FLOORS, wsl=True),
    _on("25.01-tf2-py3", "531.79", "RTX 5090", NOT_YET_DRIVEN_ON_WINDOWS, TOOLKITS, wsl=True),
    _on("24.12-tf2-py3", "591.44", "GTX 1080", NO_LONGER_DRIVEN_ON_WINDOWS, LAST_BRANCH, wsl=True),
    _on("18.08-py3", "511.79", "GTX 980", WSL_FROM_PASCAL_ON, WSL_GUIDE, wsl=True),
    # Several GPUs: the worst decides
    _on("20.12-tf1-py3", "455.45.01", "V100", OWN_CODE, triton("rel_20-12"), and_gpu="A100"),
    _on("25.02-tf2-py3", "580.65.06", "RTX 3090", BELOW_DOCUMENTED, notes("rel-25-02"), and_gpu="GTX 1080"),
    _on("20.02-tf1-py3", "418.87.00", "T4", NO_DATA_CENTRE_GPU, FORWARD, and_gpu="RTX 2080 Ti"),
    _on("22.08-tf1-py3", "525.85.12", "RTX 4090", COMPILED_AT_FIRST_USE, BINARY, and_gpu="H100"),
    _on("20.08-tf2-py3", "455.45.01", "A100", CUDA_TOO_OLD_FOR_GPU, BINARY, and_gpu="RTX 3090"),
    _on("23.03-tf1-py3", "590.44.01", "A100", NO_LONGER_DRIVEN, LAST_BRANCH, and_gpu="V100"),
    # MIG: judged by the parent
    _on("20.10-tf1-py3", "450.80.02", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", LISTED_BRANCH, FORWARD),
    _on("22.12-tf2-py3", "535.104.05", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", OWN_CODE, notes("rel-22-12")),
    # A bare capability: judged as no data-centre GPU
    _on("20.12-tf1-py3", "455.45.01", "8.6", OWN_CODE, triton("rel_20-12")),
    _on("23.01-tf1-py3", "470.103.01", "8.0", BARE_CAPABILITY, FORWARD),
    # What nobody has written down
    _on("17.01", "384.81", "Tesla P100", RANGE_UNKNOWN, CONTENTS),
    _on("16.12", "375.26", "Tesla P100", CUDA_UNKNOWN, CONTENTS),
    _on("16.12", "367.57", "GTX 1080", TOOLKIT_UNKNOWN, CONTENTS),
    _on("24.02-tf2-py3", "450.172.01", "Tesla T4", SOURCES_DISAGREE, FORWARD),
    _on("23.10-tf2-py3", "510.39.01", "A100", NUMBER_UNKNOWN, triton("rel-23-09")),
    _on("24.11-tf2-py3", "545.23.08", "RTX 4090", SAME_CUDA_MAJOR, MINOR),
    _on("17.09", "535.54.03", "RTX 3090", NO_CODE_BEFORE_CUDA_11, CUDA_10_ON_AMPERE),
    # TensorFlow's own images. CUDA 9.0: 1.12.3 was built for 3.7 alone
    _on("1.11.0-gpu-py3", "396.54", "RTX 2080", NOT_YET_DRIVEN, TOOLKITS),
    _on("1.12.0-gpu-py3", "384.111", "GTX 1080 Ti", AS_NEW_AS_TOOLKIT, TESTED_BUILDS),
    _on("1.12.3-gpu-py3", "410.48", "Tesla V100", BUILT_FOR_KEPLER_ALONE, issue("vanvalenlab/deepcell-tf", 244)),
    _on("1.12.3-gpu-py3", "384.130", "GTX 1080 Ti", BUILT_FOR_KEPLER_ALONE, tensorflow_issue(40972)),
    # CUDA 10: no minor-version compatibility, no code for Ampere
    _on("1.13.1-gpu-py3", "410.48", "RTX 2080 Ti", CODE_OF_LOWER_MINOR, BINARY),
    _on("1.14.0-gpu-py3", "390.87", "GTX 1080", NONE_BEFORE_CUDA_11, MINOR),
    _on("1.15.5-gpu-py3", "455.45.01", "RTX 3090", NO_CODE_BEFORE_CUDA_11, CUDA_10_ON_AMPERE),
    _on("2.0.4-gpu-py3", "410.104", "Tesla V100", OWN_CODE, TESTED_BUILDS),
    _on("2.1.2-gpu", "418.39", "Tesla K80", OWN_CODE, TESTED_BUILDS),
    _on("2.2.3-gpu", "418.87.00", "GeForce GTX TITAN Black", OWN_CODE, TESTED_BUILDS),
    _on("2.3.4-gpu", "450.80.02", "GTX 750 Ti", NO_CODE_AND_NO_PTX, tensorflow_issue(41132)),
    _on("2.3.4-gpu", "455.23.04", "RTX 3080", NO_CODE_BEFORE_CUDA_11, tensorflow_issue(43718)),
    # CUDA 11: 2.4 to 2.14 hold code for 8.0 and PTX of it, nothing newer
    _on("2.4.3-gpu", "450.80.02", "A100", OWN_CODE, TESTED_BUILDS),
    _on("2.4.3-gpu", "460.32.03", "RTX 3090", CUDA_TOO_OLD_FOR_GPU, BINARY),
    _on("2.5.3-gpu", "450.66", "GTX 1660 Ti", BELOW_FLOOR, FLOORS),
    _on("2.6.2-gpu", "455.45.01", "RTX 3070", SAME_CUDA_MAJOR, MINOR),
    _on("2.7.4-gpu", "470.57.02", "GTX 1080 Ti", CODE_OF_LOWER_MINOR, BINARY),
    _on("2.8.4-gpu", "495.44", "Tesla K80", NO_LONGER_DRIVEN, LAST_BRANCH),
    _on("2.9.3-gpu", "470.82.01", "Tesla K40", OWN_CODE, TESTED_BUILDS),
    _on("2.10.1-gpu", "525.60.11", "RTX 4090", CUDA_TOO_OLD_FOR_GPU, BINARY),
    _on("2.11.1-gpu", "535.104.05", "H100", COMPILED_AT_FIRST_USE, BINARY),
    _on("2.12.0-gpu", "525.60.11", "RTX 4080", CODE_OF_LOWER_MINOR, BINARY),
    _on("2.13.0-gpu", "470.57.02", "A100", BRANCH_THE_PACKAGE_TAKES, FORWARD),
    _on("2.14.0-gpu", "470.82.01", "GeForce GTX TITAN", SAME_CUDA_MAJOR, MINOR),
    # CUDA 12.3: code for 9.0 is missing from 2.15, and PTX wants the newer driver or its libcuda
    _on("2.15.0.post1-gpu", "535.104.05", "9.0", PTX_OF_NEWER_CUDA, MINOR),
    _on("2.15.0.post1-gpu", "535.104.05", "H100 PCIe", COMPILED_AT_FIRST_USE, FORWARD),
    _on("2.15.0.post1-gpu", "470.82.01", "GeForce GTX TITAN", BELOW_BUILD_LIST, WHEELS),
    _on("2.15.0-gpu", "545.23.08", "RTX 3090", CUDA_DOES_NOT_FIT, tensorflow_issue(62412)),
    _on("2.16.1-gpu", "535.54.03", "RTX 4080", SAME_CUDA_MAJOR, MINOR),
    _on("2.16.2-gpu", "545.23.08", "GTX 980", CODE_OF_LOWER_MINOR, RELEASE_2_17),
    _on("2.16.2-gpu", "515.105.01", "Tesla P40", BRANCH_UNKNOWN, FORWARD),
    # On 9.0 the element-wise kernels are PTX alone: of 8.0 in 2.16, of 8.3 in 2.17, which CUDA 12.3 brought
    _on("2.16.2-gpu", "530.30.02", "H100", SAME_CUDA_MAJOR, WHEELS),
    _on("2.17.0-gpu", "530.30.02", "9.0", PTX_OF_NEWER_CUDA, WHEELS),
    _on("2.17.0-gpu", "530.30.02", "H100", BRANCH_UNKNOWN, FORWARD),
    _on("2.17.0-gpu", "545.23.08", "GTX 980", BELOW_BUILD_LIST, RELEASE_2_17),
    _on("2.17.0-gpu", "545.23.08", "Tesla M40", BELOW_BUILD_LIST, RELEASE_2_17),
    _on("2.17.0-gpu", "470.57.02", "A100", BRANCH_THE_PACKAGE_TAKES, FORWARD),
    _on("2.17.0-gpu", "460.106.00", "A10", BRANCH_THE_PACKAGE_REFUSES, FORWARD),
    _on("2.17.0-gpu", "510.85.02", "T4", SOURCES_DISAGREE, FORWARD),
    _on("2.17.0-gpu", "575.57.08", "RTX 5090", NO_CODE_FOR_BLACKWELL, BLACKWELL_PTX),
    # From 2.18 on the image holds cuDNN 8 and its TensorFlow wants cuDNN 9
    _on("2.18.0-gpu", "550.54.15", "RTX 4090", CUDNN_DOES_NOT_FIT, tensorflow_issue(62412)),
    _on("2.19.0-gpu", "560.35.03", "A100", CUDNN_DOES_NOT_FIT, tensorflow_issue(88348)),
    _on("2.20.0-gpu", "570.124.06", "RTX 3090", CUDNN_DOES_NOT_FIT, tensorflow_issue(94593)),
    _on("2.21.0-gpu", "580.95.05", "RTX 3060", CUDNN_DOES_NOT_FIT, tensorflow_issue(97387)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """One tag on one GPU, and the driver at which the answer changes."""

    tag: str
    gpu: str
    below: str
    """A driver short of the boundary."""
    outcome_below: Outcome
    above: str
    """The driver on the boundary, or the first that was published beyond it."""
    outcome_above: Outcome
    source: str
    arch: str | None = None
    wsl: bool = False

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.tag} on {self.gpu}, {self.below} and {self.above}{', WSL' if self.wsl else ''}"

    @property
    def sides(self) -> tuple[Situation, Situation]:
        """Each side as a situation."""

        def side(driver: str, outcome: Outcome) -> Situation:
            return _on(self.tag, driver, self.gpu, outcome, self.source, arch=self.arch, wsl=self.wsl)

        return side(self.below, self.outcome_below), side(self.above, self.outcome_above)


def _between(
    tag: str,
    gpu: str,
    below: str,
    outcome_below: Outcome,
    above: str,
    outcome_above: Outcome,
    source: str,
    *,
    arch: str | None = None,
    wsl: bool = False,
) -> Boundary:
    return Boundary(
        tag=tag,
        gpu=gpu,
        below=below,
        outcome_below=outcome_below,
        above=above,
        outcome_above=outcome_above,
        source=source,
        arch=arch,
        wsl=wsl,
    )


# What differs in the driver alone: none of it counts as a situation of its own.
BOUNDARIES: tuple[Boundary, ...] = (
    # Which GPUs a branch drives
    _between("17.10", "V100", "375.66", NOT_YET_DRIVEN, "384.81", OWN_CODE, TOOLKITS),
    _between("18.08-py3", "RTX 2080", "396.37", NOT_YET_DRIVEN, "410.48", CUDA_TOO_OLD_FOR_GPU, TOOLKITS),
    _between("20.12-tf1-py3", "A100", "440.118.02", NOT_YET_DRIVEN, "450.51.06", LISTED_BRANCH, TOOLKITS),
    _between("22.12-tf1-py3", "RTX 4090", "515.105.01", NOT_YET_DRIVEN, "520.56.06", CODE_OF_LOWER_MINOR, OPEN_MODULES),
    _between("22.12-tf1-py3", "H100", "515.105.01", NOT_YET_DRIVEN, "520.61.05", OWN_CODE, OPEN_MODULES),
    _between("25.02-tf2-py3", "RTX 5080", "565.57.01", NOT_YET_DRIVEN, "570.124.06", OWN_CODE, TOOLKITS),
    _between(
        "25.02-tf2-py3",
        "GB10",
        "575.57.08",
        NOT_YET_DRIVEN,
        "580.95.05",
        CUDA_TOO_OLD_FOR_GPU,
        TOOLKITS,
        arch="aarch64",
    ),
    _between("17.10", "Tesla K40", "470.256.02", OWN_CODE, "495.44", NO_LONGER_DRIVEN, LAST_BRANCH),
    _between("22.12-tf1-py3", "GTX 1080", "580.65.06", OWN_CODE, "590.48.01", NO_LONGER_DRIVEN, LAST_BRANCH),
    _between(
        "23.03-tf1-py3", "Tesla V100", "580.95.05", CODE_OF_NEIGHBOURS, "590.44.01", NO_LONGER_DRIVEN, LAST_BRANCH
    ),
    # Branches listed for forward compatibility, older and newer ones not
    _between(
        "19.01-py3", "Tesla P100", "384.183", LISTED_BRANCH, "390.116", NEWER_BRANCH_IS_WORSE, dgx_notes("rel_19.01")
    ),
    _between(
        "23.01-tf2-py3", "Tesla T4", "515.65.01", LISTED_BRANCH, "520.61.05", NEWER_BRANCH_IS_WORSE, notes("rel-23-01")
    ),
    _between("23.12-tf2-py3", "A100", "510.39.01", BELOW_LISTED_NUMBER, "510.47.03", LISTED_BRANCH, notes("rel-23-12")),
    _between(
        "22.12-tf1-py3", "Tesla T4", "450.36.06", BELOW_LISTED_NUMBER, "450.51.05", LISTED_BRANCH, notes("rel-22-12")
    ),
    # The driver of the toolkit: another branch below it, a lower number of the same branch above
    _between(
        "20.12-tf1-py3", "RTX 2080 Ti", "450.102.04", SAME_CUDA_MAJOR, "455.23.05", SAME_BRANCH_AS_TOOLKIT, TOOLKITS
    ),
    _between("18.10-py3", "GTX 1080 Ti", "396.82", NONE_BEFORE_CUDA_11, "410.48", AS_NEW_AS_TOOLKIT, TOOLKITS),
    # Floors of minor-version compatibility
    _between("22.12-tf1-py3", "RTX 2080 Ti", "450.66", BELOW_FLOOR, "450.80.02", SAME_CUDA_MAJOR, FLOORS),
    _between("24.12-tf2-py3", "RTX 3090", "525.53", BELOW_FLOOR, "525.60.13", SAME_CUDA_MAJOR, FLOORS),
    _between("2.17.0-gpu", "RTX 4090", "525.60.11", BELOW_FLOOR, "525.60.13", SAME_CUDA_MAJOR, FLOORS),
    _between("20.12-tf1-py3", "RTX 3090", "456.38", SAME_CUDA_MAJOR, "456.81", AS_NEW_AS_TOOLKIT, TOOLKITS, wsl=True),
    _between("21.10-tf1-py3", "RTX 2070", "452.06", BELOW_FLOOR, "452.39", SAME_CUDA_MAJOR, FLOORS, wsl=True),
    _between(
        "25.02-tf2-py3",
        "RTX 5080",
        "566.36",
        NOT_YET_DRIVEN_ON_WINDOWS,
        "571.96",
        AS_NEW_AS_TOOLKIT,
        TOOLKITS,
        wsl=True,
    ),
    _between("23.06-tf2-py3", "RTX 3080", "527.37", BELOW_FLOOR, "527.41", SAME_CUDA_MAJOR, FLOORS, wsl=True),
    # PTX of CUDA 12.3 on a driver of its own branch, and on an older one
    _between("2.15.0.post1-gpu", "9.0", "535.104.05", PTX_OF_NEWER_CUDA, "545.23.08", COMPILED_AT_FIRST_USE, MINOR),
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
