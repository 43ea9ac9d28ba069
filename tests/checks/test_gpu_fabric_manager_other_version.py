"""gpu-fabric-manager-other-version: the package against the loaded driver."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import Facts, Package
from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.logs import suspects
from tests.fakes import answer, cuda_says, data_center_gpu, facts_of, unread

CHECK = "gpu-fabric-manager-other-version"


def hgx(version: str = "535.161.07-1", **changed: Any) -> Facts:
    """With a Fabric Manager of that version and driver 535.129.03."""
    package = Package(name="nvidia-fabricmanager-535", version=version)
    system = {"packages": (package,), **changed.pop("system", {})}
    driver = {"nvswitches": 4, **changed.pop("driver", {})}
    return facts_of(gpus=(data_center_gpu(),), system=system, driver=driver, **changed)


@pytest.mark.parametrize("version", ["535.129.03-0ubuntu1", "1:535.129.03-1", "535.129.03"])
def test_the_drivers_own_version_is_well(version: str) -> None:
    assert answer(CHECK, hgx(version)).outcome is Outcome.PASSED


@pytest.mark.parametrize("version", ["535.161.07-1", "535.129.3-1", "2:570.86.15-1.el9"])
def test_any_other_is_a_warning_with_the_package_to_install(version: str) -> None:
    (finding,) = answer(CHECK, hgx(version)).findings
    assert finding.severity is Severity.WARNING
    assert finding.fix is not None
    assert finding.fix.commands == ("sudo apt-get install 'nvidia-fabricmanager-535=535.129.03-*'",)


def test_where_cuda_waits_already_it_follows_from_that() -> None:
    (finding,) = answer(CHECK, hgx(cuda=cuda_says(802))).findings
    assert finding.caused_by == "gpu-fabric-manager-not-running"


@pytest.mark.parametrize(
    "changed",
    [
        {"system": {"packages": unread(Why.FORBIDDEN)}},
        {"driver": {"nvswitches": unread()}},
        {"driver": {"kernel_module_version": unread()}},
    ],
)
def test_unread_is_unknown(changed: dict[str, Any]) -> None:
    assert answer(CHECK, hgx(**changed)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"system": {"packages": unread(Why.ABSENT)}},
        {"system": {"container": "docker"}},
        {"driver": {"nvswitches": 0}},
        {"driver": {"kernel_module_version": unread(Why.ABSENT)}},
    ],
)
def test_without_packages_nvswitches_or_driver_nobody_asks(changed: dict[str, Any]) -> None:
    assert answer(CHECK, hgx(**changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "fabric manager NVIDIA GPU driver interface version 535.54.03 don't match with driver version 535.129.03.",
        "nv-fabricmanager: driver interface version 570.86.10 don't match with driver version 570.124.06",
        "FabricManager version 550.54.15 mismatch with driver 550.90.07",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


def test_lines_that_are_near_and_tell_of_something_else() -> None:
    assert CHECK not in suspects("NVRM: API mismatch: the client has the version 535.161.07")
