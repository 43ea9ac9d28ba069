"""The zoo: every test machine shows what it suffers from, live and once more from its saved facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpudoctor import checks
from tests import golden
from tests.machines import FOLDER, Machine, names
from tests.machines.zoo import Expected, Judged, Shown

# No host can show these, only the log of a pull, a package manager or a program.
ONLY_A_LOG = {
    "image-registry-unauthorized",
    "image-wrong-architecture",
    "k8s-no-gpu-allocatable",
}
# Of a Python that --python names, and not of the machine; see tests/probe/test_python.py.
ONLY_A_PYTHON = {
    "image-h5py3-with-tf1",
    "image-host-tensorflow-without-gpu",
    "image-tensorflow-replaced",
}
LEAST_MACHINES = 70
LEAST_HEALTHY = 8

EXPECTED = {name: Expected.load(name) for name in names() if (FOLDER / name / "expected.txt").exists()}


def test_every_machine_says_what_is_expected_of_it() -> None:
    assert sorted(EXPECTED) == list(names())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_machine_shows_its_root_cause_live_and_from_saved_facts(name: str, pytestconfig: pytest.Config) -> None:
    expected = EXPECTED[name]
    with Machine.load(name).stage() as stage:
        shown = Shown.of(stage, expected)
    assert shown.complaints == ""
    assert shown.saved.results == shown.live.results
    golden.compare(f"machines/{name}.json", shown.facts, pytestconfig)
    settled = shown.settled
    assert settled.findings == expected.findings
    assert settled.open == expected.open
    assert settled.exit_code == expected.exit_code
    if expected.root == "none":
        assert settled.findings == ()
    elif f"{expected.root}:error" in {one.partition("*")[0] for one in expected.findings}:
        assert settled.roots == (expected.root,)
    else:
        assert expected.root in settled.roots
    assert _causes(settled) <= {expected.root}


def _causes(judged: Judged) -> set[str]:
    """What findings and unanswered questions are said to follow from."""
    said = [finding["caused_by"] for result in judged.report["results"] for finding in result["findings"]]
    said += [result["explained_by"] for result in judged.report["results"]]
    return {one for one in said if one is not None}


def test_there_are_machines_enough_of_which_some_are_healthy() -> None:
    healthy = [name for name, one in EXPECTED.items() if not any(":info" not in finding for finding in one.findings)]
    assert len(EXPECTED) >= LEAST_MACHINES
    assert len([name for name in healthy if EXPECTED[name].exit_code == 0]) >= LEAST_HEALTHY


def test_every_failure_mode_that_a_host_can_show_has_its_machine() -> None:
    judging = {check.id for check in checks.discover() if check.judges}
    assert {check.id for check in checks.discover()} - judging == ONLY_A_LOG
    roots = {one.root for one in EXPECTED.values()}
    assert judging - roots == ONLY_A_PYTHON


def test_every_golden_file_is_of_a_machine() -> None:
    folder = golden.FOLDER / "machines"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(EXPECTED)


def test_no_golden_file_tells_of_the_machine_that_ran_the_tests() -> None:
    for path in (golden.FOLDER / "machines").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "/tmp/" not in text.replace("/tmp/nvidia-mps", "")
        assert json.loads(text)["version"] == "any"


@pytest.mark.parametrize("name", [name for name, one in EXPECTED.items() if one.root == "none"])
def test_files_nvml_and_cuda_of_a_healthy_machine_agree(name: str) -> None:
    facts = json.loads((golden.FOLDER / f"machines/{name}.json").read_text(encoding="utf-8"))
    system, driver = facts["system"], facts["driver"]
    assert facts["cuda"]["init"] is True
    if system["wsl"] or system["jetson"]:
        return
    assert driver["kernel_module_version"] == driver["version"]
    assert facts["cuda"]["version"] == driver["driver_cuda_version"]
    if system["container"] or any(one["name"] == "SLURM_JOB_ID" for one in system["variables"]):
        return  # which may have some of the GPUs on the bus, and not the others
    addresses = {gpu["pci_address"] for gpu in facts["gpus"]}
    assert addresses == {gpu["address"] for gpu in facts["pci_gpus"] if gpu["driver"] == "nvidia"}
    assert {f"/dev/nvidia{gpu['minor_number']}" for gpu in facts["gpus"]} <= set(driver["device_nodes"])


# --- expected.txt ---


def test_a_wrong_line_of_expected_txt_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    path = tmp_path / "it/expected.txt"
    path.write_text("root: none\nexit: 0\nfindings: none\n", encoding="utf-8")
    assert Expected.load("it", tmp_path).findings == ()
    wrong = {"root: none\nexits: 0\n": r"expected\.txt:2: no statement", "root: none\n": "nothing says exit, findings"}
    for text, message in wrong.items():
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            Expected.load("it", tmp_path)
