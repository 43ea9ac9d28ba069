"""Every known fault is found in logs as people meet them: first with its machine's facts, without among others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import pytest

from gpudoctor import checks, health_policy
from gpudoctor.cli import options
from gpudoctor.explain import Explanation, Reader, Verdict, judged
from gpudoctor.facts import Facts
from gpudoctor.findings import CheckResult
from gpudoctor.readings import Unread
from gpudoctor.render import explanation_to_text
from tests import golden, logs
from tests.fakes import shipped_matrix, shipped_policy
from tests.logs import DRESSINGS, Log
from tests.machines import FOLDER, names
from tests.machines.test_zoo import ONLY_A_LOG, ONLY_A_PYTHON
from tests.machines.zoo import Expected

CHECKS = checks.discover()
BY_ID = {check.id: check for check in CHECKS}
READER = Reader(CHECKS)
LOGS = logs.logs()

# Their texts are those of many faults; where one of those is suspected, they are not told.
SIGNS = {"cuda-init-failed", "driver-not-loaded", "gpu-not-listed", "gpu-xid"}
LEAST_WORDINGS = 3
# Signs, and a GPU's health: other tools write of these in one way each, or nobody has reported a log.
FEWER_WORDINGS = {
    "cuda-init-failed",
    "driver-libraries-missing",
    "driver-not-loaded",
    "gpu-ecc-pending",
    "gpu-ecc-sram-exhausted",
    "gpu-ecc-uncorrected",
    "gpu-fabric-manager-other-version",
    "gpu-fabric-unhealthy",
    "gpu-inforom-corrupted",
    "gpu-mig-pending",
    "gpu-not-listed",
    "gpu-nvlink-inactive",
    "gpu-overheating",
    "gpu-page-retirement-exhausted",
    "gpu-page-retirement-pending",
    "gpu-pcie-link-degraded",
    "gpu-power-brake",
    "gpu-power-limited",
    "gpu-recovery-action",
    "gpu-thermal-slowdown",
    "gpu-xid",
}
LEAST_LINES = 20

# Texts that several faults share: without facts each of them has to be named.
LOOK_ALIKES = {
    'could not select device driver "" with capabilities: [[gpu]]': {
        "container-toolkit-missing",
        "container-engine-not-restarted",
        "gpu-none-present",
    },
    'could not select device driver "nvidia" with capabilities: [[gpu]]': {
        "container-toolkit-missing",
        "container-engine-not-restarted",
        "gpu-none-present",
    },
    "Failed to initialize NVML: Unknown Error": {
        "container-lost-gpu-after-daemon-reload",
        "container-no-cgroups-left-on",
    },
    "OSError: [Errno 28] No space left on device": {"container-shm-too-small", "container-disk-full"},
    "No devices were found": {
        "driver-blackwell-needs-open-module",
        "driver-rm-init-adapter-failed",
        "driver-gpu-unsupported",
    },
    "failed call to cuInit: CUDA_ERROR_NOT_INITIALIZED: initialization error": {
        "gpu-mig-enabled-without-instances",
        "cuda-uvm-hmm-failure",
    },
    "failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error": {
        "driver-uvm-missing",
        "cuda-broken-after-suspend",
        "container-toolkit-cdi-regression",
    },
    "failed call to cuInit: UNKNOWN ERROR (999)": {
        "driver-uvm-missing",
        "cuda-broken-after-suspend",
        "container-toolkit-cdi-regression",
    },
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: system has unsupported display driver / cuda driver combination": {
        "cuda-stale-compat-on-newer-driver",
        "image-driver-branch-not-forward-compatible",
    },
    "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected": {
        "cuda-visible-devices-invalid",
        "container-gpus-not-requested",
    },
    "requirement error: unsatisfied condition: brand = tesla": {"image-requirement-unsatisfied"},
    "requirement error: unsatisfied condition: driver < 385": {"image-requirement-unsatisfied"},
}


def read(text: str) -> Explanation:
    return READER.read([text.encode()])


@cache
def machines() -> dict[str, tuple[str, ...]]:
    """By the check that is the root of what they suffer from."""
    by_root: dict[str, tuple[str, ...]] = {}
    for name in names():
        root = Expected.load(name).root
        by_root[root] = (*by_root.get(root, ()), name)
    return by_root


@cache
def facts_of_machine(name: str) -> Facts:
    return options.read_facts(str(golden.FOLDER / f"machines/{name}.json"))


@cache
def judgement(name: str) -> tuple[tuple[CheckResult, ...], bool]:
    """What the checks say of a machine, and whether it is a container."""
    facts = facts_of_machine(name)
    policy = FOLDER / name / "policy.yaml"
    case = checks.Case(
        facts=facts,
        matrix=shipped_matrix(),
        policy=health_policy.load({policy: "the test"}) if policy.exists() else shipped_policy(),
        engine_asked=False,
    )
    container = facts.system.container
    return checks.run(case, CHECKS), isinstance(container, Unread) or bool(container)


# --- The logs themselves ---


def test_every_check_has_its_logs_and_every_failure_mode_three_wordings_of_it() -> None:
    wordings = {id_: [log for log in LOGS if log.check == id_] for id_ in {log.check for log in LOGS} | set(BY_ID)}
    assert set(wordings) == set(BY_ID)
    fewer = {id_ for id_, written in wordings.items() if len(written) < LEAST_WORDINGS}
    assert fewer <= FEWER_WORDINGS
    assert all(wordings.values())
    for written in wordings.values():
        assert len({log.lines for log in written}) == len(written)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_a_log_has_twenty_lines_or_more_and_nothing_left_to_fill_in(log: Log) -> None:
    assert log.text.count("\n") >= LEAST_LINES
    assert "@@" not in log.text
    assert not any(f"%{name}%" in log.text for name in ("DRIVER", "HOST", "ID", "ID12", "KERNEL", "PID", "TAG", "USER"))


# --- Without facts ---


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_without_facts_a_fault_is_among_the_suspects_however_its_log_came_here(log: Log) -> None:
    missed = [
        name
        for name, dress in DRESSINGS.items()
        if log.check not in {one.check.id for one in read(dress(log.text)).suspects}
    ]
    assert missed == []


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_without_facts_the_text_says_which_command_decides(log: Log) -> None:
    shown = explanation_to_text.explanation(read(log.text))
    if log.check not in SIGNS:
        assert BY_ID[log.check].decided_by in shown
        assert log.check in shown


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_without_facts_no_other_fault_is_called_the_cause(log: Log) -> None:
    answers = [one.check.id for one in read(log.text).answers]
    assert answers in ([], [log.check])


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_without_facts_all_faults_that_share_a_text_are_named_with_what_decides(text: str) -> None:
    told = read(f"first\n{text}\nlast\n")
    shown = explanation_to_text.explanation(told)
    assert {one.check.id for one in told.suspects} >= LOOK_ALIKES[text]
    for id_ in LOOK_ALIKES[text]:
        assert id_ in shown
        assert BY_ID[id_].decided_by in shown
    if len(LOOK_ALIKES[text]) > 1:
        assert told.answers == ()


def test_two_faults_that_have_nothing_to_do_with_each_other_are_both_named() -> None:
    by_name = {log.name: log.text for log in LOGS}
    text = by_name["image-registry-unauthorized-2-docker-cli"] + by_name["gpu-row-remap-failed-1-dmesg-server"]
    assert {one.check.id for one in read(text).answers} == {"image-registry-unauthorized", "gpu-row-remap-failed"}


# --- With facts ---

WITH_MACHINES = [(log, machine) for log in LOGS for machine in machines().get(log.check, ())]


def test_every_check_but_those_that_only_a_log_or_a_python_shows_has_a_machine_here() -> None:
    assert set(BY_ID) - {log.check for log, _ in WITH_MACHINES} == ONLY_A_LOG | ONLY_A_PYTHON


@pytest.mark.parametrize(("log", "machine"), WITH_MACHINES, ids=lambda one: one.name if isinstance(one, Log) else one)
def test_with_the_facts_of_its_machine_a_fault_is_the_first_that_is_named(log: Log, machine: str) -> None:
    results, in_container = judgement(machine)
    told = judged(read(log.text), results, in_container=in_container)
    first = told.answers[0]
    assert (first.check.id, first.verdict) == (log.check, Verdict.HOLDS)
    shown = explanation_to_text.explanation(told)
    assert f"[{log.check}]" in shown.split("\n  said", 1)[0]


@pytest.mark.parametrize("text", [text for text, ids in LOOK_ALIKES.items() if len(ids) > 1])
def test_of_faults_that_share_a_text_the_facts_of_each_ones_machine_tell_it(text: str) -> None:
    for id_ in LOOK_ALIKES[text]:
        for machine in machines()[id_]:
            results, in_container = judgement(machine)
            told = judged(read(f"{text}\n"), results, in_container=in_container)
            assert [one.check.id for one in told.answers][:1] == [id_], machine


@pytest.mark.parametrize("log", [log for log in LOGS if log.check in ONLY_A_LOG], ids=lambda log: log.name)
def test_what_only_a_log_shows_is_named_on_a_machine_that_is_well(log: Log) -> None:
    results, in_container = judgement("docker29-cdi")
    told = judged(read(log.text), results, in_container=in_container)
    assert [one.check.id for one in told.answers] == [log.check]


IN_A_CONTAINER = [log for log in LOGS if log.check.startswith("image-") or log.check == "container-gpus-not-requested"]


@pytest.mark.parametrize("log", IN_A_CONTAINER, ids=lambda log: log.name)
def test_a_container_s_log_is_not_refuted_by_facts_of_the_host_that_is_well(log: Log) -> None:
    results, in_container = judgement("docker29-cdi")
    told = judged(read(log.text), results, in_container=in_container)
    verdicts = {one.check.id: one.verdict for one in told.suspects}
    assert verdicts[log.check] is Verdict.OPEN
    assert BY_ID[log.check].decided_by in explanation_to_text.explanation(told)


@pytest.mark.parametrize("id_", ["image-minor-version-compat", "gpu-fabric-manager-not-applicable"])
def test_false_alarms_are_explained_as_harmless(id_: str) -> None:
    assert BY_ID[id_].mended_by.startswith("nothing")
    for log, machine in WITH_MACHINES:
        if log.check == id_:
            results, in_container = judgement(machine)
            told = judged(read(log.text), results, in_container=in_container)
            shown = explanation_to_text.explanation(told)
            assert shown.startswith("i ")
            assert "nothing" in shown
            assert "✗" not in shown


# --- What is well ---


def harmless_lines() -> list[str]:
    lines = (logs.FOLDER / "well/lines.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_no_symptom_is_found_in_what_machines_say_that_are_well() -> None:
    lines = harmless_lines()
    assert len(lines) >= 200
    found = {line: [one.check.id for one in read(line).suspects] for line in lines}
    assert {line: ids for line, ids in found.items() if ids} == {}


@pytest.mark.parametrize("kind", logs.kinds())
def test_what_stands_around_the_faults_is_harmless(kind: str) -> None:
    for dress in DRESSINGS.values():
        assert read(dress(logs.harmless(kind))).suspects == ()


# --- Large logs ---


def _peak_mebibytes(mebibytes: int) -> tuple[int, str]:
    """Of a process that reads so much of a log of a machine that is well; and what it says."""
    block = "".join(logs.harmless(kind) for kind in logs.kinds()).encode()
    block = (block * ((1 << 20) // len(block) + 1))[: 1 << 20]
    program = (
        "import resource, sys\n"
        "from gpudoctor import cli\n"
        "sys.argv = ['gpudoctor', 'explain', '-', '--elsewhere']\n"
        "code = cli._main()\n"
        "print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)\n"
    )
    with subprocess.Popen(
        (sys.executable, "-c", program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def feed() -> None:
            for _ in range(mebibytes):
                process.stdin.write(block)  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]

        feeder = threading.Thread(target=feed)
        feeder.start()
        said = process.stdout.read().decode()
        feeder.join()
    text, _, last = said.rstrip("\n").rpartition("\n")
    code, peak = last.split()
    assert code == "1"
    return int(peak), text


def test_a_log_of_64_megabytes_in_which_nothing_is_known_takes_no_more_memory_than_a_small_one() -> None:
    small, _ = _peak_mebibytes(4)
    large, text = _peak_mebibytes(64)
    assert text.startswith("Nothing known in ")
    assert large < small + 8


@pytest.mark.long
def test_a_log_of_a_gigabyte_in_which_nothing_is_known_takes_no_more_memory_than_a_small_one() -> None:
    small, _ = _peak_mebibytes(4)
    large, text = _peak_mebibytes(1024)
    assert text.startswith("Nothing known in ")
    assert large < small + 8
