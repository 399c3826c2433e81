"""The boxes of a COCO annotation file, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from anchorloc.data.class_names import alike_names, doubled_names, drop_root, root_row
from anchorloc.data.coco_reader import (
    BoxColumns,
    Ids,
    ImageColumns,
    id_at,
    read_boxes,
    read_categories,
    read_images,
    take_objects,
)
from anchorloc.data.formats.coco_folder import read_document
from anchorloc.data.formats.labels import Notes
from anchorloc.data.formats.listed_images import match_files
from anchorloc.data.formats.reading_progress import parsing
from anchorloc.errors import InputError
from anchorloc.files import read_json
from anchorloc.structures import BoolArray, Category, FloatArray, IntArray, Size, Target
from anchorloc.text import counted, first_few, short_repr

UNUSED_KEYS = ("segmentation", "keypoints")  # most of the bytes of COCO's own files


@dataclass(frozen=True, eq=False)
class CocoAnnotations:
    """The boxes of a COCO annotation file, without pixels: `Annotations`. Images are in file order."""

    path: Path
    categories: tuple[Category, ...]
    images: ImageColumns
    annotated: Target  # all M boxes, sorted by image; `rows` are rows of the file
    starts: IntArray  # (N + 1,) start of each image's boxes in `annotated`
    annotation_ids: Ids  # (M,) in file order
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images.sizes)

    def target(self, index: int) -> Target:
        index = range(len(self))[index]
        return self.annotated.take(np.arange(self.starts[index], self.starts[index + 1]))

    def training_target(self, index: int) -> Target:
        target = self.target(index)
        boxes = clip_boxes(target.boxes, self.images.sizes[index])
        clipped = Target(boxes, target.labels, target.crowd, target.area, target.rows)
        return clipped.take(has_size(boxes))

    def image_id(self, index: int) -> int | str:
        return id_at(self.images.ids, index)

    def size(self, index: int) -> Size:
        """(height, width) as declared in the file."""
        height, width = self.images.sizes[index]
        return int(height), int(width)

    def name(self, index: int) -> str:
        return self.images.names[index]

    def annotation_id(self, row: int) -> int | str:
        """The id of the annotation in a row of the file, or the row if the annotations have no ids."""
        return id_at(self.annotation_ids, row)

    def relabeled(self, categories: tuple[Category, ...], labels: IntArray, said: str) -> Self:
        """Return these annotations with other categories; `labels` (C,) has the new label of each class."""
        annotated = replace(self.annotated, labels=labels[self.annotated.labels])
        return replace(self, categories=categories, annotated=annotated, warnings=(*self.warnings, said))

    def has_trainable_box(self) -> bool:
        """Return whether some box has an area inside its image; crowd boxes do not count."""
        sizes = np.repeat(self.images.sizes, np.diff(self.starts), axis=0)  # (M, 2)
        return bool((has_size(clip_boxes(self.annotated.boxes, sizes)) & ~self.annotated.crowd).any())


def read_annotations(path: Path, images: Path | None = None, *, without_root: bool = False) -> CocoAnnotations:
    """Read and check a COCO annotation file.

    Args:
        path: the file.
        images: folder of the images; its files give names that are written otherwise, and missing sizes, and what
            tools write otherwise (names that are numbers, ids as texts, polygons without a box) is read as `read`
            does. Without it the file must be as COCO defines it, and no image file is opened.
        without_root: leave out the root category that Roboflow exports.

    Raises:
        InputError: the file breaks the data policy; the message names file, item and value.
    """
    notes = Notes()
    if images is None:
        with parsing(path):
            document = read_json(path, skip=UNUSED_KEYS)
    else:
        document = read_document(path, notes)
        listed = document.get("images") if isinstance(document, dict) else None
        match_files([item for item in listed or () if type(item) is dict], images, notes)
    if without_root:
        drop_root(document)
    annotations = parse_annotations(document, path)
    return replace(annotations, warnings=(*notes.sentences(), *annotations.warnings))


def parse_annotations(document: Any, path: Path) -> CocoAnnotations:
    """Check a COCO document, whose lists are taken out of it; `path` is named in errors.

    Raises:
        InputError: it breaks the data policy.
    """
    image_items = take_objects(document, "images", path)
    category_items = take_objects(document, "categories", path)
    box_items = take_objects(document, "annotations", path)
    categories, images = read_categories(category_items, path), read_images(image_items, path)
    odd_classes = _odd_classes(category_items, categories, root_row(category_items, box_items))
    labels = {category.id: label for label, category in enumerate(categories)}
    columns = read_boxes(box_items, images.ids, labels, path)
    if are_shares(columns.boxes, images.sizes[columns.images]):
        raise InputError(
            f"{path}: its boxes lie within 0 to 1, as shares of the image, but boxes are in pixels; convert them with "
            f"`anchorloc doctor {path} --fix OUT --fix-shares`"
        )
    order = np.argsort(columns.images, kind="stable")
    in_file_order = Target(columns.boxes, columns.labels, columns.crowd, columns.area, np.arange(len(order)))
    starts = np.searchsorted(columns.images[order], np.arange(len(images.sizes) + 1))
    warnings = (*odd_classes, *_odd_boxes(columns, images), *_optional_keys(columns))
    return CocoAnnotations(path, categories, images, in_file_order.take(order), starts, columns.ids, warnings)


def are_shares(boxes: FloatArray, sizes: FloatArray | IntArray) -> bool:
    """Return whether 98% of boxes (M, 4) lie within 0 to 1, as shares of an image do and pixels hardly can.

    Args:
        boxes: xyxy.
        sizes: (M, 2) height and width of the image of each; in an image under 10 px pixels can.
    """
    inside = (np.abs(boxes) <= 1.001).all(axis=1)
    return bool(len(boxes) and inside.mean() >= 0.98 and float(np.max(sizes)) > 10)


def clip_boxes(boxes: FloatArray, sizes: IntArray | FloatArray) -> FloatArray:
    """Clip boxes (M, 4) to one image size (2,), or to a size for each box (M, 2): height and width."""
    clipped: FloatArray = np.minimum(np.maximum(boxes, 0), sizes[..., [1, 0, 1, 0]].astype(boxes.dtype))
    return clipped


def has_size(boxes: FloatArray) -> BoolArray:
    """Return an (M,) mask of the boxes (M, 4) with an area."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def _odd_classes(category_items: list[dict[str, Any]], categories: Sequence[Category], root: int | None) -> list[str]:
    """Report names that several classes share or nearly share, and the root category of an export."""
    sentences = []
    if shared := doubled_names(categories):
        ids = {name: first_few([short_repr(category.id) for category in some]) for name, some in shared.items()}
        shown = first_few([f"{short_repr(name)} (ids {those})" for name, those in ids.items()])
        sentences.append(f"several categories have one name and count as different classes: {shown}")
    for names in alike_names(category.name for category in categories):
        shown = " and ".join(short_repr(name) for name in names)
        sentences.append(f"{shown} are different classes, though they differ in blanks or letter case alone")
    if root is not None:
        name, category_id = (short_repr(category_items[root][key]) for key in ("name", "id"))
        sentences.append(
            f"category {category_id} {name} is the root category of a Roboflow export, which is no class and has no "
            "box; data.drop_root=true leaves it out of training, `anchorloc doctor FILE --fix OUT --drop-root` out of "
            "the file"
        )
    return sentences


def _odd_boxes(columns: BoxColumns, images: ImageColumns) -> list[str]:
    """Report the boxes that cannot be trained on."""
    empty = ~has_size(columns.boxes)
    outside = ~empty & ~has_size(clip_boxes(columns.boxes, images.sizes[columns.images]))
    sentences = []
    for odd, what in ((empty, "zero size"), (outside, "no part inside their image")):
        if odd.any():
            row = int(np.argmax(odd))
            image = int(columns.images[row])
            annotation, image_id = short_repr(id_at(columns.ids, row)), short_repr(id_at(images.ids, image))
            number = counted(int(odd.sum()), "box has", "boxes have")
            sentences.append(
                f"{number} {what} (first: annotation {annotation} of image {image_id}, {images.names[image]}): "
                "kept in evaluation, not trained on"
            )
    return sentences


def _optional_keys(columns: BoxColumns) -> list[str]:
    """Report the annotations without an optional key, and those with one that changes scoring."""
    sentences = []
    for number, key, default in (
        (columns.without_crowd, "iscrowd", "0"),
        (columns.without_area, "area", "width x height of the box"),
    ):
        if number:
            sentences.append(f"{counted(number, 'annotation has', 'annotations have')} no {key}; {default} is assumed")
    if columns.difficult:
        objects = counted(columns.difficult, "object is", "objects are")
        sentences.append(f"{objects} marked as difficult: trained on, and neither right nor wrong in scoring")
    return sentences
