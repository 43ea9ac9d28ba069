"""What holds for every check there is, and for every one that will be added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import checks
from gpudoctor.checks import AREAS, Case, Check
from gpudoctor.facts import Facts, GpuFacts
from gpudoctor.findings import CheckResult, Finding, Outcome, Severity
from gpudoctor.readings import Unread, UnreadError, Why
from gpudoctor.versions import DriverVersion
from tests import strategies_of_facts as strategies
from tests.fakes import NO_ENGINE, NOT_LOADED, driver_says, facts_of, gpu, pci_gpu, results, shipped_matrix, unread

CHECKS = checks.discover()
IDS = [check.id for check in CHECKS]
HERE = Path(__file__).parent

SICK = {
    "no GPU": facts_of(driver=NOT_LOADED, gpus=unread(Why.ABSENT, code=12), pci_gpus=()),
    "not loaded": facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, ""),)),
    "nouveau": facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "nouveau"),)),
    "vfio": facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "vfio-pci"),)),
    "mismatch": facts_of(driver=driver_says(unread(code=18)), gpus=unread(code=18)),
    "two versions": facts_of(driver={"kernel_module_version": DriverVersion("535.1")}),
    "no libraries": facts_of(driver=driver_says(unread(Why.ABSENT, code=12)), gpus=unread(Why.ABSENT, code=12)),
    "no node": facts_of(driver={"device_nodes": (), "modprobe_helper": False}),
    "one missing": facts_of(pci_gpus=(pci_gpu(0), pci_gpu(1))),
    "no toolkit": facts_of(engine={"runtimes": (), "toolkit_binaries": ()}),
    "no engine": facts_of(engine=NO_ENGINE),
    "full disk": facts_of(engine={"data_root_free_bytes": 0}),
    "container without GPUs": facts_of(
        system={"container": "docker", "shm_bytes": 64 << 20}, driver={"device_nodes": ()}, gpus=unread(code=9)
    ),
    "container without its GPU": facts_of(system={"container": "docker"}, gpus=()),
    "Windows gives none": facts_of(system={"wsl": True}, gpus=(), pci_gpus=()),
}


def test_checks_are_found_by_looking_at_the_folder() -> None:
    folder = Path(checks.__file__).parent
    assert sorted(IDS) == sorted(
        path.stem.replace("_", "-") for path in folder.glob("*.py") if path.name != "__init__.py"
    )


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_every_check_has_a_test_file_that_names_it(check: Check) -> None:
    path = HERE / "checks" / f"test_{check.id.replace('-', '_')}.py"
    assert f'CHECK = "{check.id}"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_first_word_of_an_id_is_an_area(check: Check) -> None:
    assert check.area in AREAS


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_every_check_has_a_title_that_is_one_sentence_and_fits_a_line(check: Check) -> None:
    assert check.module.__doc__
    first = check.module.__doc__.partition("\n")[0]
    assert first.endswith(".")
    assert check.title == first[:-1]
    assert len(check.title) < 80


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_causes_are_checks_that_there_are(check: Check) -> None:
    assert set(check.caused_by) <= set(IDS) - {check.id}


def test_causes_never_lead_back_to_where_they_began() -> None:
    causes = {check.id: check.caused_by for check in CHECKS}

    def roots(check: str, above: tuple[str, ...] = ()) -> None:
        assert check not in above
        for cause in causes[check]:
            roots(cause, (*above, check))

    for check in causes:
        roots(check)


def test_every_check_finds_something_on_one_of_the_sick_machines() -> None:
    found = {
        result.check
        for facts in SICK.values()
        for result in results(facts, engine_asked=True)
        if any(finding.severity is not Severity.INFO for finding in result.findings)
    }
    # What refuses this user is a state of the engine that excludes the others.
    assert found | {"container-socket-permission"} == set(IDS)


@pytest.mark.parametrize("name", SICK)
def test_findings_are_one_sentence_with_evidence_and_fix(name: str) -> None:
    for result in results(SICK[name], engine_asked=True):
        for finding in result.findings:
            assert not finding.message.endswith(".")
            assert finding.message.splitlines() == [finding.message]
            assert finding.evidence
            assert finding.fix is not None


def _findings(facts: Facts) -> list[tuple[CheckResult, Finding]]:
    return [(result, finding) for result in results(facts) for finding in result.findings]


@pytest.mark.parametrize("name", sorted(SICK.keys() - {"no engine", "full disk"}))
def test_a_sick_machine_has_one_root_that_its_other_errors_name(name: str) -> None:
    errors = [(result, finding) for result, finding in _findings(SICK[name]) if finding.severity is Severity.ERROR]
    (root,) = {result.check for result, finding in errors if finding.caused_by is None}
    assert {finding.caused_by for _, finding in errors} <= {None, root}


def test_a_healthy_machine_has_no_finding() -> None:
    assert _findings(facts_of()) == []


@settings(max_examples=400, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS, engine_asked=st.booleans())
def test_no_check_crashes_on_any_facts(facts: Facts, engine_asked: bool) -> None:
    crashed = [result for result in results(facts, engine_asked=engine_asked) if result.outcome is Outcome.CRASHED]
    assert crashed == []


def _outcomes(facts: Facts) -> dict[tuple[str, str], CheckResult]:
    """By check and place among its subjects: an unread UUID would rename one."""
    seen: dict[str, int] = {}
    by_place = {}
    for result in results(facts):
        by_place[(result.check, str(seen.setdefault(result.check, 0)))] = result
        seen[result.check] += 1
    return by_place


@pytest.mark.parametrize("name", ["healthy", *SICK])
@pytest.mark.parametrize("why", [Why.FORBIDDEN, Why.TIMEOUT, Why.GARBLED, Why.ABSENT])
def test_one_reading_less_never_heals_and_never_accuses(name: str, why: Why) -> None:
    facts = SICK.get(name, facts_of())
    before = _outcomes(facts)
    for path in strategies.readings(facts):
        if isinstance(strategies.reading_at(facts, path), Unread):
            continue
        after = _outcomes(strategies.with_reading(facts, path, unread(why)))
        for place, result in before.items():
            now = after.get(place, result)
            if result.outcome is Outcome.FAILED:
                assert now.outcome is not Outcome.PASSED, path
            if result.outcome is Outcome.PASSED and why is not Why.ABSENT:
                assert not any(finding.severity is Severity.ERROR for finding in now.findings), path
        if why is not Why.ABSENT and any(result.outcome is Outcome.FAILED for result in before.values()):
            # An error may become a question; it never vanishes without one.
            assert any(result.outcome in (Outcome.FAILED, Outcome.UNKNOWN) for result in after.values()), path


@settings(max_examples=300, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS, data=st.data())
def test_knowing_less_of_any_facts_never_turns_failed_into_passed(facts: Facts, data: st.DataObject) -> None:
    there = [path for path in strategies.readings(facts) if not isinstance(strategies.reading_at(facts, path), Unread)]
    if not there:
        return
    path = data.draw(st.sampled_from(there))
    less = strategies.with_reading(facts, path, data.draw(st.from_type(Unread)))
    before, after = _outcomes(facts), _outcomes(less)
    healed = [
        place
        for place, result in before.items()
        if result.outcome is Outcome.FAILED and place in after and after[place].outcome is Outcome.PASSED
    ]
    assert healed == []


# --- The runner ---


def _case(facts: Facts | None = None) -> Case:
    return Case(facts=facts or facts_of(), matrix=shipped_matrix(), engine_asked=False)


def _check(id_: str, **members: object) -> Check:
    module = ModuleType(id_, "A made-up check.\n")
    for name, value in members.items():
        setattr(module, name, value)
    return Check(id=id_, module=module)


def _finds(severity: Severity) -> object:
    def check(case: Case) -> Iterator[Finding]:
        yield Finding(severity=severity, message="found")

    return check


def _crashes(*_: object) -> Iterator[Finding]:
    raise ZeroDivisionError("by hand\nand a second line")


def _is_unread(*_: object) -> Iterator[Finding]:
    raise UnreadError(unread())


def test_a_check_that_crashes_stops_no_other_and_says_so_in_one_line() -> None:
    crash, well = checks.run(_case(), (_check("gpu-a", check=_crashes), _check("gpu-b", check=lambda case: iter(()))))
    assert (crash.outcome, crash.crash) == (Outcome.CRASHED, "ZeroDivisionError: by hand")
    assert well.outcome is Outcome.PASSED


@pytest.mark.parametrize("asks", [_crashes, _is_unread])
def test_whether_a_check_applies_or_decides_may_be_unknown_too(asks: object) -> None:
    (result,) = checks.run(_case(), (_check("gpu-a", check=_crashes, applies=asks, decides=asks),))
    assert result.outcome in (Outcome.CRASHED, Outcome.UNKNOWN)
    assert result.deciding


def test_what_was_found_before_a_gap_stays_found() -> None:
    def check(case: Case) -> Iterator[Finding]:
        yield Finding(severity=Severity.ERROR, message="found")
        raise UnreadError(unread())

    (result,) = checks.run(_case(), (_check("gpu-a", check=check),))
    assert (result.outcome, len(result.findings), result.unread) == (Outcome.FAILED, 1, unread())


def test_a_check_of_gpus_is_asked_once_for_each_and_judges_each_alone() -> None:
    def check_gpu(case: Case, one: GpuFacts) -> Iterator[Finding]:
        if one.index == 1:
            raise UnreadError(unread())
        if one.index == 2:
            yield Finding(severity=Severity.ERROR, message="found")

    facts = facts_of(gpus=(gpu(0), gpu(1, uuid=unread()), gpu(2)))
    found = checks.run(_case(facts), (_check("gpu-a", check_gpu=check_gpu),))
    assert [result.outcome for result in found] == [Outcome.PASSED, Outcome.UNKNOWN, Outcome.FAILED]
    assert [result.subject for result in found] == [f"gpu:{gpu(0).uuid}", "gpu:1", f"gpu:{gpu(2).uuid}"]


def test_a_check_of_gpus_is_unknown_without_their_list() -> None:
    (result,) = checks.run(_case(facts_of(gpus=unread())), (_check("gpu-a", check_gpu=_crashes),))
    assert result.outcome is Outcome.UNKNOWN


def test_the_root_of_a_chain_is_named_and_not_its_middle() -> None:
    error = _finds(Severity.ERROR)
    chain = (
        _check("gpu-a", check=error, CAUSED_BY=("gpu-b",)),
        _check("gpu-b", check=error, CAUSED_BY=("gpu-c",)),
        _check("gpu-c", check=error),
    )
    assert [result.findings[0].caused_by for result in checks.run(_case(), chain)] == ["gpu-c", "gpu-c", None]


def test_a_warning_is_no_root_of_a_finding_and_may_explain_a_gap() -> None:
    warning = _check("gpu-a", check=_finds(Severity.WARNING))
    follows = _check("gpu-b", check=_finds(Severity.ERROR), CAUSED_BY=("gpu-a",))
    open_ = _check("gpu-c", check=_is_unread, CAUSED_BY=("gpu-a",))
    _, finding, gap = checks.run(_case(), (warning, follows, open_))
    assert finding.findings[0].caused_by is None
    assert gap.explained_by == "gpu-a"
