"""container-apptainer-without-nv: the host's driver is loaded, and its libcuda is not inside."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.facts import CudaLibrary
from gpudoctor.findings import Outcome, Severity
from gpudoctor.versions import DriverVersion
from tests.checks.inside import inside
from tests.checks.logs import suspects
from tests.fakes import NOT_LOADED, answer, unread

CHECK = "container-apptainer-without-nv"
APPTAINER = {"container": "apptainer"}
HOST = CudaLibrary(path="/.singularity.d/libs/libcuda.so.1", version=DriverVersion("535.129.03"), kind="driver")
COMPAT = CudaLibrary(path="/usr/local/cuda/compat/libcuda.so.1", version=DriverVersion("550.54.14"), kind="compat")


def test_with_the_hosts_library_it_is_well() -> None:
    facts = inside({}, system=APPTAINER, driver_facts={"libcuda": (COMPAT, HOST)})
    assert answer(CHECK, facts).outcome is Outcome.PASSED


@pytest.mark.parametrize("libraries", [(), (COMPAT,)])
def test_without_it_the_option_was_left_out(libraries: tuple[CudaLibrary, ...]) -> None:
    (finding,) = answer(CHECK, inside({}, system=APPTAINER, driver_facts={"libcuda": libraries})).findings
    assert (finding.severity, finding.caused_by) == (Severity.ERROR, None)
    assert finding.fix is not None
    assert "--nv" in finding.fix.text


def test_without_device_nodes_that_is_the_root() -> None:
    facts = inside({}, system=APPTAINER, driver_facts={"libcuda": (), "device_nodes": ()})
    (finding,) = answer(CHECK, facts).findings
    assert finding.caused_by == "container-gpus-not-requested"


def test_unread_libraries_are_unknown() -> None:
    facts = inside({}, system=APPTAINER, driver_facts={"libcuda": unread()})
    assert answer(CHECK, facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [{"driver_facts": {"libcuda": ()}}, {"system": APPTAINER, "driver_facts": NOT_LOADED}],
    ids=["Docker", "no driver"],
)
def test_other_engines_and_hosts_without_a_driver_are_not_asked(changed: dict[str, Any]) -> None:
    assert answer(CHECK, inside({}, **changed)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: Could not find any nv files on this host!",
        "ERROR: No supported GPU(s) detected to run this container",
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
    ],
)
def test_logs_of_it_are_known(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "INFO:    Could not find any rocm files on this host",
        "ImportError: libcudnn.so.8: cannot open shared object file",
    ],
)
def test_logs_of_other_faults_are_not(line: str) -> None:
    assert CHECK not in suspects(line)
