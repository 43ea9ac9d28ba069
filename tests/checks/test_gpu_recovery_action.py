"""gpu-recovery-action: what the driver asks for."""

from __future__ import annotations

import pytest

from gpudoctor.findings import Outcome, Severity
from gpudoctor.readings import Why
from tests.checks.gpus import of_data_center_gpu, of_geforce, under
from tests.checks.logs import suspects
from tests.fakes import answer, data_center_gpu, event, facts_of, unread

CHECK = "gpu-recovery-action"


@pytest.mark.parametrize(
    ("action", "severity", "command"),
    [
        ("gpu_reset", Severity.ERROR, "--gpu-reset"),
        ("node_reboot", Severity.ERROR, "sudo reboot"),
        ("drain_p2p", Severity.ERROR, "recovery"),
        ("drain_and_reset", Severity.WARNING, "--gpu-reset"),
        ("recover_imex_domain", Severity.ERROR, "nvidia-imex"),
        ("bus_reset", Severity.ERROR, "sudo reboot"),
        ("system_reboot", Severity.ERROR, "sudo reboot"),
        ("something_new", Severity.ERROR, "sudo reboot"),
    ],
)
def test_whatever_it_asks_for_is_said_with_how(action: str, severity: Severity, command: str) -> None:
    (finding,) = of_data_center_gpu(CHECK, recovery_action=action).findings
    assert finding.severity is severity
    assert finding.fix is not None
    assert any(command in one for one in finding.fix.commands)


def test_nothing_is_well() -> None:
    assert of_data_center_gpu(CHECK).outcome is Outcome.PASSED


def test_nvml_that_refuses_to_speak_of_a_gpu_wants_it_reset_and_explains_what_is_unread() -> None:
    refused = unread(Why.FAILED, code=16, source="nvmlDeviceGetTemperatureV")
    facts = facts_of(gpus=(data_center_gpu(temperature_celsius=refused, recovery_action=refused),))
    (finding,) = answer(CHECK, facts).findings
    assert (finding.severity, finding.evidence[0].source) == (Severity.ERROR, refused.source)
    assert answer("gpu-overheating", facts).explained_by == CHECK


def test_a_gpu_that_is_lost_is_explained_by_that() -> None:
    result = of_data_center_gpu(CHECK, recovery_action=unread(Why.FAILED, code=15))
    assert (result.outcome, result.explained_by) == (Outcome.UNKNOWN, "gpu-fallen-off-bus")


def test_it_follows_from_the_xid_that_led_to_it() -> None:
    line = event("xid", code=119, pci_address="0000:01:00.0")
    facts = facts_of(gpus=(data_center_gpu(recovery_action="gpu_reset"),), kernel_log=(line,))
    assert [finding.caused_by for finding in answer(CHECK, facts).findings] == ["gpu-xid"]
    (root,) = answer("gpu-xid", facts).findings
    assert root.caused_by is None


def test_unread_is_unknown_and_a_driver_before_570_is_not_asked() -> None:
    assert of_data_center_gpu(CHECK, recovery_action=unread()).outcome is Outcome.UNKNOWN
    assert of_geforce(CHECK).outcome is Outcome.NOT_APPLICABLE


def test_a_site_may_ignore_one_of_them() -> None:
    facts = facts_of(gpus=(data_center_gpu(recovery_action="drain_and_reset"),))
    result = under("signals: [{name: recovery-drain-and-reset, severity: ignore}]", CHECK, facts)
    assert result.outcome is Outcome.PASSED


def test_in_a_container_it_is_mended_on_the_host_and_with_wsl_on_windows() -> None:
    gpus = (data_center_gpu(recovery_action="gpu_reset"),)
    inside = answer(CHECK, facts_of(gpus=gpus, system={"container": "docker"})).findings[0].fix
    windows = answer(CHECK, facts_of(gpus=gpus, system={"wsl": True})).findings[0].fix
    assert inside is not None
    assert windows is not None
    assert "on the host" in inside.text
    assert ("Windows" in windows.text, windows.commands) == (True, ())


@pytest.mark.parametrize(
    "line",
    [
        "    GPU Recovery Action                   : Reset",
        (
            "NVRM: Xid (PCI:0000:3b:00): 154, pid='<unknown>', GPU recovery action changed from 0x0 (None)"
            " to 0x1 (GPU Reset Required)"
        ),
        "NVRM: nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED] (0x00000062)",
        "CUDA-capable device(s) is/are busy or unavailable",
        "ERROR: GPU requires reset",
    ],
)
def test_logs_that_tell_of_it(line: str) -> None:
    assert CHECK in suspects(line)


@pytest.mark.parametrize(
    "line",
    [
        "    GPU Recovery Action                   : None",
        "    GPU Recovery Action : N/A",
        "recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)",
    ],
)
def test_lines_that_are_near_and_tell_of_something_else(line: str) -> None:
    assert CHECK not in suspects(line)
