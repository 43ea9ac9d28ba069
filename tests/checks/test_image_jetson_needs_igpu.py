"""image-jetson-needs-igpu: a server's image on a Jetson."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.findings import Outcome, Severity
from tests.checks.inside import NGC_24_03, inside
from tests.checks.logs import suspects
from tests.fakes import answer, driver_says, facts_of, unread

CHECK = "image-jetson-needs-igpu"
JETSON: dict[str, Any] = {"jetson": True, "architecture": "aarch64"}


@pytest.mark.parametrize("driver", ["550.54.14", "580.00"])
def test_an_image_for_its_driver_is_well(driver: str) -> None:
    assert answer(CHECK, inside(NGC_24_03, driver=driver, system=JETSON, gpus=())).outcome is Outcome.PASSED


def test_an_image_for_a_newer_branch_was_made_for_servers() -> None:
    (finding,) = answer(CHECK, inside(NGC_24_03, driver="540.4.0", system=JETSON, gpus=())).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert "built for driver 550.54.14, and this Jetson has 540.4.0" in finding.message
    assert finding.fix is not None
    assert "24.03-tf2-py3-igpu" in finding.fix.text


def test_an_unread_driver_is_unknown() -> None:
    hidden = {**driver_says(unread()), "kernel_module_version": unread()}
    assert answer(CHECK, inside(NGC_24_03, system=JETSON, driver_facts=hidden)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("facts", [facts_of(system=JETSON), inside(NGC_24_03), inside({}, system=JETSON)])
def test_hosts_servers_and_other_images_are_not_asked(facts: Any) -> None:
    assert answer(CHECK, facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: This container was built for NVIDIA Driver Release 560.35 or later, but",
        "       version 540.4.0 was detected and compatibility mode is UNAVAILABLE.",
        "NvRmMemInitNvmap failed with Permission denied",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "This container was built for CPUs",
        "version 540 of the firmware was detected",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
