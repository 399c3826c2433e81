"""The built-in data set: seeded scenes of four shapes, drawn on the fly."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anchorloc.data import shape_drawing
from anchorloc.data.shape_layout import MAX_FIGURES, NAMES, Figure, lay_out, lay_out_one
from anchorloc.data.source import Split
from anchorloc.errors import InputError
from anchorloc.structures import Category, Target


@dataclass(frozen=True)
class ShapesData:
    """Scenes of ellipses, rectangles, triangles and crosses. A scene depends on (seed, split, index) alone."""

    train_images: int = 10_000  # images of the train split
    val_images: int = 400  # images of the val split
    size: int = 160  # pixels, height and width of an image
    seed: int = 0  # seed of the scenes

    def __post_init__(self) -> None:
        if self.train_images < 1 or self.val_images < 1:
            raise InputError(f"need at least 1 image a split, got {self.train_images} and {self.val_images}")
        if not 32 <= self.size <= 4096:
            raise InputError(f"size of a scene must be from 32 to 4096 pixels, got {self.size}")

    def open(self, split: Split) -> ShapesSource:
        """Return the scenes of a split."""
        return ShapesSource(self, split)

    def lay_out(self, random: Random) -> list[Figure]:
        """Draw the figures of a scene."""
        return lay_out(random, self.size)


@dataclass(frozen=True)
class OneShapeData(ShapesData):
    """Scenes of one whole shape each, for localization."""

    spread: float = (
        1.0  # variation of place, size and aspect ratio, from 0 (one box in the center) to 1 (anywhere, any size)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.spread <= 1:
            raise InputError(f"spread must be from 0 to 1, got {self.spread}")

    def lay_out(self, random: Random) -> list[Figure]:
        """Draw the figure of a scene."""
        return lay_out_one(random, self.size, self.spread)


@dataclass(frozen=True)
class ShapesSource:
    """The scenes of one split: a `Source`."""

    data: ShapesData
    split: Split

    categories: ClassVar[tuple[Category, ...]] = tuple(Category(id, name) for id, name in enumerate(NAMES, start=1))
    warnings: ClassVar[tuple[str, ...]] = ()
    fingerprint: ClassVar[str] = ""  # the settings say it all

    def __len__(self) -> int:
        return self.data.train_images if self.split == "train" else self.data.val_images

    def image(self, index: int) -> NDArray[np.uint8]:
        """(S, S, 3) RGB."""
        random = self._random(index)
        figures = self.data.lay_out(random)
        return np.array(shape_drawing.draw(random, figures, self.data.size))

    def target(self, index: int) -> Target:
        """The visible, tight boxes, largest object first."""
        figures = self.data.lay_out(self._random(index))
        boxes = np.array([figure.visible for figure in figures], np.float64).reshape(-1, 4)
        return Target(
            boxes=boxes,
            labels=np.array([figure.label for figure in figures], np.int64),
            crowd=np.zeros(len(figures), np.bool_),
            area=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
            rows=index * MAX_FIGURES + np.arange(len(figures)),
        )

    def training_target(self, index: int) -> Target:
        """The same boxes: none is degenerate or leaves its scene."""
        return self.target(index)

    def image_id(self, index: int) -> int:
        """Ids from 1."""
        return index + 1

    def size(self, index: int) -> tuple[int, int]:
        """(height, width), equal for all scenes."""
        return self.data.size, self.data.size

    def name(self, index: int) -> str:
        """The file name that `python -m anchorloc.shapes` gives the scene."""
        return f"{self.split}_{index:06d}.png"

    def annotation_id(self, row: int) -> int:
        """The rows themselves: there is no file."""
        return row

    def check_images(self) -> tuple[str, ...]:
        """There are no files to look at."""
        return ()

    def _random(self, index: int) -> Random:
        return Random(f"{self.data.seed}/{self.split}/{index}")
