"""The ldconfig that the toolkit's configuration names is there.

The toolkit's hook runs the host's ldconfig inside a new container, so that the driver's libraries are found there.
Ubuntu keeps the real program as /sbin/ldconfig.real, all others, Debian too, as /sbin/ldconfig: a config.toml that
came from another distribution, or a system upgrade, leaves a name that does not exist. From 1.15 on the toolkit tries
the other of the two by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor import engine_here
from gpudoctor.checks import Case
from gpudoctor.findings import Evidence, Finding, Fix, Severity
from gpudoctor.readings import Unread, known

MENDED_BY = "name the ldconfig of this distribution in the toolkit's config.toml"
DECIDED_BY = "grep ldconfig /etc/nvidia-container-runtime/config.toml; ls -l /sbin/ldconfig /sbin/ldconfig.real"
LINKS = (
    "https://github.com/NVIDIA/nvidia-docker/issues/1616",
    "https://github.com/NVIDIA/nvidia-docker/issues/587",
    "https://github.com/NVIDIA/nvidia-container-toolkit/blob/main/CHANGELOG.md",
)
SYMPTOMS = (
    r"nvidia-container-cli: ldcache error: .*ldconfig",
    r"ldcache error: (?:open|process|stat).* /s?bin/ldconfig",
    r"open failed: /s?bin/ldconfig\.real: no such file",
)

CAUSED_BY = ("container-engine-isolated-from-driver", "container-toolkit-missing")

_USUAL = ("/sbin/ldconfig", "/sbin/ldconfig.real", "/usr/sbin/ldconfig", "/usr/sbin/ldconfig.real")

# Source: the toolkit's change log (2026-11)
_FIRST_THAT_TRIES_THE_OTHER = (1, 15)


def applies(case: Case) -> bool:
    """Where the toolkit of this machine's engine is configured, and there is a GPU to hand out."""
    engine = case.facts.engine
    return engine_here.is_local(engine) and engine_here.has_configuration(engine) and engine_here.has_gpu(case)


def check(case: Case) -> Iterator[Finding]:
    """A name, and nothing there."""
    engine = case.facts.engine
    toolkit = known(engine.toolkit)
    if toolkit.ldconfig_exists is not False:
        return
    tries = engine_here.release(known(engine.toolkit_version)) >= _FIRST_THAT_TRIES_THE_OTHER
    right = "@/sbin/ldconfig.real" if _is_ubuntu(case) else "@/sbin/ldconfig"
    yield Finding(
        severity=Severity.WARNING if tries and toolkit.ldconfig in _USUAL else Severity.ERROR,
        message=f"{toolkit.path} names the ldconfig {toolkit.ldconfig}, which does not exist",
        evidence=(
            Evidence(source=f"grep ldconfig {toolkit.path}", value=toolkit.ldconfig),
            Evidence(source=f"ls {toolkit.ldconfig}", value="no such file"),
            Evidence(source="nvidia-ctk --version", value=known(engine.toolkit_version)),
        ),
        fix=Fix(
            text=MENDED_BY,
            commands=(f"sudo nvidia-ctk config --set nvidia-container-cli.ldconfig={right} --in-place",),
            needs_root=True,
            url=LINKS[0],
        ),
    )


def _is_ubuntu(case: Case) -> bool:
    """Or made from it."""
    system = case.facts.system
    return system.os_id == "ubuntu" or (not isinstance(system.os_like, Unread) and "ubuntu" in system.os_like)
