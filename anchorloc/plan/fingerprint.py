"""What the rules of a plan know about a data set: counts, sizes and shapes of its labels, without a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.data import Annotations
from anchorloc.data.sampling import class_presence
from anchorloc.structures import Float64Array, Size

SHARES = (10, 50, 90)  # percentiles of the sides of boxes


@dataclass(frozen=True)
class Fingerprint:
    """The counts, sizes and shapes of the boxes to train on; crowd boxes do not count.

    A side is the square root of the area of a box.
    """

    images: int
    val_images: int
    classes: int
    boxes: int
    most_boxes: int  # in one image
    one_object: bool  # every image, of train and val, has exactly one box
    size: Size  # the median height and the median width of the images, in pixels
    elongation: float  # longer by shorter side of an image, 90th percentile
    sides: tuple[float, float, float]  # 10th, 50th and 90th percentile, as a fraction of the shorter side of the image
    height_to_width: tuple[float, float]  # 1st and 99th percentile over boxes
    rarest: float  # fraction of the images that hold the rarest class that there is


def fingerprint(train: Annotations, val: Annotations) -> Fingerprint:
    """Return the fingerprint of a data set."""
    sizes = np.array([train.size(index) for index in range(len(train))], np.float64)  # (N, 2)
    boxes, images = _boxes(train)
    extents = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9)  # (M, 2) width, height
    sides = np.sqrt(extents.prod(axis=1)) / sizes.min(axis=1)[images]
    ratios = extents[:, 1] / extents[:, 0]
    per_image = np.bincount(images, minlength=len(train))
    _, labels = class_presence(train)
    shares = np.unique(labels, return_counts=True)[1] / len(train)
    median = np.median(sizes, axis=0).round().astype(int).tolist()
    elongation = np.percentile(sizes.max(axis=1) / sizes.min(axis=1), 90)
    return Fingerprint(
        images=len(train),
        val_images=len(val),
        classes=len(train.categories),
        boxes=len(boxes),
        most_boxes=int(per_image.max(initial=0)),
        one_object=bool((per_image == 1).all()) and _has_one_box_each(val),
        size=(median[0], median[1]),
        elongation=float(elongation),
        sides=_percentiles(sides, SHARES, 1.0),  # type: ignore[arg-type]
        height_to_width=_percentiles(ratios, (1, 99), 1.0),  # type: ignore[arg-type]
        rarest=float(shares.min(initial=1.0)),
    )


def _boxes(source: Annotations) -> tuple[Float64Array, np.ndarray]:
    """Return the boxes to learn, (M, 4), and the image of each, (M,)."""
    targets = [source.training_target(index) for index in range(len(source))]
    kept = [target.boxes[~target.crowd] for target in targets]
    images = np.repeat(np.arange(len(source)), [len(boxes) for boxes in kept])
    return np.concatenate([np.zeros((0, 4)), *kept]).astype(np.float64), images


def _has_one_box_each(source: Annotations) -> bool:
    return all(int((~source.training_target(index).crowd).sum()) == 1 for index in range(len(source)))


def _percentiles(values: Float64Array, shares: tuple[int, ...], empty: float) -> tuple[float, ...]:
    if not len(values):
        return (empty,) * len(shares)
    return tuple(np.percentile(values, shares).tolist())
