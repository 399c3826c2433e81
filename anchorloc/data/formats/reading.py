"""Read the labels of a file or folder, whatever tool wrote it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from anchorloc.data.formats.coco_folder import coco_files, read_coco
from anchorloc.data.formats.cvat import read_cvat
from anchorloc.data.formats.image_finder import find_image_files
from anchorloc.data.formats.labelme import read_labelme
from anchorloc.data.formats.labels import LabeledData
from anchorloc.data.formats.table import read_table
from anchorloc.data.formats.voc import read_voc, root_tag, xml_files
from anchorloc.data.formats.yolo import find_description, read_yolo
from anchorloc.errors import InputError
from anchorloc.files import MAX_JSON_BYTES, read_bytes
from anchorloc.text import counted, did_you_mean

READERS: Final[dict[str, Callable[[Path, Path | None], LabeledData]]] = {
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "labelme": read_labelme,
    "cvat": read_cvat,
    "csv": read_table,
}
COCO_KEYS: Final = (b'"images"', b'"annotations"', b'"categories"')
LABELME_KEYS: Final = (b'"shapes"', b'"imagePath"')
LOOKED_FOR: Final = (
    "COCO's JSON, YOLO's data.yaml, obj.data or classes.txt, Pascal VOC's or CVAT's XML, LabelMe's JSON, or CSV"
)


def read(source: str | Path, kind: str = "auto", images: str | Path | None = None) -> LabeledData:
    """Read the labels of a file or folder: COCO, YOLO, Pascal VOC, LabelMe, CVAT or CSV.

    Args:
        source: the file or folder.
        kind: coco, yolo, voc, labelme, cvat or csv; auto looks which it is.
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


def _kind_of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return "labelme" if _has_keys(path, LABELME_KEYS) else "coco"
    if suffix == ".xml":
        return "cvat" if root_tag(path) == "annotations" else "voc"
    if suffix in (".yaml", ".yml", ".data", ".txt", ".names"):
        return "yolo"
    if suffix == ".csv":
        return "csv"
    raise InputError(f"{path} is none of the label files that are read: {LOOKED_FOR}")


def _kind_of_folder(folder: Path) -> str:
    """Return the kind by the files that only one kind has, the surest first."""
    if any(_has_keys(path, COCO_KEYS) for path in coco_files(folder)):
        return "coco"
    if find_description(folder) is not None:
        return "yolo"
    for path in xml_files(folder)[:1]:
        return _kind_of_file(path)
    if any(_has_keys(path, LABELME_KEYS) for path in sorted(folder.rglob("*.json"))[:20]):
        return "labelme"
    if any(folder.rglob("*.csv")):
        return "csv"
    images = len(find_image_files(folder))
    found = counted(images, "image") if images else "no image"
    raise InputError(f"{folder} has no labels that are read, and {found}; looked for {LOOKED_FOR}")


def _has_keys(path: Path, keys: Sequence[bytes]) -> bool:
    """Return whether a JSON file speaks of all the keys; its reader decides whether it has them."""
    try:
        content = read_bytes(path, MAX_JSON_BYTES)
    except InputError:
        return False
    return all(key in content for key in keys)
