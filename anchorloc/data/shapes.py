"""The built-in data set: random scenes of four shapes, drawn when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

import numpy as np

from anchorloc.data import shape_drawing
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.shape_layout import MAX_FIGURES, NAMES, Figure, lay_out, lay_out_one
from anchorloc.data.source import Split
from anchorloc.errors import InputError
from anchorloc.structures import Category, Pixels, Size, Target


@dataclass(frozen=True)
class ShapesData(ImageSettings):
    """Scenes of ellipses, rectangles, triangles and crosses. A scene depends on (seed, split, index) alone."""

    train_images: int = 10_000  # images of the train split
    val_images: int = 400  # images of the val split
    size: int = 160  # pixels, height and width of an image
    seed: int = 0  # seed of the scenes

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_images < 1 or self.val_images < 1:
            raise InputError(
                f"train_images and val_images must be at least 1, got {self.train_images} and {self.val_images}"
            )
        if not 32 <= self.size <= 4096:
            raise InputError(f"size must be from 32 to 4096 px, got {self.size}")

    def open(self, split: Split) -> ShapesSource:
        """Return the scenes of a split."""
        return ShapesSource(self, split)

    def lay_out(self, random: Random) -> list[Figure]:
        """Draw the layout of a scene."""
        return lay_out(random, self.size)


@dataclass(frozen=True)
class OneShapeData(ShapesData):
    """Scenes of one whole shape each, for localization."""

    spread: float = 1.0  # variation of position, size and aspect ratio: 0 is one box in the center, 1 any box

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.spread <= 1:
            raise InputError(f"spread must be from 0 to 1, got {self.spread}")

    def lay_out(self, random: Random) -> list[Figure]:
        """Draw the layout of a scene."""
        return lay_out_one(random, self.size, self.spread)


@dataclass(frozen=True)
class ShapesSource:
    """The scenes of one split: a `Source`."""

    data: ShapesData
    split: Split

    categories: ClassVar[tuple[Category, ...]] = tuple(Category(id, name) for id, name in enumerate(NAMES, start=1))
    warnings: ClassVar[tuple[str, ...]] = ()
    fingerprint: ClassVar[str] = ""  # the settings determine the scenes

    def __len__(self) -> int:
        return self.data.train_images if self.split == "train" else self.data.val_images

    def image(self, index: int) -> Pixels:
        random = self._random(index)
        figures = self.data.lay_out(random)
        return np.array(shape_drawing.draw(random, figures, self.data.size))

    def target(self, index: int) -> Target:
        """The tight boxes of the visible parts, largest object first."""
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
        """The same boxes: all have an area and lie inside the scene."""
        return self.target(index)

    def image_id(self, index: int) -> int:
        return index + 1

    def size(self, index: int) -> Size:
        return self.data.size, self.data.size

    def name(self, index: int) -> str:
        """The file name that `anchorloc shapes` gives the scene."""
        return f"{self.split}_{index:06d}.png"

    def annotation_id(self, row: int) -> int:
        return row

    def check_images(self) -> tuple[str, ...]:
        """Return no warnings: there are no files."""
        return ()

    def _random(self, index: int) -> Random:
        return Random(f"{self.data.seed}/{self.split}/{index}")
