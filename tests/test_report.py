"""How a report ends, and how it is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import checks, host
from gpudoctor.facts import Facts, RemappedRows, Variable
from gpudoctor.findings import CheckResult, Evidence, Finding, Fix, Outcome, Severity
from gpudoctor.readings import Unread, Why
from gpudoctor.render import to_json, to_text
from gpudoctor.report import Report
from gpudoctor.resolve import runnable
from gpudoctor.verdicts import Verdict
from gpudoctor.versions import ComputeCapability, DriverVersion
from tests import strategies_of_facts as strategies
from tests.fakes import (
    NO_ENGINE,
    NOT_LOADED,
    data_center_gpu,
    driver_says,
    event,
    facts_of,
    gpu,
    pci_gpu,
    results,
    shipped_matrix,
    unread,
)


def report_of(facts: Facts, *, engine_asked: bool = False) -> Report:
    judged = host.from_facts(facts, shipped_matrix())
    return Report(
        facts=facts,
        host=judged,
        results=results(facts, engine_asked=engine_asked),
        runnable=runnable(judged, shipped_matrix()),
    )


def result(
    outcome: Outcome, *severities: Severity, check: str = "gpu-a", deciding: bool = False, missing: Unread | None = None
) -> CheckResult:
    findings = tuple(Finding(severity=severity, message=f"it is {severity.value}") for severity in severities)
    return CheckResult(
        check=check,
        title="A claim",
        area=check.partition("-")[0],
        subject="host",
        outcome=outcome,
        findings=findings,
        unread=missing,
        deciding=deciding,
    )


HEALTHY = report_of(facts_of())
PASSED = result(Outcome.PASSED)
OPEN = result(Outcome.UNKNOWN, missing=unread())
OPEN_DECIDING = result(Outcome.UNKNOWN, missing=unread(), deciding=True)
CRASHED = replace(result(Outcome.CRASHED), crash="ZeroDivisionError: by hand")
ERROR = result(Outcome.FAILED, Severity.ERROR)
WARNING = result(Outcome.FAILED, Severity.WARNING)
INFO = result(Outcome.FAILED, Severity.INFO)


@pytest.mark.parametrize(
    ("found", "outcome", "code", "strict"),
    [
        ((), "passed", 0, 0),
        ((PASSED,), "passed", 0, 0),
        ((INFO,), "passed", 0, 0),
        ((WARNING,), "warned", 0, 1),
        ((ERROR,), "failed", 1, 1),
        ((OPEN,), "passed", 0, 3),
        ((OPEN_DECIDING,), "unknown", 3, 3),
        ((CRASHED,), "passed", 0, 3),
        ((replace(CRASHED, deciding=True),), "unknown", 3, 3),
        ((WARNING, OPEN), "warned", 0, 1),
        ((WARNING, OPEN_DECIDING), "unknown", 3, 3),
        ((ERROR, OPEN_DECIDING), "failed", 1, 1),
        ((replace(WARNING, unread=unread(), deciding=True),), "unknown", 3, 3),
    ],
)
def test_outcome_and_exit_code_follow_from_what_was_found(
    found: tuple[CheckResult, ...], outcome: str, code: int, strict: int
) -> None:
    report = replace(HEALTHY, results=found)
    assert (report.outcome, report.exit_code(), report.exit_code(strict=True)) == (outcome, code, strict)


def _kepler() -> Facts:
    """A GPU that works, and that no image was ever built for."""
    old = DriverVersion("390.157")
    facts = facts_of(driver={"version": old, "kernel_module_version": old})
    return replace(facts, gpus=(gpu(name="GeForce GTX 680", compute_capability=ComputeCapability("3.0")),))


def test_a_host_on_which_nothing_runs_has_failed_and_says_so_once() -> None:
    report = report_of(_kepler())
    assert all(candidate.verdict is Verdict.WILL_NOT_RUN for candidate in report.runnable)
    assert (report.outcome, report.exit_code()) == ("failed", 1)
    text = to_text.report(report)
    assert text.splitlines()[2].startswith("✗ TensorFlow  none of NVIDIA's images runs here")
    assert text.count("TensorFlow  ") == 1
    assert text.endswith("1 problem.")
    assert "✗ TensorFlow" in to_text.report(report, quiet=True)


def test_that_nothing_runs_without_a_gpu_is_no_second_problem() -> None:
    report = report_of(facts_of(driver=NOT_LOADED, gpus=unread(Why.ABSENT, code=12), pci_gpus=()))
    assert [root.check for root, _ in report.roots] == ["gpu-none-present"]
    assert to_text.report(report).endswith("\n1 problem.")


# --- The text ---

SICK: dict[str, Facts] = {
    "healthy": facts_of(),
    "no GPU": facts_of(driver=NOT_LOADED, gpus=unread(Why.ABSENT, code=12), pci_gpus=(), engine=NO_ENGINE),
    "nouveau": facts_of(driver=NOT_LOADED, gpus=unread(code=9), pci_gpus=(pci_gpu(0, "nouveau"),)),
    "several": facts_of(
        driver={**driver_says(unread(code=18)), "device_nodes": (), "modprobe_helper": False},
        gpus=unread(code=18),
        engine={"runtimes": (), "toolkit_binaries": (), "data_root_free_bytes": unread(Why.FORBIDDEN)},
    ),
    "unknown": facts_of(driver=driver_says(unread(Why.TIMEOUT)), gpus=unread(Why.TIMEOUT)),
    "Kepler": _kepler(),
}
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def coloured(colour: str, text: str) -> str:
    return f"\x1b[31m{text}\x1b[0m"


@pytest.mark.parametrize("name", SICK)
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("quiet", [False, True])
def test_text_fits_a_hundred_columns_but_for_what_is_pasted(name: str, verbose: bool, quiet: bool) -> None:
    for line in to_text.report(report_of(SICK[name]), verbose=verbose, quiet=quiet).splitlines():
        assert line == line.rstrip()
        if not re.match(r" +(\$ |https://)", line):
            assert len(line) <= 100, line


EMPTY = {"mig_enabled": True, "mig_pending": True, "mig_devices": ()}


def in_line(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("empty", "named"),
    [
        (range(8), "each of GPUs 0 to 7 (NVIDIA H100 80GB HBM3): MIG is on"),
        ((0, 1, 2, 5, 7), "each of GPUs 0 to 2, 5, 7 (NVIDIA H100 80GB HBM3): MIG is on"),
        ((3, 4), "each of GPUs 3, 4 (NVIDIA H100 80GB HBM3): MIG is on"),
        ((6,), "! GPU GPU 6 (NVIDIA H100 80GB HBM3): MIG is on"),
    ],
)
def test_what_several_gpus_have_in_the_same_words_is_one_problem_that_names_them_all(
    empty: Iterable[int], named: str
) -> None:
    gpus = tuple(data_center_gpu(index, **(EMPTY if index in empty else {})) for index in range(8))
    report = report_of(facts_of(gpus=gpus))
    text = to_text.report(report)
    assert named in in_line(text)
    assert text.count("MIG is on") == text.count("-lgip") == 1
    assert ("each  of the others in the same way" in text) is (len(list(empty)) > 1)
    mark = "✗" if len(list(empty)) == 8 else "!"  # an error only where no GPU is left
    assert [line[0] for line in text.splitlines() if line[:1] in ("✗", "!")] == [mark]
    verbose = to_text.report(report, verbose=True)
    assert verbose.count("-lgip") == len(list(empty)), "there every GPU has its own commands"
    assert len([line for line in verbose.splitlines() if line.startswith(mark)]) == len(list(empty))


def test_gpus_of_two_kinds_are_told_apart() -> None:
    kinds = ("NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA H100 80GB HBM3")
    gpus = tuple(data_center_gpu(index, name=name, **EMPTY) for index, name in enumerate(kinds))
    text = in_line(to_text.report(report_of(facts_of(gpus=gpus))))
    assert "✗ GPU each of GPUs 0, 2 (NVIDIA H100 80GB HBM3): MIG is on" in text
    assert "also GPU 1 (NVIDIA H200): MIG is on" in text


def test_what_differs_in_its_numbers_takes_a_line_a_gpu_and_no_block() -> None:
    gpus = tuple(
        data_center_gpu(index, temperature_celsius=celsius, temperature_slowdown_celsius=87)
        for index, celsius in enumerate((90, 91, 91, 60))
    )
    text = to_text.report(report_of(facts_of(gpus=gpus)))
    (line,) = (line for line in text.splitlines() if line[:1] in ("✗", "!"))
    assert "GPU 0 (NVIDIA H100 80GB HBM3) is 90 °C warm" in line
    assert "also  each of GPUs 1, 2 (NVIDIA H100 80GB HBM3) is 91 °C warm" in text
    assert text.count("91 °C") == 1
    assert "GPU 3" not in text
    assert text.count("  mend  ") == text.count("  seen  ") == 1


def test_what_follows_on_the_other_gpus_is_not_lost() -> None:
    gpus = tuple(
        data_center_gpu(
            index,
            remapped_rows=RemappedRows(correctable=0, uncorrectable=8, pending=False, failure=True),
            ecc_uncorrected_volatile=1 + index // 2,
        )
        for index in range(3)
    )
    text = in_line(to_text.report(report_of(facts_of(gpus=gpus))))
    assert "✗ GPU each of GPUs 0 to 2 (NVIDIA H100 80GB HBM3): a row of memory could not be remapped" in text
    assert "thus each of GPUs 0, 1 (NVIDIA H100 80GB HBM3): 1 uncorrectable" in text
    assert "thus GPU 2 (NVIDIA H100 80GB HBM3): 2 uncorrectable" in text


def test_the_same_of_several_places_on_the_bus_is_said_once() -> None:
    gone = tuple(
        event("fallen_off_bus", pci_address=f"0000:{bus}:00.0", text=f"NVRM: GPU 0000:{bus}:00.0 has fallen off")
        for bus in ("17", "a6")
    )
    there = tuple(replace(gpu(index), pci_address=f"0000:0{index}:00.0") for index in range(2))
    text = to_text.report(report_of(facts_of(gpus=there, kernel_log=gone)))
    assert text.count("[gpu-fallen-off-bus]") == 1
    assert "0000:17:00.0, 0000:a6:00.0" in in_line(text)


@pytest.mark.parametrize("name", SICK)
def test_colours_add_nothing_and_take_nothing_away(name: str) -> None:
    report = report_of(SICK[name])
    for verbose in (False, True):
        painted = to_text.report(report, paint=coloured, verbose=verbose)
        assert "\x1b" in painted
        assert ESCAPE.sub("", painted) == to_text.report(report, verbose=verbose)


@pytest.mark.parametrize("name", SICK)
def test_no_line_is_said_twice(name: str) -> None:
    lines = [line for line in to_text.report(report_of(SICK[name])).splitlines() if line]
    assert len(lines) == len(set(lines))


def test_a_healthy_machine_takes_one_line_an_area() -> None:
    lines = to_text.report(HEALTHY).splitlines()
    areas = [line for line in lines[2:] if line[:1] not in ("", " ")]
    names = ("GPU", "Driver", "CUDA", "Containers", "TensorFlow")
    assert [line[:13] for line in areas[:5]] == [f"✓ {name:10} " for name in names]
    assert areas[5:] == ["Nothing wrong."]


def test_inside_a_container_its_image_and_shared_memory_are_named() -> None:
    variables = (Variable(name="NVIDIA_TENSORFLOW_VERSION", value="24.03-tf2"), Variable(name="CUDA_VERSION", value=""))
    inside = facts_of(system={"container": "docker", "shm_bytes": 16 << 30, "variables": variables}, engine=NO_ENGINE)
    text = to_text.report(report_of(inside))
    assert "✓ Containers  this is inside docker with 16 GiB of shared memory" in text
    assert "✓ Images      NVIDIA's image 24.03-tf2\n" in text


def test_quiet_says_nothing_of_a_healthy_machine_and_only_what_is_wrong_of_another() -> None:
    assert to_text.report(HEALTHY, quiet=True) == ""
    loud, quiet = (to_text.report(report_of(SICK["several"]), quiet=quiet) for quiet in (False, True))
    assert set(quiet.splitlines()) < set(loud.splitlines())
    assert [line[0] for line in quiet.splitlines() if line[0] != " "] == ["✗", "✗"]


def test_quiet_names_what_could_not_be_read_only_where_it_decides() -> None:
    open_, deciding = (replace(HEALTHY, results=(one,)) for one in (OPEN, OPEN_DECIDING))
    assert to_text.report(open_, quiet=True) == ""
    assert "not known: whether a claim" in to_text.report(open_, quiet=True, strict=True)
    assert "not known: whether a claim" in to_text.report(deciding, quiet=True)


def test_what_is_to_be_mended_first_comes_first_with_its_consequences_below_it() -> None:
    lines = to_text.report(report_of(SICK["nouveau"])).splitlines()
    assert lines[2].startswith("✗ Driver      the nouveau driver holds 0000:01:00.0")
    joined = "\n".join(lines)
    assert joined.index("thus  the NVIDIA driver is not loaded") < joined.index("mend  keep nouveau")
    assert joined.count("not loaded: the kernel has no module") == 1
    assert [line for line in lines if line.startswith("✗")] == [lines[2]]
    assert any(line.startswith("– GPU ") and "see driver-nouveau-bound" in line for line in lines)


def test_several_problems_are_counted_and_the_first_is_named() -> None:
    text = to_text.report(report_of(SICK["several"]))
    assert "\n2 problems, 1 question open.\nMend first: the driver was upgraded" in text


def test_one_dead_source_is_named_once_as_what_to_look_at_first() -> None:
    text = to_text.report(report_of(SICK["unknown"]))
    assert in_line(text).count("it said timeout") == 1
    assert text.splitlines()[2].startswith("! Driver      the driver did not answer")
    assert text.endswith("\nCould not look: what decides could not be read; 1 warning.")


def test_one_unread_source_is_named_once_and_counts_what_it_leaves_open() -> None:
    report = report_of(facts_of(kernel_log=unread(Why.FORBIDDEN)))
    waiting = {result.title for result in report.unknown}
    assert len(waiting) > 1
    text = in_line(to_text.report(report))
    assert re.search(rf"not known: whether [^(]+, and {len(waiting) - 1} questions? more \(", text)
    assert text.count("not known:") == 1
    assert text.endswith("Nothing wrong, 1 question open.")


def test_a_gpu_that_refuses_every_question_with_one_code_is_one_question() -> None:
    refused = [
        replace(unread(code=16), source=source, detail="GPU requires reset") for source in ("nvmlFirst", "nvmlSecond")
    ]
    found = tuple(replace(OPEN, title=f"Claim {number}", unread=one) for number, one in enumerate(refused))
    text = to_text.report(replace(HEALTHY, results=found))
    assert in_line(text).count("requires reset") == 1
    assert "not known: whether claim 0, and 1 question more (nvmlFirst: GPU requires reset)" in in_line(text)
    assert "Nothing wrong, 1 question open." in text


def test_what_could_not_be_looked_at_comes_first_where_nothing_is_to_be_mended() -> None:
    well, open_ = replace(PASSED, check="driver-a", area="driver"), replace(OPEN_DECIDING, check="cuda-a", area="cuda")
    lines = to_text.report(replace(HEALTHY, results=(PASSED, well, open_))).splitlines()
    assert [line.split()[1] for line in lines[2:] if line[0:1] in ("✓", "?")][:3] == ["CUDA", "GPU", "Driver"]


@pytest.mark.parametrize("name", SICK)
@pytest.mark.parametrize("verbose", [False, True])
def test_as_many_problems_and_warnings_are_counted_as_are_said(name: str, verbose: bool) -> None:
    text = to_text.report(report_of(SICK[name]), verbose=verbose)
    for mark, noun in (("✗", "problem"), ("!", "warning")):
        counted = re.search(rf"(\d+) {noun}s?\b", text.splitlines()[-1] + "\n" + text.partition("\n\n")[2])
        said = [line for line in text.splitlines() if line.startswith(mark)]
        assert len(said) == (int(counted[1]) if counted else 0)


@pytest.mark.parametrize(("name", "marks"), [("several", "✗✓–?"), ("healthy", "✓–")])
def test_verbose_lists_every_check_with_a_mark_that_needs_no_colour(name: str, marks: str) -> None:
    report = report_of(SICK[name])
    text = to_text.report(report, verbose=True)
    for one in checks.discover():
        assert (one.title in in_line(text)) is one.judges
    assert {line.strip()[0] for line in text.splitlines() if re.match(r" {14}[✓✗–?!i] ", line)} == set(marks)


def test_marks_are_told_apart_without_colour() -> None:
    texts = {
        to_text.report(replace(HEALTHY, facts=None, results=(one,)))[0] for one in (PASSED, OPEN, ERROR, WARNING, INFO)
    }
    assert texts == {"✓", "?", "✗", "!", "i"}


def test_a_crashed_check_is_named_and_asks_to_be_reported() -> None:
    text = to_text.report(replace(HEALTHY, results=(CRASHED,)))
    assert "this check crashed, please report it: ZeroDivisionError: by hand" in " ".join(text.split())


EVIL = "\x1b[2J\x1b]0;owned\x07\r\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_nothing_that_a_terminal_obeys_gets_into_the_text(verbose: bool) -> None:
    finding = Finding(
        severity=Severity.ERROR,
        message=EVIL,
        evidence=(Evidence(source=EVIL, value=EVIL),),
        fix=Fix(text=EVIL, commands=(EVIL,), url=EVIL),
    )
    evil = facts_of(
        system={"hostname": EVIL, "os_name": EVIL, "container": EVIL},
        engine={"version": EVIL},
        gpus=(gpu(name=EVIL),),
    )
    found = replace(OPEN, findings=(finding,), unread=Unread(source=EVIL, why=Why.FAILED, detail=EVIL))
    for one in (report_of(evil), replace(report_of(evil), results=(found, replace(CRASHED, crash=EVIL)))):
        text = to_text.report(one, verbose=verbose)
        assert all(letter.isprintable() for letter in text.replace("\n", ""))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(facts=strategies.ANY_FACTS, verbose=st.booleans(), quiet=st.booleans())
def test_any_facts_can_be_reported(facts: Facts, verbose: bool, quiet: bool) -> None:
    report = report_of(facts)
    text = to_text.report(report, verbose=verbose, quiet=quiet)
    assert all(letter.isprintable() for letter in text.replace("\n", ""))
    to_json.dumps(to_json.report(report, shipped_matrix()))
    wrong: Callable[[str], bool] = lambda line: line.startswith("✗")  # noqa: E731 - one word for two lines
    assert any(map(wrong, text.splitlines())) == (report.outcome == "failed")


def test_an_engine_that_is_podman_alone_is_named() -> None:
    text = to_text.report(report_of(facts_of(engine={**NO_ENGINE, "podman_version": "4.3.1"})))
    assert any(line.startswith("✓ Containers  podman 4.3.1") for line in text.splitlines()), text
