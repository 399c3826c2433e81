"""An image with what was there and what was found, as the numbers that an SVG needs.

The boxes lie over the image as vectors: sharp at any size, in any script, and each can be hidden.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anchorloc.data import Source
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation
from anchorloc.structures import Category, Detections, IntArray, Target
from anchorloc.text import counted, shorten

LONGEST_SIDE = 720  # pixels kept of an image: twice what a gallery shows, for sharp screens
MOST_DETECTIONS = 100  # drawn in one image
MOST_LABELS = 10  # in one image of a gallery; beyond, only those of mistakes are shown
GOLDEN_RATIO = (1 + 5**0.5) / 2  # its multiples, less their whole parts, cover any range evenly
MOST_PROBLEMS = 50  # images that cannot be read before the search for pictures ends
WITHOUT_THRESHOLD = 5  # detections drawn of an image where no score threshold is better than another

Kind = Literal["truth", "right", "wrong", "missed", "aside"]


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, judged."""

    name: str
    image: NDArray[np.uint8]  # (H, W, 3) the whole image, at any resolution
    size: tuple[int, int]  # (height, width) in the pixels that the boxes are in
    target: Target
    detections: Detections
    matched: IntArray  # (N,) as Evaluation.matched
    group: str = ""  # the heading under which a gallery shows it


@dataclass(frozen=True)
class Mark:
    """One box on a picture. "aside" is a crowd box, or a detection on one: neither right nor wrong."""

    kind: Kind
    box: tuple[float, float, float, float]  # x, y, width, height
    label: str  # beside the box; may be empty
    words: str  # on hover


@dataclass(frozen=True)
class DrawnPicture:
    """A picture laid out in the pixels of its boxes."""

    name: str
    caption: str
    width: int
    height: int
    href: str  # the image as a data URI
    marks: list[Mark]
    group: str = ""

    @property
    def crowded(self) -> bool:
        """Whether so many labels would hide each other."""
        return sum(bool(mark.label) for mark in self.marks) > MOST_LABELS


def pick_pictures(
    source: Source,
    detections: Sequence[Detections],
    evaluation: Evaluation,
    count: int = 12,
    order: Sequence[int] | None = None,
) -> tuple[list[Picture], list[str]]:
    """Return `count` images, and a sentence for each on the way that cannot be read.

    They are the first of `order`, in that order; without one they are spread over the data set.
    """
    pictures: dict[int, Picture] = {}
    problems: list[str] = []
    spread = sorted(range(len(source)), key=lambda index: index * GOLDEN_RATIO % 1)
    for index in spread if order is None else order:
        if len(pictures) == count or len(problems) == MOST_PROBLEMS:
            break
        try:
            image = source.image(index)
        except InputError as error:
            problems.append(str(error))
            continue
        target, matched = source.target(index), evaluation.matched[index]
        pictures[index] = Picture(source.name(index), image, source.size(index), target, detections[index], matched)
    return [pictures[index] for index in (sorted(pictures) if order is None else pictures)], problems


def draw_picture(picture: Picture, categories: Sequence[Category], threshold: float | None) -> DrawnPicture:
    """Lay out the truth of an image and its detections of at least the score `threshold`."""
    scores = picture.detections.scores
    kept = np.argsort(-scores, kind="stable")[: WITHOUT_THRESHOLD if threshold is None else MOST_DETECTIONS]
    kept = kept if threshold is None else kept[scores[kept] >= threshold]
    marks = [*_truth_marks(picture, kept, categories), *_detection_marks(picture, kept, categories)]
    height, width = picture.size
    return DrawnPicture(
        shorten(picture.name), _caption(marks), width, height, data_uri(picture.image), marks, picture.group
    )


def _truth_marks(picture: Picture, kept: NDArray[np.intp], categories: Sequence[Category]) -> Iterator[Mark]:
    found = set(picture.matched[kept].tolist())
    target = picture.target
    for row, (box, label, crowd) in enumerate(zip(target.boxes, target.labels, target.crowd, strict=True)):
        words = shorten(categories[label].name, 24)
        if crowd:
            yield Mark("aside", xywh(box), "", f"crowd: {words}")
        elif row in found:
            yield Mark("truth", xywh(box), "", f"truth: {words}")
        else:
            yield Mark("missed", xywh(box), words, f"missed: {words}")


def _detection_marks(picture: Picture, kept: NDArray[np.intp], categories: Sequence[Category]) -> Iterator[Mark]:
    for row in reversed(kept.tolist()):  # the surest on top
        matched, score = picture.matched[row], float(picture.detections.scores[row])
        kind: Kind = "right" if matched >= 0 else "wrong" if matched == -1 else "aside"
        words = shorten(categories[picture.detections.labels[row]].name, 24)
        label = f"{words} {score:.2f}" if len(categories) > 1 else f"{score:.2f}"
        verdict = "not counted" if kind == "aside" else kind
        yield Mark(kind, xywh(picture.detections.boxes[row]), label, f"{verdict}: {words}, score {score:.3f}")


def _caption(marks: list[Mark]) -> str:
    kinds = [mark.kind for mark in marks]
    right, missed, wrong = kinds.count("right"), kinds.count("missed"), kinds.count("wrong")
    return f"{right} of {counted(right + missed, 'box')} found, {wrong} wrong"


def xywh(box: NDArray[np.floating]) -> tuple[float, float, float, float]:
    """Return a box (4,) xyxy as an SVG has it, to a tenth of a pixel."""
    x1, y1, x2, y2 = (round(float(value), 1) for value in box)
    return x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return (H, W, 3) RGB as a JPEG of at most LONGEST_SIDE pixels a side."""
    picture = Image.fromarray(image)
    factor = max(picture.size) // (2 * LONGEST_SIDE)
    if factor > 1:
        picture = picture.reduce(factor)  # cheap, and fine enough for the smooth step that follows
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
