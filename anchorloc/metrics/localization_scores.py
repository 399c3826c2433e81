"""Score the one box of each image against its one object, and detect a model that predicts a constant box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from anchorloc.boxes import paired_box_iou
from anchorloc.structures import Detections, Float64Array, Size, Target

LOCALIZATION_IOUS: Final = (0.3, 0.5, 0.7)  # IoU thresholds of MaxBoxAcc
COLLAPSED_STD_RATIO = 0.5  # standard deviation of the predicted / of the true boxes
COLLAPSED_GAIN = 0.15  # (mean IoU - constant IoU) / (1 - constant IoU); the best constant box has a gain above 0
MIN_TRUE_STD = 0.01  # image sides; below it, there is nothing to follow


@dataclass(frozen=True)
class Localization:
    """The numbers of one evaluation. An image without a detection counts as IoU 0 and a wrong class."""

    images: int
    top1_loc_error: float  # share of images whose box has the wrong class or IoU < 0.5 (ILSVRC's localization task)
    top1_class_error: float  # share of images whose box has the wrong class
    corloc: float  # share of images whose box has IoU >= 0.5 (class-agnostic)
    mean_iou: float
    max_box_acc: tuple[float, ...]  # share of images with IoU >= each of LOCALIZATION_IOUS (class-agnostic)
    constant_iou: float  # mean IoU of a constant prediction, the mean normalized box of the ground truth
    box_std: float  # `box_std` of the predicted boxes
    true_box_std: float  # `box_std` of the ground truth

    @property
    def box_std_ratio(self) -> float:
        """Return predicted / true standard deviation; 1 where the ground truth hardly varies."""
        return self.box_std / self.true_box_std if self.true_box_std >= MIN_TRUE_STD else 1.0

    @property
    def collapsed(self) -> bool:
        """Return whether the boxes hardly follow their objects and are hardly better than one constant box."""
        gain = self.mean_iou - self.constant_iou
        return self.box_std_ratio < COLLAPSED_STD_RATIO and gain < COLLAPSED_GAIN * (1 - self.constant_iou)


def localize(targets: Sequence[Target], detections: Sequence[Detections], sizes: Sequence[Size]) -> Localization:
    """Score the highest-scoring box of each image.

    Args:
        targets: the ground truth, with one box in each image, crowd boxes aside.
        detections: the detections, in the order of `targets`, each by descending score.
        sizes: (height, width) of the images.

    Raises:
        ValueError: there is no image, the lengths differ, or an image does not have exactly one object.
    """
    if not len(targets) == len(detections) == len(sizes) > 0:
        raise ValueError(
            f"need equally many targets, detections and sizes, at least one, got {len(targets)}, {len(detections)} "
            f"and {len(sizes)}"
        )
    objects = [target.take(~target.crowd) for target in targets]
    for place, one in enumerate(objects):
        if len(one) != 1:
            raise ValueError(f"targets[{place}] has {len(one)} objects; localization needs exactly one")
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
        max_box_acc=tuple(float((iou >= threshold).mean()) for threshold in LOCALIZATION_IOUS),
        constant_iou=float(paired_box_iou(constant, truth).mean()),
        box_std=box_std(boxes[found] / sides[found]),
        true_box_std=box_std(truth / sides),
    )


def box_std(boxes: Float64Array) -> float:
    """Return the standard deviation of normalized boxes (N, 4), in image sides.

    It is the square root of the summed variances of center x, center y, width and height.
    """
    if not len(boxes):
        return 0.0
    columns = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    return float(np.sqrt(columns.var(axis=0).sum()))
