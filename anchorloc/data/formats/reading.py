"""Read the labels of a file or folder, whatever tool wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from anchorloc.data.formats.azure import read_azure
from anchorloc.data.formats.coco_folder import coco_files, read_coco
from anchorloc.data.formats.cvat import read_cvat
from anchorloc.data.formats.image_finder import find_image_files
from anchorloc.data.formats.labelme import read_labelme
from anchorloc.data.formats.labels import LabeledData
from anchorloc.data.formats.table import read_table
from anchorloc.data.formats.via import is_via, read_via, via_files
from anchorloc.data.formats.voc import read_voc, root_tag, xml_files
from anchorloc.data.formats.vott import read_vott
from anchorloc.data.formats.yolo import find_description, read_yolo
from anchorloc.errors import InputError
from anchorloc.files import MAX_JSON_BYTES, collector_paused, foreign_content, read_bytes
from anchorloc.text import counted, did_you_mean

READERS: Final[dict[str, Callable[[Path, Path | None], LabeledData]]] = {
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "labelme": read_labelme,
    "cvat": read_cvat,
    "csv": read_table,
    "via": read_via,
    "vott": read_vott,
    "azure": read_azure,
}
JSON_KEYS: Final = {  # kind: the keys by which a JSON file is known
    "coco": (b'"images"', b'"annotations"', b'"categories"'),
    "labelme": (b'"shapes"', b'"imagePath"'),
    "vott": (b'"asset"', b'"regions"'),
}
LOOKED_FOR: Final = (
    "COCO's JSON, YOLO's data.yaml, obj.data or classes.txt, Pascal VOC's or CVAT's XML, the JSON of LabelMe, VIA or "
    "VoTT, Azure's .jsonl, or CSV"
)


def read(source: str | Path, kind: str = "auto", images: str | Path | None = None) -> LabeledData:
    """Read the labels of a file or folder: COCO, YOLO, Pascal VOC, LabelMe, CVAT, CSV, VIA, VoTT or Azure.

    Args:
        source: the file or folder.
        kind: coco, yolo, voc, labelme, cvat, csv, via, vott or azure; auto looks which it is.
        images: the folder of the images, if they do not lie beside the labels.

    Raises:
        InputError: the format is none of these, a file is missing or damaged, or there is no image or no box.
    """
    path = Path(source)
    if kind != "auto" and kind not in READERS:
        raise InputError(f"the format {kind!r} is unknown; {did_you_mean(kind, READERS)}")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if images is not None and not Path(images).is_dir():
        raise InputError(f"the images folder {images} does not exist; give an existing folder")
    reader = READERS[find_kind(path) if kind == "auto" else kind]
    with collector_paused():
        data = reader(path, None if images is None else Path(images))
    number = sum(len(labels.document["images"]) for labels in data.splits.values())
    boxes = sum(len(labels.document["annotations"]) for labels in data.splits.values())
    if not number or not boxes:
        found = f"{counted(number, 'image')} and {counted(boxes, 'box')}"
        raise InputError(f"{path} was read as {data.format} and has {found}; check that labels and images are there")
    return data


def find_kind(path: Path) -> str:
    """Return the key in `READERS` of a file or folder, by looking into it.

    Raises:
        InputError: it is none of them.
    """
    return _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)


def is_coco_file(path: Path, kind: str = "auto") -> bool:
    """Return whether labels that are read as `kind` are a single COCO file.

    Raises:
        InputError: a file is of no format that is read.
    """
    return path.is_file() and (find_kind(path) if kind == "auto" else kind) == "coco"


def _kind_of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _kind_of_json(path) or "coco"
    if suffix == ".xml":
        return "cvat" if root_tag(path) == "annotations" else "voc"
    if suffix in (".yaml", ".yml", ".data", ".txt", ".names"):
        return "yolo"
    if suffix == ".csv":
        return "via" if is_via(path) else "csv"
    if suffix == ".jsonl":
        return "azure"
    if suffix == ".vott":
        return "vott"
    content = foreign_content(read_bytes(path, start=512))
    raise InputError(f"{path} is {content or f'none of the label files that are read: {LOOKED_FOR}'}")


def _kind_of_json(path: Path) -> str | None:
    """Return the kind of a JSON file by the keys that it speaks of; its reader decides whether it has them."""
    if is_via(path):
        return "via"
    try:
        content = read_bytes(path, MAX_JSON_BYTES)
    except InputError:
        return None
    return next((kind for kind, keys in JSON_KEYS.items() if all(key in content for key in keys)), None)


def _kind_of_folder(folder: Path) -> str:
    """Return the kind by the files that only one kind has, the surest first."""
    if any(_kind_of_json(path) == "coco" for path in coco_files(folder)):
        return "coco"
    if find_description(folder) is not None:
        return "yolo"
    for path in xml_files(folder)[:1]:
        return _kind_of_file(path)
    files = sorted(path for path in folder.rglob("*.json") if path.name[0] != ".")[:20]
    other = next((kind for kind in map(_kind_of_json, files) if kind not in (None, "coco")), None)
    if other is not None:
        return other
    if any(folder.rglob("*.csv")):
        return "via" if via_files(folder) else "csv"
    if any(folder.rglob("*.jsonl")):
        return "azure"
    images = len(find_image_files(folder))
    found = counted(images, "image") if images else "no image"
    raise InputError(f"{folder} has no labels that are read, and {found}; looked for {LOOKED_FOR}")
