"""Assigners in threads, in worker processes and across grids, and the promises that their kernels rest on."""

from __future__ import annotations

import multiprocessing
import pickle
import typing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import Assigner, ATSSAssigner, MaxIoUAssigner, atss_kernels, max_iou_kernels
from anchorloc.assign.assigner_protocol import AssignerProtocol
from anchorloc.assign.max_iou import workspace
from anchorloc.assign.max_iou_kernels import box_area, marked, ones
from anchorloc.boxes import box_iou as library_box_iou
from anchorloc.structures import AnchorGrid, AnchorLevel
from tests.assign.assign_twins import Scene, grids, max_iou_twin, random_boxes, scenes

Task = tuple[Assigner, AnchorGrid, NDArray[np.float32]]
ASSIGNERS: list[Assigner] = [MaxIoUAssigner(rescue_iou=0.1), ATSSAssigner()]


def labels(task: Task) -> NDArray[np.int32]:
    assigner, grid, boxes = task
    return assigner(grid, boxes, np.zeros(len(boxes), np.bool_)).matched


def tasks(count: int) -> list[Task]:
    """Grids of several sizes, each with one of the assigners, so that the workspace grows, shrinks and is shared."""
    sizes = [(64, 96), (256, 320), (33, 200)]
    return [
        (ASSIGNERS[i % len(ASSIGNERS)], AnchorGenerator()(sizes[i % 3]), random_boxes(1 + i % 12, i, *sizes[i % 3]))
        for i in range(count)
    ]


def test_every_kind_of_assigner_is_tried() -> None:
    assert {type(one) for one in ASSIGNERS} == set(typing.get_args(Assigner)) - {AssignerProtocol}


def test_threads_do_not_disturb_each_other() -> None:
    work = tasks(120)
    expected = [labels(task) for task in work]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(labels, work * 3), expected * 3, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_worker_processes_give_the_same_labels(start: str) -> None:
    work = tasks(4)
    expected = [labels(task) for task in work]  # the parent has used its kernels before it forks
    with multiprocessing.get_context(start).Pool(1) as pool:
        for found, wanted in zip(pool.map(labels, work), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("assigner", ASSIGNERS)
def test_an_assigner_survives_pickling(assigner: Assigner) -> None:
    assert pickle.loads(pickle.dumps(assigner)) == assigner


@settings(max_examples=100)
@given(scenes())
def test_scratch_is_clean_after_every_call(scene: Scene) -> None:
    for assigner in ASSIGNERS:
        assigner(scene.grid, scene.boxes, scene.crowd)
        claims, marks, pages = workspace(len(scene.grid))
        assert not claims.any()
        assert not marks.any()
        assert not pages.any()


@settings(max_examples=60)  # 100 pairs each
@given(grids(), st.integers(0, 1 << 30))
def test_iou_is_the_box_librarys_bit_for_bit(grid: AnchorGrid, seed: int) -> None:
    generator = np.random.default_rng(seed)
    corner = generator.uniform(-50, 100, (5, 2))
    boxes = np.concatenate([corner, corner + generator.exponential(40, (5, 2))], axis=1).astype(np.float32)
    anchors = grid.boxes[generator.integers(len(grid), size=20)]
    expected = library_box_iou(anchors, boxes)
    areas = [np.float32(box_area(tuple(box))) for box in boxes]  # a kernel's float32 comes back as a Python float
    for kernel in (max_iou_kernels.box_iou, atss_kernels.box_iou):
        found = [
            [kernel(a[0], a[1], a[2], a[3], tuple(box), area) for box, area in zip(boxes, areas, strict=True)]
            for a in anchors
        ]
        np.testing.assert_array_equal(np.array(found, np.float32), expected)


@given(st.integers(0, 2**64 - 1), st.integers(0, 127))
def test_bits_are_counted_and_read(bits: int, word: int) -> None:
    assert ones(np.uint64(bits)) == bits.bit_count()
    marks, pages = np.zeros(128, np.uint64), np.zeros(2, np.bool_)
    marks[word], pages[word // 64] = bits, True
    assert marked(marks, pages).tolist() == [64 * word + place for place in range(64) if bits >> place & 1]


@settings(max_examples=200)
@given(st.data())
def test_a_strangers_uneven_grid_is_searched_in_full(data: st.DataObject) -> None:
    """Nothing is believed of a grid but its edges: here they lie anywhere."""
    generator = np.random.default_rng(data.draw(st.integers(0, 1 << 30)))
    rows, columns, shapes = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    x1, y1 = generator.uniform(-20, 60, (shapes, columns)), generator.uniform(-20, 60, (shapes, rows))
    x2, y2 = x1 + generator.uniform(0, 40, x1.shape), y1 + generator.uniform(0, 40, y1.shape)
    edges = [edge.astype(np.float32) for edge in (x1, y1, x2, y2)]
    grid = AnchorGrid((40, 40), (AnchorLevel((8.0, 8.0), (4.0, 4.0), *edges),))
    boxes = np.concatenate([grid.boxes[generator.integers(len(grid), size=3)], random_boxes(3, 0, 40, 40)])
    assigner = MaxIoUAssigner(0.3, 0.1, 0.05)
    expected = max_iou_twin(assigner, grid, boxes, np.zeros(6, bool))
    np.testing.assert_array_equal(assigner(grid, boxes).matched, expected)
