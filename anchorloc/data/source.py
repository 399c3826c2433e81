"""What every data set gives: images, and boxes as annotated or as trained on."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from anchorloc.errors import InputError
from anchorloc.structures import Category, Target
from anchorloc.text import counted, first_few, short_repr

Split = Literal["train", "val"]


class Annotations(Protocol):
    """The boxes of one split of a data set, without pixels. Indices run from 0 to len - 1."""

    @property
    def categories(self) -> tuple[Category, ...]:
        """The classes; a label is a place in this tuple."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd and how it is treated, counted, a sentence each."""

    def __len__(self) -> int: ...

    def target(self, index: int) -> Target:
        """Everything annotated, as it is (float64 boxes): for evaluation."""

    def training_target(self, index: int) -> Target:
        """The boxes to learn: clipped to the image, without those of zero size or wholly outside it."""

    def image_id(self, index: int) -> int | str:
        """The id that results carry."""

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in pixels."""

    def name(self, index: int) -> str:
        """The file name, for messages."""

    def annotation_id(self, row: int) -> int | str:
        """The id of an annotation, by its row as in `Target.rows`, for messages."""


@runtime_checkable
class Source(Annotations, Protocol):
    """One split of a data set: annotations and pixels."""

    @property
    def fingerprint(self) -> str:
        """Another one for other annotations."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB.

        Raises:
            InputError: the file cannot be read.
        """

    def check_images(self) -> tuple[str, ...]:
        """Look at every image file without decoding it, before a long run; return warnings.

        Raises:
            InputError: one cannot be used.
        """


def check_same_categories(train: Annotations, val: Annotations) -> None:
    """Refuse two splits whose labels mean different classes.

    Raises:
        InputError: their categories differ.
    """
    if train.categories == val.categories:
        return
    missing = [category for category in train.categories if category not in val.categories]
    extra = [category for category in val.categories if category not in train.categories]
    raise InputError(
        f"the categories of train and val differ: train has {_names(missing)} that val lacks, and val has "
        f"{_names(extra)} that train lacks; give both files the same list"
    )


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


def _names(categories: list[Category]) -> str:
    return first_few([f"{short_repr(category.id)} ({short_repr(category.name)})" for category in categories]) or "none"
