"""The two compatible generators against torchvision's own, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.models.detection import retinanet_resnet50_fpn, ssd300_vgg16, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import AnchorGenerator as TorchvisionGenerator
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from anchorloc.anchors import AnchorGenerator
from anchorloc.structures import AnchorGrid

SIZES = tuple((x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512))
RATIOS = ((0.5, 1.0, 2.0),) * 5
SSD_RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
SSD300 = {"scales": [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], "steps": [8, 16, 32, 64, 100, 300]}
SSDLITE = {"min_ratio": 0.2, "max_ratio": 0.95}

sides = st.integers(1, 700)
numbers = st.floats(0.125, 600, width=32)


def has_exact_root(ratio: float) -> bool:
    """MKL's square root, which torch takes on some processors, is not always the nearest float."""
    return bool(torch.tensor([ratio]).sqrt().item() == np.sqrt(np.float32(ratio)))


def torchvisions(generator: Any, grid: AnchorGrid) -> NDArray[np.float32]:
    """(A, 4) what a torchvision generator makes for the image and the feature maps of `grid`."""
    images = ImageList(torch.zeros(1, 3, *grid.image_size), [grid.image_size])
    maps = [torch.zeros(1, 1, *level.grid_size) for level in grid.levels]
    return np.asarray(generator(images, maps)[0].numpy())


def assert_same_bits(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


@settings(max_examples=200)
@given(sides, sides)
def test_retinanet_anchors_of_any_image(height: int, width: int) -> None:
    grid = AnchorGenerator.torchvision(SIZES, RATIOS)((height, width))
    assert_same_bits(grid.boxes, torchvisions(TorchvisionGenerator(SIZES, RATIOS), grid))


@settings(max_examples=200)
@given(st.data())
def test_anchors_of_any_sizes_ratios_and_feature_maps(data: st.DataObject) -> None:
    levels = data.draw(st.integers(1, 3))
    sizes, ratios = (
        data.draw(st.tuples(*[st.lists(values, min_size=1, max_size=3).map(tuple)] * levels))
        for values in (numbers, numbers.filter(has_exact_root))
    )
    grid_sizes = data.draw(st.tuples(*[st.tuples(st.integers(1, 30), st.integers(1, 30))] * levels))
    grid = AnchorGenerator.torchvision(sizes, ratios)((data.draw(sides), data.draw(sides)), grid_sizes)
    assert_same_bits(grid.boxes, torchvisions(TorchvisionGenerator(sizes, ratios), grid))


@given(st.lists(numbers, min_size=1, max_size=3).map(tuple), st.lists(numbers, min_size=1, max_size=3).map(tuple))
def test_ratios_without_an_exact_root_differ_by_a_rounding(sizes: tuple[float, ...], ratios: tuple[float, ...]) -> None:
    """Edges are whole numbers about a cell's center: a root off by its last bit can turn one over, and no more."""
    grid = AnchorGenerator.torchvision((sizes,), (ratios,))((64, 64), ((2, 2),))
    difference = np.abs(grid.boxes - torchvisions(TorchvisionGenerator((sizes,), (ratios,)), grid))
    assert difference.max() <= 1


@settings(max_examples=300)
@given(st.data(), st.sampled_from([SSD300, SSDLITE, {}, {"clip": False}, {**SSD300, "clip": False}]))
def test_ssd_anchors_of_any_image_and_feature_maps(data: st.DataObject, chosen: dict[str, Any]) -> None:
    size = data.draw(st.tuples(sides, sides))
    grid_sizes = data.draw(st.tuples(*[st.tuples(st.integers(1, 40), st.integers(1, 40))] * 6))
    grid = AnchorGenerator.torchvision_ssd(SSD_RATIOS, **chosen)(size, grid_sizes)
    assert_same_bits(grid.boxes, torchvisions(DefaultBoxGenerator(SSD_RATIOS, **chosen), grid))


@given(st.lists(st.sampled_from([1.5, 2, 3]), max_size=3), sides, sides)
def test_ssd_anchors_of_a_single_level(ratios: list[float], height: int, width: int) -> None:
    grid = AnchorGenerator.torchvision_ssd([ratios])((height, width), [(3, 4)])
    assert_same_bits(grid.boxes, torchvisions(DefaultBoxGenerator([ratios]), grid))


@pytest.mark.parametrize(
    ("model", "generator", "size"),
    [
        (retinanet_resnet50_fpn, AnchorGenerator.torchvision(SIZES, RATIOS), (203, 331)),
        (ssd300_vgg16, AnchorGenerator.torchvision_ssd(SSD_RATIOS, **SSD300), (300, 300)),
    ],
)
def test_grid_sizes_are_those_of_the_models(model: Any, generator: Any, size: tuple[int, int]) -> None:
    """Without grid sizes, the cells are those of the feature maps that the real networks make."""
    network = model(weights=None, weights_backbone=None).eval()
    with torch.no_grad():
        maps = network.backbone(torch.zeros(1, 3, *size)).values()
    grid = generator(size)
    assert [level.grid_size for level in grid.levels] == [tuple(each.shape[-2:]) for each in maps]
    assert list(generator.shapes_per_level) == network.anchor_generator.num_anchors_per_location()
    assert_same_bits(grid.boxes, torchvisions(network.anchor_generator, grid))


def test_ssdlite_anchors_are_those_of_the_model() -> None:
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    grid_sizes = [(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
    grid = AnchorGenerator.torchvision_ssd([[2, 3]] * 6, **SSDLITE)((320, 320), grid_sizes)
    assert_same_bits(grid.boxes, torchvisions(network.anchor_generator, grid))
