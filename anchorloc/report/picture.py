"""An image with its ground truth and its detections, laid out as the numbers that an SVG needs.

The boxes are vectors over the image: sharp at any size, with names in any script, and each kind can be hidden.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anchorloc.data import Source
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import Analysis
from anchorloc.structures import Category, Detections, IntArray, Size, Target
from anchorloc.text import counted, shorten

LONGEST_SIDE = 720  # pixels of the embedded image: twice its size in the gallery, for high-density screens
MAX_DETECTIONS = 100  # boxes drawn per image
MAX_LABELS = 10  # labels per image of the gallery; above this, only mistakes are labeled
MAX_PICTURES = 9  # worst images, and as many best
MAX_UNREADABLE = 50  # images, before the search for pictures ends
WITHOUT_THRESHOLD = 5  # boxes drawn per image if no score threshold is better than another
GOLDEN_RATIO = (1 + 5**0.5) / 2  # the fractional parts of its multiples spread evenly over 0 to 1

BoxKind = Literal["truth", "right", "wrong", "missed", "ignored"]  # CSS classes
TITLES: dict[BoxKind, str] = {"right": "true positive", "wrong": "false positive", "ignored": "ignored"}


@dataclass(frozen=True, eq=False)
class Picture:
    """An image with its ground truth and its detections."""

    name: str
    image: NDArray[np.uint8]  # (H, W, 3), of any resolution
    size: Size  # (height, width) in the pixels of the boxes
    target: Target
    detections: Detections
    matched: IntArray  # (N,) as Evaluation.matched
    group: str = ""  # heading in the gallery


@dataclass(frozen=True)
class DrawnBox:
    """A box on a picture; a crowd box, and a detection matched to one, is "ignored"."""

    kind: BoxKind
    box: tuple[float, float, float, float]  # x, y, width, height
    label: str  # shown at the box; may be empty
    title: str  # shown on hover


@dataclass(frozen=True)
class DrawnPicture:
    """A picture laid out in the pixels of its boxes."""

    name: str
    caption: str
    width: int
    height: int
    href: str  # the image as a data URI
    boxes: list[DrawnBox]
    group: str = ""

    @property
    def crowded(self) -> bool:
        """Whether the labels would hide each other."""
        return sum(bool(box.label) for box in self.boxes) > MAX_LABELS


def best_and_worst(
    source: Source, detections: Sequence[Detections], evaluation: Evaluation, analysis: Analysis
) -> tuple[list[Picture], list[str]]:
    """Return the images of lowest F1, most errors first among equals, then the images of highest F1, most boxes first.

    With them comes an error message for each image that was chosen but cannot be read.
    """
    faulty = [one for one in analysis.images if one.errors]
    worst = [one.index for one in sorted(faulty, key=lambda one: (one.f1, -one.errors))]
    worst_pictures, problems = pick_pictures(source, detections, evaluation, MAX_PICTURES, worst)
    tried = set(worst[: len(worst_pictures) + len(problems)])
    good = [one for one in analysis.images if (one.true_positives or not one.errors) and one.index not in tried]
    best = [one.index for one in sorted(good, key=lambda one: (-one.f1, -one.boxes))]
    best_pictures, more_problems = pick_pictures(source, detections, evaluation, MAX_PICTURES, best)
    groups = (("Worst", worst_pictures), ("Best", best_pictures))
    pictures = [replace(picture, group=group) for group, some in groups for picture in some]
    return pictures, [*problems, *more_problems]


def pick_pictures(
    source: Source,
    detections: Sequence[Detections],
    evaluation: Evaluation,
    count: int = 12,
    order: Sequence[int] | None = None,
) -> tuple[list[Picture], list[str]]:
    """Return the first `count` readable images of `order`, by default images spread over the data set.

    With them comes an error message for each image that was tried but cannot be read.
    """
    pictures: dict[int, Picture] = {}
    problems: list[str] = []
    spread = sorted(range(len(source)), key=lambda index: index * GOLDEN_RATIO % 1)
    for index in spread if order is None else order:
        if len(pictures) == count or len(problems) == MAX_UNREADABLE:
            break
        try:
            image = source.image(index)
        except InputError as error:
            problems.append(str(error))
            continue
        target, matched = source.target(index), evaluation.matched[index]
        pictures[index] = Picture(source.name(index), image, source.size(index), target, detections[index], matched)
    return [pictures[index] for index in (sorted(pictures) if order is None else pictures)], problems


def unshown_images(problems: Sequence[str]) -> list[str]:
    """Return one warning for all images that could not be read, none if there are none."""
    if len(problems) > 1:
        return [f"{len(problems):,} images could not be read and are not shown, e.g. {problems[0]}"]
    return [f"1 image could not be read and is not shown: {problem}" for problem in problems]


def draw_picture(picture: Picture, categories: Sequence[Category], threshold: float | None) -> DrawnPicture:
    """Lay out the ground truth of an image and its detections of at least the score `threshold`."""
    scores = picture.detections.scores
    kept = np.argsort(-scores, kind="stable")[: WITHOUT_THRESHOLD if threshold is None else MAX_DETECTIONS]
    kept = kept if threshold is None else kept[scores[kept] >= threshold]
    boxes = [*_truth_boxes(picture, kept, categories), *_detected_boxes(picture, kept, categories)]
    height, width = picture.size
    name, caption = shorten(picture.name), _caption(boxes)
    return DrawnPicture(name, caption, width, height, data_uri(picture.image), boxes, picture.group)


def _truth_boxes(picture: Picture, kept: NDArray[np.intp], categories: Sequence[Category]) -> Iterator[DrawnBox]:
    found = set(picture.matched[kept].tolist())
    target = picture.target
    for row, (box, label, crowd) in enumerate(zip(target.boxes, target.labels, target.crowd, strict=True)):
        name = shorten(categories[label].shown_name, 24)
        if crowd:
            yield DrawnBox("ignored", xywh(box), "", f"crowd: {name}")
        elif row in found:
            yield DrawnBox("truth", xywh(box), "", f"ground truth: {name}")
        else:
            yield DrawnBox("missed", xywh(box), name, f"missed: {name}")


def _detected_boxes(picture: Picture, kept: NDArray[np.intp], categories: Sequence[Category]) -> Iterator[DrawnBox]:
    for row in reversed(kept.tolist()):  # the highest score on top
        matched, score = picture.matched[row], float(picture.detections.scores[row])
        kind: BoxKind = "right" if matched >= 0 else "wrong" if matched == -1 else "ignored"
        name = shorten(categories[picture.detections.labels[row]].shown_name, 24)
        label = f"{name} {score:.2f}" if len(categories) > 1 else f"{score:.2f}"
        title = f"{TITLES[kind]}: {name}, score {score:.3f}"
        yield DrawnBox(kind, xywh(picture.detections.boxes[row]), label, title)


def _caption(boxes: list[DrawnBox]) -> str:
    kinds = [box.kind for box in boxes]
    right, missed, wrong = kinds.count("right"), kinds.count("missed"), kinds.count("wrong")
    return f"{right} of {counted(right + missed, 'box')} found, {counted(wrong, 'false positive', 'false positives')}"


def xywh(box: NDArray[np.floating]) -> tuple[float, float, float, float]:
    """Return x, y, width and height of a box (4,) xyxy, rounded to a tenth of a pixel."""
    x1, y1, x2, y2 = (round(float(value), 1) for value in box)
    return x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return an RGB image (H, W, 3) as a JPEG data URI with at most LONGEST_SIDE pixels a side."""
    picture = Image.fromarray(image)
    factor = max(picture.size) // (2 * LONGEST_SIDE)
    if factor > 1:
        picture = picture.reduce(factor)  # a fast box filter; `thumbnail` then filters well
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
