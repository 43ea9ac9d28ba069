"""The choice among the images, why there is none, and what would help."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from gpudoctor import host as hosts
from gpudoctor.errors import InputError
from gpudoctor.host import Host
from gpudoctor.matrix import ImageRow, Matrix, Provenance
from gpudoctor.readings import Unread
from gpudoctor.resolve import Candidate, Request, Resolution, resolve, runnable, tf_matcher
from gpudoctor.rules import judge
from gpudoctor.verdicts import Verdict
from gpudoctor.versions import ComputeCapability, DriverVersion, TfVersion
from tests.hosts import UNREAD, gpu, live, named, shipped
from tests.test_matrix import SMALL

RTX_3090 = named("455.45.01", "RTX 3090")


def tags(candidates: tuple[Candidate, ...], verdict: Verdict | None = None) -> list[str]:
    return [one.image.tag for one in candidates if verdict is None or one.verdict is verdict]


def ask(host: Host, *, tf: str | None = None, tag: str | None = None, python: str | None = None) -> Resolution:
    return resolve(Request(tf=tf, tag=tag, python=python), host, shipped())


# --- what --tf means ---


@pytest.mark.parametrize(
    ("spec", "fits", "does_not"),
    [
        ("1.15", ("1.15.0", "1.15.5", "1.15"), ("1.14.0", "1.1.5", "1.150", "2.15")),
        ("1.15.5", ("1.15.5",), ("1.15.4", "1.15.50")),
        ("2", ("2.0.0", "2.17.0", "2"), ("1.2", "12.0")),
        ("2.1", ("2.1.0", "2.1.3"), ("2.10.0", "2.17.0")),
        ("2.10", ("2.10.0", "2.10.1"), ("2.1.0", "2.1.10")),
        ("2.0", ("2.0.0", "2"), ("2.1",)),
        ("1.15.*", ("1.15.5",), ("1.14.0",)),
        (" 1.15 ", ("1.15.5",), ("1.14.0",)),
        ("1.12.0-rc2", ("1.12.0-rc2",), ("1.12.0", "1.12.0-rc1")),
        ("1.12", ("1.12.0", "1.12.0-rc2"), ("1.1.2",)),
        ("latest", ("0.12.0-dev", "2.17.0"), ()),
        (">=2.10,<2.13", ("2.10.0", "2.12.0"), ("2.9.1", "2.13.0")),
        ("~=1.15.0", ("1.15.0", "1.15.5"), ("1.16.0", "2.0")),
        ("==1.15.*", ("1.15.5",), ("1.14.0",)),
        ("!=2.3.1", ("2.3.0",), ("2.3.1",)),
        # a row that names no patch may hold any
        ("2.4.1", ("2.4.1", "2.4"), ("2.4.0", "2.3", "2.4.0-rc1")),
        ("2.4.0-rc1", ("2.4.0-rc1",), ("2.4", "2.4.0")),
        ("==2.4.1", ("2.4",), ("2.3", "2.5")),
        (">2.4.1", ("2.4", "2.5"), ("2.3",)),
        (">=2.4,<2.5", ("2.4",), ("2.5",)),
        (">1.12", ("1.13.1",), ("1.12.0-rc2", "1.12.0")),
    ],
)
def test_tf_takes_what_people_type(spec: str, fits: tuple[str, ...], does_not: tuple[str, ...]) -> None:
    matches = tf_matcher(spec)
    assert [text for text in fits if not matches(TfVersion(text))] == []
    assert [text for text in does_not if matches(TfVersion(text))] == []


@pytest.mark.parametrize(
    "spec",
    ["banana", "", " ", ">=", "=", "==", "<", ">=x", "1.15.5.1", "1..15", "v2", "*", "2.x", "-1", ">=2.10 <2.13",
     "1,15", "latest,2", "²", ">=" + "1" * 5000, "1" * 5000],
)  # fmt: skip
def test_tf_that_means_nothing_is_refused_with_examples(spec: str) -> None:
    with pytest.raises(InputError) as refused:
        tf_matcher(spec)
    assert "2.10,<2.13" in refused.value.hint
    assert refused.value.exit_code == 2
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("python", ["banana", "3", "3.8.10", "", "3.", "３.８"])
def test_python_that_is_no_x_y_is_refused(python: str) -> None:
    with pytest.raises(InputError, match=r"expected X\.Y"):
        ask(RTX_3090, tf="1.15", python=python)


# --- the choice ---


def test_rtx_3090_on_455_gets_tensorflow_1_15_natively_from_20_10_to_20_12_newest_first() -> None:
    resolution = ask(RTX_3090, tf="1.15")
    assert resolution.verdict is Verdict.RUNS
    assert resolution.best is resolution.candidates[0]
    assert tags(resolution.candidates, Verdict.RUNS) == ["20.12-tf1-py3", "20.11-tf1-py3", "20.10-tf1-py3"]
    assert tags(resolution.candidates, Verdict.RUNS_UNSUPPORTED) == [
        f"20.{month}-tf1-py3" for month in ("09", "08", "07", "06")
    ]
    assert set(tags(resolution.candidates, Verdict.RUNS_WITH_MINOR_VERSION_COMPAT)) >= {
        f"22.{month:02}-tf1-py3" for month in range(1, 13)
    }
    refused = [one for one in resolution.candidates if one.verdict is Verdict.WILL_NOT_RUN]
    assert set(tags(tuple(refused))) >= {"23.03-tf1-py3", "23.01-tf1-py3", "20.03-tf1-py3", "19.11-tf1-py2"}
    for one in refused:
        reasons = [reason for reason in one.all_reasons if reason.verdict is Verdict.WILL_NOT_RUN]
        assert reasons, one.image.tag
    assert resolution.advice == ()


def test_candidates_stand_by_verdict_then_sure_rows_then_release_then_python() -> None:
    for host in (RTX_3090, named("535.104.05", "A100"), named("418.87", "P100"), live("470.82.01", (gpu(UNREAD),))):
        for spec in ("1", "2", "latest", ">=1.14"):
            candidates = ask(host, tf=spec).candidates
            ranks = [one.verdict.rank for one in candidates]
            assert ranks == sorted(ranks)
            for verdict in Verdict:
                same = [one for one in candidates if one.verdict is verdict]
                assert [one.confidence == "low" for one in same] == sorted(one.confidence == "low" for one in same)
                sure = [one.image.release_key for one in same if one.confidence != "low"]
                assert sure == sorted(sure, reverse=True)


def test_python_3_comes_before_python_2_of_the_same_release() -> None:
    ordered = tags(ask(named("440.33", "T4"), tf="1.15").candidates)
    assert ordered.index("20.01-tf1-py3") + 1 == ordered.index("20.01-tf1-py2")


def test_newest_tensorflow_comes_first_within_a_release() -> None:
    ordered = tags(ask(named("520.61.05", "T4"), tf=">=1.15").candidates)
    assert ordered.index("22.12-tf2-py3") < ordered.index("22.12-tf1-py3")


def test_row_of_low_confidence_loses_to_a_sure_one_of_the_same_verdict() -> None:
    row = ask(named("560.35.05", "RTX 4090"), tf="2.15").candidates
    assert row[0].confidence != "low"
    assert {one.confidence for one in row if one.verdict is row[0].verdict} >= {"low"}


def test_latest_is_the_newest_minor_that_runs() -> None:
    assert best(ask(named("570.124.06", "RTX 5090"), tf="latest")) == "25.02-tf2-py3"
    assert best(ask(named("580.65.06", "GTX 1080"), tf="latest")) == "24.12-tf2-py3"
    assert best(ask(named("455.45.01", "RTX 3090"), tf="latest")) == "22.12-tf2-py3"
    held = {one.image.tensorflow for one in ask(RTX_3090, tf="latest").candidates}
    assert {version.minor for version in held if version is not None} == {(2, 10)}


def test_latest_where_nothing_runs_is_the_newest_there_is() -> None:
    resolution = ask(live("570.1", ()), tf="latest")
    assert resolution.best is None
    assert {str(one.image.tensorflow) for one in resolution.candidates} == {"2.17.0"}


def test_nothing_asked_is_latest() -> None:
    for tf in (None, " latest "):
        assert tags(ask(RTX_3090, tf=tf).candidates) == tags(ask(RTX_3090, tf="latest").candidates)


def best(resolution: Resolution) -> str | None:
    return None if resolution.best is None else resolution.best.image.tag


def test_unknown_is_never_best() -> None:
    for host in (live(UNREAD, (gpu(),)), live("535.54.03", UNREAD), live("535.54.03", (gpu(UNREAD),))):
        resolution = ask(host, tf="1.15")
        assert resolution.best is None
        assert resolution.verdict is Verdict.UNKNOWN


def test_python_narrows_the_candidates() -> None:
    resolution = ask(RTX_3090, tf="1.15", python="3.6")
    assert {one.image.python for one in resolution.candidates} == {"3.6"}
    assert best(resolution) == "20.11-tf1-py3"


def test_tag_is_judged_alone_though_its_tensorflow_is_unknown() -> None:
    resolution = ask(named("560.35.05", "RTX 4090"), tag="24.11-tf2-py3")
    assert tags(resolution.candidates) == ["24.11-tf2-py3"]
    assert resolution.best is not None


def test_reference_names_the_registry_that_was_asked_for() -> None:
    resolution = resolve(Request(tag="20.12-tf1-py3", registry="localhost:5000/mirror"), RTX_3090, shipped())
    assert resolution.candidates[0].reference == "localhost:5000/mirror/tensorflow:20.12-tf1-py3"


def test_cpu_alone_needs_no_gpu_and_no_driver() -> None:
    resolution = resolve(Request(tf="1.15", gpus="none"), live(UNREAD, UNREAD), shipped())
    assert best(resolution) is not None
    assert resolution.best is not None
    assert resolution.best.confidence != "low"


# --- a row that names no patch ---


def unsure(resolution: Resolution) -> list[str]:
    return [one.image.tag for one in resolution.candidates if "tensorflow" in {why.rule for why in one.reasons}]


A100 = named("535.104.05", "A100")


@pytest.mark.parametrize("tf", ["2.4.0", "==2.4.0", "2.4.*", "2.4", "~=2.4.0", ">=2.4,<2.5", "!=2.4.1,==2.4.*"])
def test_patch_that_a_row_names_is_chosen_before_rows_that_name_none(tf: str) -> None:
    resolution = ask(A100, tf=tf)
    any_patch = tf in ("2.4.*", "2.4", "~=2.4.0", ">=2.4,<2.5")
    assert best(resolution) == ("21.05-tf2-py3" if any_patch else "21.03-tf2-py3")
    assert unsure(resolution) == ([] if any_patch else ["21.05-tf2-py3", "21.04-tf2-py3", "21.02-tf2-py3"])
    for one in resolution.candidates:
        assert (one.verdict is Verdict.UNKNOWN) == (one.image.tag in unsure(resolution))


@pytest.mark.parametrize("tf", ["2.4.1", "==2.4.1", ">2.4.0,<2.4.2"])
def test_patch_that_no_row_names_is_unknown_and_says_how_to_ask_for_any(tf: str) -> None:
    resolution = ask(A100, tf=tf)
    assert (resolution.best, resolution.verdict) == (None, Verdict.UNKNOWN)
    assert tags(resolution.candidates) == ["21.05-tf2-py3", "21.04-tf2-py3", "21.02-tf2-py3"]
    (why,) = (reason for reason in resolution.candidates[0].reasons if reason.rule == "tensorflow")
    assert why.verdict is Verdict.UNKNOWN
    assert f"whether that is {tf} is not known; --tf 2.4 takes any of them" in why.detail
    # no driver tells which patch it is, but a neighbour runs
    assert [advice.driver for advice in resolution.advice] == [None]
    assert ask(named("418.40", "RTX 2080"), tf=tf).verdict is Verdict.WILL_NOT_RUN


def test_patch_that_tensorflows_own_image_surely_holds_is_chosen_before_nvidias_that_may_hold_it() -> None:
    resolution = ask(A100, tf="2.5.3")
    assert best(resolution) == "2.5.3-gpu"
    assert unsure(resolution) == ["21.08-tf2-py3", "21.07-tf2-py3"]


# --- hosts of one kind ---


def renamed(host: Host, *names: str) -> Host:
    """The same kind of machine elsewhere: its GPUs have other UUIDs and places."""
    assert not isinstance(host.gpus, Unread)
    return replace(
        host,
        gpus=tuple(
            replace(host.gpus[number % len(host.gpus)], subject=name, index=10 + number)
            for number, name in enumerate(names)
        ),
    )


def test_hosts_of_one_kind_have_the_same_answer_about_their_own_gpus() -> None:
    mixed = live("535.54.03", (gpu("8.6", index=0), gpu("5.2", index=1)))
    for names in (("a", "b"), ("c", "d", "e", "f"), ("g", "h")):
        host = renamed(mixed, *names)
        resolution = ask(host, tf="1.15")
        assert resolution.host is host
        assert resolution.best is not None
        assert any(resolution.best is one for one in resolution.candidates)
        for one in resolution.candidates:
            assert [ruling.gpu for ruling in one.gpus] == list(host.gpus if not isinstance(host.gpus, Unread) else ())
            ruling = judge(one.image, host, shipped())
            assert (one.verdict, one.reasons, one.gpus) == (ruling.verdict, ruling.reasons, ruling.gpus)


def test_driver_is_shown_as_it_was_written_though_another_spelling_was_asked_before() -> None:
    for driver in ("455.45.01", "455.45.1", "455.45.01.0"):
        (candidate,) = ask(live(driver, (gpu(),)), tag="20.12-tf1-py3").candidates
        assert any(f"driver {driver} is as new as" in reason.detail for reason in candidate.all_reasons)


def test_answers_of_one_matrix_are_not_given_for_another() -> None:
    row = next(image for image in shipped().images if image.tag == "20.12-tf1-py3")
    site = replace(shipped(), images=(row._replace(bundled_driver=DriverVersion("999")),))
    for _ in range(2):
        assert resolve(Request(tag=row.tag), RTX_3090, shipped()).verdict is Verdict.RUNS
        assert resolve(Request(tag=row.tag), RTX_3090, site).verdict is Verdict.RUNS_WITH_MINOR_VERSION_COMPAT


def test_memory_does_not_grow_with_the_number_of_hosts_and_kinds() -> None:
    def ask_about(kinds: range) -> int:
        for number in kinds:
            ask(live(f"535.{number}", (gpu(),)), tag="22.12-tf1-py3")
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = ask_about(range(1000))
        late = ask_about(range(1000, 4000))
    finally:
        tracemalloc.stop()
    # 3000 more answers of some 5 kB each would be 15 MB.
    assert late - early < 200_000


# --- no such image ---


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(tf="2.22"), "holds TensorFlow 2.22; nearest: 2.21"),
        (Request(tf="9"), "holds TensorFlow 9; nearest: 2.21"),
        (Request(tf="1.16"), "holds TensorFlow 1.16; nearest: 1.15, 2.0"),
        (Request(tf=">=2.22,<3"), "nearest: 2.21"),
        (Request(tf="0.9"), "nearest: 0.12"),
        (Request(tf="1.15.9"), "holds TensorFlow 1.15.9; nearest: 1.15"),
        (Request(tag="22.13-tf1-py3"), "no tag '22.13-tf1-py3' in the matrix; the nearest: 22.1"),
        (Request(tag="zzz"), "no tag 'zzz' in the matrix; the nearest: none"),
        (Request(tag="20.12-tf1-py3", python="3.6"), "20.12-tf1-py3 does not hold Python 3.6"),
        (Request(tf="1.15", python="3.11"), "TensorFlow 1.15 comes with Python 2.7, 3.6, 3.8, not with 3.11"),
        (Request(tf="1.2", python="3.6"), "TensorFlow 1.2 comes with a Python that is not known, not with 3.6"),
        (Request(python="3.5", tf="2"), "not with 3.5"),
        (Request(python="3.3"), "TensorFlow latest comes with Python 2.7, "),
    ],
)
def test_no_such_image_says_what_is_nearest(request_: Request, message: str) -> None:
    resolution = resolve(request_, RTX_3090, shipped())
    assert resolution.verdict is Verdict.NO_SUCH_IMAGE
    assert resolution.candidates == ()
    assert resolution.best is None
    assert message in resolution.message


def test_matrix_without_images_has_no_such_image() -> None:
    empty = replace(shipped(), images=(), upstream_images=())
    for request in (Request(tf="1.15"), Request(tag="x"), Request(), Request(python="3.8")):
        resolution = resolve(request, RTX_3090, empty)
        assert resolution.verdict is Verdict.NO_SUCH_IMAGE
        assert resolution.message
        assert resolution.advice == ()


def test_unknown_tag_gets_no_advice_about_a_tensorflow_that_nobody_asked_for() -> None:
    assert ask(RTX_3090, tag="22.13-tf1-py3").advice == ()


# --- advice ---


def advised_drivers(resolution: Resolution) -> list[str]:
    return [str(advice.driver) for advice in resolution.advice if advice.driver is not None]


@pytest.mark.parametrize(
    ("host", "tf", "driver", "unlocks", "nearest"),
    [
        # the floor of CUDA 12 is less than the toolkit's own driver
        (named("470.82.01", "RTX 3090"), "2.17", "525.60.13", "25.02-tf2-py3", "22.12-tf2-py3"),
        # a data-centre GPU has a nearer road: a listed branch
        (named("460.91.03", "T4"), "2.17", "470.57", "25.02-tf2-py3", "22.12-tf2-py3"),
        # before CUDA 11 there is but the toolkit's own driver
        (named("390.46", "GTX 1080"), "1.14", "410.48", None, "18.08-py3"),
        # the driver has dropped the GPU: an older one is the advice, never a newer
        (named("590.48.01", "GTX 1080"), "1.15", "580", "23.03-tf1-py3", None),
        # the product came later than its generation
        (named("515.65.01", "L4"), "1.15", "525", "22.12-tf1-py3", None),
        # the very next number
        (named("525.60.12", "RTX 3090"), "2.17", "525.60.13", "25.02-tf2-py3", "23.02-tf2-py3"),
        # dropped, though there are newer drivers to think of
        (named("495.44", "Tesla K80"), "1.3", "470", "17.10", None),
    ],
)
def test_advice_names_the_least_driver_and_the_nearest_tensorflow(
    host: Host, tf: str, driver: str, unlocks: str | None, nearest: str | None
) -> None:
    resolution = ask(host, tf=tf)
    assert resolution.best is None
    if unlocks is not None:
        assert advised_drivers(resolution) == [driver]
        (advice,) = (one for one in resolution.advice if one.driver is not None)
        assert unlocks in advice.unlocks
        assert advice.unlocks[0] in advice.text
        named = f"driver {driver} or newer of branch" if "." in driver else f"a driver of branch {driver}"
        assert named in advice.text
    own = {image.tag for image in shipped().upstream_images}
    as_it_is = [one.unlocks for one in resolution.advice if one.driver is None and one.unlocks[0] not in own]
    assert as_it_is == ([] if nearest is None else [(nearest,)])


def test_tensorflows_own_image_is_named_too_where_it_is_nearer_than_nvidias() -> None:
    # NVIDIA's left Kepler behind with 18.x, TensorFlow's own are built for 3.7 up to 2.10.
    k80 = [one for one in ask(named("470.256.02", "Tesla K80"), tf="1.15").advice if one.driver is None]
    assert [one.unlocks for one in k80] == [("17.10",), ("1.15.5-gpu-py3",)]
    assert "1.15.5-gpu-py3, TensorFlow's own image, with TensorFlow 1.15.5 runs" in k80[1].text
    for one in k80:
        kept = ask(named("470.256.02", "Tesla K80"), tag=one.unlocks[0])
        assert kept.best is not None
    t4 = [one.unlocks for one in ask(named("550.54.14", "T4"), tf="2.18").advice if one.driver is None]
    assert t4 == [("25.02-tf2-py3",)]
    python = resolve(Request(tf="1.15", python="2.7"), named("470.256.02", "Tesla K80"), shipped())
    assert "1.15.5-gpu-py3" not in [tag for one in python.advice for tag in one.unlocks]


def test_advice_for_latest_looks_beyond_the_newest_tensorflow() -> None:
    resolution = ask(named("495.44", "Tesla K80"), tf="latest")
    assert {str(one.image.tensorflow) for one in resolution.candidates} == {"2.17.0"}
    assert advised_drivers(resolution) == ["470"]


def test_image_for_no_driver_in_the_world_gets_no_driver_advice() -> None:
    resolution = ask(named("570.124.06", "RTX 5090"), tf="1.15")
    assert advised_drivers(resolution) == []
    assert [one.unlocks for one in resolution.advice] == [("25.02-tf2-py3",)]


def test_advice_never_names_a_driver_that_drops_a_gpu_which_todays_driver_lists() -> None:
    row = next(image for image in shipped().images if image.tag == "23.01-tf1-py3")
    kepler = ComputeCapability("3.5")
    row = row._replace(min_capability=kepler, built_for=(kepler,), forward_compat=())
    matrix = replace(shipped(), images=(row,), upstream_images=())
    resolution = resolve(Request(tf="1.15"), live("460.91.03", (gpu("3.7"),)), matrix)
    assert resolution.verdict is Verdict.WILL_NOT_RUN
    assert resolution.advice == ()


def test_advice_keeps_to_the_python_that_was_asked_for() -> None:
    resolution = ask(named("455.45.01", "RTX 3090"), tf="2.17", python="3.12")
    assert resolution.best is None
    assert [one.driver for one in resolution.advice] == [DriverVersion("525.60.13")]


def test_no_advice_without_a_driver_or_for_wsl() -> None:
    for host in (live(UNREAD, (gpu(),)), named("452.06", "RTX 2080", wsl=True)):
        assert advised_drivers(ask(host, tf="2.17")) == []


# --- runnable ---


def test_runnable_has_every_minor_once_newest_first_with_its_best_image() -> None:
    found = runnable(RTX_3090, shipped())
    minors = [one.image.tensorflow.minor for one in found if one.image.tensorflow is not None]
    assert minors == sorted(set(minors), reverse=True)
    assert minors[0] == (2, 17)
    for one in found:
        assert one.image.tensorflow is not None
        candidates = ask(RTX_3090, tf=".".join(map(str, one.image.tensorflow.minor))).candidates
        assert one.image.tag == candidates[0].image.tag


def test_runnable_of_a_jetson_holds_its_own_images_alone() -> None:
    host = live("540.3", (gpu("8.7"),), architecture="aarch64", jetson=True)
    assert all(one.image.igpu for one in runnable(host, shipped()))
    assert not any(one.image.igpu for one in runnable(RTX_3090, shipped()))


# --- hosts by name ---


@pytest.mark.parametrize("name", ["Jetson AGX Orin", "Jetson Nano", "8.7", "7.2", "5.3", "6.2", "11.0"])
def test_jetson_by_name_or_capability_makes_the_host_a_jetson_on_arm(name: str) -> None:
    host = named("540.3", name)
    assert host.jetson
    assert host.architecture == "aarch64"
    with pytest.raises(InputError, match="a Jetson is no x86_64 machine"):
        named("540.3", name, arch="x86_64")


@pytest.mark.parametrize("name", ["RTX 3090", "8.6", "A100", "H200", "9.0", "B200", "10.0", "B300", "10.3"])
def test_other_gpus_make_no_jetson_and_leave_the_processor_open(name: str) -> None:
    host = named("580.65.06", name)
    assert not host.jetson
    assert host.architecture == "x86_64"
    assert named("580.65.06", name, arch="arm64").architecture == "aarch64"


@pytest.mark.parametrize("name", ["GH200", "NVIDIA GH200 480GB", "GB200", "GB300", "GB10", "12.1"])
def test_gpu_beside_no_other_processor_than_an_arm_one_makes_the_host_aarch64(name: str) -> None:
    host = named("580.65.06", name)
    assert (host.architecture, host.jetson) == ("aarch64", False)
    assert named("580.65.06", name, arch="arm64") == host
    assert named("580.65.06", "RTX 3090", name).architecture == "aarch64"  # the other card fits either
    for arch in ("x86_64", "amd64"):
        with pytest.raises(InputError, match="comes with an aarch64 processor only, not x86_64") as refused:
            named("580.65.06", "RTX 3090", name, arch=arch)
        assert "--arch" in refused.value.hint


def test_processor_of_the_named_gpu_counts_more_than_that_of_this_machine() -> None:
    here = live("580.65.06", (gpu("8.6"),))
    named_gpu = hosts.named_gpu("GH200", shipped())
    host = hosts.what_if(driver=None, gpus=(named_gpu,), architecture=None, wsl=False, base=here)
    assert (here.architecture, host.architecture) == ("x86_64", "aarch64")


def test_machine_with_a_grace_processor_is_not_thought_of_as_another() -> None:
    grace = replace(gpu("9.0"), architecture="aarch64")
    here = live("580.65.06", (grace,), architecture="aarch64")
    driver = DriverVersion("590.1")
    same = hosts.what_if(driver=driver, gpus=(), architecture=None, wsl=False, base=here)
    assert same.architecture == "aarch64"
    with pytest.raises(InputError, match="comes with an aarch64 processor only"):
        hosts.what_if(driver=driver, gpus=(), architecture="x86_64", wsl=False, base=here)


def test_grace_hopper_gets_an_image_for_arm_and_none_from_before_there_was_one() -> None:
    host = named("590.1", "GH200")
    found = resolve(Request(tf="2"), host, shipped())
    assert found.best is not None
    assert found.best.image.arm64 == "yes"
    old = resolve(Request(tag="20.12-tf1-py3"), host, shipped())
    assert (old.best, old.candidates[0].reasons[0].rule) == (None, "platform")
    assert resolve(Request(tag="20.12-tf1-py3"), named("590.1", "H200"), shipped()).best is not None


@pytest.mark.parametrize(
    ("asked", "architecture"),
    [("amd64", "x86_64"), ("arm64", "aarch64"), ("aarch64", "aarch64"), ("X64", "x86_64"), ("riscv64", "riscv64")],
)
def test_architectures_have_one_name(asked: str, architecture: str) -> None:
    assert named("535.1", "A100", arch=asked).architecture == architecture


def test_unknown_gpu_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as refused:
        named("535.1", "RTX 3900")
    assert "RTX 3090" in refused.value.hint
    with pytest.raises(InputError, match=r"no GPU has compute capability 8\.5"):
        named("535.1", "8.5")
    with pytest.raises(InputError, match="no such GPU"):
        named("535.1", "")


def test_what_if_takes_the_rest_from_the_machine_and_says_what_is_missing() -> None:
    here = live("535.104.05", (gpu("9.0"),), cuda="12.2")
    other = hosts.what_if(driver=DriverVersion("470.1"), gpus=(), architecture=None, wsl=False, base=here)
    assert other.what_if
    assert str(other.driver) == "470.1"
    assert isinstance(other.driver_cuda_version, Unread)
    assert not isinstance(other.gpus, Unread)
    assert [one.listed_by_driver for one in other.gpus] == [False]
    bare = live(UNREAD, UNREAD)
    for asked, driver in (("--driver needs --gpu", DriverVersion("470.1")), ("a what-if needs --gpu", None)):
        with pytest.raises(InputError, match=asked):
            hosts.what_if(driver=driver, gpus=(), architecture=None, wsl=False, base=bare)
    card = hosts.named_gpu("A100", shipped())
    with pytest.raises(InputError, match="--gpu needs --driver"):
        hosts.what_if(driver=None, gpus=(card,), architecture=None, wsl=False, base=bare)


def test_site_matrix_of_one_image_is_enough(tmp_path: Path) -> None:
    from gpudoctor import matrix as matrices

    path = tmp_path / "site.yaml"
    path.write_text(SMALL)
    small: Matrix = matrices.load(path)
    card = hosts.named_gpu("RTX 3090", small)
    host = hosts.what_if(driver=DriverVersion("455.45.01"), gpus=(card,), architecture=None, wsl=False, base=None)
    # Its generations do not say which CUDA came first with 8.6, so whether the image holds code for it is not known.
    assert resolve(Request(tf="1.15"), host, small).verdict is Verdict.UNKNOWN
    path.write_text(SMALL + '    built_for: ["8.0"]\n')
    assert resolve(Request(tf="1.15"), host, matrices.load(path)).verdict is Verdict.RUNS_UNSUPPORTED
    path.write_text(SMALL + '    built_for: ["8.6"]\n')
    assert best(resolve(Request(tf="1.15"), host, matrices.load(path))) == "20.12-tf1-py3"


def test_odd_rows_of_a_site_matrix_do_not_break_the_order() -> None:
    nothing = Provenance(source=(), checked="", confidence="high", note="")
    row = next(image for image in shipped().images if image.tag == "20.12-tf1-py3")
    odd: tuple[ImageRow, ...] = (
        row._replace(tag="a", release="20", provenance=nothing),
        row._replace(tag="b", release="20.12.3.4", tensorflow=TfVersion("1.15"), provenance=nothing),
        row._replace(tag="c", tensorflow=TfVersion("1.15.0-rc0"), python="pypy", provenance=nothing),
    )
    matrix = replace(shipped(), images=odd)
    assert tags(resolve(Request(tf="1.15"), RTX_3090, matrix).candidates) == ["b", "c", "a"]
    assert tags(resolve(Request(tf=">=1.15"), RTX_3090, matrix).candidates) == ["b", "a"]
