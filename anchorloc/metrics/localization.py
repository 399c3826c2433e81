"""How well the one box found in an image fits its one object, and whether it says more than a constant would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anchorloc.boxes import paired_box_iou
from anchorloc.structures import Detections, Target

Float64Array = NDArray[np.float64]

IOU_THRESHOLDS: Final = (0.3, 0.5, 0.7)
COLLAPSED_SPREAD = 0.5  # of that of the truth
COLLAPSED_GAIN = 0.15  # over the constant box, of what there is to gain; the best constant box gains some of it
LEAST_SPREAD = 0.01  # of the truth, in image sides: below it there is nothing to follow


@dataclass(frozen=True)
class Localization:
    """The numbers of one evaluation. An image where nothing is found counts with IoU 0 and a wrong class."""

    images: int
    top1_loc_error: float  # share of images whose box has the wrong class or IoU < 0.5 (ILSVRC's localization task)
    top1_class_error: float  # share of images whose box has the wrong class
    corloc: float  # share of images whose box has IoU >= 0.5, whatever its class
    mean_iou: float
    max_box_acc: tuple[float, ...]  # share of images whose box has IoU >= each of IOU_THRESHOLDS, whatever its class
    constant_iou: float  # mean IoU that the mean box of the truth, the same part of every image, would get
    spread: float  # of the boxes found: see `spread_of`
    true_spread: float

    @property
    def spread_ratio(self) -> float:
        """How much of the spread of the truth the boxes found have; 1 where there is none to have."""
        return self.spread / self.true_spread if self.true_spread >= LEAST_SPREAD else 1.0

    @property
    def collapsed(self) -> bool:
        """Whether the boxes hardly move with their objects and fit them hardly better than one constant box would."""
        gain = self.mean_iou - self.constant_iou
        return self.spread_ratio < COLLAPSED_SPREAD and gain < COLLAPSED_GAIN * (1 - self.constant_iou)


def localize(
    targets: Sequence[Target], detections: Sequence[Detections], sizes: Sequence[tuple[int, int]]
) -> Localization:
    """Score the box of greatest score in each image.

    Args:
        targets: the truth, with one box that is no crowd in each image.
        detections: what was found, in the order of `targets`, each by descending score.
        sizes: (height, width) of the images.

    Raises:
        ValueError: there is no image, their numbers differ, or an image has not one object.
    """
    if not len(targets) == len(detections) == len(sizes) > 0:
        raise ValueError(
            f"need as many targets, detections and sizes, one at least, got {len(targets)}, {len(detections)} "
            f"and {len(sizes)}"
        )
    objects = [target.take(~target.crowd) for target in targets]
    for place, one in enumerate(objects):
        if len(one) != 1:
            raise ValueError(f"targets[{place}] has {len(one)} objects; localization needs one")
    truth = np.concatenate([one.boxes for one in objects]).astype(np.float64)  # (N, 4)
    labels = np.concatenate([one.labels for one in objects])
    found = np.array([len(one) > 0 for one in detections])
    boxes = np.array([one.boxes[0] if len(one) else (0, 0, 0, 0) for one in detections], np.float64)
    classes = np.array([one.labels[0] if len(one) else -1 for one in detections])
    sides = np.array([(width, height) * 2 for height, width in sizes], np.float64)
    iou = paired_box_iou(boxes, truth)
    constant = np.broadcast_to((truth / sides).mean(axis=0), truth.shape) * sides
    return Localization(
        images=len(targets),
        top1_loc_error=float(1 - ((iou >= 0.5) & (classes == labels)).mean()),
        top1_class_error=float((classes != labels).mean()),
        corloc=float((iou >= 0.5).mean()),
        mean_iou=float(iou.mean()),
        max_box_acc=tuple(float((iou >= threshold).mean()) for threshold in IOU_THRESHOLDS),
        constant_iou=float(paired_box_iou(constant, truth).mean()),
        spread=spread_of(boxes[found] / sides[found]),
        true_spread=spread_of(truth / sides),
    )


def spread_of(boxes: Float64Array) -> float:
    """Return the standard deviation of normalized boxes (N, 4): the root of the summed variances of center x, center
    y, width and height, in image sides.
    """
    if not len(boxes):
        return 0.0
    columns = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    return float(np.sqrt(columns.var(axis=0).sum()))
