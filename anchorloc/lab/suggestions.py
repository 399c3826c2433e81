"""Changes of a config that might give an anchor to boxes that have none."""

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

NEW_RATIO = 1.25  # a box's proportions count as missing if all anchors differ from them by more than this factor
FINEST = 4  # pixels: no backbone here gives finer maps


@dataclass(frozen=True)
class Remedy:
    """A change, as a phrase and as `key=value` settings."""

    words: str
    settings: tuple[str, ...]

    def applied(self, config: Config) -> Config:
        """Return the config with the change.

        Raises:
            InputError: it does not take it.
        """
        return config_from_plain(to_plain(config), self.words, self.settings)


def anchor_remedies(config: Config, boxes: BoxTable) -> Iterator[Remedy]:
    """Yield changes of the anchors that suit `boxes`, which are short of them; whether one helps is to be measured."""
    anchors = config.anchors
    if not isinstance(anchors, AnchorGenerator):  # torchvision's, which its weights are made for
        return
    level = _level(anchors, boxes)
    width, height = np.median(boxes.sizes, axis=0).tolist()
    shape = _shape(anchors, level, width, height)
    yield shape
    if ratio := _missing_ratio(anchors, boxes):
        yield ratio
        yield Remedy(f"{shape.words} and {ratio.words}", (*shape.settings, *ratio.settings))
    if finer := _finer_level(anchors, config.detector.backbone):
        yield finer


def assigner_remedies(config: Config, boxes: BoxTable) -> Iterator[Remedy]:
    """Yield changes of the assigner that give more boxes an anchor, however poor; they suit all boxes alike."""
    if isinstance(config.assign, MaxIoUAssigner):
        if config.assign.rescue_iou is None:
            yield Remedy(f"rescue from IoU {RESCUE_IOU} on", (f"assign.rescue_iou={RESCUE_IOU}",))
        yield Remedy("ATSS in place of max-IoU", ("assign={kind: ATSSAssigner}",))


def misfit(config: Config) -> str | None:
    """Why the network of a config cannot be built for its anchors, as where a level has no feature map; else None."""
    try:
        config.detector(config.anchors.strides, config.anchors.shapes_per_level, 1, pretrained=False)
    except ValueError as error:
        return str(error)
    return None


def _level(anchors: AnchorGenerator, boxes: BoxTable) -> int:
    """The level whose anchors come nearest in size to most of the boxes."""
    scale = float(np.median(boxes.scale))
    typical = [np.median([(w * h) ** 0.5 for w, h in shapes]) for shapes in anchors.level_shapes]
    return int(np.argmin(np.abs(np.log(np.array(typical) / scale))))


def _shape(anchors: AnchorGenerator, level: int, width: float, height: float) -> Remedy:
    """The median shape of the boxes, or its scale where shapes are scales times ratios."""
    if anchors.shapes is not None:
        shapes: list[list[object]] = [list(row) for row in anchors.shapes]
        shapes[level].append([round(width, 2), round(height, 2)])
        words = f"one more shape of {width:.0f} x {height:.0f} px on level {level}"
        return Remedy(words, (f"anchors.shapes={json.dumps(shapes)}",))
    scale = round((width * height) ** 0.5 / anchors.strides[level], 2)
    scales = [list(row) for row in anchors.level_scales]
    scales[level].append(scale)
    words = f"shapes of {scale * anchors.strides[level]:.0f} px on level {level} (scale {scale:g})"
    return Remedy(words, (f"anchors.scales={json.dumps(scales)}",))


def _missing_ratio(anchors: AnchorGenerator, boxes: BoxTable) -> Remedy | None:
    ratio = round(float(np.median(boxes.height_to_width)), 2)
    known = np.array(anchors.height_to_width)
    if anchors.shapes is not None or ratio <= 0 or np.abs(np.log(known / ratio)).min() < np.log(NEW_RATIO):
        return None
    return Remedy(
        f"shapes of height/width {ratio:g} on every level",
        (f"anchors.height_to_width={json.dumps([*anchors.height_to_width, ratio])}",),
    )


def _finer_level(anchors: AnchorGenerator, backbone: object) -> Remedy | None:
    """One more level in front, its shapes half as large as those of the finest so far."""
    stride = anchors.strides[0] / 2
    if stride < FINEST or stride != int(stride):
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
        settings.append(f"detector.backbone.first={int(stride)}")
    return Remedy(f"a finer level of stride {stride:g}", tuple(settings))
