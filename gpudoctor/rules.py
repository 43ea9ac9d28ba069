"""The rules that decide whether an image runs on a host, one function each, asked in this order.

1. `platform`: is there an image for this processor.
2. `driver_knows_gpu`: whatever the image, does the driver drive this GPU.
3. `gpu_range`, `gpu_code`: does the image hold code for this GPU.
4. `driver_native`: is the driver as new as the image's CUDA.
5. `forward_compat`: else, may the image bring its own newer libcuda.
6. `minor_version_compat`: else, is the driver of the same CUDA major.

A rule returns a Ruling: a verdict and the reasons. `judge` puts them together: the worse of the GPU's and the
driver's verdict, for the worst GPU. https://docs.nvidia.com/deploy/cuda-compatibility/ (2026-11)
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from gpudoctor.host import NOT_NAMED, Host, HostGpu
from gpudoctor.matrix import CudaRow, ImageRow, Matrix
from gpudoctor.readings import Reading, Unread
from gpudoctor.verdicts import Reason, Ruling, Verdict, worst
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion, Version

_COMPATIBILITY = "https://docs.nvidia.com/deploy/cuda-compatibility/"
_FORWARD = "https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html"
_MINOR = "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
_GUIDE = "https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#binary-compatibility"
_SUPPORT_MATRIX = "https://docs.nvidia.com/deeplearning/frameworks/support-matrix/index.html"
_INVALID_PTX = "https://github.com/tensorflow/tensorflow/issues/101746"
_COMPAT_DROPS_GPU = "https://github.com/NVIDIA/gpu-operator/issues/389"
_WSL_GUIDE = "https://docs.nvidia.com/cuda/wsl-user-guide/index.html"
_CUDA_10_ON_AMPERE = "https://github.com/NVIDIA/DeepLearningExamples/issues/803"

# The compat package is there from CUDA 10.0 on. Source: _FORWARD (2026-11)
_FIRST_CUDA_WITH_COMPAT = CudaVersion("10.0")

# Source: _MINOR (2026-11)
_FIRST_CUDA_MAJOR_WITH_MINOR_COMPAT = 11

_FIRST_BLACKWELL_RELEASE = (25, 1)


class GpuRuling(NamedTuple):
    """What becomes of one GPU."""

    gpu: HostGpu
    verdict: Verdict
    reasons: tuple[Reason, ...]


class ImageRuling(NamedTuple):
    """What becomes of one image on one host."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    """What holds for the host as a whole."""
    gpus: tuple[GpuRuling, ...]


def judge(image: ImageRow, host: Host, matrix: Matrix, *, cpu_only: bool = False) -> ImageRuling:
    """Ask every rule. Total: any image, host and matrix has a verdict and at least one reason."""
    ruling = platform(image, host, matrix)
    if image.broken is not None and not cpu_only:
        shipped = Ruling.of(Verdict.WILL_NOT_RUN, "as_shipped", image.broken, matrix.link(image.provenance))
        return ImageRuling(verdict=shipped.verdict, reasons=(*ruling.reasons, *shipped.reasons), gpus=())
    if cpu_only:
        cpu = Ruling.of(Verdict.RUNS, "cpu_only", "no GPU was asked for, so no driver is needed", "--gpus none")
        return ImageRuling(verdict=ruling.verdict, reasons=(*ruling.reasons, *cpu.reasons), gpus=())
    if isinstance(host.gpus, Unread) or not host.gpus:
        if isinstance(host.gpus, Unread):
            detail = f"the GPUs of this host could not be listed: {host.gpus.detail}"
            none = Ruling.of(Verdict.UNKNOWN, "gpu_range", detail, host.gpus.source)
        else:
            none = Ruling.of(Verdict.WILL_NOT_RUN, "gpu_range", "the host has no NVIDIA GPU", "nvidia-smi -L")
        return ImageRuling(
            verdict=worst(ruling.verdict, none.verdict), reasons=(*ruling.reasons, *none.reasons), gpus=()
        )
    rulings: dict[tuple[object, ...], GpuRuling] = {}  # equal GPUs have one fate: eight of them are judged once
    gpus: list[GpuRuling] = []
    for gpu in host.gpus:
        kind = gpu_kind(gpu)
        if kind not in rulings:
            rulings[kind] = judge_gpu(image, gpu, host, matrix)
        like = rulings[kind]
        gpus.append(GpuRuling(gpu=gpu, verdict=like.verdict, reasons=like.reasons))
    verdict = worst(ruling.verdict, *(like.verdict for like in rulings.values()))
    return ImageRuling(verdict=verdict, reasons=ruling.reasons, gpus=tuple(gpus))


def gpu_kind(gpu: HostGpu) -> tuple[object, ...]:
    """All of a GPU that the rules look at, and its name, which the reasons hold."""
    capability, first_branch = _as_shown(gpu.compute_capability), str(gpu.product_first_branch)
    return (gpu.label, capability, gpu.data_center, first_branch, gpu.listed_by_driver, gpu.bare_capability)


def host_kind(host: Host) -> tuple[object, ...]:
    """All of a host that the rules look at: hosts of one kind have one answer, save for the names of their GPUs."""
    gpus = host.gpus if isinstance(host.gpus, Unread) else tuple(dict.fromkeys(gpu_kind(gpu) for gpu in host.gpus))
    driver, driver_cuda = _as_shown(host.driver), _as_shown(host.driver_cuda_version)
    return (host.architecture, host.wsl, host.jetson, driver, driver_cuda, gpus)


def _as_shown(reading: Reading[Version]) -> object:
    """455.45.01 and 455.45.1 are equal, but the reasons say which of them it was."""
    return reading if isinstance(reading, Unread) else reading.text


def judge_gpu(image: ImageRow, gpu: HostGpu, host: Host, matrix: Matrix) -> GpuRuling:
    """Rules 2 to 6 for one GPU."""
    rulings = [driver_knows_gpu(gpu, host, matrix), gpu_range(image, gpu, matrix)]
    needs_jit = False
    # Where the range is unknown the code is asked all the same: without any, no range would help.
    if rulings[-1].verdict is not Verdict.WILL_NOT_RUN and not isinstance(gpu.compute_capability, Unread):
        rulings.append(gpu_code(image, gpu, matrix))
        needs_jit = rulings[-1].verdict is Verdict.RUNS_WITH_PTX_JIT or has_kernels_as_ptx_alone(image, gpu)
    rulings.append(driver_route(image, gpu, host, matrix, needs_jit=needs_jit))
    return GpuRuling(
        gpu=gpu,
        verdict=worst(*(ruling.verdict for ruling in rulings)),
        reasons=tuple(reason for ruling in rulings for reason in ruling.reasons),
    )


def platform(image: ImageRow, host: Host, matrix: Matrix) -> Ruling:
    """Rule 1: the tag must exist for the processor; Jetson and server images do not mix."""
    source = matrix.link(image.provenance)

    def ruling(verdict: Verdict, detail: str) -> Ruling:
        return Ruling.of(verdict, "platform", detail, source)

    if image.igpu and not host.jetson:
        return ruling(Verdict.WILL_NOT_RUN, "an -igpu image is for Jetson's integrated GPU only")
    if host.jetson and not image.igpu:
        return ruling(Verdict.WILL_NOT_RUN, "a Jetson needs an -igpu image; this one is for servers and desktops")
    if host.architecture == "x86_64":
        return Ruling(verdict=Verdict.RUNS)
    if host.architecture != "aarch64":
        return ruling(Verdict.WILL_NOT_RUN, f"there is no image for {host.architecture} processors")
    if image.arm64 == "no":
        return ruling(Verdict.WILL_NOT_RUN, "the tag holds no image for aarch64")
    if image.arm64 == "unknown":
        return ruling(Verdict.UNKNOWN, "whether the tag holds an image for aarch64 is not known")
    return Ruling(verdict=Verdict.RUNS)


def driver_knows_gpu(gpu: HostGpu, host: Host, matrix: Matrix) -> Ruling:
    """Rule 2: each driver branch drives some generations only; no image changes that."""
    capability = gpu.compute_capability
    if isinstance(capability, Unread):
        return Ruling(verdict=Verdict.RUNS)
    if host.wsl:
        return _windows_knows_gpu(gpu, capability, host, matrix)
    row = matrix.generation(capability)
    if row is None or gpu.listed_by_driver or isinstance(host.driver, Unread):
        return Ruling(verdict=Verdict.RUNS)
    source = matrix.link(row.provenance)
    first = gpu.product_first_branch or row.first_branch
    if first is not None and host.driver < first:
        detail = f"driver {host.driver} does not know {gpu.label}: {row.architecture} needs branch {first} or newer"
    elif row.last_branch is not None and host.driver.branch > row.last_branch.branch:
        detail = (
            f"driver {host.driver} no longer drives {gpu.label}: branch {row.last_branch} was the last"
            f" for {row.architecture}"
        )
    else:
        return Ruling(verdict=Verdict.RUNS)
    return Ruling.of(Verdict.WILL_NOT_RUN, "driver_knows_gpu", detail, source)


def _windows_knows_gpu(gpu: HostGpu, capability: ComputeCapability, host: Host, matrix: Matrix) -> Ruling:
    """Rule 2 on WSL, where the driver is that of Windows: by the toolkits that came with one, the matrix has no other.

    A generation begins with the driver of its first toolkit, and ends before the branch of the first toolkit after its
    last branch: 591.44 of Windows is as much of branch 590 as 590.44 of Linux.
    """
    row = matrix.generation(capability)
    if row is not None and not gpu.listed_by_driver and not isinstance(host.driver, Unread):
        first, after = _windows_drivers(matrix, capability)
        began = None if first is None else first.bundled_driver_windows
        if first is not None and began is not None and host.driver < began:
            detail = f"driver {host.driver} of Windows does not know {gpu.label}: {row.architecture} came with {began}"
            return Ruling.of(Verdict.WILL_NOT_RUN, "driver_knows_gpu", detail, matrix.link(first.provenance))
        if row.last_branch is not None and after is not None and host.driver.branch >= after:
            detail = (
                f"driver {host.driver} of Windows no longer drives {gpu.label}: branch {row.last_branch} was the last"
                f" for {row.architecture}"
            )
            return Ruling.of(Verdict.WILL_NOT_RUN, "driver_knows_gpu", detail, matrix.link(row.provenance))
    if capability < _6_0:
        detail = f"NVIDIA supports WSL from Pascal (6.0) on; {gpu.label} ({capability}) may still work"
        return Ruling.of(Verdict.RUNS_UNSUPPORTED, "driver_knows_gpu", detail, _WSL_GUIDE)
    return Ruling(verdict=Verdict.RUNS)


@lru_cache(maxsize=64)
def _windows_drivers(matrix: Matrix, capability: ComputeCapability) -> tuple[CudaRow | None, int | None]:
    """The toolkit that brought the first driver of Windows for a generation, and the first branch after its last."""
    row = matrix.generation(capability)
    if row is None:
        return None, None
    # No driver from before CUDA 11 does WSL at all, so what came earlier has no beginning here.
    began = row.first_cuda if row.first_cuda is not None and row.first_cuda.major >= 11 else None
    first: dict[DriverVersion, CudaRow] = {}
    after: list[int] = []
    for toolkit in matrix.cuda:
        windows = toolkit.bundled_driver_windows
        if windows is not None and began is not None and toolkit.version >= began:
            first[windows] = toolkit
        if row.last_branch is not None and toolkit.bundled_driver.branch > row.last_branch.branch:
            # From 13.1 on no toolkit brings a driver of Windows; no driver of a branch has a lower number than it.
            after.append(toolkit.bundled_driver.branch if windows is None else windows.branch)
    return (first[min(first)] if first else None), min(after, default=None)


def gpu_range(image: ImageRow, gpu: HostGpu, matrix: Matrix) -> Ruling:
    """Rule 3, first part: the lowest compute capability that the image is documented for."""
    capability = gpu.compute_capability
    if isinstance(capability, Unread):
        detail = f"the compute capability of {gpu.label} could not be read: {capability.detail}"
        return Ruling.of(Verdict.UNKNOWN, "gpu_range", detail, capability.source)
    floor = _floor(image)
    built = _built_for(image, matrix)
    if floor is None:
        # The range of 17.x is its build list; of a derived one only what stands on it is sure.
        if built is not None and capability >= min(built.capabilities):
            return Ruling(verdict=Verdict.RUNS)
        detail = f"the lowest compute capability of {image.called} is not known"
        return Ruling.of(Verdict.UNKNOWN, "gpu_range", detail, matrix.link(image.provenance))
    if capability >= floor.capability:
        return Ruling(verdict=Verdict.RUNS)
    detail = (
        f"{gpu.label} has compute capability {capability}, and the image is documented for {floor.capability}"
        f" and newer{floor.label}"
    )
    if built is not None and capability in built.capabilities:
        detail += f"; its build list names {capability} all the same{built.label}"
        verdict = Verdict.RUNS_UNSUPPORTED
    else:
        verdict = Verdict.WILL_NOT_RUN
    return Ruling.of(verdict, "gpu_range", detail, matrix.link(image.provenance))


class _Floor(NamedTuple):
    capability: ComputeCapability
    label: str


_5_2 = ComputeCapability("5.2")
_6_0 = ComputeCapability("6.0")
_7_5 = ComputeCapability("7.5")


def _floor(image: ImageRow) -> _Floor | None:
    """The row's own cell, else what all images of its time have (release notes of those months)."""
    if image.min_capability is not None:
        return _Floor(capability=image.min_capability, label="")
    release = image.release_key
    if release < (18, 1):
        return None if not image.built_for else _Floor(capability=min(image.built_for), label=" (from its build list)")
    if release < (18, 12):
        return _Floor(capability=_5_2, label=" (derived from the images of its year, low confidence)")
    if release < _FIRST_BLACKWELL_RELEASE:
        return _Floor(capability=_6_0, label=" (derived: 18.12 to 24.12 all say so)")
    return _Floor(capability=_7_5, label=" (derived: 25.x say so)")


class _Built(NamedTuple):
    capabilities: tuple[ComputeCapability, ...]
    label: str


def _built_for(image: ImageRow, matrix: Matrix) -> _Built | None:
    """The image's build list: its own, else what the nearest known lists before and after it let one derive."""
    if image.built_for:
        return _Built(capabilities=image.built_for, label="")
    if image.cuda is None or image.igpu:
        return None
    return _derived_lists(matrix).get(image.release)


@lru_cache(maxsize=8)
def _derived_lists(matrix: Matrix) -> dict[str, _Built]:
    """By release: the lists of images that state none.

    A capability is on it when both neighbours in time list it; or only the later one, and the image's CUDA
    already makes code for it; or only the earlier one, and the image is documented down to it.
    """
    ordered = sorted((row for row in matrix.images if not row.igpu), key=lambda row: row.release_key)
    derived: dict[str, _Built] = {}
    for index, image in enumerate(ordered):
        if image.built_for or image.cuda is None:
            continue
        older = next((row for row in reversed(ordered[:index]) if row.built_for), None)
        newer = next((row for row in ordered[index + 1 :] if row.built_for), None)
        if older is None or newer is None or not older.built_for or not newer.built_for:
            continue
        floor = _floor(image)
        capabilities = {one for one in older.built_for if one in newer.built_for}
        capabilities |= {one for one in newer.built_for if _cuda_knows(one, image.cuda, matrix)}
        capabilities |= {one for one in older.built_for if floor is not None and one >= floor.capability}
        if capabilities:
            label = f" (derived from the build lists of {older.release} and {newer.release})"
            derived[image.release] = _Built(capabilities=tuple(sorted(capabilities)), label=label)
    return derived


def gpu_code(image: ImageRow, gpu: HostGpu, matrix: Matrix) -> Ruling:
    """Rule 3, second part: native code runs on its own major from its minor upwards; else PTX, where that works."""
    capability = gpu.compute_capability
    assert not isinstance(capability, Unread)  # gpu_range answered unknown before
    link = matrix.link(image.provenance)

    def ruling(verdict: Verdict, detail: str, source: str = link) -> Ruling:
        return Ruling.of(verdict, "gpu_code", detail, source)

    built = _built_for(image, matrix)
    if built is None and image.cuda is None:
        return ruling(Verdict.UNKNOWN, f"which GPUs {image.called} holds code for is not known")
    holds = _native(capability, image, built, matrix)
    label = "" if built is None else built.label
    knows = holds == capability or image.cuda is None or _cuda_knows(capability, image.cuda, matrix)
    if holds is not None and not knows:
        detail = f"CUDA {image.cuda} does not know {gpu.label} ({capability}) yet; it runs the code for {holds}{label}"
        return ruling(Verdict.RUNS_UNSUPPORTED, detail, _GUIDE)
    if holds is not None:
        return ruling(Verdict.RUNS, f"native code for {holds} runs on {capability}{label}", _GUIDE)
    if capability.major >= 10 and image.release_key < _FIRST_BLACKWELL_RELEASE:
        detail = (
            f"no code for {gpu.label} ({capability}): Blackwell needs 25.01 or newer, older images end in"
            " CUDA_ERROR_INVALID_PTX"
        )
        return ruling(Verdict.WILL_NOT_RUN, detail, _INVALID_PTX)
    if image.cuda is not None and image.cuda.major <= 10 and capability.major >= 8:
        detail = (
            f"no code for {gpu.label} ({capability}): on CUDA {image.cuda} it hangs or fails with"
            " CUBLAS_STATUS_EXECUTION_FAILED"
        )
        return ruling(Verdict.WILL_NOT_RUN, detail, _CUDA_10_ON_AMPERE)
    ptx = _ptx(image, built, matrix)
    if ptx is None or (built is None and _may_be_native(capability, matrix)):
        return ruling(Verdict.UNKNOWN, f"whether {image.called} holds code for {capability} is not known")
    if ptx and min(ptx) <= capability:
        compiled = max(one for one in ptx if one <= capability)
        detail = (
            f"no native code for {gpu.label} ({capability}): the driver compiles PTX of {compiled} at first use,"
            " which takes minutes, and cuDNN, cuBLAS and NCCL may still fail"
        )
        return ruling(Verdict.RUNS_WITH_PTX_JIT, detail, _GUIDE)
    return ruling(
        Verdict.WILL_NOT_RUN, f"neither native code nor PTX that {gpu.label} ({capability}) could use", _GUIDE
    )


# In TensorFlow's own wheels the generated element-wise kernels are PTX alone for the newest capability they are built
# for. What version that PTX has decides which driver takes it: 7.1 in 2.15 and 8.0 in 2.16 are as old as the floors of
# minor-version compatibility; 8.3 in 2.17 is that of CUDA 12.3 itself. Read in the wheels of 2.15.0.post1, 2.16.2 and
# 2.17.0, libtensorflow_cc.so.2 (2026-11)
_FIRST_UPSTREAM_WITH_PTX_OF_ITS_CUDA = (2, 17)


def has_kernels_as_ptx_alone(image: ImageRow, gpu: HostGpu) -> bool:
    """Whether some kernels for this GPU are PTX that only drivers as new as the image's CUDA take."""
    capability = gpu.compute_capability
    if not image.upstream or not image.built_for or isinstance(capability, Unread):
        return False
    newest = max(image.built_for)
    runs_newest = newest <= capability and newest.major == capability.major
    return runs_newest and image.release_key >= _FIRST_UPSTREAM_WITH_PTX_OF_ITS_CUDA


def _native(
    capability: ComputeCapability, image: ImageRow, built: _Built | None, matrix: Matrix
) -> ComputeCapability | None:
    """The newest native code inside the image that runs on this capability."""
    if built is not None:
        candidates = built.capabilities
    else:
        assert image.cuda is not None
        # Without a build list: what this CUDA makes native code for, as every image with a known list has it.
        candidates = tuple(
            row.compute_capability
            for row in matrix.generations
            if row.first_cuda is not None and row.first_cuda <= image.cuda
        )
    fitting = [one for one in candidates if one.major == capability.major and one <= capability]
    return max(fitting, default=None)


def _may_be_native(capability: ComputeCapability, matrix: Matrix) -> bool:
    """Whether a generation that this capability runs the code of has no known first CUDA."""
    return any(
        row.first_cuda is None
        for row in matrix.generations
        if row.compute_capability.major == capability.major and row.compute_capability <= capability
    )


def _cuda_knows(capability: ComputeCapability, cuda: CudaVersion, matrix: Matrix) -> bool:
    """Whether this CUDA makes code for it; a capability that the table does not hold came after the table."""
    row = matrix.generation(capability)
    return row is not None and row.first_cuda is not None and row.first_cuda <= cuda


def _ptx(image: ImageRow, built: _Built | None, matrix: Matrix) -> tuple[ComputeCapability, ...] | None:
    """The PTX inside, empty where there is none, None where nobody knows."""
    if image.ptx is not None:
        return image.ptx
    if built is not None:
        return (max(built.capabilities),)  # builds add PTX for the newest entry of their list
    toolkit = None if image.cuda is None else matrix.cuda_row(image.cuda)
    if toolkit is None or toolkit.max_native_capability is None:
        return None
    return (toolkit.max_native_capability,)


def driver_route(image: ImageRow, gpu: HostGpu, host: Host, matrix: Matrix, *, needs_jit: bool = False) -> Ruling:
    """Rules 4, 5 and 6 in turn: the first that lets the driver run the image, with what the earlier ones said."""
    if isinstance(host.driver, Unread):
        detail = f"the driver version could not be read: {host.driver.detail}"
        return Ruling.of(Verdict.UNKNOWN, "driver_native", detail, host.driver.source)
    if host.jetson:
        detail = "a Jetson's driver comes with JetPack, which no row of the matrix is judged by yet"
        return Ruling.of(Verdict.UNKNOWN, "driver_native", detail, _COMPATIBILITY)
    reasons: list[Reason] = []
    fallback = Verdict.WILL_NOT_RUN
    for ruling in (
        driver_native(image, host, matrix),
        forward_compat(image, gpu, host, matrix),
        minor_version_compat(image, host, matrix, needs_jit=needs_jit),
    ):
        reasons.extend(ruling.reasons)
        if ruling.verdict.runs:
            return Ruling(verdict=ruling.verdict, reasons=tuple(reasons))
        if ruling.verdict is Verdict.UNKNOWN:
            fallback = Verdict.UNKNOWN
    return Ruling(verdict=fallback, reasons=tuple(reasons))


def bundled_driver(image: ImageRow, matrix: Matrix, *, windows: bool = False) -> DriverVersion | None:
    """The driver that the image's CUDA toolkit ships with; None where the CUDA is unknown."""
    if image.bundled_driver is not None and not windows:
        return image.bundled_driver
    row = None if image.cuda is None else matrix.cuda_row(image.cuda)
    if row is None:
        return None
    return row.bundled_driver_windows if windows else row.bundled_driver


def driver_native(image: ImageRow, host: Host, matrix: Matrix) -> Ruling:
    """Rule 4: a driver of the toolkit's branch, or of a newer one, runs it as it is."""
    assert not isinstance(host.driver, Unread)
    if _by_cuda_version(host) and image.cuda is not None:
        return _native_by_cuda(image.cuda, host.driver_cuda_version)
    bundled = bundled_driver(image, matrix, windows=host.wsl)
    source = matrix.link(image.provenance)
    if bundled is None:
        detail = f"which driver {image.called} was built for is not known" + (
            "" if image.cuda is not None else ": its CUDA version is not known"
        )
        return Ruling.of(Verdict.UNKNOWN, "driver_native", detail, source)
    cuda = f"CUDA {image.cuda}" if image.cuda is not None else "its CUDA"
    stated = image.min_driver_stated
    note = ""
    if stated is not None and stated.branch != bundled.branch and not host.wsl:
        note = f"; the release notes say {stated}, the toolkit's own number decides"
    # Windows numbers are no branches in this sense: 456.38 and 456.81 belong to different toolkits.
    enough = host.driver >= bundled if host.wsl else host.driver.branch >= bundled.branch
    if not enough:
        detail = f"{cuda} came with driver {bundled}; {host.driver} is older{note}"
        return Ruling.of(Verdict.WILL_NOT_RUN, "driver_native", detail, source)
    if host.driver < bundled:
        detail = (
            f"driver {host.driver} is of the same branch as {bundled} of {cuda}, so it has the same CUDA version{note}"
        )
    else:
        detail = f"driver {host.driver} is as new as {cuda}, which came with {bundled}{note}"
    return Ruling.of(Verdict.RUNS, "driver_native", detail, source)


def _by_cuda_version(host: Host) -> bool:
    """On WSL, NVML names the driver of Windows; its CUDA version says what it runs, if it can be asked."""
    return host.wsl and host.driver_cuda_version != NOT_NAMED


def _native_by_cuda(image_cuda: CudaVersion, driver_cuda: Reading[CudaVersion]) -> Ruling:
    if isinstance(driver_cuda, Unread):
        detail = f"which CUDA the driver of Windows runs could not be read: {driver_cuda.detail}"
        return Ruling.of(Verdict.UNKNOWN, "driver_native", detail, driver_cuda.source)
    enough = (driver_cuda.major, driver_cuda.minor) >= (image_cuda.major, image_cuda.minor)
    detail = f"the driver of Windows runs CUDA up to {driver_cuda}; the image holds {image_cuda}"
    verdict = Verdict.RUNS if enough else Verdict.WILL_NOT_RUN
    return Ruling.of(verdict, "driver_native", detail, "NVML: nvmlSystemGetCudaDriverVersion_v2")


def forward_compat(image: ImageRow, gpu: HostGpu, host: Host, matrix: Matrix) -> Ruling:
    """Rule 5: the image's own newer libcuda, on data-centre GPUs and listed driver branches."""
    assert not isinstance(host.driver, Unread)

    def ruling(verdict: Verdict, detail: str, source: str = _FORWARD) -> Ruling:
        return Ruling.of(verdict, "forward_compat", detail, source)

    if host.wsl:
        return ruling(Verdict.WILL_NOT_RUN, "forward compatibility does not work on WSL")
    listed = _listed(image, host.driver, matrix)
    if isinstance(gpu.data_center, Unread) and listed.verdict is not Verdict.WILL_NOT_RUN:
        return ruling(Verdict.UNKNOWN, f"whether {gpu.label} is a data-centre GPU is not known", gpu.data_center.source)
    if gpu.data_center == "no":
        would = (
            "; a data-centre GPU of this capability could use it" if gpu.bare_capability and listed.verdict.runs else ""
        )
        detail = f"forward compatibility is for data-centre GPUs; on {gpu.label} it ends in CUDA error 804{would}"
        return ruling(Verdict.WILL_NOT_RUN, detail)
    if listed.verdict is not Verdict.WILL_NOT_RUN and not isinstance(gpu.compute_capability, Unread):
        row, bundled = matrix.generation(gpu.compute_capability), bundled_driver(image, matrix)
        last = None if row is None else row.last_branch
        if last is not None and bundled is not None and bundled.branch > last.branch:
            # A Tesla K80 on 470 stops working once libcuda of 510 is used.
            # https://github.com/NVIDIA/gpu-operator/issues/389 (2026-11)
            detail = (
                f"the image's libcuda is of branch {bundled.branch}, and {last} was the last that drives {gpu.label}"
            )
            return ruling(Verdict.WILL_NOT_RUN, detail, _COMPAT_DROPS_GPU)
    return ruling(listed.verdict, listed.detail, listed.source)


class _Listed(NamedTuple):
    verdict: Verdict
    detail: str
    source: str


def _listed(image: ImageRow, driver: DriverVersion, matrix: Matrix) -> _Listed:
    """Whether the image's compat libraries take this driver: its own list, else that of its CUDA."""
    if image.forward_compat is not None:
        source = matrix.link(image.provenance)
        floors = [floor for floor in image.forward_compat if floor.branch == driver.branch]
        if any(driver >= floor for floor in floors):
            detail = (
                f"driver {driver} is on the image's list for forward compatibility ({_listing(image.forward_compat)})"
            )
            return _Listed(verdict=Verdict.RUNS_WITH_FORWARD_COMPAT, detail=detail, source=source)
        if floors:
            detail = (
                f"branch {driver.branch} is listed for forward compatibility from {floors[0]} on, and {driver} is older"
            )
        elif not image.forward_compat:
            detail = "the release notes list no driver for forward compatibility"
        else:
            newer = any(floor.branch < driver.branch for floor in image.forward_compat)
            detail = (
                f"branch {driver.branch} is not on the image's list for forward compatibility"
                f" ({_listing(image.forward_compat)})"
            ) + (", and a newer branch is not a better one here" if newer else "")
        return _Listed(verdict=Verdict.WILL_NOT_RUN, detail=detail, source=source)
    if image.cuda is not None and image.cuda < _FIRST_CUDA_WITH_COMPAT:
        detail = f"CUDA {image.cuda} has no forward compatibility; it begins with {_FIRST_CUDA_WITH_COMPAT}"
        return _Listed(verdict=Verdict.WILL_NOT_RUN, detail=detail, source=_FORWARD)
    row = None if image.cuda is None else matrix.forward_row(image.cuda)
    if row is None:
        detail = f"the drivers that {image.called} lists for forward compatibility are not known"
        return _Listed(verdict=Verdict.UNKNOWN, detail=detail, source=matrix.link(image.provenance))
    source = matrix.link(row.provenance)
    taken = next((branch for branch in row.branches if branch.branch == driver.branch), None)
    if taken is not None:
        floor = max(taken, _highest_floors(matrix).get(driver.branch, taken))
        if driver < floor:
            detail = (
                f"the compat package of CUDA {row.cuda} takes branch {driver.branch}, but other images take it from"
                f" {floor} on, and from where {image.called} does is not known"
            )
            return _Listed(verdict=Verdict.UNKNOWN, detail=detail, source=source)
        detail = (
            f"the compat package of CUDA {row.cuda} takes branch {driver.branch} (derived: the image's own list is"
            " not known)"
        )
        return _Listed(verdict=Verdict.RUNS_WITH_FORWARD_COMPAT, detail=detail, source=source)
    if any(branch.branch == driver.branch for branch in row.refused):
        detail = f"the compat package of CUDA {row.cuda} does not take branch {driver.branch} (derived)"
        return _Listed(verdict=Verdict.WILL_NOT_RUN, detail=detail, source=source)
    disputed = any(branch.branch == driver.branch for branch in row.disputed)
    answer = "the sources contradict each other" if disputed else "not known"
    detail = f"whether the compat package of CUDA {row.cuda} takes branch {driver.branch}: {answer}"
    return _Listed(verdict=Verdict.UNKNOWN, detail=detail, source=source)


@lru_cache(maxsize=8)
def _highest_floors(matrix: Matrix) -> dict[int, DriverVersion]:
    """By branch: the highest number from which any image's own list takes it; a table by CUDA names branches alone."""
    floors: dict[int, DriverVersion] = {}
    for image in matrix.images:
        for floor in image.forward_compat or ():
            floors[floor.branch] = max(floor, floors.get(floor.branch, floor))
    return floors


def _listing(floors: tuple[DriverVersion, ...]) -> str:
    return ", ".join(f"{floor}+" for floor in floors)


def minor_version_compat(image: ImageRow, host: Host, matrix: Matrix, *, needs_jit: bool) -> Ruling:
    """Rule 6: from CUDA 11 on, a driver of the same CUDA major runs native code of any minor."""
    assert not isinstance(host.driver, Unread)

    def ruling(verdict: Verdict, detail: str, source: str = _MINOR) -> Ruling:
        return Ruling.of(verdict, "minor_version_compat", detail, source)

    if image.cuda is None:
        detail = f"the CUDA version of {image.called} is not known"
        return ruling(Verdict.UNKNOWN, detail, matrix.link(image.provenance))
    row = matrix.minor_version_row(image.cuda.major)
    if row is None and image.cuda.major < _FIRST_CUDA_MAJOR_WITH_MINOR_COMPAT:
        detail = f"CUDA {image.cuda.major} has no minor-version compatibility; it begins with 11"
        return ruling(Verdict.WILL_NOT_RUN, detail)
    if row is None:
        detail = f"from which driver on CUDA {image.cuda.major}.x runs on older drivers than its own is not known"
        return ruling(Verdict.UNKNOWN, detail)
    if _by_cuda_version(host):
        if isinstance(host.driver_cuda_version, Unread):
            detail = "which CUDA the driver of Windows runs could not be read"
            return ruling(Verdict.UNKNOWN, detail, host.driver_cuda_version.source)
        enough = host.driver_cuda_version.major == image.cuda.major
        against = f"the driver of Windows runs CUDA {host.driver_cuda_version}"
    else:
        floor = row.min_driver_windows if host.wsl else row.min_driver
        if floor is None:
            detail = f"the Windows floor of CUDA {image.cuda.major}.x is not known"
            return ruling(Verdict.UNKNOWN, detail, matrix.link(row.provenance))
        enough = host.driver >= floor
        against = f"driver {host.driver} against {floor}, the floor of CUDA {image.cuda.major}.x"
    if not enough:
        return ruling(Verdict.WILL_NOT_RUN, f"too old for minor-version compatibility: {against}")
    if needs_jit:
        detail = (
            f"minor-version compatibility needs native code: {against} would do, but this driver refuses PTX of"
            f" CUDA {image.cuda} (error 222)"
        )
        return ruling(Verdict.WILL_NOT_RUN, detail)
    return ruling(Verdict.RUNS_WITH_MINOR_VERSION_COMPAT, f"same CUDA major: {against}")
