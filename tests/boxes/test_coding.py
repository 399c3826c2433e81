"""Offsets from anchors: the inverse, torchvision's coder, and what has no logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.models.detection._utils import BoxCoder

from anchorloc.boxes import decode_boxes, encode_boxes
from tests.boxes.box_strategies import FLOATS, boxes, coordinates, many

Array = NDArray[Any]
WEIGHTS = st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0), (2.0, 4.0, 8.0, 16.0)])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    """Boxes and as many anchors, all of at least 1/8 px a side."""
    dtype = draw(FLOATS)
    both = draw(boxes(dtype, coordinates(1e4), max_size=12))
    both[:, 2:] += dtype(0.125)
    return both[: len(both) // 2], both[len(both) // 2 : len(both) // 2 * 2]


@many
@given(pairs(), WEIGHTS)
def test_decoding_is_the_inverse_of_encoding(pair: tuple[Array, Array], weights: Any) -> None:
    some, anchors = pair
    deltas = encode_boxes(some, anchors, weights)
    back = decode_boxes(deltas, anchors, weights, largest_log_scale=20)
    assert deltas.dtype == back.dtype == some.dtype
    eps = np.finfo(some.dtype).eps
    largest = np.abs(np.concatenate([some, anchors], axis=1)).max(axis=1, keepdims=True, initial=0)
    shares = np.abs(deltas[:, :2]).max(axis=1, keepdims=True, initial=0) * (anchors[:, 2:] - anchors[:, :2])
    assert (np.abs(back - some) <= 40 * eps * (largest + np.tile(shares, 2))).all()


@many
@given(pairs(), WEIGHTS)
def test_deltas_and_boxes_are_those_of_torchvision(pair: tuple[Array, Array], weights: Any) -> None:
    some, anchors = pair
    coder = BoxCoder(weights)
    peer = coder.encode_single(torch.from_numpy(some), torch.from_numpy(anchors))
    deltas = encode_boxes(some, anchors, weights)
    rtol = 4 * float(np.finfo(some.dtype).eps)
    np.testing.assert_array_equal(deltas[:, :2], peer.numpy()[:, :2])
    np.testing.assert_allclose(deltas, peer.numpy(), rtol=rtol, atol=rtol)
    found = decode_boxes(deltas, anchors, weights)
    np.testing.assert_allclose(
        found,
        coder.decode_single(torch.from_numpy(deltas), torch.from_numpy(anchors)).numpy(),
        rtol=20 * rtol,
        atol=1e-2,
    )


def test_by_hand() -> None:
    deltas = encode_boxes([[10, 20, 30, 60]], [[0, 0, 10, 20]], (10, 10, 5, 5))
    np.testing.assert_allclose(deltas, [[15, 15, 5 * np.log(2), 5 * np.log(2)]], rtol=1e-15)
    np.testing.assert_allclose(decode_boxes(deltas, [[0, 0, 10, 20]], (10, 10, 5, 5)), [[10, 20, 30, 60]], rtol=1e-15)


def test_a_wild_prediction_makes_no_infinite_box() -> None:
    found = decode_boxes([[0, 0, 1e30, 5], [0, 0, -1e30, 0]], [[0, 0, 16, 16], [0, 0, 16, 16]])
    np.testing.assert_allclose(found, [[-492, -492, 508, 508], [8, 0, 8, 16]])
    found = decode_boxes([[0, 0, 8, 8]], [[0, 0, 16, 16]], largest_log_scale=0)
    np.testing.assert_array_equal(found, [[0, 0, 16, 16]])


def test_an_anchor_without_area_decodes_to_its_place() -> None:
    np.testing.assert_array_equal(decode_boxes([[3, 3, 3, 3]], [[5, 6, 5, 6]]), [[5, 6, 5, 6]])


def test_what_cannot_be_encoded_is_refused() -> None:
    good = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    with pytest.raises(ValueError, match=r"boxes\[1\] is \(2.0, 3.0, 2.0, 4.0\): a box to encode needs width and heig"):
        encode_boxes([[0, 0, 1, 1], [2, 3, 2, 4]], good)
    with pytest.raises(ValueError, match=r"anchors\[0\] is \(2.0, 3.0, 4.0, 3.0\): a box to encode needs"):
        encode_boxes(good, [[2, 3, 4, 3], [0, 0, 1, 1]])
    with pytest.raises(ValueError, match="boxes and anchors must have the same number of rows, got 2 and 1"):
        encode_boxes(good, good[:1])
    with pytest.raises(ValueError, match="deltas and anchors must have the same number of rows, got 1 and 2"):
        decode_boxes([[0, 0, 0, 0]], good)
    with pytest.raises(ValueError, match=r"deltas\[1\] is \(0.0, nan, 0.0, 0.0\): every number must be finite"):
        decode_boxes(np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]]), good)


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 1, 1, 0), (1, 1, -1, 1), (1, np.inf, 1, 1)])
def test_weights_without_sense_are_refused(weights: Any) -> None:
    with pytest.raises(ValueError, match="weights must be four positive numbers"):
        encode_boxes([[0, 0, 1, 1]], [[0, 0, 1, 1]], weights)
