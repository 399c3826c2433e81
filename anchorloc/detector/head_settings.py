"""The heads to choose from; torch and the layers are imported on the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

NORM_GROUPS = 32  # groups of group normalization


@dataclass(frozen=True)
class Head:
    """RetinaNet's two towers (arXiv:1708.02002), shared over levels but for their batch normalization.

    Convolutions are shared, statistics are not: a level's own mean and variance are what evaluation will see
    (RTMDet, arXiv:2212.07784). Group normalization has no statistics and is shared too.
    """

    channels: int = 64  # channels of the towers
    depth: int = 2  # convolutions per tower
    prior: float = 0.01  # score of every anchor and class before training
    norm: Literal["batch", "group", "none"] = "batch"  # normalization of the towers; group has 32 groups
    # (arXiv:1803.08494)
    background_class: bool = False  # add a logit of the background; scores are then a softmax over classes
    depthwise: bool = False  # build towers of depthwise 3×3 and 1×1 convolutions, for CPUs (arXiv:1704.04861)
    iou_branch: bool = False  # predict the IoU of each box; scores are then the geometric mean of class score and IoU
    # (arXiv:1912.05992)

    def __post_init__(self) -> None:
        if self.channels < 1 or self.depth < 0:
            raise ValueError(f"need channels >= 1 and depth >= 0, got {self.channels} and {self.depth}")
        if not 0 < self.prior < 1:
            raise ValueError(f"prior must be above 0 and below 1, got {self.prior}")
        if self.norm == "group" and self.channels % NORM_GROUPS:
            raise ValueError(
                f"channels must be a multiple of {NORM_GROUPS} for group normalization, got {self.channels}"
            )

    def __call__(self, inputs: Sequence[int], shapes_per_level: Sequence[int], classes: int) -> nn.Module:
        """Build the module; its widths follow from the anchors of a cell at each level.

        Raises:
            ValueError: the levels have different channels.
        """
        from anchorloc.detector.head import HeadModule

        if len(set(inputs)) > 1:
            raise ValueError(
                f"detector.head is shared by all levels, but their channels are {list(inputs)}; use kind: LevelHead"
            )
        return HeadModule(self, inputs, shapes_per_level, classes)


@dataclass(frozen=True)
class LevelHead:
    """SSD's head (arXiv:1512.02325): at each level a convolution for the classes and one for the offsets, no more.

    Levels may have any channels and any number of anchors a cell.
    """

    depthwise: bool = False  # use a depthwise 3×3 and a 1×1 convolution, as in SSDLite (arXiv:1801.04381)
    background_class: bool = True  # add a logit of the background; scores are then a softmax over classes
    prior: float = 0.01  # score of every anchor and class before training

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ValueError(f"prior must be above 0 and below 1, got {self.prior}")

    def __call__(self, inputs: Sequence[int], shapes_per_level: Sequence[int], classes: int) -> nn.Module:
        """Build the module; its widths follow from the anchors of a cell at each level."""
        from anchorloc.detector.level_head import LevelHeadModule

        return LevelHeadModule(self, inputs, shapes_per_level, classes)
