"""Each rule alone, on both sides of each of its boundaries; then the order in which they are asked."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gpudoctor import requirement, rules
from gpudoctor.host import Host, HostGpu
from gpudoctor.matrix import ForwardRow, ImageRow, Provenance
from gpudoctor.readings import Unread, Why
from gpudoctor.rules import ImageRuling, judge, judge_gpu
from gpudoctor.verdicts import Reason, Ruling, Verdict, deciding, worst
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion
from tests.hosts import UNREAD, gpu, image, live, named, shipped

RUNS = Verdict.RUNS
FORWARD = Verdict.RUNS_WITH_FORWARD_COMPAT
MINOR = Verdict.RUNS_WITH_MINOR_VERSION_COMPAT
UNSUPPORTED = Verdict.RUNS_UNSUPPORTED
JIT = Verdict.RUNS_WITH_PTX_JIT
UNKNOWN = Verdict.UNKNOWN
REFUSED = Verdict.WILL_NOT_RUN


def only(ruling: Ruling) -> Reason:
    (reason,) = ruling.reasons
    assert reason.verdict is ruling.verdict
    return reason


def first_gpu(host: Host) -> HostGpu:
    assert not isinstance(host.gpus, Unread)
    return host.gpus[0]


def capabilities(*texts: str) -> tuple[ComputeCapability, ...]:
    return tuple(ComputeCapability(text) for text in texts)


def drivers(*texts: str) -> tuple[DriverVersion, ...]:
    return tuple(DriverVersion(text) for text in texts)


# --- verdicts ---


def test_verdicts_stand_best_first_as_the_contract_has_them() -> None:
    assert [verdict.value for verdict in sorted(Verdict, key=lambda verdict: verdict.rank)] == [
        "runs",
        "runs_with_forward_compat",
        "runs_with_minor_version_compat",
        "runs_unsupported",
        "runs_with_ptx_jit",
        "unknown",
        "will_not_run",
        "no_such_image",
    ]
    assert all(verdict.runs == verdict.value.startswith("runs") for verdict in Verdict)


def test_worst_of_several_is_the_last_of_them_and_of_none_the_best() -> None:
    assert worst(RUNS, UNSUPPORTED, FORWARD) is UNSUPPORTED
    assert worst(JIT, REFUSED, UNKNOWN) is REFUSED
    assert worst() is RUNS


def test_deciding_reason_is_the_first_that_came_to_the_verdict() -> None:
    reasons = tuple(
        Reason(rule=rule, detail=rule, source="", verdict=verdict)
        for rule, verdict in (("a", RUNS), ("b", REFUSED), ("c", REFUSED))
    )
    found = deciding(REFUSED, reasons)
    assert found is not None
    assert found.rule == "b"
    assert deciding(UNKNOWN, reasons) is None


# --- rule 1: platform ---


@pytest.mark.parametrize(
    ("tag", "arm64", "architecture", "jetson", "verdict"),
    [
        ("20.12-tf1-py3", "no", "x86_64", False, RUNS),
        ("20.12-tf1-py3", "unknown", "x86_64", False, RUNS),
        ("20.12-tf1-py3", "yes", "aarch64", False, RUNS),
        ("20.12-tf1-py3", "no", "aarch64", False, REFUSED),
        ("20.12-tf1-py3", "unknown", "aarch64", False, UNKNOWN),
        ("20.12-tf1-py3", "yes", "ppc64le", False, REFUSED),
        ("20.12-tf1-py3", "yes", "aarch64", True, REFUSED),
        ("25.02-tf2-py3-igpu", "yes", "aarch64", True, RUNS),
        ("25.02-tf2-py3-igpu", "yes", "aarch64", False, REFUSED),
        ("25.02-tf2-py3-igpu", "yes", "x86_64", False, REFUSED),
    ],
)
def test_platform_wants_the_processor_and_keeps_jetson_apart(
    tag: str, arm64: str, architecture: str, jetson: bool, verdict: Verdict
) -> None:
    row = image(tag)._replace(arm64=arm64)
    host = live("535.104.05", (gpu(),), architecture=architecture, jetson=jetson)
    ruling = rules.platform(row, host, shipped())
    assert ruling.verdict is verdict
    assert [reason.rule for reason in ruling.reasons] == ([] if verdict is RUNS else ["platform"])


# --- rule 2: the driver knows the GPU ---


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("V100", "384"),
        ("T4", "410"),
        ("A100", "450"),
        ("RTX 3090", "455"),
        ("H100", "520"),
        ("RTX 4090", "520"),
        ("L4", "525"),
        ("B200", "570"),
        ("RTX 5090", "570"),
    ],
)
def test_driver_of_the_first_branch_knows_the_gpu_and_the_one_before_does_not(name: str, first: str) -> None:
    host = named(f"{first}.01", name)
    assert rules.driver_knows_gpu(first_gpu(host), host, shipped()).verdict is RUNS
    host = named(f"{int(first) - 1}.99.99", name)
    refused = only(rules.driver_knows_gpu(first_gpu(host), host, shipped()))
    assert refused.verdict is REFUSED
    assert f"needs branch {first} or newer" in refused.detail


@pytest.mark.parametrize(
    ("name", "last"),
    [("Tesla K80", 470), ("GTX 680", 470), ("GTX 980", 580), ("GTX 1080", 580), ("P100", 580), ("TITAN V", 580)],
)
def test_driver_after_the_last_branch_no_longer_drives_the_gpu(name: str, last: int) -> None:
    host = named(f"{last}.999.99", name)
    assert rules.driver_knows_gpu(first_gpu(host), host, shipped()).verdict is RUNS
    host = named(f"{last + 1}.0", name)
    refused = only(rules.driver_knows_gpu(first_gpu(host), host, shipped()))
    assert refused.verdict is REFUSED
    assert f"branch {last} was the last" in refused.detail


@pytest.mark.parametrize("name", ["T4", "RTX 3090", "RTX 5090"])
def test_generations_of_today_have_no_last_branch(name: str) -> None:
    host = named("999.99", name)
    assert rules.driver_knows_gpu(first_gpu(host), host, shipped()).verdict is RUNS


def test_gpu_that_the_driver_lists_is_known_to_it_whatever_a_table_says() -> None:
    host = live("600.1", (gpu("6.1"),))
    assert rules.driver_knows_gpu(first_gpu(host), host, shipped()).verdict is RUNS


@pytest.mark.parametrize(
    ("name", "driver", "verdict", "said"),
    [
        # the driver of Windows that the first toolkit for the generation came with
        ("RTX 3090", "456.37", REFUSED, "of Windows does not know GeForce RTX 3090: Ampere came with 456.38"),
        ("RTX 3090", "456.38", RUNS, ""),
        ("RTX 4090", "520.05", REFUSED, "Ada came with 520.06"),
        ("RTX 4090", "520.06", RUNS, ""),
        ("RTX 5090", "570.64", REFUSED, "Blackwell came with 570.65"),
        ("RTX 5090", "570.65", RUNS, ""),
        # 582 of Windows is still of branch 580, and 475 of branch 470
        ("GTX 1080", "582.28", RUNS, ""),
        ("GTX 1080", "590", REFUSED, "of Windows no longer drives GeForce GTX 1080: branch 580 was the last"),
        ("RTX 2080", "999.99", RUNS, ""),
        ("GTX 680", "475.14", UNSUPPORTED, "supports WSL from Pascal"),
        ("GTX 680", "496.13", REFUSED, "branch 470 was the last"),
        # below Pascal nothing is promised
        ("GTX 980", "528.49", UNSUPPORTED, "NVIDIA supports WSL from Pascal (6.0) on"),
        ("GTX 1060", "452.39", RUNS, ""),
        ("RTX 2070", "385.54", RUNS, ""),
    ],
)
def test_driver_of_windows_knows_the_gpus_of_its_toolkits(name: str, driver: str, verdict: Verdict, said: str) -> None:
    host = named(driver, name, wsl=True)
    ruling = rules.driver_knows_gpu(first_gpu(host), host, shipped())
    assert ruling.verdict is verdict
    assert [said in reason.detail for reason in ruling.reasons] == ([True] if said else [])


def test_gpu_that_a_driver_of_windows_lists_is_known_to_it_and_maxwell_is_unsupported_all_the_same() -> None:
    for capability, driver, verdict in (
        ("6.1", "591.44", RUNS),
        ("8.6", "452.39", RUNS),
        ("5.2", "591.44", UNSUPPORTED),
    ):
        host = live(driver, (gpu(capability),), wsl=True, cuda="13.1")
        assert rules.driver_knows_gpu(first_gpu(host), host, shipped()).verdict is verdict


# --- rule 3: the GPU against the image ---


@pytest.mark.parametrize(
    ("tag", "capability", "verdict"),
    [
        # 18.08 says 5.2 itself
        ("18.08-py3", "5.2", RUNS),
        ("18.08-py3", "5.0", REFUSED),
        # 18.11 says nothing: 5.2 by its year; 18.12 is the first with 6.0
        ("18.11-py3", "5.2", RUNS),
        ("18.11-py3", "5.0", REFUSED),
        ("18.12-py3", "6.0", RUNS),
        ("18.12-py3", "5.2", UNSUPPORTED),
        # the build lists hold 5.2 until 22.12
        ("22.12-tf2-py3", "5.2", UNSUPPORTED),
        ("22.12-tf2-py3", "5.0", REFUSED),
        ("23.01-tf2-py3", "5.2", REFUSED),
        ("23.03-tf1-py3", "5.2", REFUSED),
        # 24.12 is the last with 6.0, 25.01 the first with 7.5
        ("24.12-tf2-py3", "6.0", RUNS),
        ("24.11-tf2-py3", "6.1", RUNS),
        ("25.01-tf2-py3", "7.5", RUNS),
        ("25.01-tf2-py3", "7.0", REFUSED),
        # 17.x: the build list
        ("17.10", "3.5", RUNS),
        ("17.10", "3.0", REFUSED),
        # 17.12 has no list: what both neighbours hold is sure, 3.5 stands in one of them
        ("17.12", "5.2", RUNS),
        ("17.12", "3.5", UNKNOWN),
        ("17.01", "6.0", UNKNOWN),
    ],
)
def test_gpu_range_begins_where_the_release_notes_say(tag: str, capability: str, verdict: Verdict) -> None:
    assert rules.gpu_range(image(tag), gpu(capability), shipped()).verdict is verdict


@pytest.mark.parametrize(
    ("release", "floor", "below"),
    [
        ("18.01", "5.2", "5.0"),
        ("18.11", "5.2", "5.0"),
        ("18.12", "6.0", "5.0"),
        ("24.12", "6.0", "5.3"),
        ("25.01", "7.5", "7.2"),
        ("25.02", "7.5", "7.2"),
    ],
)
def test_floor_that_the_row_does_not_name_is_that_of_its_period(release: str, floor: str, below: str) -> None:
    row = image("20.12-tf1-py3")._replace(release=release, min_capability=None, built_for=capabilities("12.0"))
    assert rules.gpu_range(row, gpu(floor), shipped()).verdict is RUNS
    refused = only(rules.gpu_range(row, gpu(below), shipped()))
    assert refused.verdict is REFUSED
    assert f"documented for {floor} and newer" in refused.detail


def test_derived_floor_says_that_it_is_derived() -> None:
    row = image("22.10-tf1-py3")._replace(min_capability=None)
    reason = only(rules.gpu_range(row, gpu("3.7"), shipped()))
    assert "(derived: 18.12 to 24.12 all say so)" in reason.detail


def test_capability_that_could_not_be_read_leaves_the_range_unknown() -> None:
    reason = only(rules.gpu_range(image("22.12-tf1-py3"), gpu(UNREAD), shipped()))
    assert reason.verdict is UNKNOWN
    assert "did not say" in reason.detail


@pytest.mark.parametrize(
    ("tag", "capability", "verdict"),
    [
        # native code of the same major at or below
        ("22.12-tf1-py3", "8.6", RUNS),
        ("22.12-tf1-py3", "8.9", RUNS),  # CUDA 11.8 knows 8.9
        ("22.08-tf1-py3", "8.9", UNSUPPORTED),  # CUDA 11.7 does not
        ("20.10-tf1-py3", "8.6", RUNS),
        ("20.09-tf1-py3", "8.6", UNSUPPORTED),
        ("20.06-tf1-py3", "8.0", RUNS),
        ("18.09-py3", "7.5", RUNS),
        ("18.08-py3", "7.5", UNSUPPORTED),
        ("25.02-tf2-py3", "12.0", RUNS),
        ("25.02-tf2-py3", "12.1", UNSUPPORTED),
        ("25.02-tf2-py3", "10.3", UNSUPPORTED),
        ("25.01-tf2-py3", "12.0", RUNS),
        # no native code of the major: PTX, save where sources saw it fail
        ("22.08-tf1-py3", "9.0", JIT),
        ("22.09-tf1-py3", "9.0", RUNS),
        ("20.06-tf1-py3", "9.0", JIT),
        ("17.05", "7.0", JIT),
        ("20.03-tf1-py3", "8.0", REFUSED),
        ("20.03-tf1-py3", "8.6", REFUSED),
        ("20.03-tf1-py3", "9.0", REFUSED),
        ("18.08-py3", "8.0", REFUSED),
        ("24.12-tf2-py3", "12.0", REFUSED),
        ("24.12-tf2-py3", "10.0", REFUSED),
        ("20.03-tf1-py3", "10.0", REFUSED),
        # which CUDA it holds is not known
        ("17.01", "6.0", UNKNOWN),
    ],
)
def test_gpu_code_is_native_on_its_own_major_and_ptx_where_that_works(
    tag: str, capability: str, verdict: Verdict
) -> None:
    assert only(rules.gpu_code(image(tag), gpu(capability), shipped())).verdict is verdict


def test_ptx_of_a_newer_capability_is_of_no_use() -> None:
    row = image("22.08-tf1-py3")._replace(built_for=capabilities("8.0"), ptx=capabilities("9.0"))
    reason = only(rules.gpu_code(row, gpu("7.5"), shipped()))
    assert reason.verdict is REFUSED
    assert "neither native code nor PTX" in reason.detail
    below = row._replace(ptx=capabilities("7.0", "9.0"))
    assert "PTX of 7.0" in only(rules.gpu_code(below, gpu("7.5"), shipped())).detail


def test_native_code_for_a_newer_minor_is_of_no_use() -> None:
    row = image("22.08-tf1-py3")._replace(built_for=capabilities("7.5", "8.6"), ptx=capabilities("7.5"))
    assert only(rules.gpu_code(row, gpu("8.6"), shipped())).verdict is RUNS
    assert only(rules.gpu_code(row, gpu("8.0"), shipped())).verdict is JIT


def test_image_that_holds_no_ptx_at_all_cannot_be_compiled() -> None:
    row = image("22.08-tf1-py3")._replace(ptx=())
    assert only(rules.gpu_code(row, gpu("9.0"), shipped())).verdict is REFUSED


def test_native_code_is_the_newest_that_fits() -> None:
    reason = only(rules.gpu_code(image("22.12-tf1-py3"), gpu("7.5"), shipped()))
    assert reason.detail == "native code for 7.5 runs on 7.5"
    reason = only(rules.gpu_code(image("20.09-tf1-py3"), gpu("8.6"), shipped()))
    assert "runs the code for 8.0 (derived from the build lists of 20.08 and 20.12)" in reason.detail


def test_image_without_neighbours_holds_what_its_cuda_makes_code_for() -> None:
    row = image("20.12-tf1-py3")
    alone = replace(shipped(), images=(row._replace(built_for=None),))
    assert only(rules.gpu_code(alone.images[0], gpu("8.6"), alone)).verdict is RUNS
    assert only(rules.gpu_code(alone.images[0], gpu("9.0"), alone)).verdict is JIT
    older = alone.images[0]._replace(cuda=CudaVersion("11.0.3"))
    assert only(rules.gpu_code(older, gpu("8.6"), replace(alone, images=(older,)))).verdict is UNSUPPORTED


def test_capability_that_the_table_does_not_hold_is_newer_than_every_cuda_in_it() -> None:
    assert only(rules.gpu_code(image("25.02-tf2-py3"), gpu("12.9"), shipped())).verdict is UNSUPPORTED
    assert only(rules.gpu_code(image("22.12-tf1-py3"), gpu("8.8"), shipped())).verdict is UNSUPPORTED
    assert only(rules.gpu_code(image("25.02-tf2-py3"), gpu("13.0"), shipped())).verdict is JIT


def test_code_is_unknown_where_neither_image_nor_table_says_what_it_is() -> None:
    row = image("20.12-tf1-py3")._replace(built_for=None)
    toolkits = tuple(toolkit._replace(max_native_capability=None) for toolkit in shipped().cuda)
    without_ptx = replace(shipped(), images=(row,), cuda=toolkits)
    assert only(rules.gpu_code(row, gpu("9.0"), without_ptx)).verdict is UNKNOWN
    assert only(rules.gpu_code(row, gpu("8.6"), without_ptx)).verdict is RUNS
    generations = tuple(generation._replace(first_cuda=None) for generation in shipped().generations)
    without_first = replace(shipped(), images=(row,), generations=generations)
    assert only(rules.gpu_code(row, gpu("8.6"), without_first)).verdict is UNKNOWN
    assert only(rules.gpu_code(row, gpu("13.0"), without_first)).verdict is REFUSED


# --- rule 4: native ---


@pytest.mark.parametrize(
    ("tag", "driver", "verdict", "said"),
    [
        ("20.12-tf1-py3", "455.45.01", RUNS, "is as new as CUDA 11.1.1, which came with 455.32"),
        ("20.12-tf1-py3", "455.32", RUNS, "is as new as CUDA 11.1.1, which came with 455.32"),
        ("20.12-tf1-py3", "455.31.99", RUNS, "is of the same branch as 455.32"),
        ("20.12-tf1-py3", "455.23.04", RUNS, "is of the same branch as 455.32"),
        ("20.12-tf1-py3", "456.0", RUNS, "is as new as"),
        ("20.12-tf1-py3", "454.99.99", REFUSED, "455.32; 454.99.99 is older"),
        ("21.11-tf1-py3", "495.44", RUNS, "is as new as CUDA 11.5.0, which came with 495.29.05"),
        # the image's own driver, where it is not that of its CUDA
        ("19.11-tf1-py3", "440.26", RUNS, "is of the same branch as 440.30"),
        ("19.11-tf1-py3", "439.99", REFUSED, "came with driver 440.30; 439.99 is older"),
        # release notes name an older branch than the toolkit's: both are told, the toolkit's decides
        ("24.05-tf2-py3", "545.23.08", REFUSED, "; the release notes say 545, the toolkit's own number decides"),
        ("24.05-tf2-py3", "550.40.07", RUNS, "; the release notes say 545, the toolkit's own number decides"),
        ("17.01", "999.1", UNKNOWN, "its CUDA version is not known"),
    ],
)
def test_driver_is_native_from_the_branch_of_the_toolkit_on(tag: str, driver: str, verdict: Verdict, said: str) -> None:
    reason = only(rules.driver_native(image(tag), live(driver, (gpu(),)), shipped()))
    assert reason.verdict is verdict
    assert said in reason.detail


@pytest.mark.parametrize(
    ("driver", "verdict"), [("456.81", RUNS), ("456.80", REFUSED), ("457.9", RUNS), ("456.38", REFUSED)]
)
def test_what_if_on_wsl_compares_numbers_of_windows_drivers(driver: str, verdict: Verdict) -> None:
    host = named(driver, "RTX 3090", wsl=True)
    assert only(rules.driver_native(image("20.12-tf1-py3"), host, shipped())).verdict is verdict


@pytest.mark.parametrize(("cuda", "verdict"), [("11.1", RUNS), ("11.0", REFUSED), ("12.0", RUNS), ("10.2", REFUSED)])
def test_live_wsl_host_is_judged_by_the_cuda_of_its_driver_and_by_no_number(cuda: str, verdict: Verdict) -> None:
    for driver in ("1.0", "999.0"):
        host = live(driver, (gpu(),), wsl=True, cuda=cuda)
        assert only(rules.driver_native(image("20.12-tf1-py3"), host, shipped())).verdict is verdict


def test_live_wsl_host_whose_cuda_could_not_be_read_is_unknown() -> None:
    host = live("999.0", (gpu(),), wsl=True, cuda=UNREAD)
    assert only(rules.driver_native(image("20.12-tf1-py3"), host, shipped())).verdict is UNKNOWN
    ruling = rules.minor_version_compat(image("20.12-tf1-py3"), host, shipped(), needs_jit=False)
    assert ruling.verdict is UNKNOWN
    assert judge(image("20.12-tf1-py3"), host, shipped()).verdict is UNKNOWN


# --- rule 5: forward compatibility ---

T4 = gpu("7.5", data_center="yes")


@pytest.mark.parametrize(
    ("tag", "driver", "verdict", "said"),
    [
        ("23.01-tf1-py3", "510.47", FORWARD, "is on the image's list"),
        ("23.01-tf1-py3", "510.46.99", REFUSED, "listed for forward compatibility from 510.47 on"),
        ("23.01-tf1-py3", "510.39.01", REFUSED, "510.39.01 is older"),
        ("23.01-tf1-py3", "470.57", FORWARD, "is on the image's list"),
        ("23.01-tf1-py3", "470.56", REFUSED, "from 470.57 on"),
        ("23.01-tf1-py3", "515.65.01", FORWARD, "is on the image's list"),
        ("23.01-tf1-py3", "520.61.05", REFUSED, "a newer branch is not a better one here"),
        ("23.01-tf1-py3", "440.118", REFUSED, "branch 440 is not on the image's list"),
        ("18.10-py3", "384.111", FORWARD, "is on the image's list"),
        ("18.10-py3", "390.46", REFUSED, "a newer branch is not a better one here"),
        ("18.10-py3", "396.82", REFUSED, "a newer branch is not a better one here"),
        ("20.03-tf1-py3", "384.111", FORWARD, "is on the image's list"),
        ("20.03-tf1-py3", "384.110", REFUSED, "from 384.111 on"),
        # 418 and 440 end with 22.03, 450 and 510 with 23.12
        ("22.03-tf1-py3", "418.40", FORWARD, "is on the image's list"),
        ("22.05-tf1-py3", "418.40", REFUSED, "branch 418 is not on the image's list"),
        ("23.12-tf2-py3", "450.51", FORWARD, "is on the image's list"),
        ("24.01-tf2-py3", "450.51", REFUSED, "branch 450 is not on the image's list"),
        ("18.08-py3", "375.26", REFUSED, "list no driver for forward compatibility"),
        # no list of its own: by its CUDA, from the numbers that other images name
        ("23.10-tf2-py3", "510.47.03", FORWARD, "(derived: the image's own list is not known)"),
        ("23.10-tf2-py3", "510.46", UNKNOWN, "other images take it from 510.47 on"),
        ("23.10-tf2-py3", "520.61.05", REFUSED, "does not take branch 520 (derived)"),
        ("24.09-tf2-py3", "545.23.08", UNKNOWN, "the sources contradict each other"),
        ("24.09-tf2-py3", "495.44", UNKNOWN, "takes branch 495: not known"),
        ("17.12", "375.26", REFUSED, "begins with 10.0"),
    ],
)
def test_forward_compatibility_wants_a_listed_branch_and_its_number(
    tag: str, driver: str, verdict: Verdict, said: str
) -> None:
    reason = only(rules.forward_compat(image(tag), T4, live(driver, (T4,)), shipped()))
    assert reason.verdict is verdict
    assert said in reason.detail


@pytest.mark.parametrize(("data_center", "verdict"), [("yes", FORWARD), ("ngc-ready", FORWARD), ("no", REFUSED)])
def test_forward_compatibility_is_for_data_centre_gpus(data_center: str, verdict: Verdict) -> None:
    card = gpu("7.5", data_center=data_center)
    reason = only(rules.forward_compat(image("23.01-tf1-py3"), card, live("515.65.01", (card,)), shipped()))
    assert reason.verdict is verdict
    assert ("CUDA error 804" in reason.detail) == (verdict is REFUSED)


def test_unknown_product_leaves_forward_compatibility_unknown_only_where_the_branch_would_do() -> None:
    card = gpu("7.5", data_center=UNREAD)
    listed = rules.forward_compat(image("23.01-tf1-py3"), card, live("515.65.01", (card,)), shipped())
    assert only(listed).verdict is UNKNOWN
    unlisted = rules.forward_compat(image("23.01-tf1-py3"), card, live("520.61.05", (card,)), shipped())
    assert only(unlisted).verdict is REFUSED


def test_bare_capability_says_what_a_data_centre_gpu_would_change() -> None:
    host = named("470.103.01", "8.0")
    reason = only(rules.forward_compat(image("23.01-tf1-py3"), first_gpu(host), host, shipped()))
    assert reason.verdict is REFUSED
    assert "a data-centre GPU of this capability could use it" in reason.detail
    host = named("460.91.03", "8.0")
    reason = only(rules.forward_compat(image("23.01-tf1-py3"), first_gpu(host), host, shipped()))
    assert "could use it" not in reason.detail


def test_no_forward_compatibility_on_wsl() -> None:
    host = named("470.57", "T4", wsl=True)
    reason = only(rules.forward_compat(image("23.01-tf1-py3"), first_gpu(host), host, shipped()))
    assert reason.verdict is REFUSED
    assert "WSL" in reason.detail


def test_number_in_the_table_by_cuda_counts_too() -> None:
    nothing = Provenance(source=(), checked="", confidence="high", note="")
    row = ForwardRow(cuda=CudaVersion("12.2"), branches=drivers("600.5"), refused=(), disputed=(), provenance=nothing)
    matrix = replace(shipped(), forward=(row,), images=(image("23.10-tf2-py3")._replace(forward_compat=None),))
    for driver, verdict in (("600.5", FORWARD), ("600.4", UNKNOWN)):
        ruling = rules.forward_compat(matrix.images[0], T4, live(driver, (T4,)), matrix)
        assert ruling.verdict is verdict


# --- rule 6: minor-version compatibility ---


@pytest.mark.parametrize(
    ("tag", "driver", "verdict"),
    [
        ("21.10-tf1-py3", "450.80.02", MINOR),
        ("21.10-tf1-py3", "450.80.01", REFUSED),
        ("21.10-tf1-py3", "455.23", MINOR),
        ("24.05-tf2-py3", "525.60.13", MINOR),
        ("24.05-tf2-py3", "525.60.12", REFUSED),
        ("24.05-tf2-py3", "470.82.01", REFUSED),
        ("20.03-tf1-py3", "440.26", REFUSED),
        ("17.01", "999.1", UNKNOWN),
    ],
)
def test_minor_version_compatibility_begins_at_the_floor_of_its_cuda_major(
    tag: str, driver: str, verdict: Verdict
) -> None:
    ruling = rules.minor_version_compat(image(tag), live(driver, (gpu(),)), shipped(), needs_jit=False)
    assert only(ruling).verdict is verdict


def test_floor_of_cuda_13_is_the_driver_of_13_0() -> None:
    row = image("25.02-tf2-py3")._replace(cuda=CudaVersion("13.1.0"), bundled_driver=None)
    for driver, verdict in (("580.65.06", MINOR), ("580.65.05", REFUSED)):
        ruling = rules.minor_version_compat(row, live(driver, (gpu(),)), shipped(), needs_jit=False)
        assert ruling.verdict is verdict


@pytest.mark.parametrize(
    ("tag", "driver", "verdict"),
    [
        ("21.10-tf1-py3", "452.39", MINOR),
        ("21.10-tf1-py3", "452.38", REFUSED),
        ("24.05-tf2-py3", "527.41", MINOR),
        ("24.05-tf2-py3", "527.40", REFUSED),
    ],
)
def test_windows_has_floors_of_its_own(tag: str, driver: str, verdict: Verdict) -> None:
    host = named(driver, "RTX 2080", wsl=True)
    assert only(rules.minor_version_compat(image(tag), host, shipped(), needs_jit=False)).verdict is verdict


def test_windows_floor_that_nobody_names_is_unknown() -> None:
    row = image("25.02-tf2-py3")._replace(cuda=CudaVersion("13.1.0"), bundled_driver=None)
    host = named("581.15", "RTX 4090", wsl=True)
    assert only(rules.minor_version_compat(row, host, shipped(), needs_jit=False)).verdict is UNKNOWN


@pytest.mark.parametrize(("cuda", "verdict"), [("11.0", MINOR), ("10.2", REFUSED)])
def test_live_wsl_host_wants_the_same_cuda_major(cuda: str, verdict: Verdict) -> None:
    host = live("1.0", (gpu(),), wsl=True, cuda=cuda)
    ruling = rules.minor_version_compat(image("21.10-tf1-py3"), host, shipped(), needs_jit=False)
    assert only(ruling).verdict is verdict


@pytest.mark.parametrize(("cuda", "verdict"), [("10.2", REFUSED), ("14.0", UNKNOWN), ("99.0", UNKNOWN)])
def test_minor_version_compatibility_of_a_cuda_that_came_after_the_table_is_not_denied(
    cuda: str, verdict: Verdict
) -> None:
    row = image("25.02-tf2-py3")._replace(cuda=CudaVersion(cuda), bundled_driver=DriverVersion("700.10"))
    host = live("690.10", (gpu(),))
    assert only(rules.minor_version_compat(row, host, shipped(), needs_jit=False)).verdict is verdict
    assert judge(row, host, shipped()).verdict is verdict


def test_reasons_are_explained_by_name() -> None:
    """Every rule that gives a reason is named where Reason.rule is described."""
    told = (Path(rules.__file__).parent / "verdicts.py").read_text(encoding="utf-8").partition("class Ruling")[0]
    said = "".join((Path(rules.__file__).parent / f"{name}.py").read_text(encoding="utf-8") for name in _ASKING)
    named = set(re.findall(r'(?:Ruling\.of\([^")]*|rule=)"([a-z_]+)"', said)) | {requirement.RULE}
    assert len(named) == 13
    assert {name for name in named if not re.search(rf"\b{name}\b", told)} == set()


_ASKING = ("rules", "resolve", "image", "requirement")


def test_minor_version_compatibility_refuses_what_has_to_be_compiled() -> None:
    row, card = image("22.08-tf1-py3"), gpu("9.0")
    ruling = rules.minor_version_compat(row, live("470.82.01", (card,)), shipped(), needs_jit=True)
    assert only(ruling).verdict is REFUSED
    assert "error 222" in only(ruling).detail
    # the same driver would do for a GPU with native code, and a native driver would compile
    assert judge_gpu(row, gpu("8.6"), live("470.82.01", (gpu("8.6"),)), shipped()).verdict is MINOR
    assert judge_gpu(row, card, live("470.82.01", (card,)), shipped()).verdict is REFUSED
    assert judge_gpu(row, card, live("515.65.01", (card,)), shipped()).verdict is JIT


@pytest.mark.parametrize(
    ("tag", "name", "driver", "verdict"),
    [
        # 2.17 holds PTX 8.3 for the element-wise kernels on 9.0, as new as its CUDA 12.3
        ("2.17.0-gpu", "9.0", "530.30.02", REFUSED),
        ("2.17.0-gpu", "9.0", "545.23.06", RUNS),
        ("2.17.0-gpu", "9.0", "544.99", REFUSED),
        # a data-centre board may use the libcuda of 12.3, on the branches that it takes: of 530 nobody knows
        ("2.17.0-gpu", "H100", "535.104.05", FORWARD),
        ("2.17.0-gpu", "H100", "530.30.02", UNKNOWN),
        ("2.17.0-gpu", "H100", "520.61.05", REFUSED),
        # other GPUs have native code for them, and the PTX of 2.16 is no newer than CUDA 12.0
        ("2.17.0-gpu", "L4", "530.30.02", MINOR),
        ("2.17.0-gpu", "RTX 3090", "530.30.02", MINOR),
        ("2.16.2-gpu", "H100", "530.30.02", MINOR),
        ("2.14.0-gpu", "RTX 3090", "470.82.01", MINOR),
    ],
)
def test_kernels_that_are_ptx_alone_want_a_driver_as_new_as_their_cuda(
    tag: str, name: str, driver: str, verdict: Verdict
) -> None:
    ruling = judge(image(tag), named(driver, name), shipped())
    assert ruling.verdict is verdict
    refused = [one.detail for one in ruling.gpus[0].reasons if one.rule == "minor_version_compat"]
    assert any("error 222" in detail for detail in refused) == (verdict in (REFUSED, UNKNOWN) and driver > "525")


def test_forward_compatibility_compiles_because_it_brings_the_newer_libcuda() -> None:
    card = gpu("9.0", data_center="yes")
    assert judge_gpu(image("22.08-tf1-py3"), card, live("470.82.01", (card,)), shipped()).verdict is JIT


# --- the rules together ---


def rules_asked(ruling: ImageRuling) -> list[str]:
    return [reason.rule for one in ruling.gpus for reason in one.reasons]


def test_roads_of_the_driver_are_tried_in_order_and_the_first_that_works_ends_the_search() -> None:
    row = image("22.12-tf1-py3")
    native = judge(row, live("520.61.05", (T4,)), shipped())
    assert rules_asked(native) == ["gpu_code", "driver_native"]
    forward = judge(row, live("470.82.01", (T4,)), shipped())
    assert (forward.verdict, rules_asked(forward)) == (FORWARD, ["gpu_code", "driver_native", "forward_compat"])
    minor = judge(row, live("470.82.01", (gpu("7.5"),)), shipped())
    every = ["gpu_code", "driver_native", "forward_compat", "minor_version_compat"]
    assert (minor.verdict, rules_asked(minor)) == (MINOR, every)
    none = judge(row, live("440.33", (gpu("7.5"),)), shipped())
    assert (none.verdict, rules_asked(none)) == (REFUSED, every)


def test_rule_that_decides_does_so_though_another_cell_is_unknown() -> None:
    # below the floor, though nobody knows what CUDA it holds
    row = image("24.12-tf2-py3")._replace(cuda=None, built_for=None, bundled_driver=None, forward_compat=None)
    assert judge(row, live("560.35.05", (gpu("3.5"),)), shipped()).verdict is REFUSED
    # no code, though nobody knows the floor, nor anything of its neighbours
    alone = replace(shipped(), images=(image("17.09"),))
    assert judge(image("17.09"), live("535.54.03", (gpu("8.6"),)), alone).verdict is REFUSED
    assert judge(image("17.09"), live("535.54.03", (gpu("6.0"),)), alone).verdict is UNKNOWN
    assert judge(image("17.09"), live("535.54.03", (gpu("8.6"),)), shipped()).verdict is REFUSED
    # no code, though the driver was not read
    assert judge(image("20.03-tf1-py3"), live(UNREAD, (gpu("8.6"),)), shipped()).verdict is REFUSED
    # no image for the processor, though the GPUs were not read
    host = live("535.54.03", UNREAD, architecture="riscv64")
    assert judge(image("22.12-tf1-py3"), host, shipped()).verdict is REFUSED


@pytest.mark.parametrize(
    ("host", "rule", "verdict"),
    [
        (live(UNREAD, (gpu(),)), "driver_native", UNKNOWN),
        (live("535.54.03", UNREAD), "gpu_range", UNKNOWN),
        (live("535.54.03", (gpu(UNREAD),)), "gpu_range", UNKNOWN),
        (live("535.54.03", ()), "gpu_range", REFUSED),
    ],
)
def test_what_could_not_be_read_is_unknown_and_no_gpu_is_none(host: Host, rule: str, verdict: Verdict) -> None:
    ruling = judge(image("22.12-tf1-py3"), host, shipped())
    assert ruling.verdict is verdict
    reasons = (*ruling.reasons, *(reason for one in ruling.gpus for reason in one.reasons))
    assert (rule, verdict) in [(reason.rule, reason.verdict) for reason in reasons]


def test_worst_gpu_decides_and_each_has_its_own_verdict() -> None:
    cards = (gpu("8.6", index=0), gpu("5.2", index=1), gpu("3.5", index=2))
    ruling = judge(image("22.12-tf1-py3"), live("525.60.13", cards), shipped())
    assert [one.verdict for one in ruling.gpus] == [RUNS, UNSUPPORTED, REFUSED]
    assert ruling.verdict is REFUSED
    fewer = judge(image("22.12-tf1-py3"), live("525.60.13", cards[:2]), shipped())
    assert fewer.verdict is UNSUPPORTED


def test_driver_of_a_jetson_is_not_judged_by_branches() -> None:
    host = live("540.3", (gpu("8.7"),), architecture="aarch64", jetson=True)
    ruling = judge(image("25.02-tf2-py3-igpu"), host, shipped())
    assert ruling.verdict is UNKNOWN
    assert any("JetPack" in reason.detail for reason in ruling.gpus[0].reasons)


@pytest.mark.parametrize(
    ("tag", "architecture", "verdict"),
    [
        ("22.12-tf1-py3", "x86_64", RUNS),
        ("21.06-tf1-py3", "aarch64", REFUSED),
        ("25.02-tf2-py3-igpu", "x86_64", REFUSED),
    ],
)
def test_without_gpus_only_the_platform_is_asked(tag: str, architecture: str, verdict: Verdict) -> None:
    host = live(UNREAD, UNREAD, architecture=architecture)
    ruling = judge(image(tag), host, shipped(), cpu_only=True)
    assert ruling.verdict is verdict
    assert "cpu_only" in [reason.rule for reason in ruling.reasons]


def test_every_reason_has_a_sentence_and_a_source() -> None:
    hosts = (
        named("455.45.01", "RTX 3090"),
        named("470.57.02", "T4", "GTX 1080"),
        live(Unread(source="nvml", why=Why.ABSENT, detail="no library"), (gpu(), gpu(UNREAD, index=1))),
    )
    for host in hosts:
        for row in shipped().images:
            ruling = judge(row, host, shipped())
            for reason in (*ruling.reasons, *(reason for one in ruling.gpus for reason in one.reasons)):
                assert reason.source, (row.tag, reason)
                assert reason.detail, (row.tag, reason)
                assert not reason.detail.endswith("."), reason.detail


def bundled(row: ImageRow, *, windows: bool = False) -> str:
    return str(rules.bundled_driver(row, shipped(), windows=windows))


def test_bundled_driver_is_the_images_own_else_that_of_its_cuda() -> None:
    assert bundled(image("20.12-tf1-py3")) == "455.32"
    assert bundled(image("19.12-tf1-py3")) == "440.30"
    assert bundled(image("20.12-tf1-py3"), windows=True) == "456.81"
    assert bundled(image("17.01")) == "None"
