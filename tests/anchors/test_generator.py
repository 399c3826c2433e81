"""The generators against shapes and centers worked out by hand."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.anchors import AnchorGenerator, TorchvisionAnchors, TorchvisionSSDAnchors

sides = st.integers(1, 300)


def test_shapes_have_the_scale_and_the_ratio() -> None:
    """Scale 4 on stride 8 is sqrt(area) 32; ratio 4 = height / width makes 16 wide and 64 high."""
    generator = AnchorGenerator(strides=(8, 16), scales=(4, 5), height_to_width=(1, 4))
    first, second = generator.level_shapes
    np.testing.assert_allclose(first, [(32, 32), (40, 40), (16, 64), (20, 80)])
    np.testing.assert_allclose(second, 2 * np.array(first))


def test_the_first_anchors_of_a_grid_are_those_computed_by_hand() -> None:
    """Two cells of 8 px in a row: centers (4, 4) and (12, 4), in each a square of 8 and a box of 4 x 16."""
    grid = AnchorGenerator(strides=(8,), scales=(1,), height_to_width=(1, 4))((8, 16))
    expected = [[0, 0, 8, 8], [2, -4, 6, 12], [8, 0, 16, 8], [10, -4, 14, 12]]
    np.testing.assert_array_equal(grid.boxes, np.array(expected, np.float32))


def test_numpy_numbers_are_numbers() -> None:
    """Shapes of a k-means, strides and image sizes come out of arrays."""
    shapes = [[[27.5, 25.5]], [[70.5, 69.0]]]
    plain = AnchorGenerator((8, 16), shapes=shapes)  # type: ignore[arg-type]
    expected = plain((64, 96)).boxes
    np.testing.assert_array_equal(expected[0], np.array([-9.75, -8.75, 17.75, 16.75], np.float32))
    one: Any = np.float32
    for strides, sides_of in (
        ((8, 16), np.array(shapes, np.float32)),
        (np.array([8, 16]), shapes),
        ((np.int64(8), one(16)), [[(one(27.5), one(25.5))], [(one(70.5), one(69))]]),
    ):
        generator = AnchorGenerator(strides, shapes=sides_of)  # type: ignore[arg-type]
        np.testing.assert_array_equal(generator(np.array([64, 96])).boxes, expected)  # type: ignore[arg-type]
        assert generator == plain
    scaled = AnchorGenerator((8,), np.float32([4, 5]), np.array([0.5, 1]))  # type: ignore[arg-type]
    assert scaled == AnchorGenerator((8,), (4, 5), (0.5, 1))
    assert AnchorGenerator((8,), np.ones((1, 2)), (1,)) == AnchorGenerator((8,), ((1, 1),), (1,))  # type: ignore[arg-type]
    sizes, ratios = np.array([[32, 64]]), np.array([[0.5, 1]])
    ours = AnchorGenerator.torchvision(sizes, ratios, np.array([8]))  # type: ignore[arg-type]
    assert ours == TorchvisionAnchors(((32, 64),), ((0.5, 1),), (8,))
    ssd = TorchvisionSSDAnchors(np.array([[2]]), steps=np.array([8]), scales=np.array([0.1, 0.2]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(
        ssd((32, 32)).boxes, TorchvisionSSDAnchors(((2,),), steps=(8,), scales=(0.1, 0.2))((32, 32)).boxes
    )


def test_anchors_are_ordered_by_level_row_column_and_shape() -> None:
    grid = AnchorGenerator(strides=(8, 16), shapes=(((2, 2), (4, 4)), ((6, 6),)))((16, 24))
    centers = (grid.boxes[:, :2] + grid.boxes[:, 2:]) / 2
    cells = [(x, y) for y in (4, 12) for x in (4, 12, 20) for _ in range(2)]
    np.testing.assert_array_equal(centers, [*cells, (8, 8), (24, 8)])
    np.testing.assert_array_equal(grid.boxes[:, 2] - grid.boxes[:, 0], [2, 4] * 6 + [6, 6])


@given(sides, sides, st.sampled_from([(8,), (8, 16, 32), (7, 12.5), (128, 3)]))
def test_cells_cover_the_image_and_no_more(height: int, width: int, strides: tuple[float, ...]) -> None:
    grid = AnchorGenerator(strides)((height, width))
    assert len(grid) == len(grid.boxes) == sum(len(level) for level in grid.levels)
    for level, stride in zip(grid.levels, strides, strict=True):
        rows, columns = level.grid_size
        assert (rows - 1) * stride < height <= rows * stride
        assert (columns - 1) * stride < width <= columns * stride
        assert level.stride == (stride, stride)
        y, x = level.centers
        np.testing.assert_allclose(y, [(i + 0.5) * stride for i in range(rows)], rtol=1e-15)
        np.testing.assert_allclose(x, [(i + 0.5) * stride for i in range(columns)], rtol=1e-15)


def test_given_grid_sizes_make_true_strides() -> None:
    """203 px over 26 rows are 7.81 px a row, not 7."""
    level = AnchorGenerator((8,), (1,), (1,))((203, 104), [(26, 13)]).levels[0]
    assert level.stride == (203 / 26, 8.0)
    assert level.grid_size == (26, 13)
    np.testing.assert_allclose((level.y1 + level.y2)[0] / 2, (np.arange(26) + 0.5) * 203 / 26, rtol=1e-6)


def test_edges_are_rounded_once() -> None:
    """The width of 32 / sqrt(0.5) is not a float32; every edge is the float32 nearest to the exact one."""
    grid = AnchorGenerator(height_to_width=(0.5,))((800, 1344))
    half = 4 * 8 / math.sqrt(0.5) / 2
    expected = np.array([(i + 0.5) * 8 + half for i in range(168)], np.float32)
    np.testing.assert_array_equal(grid.levels[0].x2[0], expected)


def test_counts_may_differ_from_level_to_level() -> None:
    by_scales = AnchorGenerator((8, 16), scales=((1,), (1, 2, 3)), height_to_width=(1, 2))
    assert by_scales.shapes_per_level == (2, 6)
    by_shapes = AnchorGenerator((8, 16), shapes=(((10, 20), (30, 5)), ((9, 9),)))
    assert by_shapes.shapes_per_level == (2, 1)
    assert len(by_shapes((32, 32))) == 2 * 16 + 4
    np.testing.assert_array_equal(by_shapes((32, 32)).boxes[0], [-1, -6, 9, 14])


def test_the_default_is_the_grid_of_the_benchmarks() -> None:
    assert len(AnchorGenerator()((800, 1344))) == 201_600


def test_the_default_shapes_are_squares_and_boxes_of_one_to_two_both_ways() -> None:
    table = AnchorGenerator()((256, 256)).levels[1]
    width, height = (table.x2 - table.x1)[:, 0], (table.y2 - table.y1)[:, 0]
    np.testing.assert_allclose(height / width, np.repeat([0.5, 1, 2], 3), rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(width * height), np.tile([64, 80, 100.8], 3), rtol=1e-6)


@pytest.mark.parametrize(
    ("lists", "tuples"),
    [
        (
            {"strides": [8, 16], "scales": [[1], [2]], "height_to_width": [1]},
            {"strides": (8, 16), "scales": ((1,), (2,)), "height_to_width": (1,)},
        ),
        (
            {"strides": [8, 16], "shapes": [[[3, 4]], [[5, 6]]]},
            {"strides": (8, 16), "shapes": (((3, 4),), ((5, 6),))},
        ),
    ],
)
def test_generators_given_lists_are_equal_hashable_and_survive_pickling(lists: Any, tuples: Any) -> None:
    generator, twin = AnchorGenerator(**lists), AnchorGenerator(**tuples)
    assert generator == twin
    assert hash(generator) == hash(twin)
    assert pickle.loads(pickle.dumps(generator)) == twin


def test_a_grid_survives_pickling() -> None:
    grid = AnchorGenerator()((60, 70))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(grid)).boxes, grid.boxes)


def test_the_table_of_shapes_names_every_anchor_in_pixels() -> None:
    table = AnchorGenerator((8, 16), shapes=(((10, 20),), ((30, 5), (9, 9)))).describe()
    rows = [line.split() for line in table.splitlines()]
    assert rows[1] == ["0", "8", "10.00", "20.00", "2.000", "14.14"]
    assert [row[:4] for row in rows[2:]] == [["1", "16", "30.00", "5.00"], ["1", "16", "9.00", "9.00"]]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"strides": ()}, "strides is empty"),
        ({"strides": 8}, "strides must be a list of numbers above 0, got 8"),
        ({"strides": (8, 0)}, "strides must be finite numbers above 0, got 0"),
        ({"strides": (8, "16")}, "strides must be finite numbers above 0, got '16'"),
        ({"strides": (1e-300,)}, "strides must be from 0.001 to 1,000,000, got 1e-300"),
        ({"strides": (8,), "scales": ((1e300,),)}, r"scales\[0\] must be from 0.001 to 1,000,000, got 1e\+300"),
        ({"height_to_width": (1e300,)}, "height_to_width must be from 0.001 to 1,000,000"),
        ({"scales": (4, -1)}, "scales must be finite numbers above 0, got -1"),
        ({"scales": ((4,), (5,))}, "scales is given for 2 levels but there are 5 strides"),
        ({"strides": (8, 16), "scales": ((4,), 5)}, "scales mixes numbers and lists"),
        ({"strides": (8, 16), "scales": ((4,), ())}, r"scales\[1\] is empty"),
        ({"height_to_width": (1, math.inf)}, "height_to_width must be finite numbers above 0, got inf"),
        ({"height_to_width": (math.nan,)}, "height_to_width must be finite numbers above 0, got nan"),
        ({"shapes": (((1, 2),),)}, "shapes is given for 1 levels but there are 5 strides"),
        ({"strides": (8,), "shapes": ((),)}, r"shapes\[0\] is empty"),
        ({"strides": (8,), "shapes": (((1, 2), (3,)),)}, r"shapes\[0\]\[1\] must be \(width, height\), got \(3,\)"),
        ({"strides": (8,), "shapes": (((1, 2), (3, 0)),)}, r"shapes\[0\]\[1\] must be finite numbers above 0, got 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as error:
        AnchorGenerator(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sizes": ((8,), (16,)), "aspect_ratios": ((1,),)}, "aspect_ratios is given for 1 levels"),
        ({"sizes": ((8,),), "aspect_ratios": ((0,),)}, r"aspect_ratios\[0\] must be finite numbers above 0"),
        ({"sizes": (), "aspect_ratios": ()}, "strides is empty"),
    ],
)
def test_torchvision_settings_that_do_not_fit_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        TorchvisionAnchors(**settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"aspect_ratios": ()}, "aspect_ratios is empty"),
        ({"aspect_ratios": ((2,), (-3,))}, r"aspect_ratios\[1\] must be finite numbers above 0"),
        ({"aspect_ratios": ((2,), (3,)), "scales": (0.1, 0.2)}, "2 levels need 3"),
        ({"aspect_ratios": ((2,), (3,)), "steps": (8,)}, "aspect_ratios is given for 2 levels but there are 1"),
        ({"aspect_ratios": ((2,),), "min_ratio": 0}, "min_ratio and max_ratio must be finite numbers above 0"),
    ],
)
def test_ssd_settings_that_do_not_fit_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        TorchvisionSSDAnchors(**settings)


@pytest.mark.parametrize(
    ("size", "grid_sizes", "sentence"),
    [
        ((0, 10), None, r"image_size must be .*, got \(0, 10\)"),
        ((10.5, 10), None, r"image_size must be .*, got \(10.5, 10\)"),
        ((10, 10), [(1, 1)], "grid_sizes has 1 levels but the anchors have 2"),
        ((10, 10), [(1, 1), (0, 1)], r"grid_sizes\[1\] must be .* got \(0, 1\)"),
    ],
)
def test_impossible_sizes_are_refused(size: Any, grid_sizes: Any, sentence: str) -> None:
    for generator in (
        AnchorGenerator((8, 16)),
        AnchorGenerator.torchvision(((8,), (16,)), ((1,), (1,))),
        AnchorGenerator.torchvision_ssd([[2], [2]], steps=(8, 16)),
    ):
        with pytest.raises(ValueError, match=sentence):
            generator(size, grid_sizes)


def test_ssd_without_steps_asks_for_grid_sizes() -> None:
    with pytest.raises(ValueError, match="need grid_sizes"):
        AnchorGenerator.torchvision_ssd([[2]])((300, 300))
