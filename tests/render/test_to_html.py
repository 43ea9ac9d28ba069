"""The picture: every cell judged as the rules judge it, nothing of it needed from outside, and read in a browser."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from html.parser import HTMLParser
from itertools import groupby, pairwise
from pathlib import Path

import pytest

import gpudoctor
from gpudoctor import host as hosts
from gpudoctor.errors import InputError
from gpudoctor.host import HostGpu
from gpudoctor.matrix import SCHEMA, ImageRow, parse
from gpudoctor.readings import Unread, Why
from gpudoctor.render.to_html import SHOWN, SIGNS, Column, Grid, Row, draw, grid, picture
from gpudoctor.resolve import in_words, tf_matcher
from gpudoctor.rules import judge
from gpudoctor.verdicts import Verdict
from gpudoctor.versions import ComputeCapability, CudaVersion, DriverVersion
from tests.hosts import gpu, image, shipped
from tests.real.browser import Browser, need_browser

# One of each kind: open to forward compatibility or not, from before the first image to after the last, and two.
MACHINES = (("Tesla V100",), ("RTX 3090",), ("GTX 980",), ("B200",), ("Jetson AGX Orin",), ("T4", "GTX 1080"))

# Real drivers, and what no driver is called, beside the boundaries themselves.
DRIVERS = (
    "1",
    "340.108",
    "375.26",
    "384.130",
    "390.157",
    "418.226.00",
    "430.64",
    "435.21",
    "440.118.02",
    "450.80.01",
    "450.80.02",
    "455.45.01",
    "470.256.02",
    "510.39.01",
    "510.108.03",
    "525.60.12",
    "525.147.05",
    "545.29.06",
    "580.65.06",
    "590.44.01",
    "9999",
)


def named(*names: str) -> tuple[HostGpu, ...]:
    return tuple(hosts.named_gpu(name, shipped()) for name in names)


@cache
def drawn(*names: str) -> Grid:
    return grid(shipped(), named(*names))


@cache
def page(*names: str) -> str:
    return draw(drawn(*names), shipped())


def column_of(value: Grid, driver: str) -> int:
    """By the rule that the page gives its reader: the last whose number is not above the driver's."""
    wanted = DriverVersion(driver)
    return max(number for number, column in enumerate(value.columns) if column.start is None or column.start <= wanted)


def verdict_at(row: Row, column: int) -> Verdict:
    (verdict,) = (run.verdict for run in row.runs if run.first <= column < run.first + run.span)
    return verdict


def probes(columns: Sequence[Column]) -> set[DriverVersion]:
    """Both ends of every column, and drivers that nobody chose for the columns' sake."""
    found = {DriverVersion(driver) for driver in DRIVERS}
    for column in columns:
        found.add(column.judged_at)
        if column.start is not None:
            found.add(column.start)
        if column.stop is not None:
            found.add(just_below(column.stop))
    return found


def just_below(driver: DriverVersion) -> DriverVersion:
    *head, last = driver.numbers
    return DriverVersion(".".join(map(str, [*head, last - 1, *[999] * (3 - len(head))])))


# --- the grid ---


@pytest.mark.parametrize("names", MACHINES)
def test_every_cell_says_what_the_rules_say_of_any_driver_in_its_column(names: tuple[str, ...]) -> None:
    value = drawn(*names)
    checked = 0
    for driver in probes(value.columns):
        host = hosts.what_if(driver=driver, gpus=named(*names), architecture=None, wsl=False, base=None)
        column = column_of(value, str(driver))
        for row in value.rows:
            assert verdict_at(row, column) is judge(row.image, host, shipped()).verdict, (row.image.tag, driver)
            checked += 1
    assert checked >= len(shipped().images) * len(DRIVERS)


def test_every_cell_of_windows_says_what_the_rules_say_of_any_driver_in_its_column() -> None:
    value = grid(shipped(), named("RTX 3090"), wsl=True)
    # 456.38 came with CUDA 11.1.0, 456.81 with its update: boundaries inside one branch, which Linux has not.
    assert {"456.38", "456.81"} <= {str(column.start) for column in value.columns}
    older = grid(shipped(), named("GTX 1080"), wsl=True)
    assert {"452.39", "590"} <= {str(column.start) for column in older.columns}
    for driver in probes(value.columns):
        host = hosts.what_if(driver=driver, gpus=named("RTX 3090"), architecture=None, wsl=True, base=None)
        column = column_of(value, str(driver))
        for row in value.rows:
            assert verdict_at(row, column) is judge(row.image, host, shipped()).verdict, (row.image.tag, driver)


@pytest.mark.parametrize("names", MACHINES)
def test_columns_hold_every_driver_once_and_none_repeats_its_neighbour(names: tuple[str, ...]) -> None:
    value = drawn(*names)
    assert value.columns[0].start is None
    assert value.columns[-1].stop is None
    for left, right in pairwise(value.columns):
        assert left.stop == right.start
    for column in value.columns:
        assert column.start is None or column.start <= column.judged_at
        assert column.stop is None or column.judged_at < column.stop
    for left_number in range(len(value.columns) - 1):
        assert any(verdict_at(row, left_number) is not verdict_at(row, left_number + 1) for row in value.rows)


@pytest.mark.parametrize("names", MACHINES)
def test_runs_of_a_row_fill_it_and_each_has_a_reason(names: tuple[str, ...]) -> None:
    value = drawn(*names)
    for row in value.rows:
        assert [run.first for run in row.runs] == [sum(one.span for one in row.runs[:n]) for n in range(len(row.runs))]
        assert sum(run.span for run in row.runs) == len(value.columns)
        for run in row.runs:
            assert run.reasons
            assert {reason.verdict for reason in run.reasons} == {run.verdict}


def test_floors_inside_a_branch_have_columns_of_their_own() -> None:
    labels = [column.label for column in drawn("Tesla V100").columns]
    # Forward compatibility of CUDA 12 images begins inside these branches, and ends with them.
    for floor in ("450.51", "470.57", "510.47", "515.65", "525.60.13", "525.85", "535.86", "545.23"):
        assert floor in labels
    assert labels[labels.index("510.47") - 1] == "510"
    assert labels[labels.index("510.47") + 1] == "511\N{EN DASH}514"
    assert labels[-1] == "581+"


def test_newer_branch_that_is_worse_shows_as_a_gap() -> None:
    value = drawn("Tesla V100")
    (row,) = (row for row in value.rows if row.image.tag == "19.03-py3")  # CUDA 10.1, compat from 384.111 and 410
    seen = [verdict_at(row, column_of(value, driver)) for driver in ("384.111", "390.157", "410.129", "418.67")]
    assert seen == [
        Verdict.RUNS_WITH_FORWARD_COMPAT,
        Verdict.WILL_NOT_RUN,
        Verdict.RUNS_WITH_FORWARD_COMPAT,
        Verdict.RUNS,
    ]


def test_board_without_forward_compatibility_needs_fewer_columns() -> None:
    labels = [column.label for column in drawn("RTX 3090").columns]
    assert labels[:3] == ["< 455", "455\N{EN DASH}459", "460\N{EN DASH}464"]
    assert "510.47" not in labels
    assert all(column.named for column in drawn("RTX 3090").columns)


def test_row_that_no_driver_helps_is_one_bar_with_what_decides_it() -> None:
    for row in drawn("Tesla V100").rows:
        if row.image.igpu:
            (run,) = row.runs
            assert run.verdict is Verdict.WILL_NOT_RUN
            assert run.reasons[0].rule == "platform"
            assert not {reason.rule for reason in run.reasons} & {"driver_native", "driver_knows_gpu"}


def test_ways_that_failed_are_silent_where_another_leads_through() -> None:
    # Driver 590 would get through by minor-version compatibility to what came with 600, if it still drove a V100.
    new = image("25.02-tf2-py3")._replace(
        cuda=CudaVersion("13.1.0"),
        bundled_driver=DriverVersion("600.10"),
        forward_compat=(),
        min_capability=ComputeCapability("7.0"),
        built_for=(ComputeCapability("7.0"),),
    )
    value = grid(shipped(), named("V100"), images=(new,))
    assert DriverVersion("581") <= value.columns[-1].judged_at < DriverVersion("600")
    (row,) = value.rows
    assert [run.verdict for run in row.runs][-2:] == [Verdict.RUNS_WITH_MINOR_VERSION_COMPAT, Verdict.WILL_NOT_RUN]
    assert [reason.rule for reason in row.runs[-1].reasons] == ["driver_knows_gpu"]


def test_gpu_that_is_not_the_worst_adds_no_reason() -> None:
    # What came with its CUDA is not known, so the first GPU stays unknown, and forward compatibility it has none.
    unclear = image("23.06-tf2-py3")._replace(
        cuda=None,
        bundled_driver=None,
        forward_compat=(),
        min_capability=ComputeCapability("3.5"),
        built_for=(ComputeCapability("3.5"), ComputeCapability("8.0")),
    )
    unsure, dropped = gpu("8.0", index=0), gpu("3.5", index=1)
    (alone,) = grid(shipped(), (unsure,), images=(unclear,)).rows
    assert alone.runs[-1].verdict is Verdict.UNKNOWN
    (both,) = grid(shipped(), (unsure, dropped), images=(unclear,)).rows
    assert both.runs[-1].verdict is Verdict.WILL_NOT_RUN
    assert "GPU 1" in both.runs[-1].reasons[0].detail
    assert not any("GPU 0" in reason.detail for reason in both.runs[-1].reasons)


def test_rows_go_from_the_newest_tensorflow_down_and_the_unknown_ones_last() -> None:
    minors = [
        (-1, -1) if row.image.tensorflow is None else row.image.tensorflow.minor for row in drawn("RTX 3090").rows
    ]
    assert minors == sorted(minors, reverse=True)
    tf1 = [row.image.release_key for row in drawn("RTX 3090").rows if str(row.image.tensorflow).startswith("1.15")]
    assert tf1 == sorted(tf1, reverse=True)


def test_images_can_be_narrowed_and_their_columns_with_them() -> None:
    matches = tf_matcher("1.15")
    chosen = [row for row in shipped().images if row.tensorflow is not None and matches(row.tensorflow)]
    value = grid(shipped(), named("RTX 3090"), images=chosen)
    assert {row.image.tag for row in value.rows} == {row.tag for row in chosen}
    assert len(value.columns) < len(drawn("RTX 3090").columns)


def test_no_image_and_no_matrix_still_make_a_grid() -> None:
    assert [column.label for column in grid(shipped(), named("T4"), images=()).columns] == ["any"]
    bare = parse({"schema": SCHEMA})
    value = grid(bare, named("T4"))
    assert [column.in_words for column in value.columns] == ["any driver"]
    assert "not said" in picture(bare, named("T4"))


def test_that_todays_driver_lists_the_gpu_says_nothing_of_the_others() -> None:
    probed = gpu("7.0", data_center="yes", listed=True)
    value = grid(shipped(), (probed,))
    assert all(verdict_at(row, len(value.columns) - 1) is Verdict.WILL_NOT_RUN for row in value.rows)


def test_more_gpus_never_brighten_a_cell() -> None:
    both, alone = drawn("T4", "GTX 1080"), grid(shipped(), named("T4"))
    for together, single in zip(both.rows, alone.rows, strict=True):
        for driver in DRIVERS:
            mixed = verdict_at(together, column_of(both, driver))
            assert mixed.rank >= verdict_at(single, column_of(alone, driver)).rank


def test_picture_of_nothing_or_of_a_jetson_on_the_wrong_processor_is_refused() -> None:
    with pytest.raises(InputError, match="needs --gpu"):
        picture(shipped(), ())
    with pytest.raises(InputError, match="no x86_64 machine"):
        picture(shipped(), named("Jetson AGX Orin"), architecture="x86_64")


@pytest.mark.parametrize(
    ("start", "stop", "label", "words"),
    [
        (None, None, "any", "any driver"),
        (None, "384", "< 384", "drivers before 384"),
        ("570", None, "570+", "driver 570 and newer"),
        ("450", "451", "450", "branch 450"),
        ("451", "455", "451\N{EN DASH}454", "branches 451 to 454"),
        ("450", "450.51", "450", "drivers from 450 on, before 450.51"),
        ("510.47", "511", "510.47", "drivers from 510.47 to the end of branch 510"),
        ("525.60.13", "530", "525.60.13\N{EN DASH}529", "drivers from 525.60.13 to the end of branch 529"),
        ("520", "525.60.13", "520\N{EN DASH}525", "drivers from 520 on, before 525.60.13"),
    ],
)
def test_column_names_its_bounds(start: str | None, stop: str | None, label: str, words: str) -> None:
    column = Column(
        start=None if start is None else DriverVersion(start),
        stop=None if stop is None else DriverVersion(stop),
        judged_at=DriverVersion(start or "1"),
        named=True,
    )
    assert column.label == label
    assert column.in_words == words


# --- the page, read as a program reads it ---

VOID = {"meta", "col", "input", "br", "hr", "link", "img"}


@dataclass
class Cell:
    attributes: dict[str, str]
    text: str = ""
    sign: str = ""
    words: str = ""

    @property
    def span(self) -> int:
        return int(self.attributes.get("colspan", "1"))


@dataclass
class Read(HTMLParser):
    """What stands on the page."""

    tags: Counter[str] = field(default_factory=Counter)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    columns: list[Cell] = field(default_factory=list)
    rows: list[tuple[Cell, list[Cell]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    """All the text directly inside each kind of element."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str]]] = []
        self.cell: Cell | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if len(found) != len(attrs):
            self.faults.append(f"an attribute twice in {tag}")
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in found.items()]
        if tag in VOID:
            return
        self.open.append((tag, found))
        inside = [one for one, _ in self.open]
        group = any(one == "tr" and given.get("class") == "group" for one, given in self.open)
        if tag in ("td", "th") and not group:
            self.cell = Cell(found)
            if "thead" in inside and "data-from" in found:
                self.columns.append(self.cell)
            elif tag == "th" and "tbody" in inside:
                self.rows.append((self.cell, []))
            elif tag == "td":
                self.rows[-1][1].append(self.cell)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data: str) -> None:
        here = self.open[-1][0] if self.open else ""
        self.texts.setdefault(here, []).append(data)
        if self.cell is not None:
            self.cell.text += data
            if here == "b":
                self.cell.sign += data
            elif here == "i":
                self.cell.words += data


def read(text: str) -> Read:
    found = Read()
    found.feed(text)
    found.close()
    assert found.faults == []
    assert found.open == []
    return found


@cache
def parsed(*names: str) -> Read:
    return read(page(*names))


@pytest.mark.parametrize("names", MACHINES)
def test_page_shows_every_image_once_and_every_verdict_of_the_grid(names: tuple[str, ...]) -> None:
    value, found = drawn(*names), parsed(*names)
    assert [cell.text for cell in found.columns] == [column.label for column in value.columns]
    assert [cell.attributes["title"] for cell in found.columns] == [column.in_words for column in value.columns]
    assert len(found.rows) == len(value.rows) == len(shipped().images)
    for row, (head, cells) in zip(value.rows, found.rows, strict=True):
        assert head.text.startswith(row.image.tag)
        assert head.attributes["scope"] == "row"
        assert [cell.span for cell in cells] == [run.span for run in row.runs]
        for run, cell in zip(row.runs, cells, strict=True):
            assert cell.sign == SIGNS[run.verdict]
            assert cell.words == in_words(run.verdict)
            assert cell.attributes["title"].startswith(f"{row.image.tag}, ")
            assert any(
                cell.attributes["title"].endswith(f": {in_words(run.verdict)}: {reason.detail}")
                for reason in run.reasons
            )


@pytest.mark.parametrize("names", MACHINES)
def test_page_has_every_reason_and_every_source_in_words(names: tuple[str, ...]) -> None:
    texts = parsed(*names).texts
    details = {text.strip() for text in texts["dd"]}
    linked = {text.strip() for kind in ("a", "li") for text in texts[kind]}
    for row in drawn(*names).rows:
        for run in row.runs:
            for reason in run.reasons:
                assert reason.detail in details
                assert reason.source in linked


def test_every_verdict_has_a_sign_of_its_own_and_stands_in_the_legend() -> None:
    assert len(set(SIGNS.values())) == len(SHOWN) == len(Verdict) - 1
    legend = page("RTX 3090").partition("<ul>")[2].partition("</ul>")[0]
    for verdict in SHOWN:
        assert f">{SIGNS[verdict]}</b>" in legend
        assert in_words(verdict) in legend


def test_links_inside_the_page_lead_somewhere_and_names_stand_once() -> None:
    found = parsed("Tesla V100")
    names = Counter(value for _, attribute, value in found.attributes if attribute == "id")
    assert set(names.values()) == {1}
    targets = {value[1:] for _, attribute, value in found.attributes if attribute == "href" and value[0] == "#"}
    assert len(targets) > len(shipped().images)
    assert targets <= set(names)


LOADING = {
    "audio", "base", "embed", "form", "frame", "iframe", "image", "img", "link", "object", "source", "track", "video",
}  # fmt: skip
LOADING_ATTRIBUTES = {"src", "srcset", "data", "poster", "background", "action", "formaction", "ping", "manifest"}


@pytest.mark.parametrize("names", MACHINES)
def test_page_loads_nothing_and_forbids_it_too(names: tuple[str, ...]) -> None:
    found = parsed(*names)
    assert set(found.tags) & LOADING == set()
    for tag, attribute, value in found.attributes:
        assert attribute not in LOADING_ATTRIBUTES
        assert not attribute.startswith("on")
        if attribute == "href":
            assert tag == "a"
            assert value.startswith(("#", "https://", "http://"))
        if attribute == "style":
            assert re.fullmatch(r"--[kn]:[0-9]+", value)
    assert found.tags["script"] == found.tags["style"] == 1
    assert not re.search(r"url\(|@import|image-set", found.texts["style"][0])
    assert not re.search(r"fetch|XMLHttp|import|WebSocket|innerHTML|eval|https?:", found.texts["script"][0])
    policies = [value for tag, name, value in found.attributes if tag == "meta" and name == "content"]
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';")


def test_page_is_the_same_each_time_and_small_for_any_gpu() -> None:
    assert picture(shipped(), named("Tesla V100")) == page("Tesla V100")
    # Of all products a V100 has the most columns, 1.0 MB: old enough for the first image, and a data-centre board.
    assert len(page("Tesla V100").encode()) < 2_000_000


# --- the page's head ---


def facts_of(text: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.+?)</dt><dd>(.+?)</dd></div>", re.sub(r"</?bdi>", "", text)))


def test_head_says_for_what_gpu_and_machine_and_by_which_knowledge() -> None:
    found = facts_of(page("RTX 3090"))
    assert found == {
        "Compute capability": "8.6, Ampere",
        "Data-centre GPU": "no: no forward compatibility",
        "Machine": "Linux, x86_64",
        "Images": str(len(shipped().images)),
        "Matrix checked": "2026-11",
        "gpudoctor": gpudoctor.__version__,
    }
    assert "<h1><bdi>GeForce RTX 3090</bdi></h1>" in page("RTX 3090")


def test_head_tells_two_gpus_apart_and_eight_of_a_kind_not() -> None:
    assert facts_of(page("T4", "GTX 1080"))["Compute capability of GeForce GTX 1080"] == "6.1, Pascal"
    assert "the worst of the GPUs decides" in page("T4", "GTX 1080")
    eight = tuple(replace(gpu("8.0", index=number), label=f"GPU {number}, NVIDIA A100") for number in range(8))
    text = picture(shipped(), eight, images=(image("20.12-tf1-py3"),))
    assert "<h1><bdi>NVIDIA A100</bdi></h1>" in text
    assert facts_of(text)["Compute capability"] == "8.0, Ampere"
    assert "the worst of the GPUs decides" not in text


def test_head_says_what_is_not_known_of_the_gpu() -> None:
    why = Unread(source="nvml", why=Why.FAILED, detail="it did not say")
    found = facts_of(picture(shipped(), (gpu(why, data_center=why),), images=(image("20.12-tf1-py3"),)))
    assert found["Compute capability"] == found["Data-centre GPU"] == "not known: it did not say"
    assert facts_of(picture(shipped(), named("8.6"), images=()))["Data-centre GPU"].startswith("no: judged as")
    ready = replace(gpu("7.5"), data_center="ngc-ready")
    assert "NGC-ready" in facts_of(picture(shipped(), (ready,), images=()))["Data-centre GPU"]
    assert facts_of(page("Jetson AGX Orin"))["Machine"] == "Jetson, aarch64"
    assert (
        facts_of(picture(shipped(), named("T4"), images=(), wsl=True))["Machine"] == "WSL, drivers of Windows, x86_64"
    )
    assert facts_of(picture(shipped(), named("T4"), images=(), architecture="arm64"))["Machine"] == "Linux, aarch64"


def test_head_gives_the_first_and_the_last_month_of_looking() -> None:
    new = image("20.12-tf1-py3")
    old = image("20.11-tf1-py3")._replace(provenance=new.provenance._replace(checked="2025-03"))
    assert facts_of(picture(shipped(), named("T4"), images=(new, old)))["Matrix checked"] == "2025-03 to 2026-11"


def test_unsure_rows_are_marked() -> None:
    heads = page("RTX 3090").split("<th scope=row><a href")[1:]
    rows = {head.split("<")[0].partition(">")[2]: head for head in heads}
    for row in shipped().images:
        marks = {"high": 0, "medium": 1, "low": 2}[row.provenance.confidence]
        assert rows[row.tag].partition("<small>")[0].count("*") == marks


# --- hostile words ---

HOSTILE = "\"'><script>document.title='taken'</script><img src=x onerror=alert(1)>&amp;\x1b\x00\u202e\ud800"


def hostile_page() -> str:
    row = image("20.12-tf1-py3")
    provenance = row.provenance._replace(source=("bad",), confidence="high", checked=HOSTILE, note=HOSTILE)
    bad = row._replace(tag=HOSTILE, arm64="unknown", cuda=None, provenance=provenance)
    sources = {**shipped().sources, "bad": "javascript:alert(1)"}
    board = replace(gpu("8.6"), label=HOSTILE)
    return picture(replace(shipped(), sources=sources, images=(bad,)), (board,), architecture="aarch64")


def test_hostile_words_stay_words() -> None:
    text = hostile_page()
    text.encode()  # half a character would not go into any file
    found = read(text)
    assert found.tags["script"] == 1
    assert found.tags["img"] == 0
    assert not any(name.startswith("on") for _, name, _ in found.attributes)
    assert not any(value.startswith("javascript:") for _, name, value in found.attributes if name == "href")
    assert "javascript:alert(1)" in {one.strip() for one in found.texts["li"]}
    ((head, _),) = found.rows
    shown = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert head.text.startswith(shown)
    assert shown in found.texts["bdi"]
    assert shown in found.texts["summary"]


# --- in a real browser ---


@pytest.fixture(scope="module")
def browser() -> Browser:
    return need_browser()


# Added behind the page's own script: measures, filters and presses keys, then writes down what it found.
PROOF = """<pre id=proof></pre><script>
const out = {}, pick = text => document.querySelector(text), all = text => [...document.querySelectorAll(text)];
out.script = document.documentElement.dataset.script;
out.width = [document.documentElement.scrollWidth, innerWidth];
out.body = getComputedStyle(document.body).backgroundColor;
out.shades = all(".legend b").map(b => [b.textContent, getComputedStyle(b).color, getComputedStyle(b).backgroundColor]);
out.inks = ["body", "small", ".legend i", "thead .gap", "tbody td.x b"].filter(pick).map(
  name => getComputedStyle(pick(name)).color);
const scroll = pick(".scroll");
scroll.scrollTop = 700; scroll.scrollLeft = 200;
const box = scroll.getBoundingClientRect(), edge = [box.left + scroll.clientLeft, box.top + scroll.clientTop];
const row = all("tbody th[scope=row]")[40].getBoundingClientRect();
const head = all("thead th")[9].getBoundingClientRect(), corner = pick("thead th").getBoundingClientRect();
out.scrolled = [scroll.scrollLeft, scroll.scrollTop];
out.stuck = [row.left - edge[0], head.top - edge[1], corner.left - edge[0], corner.top - edge[1]];
scroll.scrollTop = scroll.scrollLeft = 0;
out.heads = all("thead th[data-from]").map(th => [th.offsetWidth, th.scrollWidth, th.scrollHeight - th.clientHeight]);
const lines = all(".lines s").map(s => s.getBoundingClientRect().left);
out.aligned = Math.max(0, ...lines.map(
  (left, i) => Math.abs(left - all("thead th[data-from]")[i + 1].getBoundingClientRect().left)));
const type = (name, text) => { pick(name).value = text; pick(name).dispatchEvent(new Event("input")); };
const seen = () => all("tbody th[scope=row] a").filter(a => a.offsetParent).map(a => a.textContent);
type("#find", "TF1 22.1"); out.found = seen();
type("#find", ""); type("#driver", "470.57.02"); out.here = all("th.here").map(th => th.textContent);
out.count = pick("#count").textContent;
const band = pick(".band").getBoundingClientRect(), over = pick("th.here").getBoundingClientRect();
out.band = [band.left - over.left, band.width - over.width];
pick("#only").click(); out.running = seen(); pick("#only").click();
type("#driver", "banana"); out.banana = [pick("#count").textContent, all("th.here").length, seen().length];
type("#driver", "");
const press = (key, more) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...more}));
const place = () => document.activeElement.title || document.activeElement.textContent;
out.stops = all(".scroll, .scroll *").filter(one => one.tabIndex >= 0).length;
pick(".scroll [tabindex='0']").focus(); out.keys = [place()];
for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft", "End", "ArrowRight", "Home"]) {
  press(key); out.keys.push(place());
}
press("End", {ctrlKey: true}); out.keys.push(place());
out.stopsLater = all(".scroll, .scroll *").filter(one => one.tabIndex >= 0).length;
const one = pick("tbody td[title]");
one.dispatchEvent(new MouseEvent("mouseover", {bubbles: true})); out.said = [pick("#say").textContent, one.title];
out.open = all("details[open] summary").map(summary => summary.textContent);
pick("#proof").textContent = JSON.stringify(out);
</script></body>"""


def saved(text: str, folder: Path, *, proof: bool = False) -> Path:
    path = folder / "picture.html"
    path.write_text(text.replace("</body>", PROOF) if proof else text, encoding="utf-8")
    return path


def proven(
    browser: Browser, path: Path, *, dark: bool = False, size: tuple[int, int] = (1280, 900)
) -> dict[str, object]:
    loaded = browser.load(path, dark=dark, size=size)
    assert loaded.console == ()
    found = json.loads("".join(read_pre(loaded.dom)))
    assert isinstance(found, dict)
    return found


def read_pre(dom: str) -> list[str]:
    found = Read()
    found.feed(dom)
    return found.texts.get("pre", [])


def colour(text: str) -> tuple[float, float, float]:
    red, green, blue = (float(part) for part in re.findall(r"[0-9.]+", text)[:3])
    return red, green, blue


def luminance(text: str) -> float:
    """https://www.w3.org/TR/WCAG21/#dfn-relative-luminance (2026-11)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in colour(text))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_page_is_readable_in_both_schemes_and_in_grey(browser: Browser, tmp_path: Path, dark: bool) -> None:
    found = proven(browser, saved(page("Tesla V100"), tmp_path, proof=True), dark=dark)
    body = found["body"]
    assert isinstance(body, str)
    assert (luminance(body) < 0.05) is dark
    shades = found["shades"]
    assert isinstance(shades, list)
    assert [sign for sign, _, _ in shades] == [SIGNS[verdict] for verdict in SHOWN]
    for sign, ink, shade in shades:
        assert contrast(ink, shade) >= 4.5, sign
    inks = found["inks"]
    assert isinstance(inks, list)
    assert len(inks) == 5
    for ink in inks:
        assert contrast(ink, body) >= 4.5, ink
    # In grey the five ways of running stay in their order, each at least a fifth of a step of contrast from the next.
    greys = [luminance(shade) for _, _, shade in shades[:5]]
    assert greys == sorted(greys, reverse=dark)
    for (_, _, one), (_, _, other) in pairwise(shades[:5]):
        assert contrast(one, other) >= 1.2


@pytest.mark.parametrize("size", [(1280, 900), (800, 1000)])
def test_heads_stay_in_sight_and_the_page_never_scrolls_sideways(
    browser: Browser, tmp_path: Path, size: tuple[int, int]
) -> None:
    found = proven(browser, saved(page("Tesla V100"), tmp_path, proof=True), size=size)
    assert found["script"] == "ready"
    assert found["width"] == [size[0], size[0]]
    assert found["scrolled"] == [200, 700]  # at both sizes there is more grid than window
    stuck, heads, aligned = found["stuck"], found["heads"], found["aligned"]
    assert isinstance(stuck, list)
    assert isinstance(heads, list)
    assert isinstance(aligned, float | int)
    assert all(abs(distance) < 1 for distance in stuck), stuck
    assert len({round(width) for width, _, _ in heads}) <= 2  # one width, but for rounding
    assert all(width >= 20 and inner <= width and over <= 0 for width, inner, over in heads), heads
    assert aligned < 1


def test_filters_and_keys_do_what_they_say(browser: Browser, tmp_path: Path) -> None:
    found = proven(browser, saved(page("RTX 3090"), tmp_path, proof=True))
    value = drawn("RTX 3090")
    assert found["found"] == ["22.12-tf1-py3", "22.11-tf1-py3", "22.10-tf1-py3"]
    column = column_of(value, "470.57.02")
    running = [row.image.tag for row in value.rows if verdict_at(row, column).runs]
    assert found["here"] == [value.columns[column].label]
    assert found["running"] == running
    assert found["count"] == f"{len(value.rows)} of {len(value.rows)} images, {len(running)} run on 470.57.02"
    band = found["band"]
    assert isinstance(band, list)
    assert all(abs(distance) < 1 for distance in band)
    assert found["banana"] == [
        f"{len(value.rows)} of {len(value.rows)} images; a driver looks like 470.57.02",
        0,
        len(value.rows),
    ]
    titles = [[cell.attributes["title"] for cell in cells] for _, cells in parsed("RTX 3090").rows]
    tags = [row.image.tag for row in value.rows]
    below = verdict_cell(value.rows[1], value.rows[0].runs[1].first)
    # Right, right, down, up, left, End, right (nothing is there), Home; then Ctrl+End keeps the column.
    assert found["keys"] == [
        tags[0],
        titles[0][0],
        titles[0][1],
        titles[1][below],
        titles[0][1],
        titles[0][0],
        titles[0][-1],
        titles[0][-1],
        tags[0],
        tags[-1],
    ]
    assert found["stops"] == found["stopsLater"] == 1
    assert found["said"] == [titles[0][0], titles[0][0]]
    assert found["open"] == []


def verdict_cell(row: Row, column: int) -> int:
    """Which of its runs holds the column."""
    (number,) = (n for n, run in enumerate(row.runs) if run.first <= column < run.first + run.span)
    return number


def test_tag_leads_to_its_reasons_and_opens_them(browser: Browser, tmp_path: Path) -> None:
    path = saved(picture(shipped(), named("T4"), images=shipped().images[:8]), tmp_path)
    loaded = browser.load(path, fragment="w3")
    opened = re.findall(r"<details open=\"\"><summary>(.+?)</summary>", loaded.dom)
    assert opened == [grid(shipped(), named("T4"), images=shipped().images[:8]).rows[3].image.tag]


def test_hostile_words_do_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    loaded = browser.load(saved(hostile_page(), tmp_path))
    assert loaded.console == ()
    assert "<title>taken" not in loaded.dom
    assert 'data-script="ready"' in loaded.dom


def corner_pixel(png: bytes) -> tuple[int, int, int]:
    """Top left: the one pixel of a PNG that no filter changes. https://www.w3.org/TR/png-3/#9Filters (2026-11)."""
    data, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += 12 + length
    line = zlib.decompressobj().decompress(data, 4)
    return line[1], line[2], line[3]


def test_screenshots_have_the_asked_size_and_scheme(browser: Browser, tmp_path: Path) -> None:
    path = saved(page("RTX 3090"), tmp_path)
    for dark, background in ((False, (255, 255, 255)), (True, (20, 24, 29))):
        png = browser.screenshot(path, tmp_path / "shot.png", dark=dark, size=(800, 600)).read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", png[16:24]) == (800, 600)
        assert corner_pixel(png) == background


def test_print_is_a_few_sheets_of_a3_without_the_reasons(browser: Browser, tmp_path: Path) -> None:
    pdf = browser.print(saved(page("Tesla V100"), tmp_path), tmp_path / "picture.pdf", dark=True).read_bytes()
    assert pdf.startswith(b"%PDF-")
    # Gradients and shadows would be printed as thousands of small pictures: 20 MB when they were tried.
    assert len(pdf) < 3_000_000
    boxes = [[float(number) for number in box.split()] for box in re.findall(rb"/MediaBox ?\[([0-9. ]+)\]", pdf)]
    assert 3 <= len(boxes) <= 5
    assert {(round(box[2]), round(box[3])) for box in boxes} == {(1191, 842)}


def test_image_rows_of_a_site_are_drawn_like_the_shipped_ones() -> None:
    own: ImageRow = image("22.12-tf1-py3")._replace(tag="22.12-tf1-py3-site.4")
    text = picture(shipped(), named("RTX 3090"), images=(own, image("22.12-tf1-py3")))
    heads = re.findall(r"<th scope=row><a href=#w[0-9]+>(.+?)</a>", text)
    assert heads == ["22.12-tf1-py3", "22.12-tf1-py3-site.4"]
    (_, shipped_cells), (_, site_cells) = read(text).rows
    assert [cell.sign for cell in site_cells] == [cell.sign for cell in shipped_cells]


def test_images_of_tensorflows_own_project_are_marked_and_follow_nvidias() -> None:
    both = [row for row in (*shipped().images, *shipped().upstream_images) if str(row.tensorflow).startswith("2.1")]
    value = grid(shipped(), named("RTX 3090"), images=both)
    text = draw(value, shipped())
    assert len(value.rows) == len(both)
    for row, head in zip(value.rows, text.split("<th scope=row>")[1:], strict=True):
        assert ("\N{DAGGER}" in head.partition("<small>")[0]) is row.image.upstream
        if row.image.broken is not None:
            (run,) = row.runs
            assert run.verdict is Verdict.WILL_NOT_RUN
            assert run.reasons[0].detail == row.image.broken
    for _, group in groupby(value.rows, key=lambda row: row.image.tensorflow and row.image.tensorflow.minor):
        kinds = [row.image.upstream for row in group]
        assert kinds == sorted(kinds)
    assert "\N{DAGGER} marks images" in text
    assert "\N{DAGGER}" not in page("RTX 3090")
