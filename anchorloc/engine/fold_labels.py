"""Labels in K folds: images that are copies or look alike, and images of one group, stay in one fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from anchorloc.config import Config
from anchorloc.data import CocoData, LabelData, Labels, LabelSource, read
from anchorloc.data.formats.coco_folder import read_coco_file
from anchorloc.data.formats.holdout import equal_file_groups
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.label_data import label_source
from anchorloc.data.stratified_split import stratified_group_split
from anchorloc.doctor import CocoDocument
from anchorloc.doctor.duplicate_images import difference_hash, similar_pairs
from anchorloc.doctor.split import image_groups
from anchorloc.errors import InputError
from anchorloc.files import make_folder, write_json
from anchorloc.structures import IntArray
from anchorloc.text import counted

LABELS, FOLDS = "labels.json", "labels"  # all labels, and the folder of the labels of each fold


def read_train_labels(config: Config) -> tuple[Labels, LabelSource]:
    """Return the labels of the train split of a config, or all labels where there are no splits, unchecked and checked.

    Raises:
        InputError: the data are no files of labels, or break the data policy.
    """
    data = config.data
    if isinstance(data, CocoData):
        labels, _ = read_coco_file(Path(data.root) / data.train, Path(data.root) / data.images)
    elif isinstance(data, LabelData):
        found = read(data.path, data.format, data.images)
        part = data.train if data.train in found.splits else next(iter(found.splits))
        if part != data.train and len(found.splits) > 1:
            raise InputError(f"{data.path} has {' and '.join(found.splits)}, but no {data.train} split; set data.train")
        labels = found.splits[part]
    else:
        raise InputError(
            "--folds needs files of labels: give DATA, or a config with data of kind LabelData or CocoData"
        )
    source = label_source(replace(labels, document=dict(labels.document)), reading=data.image_settings)
    source.check_images()
    return labels, source


def deal_folds(
    labels: Labels, source: LabelSource, folds: int, key: str | None, pattern: str | None, seed: int
) -> IntArray:
    """Return the fold of each image (N,), 0..folds-1; classes are spread evenly.

    Images stay together if they are copies, look alike, or belong together by `key` or `pattern`, as in `image_groups`.

    Raises:
        InputError: there are fewer groups of images than folds, or the groups cannot be formed.
    """
    document = CocoDocument(labels.path, labels.document)
    groups = joined_groups(
        [
            image_groups(document, key, pattern),
            equal_file_groups(labels.document["images"], labels.folder),
        ],
        _pairs_that_look_alike(source),
    )
    different = len(np.unique(groups))
    if different < folds:
        noun = "group of different images" if key or pattern else "different image"
        found = counted(different, noun, None if key or pattern else "different images")
        raise InputError(f"{labels.path} has {found}, too few for {folds} folds; give at most {different:,}")
    annotated = source.annotated
    images = np.repeat(np.arange(len(source)), np.diff(source.starts))
    return stratified_group_split(images, annotated.labels, list(map(str, groups)), [1 / folds] * folds, seed)


def joined_groups(groupings: Sequence[Sequence[str]], pairs: Iterable[tuple[int, int]]) -> IntArray:
    """Return the number of the group of each image (N,), where images are together by any grouping or pair."""
    parents = list(range(len(groupings[0])))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for grouping in groupings:
        first: dict[str, int] = {}
        for place, name in enumerate(grouping):
            parents[root(place)] = root(first.setdefault(name, place))
    for one, two in pairs:
        parents[root(one)] = root(two)
    return np.array([root(place) for place in range(len(parents))], np.int64)


def _pairs_that_look_alike(source: LabelSource) -> list[tuple[int, int]]:
    hashes = [difference_hash(source.image(index)) for index in range(len(source))]
    first, second, _ = similar_pairs(hashes, hashes)
    chosen = first < second
    return list(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))


def write_folds(labels: Labels, fold_of: IntArray, out: Path) -> None:
    """Write labels.json, with the `fold` of each image, and in `labels/` the train and val file of each fold.

    Raises:
        InputError: the file system refuses.
    """
    make_folder(out / FOLDS)
    images = [{**item, "fold": fold} for item, fold in zip(labels.document["images"], fold_of.tolist(), strict=True)]
    for fold in range(int(fold_of.max()) + 1):
        for name, chosen in (("train", fold_of != fold), ("val", fold_of == fold)):
            write_json(out / FOLDS / f"fold_{fold}_{name}.json", _only(labels.document, images, chosen.tolist()))
    write_json(out / LABELS, {**labels.document, "images": images})


def _only(document: dict[str, Any], images: Sequence[dict[str, Any]], chosen: Sequence[bool]) -> dict[str, Any]:
    kept = [item for item, keep in zip(images, chosen, strict=True) if keep]
    ids = {item["id"] for item in kept}
    annotations = [item for item in document["annotations"] if item["image_id"] in ids]
    return {**document, "images": kept, "annotations": annotations}


def fold_data(config: Config, out: Path, fold: int, images: Path) -> CocoData:
    """Return the data of a fold: the other folds train, and the fold itself is val."""
    data = config.data
    assert isinstance(data, CocoData | LabelData)
    shared = {field.name: getattr(data, field.name) for field in fields(ImageSettings)}
    return CocoData(
        root=out / FOLDS,
        train=f"fold_{fold}_train.json",
        val=f"fold_{fold}_val.json",
        images=str(images.resolve()),
        tiles=data.tiles,
        drop_root=data.drop_root,
        **shared,
    )


def describe_folds(fold_of: IntArray) -> str:
    """Return the number of images of each fold in words."""
    counts = np.bincount(fold_of)
    return f"{counted(len(counts), 'fold')} of {counts.min():,} to {counts.max():,} images"
