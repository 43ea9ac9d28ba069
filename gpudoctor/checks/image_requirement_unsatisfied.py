"""Driver and GPU meet what the image demands in NVIDIA_REQUIRE_CUDA.

NVIDIA's images list the drivers that they run on: alternatives separated by blanks, of which one must hold. The
toolkit's hook refuses a container whose list holds nothing true, and names the condition on which the last alternative
failed. So `brand = tesla` does not mean that a Tesla is wanted, nor `driver < 385` that the driver is too new: the
first alternative, `cuda>=X`, tells the CUDA that the driver should know. A container started by CDI is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import image_here, requirement
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.host import HostGpu
from gpudoctor.image import driver_cuda_version
from gpudoctor.image_here import ImageHere
from gpudoctor.readings import Reading, Unread, known
from gpudoctor.requirement import Answer, Arm, Held, Subject
from gpudoctor.versions import CudaVersion, VersionError

MENDED_BY = "upgrade the host's driver, or take an older image; -e NVIDIA_DISABLE_REQUIRE=true skips the question"
DECIDED_BY = "env | grep NVIDIA_REQUIRE; nvidia-smi | grep 'CUDA Version'"
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html#constraints",
    "https://github.com/NVIDIA/nvidia-docker/issues/921",
    "https://github.com/NVIDIA/nvidia-docker/issues/861",
)
SYMPTOMS = (
    # Of cuda>=… the text itself says what is wanted: image-driver-too-old.
    r"unsatisfied condition: (?:brand|driver|arch) ?[<>=!]",
    r"requirement error: invalid expression",
)

CAUSED_BY = (
    *image_here.NO_GPUS_TO_JUDGE,
    "image-driver-too-old",
    "image-driver-branch-not-forward-compatible",
    "image-gpu-too-old",
)

# Lists of NVIDIA's have up to sixty alternatives.
_MOST_ARMS = 8

applies = image_here.applies


def check(case: Case) -> Iterator[Finding]:
    """Every variable, for every kind of GPU; both of NVIDIA's evaluators skip them where the image says so."""
    here = image_here.judged(case)
    demands = requirement.from_environment({one.name: one.value for one in known(case.facts.system.variables)})
    if demands.disabled:
        return
    open_: Reading[object] = None
    for ruling in here.gpus:
        subject = _subject(ruling.gpu, here)
        for item in demands.items:
            answer = requirement.evaluate(item, subject)
            if answer.cli is Held.UNKNOWN:
                facts = (subject.driver_cuda_version, subject.driver, subject.compute_capability, subject.brand)
                open_ = next((fact for fact in facts if isinstance(fact, Unread)), open_)
            elif answer.cli is not Held.YES:
                yield _finding(answer, ruling.gpu, subject.brand, here)
    known(open_)


def _subject(gpu: HostGpu, here: ImageHere) -> Subject:
    brand = gpu.brand
    if not isinstance(brand, Unread):
        brand = brand.lower().replace("_", "").replace(" ", "")  # as NVIDIA's evaluators spell it
    return Subject(
        driver_cuda_version=driver_cuda_version(here.host, here.matrix),
        driver=here.host.driver,
        compute_capability=gpu.compute_capability,
        brand=brand,
    )


def _finding(answer: Answer, gpu: HostGpu, brand: Reading[str], here: ImageHere) -> Finding:
    variable = answer.requirement.variable
    arms = tuple(
        Evidence(source=f"${variable}, arm {arm.number}: {arm.text[:80]}", value=f"{arm.held.value}: {arm.why}"[:200])
        for arm in _worth_showing(answer, brand)
    )
    if answer.cli is Held.REFUSED:
        message = f"{variable} of this image is malformed, so the toolkit's hook refuses the container"
    else:
        message = f"none of the {len(answer.arms)} alternatives of {variable} holds for {gpu.label}"
        if answer.reported:
            message += f"; the hook complains of `{answer.reported}`, where only the last of them failed"
        enough = _enough(answer, here)
        if enough:
            message += f"; {enough} would do"
    return Finding(
        severity=Severity.WARNING,
        message=message,
        evidence=arms or (Evidence(source=f"echo ${variable}", value=answer.requirement.text[:80] or "empty"),),
        fix=Fix(text=MENDED_BY, url=LINKS[0]),
    )


def _worth_showing(answer: Answer, brand: Reading[str]) -> tuple[Arm, ...]:
    """Those that come nearest: the others are of other brands. The last is what the hook complains of."""
    nearest = tuple(
        arm
        for arm, term in zip(answer.arms[:-1], answer.requirement.terms, strict=False)
        if not any(factor.name.lower() == "brand" and factor.literal.lower() != brand for factor in term.factors)
    )
    return (*nearest[: _MOST_ARMS - 1], *answer.arms[-1:])


def _enough(answer: Answer, here: ImageHere) -> str:
    """The least CUDA that an alternative asks for by itself, with the driver that came with it."""
    asked = []
    for term in answer.requirement.terms:
        if len(term.factors) == 1 and term.factors[0].name.lower() == "cuda" and term.factors[0].operator == ">=":
            try:
                asked.append(CudaVersion(term.factors[0].literal))
            except VersionError:
                continue
    if not asked:
        return ""
    least = min(asked)
    came = [
        row.bundled_driver
        for row in here.matrix.cuda
        if (row.version.major, row.version.minor) == (least.major, least.minor)
    ]
    return f"a driver of CUDA {least}" + (f", such as {min(came)}," if came else "")
