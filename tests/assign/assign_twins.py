"""The assigners as anyone would write them down: all anchors times all boxes, one step after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.ops import box_iou

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.structures import BACKGROUND, IGNORE, AnchorGrid

Array = NDArray[Any]


def iou_matrix(grid: AnchorGrid, boxes: Array) -> Array:
    """(A, M) float32 by torchvision, 0 where it has no number and where the anchor takes no part."""
    iou: Array = box_iou(torch.from_numpy(grid.boxes), torch.from_numpy(boxes.astype(np.float32))).numpy()
    return np.where(centers_in_image(grid)[:, None], np.nan_to_num(iou), np.float32(0))


def anchor_centers(grid: AnchorGrid) -> Array:
    """(A, 2) x, y of the cell of every anchor."""
    blocks = []
    for level in grid.levels:
        y, x = level.centers
        block = np.stack([np.tile(x, len(y)), y.repeat(len(x))], axis=1)
        blocks.append(block.repeat(level.shapes, axis=0))
    return np.concatenate(blocks)


def centers_in_image(grid: AnchorGrid) -> Array:
    """(A,) whether the cell of every anchor has its center in the image."""
    if grid.extent is None:
        return np.ones(len(grid), bool)
    top, left, bottom, right = grid.extent
    x, y = anchor_centers(grid).T
    return np.asarray((left <= x) & (x < right) & (top <= y) & (y < bottom))


def box_centers(boxes: Array) -> Array:
    """(M, 2) x, y."""
    exact = boxes.astype(np.float32).astype(np.float64)
    return np.asarray((exact[:, :2] + exact[:, 2:]) / 2)


def squared_distances(grid: AnchorGrid, box: Array) -> Array:
    """(A,) from the box's center to every anchor's cell."""
    across, down = (anchor_centers(grid) - box_centers(box[None])).T
    return np.asarray(across * across + down * down)


def ignore_crowd(matched: Array, grid: AnchorGrid, boxes: Array) -> None:
    """Turn background into IGNORE where half of an anchor lies in a crowd box."""
    anchors = grid.boxes
    area = (anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])
    for box in boxes.astype(np.float32):
        shared = np.minimum(anchors[:, 2:], box[2:]) - np.maximum(anchors[:, :2], box[:2])
        inter = shared.clip(0).prod(axis=1)
        covered = (area > 0) & (inter / np.where(area > 0, area, 1) >= np.float32(0.5)) & centers_in_image(grid)
        matched[(matched == BACKGROUND) & covered] = IGNORE


def max_iou_twin(assigner: MaxIoUAssigner, grid: AnchorGrid, boxes: Array, crowd: Array) -> Array:
    """The (A,) labels of MaxIoUAssigner."""
    matched = np.full(len(grid), BACKGROUND)
    if not crowd.all():
        iou = iou_matrix(grid, boxes)
        iou[:, crowd] = -1
        best = iou.max(axis=1)
        matched[best >= np.float32(assigner.negative_iou)] = IGNORE
        positive = (best > 0) & (best >= np.float32(assigner.positive_iou))
        matched[positive] = iou.argmax(axis=1)[positive]
        if assigner.rescue_iou is not None:
            rescue_twin(matched, grid, boxes, iou, np.float32(assigner.rescue_iou))
    ignore_crowd(matched, grid, boxes[crowd])
    return matched


def rescue_twin(matched: Array, grid: AnchorGrid, boxes: Array, iou: Array, least: np.float32) -> None:
    lost = [row for row in range(len(boxes)) if iou[0, row] >= 0 and not (matched == row).any()]
    for row in sorted(lost, key=lambda row: (-iou[:, row].max(), row)):
        away = squared_distances(grid, boxes[row])
        order = np.lexsort((np.arange(len(grid)), away, -iou[:, row]))
        for anchor in order:
            if iou[anchor, row] < least or iou[anchor, row] == 0:
                break
            if matched[anchor] < 0 or (matched == matched[anchor]).sum() > 1:
                matched[anchor] = row
                break


def atss_twin(assigner: ATSSAssigner, grid: AnchorGrid, boxes: Array, crowd: Array) -> Array:
    """The (A,) labels of ATSSAssigner."""
    matched = np.full(len(grid), BACKGROUND)
    claim = np.zeros(len(grid), np.float32)
    iou = iou_matrix(grid, boxes)
    centers = anchor_centers(grid)
    for row in np.flatnonzero(~crowd):
        candidates = atss_candidates(grid, boxes[row], assigner.topk)
        values = iou[candidates, row]
        if not len(values):
            continue
        exact = values.astype(np.float64)
        threshold = exact.mean() + (exact.std(ddof=1) if len(values) > 1 else 0)
        corner = boxes[row].astype(np.float32).astype(np.float64)
        margins = np.hstack([centers[candidates] - corner[:2], corner[2:] - centers[candidates]])
        taken = (margins.min(axis=1) > 0.01) & (values >= threshold) & (values > claim[candidates])
        matched[candidates[taken]], claim[candidates[taken]] = row, values[taken]
    ignore_crowd(matched, grid, boxes[crowd])
    return matched


def atss_candidates(grid: AnchorGrid, box: Array, cells: int) -> Array:
    """The anchors of the nearest cells of every level."""
    away = np.where(centers_in_image(grid), squared_distances(grid, box), np.inf)
    chosen, start = [], 0
    for level in grid.levels:
        distance = away[start : start + len(level) : level.shapes]
        nearest = np.lexsort((np.arange(len(distance)), distance))[: min(cells, np.isfinite(distance).sum())]
        chosen.append((start + nearest[:, None] * level.shapes + np.arange(level.shapes)).ravel())
        start += len(level)
    return np.concatenate(chosen)


@dataclass(frozen=True)
class Scene:
    """Draw a grid with boxes of every difficult kind."""

    grid: AnchorGrid
    boxes: Array  # (M, 4) float32
    crowd: Array  # (M,)


sides = st.floats(0.25, 150, width=32)
ratios = st.sampled_from([0.25, 0.5, 1, 2, 3.3])


def lists(values: st.SearchStrategy[Any], levels: int, least: int = 1) -> st.SearchStrategy[tuple[Any, ...]]:
    """One short list of values per level."""
    return st.tuples(*[st.lists(values, min_size=least, max_size=3).map(tuple)] * levels)


@st.composite
def generators(draw: st.DrawFn) -> tuple[Any, bool]:
    """Draw a generator of 1 to 3 levels, and whether it needs the grid sizes."""
    levels = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["scales", "shapes", "torchvision", "ssd"]))
    if kind == "ssd":
        numbers = draw(lists(st.sampled_from([2, 3]), levels, least=0))
        return AnchorGenerator.torchvision_ssd(numbers, clip=draw(st.booleans())), True
    if kind == "torchvision":
        return AnchorGenerator.torchvision(draw(lists(sides, levels)), draw(lists(ratios, levels))), False
    strides = draw(st.tuples(*[st.sampled_from([4, 7, 8, 12.5, 16, 32])] * levels))
    if kind == "shapes":
        return AnchorGenerator(strides, shapes=draw(lists(st.tuples(sides, sides), levels))), False
    scales = draw(st.tuples(st.floats(0.25, 9), st.sampled_from([1, 2, 4])))
    return AnchorGenerator(strides, scales, draw(st.lists(ratios, min_size=1, max_size=3).map(tuple))), False


@st.composite
def grids(draw: st.DrawFn) -> AnchorGrid:
    generator, told = draw(generators())
    size = draw(st.tuples(st.integers(1, 100), st.integers(1, 100)))
    if told or draw(st.booleans()):
        levels = len(generator.shapes_per_level)
        grid_sizes = draw(st.tuples(*[st.tuples(st.integers(1, 12), st.integers(1, 12))] * levels))
    else:
        grid_sizes = None
    grid: AnchorGrid = generator(size, grid_sizes)
    if draw(st.booleans()):
        return grid
    edges = (st.lists(st.integers(0, side + 20), min_size=2, max_size=2).map(sorted) for side in size)
    (top, bottom), (left, right) = (draw(pair) for pair in edges)
    return grid.within((top, left, bottom, right))


@st.composite
def boxes_near(draw: st.DrawFn, grid: AnchorGrid) -> Array:
    """One box (4,): an anchor, a shifted or resized anchor, whole numbers, anything small, huge, flat or far away."""
    kind = draw(st.sampled_from(["anchor", "moved", "whole", "small", "huge", "flat", "outside"]))
    if kind in ("anchor", "moved"):
        box: Array = grid.boxes[draw(st.integers(0, len(grid) - 1))].copy()
        if kind == "moved":
            stride = grid.levels[0].stride[1]
            box += np.float32(stride) * np.float32(draw(st.sampled_from([0.5, 0.25, -1, 0.3])))
            box[2:] += np.float32(draw(st.sampled_from([0, 1, 2.5])))
        return box
    x, y = draw(st.floats(-50, 150, width=32)), draw(st.floats(-50, 150, width=32))
    if kind == "whole":
        x, y = float(round(x)), float(round(y))
    width = {
        "whole": st.integers(1, 100).map(float),
        "small": st.floats(1e-9, 3),
        "huge": st.sampled_from([1e3, 1e6, 1e9]),
        "flat": st.just(0.0),
        "outside": st.floats(1, 100),
    }[kind]
    if kind == "outside":
        x -= draw(st.sampled_from([1e3, 1e9]))
    if kind == "huge":
        x, y = x - draw(width) / 2, y - draw(width) / 2
    height = draw(st.floats(0, 100)) if kind == "flat" else draw(width)
    return np.array([x, y, x + draw(width), y + height], np.float32)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    grid = draw(grids())
    boxes: list[Array] = draw(st.lists(boxes_near(grid), max_size=7))
    boxes += boxes[:1] * draw(st.integers(0, 4))  # several boxes want the same anchor
    crowd: list[bool] = draw(st.lists(st.booleans(), min_size=len(boxes), max_size=len(boxes)))
    return Scene(grid, np.array(boxes, np.float32).reshape(-1, 4), np.array(crowd, bool))


@st.composite
def thresholds(draw: st.DrawFn, scene: Scene) -> tuple[float, float]:
    """(positive, negative), as often as not an IoU that occurs, or the next number above it."""
    values = [0.05, 0.4, 0.5, 0.7, 1.0]
    if len(scene.boxes):
        present = np.unique(iou_matrix(scene.grid, scene.boxes))
        present = present[present > 0][-20:]
        values += [float(v) for v in present] + [float(np.nextafter(v, np.float32(0))) for v in present]
        values += [min(1.0, float(np.nextafter(v, np.float32(1)))) for v in present]
    pair = draw(st.tuples(st.sampled_from(values), st.sampled_from([*values, 0.0])))
    return max(pair), min(pair)


def random_boxes(count: int, seed: int, height: int = 800, width: int = 1344) -> NDArray[np.float32]:
    """(M, 4) float32 inside the image, log-uniform in size from 12 to 500 px."""
    generator = np.random.default_rng(seed)
    side = np.exp(generator.uniform(np.log(12), np.log(500), (count, 2)))
    corner = generator.uniform(0, [width, height], (count, 2)) - side / 2
    low, high = corner.clip(0), np.minimum(corner + side, [width, height])
    return np.concatenate([low, high], axis=1).astype(np.float32)
