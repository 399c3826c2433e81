"""Set images of labels without a val split aside for validation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from anchorloc.data.formats.labels import Labels
from anchorloc.data.stratified_split import stratified_group_split
from anchorloc.errors import InputError
from anchorloc.files import digest
from anchorloc.structures import IntArray
from anchorloc.text import counted


def hold_out(labels: Labels, fraction: float) -> tuple[Labels, Labels]:
    """Return the labels to train on, and about `fraction` of the images with theirs, chosen alike every time.

    As in `anchorloc doctor --split`, classes are spread evenly. Images whose files are equal stay together.

    Raises:
        InputError: there are fewer than two different images.
    """
    images = [item for item in labels.document["images"] if isinstance(item, dict)]
    annotations = [item for item in labels.document["annotations"] if isinstance(item, dict)]
    groups = equal_file_groups(images, labels.folder)
    if len(set(groups)) < 2:
        raise InputError(
            f"{labels.path} has {counted(len(images), 'image')} and no two that differ, but some must be set aside for "
            "validation; add images"
        )
    subsets = stratified_group_split(*_boxes(images, annotations), groups, (1 - fraction, fraction), 0)
    parts = []
    for number in (0, 1):
        some = [image for image, subset in zip(images, subsets.tolist(), strict=True) if subset == number]
        ids = {repr(image.get("id")) for image in some}
        boxes = [item for item in annotations if repr(item.get("image_id")) in ids]
        parts.append(replace(labels, document={**labels.document, "images": some, "annotations": boxes}))
    return parts[0], parts[1]


def _boxes(images: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]]) -> tuple[IntArray, IntArray]:
    """Return the image and the class of each box of a listed image, (M,) each."""
    rows = {repr(image.get("id")): row for row, image in enumerate(images)}
    columns: dict[str, int] = {}
    pairs = []
    for item in annotations:
        row = rows.get(repr(item.get("image_id")))
        if row is not None:
            pairs.append((row, columns.setdefault(repr(item.get("category_id")), len(columns))))
    image_of, label_of = np.array(pairs, np.int64).reshape(-1, 2).T
    return image_of, label_of


def equal_file_groups(images: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """Return the group of each image: its own, or one for all files of the same bytes."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, image in enumerate(images):
        path = folder / str(image.get("file_name"))
        try:
            by_length[path.stat().st_size].append(row)
        except (OSError, ValueError):  # reported when the images are checked
            continue
    groups = [str(row) for row in range(len(images))]
    for rows in by_length.values():
        for row in rows if len(rows) > 1 else ():
            try:
                groups[row] = digest(folder / str(images[row].get("file_name")))
            except InputError:
                continue
    return groups
