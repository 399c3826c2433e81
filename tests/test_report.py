"""The report: nothing lost, nothing loaded from elsewhere, nothing that a name can break."""

from __future__ import annotations

import base64
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from anchorloc.data.source import Source
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation, evaluate
from anchorloc.report import Chart, Picture, pick_pictures, print_evaluation, training_charts, write_report
from anchorloc.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_chart, ticks
from anchorloc.report.markdown import escape
from anchorloc.report.picture import data_uri, draw_picture
from anchorloc.report.words import counted
from anchorloc.structures import Category, Detections, Target

HOSTILE = [
    "<script>document.title = 'owned'</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><h1>",
    "=cmd|' /C calc'!A0",
    "esc \x1b[2J\x1b]0;owned\x07 bell",
    "two\nlines\r\nand\u2028more",
    "\u202eright to left",
    "[red]rich[/red] [link=https://example.com]",
    "| pipe | `code` **bold** <b> [link](https://example.com) \\",
    "{{ 7 * 7 }}{% raw %}",
    "lone \udc80 surrogate",
    "👩‍👩‍👧 العربية 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "long " * 2000,
    "",
]
PIXELS = np.full((40, 60, 3), 200, np.uint8)


def target(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> Target:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    area = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
    crowds = np.array(crowd or [False] * len(array), np.bool_)
    return Target(array, np.array(labels, np.int64), crowds, area, np.arange(len(array)))


def found(image_id: int, boxes: list[list[float]], scores: list[float], labels: list[int]) -> Detections:
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return Detections(array, np.array(scores), np.array(labels, np.int64), np.full(len(array), -1), image_id)


def case(names: list[str]) -> tuple[Evaluation, list[Picture]]:
    """One image in which each class but the last has a box, found for every other class."""
    boxes = [[4.0 * i, 0.0, 4.0 * i + 3, 9.0] for i in range(len(names) - 1)]
    one = target(boxes, list(range(len(boxes))))
    some = found(1, boxes[::2], [0.9 - i / 100 for i in range(len(boxes[::2]))], list(range(len(boxes)))[::2])
    evaluation = evaluate([one], [some], tuple(Category(i, name) for i, name in enumerate(names)))
    return evaluation, [Picture(name, PIXELS, (40, 60), one, some, evaluation.matched[0]) for name in names]


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.title = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "title" and not self.title:
            self.title = data
        self.text.append(data.strip())


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    evaluation, pictures = case(HOSTILE)
    chart = Chart(HOSTILE[0], HOSTILE[1], {HOSTILE[2]: [(0, 1), (1, 2)]})
    facts = {name: name for name in HOSTILE}
    write_report(tmp_path, evaluation, HOSTILE[0], pictures, [chart], facts, HOSTILE)
    return tmp_path


def test_names_cannot_break_the_page(hostile: Path) -> None:
    text = (hostile / "report.html").read_bytes().decode("utf-8")
    page = Page(text)
    assert page.title == HOSTILE[0]
    assert not {"script", "img", "b", "iframe", "object"} & set(page.tags)
    assert page.tags.count("h1") == page.tags.count("style") == 1
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert "{{ 7 * 7 }}{% raw %}" in page.text
    assert not controls(text)


def test_the_page_loads_nothing(hostile: Path) -> None:
    text = (hostile / "report.html").read_text(encoding="utf-8")
    links = [value or "" for key, value in Page(text).attributes if key in ("href", "src", "srcset", "xlink:href")]
    assert links
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_names_cannot_break_the_markdown(hostile: Path) -> None:
    text = (hostile / "report.md").read_bytes().decode("utf-8")
    assert not controls(text)
    assert "<" not in text.replace("\\<", "")
    assert not re.search(r"(?<!\\)\]\(", text)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows} == {13, 9, 3}
    assert len(rows) == 3 + 2 + len(HOSTILE) + 2 + len(HOSTILE)


def test_names_cannot_break_the_terminal() -> None:
    evaluation, _ = case(HOSTILE)
    file = io.StringIO()
    print_evaluation(evaluation, Console(file=file, width=80, force_terminal=False))
    assert not controls(file.getvalue())
    assert max(map(cell_len, file.getvalue().splitlines())) <= 80
    assert "[red]rich[/red]" in file.getvalue()
    assert file.getvalue().count("1.000") == 4 * 7  # long names give way, numbers do not


def controls(text: str) -> set[str]:
    """The characters of `text` that steer a terminal or turn a line around."""
    flag_or_joiner = re.compile("[\u200c\u200d\U000e0020-\U000e007f\n]")
    return {c for c in flag_or_joiner.sub("", text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@given(st.text(max_size=60))
def test_escaped_markdown_is_one_line_without_live_characters(text: str) -> None:
    escaped = escape(text)
    assert not controls(escaped)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[|<>`*_\[\]&~#$]", re.sub(r"\\\\", "", escaped))


def test_the_numbers_are_the_same_everywhere(tmp_path: Path) -> None:
    evaluation, pictures = case(["cell", "dot", "nothing"])
    page = write_report(
        tmp_path, evaluation, "a title", pictures, facts={"seed": 3, "path": Path("x")}, warnings=["odd"]
    )
    assert page == tmp_path / "report.html"
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["summary"] == evaluation.summary.named()
    assert [one["AP"] for one in record["classes"]] == [pytest.approx(1), 0, None]
    assert record["facts"] == {"seed": 3, "path": "x"}
    assert record["warnings"] == ["odd"]
    assert record["counts"]["boxes"] == 2
    assert record["operating_point"]["recall"] == 0.5
    html, markdown = page.read_text(), (tmp_path / "report.md").read_text()
    file = io.StringIO()
    print_evaluation(evaluation, Console(file=file, width=80))
    expected = [("n/a" if value is None else f"{value:.3f}") for value in evaluation.summary.named().values()]
    for text in (html, markdown, file.getvalue()):
        words = re.sub(r"<style>.*</style>|base64,[^\"]*", "", text, flags=re.DOTALL)
        assert re.findall(r"\b(?:\d\.\d{3}|n/a)\b", words)[: len(expected)] == expected
        assert not re.search(r"[\s>]-1\b", words)  # pycocotools' mark for "no truth"
        assert "50% of the boxes" in " ".join(words.split())
    assert "odd" in html
    assert "odd" in markdown


def test_many_classes_keep_the_terminal_short() -> None:
    names = [f"class {i}" for i in range(80)]
    boxes = [[float(i), 0.0, i + 1.0, 1.0] for i in range(80)]
    evaluation = evaluate(
        [target(boxes * 2, [*range(80), *range(50, 60), *[0] * 70])],
        [found(1, [], [], [])],
        tuple(Category(i, name) for i, name in enumerate(names)),
    )
    file = io.StringIO()
    print_evaluation(evaluation, Console(file=file, width=80))
    shown = re.findall(r"class (\d+) ", file.getvalue())
    assert len(shown) == 25
    assert shown == sorted(shown, key=int)
    assert {"0", *map(str, range(50, 60))} <= set(shown)
    assert "55 classes" in file.getvalue()


def test_no_numbers_at_all_is_a_report_too(tmp_path: Path) -> None:
    evaluation = evaluate([target([], [])], [found(1, [], [], [])], (Category(1, "x"),), [300])
    text = write_report(tmp_path, evaluation, "empty").read_text()
    assert "n/a" in text
    assert "AR300" in text
    assert "there is no box to find" in text


def test_marks_say_what_was_right() -> None:
    """A found box, a missed one, a crowd with a detection on it, a wrong detection, and one under the threshold."""
    boxes = [[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [0.0, 20.0, 60.0, 40.0]]
    one = target(boxes, [0, 1, 0], [False, False, True])
    some = found(1, [boxes[0], [40, 5, 50, 15], [5, 25, 9, 30], boxes[1]], [0.9, 0.8, 0.7, 0.1], [0, 1, 0, 1])
    categories = (Category(1, "cell"), Category(2, "dot"))
    picture = Picture("a.png", PIXELS, (40, 60), one, some, evaluate([one], [some], categories).matched[0])
    drawn = draw_picture(picture, categories, 0.5)
    assert [(mark.kind, mark.label) for mark in drawn.marks] == [
        ("truth", ""),
        ("missed", "dot"),
        ("aside", ""),
        ("aside", "cell 0.70"),
        ("wrong", "dot 0.80"),
        ("right", "cell 0.90"),
    ]
    assert drawn.caption == "1 of 2 boxes found, 1 wrong"
    assert list(drawn.marks[1].box) == [20, 0, 10, 10]
    assert len([mark for mark in draw_picture(picture, categories, 0.1).marks if mark.kind == "right"]) == 2
    assert len(draw_picture(picture, categories, 0.95).marks) == 3  # the truth alone
    assert len(draw_picture(picture, categories, None).marks) == 7
    assert draw_picture(picture, categories[:1] * 2, 0.5).marks[-1].label == "cell 0.90"


def test_one_class_needs_no_name_on_its_boxes() -> None:
    one, some = target([[0, 0, 10, 10]], [0]), found(1, [[0, 0, 10, 10]], [0.9], [0])
    picture = Picture("a.png", PIXELS, (40, 60), one, some, np.array([0]))
    assert draw_picture(picture, (Category(1, "cell"),), 0.5).marks[-1].label == "0.90"


@pytest.mark.parametrize(("height", "width"), [(40, 60), (3000, 100), (721, 5000), (1, 1)])
def test_an_image_is_embedded_small_and_in_its_colors(height: int, width: int) -> None:
    image = np.empty((height, width, 3), np.uint8)
    image[...] = (200, 30, 90)
    head, data = data_uri(image).split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as decoded:
        longest = max(height, width)
        expected = min(1, 720 / longest) * np.array([width, height])
        assert np.abs(np.array(decoded.size) - expected).max() <= 1
        assert np.abs(np.asarray(decoded).astype(int) - (200, 30, 90)).max() <= 8


class Photos:
    """A data set of empty images of which some cannot be read."""

    categories = (Category(1, "cell"),)
    warnings = ()

    def __init__(self, count: int, broken: set[int]) -> None:
        self.count, self.broken = count, broken

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> NDArray[np.uint8]:
        if index in self.broken:
            raise InputError(f"photo {index} is broken")
        return PIXELS

    def target(self, index: int) -> Target:
        return target([], [])

    training_target = target

    def image_id(self, index: int) -> int:
        return index

    def size(self, index: int) -> tuple[int, int]:
        return 40, 60

    def name(self, index: int) -> str:
        return str(index)


def pick(count: int, broken: set[int]) -> tuple[list[int], list[str]]:
    source = cast(Source, Photos(count, broken))
    detections = [found(index, [], [], []) for index in range(count)]
    evaluation = evaluate([source.target(index) for index in range(count)], detections, source.categories)
    pictures, problems = pick_pictures(source, detections, evaluation)
    return [int(picture.name) for picture in pictures], problems


def test_pictures_are_spread_and_in_order() -> None:
    names, problems = pick(1000, set())
    assert len(names) == 12
    assert names == sorted(set(names))
    assert max(np.diff([0, *names, 999])) < 200
    assert problems == []
    assert pick(5, set())[0] == [0, 1, 2, 3, 4]
    assert pick(0, set()) == ([], [])


def test_a_broken_image_is_passed_over_and_told() -> None:
    names, problems = pick(40, set(range(0, 40, 2)))
    assert len(names) == 12
    assert not set(names) & set(range(0, 40, 2))
    assert problems[0] == "photo 0 is broken"
    assert len(pick(1000, set(range(1000)))[1]) == 50


@given(st.floats(1e-6, 1e9))
def test_ticks_are_round_and_reach_the_largest(largest: float) -> None:
    marks = ticks(largest)
    assert marks[0] == 0
    assert marks[-1] >= largest * (1 - 1e-6)
    assert marks[-2] < largest
    assert 3 <= len(marks) <= 7
    assert len(f"{marks[1]:.10e}".split("e")[0].strip("0").replace(".", "")) <= 2


def test_a_line_chart_stays_in_its_frame_and_shows_the_last_value() -> None:
    rng = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in enumerate(rng.normal(1, 1, 5000))] + [(5000.0, float("nan"))]
    drawn = draw_chart(Chart("Loss", "epoch", {"loss": points, "none": [(1, float("inf"))]}))
    assert drawn is not None
    [(name, last, line)] = drawn.lines
    assert (name, last) == ("loss", f"{points[-2][1]:.3g}")
    xy = np.array([pair.split(",") for pair in line.split()], float)
    assert len(xy) <= 301
    assert xy.min(axis=0).tolist() >= [LEFT, TOP]
    assert (xy.max(axis=0) <= [WIDTH - RIGHT, HEIGHT - BOTTOM]).all()
    assert xy[0, 0] == LEFT


def test_a_chart_without_points_is_left_out() -> None:
    assert draw_chart(Chart("Loss", "epoch", {})) is None
    assert draw_chart(Chart("Loss", "epoch", {"loss": [(float("nan"), 1)]})) is None
    assert draw_chart(Chart("AP", "epoch", {"AP": [(0, 0)]})) is not None


def test_a_training_log_becomes_two_charts() -> None:
    rows: list[dict[str, object]] = [
        {"epoch": 0.5, "box": 2.0, "lr": 0.1, "note": "x"},
        {"epoch": 1.0, "val/AP": 0.25, "val/AP50": 0.5, "val/box": 2.5},
        {"epoch": 1.5, "box": 1.0, "lr": 0.1},
    ]
    precision, loss = training_charts(rows)
    assert precision.lines == {"AP": [(1.0, 0.25)], "AP50": [(1.0, 0.5)]}
    assert loss.lines == {"box, train": [(0.5, 2.0), (1.5, 1.0)], "box, val": [(1.0, 2.5)]}
    assert all(draw_chart(chart) is None for chart in training_charts([]))


def test_counted() -> None:
    assert [counted(1, "box"), counted(2, "box"), counted(0, "class"), counted(1200, "image")] == [
        "1 box",
        "2 boxes",
        "0 classes",
        "1,200 images",
    ]
