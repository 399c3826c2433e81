"""Data sets of boxes alone, and configs for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.config import Config
from anchorloc.data import Augment, Source, Transform
from anchorloc.errors import InputError
from anchorloc.lab.network_views import NetworkViews
from anchorloc.structures import Category, Target

ANCHORS = AnchorGenerator(strides=(8, 16), scales=(2.0, 4.0), height_to_width=(0.5, 1.0, 2.0))


@dataclass(frozen=True, eq=False)
class BoxSource:
    """A `Source` without images."""

    targets: tuple[Target, ...]
    sizes: tuple[tuple[int, int], ...]
    categories: tuple[Category, ...] = (Category(3, "cell"), Category(7, "dot"))
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    def target(self, index: int) -> Target:
        return self.targets[index]

    def training_target(self, index: int) -> Target:
        target, (height, width) = self.targets[index], self.sizes[index]
        boxes = target.boxes.clip(0, [width, height, width, height])
        keep = np.asarray((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        return Target(boxes, target.labels, target.crowd, target.area, target.rows).take(keep)

    def image_id(self, index: int) -> int:
        return index + 1

    def size(self, index: int) -> tuple[int, int]:
        return self.sizes[index]

    def name(self, index: int) -> str:
        return f"{index}.png"

    def annotation_id(self, row: int) -> int:
        return 100 + row

    def image(self, index: int) -> NDArray[np.uint8]:
        raise InputError(f"{index}.png does not exist")

    def check_images(self) -> tuple[str, ...]:
        return ()

    @property
    def fingerprint(self) -> str:
        return "boxes"


def source_of(
    boxes: list[list[list[float]]],
    labels: list[list[int]] | None = None,
    crowd: list[list[bool]] | None = None,
    size: tuple[int, int] = (100, 120),
) -> BoxSource:
    """One image for each list of xyxy boxes, rows counted over all of them as in a file."""
    targets, row = [], 0
    for place, image in enumerate(boxes):
        array = np.array(image, np.float64).reshape(-1, 4)
        count = len(array)
        targets.append(
            Target(
                boxes=array,
                labels=np.array(labels[place] if labels else [0] * count, np.int64),
                crowd=np.array(crowd[place] if crowd else [False] * count, np.bool_),
                area=(array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1]),
                rows=row + np.arange(count),
            )
        )
        row += count
    return BoxSource(tuple(targets), (size,) * len(boxes))


def config_of(**parts: Any) -> Config:
    """The small anchors of this file, max-IoU, and what is given."""
    known = {"anchors": ANCHORS, "assign": MaxIoUAssigner(), "transform": Transform(augment=Augment(horizontal_flip=0))}
    return Config(**{**known, **parts})


def views_of(source: Source, epochs: int = 0, **parts: Any) -> NetworkViews:
    return NetworkViews(config_of(**parts), source, epochs)


@st.composite
def sources(draw: st.DrawFn) -> BoxSource:
    """Up to three images with boxes of all kinds: apart, alike, crowds, over the border, without a size."""
    corner, side = st.integers(-10, 110), st.sampled_from([0, 1, 4, 9, 17, 30, 33, 60, 90])
    boxes, labels, crowd = [], [], []
    for _ in range(draw(st.integers(1, 3))):
        pairs = draw(st.lists(st.tuples(corner, corner, side, side), max_size=6))
        image = [[x + 0.25, y, x + 0.25 + w, y + h] for x, y, w, h in pairs]
        image += image[:1] * draw(st.integers(0, 2))
        boxes.append(image)
        labels.append([draw(st.integers(0, 1)) for _ in image])
        crowd.append([draw(st.integers(0, 5)) == 0 for _ in image])
    return source_of(boxes, labels, crowd)


assigners = st.sampled_from(
    [MaxIoUAssigner(), MaxIoUAssigner(0.5, 0.4, 0.1), MaxIoUAssigner(0.7, 0.3), ATSSAssigner(4), ATSSAssigner(9)]
)
