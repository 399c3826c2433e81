"""Train and val, or k folds, from one document: whole groups, classes spread as evenly as these allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.document import Document, write_json_rows
from anchorloc.errors import InputError
from anchorloc.structures import IntArray

NAMES = ("train", "val", "test")


def count_classes(table: Table) -> NDArray[np.float64]:
    """Return the boxes of each class in each image, (N, C), and in a last column 1 for the image itself."""
    counts = np.zeros((len(table.image_rows), len(table.categories) + 1))
    np.add.at(counts, (table.images, table.labels), 1)
    counts[:, -1] = 1
    return counts


def divide(counts: NDArray[np.float64], groups: Sequence[str], fractions: Sequence[float], seed: int) -> IntArray:
    """Give each of N images a part, (N,), so that groups stay whole and each part gets its fraction of every column.

    Groups are taken in an order that begins with those that hold the greatest share of some class; each goes to the
    part where the squared distance to the wanted shares, relative to the fraction, grows least. Which of equals comes
    first is drawn by `seed`.

    Args:
        counts: what is to be spread, (N, K), as of `count_classes`.
        groups: the group of each image.
        fractions: of each part, with the sum 1.
        seed: other seeds give other parts.

    Raises:
        InputError: there are fewer groups than parts.
    """
    names, group_of = np.unique(np.array(groups, object), return_inverse=True)
    if len(names) < len(fractions):
        raise InputError(
            f"{len(names)} groups of images cannot be split into {len(fractions)} parts; "
            "group by a finer key, or make fewer parts"
        )
    totals = np.zeros((len(names), counts.shape[1]))
    np.add.at(totals, group_of, counts)
    shares = totals / np.maximum(totals.sum(axis=0), 1)  # (G, K) of all there is
    order = np.array(Random(seed).sample(range(len(names)), len(names)))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    wanted = np.asarray(fractions, np.float64)[:, None]  # (P, 1)
    filled = np.zeros((len(fractions), counts.shape[1]))
    part_of_group = np.empty(len(names), np.int64)
    for left, group in zip(range(len(order), 0, -1), order.tolist(), strict=True):
        share = shares[group]
        growth = (share * (2 * (filled - wanted) + share) / wanted).sum(axis=1)  # (P,)
        empty = filled[:, -1] == 0
        if empty.sum() >= left:  # each part gets a group at least
            growth[~empty] = np.inf
        part = int(growth.argmin())
        part_of_group[group] = part
        filled[part] += share
    return part_of_group[group_of]


def named_parts(document: Document, places: IntArray, folds: bool) -> dict[str, Document]:
    """Return train, val (and test), or with `folds` fold_0_train, fold_0_val, fold_1_train and so on."""
    numbers = range(int(places.max()) + 1)
    if not folds:
        return {NAMES[number]: part(document, np.flatnonzero(places == number).tolist()) for number in numbers}
    parts = {}
    for number in numbers:
        parts[f"fold_{number}_train"] = part(document, np.flatnonzero(places != number).tolist())
        parts[f"fold_{number}_val"] = part(document, np.flatnonzero(places == number).tolist())
    return parts


def part(document: Document, rows: Sequence[int]) -> Document:
    """Return the document with some of its images and their annotations; all else stays as it is."""
    images = [document.items("images")[row] for row in rows]
    ids = {item["id"] for item in images}
    annotations = [item for item in document.items("annotations") if item["image_id"] in ids]
    return Document(document.path, {**document.content, "images": images, "annotations": annotations}, document.folder)


def write_parts(parts: dict[str, Document], folder: Path) -> None:
    """Write NAME.json of each part into a new or empty folder.

    Raises:
        InputError: the folder holds something, or cannot be written.
    """
    check_new_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give another --split") from None
    for name, document in parts.items():  # folds share their items, so that this takes little memory
        write_json_rows(folder / f"{name}.json", document.content)


def check_new_folder(folder: Path) -> None:
    """Refuse a folder that something is in.

    Raises:
        InputError: it holds something, or is no folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder; give another --split")
