"""The measured coverage against the assigners themselves, box by box."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.boxes import box_iou
from anchorloc.data import Augment, IoUCrop, Keep, Mosaic, Samples, ShapesData, ShortestSide, Transform, ZoomOut
from anchorloc.detector import TaskAlignedAssigner
from anchorloc.lab import neighbors
from anchorloc.lab.anchor_coverage import CURVE_IOUS, BoxStatus, level_of, measure_coverage
from anchorloc.lab.ceiling import ceiling
from anchorloc.lab.groups import SIZES, cross_tabulate, group_coverages, groupings, size_by_level
from anchorloc.lab.miss_causes import MissCause
from anchorloc.lab.network_views import NetworkViews
from anchorloc.metrics.analysis import AnalysisOptions, analyze
from anchorloc.structures import Target
from tests.assign.assign_twins import iou_matrix
from tests.lab.lab_cases import ANCHORS, BoxSource, assigners, config_of, source_of, sources, views_of
from tests.metrics.evaluation_cases import found as no_detection


@given(sources(), assigners)
def test_coverage_is_what_the_assigner_does(source: BoxSource, assign: Any) -> None:
    views = views_of(source, assign=assign)
    found, start = measure_coverage(views), 0
    boxes = found.boxes
    for view in views:
        target, grid = view.target, view.grid
        iou = iou_matrix(grid, target.boxes)
        matched = assign(grid, target.boxes, target.crowd).matched
        for row in np.flatnonzero(~target.crowd):
            mine = np.flatnonzero(matched == row)
            assert boxes.images[start] == view.index
            assert boxes.rows[start] == target.rows[row]
            assert boxes.labels[start] == target.labels[row]
            assert boxes.positives[start] == len(mine)
            assert boxes.best_iou[start] == iou[:, row].max()
            alone = assign(grid, target.boxes[[row]], None)
            expected = (
                BoxStatus.ASSIGNED if len(mine) else BoxStatus.COLLISION if len(alone.anchors) else BoxStatus.NO_ANCHOR
            )
            assert boxes.status[start] == expected
            best = mine[iou[mine, row].argmax()] if len(mine) else -1
            assert boxes.level[start] == (-1 if best < 0 else int(best >= len(grid.levels[0])))
            start += 1
    assert start == len(boxes)
    assert found.positives == boxes.positives.sum()
    assert found.images == len(source)
    usable = sum(len(source.training_target(index)) for index in range(len(source)))
    assert found.unusable == sum(map(len, source.targets)) - usable
    assert found.crowds + len(boxes) == usable
    assert found.cropped_out == 0


def test_the_lab_shows_task_alignment_where_a_config_uses_it() -> None:
    """One anchor a box: the one of greatest IoU whose center is in the box; ATSS would take more."""
    boxes: list[list[list[float]]] = [[[10, 10, 42, 42], [60, 60, 61, 61]]]
    found = measure_coverage(views_of(source_of(boxes), assign=TaskAlignedAssigner(topk=1)))
    assert found.boxes.positives.tolist() == [1, 0]
    assert found.boxes.status.tolist() == [BoxStatus.ASSIGNED, BoxStatus.NO_ANCHOR]  # no center in a box of 1 px
    assert found.boxes.best_iou[0] == found.boxes.exclusive_iou[0] > 0.5
    assert measure_coverage(views_of(source_of(boxes), assign=ATSSAssigner())).boxes.positives[0] > 1
    limit = ceiling(views_of(source_of(boxes), assign=TaskAlignedAssigner(topk=1)))
    assert limit.causes.tolist() == [MissCause.NO_ANCHOR]


@settings(max_examples=25)  # each measures 29 times
@given(sources())
def test_recall_is_the_share_that_max_iou_would_assign(source: BoxSource) -> None:
    views = views_of(source, assign=MaxIoUAssigner(rescue_iou=0.2))
    found = measure_coverage(views)
    for place, threshold in enumerate(CURVE_IOUS):
        for rescue, recall in ((None, found.recall), (0.2, found.rescued_recall)):
            changed = measure_coverage(
                replace(views, config=config_of(assign=MaxIoUAssigner(threshold, threshold, rescue))), False
            )
            assert recall[place] == pytest.approx(changed.assigned)
    assert measure_coverage(views, rescue_curve=False).rescued_recall == ()


def test_the_positives_of_every_shape_are_counted() -> None:
    source = source_of([[[10, 10, 42, 26], [50, 50, 82, 82]], []])
    found = measure_coverage(views_of(source, assign=ATSSAssigner(9)))
    expected = [np.zeros(shapes, int) for shapes in ANCHORS.shapes_per_level]
    for view in views_of(source):
        for anchor in ATSSAssigner(9)(view.grid, view.target.boxes).anchors:
            level = int(level_of(view.grid, np.array([anchor]))[0])
            first = sum(map(len, view.grid.levels[:level]))
            expected[level][(anchor - first) % 6] += 1
    assert [level.tolist() for level in found.positives_per_shape] == [level.tolist() for level in expected]
    assert found.positives > 0


def test_the_shapes_of_a_cell_are_those_of_the_generator() -> None:
    source = source_of([[[10, 10, 42, 26]]])
    levels = measure_coverage(views_of(source), False).levels
    assert [level.stride for level in levels] == list(ANCHORS.strides)
    for level, sizes in zip(levels, ANCHORS.level_shapes, strict=True):
        np.testing.assert_allclose(level.sizes, sizes, rtol=1e-6)
    ssd = AnchorGenerator.torchvision_ssd([[2], [2, 3]], steps=(8, 16))
    levels = measure_coverage(views_of(source, anchors=ssd), False).levels
    assert [len(level.sizes) for level in levels] == [4, 6]
    assert levels[0].sizes[0] == pytest.approx((0.15 * 128, 0.15 * 112), rel=1e-6)  # in the padded image, 112 x 128


def test_training_views_are_the_samples_of_training() -> None:
    data = ShapesData(train_images=6, val_images=3, size=96)
    augment = Augment(
        vertical_flip=0.5,
        scale_jitter=(0.5, 2.0),
        photometric=0.2,
        multi_scale=(0.75, 1.0),
        iou_crop=IoUCrop(0.5),
        zoom_out=ZoomOut(),
        mosaic=Mosaic(),
    )
    transform = Transform(ShortestSide(64, 64), augment)
    config = config_of(data=data, transform=transform)
    source = data.open("train")
    samples = Samples(source, transform, config.train.seed, training=True)
    for view in NetworkViews(config, source, epochs=2):
        sample = samples[view.epoch, view.index]
        np.testing.assert_array_equal(view.target.boxes, sample.target.boxes)
        assert view.scale == sample.scale
        assert view.grid.image_size == tuple(-(-side // 16) * 16 for side in sample.image.shape[:2])
        owners = {int(row): index for index in range(len(source)) for row in source.target(index).rows}
        assert view.images.tolist() == [owners[int(row)] for row in view.target.rows]
    assert measure_coverage(NetworkViews(config, source, epochs=2)).cropped_out > 0


def test_a_subset_is_spread_over_the_split() -> None:
    views = views_of(source_of([[]] * 10), epochs=2)
    assert views.subset(10) is views
    some = views.subset(3)
    assert (list(some.indices), len(some)) == ([0, 4, 9], 6)
    assert [(view.epoch, view.index) for view in some] == [(0, 0), (0, 4), (0, 9), (1, 0), (1, 4), (1, 9)]


@pytest.mark.parametrize(
    ("augment", "moves"),
    [
        (Augment(), True),
        (Augment(0, 0.5), True),
        (Augment(0, 0, (1, 2)), True),
        (Augment(0, photometric=1), False),
        (Augment(0, iou_crop=IoUCrop()), True),
        (Augment(0, zoom_out=ZoomOut()), True),
        (Augment(0, multi_scale=(1.0, 2.0)), True),
    ],
)
def test_only_what_moves_boxes_needs_passes(augment: Augment, moves: bool) -> None:
    assert augment.moves_boxes is moves
    target = source_of([[[10, 10, 40, 30]]]).targets[0]
    places = {Transform(augment=augment).boxes((100, 120), target, Random(n))[0].boxes.tobytes() for n in range(20)}
    assert (len(places) > 1) is moves


@given(sources())
def test_groups_divide_the_boxes(source: BoxSource) -> None:
    coverage = measure_coverage(views_of(source), rescue_curve=False)
    boxes, divisions = coverage.boxes, groupings(coverage)
    for division in divisions:
        rows = group_coverages(boxes, division)
        assert sum(row.boxes for row in rows) == len(boxes)
        assert sum(row.assigned * row.boxes for row in rows) == pytest.approx(boxes.assigned.sum())
    cells = cross_tabulate(boxes, divisions) if len(boxes) else []
    assert sum(count for _, count, _ in cells) == len(boxes)
    assert sum(assigned for *_, assigned in cells) == boxes.assigned.sum()
    table = size_by_level(coverage)
    assert table.sum() == len(boxes)
    assert table[:, 2].sum() == (~boxes.assigned).sum()
    for size, row in zip(SIZES, table, strict=True):
        assert row.sum() == sum(group.boxes for group in group_coverages(boxes, divisions[0]) if group.label == size)


def test_borders_of_groups() -> None:
    source = source_of([[[0, 0, 8, 8], [0, 0, 7, 7], [0, 0, 16, 4], [0, 0, 4, 16]]])
    size, aspect, label, level, *_ = groupings(measure_coverage(views_of(source), rescue_curve=False))
    assert [size.labels[group] for group in size.group_of_box] == ["8-16 px", "< 8 px", "8-16 px", "8-16 px"]
    assert [aspect.labels[group] for group in aspect.group_of_box] == ["0.8-1.25", "0.8-1.25", "0.25-0.5", ">= 4"]
    assert set(label.group_of_box.tolist()) == {0}
    assert level.labels == ("level 0", "level 1", "no level")


def test_boxes_are_sliced_by_neighbors_and_border_as_in_the_evaluation() -> None:
    boxes: list[list[list[float]]] = [
        [[10.0, 10, 30, 30], [10, 10, 30, 40], [29, 10, 49, 30], [60, 60, 80, 80], [99, 60, 119, 80], [0.5, 80, 9, 90]],
        [[10.0, 10, 30, 30], [10, 10, 30, 31]],  # the second is a crowd
    ]
    source = source_of(boxes, crowd=[[False] * 6, [False, True]])
    coverage = measure_coverage(views_of(source, transform=Transform(resize=Keep())), rescue_curve=False)
    *_, overlap, border = groupings(coverage)
    names = [overlap.labels[group] for group in overlap.group_of_box]
    assert names == ["crowded, IoU 0.3 and more"] * 2 + ["touches another box"] + ["isolated"] * 4
    assert [border.labels[group] for group in border.group_of_box] == [
        *(["inside"] * 4 + ["cut by the border"] * 2 + ["inside"])
    ]
    targets = [target.take(~target.crowd) for target in source.targets]
    nothing = [no_detection(n, [], []) for n in range(2)]
    options = AnalysisOptions(sizes=np.array(source.sizes))
    slices = {one.name: one.boxes for one in analyze(targets, nothing, source.categories, options=options).slices}
    for grouping in (overlap, border):
        assert {row.label: row.boxes for row in group_coverages(coverage.boxes, grouping)} == {
            label: slices[label] for label in grouping.labels
        }


def test_neighbors_are_found_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 40, (50, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 9, (50, 2))], axis=1)
    whole = neighbors.neighbor_ious(boxes)
    matrix = box_iou(boxes, boxes)
    np.fill_diagonal(matrix, 0)
    np.testing.assert_array_equal(whole, matrix.max(axis=1))
    monkeypatch.setattr(neighbors, "PAIRS_AT_ONCE", 350)
    np.testing.assert_array_equal(neighbors.neighbor_ious(boxes), whole)
    assert neighbors.neighbor_ious(boxes[:1]).tolist() == [0]
    assert neighbors.neighbor_ious(boxes[:0]).tolist() == []


def test_coverage_without_a_box() -> None:
    found = measure_coverage(views_of(source_of([[], []])))
    assert (found.assigned, found.recall[0], found.rescued_recall[0], found.images) == (1, 1, 1, 2)
    assert isinstance(found.boxes.take(found.boxes.assigned).sizes, np.ndarray)
    assert isinstance(source_of([[]]).targets[0], Target)
