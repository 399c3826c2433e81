"""Data sets in the format of any tool that `read` knows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from anchorloc.data.class_names import drop_root
from anchorloc.data.coco import CocoSource
from anchorloc.data.coco_annotations import CocoAnnotations, parse_annotations
from anchorloc.data.coco_reader import ImageColumns, read_categories, read_images, take_objects
from anchorloc.data.coco_results import with_detections
from anchorloc.data.formats import LabeledData, Labels, is_coco_file, read
from anchorloc.data.formats.coco_folder import read_coco_file, read_coco_images
from anchorloc.data.formats.holdout import hold_out
from anchorloc.data.image_settings import DEFAULT_SETTINGS, ImageSettings
from anchorloc.data.own_data import DataProtocol
from anchorloc.data.source import Source, Split
from anchorloc.data.tiles import TiledSource, Tiles
from anchorloc.errors import InputError
from anchorloc.structures import Category

Part = Literal["train", "val", "test", "all"]
Format = Literal["auto", "coco", "yolo", "voc", "labelme", "cvat", "csv", "via", "vott", "azure"]


@dataclass(frozen=True)
class LabelData(ImageSettings):
    """A file or folder of labels in the format of any labeling tool that `read` knows, with its images."""

    path: Path  # file or folder of the labels; data=PATH is short for it
    format: Format = "auto"  # auto looks which it is
    images: Path | None = None  # folder of the images, if they do not lie beside the labels
    train: Part = "train"  # part to train on; "all" is the only part of data without splits
    val: Part = "val"  # part to validate on
    test: Part = "test"  # part that is scored once at the end of a run, if there is one
    val_fraction: float = 0.0  # images to validate on where the data has no val split; 0 refuses such data
    tiles: Tiles | None = None  # {} trains and detects on tiles of large images, which are scored whole
    drop_root: bool = False  # leave out the root category that Roboflow exports, which has no box

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.val_fraction <= 0.9:
            raise ValueError(f"val_fraction must be from 0 to 0.9, got {self.val_fraction}")

    def open(self, split: Split) -> LabelSource | TiledSource:
        """Read a split; image files are opened later, when their pixels are needed.

        Raises:
            InputError: a file is damaged or breaks the data policy, or there is no such split or no box to train on.
        """
        return self._open(split)[0]

    def open_all(self) -> list[LabelSource | TiledSource]:
        """Return train and val as `open` does, and test if there is one, from one reading of the labels."""
        return self._open("train", "val", optional="test")

    def _open(self, *splits: Split, optional: Split | None = None) -> list[LabelSource | TiledSource]:
        data = read(self.path, self.format, self.images)
        for labels in data.splits.values() if self.drop_root else ():
            drop_root(labels.document)
        made: tuple[str, ...] = ()
        if self.val_fraction and self.val not in data.splits:
            data, made = self._with_val(data)
        description, sources = f"{data.describe()}; {data.place()}", dict[str, LabelSource]()
        opened: list[LabelSource | TiledSource] = []
        if optional is not None and getattr(self, optional) in data.splits:
            splits = (*splits, optional)
        for split in splits:
            part: Part = getattr(self, split)
            if part not in data.splits:
                found = ", ".join(name for name in data.splits if name != "all") or "one part without a name"
                helps = split != "test" and self.val not in data.splits and not self.val_fraction
                advice = ", or set data.val_fraction=0.2" if helps else ""
                raise InputError(
                    f"{self.path} has no {part} split, but {found}; make one by "
                    f"`anchorloc doctor {self.path} --split DIR`{advice}"
                )
            if part not in sources:
                set_aside = bool(made) and split == "val"
                notes = (*data.notes, *(made if set_aside else ()))
                opened_part = label_source(data.splits[part], notes, self.image_settings, description)
                sources[part] = replace(opened_part, set_aside=set_aside)
            source = sources[part]
            if split == "train" and not source.has_trainable_box():
                raise InputError(f"{self.path} has no box to train on in {part}; annotate some objects")
            opened.append(self.tiles(source) if self.tiles and split == "train" else source)
        return opened

    def _with_val(self, data: LabeledData) -> tuple[LabeledData, tuple[str, ...]]:
        """Return data whose images to train on are split, and a note on it; they are the part `train`, or the only one.

        Raises:
            InputError: there are fewer than two different images.
        """
        whole = self.train if self.train in data.splits else next(iter(data.splits))
        if len(data.splits) > 1 and whole != self.train:
            return data, ()  # `_open` names the part that is missing
        train, val = hold_out(data.splits[whole], self.val_fraction)
        number, total = (len(labels.document["images"]) for labels in (val, data.splits[whole]))
        note = (
            f"there is no {self.val} split: {number:,} of {total:,} images are set aside for it (data.val_fraction); "
            "images of one patient, place or video belong in one split: `anchorloc doctor --split DIR --group-by`"
        )
        others = {name: labels for name, labels in data.splits.items() if name != whole}
        splits = {self.train: train, self.val: val, **others}
        return replace(data, splits=splits), (note,)


@dataclass(frozen=True, eq=False)
class LabelSource(CocoSource):
    """One split of a `LabelData`: a `Source`."""

    content: str  # SHA-256 of the labels
    description: str  # the format, the numbers of classes and images of the data set, and where the images are
    set_aside: bool = False  # from the images to train on, since the data have no val split

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the labels as a COCO document."""
        return self.content


def open_all(data: DataProtocol) -> tuple[Source, Source, Source | None]:
    """Return train, val, and test if there is one; labels that hold them are read once.

    Raises:
        InputError: as `open` of the data.
    """
    if isinstance(data, LabelData):
        train, val, *test = data.open_all()
        return train, val, test[0] if test else None
    has_test = getattr(data, "has_test", False)
    return data.open("train"), data.open("val"), data.open("test") if has_test else None


def label_source(
    labels: Labels, notes: Sequence[str] = (), reading: ImageSettings = DEFAULT_SETTINGS, description: str = ""
) -> LabelSource:
    """Check the labels of a split; `notes` come before its warnings.

    Raises:
        InputError: they break the data policy.
    """
    content = hashlib.sha256(json.dumps(labels.document, sort_keys=True, default=str).encode("utf-8", "replace"))
    columns = vars(_annotations(labels, notes))
    return LabelSource(
        **columns, folder=labels.folder, reading=reading, content=content.hexdigest(), description=description
    )


def _annotations(labels: Labels, notes: Sequence[str]) -> CocoAnnotations:
    annotations = parse_annotations(labels.document, labels.path)
    return replace(annotations, warnings=(*notes, *annotations.warnings))


def read_truth(path: Path) -> CocoAnnotations:
    """Read the annotations to score against: a file, or the val split of a folder, or its only split.

    Raises:
        InputError: there is none, or it breaks the data policy.
    """
    if is_coco_file(path):
        return _annotations(*read_coco_file(path))
    return _annotations(*_scored_split(path, read(path)))


@dataclass(frozen=True, eq=False)
class ImageList:
    """The images and classes of labels, without boxes."""

    path: Path
    images: ImageColumns  # N images
    categories: tuple[Category, ...]  # empty if the file lists none
    notes: tuple[str, ...]  # one sentence on each thing that was not read as written


def read_image_list(path: Path) -> ImageList:
    """Read the images and classes of the labels that `read_truth` finds; COCO's annotations are not read or needed.

    Raises:
        InputError: there are no images, or an image or a class breaks the data policy.
    """
    labels, notes = _scored_split(path, read_coco_images(path) if is_coco_file(path) else read(path))
    images = read_images(take_objects(labels.document, "images", labels.path), labels.path)
    listed = take_objects(labels.document, "categories", labels.path)
    categories = read_categories(listed, labels.path) if listed else ()
    return ImageList(labels.path, images, categories, tuple(notes))


def _scored_split(path: Path, data: LabeledData) -> tuple[Labels, Sequence[str]]:
    """Return the val split of `data` or its only split, and what was not read as written."""
    split: str | None = next((name for name in ("val", "all") if name in data.splits), None)
    if split is None and len(data.splits) > 1:
        raise InputError(f"{path} has {' and '.join(data.splits)}, but no val split; give the file of one of them")
    return data.splits[split or next(iter(data.splits))], data.notes


def read_detections(
    path: Path, results: Path, kind: str = "auto", images: Path | None = None, lowest: float | None = None
) -> LabeledData:
    """Read the images and classes of labels, with the detections of a COCO result file in place of the boxes.

    Args:
        path: the labels in any format; a COCO file may lack annotations, as images.json of `anchorloc predict` does.
        results: the detections, which the labels keep with their scores.
        kind: as for `read`.
        images: as for `read`.
        lowest: leave out detections of a lower score.

    Raises:
        InputError: a file is damaged, or a detection has an image or a class that the labels lack.
    """
    data = read_coco_images(path, images) if is_coco_file(path, kind) else read(path, kind, images)
    if len(data.splits) > 1:
        raise InputError(f"{path} has {' and '.join(data.splits)}; give the file of the one that was predicted on")
    splits = {split: with_detections(labels, results, lowest) for split, labels in data.splits.items()}
    return replace(data, splits=splits)
