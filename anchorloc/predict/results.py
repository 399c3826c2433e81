"""Write detections for other tools: COCO results and a CSV table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from anchorloc.files import write_json
from anchorloc.predict.named_detections import NamedDetections
from anchorloc.report.csv import write_csv
from anchorloc.structures import Category

RESULTS, IMAGES, TABLE, PICTURES = "results.json", "images.json", "detections.csv", "pictures"


@dataclass(frozen=True, eq=False)
class ImageResult:
    """The detections of one image."""

    image_id: int | str
    name: str
    found: NamedDetections


def write_results(
    folder: Path, images: Sequence[ImageResult], categories: Sequence[Category], lowest: float = 0.0
) -> None:
    """Write results.json, images.json (the images and categories of these results) and detections.csv.

    Args:
        folder: where to write.
        images: the detections of each image.
        categories: the classes by label, with the ids to write.
        lowest: lowest score in detections.csv; results.json has all detections, as scoring needs them.

    Raises:
        InputError: the file system refuses.
    """
    with_ids = [(image, replace(image.found, categories=tuple(categories))) for image in images]
    write_json(folder / RESULTS, [row for image, found in with_ids for row in found.to_coco(image.image_id)])
    document = {
        "images": [
            {"id": one.image_id, "file_name": one.name, "height": one.found.size[0], "width": one.found.size[1]}
            for one in images
        ],
        "categories": [{"id": category.id, "name": category.name} for category in categories],
    }
    write_json(folder / IMAGES, document)
    header = ["image", "image_id", "class", "score", "x1", "y1", "x2", "y2"]
    write_csv(folder / TABLE, header, (row for image in images for row in _rows(image, lowest)))


def _rows(image: ImageResult, lowest: float) -> list[list[object]]:
    shown = image.found.where(score=lowest)
    return [[image.name, image.image_id, name, score, *box] for box, score, _, name in shown]


def picture_paths(names: Sequence[str]) -> list[PurePosixPath]:
    """Return a .jpg path for the picture of each image; no two are equal, not even if letter case is ignored."""
    taken: set[str] = set()
    paths = []
    for name in names:
        path, number = PurePosixPath(name).with_suffix(".jpg"), 1
        while str(path).casefold() in taken:
            number += 1
            path = path.with_name(f"{PurePosixPath(name).stem}-{number}.jpg")
        taken.add(str(path).casefold())
        paths.append(path)
    return paths
