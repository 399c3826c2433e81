"""Many image files through a network into one new folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from anchorloc.data import CocoAnnotations
from anchorloc.data.item_error import ItemError
from anchorloc.engine.system.display import Display
from anchorloc.errors import InputError
from anchorloc.files import write_bytes, writing
from anchorloc.predict.drawing import draw_detections
from anchorloc.predict.image_input import Pixels, read_file
from anchorloc.predict.localizer import Localizer
from anchorloc.predict.results import PICTURES, Located, picture_paths, write_results
from anchorloc.text import printable

LOW_SCORE = 0.1  # below, what is cut off by decode.max_detections is hardly missed


@dataclass(frozen=True)
class Summary:
    """What a person is told at the end."""

    images: int  # that were used
    broken: int  # that were not
    detections: int
    full: int  # images with as many detections as are kept, the last of them not yet of a low score
    limit: int  # how many are kept


@dataclass(frozen=True)
class _Item:
    """An image that is to be read."""

    path: Path
    name: str
    image_id: int | str
    size: tuple[int, int] | None  # (height, width) that annotations declare
    picture: Path


def predict_folder(
    localizer: Localizer,
    files: Sequence[tuple[Path, str]],
    out: Path,
    annotations: CocoAnnotations | None = None,
    draw_above: float | None = 0.3,
) -> Summary:
    """Find objects in `files` (paths and names) and write pictures and results into the new folder `out`.

    With `annotations`, ids are theirs, and boxes are in the pixels that they declare. Files that cannot be read are
    told on stderr and left out. No pictures are made where `draw_above`, their least score, is None.

    Raises:
        InputError: a file is not among the annotations, their classes differ, or the file system refuses.
    """
    items = _items(files, out, annotations, localizer)
    located, broken = [], 0
    _make_folder(out)
    with Display(Console(stderr=True)) as display:
        for start in range(0, len(items), localizer.batch_size):
            images = list(_read(items[start : start + localizer.batch_size], display))
            done = min(start + localizer.batch_size, len(items))
            broken += done - start - len(images)
            for (item, image), found in zip(images, localizer([image for _, image in images]), strict=True):
                located.append(Located(item.image_id, item.name, (image.shape[0], image.shape[1]), found))
                if draw_above is not None:
                    _make_folder(item.picture.parent)
                    write_bytes(item.picture, draw_detections(image, found.take(np.flatnonzero(found.scores >= draw_above))))
            display.update(done / len(items), f"{done:,} of {len(items):,} images")
    write_results(out, located, localizer.model.categories)
    limit = localizer.model.config.decoder.max_detections
    full = sum(len(image.found) == limit and image.found.scores[-1] >= LOW_SCORE for image in located)
    return Summary(len(located), broken, sum(len(image.found) for image in located), full, limit)


def _items(
    files: Sequence[tuple[Path, str]], out: Path, annotations: CocoAnnotations | None, localizer: Localizer
) -> list[_Item]:
    pictures = picture_paths([name for _, name in files])
    known = None if annotations is None else _by_name(annotations, localizer)
    items = []
    for number, ((path, name), picture) in enumerate(zip(files, pictures, strict=True), 1):
        if known is not None and name not in known:
            raise InputError(f"{name} is not among the images of the annotations; give the folder that they speak of")
        image_id, size = (number, None) if known is None else known[name]
        items.append(_Item(path, name, image_id, size, out / PICTURES / picture))
    return items


def _by_name(annotations: CocoAnnotations, localizer: Localizer) -> dict[str, tuple[int | str, tuple[int, int]]]:
    missing = [category for category in localizer.model.categories if category not in annotations.categories]
    if missing:
        raise InputError(f"the annotations lack the model's class {missing[0].name!r} with the id {missing[0].id!r}")
    return {
        annotations.name(index): (annotations.image_id(index), annotations.size(index))
        for index in range(len(annotations))
    }


def _read(items: Sequence[_Item], display: Display) -> Iterator[tuple[_Item, Pixels]]:
    for item in items:
        try:
            yield item, read_file(item.path, item.size)
        except ItemError as error:
            display.say(f"error: {printable(str(error))}")


def _make_folder(folder: Path) -> None:
    with writing(folder, 0):
        folder.mkdir(parents=True, exist_ok=True)
