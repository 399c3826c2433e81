"""Write any data set as a folder in COCO format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from anchorloc.data.source import Source
from anchorloc.errors import InputError
from anchorloc.files import refuse_filled, write_json


def write_coco(sources: dict[str, Source], folder: Path) -> None:
    """Write images/*.png and annotations/instances_SPLIT.json of all splits into a new or empty folder.

    Raises:
        InputError: the folder is not empty, or cannot be written.
    """
    refuse_filled(folder, "OUT")
    try:
        for name in ("images", "annotations"):
            (folder / name).mkdir(parents=True)
        for source in sources.values():
            for index in range(len(source)):
                Image.fromarray(source.image(index)).save(folder / "images" / source.name(index), compress_level=1)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}; give another OUT") from None
    start = 0
    for split, source in sources.items():
        document = coco_document(source, start)
        write_json(folder / "annotations" / f"instances_{split}.json", document)
        start += len(document["annotations"])


def coco_document(source: Source, start: int = 0) -> dict[str, Any]:
    """Return the annotations of a split as a COCO document, with annotation ids from `start` + 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(len(source)):
        (height, width), image_id, target = source.size(index), source.image_id(index), source.target(index)
        images.append({"id": image_id, "file_name": source.name(index), "height": height, "width": width})
        for row, (x1, y1, x2, y2) in enumerate(target.boxes.tolist()):
            annotations.append(
                {
                    "id": start + len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": source.categories[target.labels[row]].id,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(target.area[row]),
                    "iscrowd": int(target.crowd[row]),
                }
            )
    categories = [{"id": category.id, "name": category.name} for category in source.categories]
    return {"images": images, "annotations": annotations, "categories": categories}
