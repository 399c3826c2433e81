"""Compare how often each class occurs in train and in another split."""

from __future__ import annotations

from math import exp, lgamma
from typing import Final

import numpy as np

from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.rules import Rule
from anchorloc.text import percent, short_repr

MIN_FACTOR: Final = 2  # between the fractions of images with a class
CHANCE: Final = 0.001  # a split that chance makes this rarely is reported

_Annotated = tuple[CocoDocument, AnnotationTable]


def check_class_shares(train: _Annotated, val: _Annotated, findings: Findings) -> None:
    """Report classes in over twice or under half as many of the images of val as of train, by no chance of a split."""
    counts = [_image_counts(table) for _, table in (train, val)]
    totals = [len(table.image_rows) for _, table in (train, val)]
    reporter = Reporter(findings, val[0], "categories")
    for row, category in zip(val[1].category_rows, val[1].categories, strict=True):
        in_train, in_val = (count.get(category.name, 0) for count in counts)
        if not in_train or not in_val:
            continue  # other rules
        fractions = in_train / totals[0], in_val / totals[1]
        if max(fractions) < MIN_FACTOR * min(fractions):
            continue
        if chance_of_split(in_val, sum(totals), in_train + in_val, totals[1]) * len(counts[1]) < CHANCE:
            value = f"{short_repr(category.name)}: in {percent(fractions[0])} of the images of train, "
            reporter.add(Rule.CLASS_SHARE, row, value + f"{percent(fractions[1])} of {val[0].split or 'val'}")


def chance_of_split(count: int, images: int, with_class: int, drawn: int) -> float:
    """Return how probably `drawn` of `images` hold a count of those with the class this far from the expected one.

    The tail of the hypergeometric distribution on the side of `count`, times two, as in Fisher's exact test.
    """
    low, high = max(0, drawn + with_class - images), min(drawn, with_class)
    side = range(low, count + 1) if count * images < with_class * drawn else range(count, high + 1)
    whole = _log_choose(images, drawn)
    tail = (_log_choose(with_class, k) + _log_choose(images - with_class, drawn - k) - whole for k in side)
    return min(1.0, 2 * sum(exp(value) for value in tail))


def _log_choose(of: int, number: int) -> float:
    return lgamma(of + 1) - lgamma(number + 1) - lgamma(of - number + 1)


def _image_counts(table: AnnotationTable) -> dict[str, int]:
    """Return the number of images with a box of each class, by its name."""
    known = table.labels >= 0
    pairs = np.unique(np.column_stack([table.labels[known], table.images[known]]), axis=0)
    counts = np.bincount(pairs[:, 0], minlength=len(table.categories)).tolist()
    return dict(zip(table.class_names, counts, strict=True))
