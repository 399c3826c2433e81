"""Suggest config changes that could give an anchor to boxes that have none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import MaxIoUAssigner
from anchorloc.config import Config, config_from_plain, to_plain
from anchorloc.detector import ResidualBackbone, TorchvisionBackbone
from anchorloc.lab.anchor_coverage import RESCUE_IOU, BoxTable

NEW_RATIO = 1.25  # an aspect ratio is missing if every anchor differs from it by more than this factor
FINEST_STRIDE = 4  # px: no backbone has finer feature maps


@dataclass(frozen=True)
class ConfigChange:
    """A change of a config, as a phrase and as `key=value` settings."""

    phrase: str
    settings: tuple[str, ...]

    def apply(self, config: Config) -> Config:
        """Return the changed config.

        Raises:
            InputError: the config does not accept the change.
        """
        return config_from_plain(to_plain(config), self.phrase, self.settings)


def anchor_changes(config: Config, boxes: BoxTable) -> Iterator[ConfigChange]:
    """Yield changes of the anchors that suit `boxes`, which lack an anchor; the caller tests whether one helps."""
    anchors = config.anchors
    if not isinstance(anchors, AnchorGenerator):  # the anchors of torchvision's weights cannot change
        return
    level = _nearest_level(anchors, boxes)
    width, height = np.median(boxes.sizes, axis=0).tolist()
    shape = _add_shape(anchors, level, width, height)
    yield shape
    if ratio := _add_ratio(anchors, boxes):
        yield ratio
        yield ConfigChange(f"{shape.phrase} and {ratio.phrase}", (*shape.settings, *ratio.settings))
    if finer := _add_finer_level(anchors, config.detector.backbone):
        yield finer


def assigner_changes(config: Config, boxes: BoxTable) -> Iterator[ConfigChange]:
    """Yield changes of the assigner that give more boxes an anchor, even a poor one, whatever the `boxes` are."""
    if isinstance(config.assign, MaxIoUAssigner):
        if config.assign.rescue_iou is None:
            yield ConfigChange(f"rescue from IoU {RESCUE_IOU}", (f"assign.rescue_iou={RESCUE_IOU}",))
        yield ConfigChange("ATSS in place of max-IoU", ("assign={kind: ATSSAssigner}",))


def build_error(config: Config) -> str | None:
    """Return why the detector of a config cannot be built for its anchors, such as a missing level; else None."""
    try:
        config.detector(config.anchors.strides, config.anchors.shapes_per_level, 1, pretrained=False)
    except ValueError as error:
        return str(error)
    return None


def _nearest_level(anchors: AnchorGenerator, boxes: BoxTable) -> int:
    """Return the level whose anchors are nearest in size to the median box."""
    scale = float(np.median(boxes.scale))
    typical = [np.median([(w * h) ** 0.5 for w, h in shapes]) for shapes in anchors.level_shapes]
    return int(np.argmin(np.abs(np.log(np.array(typical) / scale))))


def _add_shape(anchors: AnchorGenerator, level: int, width: float, height: float) -> ConfigChange:
    """Add a shape to a level, or its scale where the config has scales and aspect ratios."""
    if anchors.shapes is not None:
        shapes: list[list[object]] = [list(row) for row in anchors.shapes]
        shapes[level].append([round(width, 2), round(height, 2)])
        words = f"one more shape of {width:.0f} x {height:.0f} px at stride {anchors.strides[level]:g}"
        return ConfigChange(words, (f"anchors.shapes={json.dumps(shapes)}",))
    scale = round((width * height) ** 0.5 / anchors.strides[level], 2)
    scales = [list(row) for row in anchors.level_scales]
    scales[level].append(scale)
    stride = anchors.strides[level]
    words = f"shapes of {scale * stride:.0f} px at stride {stride:g} (scale {scale:g})"
    return ConfigChange(words, (f"anchors.scales={json.dumps(scales)}",))


def _add_ratio(anchors: AnchorGenerator, boxes: BoxTable) -> ConfigChange | None:
    """Add the median aspect ratio of the boxes to every level, unless the anchors have one like it."""
    ratio = round(float(np.median(boxes.height_to_width)), 2)
    known = np.array(anchors.height_to_width)
    if anchors.shapes is not None or ratio <= 0 or np.abs(np.log(known / ratio)).min() < np.log(NEW_RATIO):
        return None
    return ConfigChange(
        f"shapes of height/width {ratio:g} on every level",
        (f"anchors.height_to_width={json.dumps([*anchors.height_to_width, ratio])}",),
    )


def _add_finer_level(anchors: AnchorGenerator, backbone: object) -> ConfigChange | None:
    """Add a level of half the finest stride, with shapes half as large."""
    stride = anchors.strides[0] / 2
    if stride < FINEST_STRIDE or stride != int(stride):
        return None
    settings = [f"anchors.strides={json.dumps([int(stride), *anchors.strides])}"]
    if anchors.shapes is not None:
        half = [[width / 2, height / 2] for width, height in anchors.shapes[0]]
        settings.append(f"anchors.shapes={json.dumps([half, *anchors.shapes])}")
    elif isinstance(anchors.scales[0], tuple):
        settings.append(f"anchors.scales={json.dumps([anchors.scales[0], *anchors.scales])}")
    if isinstance(backbone, TorchvisionBackbone):
        settings.append(f"detector.backbone.strides={json.dumps([int(stride), *backbone.strides])}")
    elif isinstance(backbone, ResidualBackbone):
        settings.append(f"detector.backbone.first_stride={int(stride)}")
    return ConfigChange(f"a finer level of stride {stride:g}", tuple(settings))
