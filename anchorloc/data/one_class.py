"""Take all classes of a split for one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from anchorloc.data.subset import AnnotationSubset, Subset
from anchorloc.structures import Category, Detections, Target

ONE_CLASS: Final = (Category(1, "object"),)


@dataclass(frozen=True, eq=False)
class OneClassAnnotations(AnnotationSubset):
    """The boxes of some images of `source`, all of one class: `Annotations`."""

    @property
    def categories(self) -> tuple[Category, ...]:
        return ONE_CLASS

    def target(self, index: int) -> Target:
        return _without_labels(super().target(index))

    def training_target(self, index: int) -> Target:
        return _without_labels(super().training_target(index))


@dataclass(frozen=True, eq=False)
class OneClass(OneClassAnnotations, Subset):
    """The same with pixels: a `Source`."""


def as_one_class(detections: Detections) -> Detections:
    """Return the detections with the one class of `OneClass`."""
    return replace(detections, labels=np.zeros_like(detections.labels))


def _without_labels(target: Target) -> Target:
    return replace(target, labels=np.zeros_like(target.labels))
