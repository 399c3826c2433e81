"""Resizing and augmentation: pixels, boxes and boxes alone take the same way."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.transforms.v2 import functional

from anchorloc.data import (
    Augment,
    IoUCrop,
    Keep,
    Letterbox,
    Mosaic,
    ShortestSide,
    TorchvisionShortestSide,
    TorchvisionStretch,
    Transform,
    ZoomOut,
)
from anchorloc.data.placement import MIN_VISIBLE, Placement
from anchorloc.errors import InputError
from anchorloc.structures import Target
from tests.data.transform_cases import AUGMENTS, RESIZES, target

SIZES = st.tuples(st.integers(1, 300), st.integers(1, 300))
TRANSFORMS = st.builds(Transform, RESIZES, AUGMENTS)


def random_target(size: tuple[int, int], seed: int) -> Target:
    """Boxes with an area, inside an image."""
    height, width = size
    corners = np.random.default_rng(seed).random((6, 2, 2)) * [width, height]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return target(*map(tuple, boxes))


def noise(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("resize", "size", "canvas", "scale"),
    [
        (Keep(), (30, 40), (30, 40), 1),
        (Letterbox(100, 100), (50, 200), (100, 100), 0.5),
        (Letterbox(100, 100), (10, 20), (100, 100), 5),
        (ShortestSide(60, 1000), (120, 200), (60, 100), 0.5),
        (ShortestSide(60, 80), (120, 200), (48, 80), 0.4),
        (ShortestSide(800, 1333), (2, 2000), (1, 1333), 0.6665),
    ],
)
def test_the_size_for_the_network(
    resize: Keep | Letterbox | ShortestSide, size: tuple[int, int], canvas: tuple[int, int], scale: float
) -> None:
    found, factor = resize(size)
    assert found == canvas
    assert factor == pytest.approx((scale, scale))
    image, _, placement = Transform(resize)(noise(size), target())
    vertical, horizontal = placement.scale
    assert image.shape == (*canvas, 3)
    assert image.dtype == np.uint8
    assert horizontal == pytest.approx(scale, rel=0.01)
    assert vertical == pytest.approx(max(1, round(size[0] * scale)) / size[0])  # whole pixels


def test_evaluation_puts_the_image_at_the_top_left_and_changes_nothing_at_random() -> None:
    image = noise((20, 40))
    transform = Transform(Letterbox(80, 80), Augment(1, 1, (0.5, 2), 1))
    out, mapped, placement = transform(image, target((10, 5, 20, 15)))
    assert (placement.scale, placement.extent) == ((2, 2), (0, 0, 40, 80))
    np.testing.assert_array_equal(mapped.boxes, [[20, 10, 40, 30]])
    np.testing.assert_array_equal(out[40:], np.broadcast_to((124, 116, 104), (40, 80, 3)))
    assert np.abs(out[:40:2, ::2].astype(int) - image).mean() < 60  # enlarged, not turned
    kept, _, _ = Transform()(image, target())
    np.testing.assert_array_equal(kept, image)


def test_flips_by_hand() -> None:
    image = noise((30, 40))
    boxes = target((1, 2, 5, 9))
    mirrored, mapped, _ = Transform(Keep(), Augment(1, 0))(image, boxes, Random(0))
    np.testing.assert_array_equal(mirrored, image[:, ::-1])
    np.testing.assert_array_equal(mapped.boxes, [[35, 2, 39, 9]])
    upside_down, mapped, _ = Transform(Keep(), Augment(0, 1))(image, boxes, Random(0))
    np.testing.assert_array_equal(upside_down, image[::-1])
    np.testing.assert_array_equal(mapped.boxes, [[1, 21, 5, 28]])


def test_flips_have_the_probability_asked_for() -> None:
    transform = Transform(Keep(), Augment(0.25, 0.75))
    mirrored = np.array([transform.draw_placement((9, 9), Random(seed)).mirrored for seed in range(2000)])
    np.testing.assert_allclose(mirrored.mean(axis=0), [0.75, 0.25], atol=0.04)


@given(TRANSFORMS, SIZES, st.integers(0, 2**32), st.booleans())
def test_boxes_alone_go_where_boxes_with_pixels_go(
    transform: Transform, size: tuple[int, int], seed: int, training: bool
) -> None:
    boxes = random_target(size, seed)
    image, with_pixels, whole = transform(noise(size), boxes, Random(seed) if training else None)
    alone, placement = transform.boxes(size, boxes, Random(seed) if training else None)
    assert whole == placement
    assert image.shape == (*placement.canvas, 3)
    for field in ("boxes", "labels", "crowd", "area", "rows"):
        np.testing.assert_array_equal(getattr(alone, field), getattr(with_pixels, field))
    height, width = placement.canvas
    assert ((alone.boxes >= 0) & (alone.boxes <= [width, height, width, height])).all()
    assert (alone.boxes[:, 2:] > alone.boxes[:, :2]).all()
    if not training:
        scale = placement.scale
        np.testing.assert_allclose(alone.boxes / [*scale[::-1], *scale[::-1]], boxes.boxes, rtol=1e-9, atol=1e-9)


def torchvision_twin(placement: Placement, image: np.ndarray, boxes: Target) -> tuple[np.ndarray, np.ndarray]:
    """The same steps by torchvision's transforms of typed boxes, which clip at every step."""
    pixels = tv_tensors.Image(torch.from_numpy(image.copy()).permute(2, 0, 1))
    typed = tv_tensors.BoundingBoxes(torch.from_numpy(boxes.boxes), format="XYXY", canvas_size=placement.source)
    out = []
    for item in (pixels, typed):
        item = functional.resize(item, list(placement.shrunk), antialias=True)
        item = functional.crop(item, *placement.crop_corner, *placement.crop_size)
        item = functional.resize(item, list(placement.resized_size), antialias=True)
        item = functional.vertical_flip(item) if placement.mirrored[0] else item
        item = functional.horizontal_flip(item) if placement.mirrored[1] else item
        (top, left), (height, width), (rows, columns) = placement.offset, placement.resized_size, placement.canvas
        item = functional.pad(item, [left, top, columns - left - width, rows - top - height], fill=[124, 116, 104])
        out.append(item)
    return out[0].permute(1, 2, 0).numpy(), out[1].numpy()


@given(TRANSFORMS, SIZES, st.integers(0, 2**32))
def test_pixels_and_boxes_agree_with_torchvision(transform: Transform, size: tuple[int, int], seed: int) -> None:
    image, boxes = noise(size), random_target(size, seed)
    out, mapped, _ = transform(image, boxes, Random(seed))
    pixels, expected = torchvision_twin(transform.boxes(size, boxes, Random(seed))[1], image, boxes)
    np.testing.assert_allclose(out.astype(int), pixels, atol=2)  # 1 for the rounding of each of two scalings
    np.testing.assert_allclose(mapped.boxes, expected[mapped.rows - 100], atol=1e-4)  # it computes in float32 at times


@given(TRANSFORMS, st.integers(0, 2**32))
def test_a_drawn_rectangle_stays_in_its_box(transform: Transform, seed: int) -> None:
    """The slow obvious check: paint a box, transform, and look where the paint is."""
    image = np.zeros((150, 200, 3), np.uint8)
    image[40:100, 60:160] = 255
    boxes = target((60, 40, 160, 100))
    out, mapped, _ = transform(image, boxes, Random(seed))
    bright = (out > 127).all(axis=2) & (out[..., 0] == out[..., 2])  # the padding is not gray
    if not bright.any():
        return
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    painted = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    if len(mapped):
        np.testing.assert_allclose(mapped.boxes[0], painted, atol=1.01)
    else:
        whole = 100 * 60 * np.prod(transform.boxes((150, 200), boxes, Random(seed))[1].scale)
        assert bright.sum() <= transform.augment.min_visible * whole + 2 * whole**0.5 + 4  # an edge row more or less


def test_zoom_covers_its_range_and_places_vary() -> None:
    transform = Transform(Letterbox(100, 100), Augment(scale_jitter=(0.5, 2)))
    drawn = [transform.draw_placement((100, 100), Random(seed)) for seed in range(500)]
    scales = [placement.scale[0] for placement in drawn]
    assert 0.5 <= min(scales) < 0.55
    assert 1.9 < max(scales) <= 2.02
    assert 0.4 < np.mean(np.array(scales) < 1) < 0.6  # log-uniform
    for placement in drawn:
        if placement.scale[0] > 1.01:  # the window is what fits into the canvas, and fills it
            assert placement.resized_size == placement.canvas
            assert placement.crop_size[0] == pytest.approx(100 * placement.shrunk[0] / 100 / placement.scale[0], abs=1)
    assert len({placement.offset for placement in drawn if placement.resized_size != placement.canvas}) > 100
    assert len({placement.crop_corner for placement in drawn if placement.crop_size != placement.shrunk}) > 100


def test_a_cut_box_stays_if_enough_of_it_is_visible() -> None:
    placement = Placement((100, 100), (100, 100), (0, 0), (100, 50), (100, 50), (0, 0), (100, 50))
    share = 100 * MIN_VISIBLE
    mapped = placement.map_target(
        target(
            (25, 75, 74.9, 124.9),  # its center is just visible, in the corner
            (0, 0, 100, 10),  # half visible
            (50 - share, 0, 150 - share, 10),  # as much as is needed
            (50.1 - share, 0, 150.1 - share, 10),  # a little less
            (50, 0, 60, 10),  # out
            (10, 10, 20, 20),  # in
        )
    )
    np.testing.assert_array_equal(mapped.rows, [100, 101, 102, 105])
    np.testing.assert_array_equal(mapped.boxes[1], [0, 0, 50, 10])
    np.testing.assert_array_equal(mapped.labels, [0, 1, 2, 5])
    np.testing.assert_array_equal(mapped.crowd, [False, True, False, True])


def test_colors_change_within_the_strength_asked_for_and_boxes_do_not() -> None:
    gray = np.full((8, 8, 3), 100, np.uint8)
    transform, plain = (Transform(Keep(), Augment(0.5, 0.5, (0.5, 2), strength)) for strength in (0.2, 0.0))
    values = set()
    for seed in range(200):
        image, boxes, _ = transform(gray, target((1, 1, 7, 7)), Random(seed))
        _, same, _ = plain(gray, target((1, 1, 7, 7)), Random(seed))
        np.testing.assert_array_equal(boxes.boxes, same.boxes)
        painted = image[(image != (124, 116, 104)).any(axis=2)]
        assert (painted == painted[:, :1]).all()  # gray stays gray
        values.update(painted[:, 0].tolist())
    assert 0.8 * (100 - 0.2 * 27.5) - 1 <= min(values) < 85
    assert 115 < max(values) <= 1.2 * (100 + 0.2 * 27.5) + 1


def test_saturation_moves_colors_towards_or_from_their_gray() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    seen = [Transform(Keep(), Augment(0, 0, (1, 1), 0.5))(red, target(), Random(seed))[0][0, 0] for seed in range(50)]
    assert all(pixel[1] == pixel[2] for pixel in seen)
    assert any(pixel[1] > 10 for pixel in seen)
    assert any(pixel[1] == 0 for pixel in seen)


def test_the_input_is_left_alone() -> None:
    image, boxes = noise((30, 40)), random_target((30, 40), 0)
    before = image.copy(), boxes.boxes.copy()
    for resize in (Keep(), Letterbox(20, 20), ShortestSide(50, 100)):
        Transform(resize, Augment(1, 1, (0.5, 2), 0.5))(image, boxes, Random(3))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(boxes.boxes, before[1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ShortestSide(0, 10),
        lambda: ShortestSide(20, 10),
        lambda: Letterbox(0, 10),
        lambda: TorchvisionShortestSide(20, 10),
        lambda: TorchvisionStretch(0, 10),
        lambda: Transform(multiple=-1),
        lambda: Augment(horizontal_flip=1.1),
        lambda: Augment(vertical_flip=-0.1),
        lambda: Augment(photometric=2),
        lambda: Augment(scale_jitter=(1.5, 0.5)),
        lambda: Augment(scale_jitter=(0.0, 1.0)),
        lambda: Augment(scale_jitter=(1.0, float("nan"))),
        lambda: Augment(min_visible=1.5),
        lambda: Augment(multi_scale=()),
        lambda: Augment(multi_scale=(0.0,)),
        lambda: IoUCrop(probability=2),
        lambda: IoUCrop(min_iou=()),
        lambda: IoUCrop(min_iou=(1.0,)),
        lambda: IoUCrop(min_scale=0.0),
        lambda: IoUCrop(max_aspect_ratio=0.5),
        lambda: ZoomOut(max_scale=0.5),
        lambda: ZoomOut(-1.0),
        lambda: Mosaic(center=0.6),
        lambda: Mosaic(zoom=(1.0, 0.5)),
        lambda: Mosaic(probability=float("nan")),
    ],
)
def test_settings_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(InputError, match="got"):
        make()  # type: ignore[operator]


@given(st.tuples(st.integers(8, 300), st.integers(8, 300)))  # it fails where a side becomes 0
def test_torchvisions_resizing_is_torchvisions(size: tuple[int, int]) -> None:
    """Sizes and pixels of the transform inside torchvision's detectors, which normalizes first."""
    image = noise(size)
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    for resize, peer in (
        (TorchvisionShortestSide(60, 90), GeneralizedRCNNTransform(60, 90, mean, std)),
        (TorchvisionStretch(40, 70), GeneralizedRCNNTransform(1, 1, mean, std, fixed_size=(70, 40))),
    ):
        expected = peer.eval().resize(peer.normalize(pixels))[0]
        found, mapped, placement = Transform(resize)(image, target((0, 0, size[1], size[0])))
        assert found.dtype == np.float32
        assert found.shape[:2] == expected.shape[1:] == Transform(resize).draw_placement(size).canvas
        normalized = (torch.from_numpy(found).permute(2, 0, 1) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(
            std
        ).view(3, 1, 1)
        torch.testing.assert_close(normalized, expected, rtol=1e-5, atol=1e-4)  # float32 rounds in another order
        np.testing.assert_allclose(mapped.boxes, [[0, 0, found.shape[1], found.shape[0]]])
        assert placement.scale == pytest.approx((found.shape[0] / size[0], found.shape[1] / size[1]))


@given(SIZES, st.integers(0, 2**32))
def test_torchvisions_resizing_trains_on_bytes(size: tuple[int, int], seed: int) -> None:
    for resize in (TorchvisionShortestSide(60, 90), TorchvisionStretch(40, 70)):
        transform = Transform(resize, Augment(0.5, 0.5, (0.5, 2)))
        image, _, _ = transform(noise(size), target(), Random(seed))
        assert image.dtype == np.uint8
        assert image.shape[:2] == resize(size)[0]
