"""Read COCO files as tools export them: which files are the splits, where the images are, what is written otherwise.

Roboflow: _annotations.coco.json beside the images in train, valid and test, and a root category of id 0
(https://docs.roboflow.com). Label Studio: result.json and images/. CVAT: annotations/instances_SUBSET.json and
images/SUBSET. LVIS: no file_name, but coco_url (https://www.lvisdataset.org/dataset). VIA: ids of images as texts
(https://gitlab.com/vgg/via). coco-annotator: iscrowd as true or false, and keys of
its own, such as isbbox (https://github.com/jsbroks/coco-annotator, webserver/util/coco_util.py). Azure: absolute_url.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from anchorloc.data.formats.image_finder import is_file
from anchorloc.data.formats.labels import POLYGONS, SPLITS, Box, LabeledData, Labels, Notes, split_of
from anchorloc.data.formats.listed_images import match_files, name_from_urls
from anchorloc.data.formats.reading_progress import parsing
from anchorloc.data.image_formats import KNOWN_SUFFIXES
from anchorloc.errors import InputError
from anchorloc.files import read_json
from anchorloc.text import first_few, short_repr

FORMAT = "COCO"
LISTS = ("images", "annotations", "categories")
SKIPPED = ("keypoints", "caption")
_NUMBERS = {int, float}
TEXT_IDS = "ids written as texts: {}; they are read as numbers"
NUMBER_NAMES = "class names that are numbers: {}; they are read as their text"


def read_coco(source: Path, images: Path | None = None) -> LabeledData:
    """Read a COCO file, or the COCO files of a folder.

    Raises:
        InputError: there is none, several could be meant, or the images are not found.
    """
    notes = Notes()
    splits = {split: _read_file(path, split, notes, images) for split, path in _files(source).items()}
    for labels in splits.values():
        if not is_coco(labels.document):
            raise InputError(_not_coco(labels.path, labels.document))
    return LabeledData(FORMAT, splits, notes.sentences())


def read_coco_file(path: Path, images: Path | None = None) -> tuple[Labels, tuple[str, ...]]:
    """Read a COCO file, whose lists may be missing; return its labels and what was not read as written.

    Raises:
        InputError: it is not JSON.
    """
    notes = Notes()
    labels = _read_file(path, "all", notes, images)
    return labels, notes.sentences()


def read_coco_images(path: Path, images: Path | None = None) -> LabeledData:
    """Read the images and categories of a COCO file, with or without annotations, which are left out.

    Raises:
        InputError: it is not JSON, or has no list of images.
    """
    notes = Notes()
    with parsing(path):
        document = read_json(path, skip=(*SKIPPED, "annotations"), nan_literals=[])  # NaN in a box does not matter here
    if isinstance(document, dict):
        document["annotations"] = []
        document.setdefault("categories", [])
    if not is_coco(document):
        raise InputError(f"{path} has no lists images and categories; give the annotations, or images.json of predict")
    _normalize(document, notes)
    return LabeledData(FORMAT, {"all": _with_files(path, document, "all", notes, images)}, notes.sentences())


def read_document(path: Path, notes: Notes) -> Any:
    """Parse a COCO file, and bring what tools write otherwise into COCO's form; files are matched later.

    Raises:
        InputError: it is not JSON.
    """
    with parsing(path):
        document = read_json(path, skip=(*SKIPPED, "segmentation"))
    if is_coco(document):
        if any(isinstance(item, dict) and not item.get("bbox") for item in document["annotations"]):
            with parsing(path):
                document = read_json(path, skip=SKIPPED)  # the masks may give the boxes; else they take no memory
        _normalize(document, notes)
    return document


def _read_file(path: Path, split: str, notes: Notes, images: Path | None) -> Labels:
    document = read_document(path, notes)
    if not is_coco(document):
        return Labels(path, document, images or path.parent)
    return _with_files(path, document, split, notes, images)


def _not_coco(path: Path, document: Any) -> str:
    if isinstance(document, list):
        return (
            f"{path} holds a list, as files of detections do; give the annotations, and convert detections by "
            f"`anchorloc doctor ANNOTATIONS --detections {path} --convert FORMAT DIR`"
        )
    missing = [key for key in LISTS if not (isinstance(document, dict) and isinstance(document.get(key), list))]
    return f"{path} has no {'list' if len(missing) == 1 else 'lists'} {' and '.join(missing)}; give a COCO file"


def is_coco(document: Any) -> bool:
    """Return whether a parsed JSON file has the lists of a COCO annotation file."""
    return isinstance(document, dict) and all(isinstance(document.get(key), list) for key in LISTS)


def coco_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder where tools put COCO files, those in folders of images left out."""
    found = [*folder.glob("*.json"), *folder.glob("annotations/*.json"), *folder.glob("*/_annotations.coco.json")]
    return sorted(path for path in found if not path.name.startswith(("captions_", "person_keypoints_", ".")))


def _files(source: Path) -> dict[str, Path]:
    """Return the file of each split."""
    if source.is_file():
        return {"all": source}
    files = coco_files(source)
    by_split: dict[str, list[Path]] = {}
    for path in files:
        split = split_of(path.stem) or (split_of(path.parent.name) if path.parent != source else None)
        by_split.setdefault(split or "all", []).append(path)
    chosen = {split: by_split[split] for split in SPLITS if split in by_split} or by_split
    several = next((paths for paths in chosen.values() if len(paths) > 1), None)
    if several is not None or not chosen:
        shown = first_few([str(path.relative_to(source)) for path in several or files]) or "none"
        raise InputError(
            f"{source} needs one COCO file, or one for each of train, val and test, but has {shown}; give the file"
        )
    return {split: paths[0] for split, paths in chosen.items()}


def _normalize(document: dict[str, Any], notes: Notes) -> None:
    """Bring what tools write otherwise into COCO's form."""
    images = [item for item in document["images"] if isinstance(item, dict)]
    annotations = [item for item in document["annotations"] if isinstance(item, dict)]
    name_from_urls(images, notes)
    for category in document["categories"]:
        if isinstance(category, dict) and type(category.get("name")) in (int, float):
            notes.add(NUMBER_NAMES, repr(category["name"]))
            category["name"] = str(category["name"])
    _ids_as_numbers([*document["categories"], *images], annotations, notes)
    for item in annotations:
        box = polygon_box(item.get("segmentation")) if item.get("bbox") in (None, []) else None
        if box is not None:
            left, top, right, bottom = box
            item["bbox"] = [left, top, right - left, bottom - top]
            notes.add(POLYGONS, f"annotation {short_repr(item.get('id'))}")
        item.pop("segmentation", None)


def _with_files(path: Path, document: dict[str, Any], split: str, notes: Notes, given: Path | None) -> Labels:
    """Return the labels with their images matched with the files of the images folder."""
    images = [item for item in document["images"] if isinstance(item, dict)]
    folder, some = (given, True) if given else _images_folder(path, images, split)
    if some:
        match_files(images, folder, notes)
    return Labels(path, document, folder)


def polygon_box(segmentation: Any) -> Box | None:
    """Return the xyxy box around a COCO polygon, a list of lists of x, y, or one flat list; None if it is none."""
    if not isinstance(segmentation, list) or not segmentation:
        return None
    parts = [part for part in segmentation if part != []] if isinstance(segmentation[0], list) else [segmentation]
    for part in parts:
        if type(part) is not list or len(part) < 4 or len(part) % 2 or not {*map(type, part)} <= _NUMBERS:
            return None
    if not parts:
        return None
    columns, rows = [part[::2] for part in parts], [part[1::2] for part in parts]
    return min(map(min, columns)), min(map(min, rows)), max(map(max, columns)), max(map(max, rows))


def _ids_as_numbers(listed: list[Any], annotations: list[dict[str, Any]], notes: Notes) -> None:
    """Turn references that are digits into numbers where all listed ids are numbers, as VIA writes them."""
    if not all(isinstance(item, dict) and type(item.get("id")) is int for item in listed):
        return
    for item in annotations:
        for key in ("image_id", "category_id"):
            value = item.get(key)
            if type(value) is str and value.isdecimal() and len(value) < 19:
                item[key] = int(value)
                notes.add(TEXT_IDS, f"{key} {value!r}")


def _images_folder(path: Path, images: list[dict[str, Any]], split: str) -> tuple[Path, bool]:
    """Return the folder below which most of the first images are, and whether the images may be there."""
    names = [item["file_name"].replace("\\", "/") for item in images[:50] if type(item.get("file_name")) is str]
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    parts = [path.stem, path.stem.removeprefix("instances_"), split, path.parent.name]
    inside = [base / part for base in (root, root / "images") for part in parts]
    folders = [path.parent, root, root / "images", *inside]
    count = Counter({folder: sum(is_file(folder / name) for name in names) for folder in dict.fromkeys(folders)})
    best, found = count.most_common(1)[0] if names else (root, 0)
    if found:
        return best, True
    if (root / "images").is_dir():
        return root / "images", True
    return root, any(one.suffix.lower() in KNOWN_SUFFIXES for one in root.glob("*"))
