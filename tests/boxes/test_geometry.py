"""Formats, areas and images: round trips, torchvision, and numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorloc.boxes import (
    box_area,
    box_convert,
    clip_boxes_to_image,
    denormalize_boxes,
    flip_boxes,
    normalize_boxes,
    remove_small_boxes,
    scale_boxes,
)
from tests.boxes.box_strategies import FLOATS, GRID, boxes, coordinates, many

Array = NDArray[Any]
FORMATS = ["xyxy", "xywh", "cxcywh"]
SIZES = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
ANY = FLOATS.flatmap(boxes)
SMALL = FLOATS.flatmap(lambda dtype: boxes(dtype, coordinates(1e4)))


def eps(some: Array) -> float:
    return float(np.finfo(some.dtype).eps)


@many
@given(FLOATS.flatmap(lambda dtype: boxes(dtype, GRID)), st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_every_conversion_comes_back_exactly_on_a_grid(some: Array, first: str, second: str) -> None:
    rows = box_convert(some, "xyxy", first)
    there = box_convert(rows, first, second)
    assert there.dtype == some.dtype
    np.testing.assert_array_equal(box_convert(there, second, first), rows)


@many
@given(ANY, st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_every_conversion_comes_back_up_to_rounding(some: Array, first: str, second: str) -> None:
    rows = box_convert(some, "xyxy", first)
    back = box_convert(box_convert(rows, first, second), second, first)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    assert (np.abs(back - rows) <= 4 * eps(some) * largest).all()


@many
@given(ANY, st.sampled_from(FORMATS), st.sampled_from(FORMATS))
def test_conversions_are_those_of_torchvision(some: Array, first: str, second: str) -> None:
    rows = box_convert(some, "xyxy", first)
    peer = torchvision.ops.box_convert(torch.from_numpy(rows), first, second).numpy()
    np.testing.assert_array_equal(box_convert(rows, first, second), peer)


def test_a_conversion_to_the_same_format_is_a_copy() -> None:
    some = np.array([[0.0, 0, 1, 1]])
    box_convert(some, "xyxy", "xyxy")[0, 0] = 7
    assert some[0, 0] == 0


@pytest.mark.parametrize("others", [[], [[0, 0, 5, -1]]])
@pytest.mark.parametrize("fmt", ["xywh", "cxcywh"])
def test_negative_sizes_are_refused_in_every_format(fmt: str, others: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"boxes\[1\] is \(0.0, 0.0, 5.0, -1.0\): width and height must not be neg"):
        box_convert([[0, 0, 0, 0], [0, 0, 5, -1]], fmt, "xyxy")
    with pytest.raises(ValueError, match=r"boxes\[1\] is \(0.0, 0.0, -5.0, 1.0\): width and height must not be neg"):
        box_convert(np.array([[0, 0, 0, 0], [0, 0, -5, 1], *others], float), fmt, "xyxy")
    with pytest.raises(ValueError, match=r"boxes\[0\] is \(0.0, inf, 5.0, 1.0\): every number must be finite"):
        box_convert([[0, np.inf, 5, 1]], fmt, "xyxy")


@pytest.mark.parametrize(("formats", "name"), [(("xyx", "xyxy"), "in_fmt"), (("xyxy", "XYWH"), "out_fmt")])
def test_unknown_formats_are_refused(formats: tuple[str, str], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 'xyxy', 'xywh' or 'cxcywh', got"):
        box_convert([[0, 0, 1, 1]], *formats)


@many
@given(ANY)
def test_areas_are_those_of_torchvision(some: Array) -> None:
    np.testing.assert_array_equal(box_area(some), torchvision.ops.box_area(torch.from_numpy(some)).numpy())


@many
@given(ANY, SIZES)
def test_clipping_twice_is_clipping_once(some: Array, size: tuple[int, int]) -> None:
    clipped = clip_boxes_to_image(some, size)
    peer = torchvision.ops.clip_boxes_to_image(torch.from_numpy(some), size)
    np.testing.assert_array_equal(clipped, peer.numpy())
    np.testing.assert_array_equal(clip_boxes_to_image(clipped, size), clipped)
    height, width = size
    assert ((clipped >= 0) & (clipped <= [width, height, width, height])).all()


@many
@given(ANY, st.floats(0, 20))
def test_small_boxes_are_those_of_torchvision(some: Array, min_size: float) -> None:
    kept = remove_small_boxes(some, min_size)
    assert kept.dtype == np.int64
    assert kept.tolist() == torchvision.ops.remove_small_boxes(torch.from_numpy(some), min_size).tolist()


@many
@given(SMALL, SIZES)
def test_normalizing_comes_back(some: Array, size: tuple[int, int]) -> None:
    back = denormalize_boxes(normalize_boxes(some, size), size)
    np.testing.assert_allclose(back, some, rtol=2 * eps(some), atol=0)
    assert back.dtype == some.dtype


def test_a_normalized_image_is_the_unit_square() -> None:
    np.testing.assert_array_equal(normalize_boxes([[0, 0, 1344, 800]], (800, 1344)), [[0, 0, 1, 1]])
    np.testing.assert_array_equal(denormalize_boxes([[0.5, 0, 1, 0.25]], (800, 1344)), [[672, 0, 1344, 200]])


@many
@given(SMALL, SIZES, st.booleans(), st.booleans())
def test_flipping_twice_is_no_flip(some: Array, size: tuple[int, int], horizontal: bool, vertical: bool) -> None:
    once = flip_boxes(some, size, horizontal, vertical)
    largest = max(*size, np.abs(some).max(initial=0))
    np.testing.assert_allclose(flip_boxes(once, size, horizontal, vertical), some, rtol=0, atol=2 * eps(some) * largest)
    assert (once[:, :2] <= once[:, 2:]).all()


def test_flips_by_hand() -> None:
    some = np.array([[10.0, 20, 30, 60]])
    np.testing.assert_array_equal(flip_boxes(some, (100, 200)), [[170, 20, 190, 60]])
    np.testing.assert_array_equal(flip_boxes(some, (100, 200), horizontal=False, vertical=True), [[10, 40, 30, 80]])
    np.testing.assert_array_equal(flip_boxes(some, (100, 200), vertical=True), [[170, 40, 190, 80]])
    np.testing.assert_array_equal(some, [[10, 20, 30, 60]])


def test_scales_by_hand() -> None:
    some = np.array([[10.0, 20, 30, 60]], np.float32)
    np.testing.assert_array_equal(scale_boxes(some, 0.5), np.array([[5, 10, 15, 30]], np.float32))
    np.testing.assert_array_equal(scale_boxes(some, (2, 1)), np.array([[10, 40, 30, 120]], np.float32))


@many
@given(SMALL, SIZES)
def test_scaling_by_the_size_is_denormalizing(some: Array, size: tuple[int, int]) -> None:
    np.testing.assert_array_equal(scale_boxes(some, size), denormalize_boxes(some, size))


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf, (1, 0), (np.nan, 1)])
def test_scales_without_sense_are_refused(scale: Any) -> None:
    with pytest.raises(ValueError, match="scale must be a positive number"):
        scale_boxes([[0, 0, 1, 1]], scale)


@pytest.mark.parametrize("act", [clip_boxes_to_image, normalize_boxes, denormalize_boxes, flip_boxes])
@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (np.nan, 5), (5, np.inf)])
def test_sizes_without_sense_are_refused(act: Any, size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"size must be a positive \(height, width\), got"):
        act([[0, 0, 1, 1]], size)
