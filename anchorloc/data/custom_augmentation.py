"""Apply an augmentation of the user's own to a picture, or to its boxes alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from anchorloc.data.canvas_plan import CanvasPlan
from anchorloc.data.own_data import AugmentationProtocol
from anchorloc.data.placement import visible_share
from anchorloc.errors import InputError
from anchorloc.structures import FloatArray, IntArray, Pixels, Target
from anchorloc.text import docstring_clause


def augment_plan(
    custom: AugmentationProtocol, plan: CanvasPlan, image: Any, min_visible: float, key: tuple[int, int, int]
) -> tuple[Any, CanvasPlan]:
    """Return the picture and its plan after the augmentation, which sees the part that shows an image.

    Args:
        image: (H, W, 3) uint8 of the whole canvas; None augments the boxes alone, over black pixels.
        min_visible: minimum share of the area of a box that must stay inside.
        key: (seed, epoch, index), which decides all random numbers.

    Raises:
        InputError: the augmentation returns something else than its protocol says.
    """
    top, left, bottom, right = plan.extent
    size, corner = (bottom - top, right - left), np.array([left, top, left, top])
    shown = np.zeros((*size, 3), np.uint8) if image is None else image[top:bottom, left:right].copy()
    random = Random("/".join(map(str, (*key, "custom"))))
    pixels, boxes, rows = _checked(custom, size, len(plan.target), custom(shown, plan.target.boxes - corner, random))
    clipped = np.minimum(np.maximum(boxes, 0), np.array([size[1], size[0]] * 2))
    visible, _ = visible_share(boxes, (0, 0, size[1], size[0]))
    keep = (visible > 0) & (visible >= min_visible)
    chosen = plan.target.take(rows[keep])
    target = Target(clipped[keep] + corner, chosen.labels, chosen.crowd, chosen.area, chosen.rows)
    if image is not None:
        image = image.copy()
        image[top:bottom, left:right] = pixels
    return image, replace(plan, target=target, images=plan.images[rows[keep]])


def _checked(
    custom: AugmentationProtocol, size: tuple[int, int], count: int, returned: Any
) -> tuple[Pixels, FloatArray, IntArray]:
    """Return what an augmentation gave for a picture of `size` with `count` boxes, if it is right."""
    problem = ""
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        problem = f"it returned {type(returned).__name__}, not pixels, boxes and rows"
    else:
        pixels, boxes, rows = map(np.asarray, returned)
        if not boxes.size and not rows.size:  # an empty list has another shape and type
            boxes, rows = np.zeros((0, 4)), np.zeros(0, np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (*size, 3):
            problem = f"it returned pixels {pixels.shape} {pixels.dtype}, not {(*size, 3)} uint8"
        elif boxes.ndim != 2 or boxes.shape[1] != 4 or rows.shape != (len(boxes),):
            problem = f"it returned boxes {boxes.shape} with rows {rows.shape}, not (N, 4) and (N,)"
        elif not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
            problem = "it returned a box that is not finite or of negative size"
        elif rows.dtype.kind not in "iu" or ((rows < 0) | (rows >= count)).any():
            problem = f"it returned the rows {rows.tolist()} of {count} boxes"
    if problem:
        kind = f"{type(custom).__module__}.{type(custom).__qualname__}"
        raise InputError(f"transform.augment.custom.kind={kind}: {problem}; {docstring_clause(AugmentationProtocol)}")
    return pixels, boxes.astype(np.float64), rows
