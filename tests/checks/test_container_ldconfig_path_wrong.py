"""container-ldconfig-path-wrong: the name in config.toml against the file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpudoctor.facts import ToolkitConfiguration
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import answer, facts_of, unread

CHECK = "container-ldconfig-path-wrong"
TOOLKIT = ToolkitConfiguration(
    path="/etc/nvidia-container-runtime/config.toml",
    mode="auto",
    no_cgroups=False,
    ldconfig="/sbin/ldconfig.real",
    ldconfig_exists=True,
    root="",
)
WRONG = replace(TOOLKIT, ldconfig_exists=False)


@pytest.mark.parametrize("exists", [True, None])
def test_a_file_that_is_there_or_no_name_is_well(exists: bool | None) -> None:
    toolkit = replace(TOOLKIT, ldconfig_exists=exists)
    assert answer(CHECK, facts_of(engine={"toolkit": toolkit})).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("version", "named", "severity"),
    [
        ("1.14.3", "/sbin/ldconfig.real", Severity.ERROR),
        ("1.15.0", "/sbin/ldconfig.real", Severity.WARNING),
        ("1.15.0", "/opt/sbin/ldconfig", Severity.ERROR),
    ],
)
def test_newer_toolkits_try_the_other_name(version: str, named: str, severity: Severity) -> None:
    engine = {"toolkit": replace(WRONG, ldconfig=named), "toolkit_version": version}
    (finding,) = answer(CHECK, facts_of(engine=engine)).findings
    assert (finding.severity, named in finding.message) == (severity, True)


@pytest.mark.parametrize(
    ("system", "right"),
    [
        ({"os_id": "ubuntu", "os_like": ("debian",)}, "@/sbin/ldconfig.real"),
        ({"os_id": "pop", "os_like": ("ubuntu", "debian")}, "@/sbin/ldconfig.real"),
        ({"os_id": "debian", "os_like": ()}, "@/sbin/ldconfig"),
        ({"os_id": "rocky", "os_like": ("rhel",)}, "@/sbin/ldconfig"),
    ],
)
def test_the_fix_names_this_distributions_own(system: dict[str, Any], right: str) -> None:
    fix = answer(CHECK, facts_of(system=system, engine={"toolkit": WRONG})).findings[0].fix
    assert fix is not None
    assert f"ldconfig={right} " in fix.commands[0]


@pytest.mark.parametrize("part", ["toolkit", "toolkit_version"])
def test_what_is_unread_is_unknown(part: str) -> None:
    assert answer(CHECK, facts_of(engine={"toolkit": WRONG, part: unread()})).outcome is Outcome.UNKNOWN


def test_without_a_configuration_nobody_asks() -> None:
    assert answer(CHECK, facts_of(engine={"toolkit": unread(Why.ABSENT)})).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "nvidia-container-cli: ldcache error: open failed: /sbin/ldconfig.real: no such file or directory",
        "nvidia-container-cli: ldcache error: process /sbin/ldconfig.real failed with error code: 1",
        "pyxis:     nvidia-container-cli: ldcache error: process /usr/sbin/ldconfig failed with error code: 1",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "/sbin/ldconfig.real: Can't create temporary cache file",
        "ldcache error of another program",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
