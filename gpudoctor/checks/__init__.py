"""The checks: one file each, found by looking, run apart from each other.

A check's file is named like its id with underscores. Its docstring is what `explain` prints: the first line is the
title, the rest the cause, for somebody who meets it for the first time. It holds

    check(case) -> Iterator[Finding]           asked once, or
    check_gpu(case, gpu) -> Iterator[Finding]  asked once for every GPU; does not apply to one that does not offer
                                               a reading it needs, or
                                               neither, where no host can show it and only a log can

    MENDED_BY = "install …"     what mends it, imperative; the text of its findings' fix
    DECIDED_BY = "docker info"  the command whose output shows whether this is the cause
    LINKS = ("https://…",)      where to read more
    SYMPTOMS = (r"…",)          what logs say of it: regular expressions, found in a line, case ignored; few words
                                that no other fault has, or that it shares with its look-alikes

and may hold

    applies(case) -> bool       whether the question makes sense on this host; default yes
    CAUSED_BY = ("other-id",)   checks whose error, where they found one, is the root of this one's findings, and
                                whose finding explains why this one could not be answered
    decides(case) -> bool       unknown leaves the whole host unjudged, exit 3; default no
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType

from gpudoctor.facts import Facts, GpuFacts, KernelEvent, PciGpu
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from gpudoctor.health_policy import HealthPolicy
from gpudoctor.matrix import Matrix
from gpudoctor.readings import Unread, UnreadError, Why, known
from gpudoctor.versions import DriverVersion

# Kernel drivers that hold a device so that a virtual machine may have it.
# https://docs.kernel.org/driver-api/vfio.html (2026-11)
KEPT_FOR_VIRTUAL_MACHINES = ("vfio-pci", "pci-stub")

# The order in which a machine is built up, and read.
AREAS = ("gpu", "driver", "cuda", "container", "image", "slurm", "k8s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a check may look at."""

    facts: Facts
    matrix: Matrix
    policy: HealthPolicy
    """From where on a GPU's health is a finding, and how grave."""
    engine_asked: bool
    """Containers were asked for: an engine that is missing is then an error, else worth a line."""

    @property
    def container(self) -> str:
        """The engine that this process runs inside, "" outside any.

        Raises UnreadError where that is not known; so do the other questions.
        """
        return known(self.facts.system.container)

    @property
    def module_version(self) -> DriverVersion | None:
        """Version of the loaded kernel module, None where none is loaded."""
        version = self.facts.driver.kernel_module_version
        if isinstance(version, Unread) and version.why is Why.ABSENT:
            return None
        return known(version)

    @property
    def gpus_of_this_host(self) -> tuple[PciGpu, ...]:
        """GPUs on the bus that a driver of this machine may have; the others are kept for virtual machines."""
        return tuple(gpu for gpu in known(self.facts.pci_gpus) if known(gpu.driver) not in KEPT_FOR_VIRTUAL_MACHINES)

    def variable(self, name: str) -> str | None:
        """A variable of the environment, None where it is not set."""
        return next((one.value for one in known(self.facts.system.variables) if one.name == name), None)

    def events(self, *kinds: str) -> tuple[KernelEvent, ...]:
        """Lines of the kernel's log of these kinds, oldest first."""
        return tuple(event for event in known(self.facts.kernel_log) if event.kind in kinds)

    @property
    def unlisted_gpus(self) -> tuple[PciGpu, ...]:
        """GPUs that NVIDIA's driver should drive and does not; one that another driver holds is no fault of its."""
        free = tuple(gpu for gpu in self.gpus_of_this_host if gpu.driver in ("", "nvidia"))
        if isinstance(self.facts.driver.version, Unread) and self.module_version is None:
            return free  # nobody is there to list them
        listed = known(self.facts.gpus)
        if len(listed) >= len(free):
            return ()
        seen = {known(gpu.pci_address) for gpu in listed}
        return tuple(gpu for gpu in free if gpu.address not in seen)

    @property
    def listed_gpus(self) -> tuple[GpuFacts, ...]:
        """What NVML lists; none where it could not be asked."""
        return () if isinstance(self.facts.gpus, Unread) else self.facts.gpus

    @property
    def listed_in_words(self) -> str:
        """1 GPU, 8 GPUs: of what nvidia-smi -L prints a line each."""
        count = len(self.listed_gpus)
        return f"{count} GPU{'s' * (count != 1)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check's file and its public id."""

    id: str
    module: ModuleType

    @property
    def area(self) -> str:
        """First word of the id."""
        return self.id.partition("-")[0]

    @property
    def title(self) -> str:
        """First line of the docstring, without its full stop."""
        return (self.module.__doc__ or self.id).strip().partition("\n")[0].rstrip(".")

    @property
    def cause(self) -> str:
        """The docstring below its first line."""
        return (self.module.__doc__ or "").strip().partition("\n")[2].strip()

    @property
    def judges(self) -> bool:
        """Whether facts can answer it; else only a log tells of it."""
        return hasattr(self.module, "check") or hasattr(self.module, "check_gpu")

    @property
    def mended_by(self) -> str:
        """What mends it, one imperative."""
        return str(self.module.MENDED_BY)

    @property
    def decided_by(self) -> str:
        """The command that shows whether it holds."""
        return str(self.module.DECIDED_BY)

    @property
    def links(self) -> tuple[str, ...]:
        """Where to read more."""
        return tuple(self.module.LINKS)

    @property
    def symptoms(self) -> tuple[str, ...]:
        """Regular expressions of what logs say of it."""
        return tuple(self.module.SYMPTOMS)

    @property
    def caused_by(self) -> tuple[str, ...]:
        """Ids of the checks whose errors explain this one's findings."""
        return tuple(getattr(self.module, "CAUSED_BY", ()))

    def decides(self, case: Case) -> bool:
        """Whether the host is unjudged when this check is unknown.

        Where even that cannot be told, it is.
        """
        ask = getattr(self.module, "decides", None)
        try:
            return ask is not None and bool(ask(case))
        except Exception:
            return True


def discover() -> tuple[Check, ...]:
    """Every check of this package, in the order of the areas, then by id."""
    checks = [
        Check(id=module.name.replace("_", "-"), module=importlib.import_module(f"{__name__}.{module.name}"))
        for module in pkgutil.iter_modules(__path__)
    ]
    return tuple(sorted(checks, key=lambda check: (AREAS.index(check.area), check.id)))


def run(case: Case, checks: tuple[Check, ...] | None = None) -> tuple[CheckResult, ...]:
    """Run the checks; one that crashes stops no other. Findings that follow from another name it."""
    if checks is None:
        checks = discover()
    results = tuple(result for check in checks if check.judges for result in _run_one(check, case))
    return _with_causes(results, checks)


def _run_one(check: Check, case: Case) -> Iterator[CheckResult]:
    blank = CheckResult(
        check=check.id,
        title=check.title,
        area=check.area,
        subject="host",
        outcome=Outcome.NOT_APPLICABLE,
        deciding=check.decides(case),
    )
    applies = getattr(check.module, "applies", None)
    try:
        if applies is not None and not applies(case):
            yield blank
            return
    except UnreadError as error:
        yield replace(blank, outcome=Outcome.UNKNOWN, unread=error.unread)
        return
    except Exception as error:
        yield replace(blank, outcome=Outcome.CRASHED, crash=_crash(error))
        return
    if hasattr(check.module, "check_gpu"):
        if isinstance(case.facts.gpus, Unread):
            yield replace(blank, outcome=Outcome.UNKNOWN, unread=case.facts.gpus)
            return
        for gpu in case.facts.gpus:
            result = _outcome(replace(blank, subject=_subject(gpu)), check.module.check_gpu, case, gpu)
            yield replace(result, outcome=Outcome.NOT_APPLICABLE, unread=None) if _is_not_offered(result) else result
        return
    yield _outcome(blank, check.module.check, case)


def _outcome(blank: CheckResult, ask: Callable[..., Iterator[Finding]], *subject: object) -> CheckResult:
    findings: list[Finding] = []
    try:
        for finding in ask(*subject):
            findings.append(finding)  # one by one: what came before an exception stays
    except UnreadError as error:
        # What was found before the gap stays found; without a finding nothing may be called well.
        outcome = Outcome.FAILED if findings else Outcome.UNKNOWN
        return replace(blank, outcome=outcome, findings=tuple(findings), unread=error.unread)
    except Exception as error:
        return replace(blank, outcome=Outcome.CRASHED, findings=tuple(findings), crash=_crash(error))
    return replace(blank, outcome=Outcome.FAILED if findings else Outcome.PASSED, findings=tuple(findings))


def _is_not_offered(result: CheckResult) -> bool:
    """Most GeForces have no ECC, and no GPU but those of an NVSwitch system a fabric: that is an answer, not a gap."""
    return result.outcome is Outcome.UNKNOWN and result.unread is not None and result.unread.why is Why.UNSUPPORTED


def _crash(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _subject(gpu: GpuFacts) -> str:
    return f"gpu:{gpu.index}" if isinstance(gpu.uuid, Unread) or not gpu.uuid else f"gpu:{gpu.uuid}"


def _with_causes(results: tuple[CheckResult, ...], checks: tuple[Check, ...]) -> tuple[CheckResult, ...]:
    """Name the root of every finding, and of every question left open, that has one among what was found.

    What ails one GPU explains nothing of another.
    """
    causes = {check.id: check.caused_by for check in checks}
    found = [result for result in results if result.findings]
    errors = [result for result in found if any(finding.severity is Severity.ERROR for finding in result.findings)]

    def root(check: str, among: set[str], seen: frozenset[str]) -> str | None:
        for cause in causes.get(check, ()):
            if cause in among and cause not in seen:
                return root(cause, among, seen | {cause}) or cause
        return None

    def concerning(subject: str, among: list[CheckResult]) -> set[str]:
        return {one.check for one in among if "host" in (subject, one.subject) or one.subject == subject}

    def named(result: CheckResult) -> CheckResult:
        itself = frozenset((result.check,))
        if result.findings:
            cause = root(result.check, concerning(result.subject, errors), itself)
            return replace(result, findings=tuple(replace(finding, caused_by=cause) for finding in result.findings))
        if result.unread is not None:
            return replace(result, explained_by=root(result.check, concerning(result.subject, found), itself))
        return result

    return tuple(named(result) for result in results)
