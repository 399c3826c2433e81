"""What is sound enough in a document to be measured, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anchorloc.structures import BoolArray, Category, IntArray

NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class Table:
    """The N images with a usable id, the C categories, and the M boxes that are four numbers and belong to an image."""

    image_rows: IntArray  # (N,) places in the list of images
    sizes: NDArray[np.float64]  # (N, 2) height, width; inf where the file tells none
    names: list[str | None]  # (N,) file_name; None where it is not usable
    categories: list[Category]  # (C,)
    category_rows: list[int]  # (C,) places in the list of categories
    rows: IntArray  # (M,) places in the list of annotations
    images: IntArray  # (M,) the image of each box, 0..N-1
    labels: IntArray  # (M,) 0..C-1, or NO_LABEL
    boxes: NDArray[np.float64]  # (M, 4) xyxy
    crowd: BoolArray  # (M,)
    area: NDArray[np.float64]  # (M,) as annotated, NaN where it is not
    masked: BoolArray  # (M,) whether a segmentation is there

    @cached_property
    def box_sizes(self) -> NDArray[np.float64]:
        """(M, 2) height and width of the image of each box."""
        return self.sizes[self.images]

    @cached_property
    def class_names(self) -> list[str]:
        """(C,) the names of the categories."""
        return [category.name for category in self.categories]

    def class_counts(self) -> IntArray:
        """(C,) boxes of each class, crowds among them."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.categories)).astype(np.int64)
