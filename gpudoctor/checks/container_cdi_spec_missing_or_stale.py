"""The CDI specification of NVIDIA's devices is there, and of the loaded driver.

A CDI specification is a list of the device nodes and driver files that a container is given for nvidia.com/gpu=all. It
names files with the driver's version in them: after a driver update it names files that are gone, and containers fail
to start or get libraries that do not fit. Specifications below /var/run are gone after a reboot. The service
nvidia-cdi-refresh of toolkit 1.18 and newer writes them anew, but for changes of MIG. Rootless engines need read
permission for everyone.
"""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import dirname

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.facts import CdiSpec, EngineFacts
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Reading, Unread, Why, known
from gpudoctor.versions import DriverVersion

MENDED_BY = "write the specification anew, in the folder that the engine reads"
DECIDED_BY = "nvidia-ctk cdi list; ls -l /etc/cdi /var/run/cdi; grep -h libcuda.so /etc/cdi/* /var/run/cdi/*"
LINKS = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/146",
    "https://github.com/NVIDIA/nvidia-container-toolkit/issues/434",
)
SYMPTOMS = (
    r"unresolvable CDI devices? nvidia\.com/gpu",
    r"failed to inject CDI devices?: unresolvable",
    r"setting up CDI devices: .*nvidia\.com/gpu",
    r"(?:error mounting|cannot stat|stat failed|failed to stat).*lib(?:cuda|nvidia-ml)\.so\.[0-9]{3}.*no such file",
)

CAUSED_BY = ("container-toolkit-missing", "container-engine-isolated-from-driver")

_GENERATE = "sudo nvidia-ctk cdi generate --output={path}"


def applies(case: Case) -> bool:
    """Where an engine of this machine answers, or podman is there, and a driver is loaded whose GPU it could hand out.

    The driver of WSL is that of Windows.
    """
    engine, system = case.facts.engine, case.facts.system
    there = engine_here.is_local(engine) and (
        engine_here.answers(case) or not isinstance(engine.podman_version, Unread)
    )
    return there and not system.wsl and not system.jetson and case.module_version is not None


def check(case: Case) -> Iterator[Finding]:
    """1. Every specification that counts. 2. That there is one, where nothing else gives a GPU."""
    engine = case.facts.engine
    specs = tuple(_that_count(known(engine.cdi_specs)))
    for spec in specs:
        yield from _of_spec(spec, case)
    if not any(known(spec.devices) for spec in specs):
        yield from _missing(case)


def _that_count(specs: tuple[CdiSpec, ...]) -> Iterator[CdiSpec]:
    """Those whose devices no folder behind them describes: the last folder's description wins.

    https://github.com/cncf-tags/container-device-interface (2026-11)
    """
    for position, spec in enumerate(specs):
        behind = {
            name
            for later in specs[position + 1 :]
            if dirname(later.path) != dirname(spec.path)
            for name in known(later.devices)
        }
        if not behind or not set(known(spec.devices)) <= behind:
            yield spec


def _of_spec(spec: CdiSpec, case: Case) -> Iterator[Finding]:
    module = case.module_version
    severity = _severity(case)
    version = _version(spec.driver_version)
    if version is not None and version != module:
        yield _finding(
            severity,
            f"{spec.path} is of driver {version}, and driver {module} is loaded",
            (
                Evidence(source=f"grep libcuda.so {spec.path}", value=str(version)),
                Evidence(source="cat /proc/driver/nvidia/version", value=str(module)),
            ),
            _GENERATE.format(path=spec.path),
        )
    elif missing := known(spec.missing):
        yield _finding(
            severity,
            f"{spec.path} names {len(missing)} files that do not exist, first {missing[0]}",
            (Evidence(source=f"ls {missing[0]}", value="no such file"),),
            _GENERATE.format(path=spec.path),
        )
    if not known(spec.readable_by_all):
        engine = case.facts.engine
        if engine_here.answers(case) and engine_here.is_rootless(engine):
            severity = Severity.ERROR
        else:  # podman runs with its user's rights more often than not
            severity = Severity.INFO if isinstance(engine.podman_version, Unread) else Severity.WARNING
        yield _finding(
            severity,
            f"{spec.path} cannot be read by everyone, as a rootless engine needs",
            (Evidence(source=f"ls -l {spec.path}", value="not readable by others"),),
            f"sudo chmod a+r {spec.path}",
        )


def _version(reading: Reading[DriverVersion]) -> DriverVersion | None:
    """None where the specification names no library of the driver."""
    return None if isinstance(reading, Unread) and reading.why is Why.ABSENT else known(reading)


def _severity(case: Case) -> Severity:
    """Whether containers get their GPUs by it: an error where nothing else gives them."""
    engine = case.facts.engine
    if not engine_here.answers(case):
        return Severity.WARNING
    if case.engine_asked and engine_here.asks_cdi_first(engine):
        return Severity.ERROR
    return Severity.ERROR if _alone(engine) else Severity.WARNING


def _alone(engine: EngineFacts) -> bool:
    """CDI is the only way: podman; the toolkit told so; or no hook beside it."""
    if engine_here.is_podman(engine) or engine_here.needs_specification(engine):
        return True
    return bool(engine_here.cdi_devices(engine)) and engine_here.HOOK not in known(engine.toolkit_binaries)


def _missing(case: Case) -> Iterator[Finding]:
    engine = case.facts.engine
    if not engine_here.answers(case):
        severity = Severity.WARNING if _podman_is_meant(case) else Severity.INFO
        what = "podman gives GPUs by CDI alone"
    elif engine_here.is_podman(engine):
        severity, what = Severity.ERROR if case.engine_asked else Severity.WARNING, "podman gives GPUs by CDI alone"
    elif engine_here.needs_specification(engine):
        severity, what = Severity.ERROR, f"{known(engine.toolkit).path} says mode = cdi"
    else:
        return
    if not engine_here.has_toolkit(engine) and severity is not Severity.INFO:
        return  # container-toolkit-missing
    yield _finding(
        severity,
        f"there is no CDI specification of NVIDIA's devices, and {what}",
        (Evidence(source="nvidia-ctk cdi list", value="no device of nvidia.com/gpu"),),
        _GENERATE.format(path="/etc/cdi/nvidia.yaml"),
    )


def _podman_is_meant(case: Case) -> bool:
    """The toolkit was installed for something, and there is no Docker that it could be for."""
    return engine_here.has_toolkit(case.facts.engine) and not any(
        path.endswith("/dockerd") for path in known(case.facts.system.programs)
    )


def _finding(severity: Severity, message: str, evidence: tuple[Evidence, ...], command: str) -> Finding:
    fix = Fix(text=MENDED_BY, commands=(command, "nvidia-ctk cdi list"), needs_root=True, url=LINKS[0])
    return Finding(severity=severity, message=message, evidence=evidence, fix=fix)
