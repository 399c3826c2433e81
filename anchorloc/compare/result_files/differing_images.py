"""The images on which two names differ most, with their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anchorloc.compare.result_files.scored_file import ScoredFile
from anchorloc.data import Source
from anchorloc.errors import InputError
from anchorloc.metrics import IGNORED
from anchorloc.report import Picture
from anchorloc.report.picture import DrawnPicture, draw_picture
from anchorloc.structures import Category, Float64Array, IntArray

SHOWN = 12  # images listed for a pair
PICTURED = 4  # images of a pair with pictures
MAX_PAIRS = 3  # pairs with pictures


@dataclass(frozen=True)
class ImageDifference:
    """The errors of two names in one image: missed boxes and false positives at IoU 0.5."""

    index: int  # in the annotations
    ours: float  # mean over the files of the name, each at its score threshold of best F1
    theirs: float

    @property
    def words(self) -> str:
        """Say how many errors the name has more or fewer than the other one."""
        count = abs(self.ours - self.theirs)
        return f"{count:g} {'fewer' if self.ours < self.theirs else 'more'} {'error' if count == 1 else 'errors'}"


def count_errors(files: Sequence[ScoredFile]) -> Float64Array:
    """Return the errors in each image (N,), as mean over the files."""
    return np.asarray(np.mean([_errors(file) for file in files], axis=0))


def most_different(ours: Float64Array, theirs: Float64Array, count: int = SHOWN) -> list[ImageDifference]:
    """Return the images of the greatest differences in errors (N,), the greatest first; equal images are left out."""
    order = np.argsort(-np.abs(ours - theirs), kind="stable")[:count].tolist()
    return [ImageDifference(i, float(ours[i]), float(theirs[i])) for i in order if ours[i] != theirs[i]]


def draw_differences(
    pair: tuple[str, str],
    images: Sequence[ImageDifference],
    files: Mapping[str, Sequence[ScoredFile]],
    source: Source,
    categories: Sequence[Category],
) -> tuple[list[DrawnPicture], list[str]]:
    """Draw the first images twice: with the detections of the first file of `against`, and of the name.

    With the pictures comes an error message for each image that cannot be read.
    """
    drawn: list[DrawnPicture] = []
    problems: list[str] = []
    for image in images[:PICTURED]:
        try:
            pixels = source.image(image.index)
        except InputError as error:
            problems.append(str(error))
            continue
        name, against = pair
        for side in (against, name):
            file = files[side][0]
            picture = Picture(
                name=f"{side}: {source.name(image.index)}",
                image=pixels,
                size=source.size(image.index),
                target=source.target(image.index),
                detections=file.detections[image.index],
                matched=_matched(file, image.index),
                group=f"{source.name(image.index)}: {name} has {image.words} than {against}",
            )
            drawn.append(draw_picture(picture, categories, file.threshold))
    return drawn, problems


def _errors(file: ScoredFile) -> IntArray:
    """Count the boxes that no detection of at least the threshold finds, and the false positives (N,)."""
    kept = (file.scores >= file.threshold) & file.counted
    images, count = file.match_result.images, file.match_result.image_count
    boxes = np.bincount(file.match_result.truth_images[file.match_result.countable_boxes[0]], minlength=count)
    found = np.bincount(images[kept & file.hits], minlength=count)
    wrong = np.bincount(images[kept & ~file.hits], minlength=count)
    return np.asarray(boxes - found + wrong)


def _matched(file: ScoredFile, image: int) -> IntArray:
    """Return for each detection of an image the row of its box as `Evaluation.matched` does: -1 none, -2 ignored."""
    found = file.match_result
    first_row = int(np.searchsorted(found.truth_images, image))
    first = sum(len(one) for one in file.detections[:image])
    matched = np.full(len(file.detections[image]), -2)
    mine = np.flatnonzero(found.images == image)
    boxes = found.matches[0, mine]
    states = np.where(boxes >= 0, boxes - first_row, -1)
    matched[found.rows[mine] - first] = np.where(found.states[0, 0, mine] == IGNORED, -2, states)
    return matched
