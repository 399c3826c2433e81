"""The choices of COCO's protocol that an evaluation may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

IOU_THRESHOLDS: Final = tuple(float(iou) for iou in np.linspace(0.5, 0.95, 10))  # the T thresholds of COCO's AP
LARGEST_AREA = 1e10  # px²


@dataclass(frozen=True)
class Protocol:
    """What AP and AR are means over, and where small, medium and large boxes part.

    Raises:
        ValueError: the thresholds or borders are not ascending, or out of range.
    """

    ious: tuple[float, ...] = IOU_THRESHOLDS
    size_borders: tuple[float, float] = (32.0, 96.0)  # px, as square roots of areas

    def __post_init__(self) -> None:
        if not self.ious or list(self.ious) != sorted(set(self.ious)) or not 0 < self.ious[0] <= self.ious[-1] <= 1:
            raise ValueError(f"need ascending IoU thresholds above 0, up to 1, got {self.ious}")
        low, high = self.size_borders
        if not 0 < low < high <= LARGEST_AREA**0.5:
            raise ValueError(f"need two ascending borders of sizes above 0 px, got {self.size_borders}")

    @property
    def matched_ious(self) -> tuple[float, ...]:
        """Return the thresholds to match at, ascending: `ious`, and 0.5, which counts and pictures need."""
        return tuple(sorted({0.5, *self.ious}))

    @property
    def scored(self) -> list[int]:
        """Return the places of `ious` in `matched_ious`."""
        return [self.matched_ious.index(iou) for iou in self.ious]

    @property
    def half_first(self) -> list[int]:
        """Return the places of `matched_ious` with the one of 0.5 in front."""
        half = self.matched_ious.index(0.5)
        return [half, *(place for place in range(len(self.matched_ious)) if place != half)]

    @property
    def area_ranges(self) -> tuple[tuple[float, float], ...]:
        """Return the least and the greatest area of all, small, medium and large boxes, both inclusive, in px²."""
        low, high = (border**2 for border in self.size_borders)
        return (0.0, LARGEST_AREA), (0.0, low), (low, high), (high, LARGEST_AREA)

    def place(self, iou: float) -> int | None:
        """Return where a threshold is among `ious`; None if it is not."""
        return self.ious.index(iou) if iou in self.ious else None


COCO: Final = Protocol()
