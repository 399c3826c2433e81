"""The built-in scenes: what they promise, and that a folder of them reads back the same."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc import shapes
from anchorloc.boxes import box_iou
from anchorloc.cli import run_command
from anchorloc.data import CocoData, ShapesData, Source
from anchorloc.data.shape_drawing import draw
from anchorloc.data.shape_layout import NAMES, Figure, IntBox, figure_mask, intersection_over_union, lay_out
from anchorloc.errors import InputError

SCENES = 300


@pytest.fixture(scope="module")
def scenes() -> Source:
    return ShapesData().open("train")


def test_layouts_keep_the_promised_limits(scenes: Source) -> None:
    counts: set[int] = set()
    sides: list[float] = []
    ratios: list[float] = []
    labels: list[int] = []
    cut = 0
    for index in range(SCENES):
        target = scenes.target(index)
        x1, y1, x2, y2 = target.boxes.T
        assert (target.boxes >= 0).all()
        assert (target.boxes <= 160).all()
        overlap = box_iou(target.boxes, target.boxes)
        np.fill_diagonal(overlap, 0)
        assert overlap.max() <= 0.3
        counts.add(len(target))
        sides.extend(np.sqrt((x2 - x1) * (y2 - y1)))
        ratios.extend((y2 - y1) / (x2 - x1))
        labels.extend(target.labels)
        cut += int(((x1 == 0) | (y1 == 0) | (x2 == 160) | (y2 == 160)).sum())
    assert counts == set(range(1, 9))
    assert min(sides) >= 10
    assert max(sides) <= 100
    assert min(ratios) >= 1 / 3
    assert max(ratios) <= 3
    assert np.bincount(labels).min() > len(labels) / 5  # 4 classes, about as many of each
    assert len(labels) / 10 < cut < len(labels) / 2
    thirds, _ = np.histogram(np.log(sides), np.log([10, 10 ** (4 / 3), 10 ** (5 / 3), 100]))
    assert thirds.min() > len(sides) / 4  # log-uniform, nearly


def test_a_scene_depends_on_seed_split_and_index_alone(scenes: Source) -> None:
    again = ShapesData(train_images=5).open("train")
    backwards = [again.image(index) for index in reversed(range(4))]
    for index, image in enumerate(reversed(backwards)):
        np.testing.assert_array_equal(image, scenes.image(index))
        np.testing.assert_array_equal(again.target(index).boxes, scenes.target(index).boxes)
    others = [scenes.image(1), ShapesData().open("val").image(0), ShapesData(seed=1).open("train").image(0)]
    assert all((other != scenes.image(0)).any() for other in others)


def test_boxes_span_the_drawn_pixels_tightly(scenes: Source) -> None:
    """Drawn over a background that nothing but the figure changes, also where the border cuts the figure."""
    cut = 0
    for index in range(60):
        random = Random(index)
        for figure in lay_out(random, 160):
            with_figure, without = (np.asarray(draw(Random(7), figures, 160), np.int64) for figures in ([figure], []))
            changed = (with_figure != without).any(axis=2)
            rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            drawn = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            # A rim pixel may be covered by a quarter and look like the ground: one pixel of grace, seldom needed.
            assert np.abs(drawn - figure.visible).max() <= 1, figure
            cut += min(figure.visible) == 0 or max(figure.visible) == 160
    assert cut > 20


@pytest.mark.parametrize("name", NAMES)
def test_an_outline_spans_its_box_and_looks_like_its_name(name: str) -> None:
    share = {"ellipse": np.pi / 4, "rectangle": 1, "triangle": 0.5, "cross": 0.55}[name]
    for direction in range(4):
        figure = Figure(NAMES.index(name), 0, 0, 60, 45, direction, 0.5, (0, 0, 60, 45))
        mask = figure_mask(figure)
        assert mask.size == (60, 45)
        assert mask.getbbox() == (0, 0, 60, 45)
        pixels = np.asarray(mask)
        assert pixels.mean() / 255 == pytest.approx(share, abs=0.03)
        if name == "rectangle":
            assert (pixels == 255).all()
        if name != "triangle":
            np.testing.assert_array_equal(pixels, pixels[::-1, ::-1])
        else:  # half way along its edge, the apex makes it symmetric, up to the rounding of a pixel
            across = pixels[:, ::-1] if direction < 2 else pixels[::-1]
            assert np.abs(pixels.astype(int) - across).mean() < 10


def test_large_figures_are_painted_first() -> None:
    for seed in range(20):
        areas = [figure.width * figure.height for figure in lay_out(Random(seed), 160)]
        assert areas == sorted(areas, reverse=True)


@given(st.lists(st.integers(0, 12), min_size=8, max_size=8))
def test_overlap_of_whole_pixels_is_that_of_the_box_library(edges: list[int]) -> None:
    (x1, x2), (y1, y2), (u1, u2), (v1, v2) = (sorted(edges[place : place + 2]) for place in range(0, 8, 2))
    a: IntBox = (x1, y1, x2 + 1, y2 + 1)
    b: IntBox = (u1, v1, u2 + 1, v2 + 1)
    assert intersection_over_union(a, b) == pytest.approx(box_iou(np.array([a], float), np.array([b], float))[0, 0])


def test_a_figure_differs_from_what_it_lies_on() -> None:
    """Rectangles, a small one inside a large one at the right: both middles show them, whatever the colors."""
    large = Figure(1, 60, 10, 90, 90, 0, 0, (60, 10, 150, 100))
    small = Figure(1, 110, 60, 20, 20, 0, 0, (110, 60, 130, 80))
    for seed in range(100):
        both, one, none = (
            np.asarray(draw(Random(seed), figures, 160), np.int64) for figures in ([large, small], [large], [])
        )
        assert np.abs(both[70, 120] - one[70, 120]).max() >= 30
        assert np.abs(one[30, 80] - none[30, 80]).max() >= 10  # texture, lines and blobs come between


def test_small_scenes_have_small_objects() -> None:
    source = ShapesData(size=48).open("train")
    assert max(source.target(index).boxes.max() for index in range(50)) <= 48
    assert max(source.target(index).area.max() for index in range(50)) <= (0.625 * 48) ** 2


def test_the_command_writes_scenes_that_read_back_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "shapes"
    status = run_command(
        shapes.main, [str(folder), "--train-images", "6", "--val-images", "3", "--size", "64", "--seed", "5"]
    )
    assert status == 0
    assert "6 train and 3 val" in capsys.readouterr().out
    drawn, read = ShapesData(6, 3, 64, 5), CocoData(folder)
    for split, count in (("train", 6), ("val", 3)):
        ours, theirs = drawn.open(split), read.open(split)  # type: ignore[arg-type]
        assert len(theirs) == count
        assert theirs.categories == ours.categories
        assert theirs.warnings == theirs.check_images() == ()
        for index in range(count):
            assert theirs.image_id(index) == ours.image_id(index)
            np.testing.assert_array_equal(theirs.image(index), ours.image(index))
            for field in ("boxes", "labels", "crowd", "area"):
                np.testing.assert_array_equal(
                    getattr(theirs.target(index), field), getattr(ours.target(index), field), field
                )


def test_the_command_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert run_command(shapes.main, [str(tmp_path), "--train-images", "1", "--val-images", "1"]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert run_command(shapes.main, [str(tmp_path / "mine.txt")]) == 2


@pytest.mark.parametrize("settings", [{"size": 16}, {"size": 10**6}, {"train_images": 0}, {"val_images": -1}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=str(next(iter(settings.values())))):
        ShapesData(**settings)
