"""The interface of a data set: images, and boxes as annotated or as trained on.

A class that inherits from `Source` needs only what is abstract; what follows from that has an implementation.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from anchorloc.boxes import clip_boxes_to_image
from anchorloc.errors import InputError
from anchorloc.structures import Category, Pixels, Size, Target
from anchorloc.text import counted

Split = Literal["train", "val", "test"]  # a part of a data set


class Annotations(Protocol):
    """The annotations of one split of a data set, without pixels. Images have indices from 0."""

    @property
    @abstractmethod
    def categories(self) -> tuple[Category, ...]:
        """The classes; a label is an index in this tuple."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence on each kind of irregularity: how many there are, and how they are treated."""
        return ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def target(self, index: int) -> Target:
        """All annotations, unchanged and with float64 boxes, for evaluation."""

    def training_target(self, index: int) -> Target:
        """The boxes to train on: clipped to the image, without boxes of zero size or outside the image."""
        target = self.target(index)
        boxes = clip_boxes_to_image(target.boxes, self.size(index))
        clipped = Target(boxes, target.labels, target.crowd, target.area, target.rows)
        return clipped.take((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))

    def image_id(self, index: int) -> int | str:
        """The id of the image in result files."""
        return index + 1

    @abstractmethod
    def size(self, index: int) -> Size: ...

    def name(self, index: int) -> str:
        """The file name of the image."""
        return str(self.image_id(index))

    def annotation_id(self, row: int) -> int | str:
        """The id of an annotation by its row in `Target.rows`."""
        return row


@runtime_checkable
class Source(Annotations, Protocol):
    """One split of a data set, with annotations and pixels."""

    @property
    def fingerprint(self) -> str:
        """A string that differs if the annotations differ."""
        content = hashlib.sha256(repr([category.name for category in self.categories]).encode())
        for index in range(len(self)):
            target = self.target(index)
            content.update(repr((self.image_id(index), target.labels.tolist(), target.crowd.tolist())).encode())
            content.update(target.boxes.astype(np.float64).tobytes())
        return content.hexdigest()

    @abstractmethod
    def image(self, index: int) -> Pixels:
        """Read the pixels of an image.

        Raises:
            InputError: the file cannot be read.
        """

    def check_images(self) -> tuple[str, ...]:
        """Check all image files without decoding them, before a long run; return warnings.

        Raises:
            InputError: a file cannot be used.
        """
        return ()


def refuse_other_counts(one_object: bool, source: Annotations, split: str) -> None:
    """Require, if images hold `one_object` each, exactly one usable box per image; crowd boxes do not count.

    Raises:
        InputError: naming the first image with more or fewer boxes, and how many there are.
    """
    if not one_object:
        return
    counts = [int((~source.training_target(index).crowd).sum()) for index in range(len(source))]
    wrong = [index for index, count in enumerate(counts) if count != 1]
    if wrong:
        first = wrong[0]
        more = f" (and {counted(len(wrong) - 1, 'more such image', 'more such images')})" if wrong[1:] else ""
        raise InputError(
            f"task=localization needs exactly one usable box per image, but {split} image {source.image_id(first)}, "
            f"{source.name(first)}, has {counts[first]}{more}; remove such images, or set task=detection"
        )
