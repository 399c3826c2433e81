"""The usable images, categories and boxes of a document, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from anchorloc.structures import BoolArray, Category, Float64Array, IntArray, Size

NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class AnnotationTable:
    """The N images with a valid id, the C categories, and the M boxes of four numbers that belong to such an image."""

    image_rows: IntArray  # (N,) rows in the list of images
    sizes: Float64Array  # (N, 2) height, width; inf if the file does not say
    names: list[str | None]  # (N,) file_name; None if it is not valid
    categories: list[Category]  # (C,)
    category_rows: list[int]  # (C,) rows in the list of categories
    rows: IntArray  # (M,) rows in the list of annotations
    images: IntArray  # (M,) 0..N-1
    labels: IntArray  # (M,) 0..C-1, or NO_LABEL
    boxes: Float64Array  # (M, 4) xyxy
    crowd: BoolArray  # (M,)
    area: Float64Array  # (M,) as annotated; NaN if it is missing or invalid
    has_segmentation: BoolArray  # (M,) whether the box has a segmentation

    @cached_property
    def box_sizes(self) -> Float64Array:  # (M, 2) height, width of the image of each box
        return self.sizes[self.images]

    @cached_property
    def class_names(self) -> list[str]:  # (C,)
        return [category.shown_name for category in self.categories]

    def with_sizes(self, sizes: Mapping[int, Size], always: bool = False) -> AnnotationTable:
        """Return the table with the sizes of files, by row: for the images of unknown size, or `always`."""
        known = [
            sizes.get(row, size) if always or np.isinf(size[0]) else size
            for row, size in zip(self.image_rows.tolist(), self.sizes.tolist(), strict=True)
        ]
        return replace(self, sizes=np.array(known, np.float64).reshape(-1, 2))

    @classmethod
    def empty(cls) -> AnnotationTable:
        """Return a table without images, categories and boxes."""
        none = np.empty(0, np.int64)
        return cls(
            none, np.empty((0, 2)), [], [], [], none, none, none, np.empty((0, 4)), none > 0, np.empty(0), none > 0
        )

    def class_counts(self) -> IntArray:
        """Return the number of boxes of each class, (C,), crowd boxes included."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.categories)).astype(np.int64)
