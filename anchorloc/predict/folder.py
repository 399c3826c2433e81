"""Find objects in many image files, and write the results into a new folder."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console

from anchorloc.data import CocoAnnotations, ImageSettings
from anchorloc.engine.system.display import Display
from anchorloc.errors import InputError, ItemError
from anchorloc.files import make_folder, write_bytes
from anchorloc.predict.image_input import read_file
from anchorloc.predict.localizer import Localizer, NamedDetections
from anchorloc.predict.results import PICTURES, ImageResult, picture_paths, write_results
from anchorloc.report.drawing import draw_box, draw_label, load_font, palette_color, writable_name
from anchorloc.structures import Pixels, Size
from anchorloc.text import printable

LOW_SCORE = 0.1  # detections below it that decode.max_detections cuts off are hardly missed


@dataclass(frozen=True)
class PredictionSummary:
    """The counts that the command prints at the end."""

    images: int  # images that were read
    unreadable: int  # images that were skipped
    detections: int
    images_at_limit: int  # with max_detections detections, the last of a score of LOW_SCORE or more
    max_detections: int


@dataclass(frozen=True)
class _Item:
    """An image file to read."""

    path: Path
    name: str
    image_id: int | str
    size: Size | None  # declared by the annotations
    picture: Path  # where the image with its boxes is written


def predict_folder(
    localizer: Localizer,
    files: Sequence[tuple[Path, str]],
    out: Path,
    annotations: CocoAnnotations | None = None,
    draw_above: float | None = 0.3,
) -> PredictionSummary:
    """Find objects in `files` (paths and names) and write pictures and results into the new folder `out`.

    Files that cannot be read are reported on stderr and skipped.

    Args:
        annotations: take image ids from them, and return boxes in pixels of the image sizes that they declare.
        draw_above: lowest score of the boxes in the pictures; None writes no pictures.

    Raises:
        InputError: the annotations lack a file or a class of the model, or the file system refuses.
    """
    items = _items(files, out, annotations, localizer)
    results, unreadable = [], 0
    make_folder(out)
    with Display(Console(stderr=True)) as display:
        for start in range(0, len(items), localizer.batch_size):
            images = list(_read(items[start : start + localizer.batch_size], localizer.image_settings, display))
            done = min(start + localizer.batch_size, len(items))
            unreadable += done - start - len(images)
            for (item, image), found in zip(images, localizer([image for _, image in images]), strict=True):
                results.append(ImageResult(item.image_id, item.name, (image.shape[0], image.shape[1]), found))
                if draw_above is not None:
                    make_folder(item.picture.parent)
                    shown = found.take(np.flatnonzero(found.scores >= draw_above))
                    write_bytes(item.picture, draw_detections(image, shown))
            display.update(done / len(items), f"{done:,} of {len(items):,} images")
    write_results(out, results, localizer.model.categories)
    limit = localizer.model.config.decoder.max_detections
    at_limit = sum(len(image.found) == limit and image.found.scores[-1] >= LOW_SCORE for image in results)
    detections = sum(len(image.found) for image in results)
    return PredictionSummary(len(results), unreadable, detections, at_limit, limit)


def _items(
    files: Sequence[tuple[Path, str]], out: Path, annotations: CocoAnnotations | None, localizer: Localizer
) -> list[_Item]:
    pictures = picture_paths([name for _, name in files])
    known = None if annotations is None else _by_name(annotations, localizer)
    items = []
    for number, ((path, name), picture) in enumerate(zip(files, pictures, strict=True), 1):
        if known is not None and name not in known:
            raise InputError(f"{name} is not among the images of the annotations; give the folder of their images")
        image_id, size = (number, None) if known is None else known[name]
        items.append(_Item(path, name, image_id, size, out / PICTURES / picture))
    return items


def _by_name(annotations: CocoAnnotations, localizer: Localizer) -> dict[str, tuple[int | str, Size]]:
    missing = [category for category in localizer.model.categories if category not in annotations.categories]
    if missing:
        raise InputError(
            f"the annotations lack the model's class {missing[0].name!r} with the id {missing[0].id!r}; "
            "give annotations of the classes the model was trained on"
        )
    return {
        annotations.name(index): (annotations.image_id(index), annotations.size(index))
        for index in range(len(annotations))
    }


def _read(items: Sequence[_Item], settings: ImageSettings, display: Display) -> Iterator[tuple[_Item, Pixels]]:
    for item in items:
        try:
            yield item, read_file(item.path, item.size, settings)
        except ItemError as error:
            display.log(f"error: {printable(str(error))}")


def draw_detections(image: Pixels, found: NamedDetections, quality: int = 90) -> bytes:
    """Return a JPEG of `image` with the box, class and score of each detection, the highest score on top."""
    picture = Image.fromarray(image)
    canvas = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 400))
    font = load_font(max(10, round(max(picture.size) / 55)))
    for row in reversed(range(len(found))):
        label, box = int(found.labels[row]), found.boxes[row].tolist()
        color = palette_color(label)
        draw_box(canvas, box, color, width)
        text = f"{writable_name(found.names[row], label, font)} {found.scores[row]:.2f}"
        draw_label(canvas, text, box[:2], picture.size, color, font)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()
