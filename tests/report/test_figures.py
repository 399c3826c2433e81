"""Pictures and charts: what is drawn, and where."""

from __future__ import annotations

import base64
import io
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anchorloc.data import Source
from anchorloc.metrics import evaluate
from anchorloc.report import Chart, Picture, pick_pictures, training_charts
from anchorloc.report.axes import axis_around, round_ticks
from anchorloc.report.chart import BOTTOM, LEFT, RIGHT, TOP, draw_chart
from anchorloc.report.picture import data_uri, draw_picture
from anchorloc.structures import Category
from tests.metrics.evaluation_cases import found, target
from tests.report.report_cases import PIXELS, Photos


def test_marks_say_what_was_right() -> None:
    """A found box, a missed one, a crowd with a detection on it, a wrong detection, and one under the threshold."""
    boxes = [[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [0.0, 20.0, 60.0, 40.0]]
    one = target(boxes, [0, 1, 0], [False, False, True])
    some = found(1, [boxes[0], [40, 5, 50, 15], [5, 25, 9, 30], boxes[1]], [0.9, 0.8, 0.7, 0.1], [0, 1, 0, 1])
    categories = (Category(1, "cell"), Category(2, "dot"))
    picture = Picture("a.png", PIXELS, (40, 60), one, some, evaluate([one], [some], categories).matched[0])
    drawn = draw_picture(picture, categories, 0.5)
    assert [(box.kind, box.label) for box in drawn.boxes] == [
        ("truth", ""),
        ("missed", "dot"),
        ("ignored", ""),
        ("ignored", "cell 0.70"),
        ("wrong", "dot 0.80"),
        ("right", "cell 0.90"),
    ]
    assert drawn.caption == "1 of 2 boxes found, 1 false positive"
    assert draw_picture(picture, categories, 0.95).caption == "0 of 2 boxes found, 0 false positives"
    assert list(drawn.boxes[1].box) == [20, 0, 10, 10]
    assert len([box for box in draw_picture(picture, categories, 0.1).boxes if box.kind == "right"]) == 2
    assert len(draw_picture(picture, categories, 0.95).boxes) == 3  # the truth alone
    assert len(draw_picture(picture, categories, None).boxes) == 7
    assert draw_picture(picture, categories[:1] * 2, 0.5).boxes[-1].label == "cell 0.90"


def test_one_class_needs_no_name_on_its_boxes() -> None:
    one, some = target([[0, 0, 10, 10]], [0]), found(1, [[0, 0, 10, 10]], [0.9], [0])
    picture = Picture("a.png", PIXELS, (40, 60), one, some, np.array([0]))
    assert draw_picture(picture, (Category(1, "cell"),), 0.5).boxes[-1].label == "0.90"


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


def test_a_broken_image_is_skipped_and_reported() -> None:
    names, problems = pick(40, set(range(0, 40, 2)))
    assert len(names) == 12
    assert not set(names) & set(range(0, 40, 2))
    assert problems[0] == "photo 0 is broken"
    assert len(pick(1000, set(range(1000)))[1]) == 50


@given(st.floats(1e-6, 1e9))
def test_ticks_are_round_and_reach_the_largest(largest: float) -> None:
    marks = round_ticks(largest)
    assert marks[0] == 0
    assert marks[-1] >= largest * (1 - 1e-6)
    assert marks[-2] < largest
    assert 3 <= len(marks) <= 7
    assert len(f"{marks[1]:.10e}".split("e")[0].strip("0").replace(".", "")) <= 2


@given(st.just(0.0) | st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_an_axis_around_values_holds_them_with_few_round_ticks(one: float, other: float) -> None:
    low, high = sorted((one, other))
    axis = axis_around(low, high)
    assert axis.low <= low
    assert high * (1 - 1e-6) <= axis.high  # as `round_ticks`, which overlooks what rounding adds
    assert 2 <= len(axis.ticks) <= 9
    assert axis.low >= 0
    assert (axis.low == 0) or low >= high / 2


def test_near_values_are_drawn_apart() -> None:
    axis = axis_around(0.366, 0.552)
    assert list(axis.ticks) == pytest.approx([0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6])
    assert list(axis_around(33.0, 35.8).ticks) == [32, 33, 34, 35, 36, 37]
    equal = axis_around(12.0, 12.0)
    assert equal.low < 12 < equal.high


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
    assert (xy.max(axis=0) <= [RIGHT, BOTTOM]).all()
    assert xy[0, 0] == LEFT


def test_a_lone_point_is_drawn_as_a_dot() -> None:
    drawn = draw_chart(Chart("AP", "epoch", {"AP": [(1.0, 0.5)]}))
    assert drawn is not None
    first, second = drawn.lines[0][2].split()
    assert first == second


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
