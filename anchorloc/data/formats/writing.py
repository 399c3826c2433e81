"""Write labels as COCO, YOLO, Pascal VOC, LabelMe or CVAT, as `read` reads them.

Numbers are written in full, so that reading gives the same boxes. YOLO, VOC and LabelMe find an image by its place, so
their folders get the image files too: linked where the file system can, else copied. COCO, LabelMe and CVAT keep the
scores of detections.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import yaml

from anchorloc.data.formats.image_finder import shown_size
from anchorloc.data.formats.labels import LabeledData, Labels
from anchorloc.data.formats.split_classes import names_by_id, with_one_list
from anchorloc.data.formats.yolo import SLACK, label_path
from anchorloc.data.image_paths import locate
from anchorloc.errors import InputError, ItemError
from anchorloc.files import make_folder, refuse_filled, write_json, write_text
from anchorloc.text import short_repr

COCO_FILES: Final = "annotations/instances_{}.json"  # the file of each split
SUBSETS: Final = {"train": "Train", "val": "Validation", "test": "Test"}  # CVAT's names of the splits
SCORE: Final = {  # CVAT keeps the score of a detection as an attribute of its box
    "name": "score",
    "mutable": "False",
    "input_type": "text",
    "default_value": "",
    "values": "",
}
WITH_SCORES: Final = ("coco", "labelme", "cvat")  # formats that have a place for the score of a detection
Item = dict[str, Any]


def write(data: LabeledData, kind: str, out: str | Path) -> None:
    """Write labels into the new folder `out`, or nothing if an error is raised: coco, yolo, voc, labelme or cvat.

    Raises:
        InputError: the folder is filled, an image is missing, training refuses the labels, the splits have different
            classes, or the format cannot hold a name or a box.
    """
    if kind not in WRITERS:
        raise InputError(f"{kind!r} cannot be written; choose one of {', '.join(WRITERS)}")
    folder, data = Path(out), with_one_list(data)
    for labels in data.splits.values() if kind != "coco" else ():
        _check(labels)
    refuse_filled(folder, "folder for --convert")
    temporary = folder.absolute().with_name(f".{folder.absolute().name}.{secrets.token_hex(4)}.tmp")
    make_folder(temporary, "folder for --convert")
    try:
        WRITERS[kind](data, temporary)
        if folder.exists():
            folder.rmdir()  # an empty one; Windows does not rename onto it
        temporary.rename(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check(labels: Labels) -> None:
    """Refuse labels that training refuses: a writer could not place them."""
    from anchorloc.data.coco_annotations import parse_annotations  # it imports this package

    parse_annotations(dict(labels.document), labels.path)


def _write_coco(data: LabeledData, out: Path) -> None:
    make_folder(out / "annotations")
    for split, labels in data.splits.items():
        write_json(out / COCO_FILES.format(split), labels.document)


def _write_yolo(data: LabeledData, out: Path) -> None:
    names = names_by_id(data, unique=False)
    place = {category: number for number, category in enumerate(names)}
    description: Item = {"names": dict(enumerate(names.values()))}
    for split, labels in data.splits.items():
        description["train" if split == "all" else split] = f"images/{split}"
        for image, found in _by_image(labels):
            name, width, height = image["file_name"], image["width"], image["height"]
            _bring(labels.folder, name, out / "images" / split / name)
            if (shown := shown_size(out / "images" / split / name)) != (height, width):
                raise InputError(
                    f"the image {short_repr(name)} is {shown[1]} x {shown[0]} px as viewers show it, to which YOLO "
                    f"refers, but its boxes are for {width} x {height}; correct the size, or save it without EXIF tag"
                )
            lines = []
            for annotation in found:
                x, y, wide, high = annotation["bbox"]
                values = (x + wide / 2) / width, (y + high / 2) / height, wide / width, high / height
                if not all(-SLACK <= value <= 1 + SLACK for value in values):
                    raise InputError(
                        f"{labels.path}: the box {short_repr(annotation['bbox'])} of the image {short_repr(name)} lies "
                        "outside it, for which YOLO has no numbers; correct it, or convert a copy from --fix OUT"
                    )
                lines.append(f"{place[annotation['category_id']]} {' '.join(map(_number, values))}\n")
            _write(label_path(out / "images" / split / name), "".join(lines))
    write_text(out / "data.yaml", yaml.safe_dump(description, sort_keys=False, allow_unicode=True))


def _write_voc(data: LabeledData, out: Path) -> None:
    names = names_by_id(data)
    for split, labels in data.splits.items():
        stems = []
        for image, found in _by_image(labels):
            name = _flat(image["file_name"])
            stems.append(Path(name).stem)
            _bring(labels.folder, image["file_name"], out / "JPEGImages" / name)
            root = _node("annotation", {"folder": "JPEGImages", "filename": name})
            size = {"width": image["width"], "height": image["height"], "depth": 3}
            root.append(_node("size", size))
            for annotation in found:
                x, y, wide, high = annotation["bbox"]
                difficult = int(bool(annotation.get("difficult")))
                node = _node("object", {"name": names[annotation["category_id"]], "difficult": difficult})
                corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + wide, "ymax": y + high}
                node.append(_node("bndbox", {key: _number(value) for key, value in corners.items()}))
                root.append(node)
            _write_xml(out / "Annotations" / f"{Path(name).stem}.xml", root)
        if split != "all":
            _write(out / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))


def _write_labelme(data: LabeledData, out: Path) -> None:
    names = names_by_id(data)
    for split, labels in data.splits.items():
        folder = out if split == "all" else out / split
        for image, found in _by_image(labels):
            name = image["file_name"]
            _bring(labels.folder, name, folder / name)
            shapes: list[Item] = [
                {
                    "label": names[annotation["category_id"]],
                    "points": [[x, y], [x + wide, y + high]],
                    "group_id": None,
                    "description": annotation.get("note", ""),
                    "shape_type": "rectangle",
                    "flags": {},
                    **({"score": annotation["score"]} if "score" in annotation else {}),
                }
                for annotation in found
                for x, y, wide, high in [annotation["bbox"]]
            ]
            content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": Path(name).name}
            size = {"imageData": None, "imageHeight": image["height"], "imageWidth": image["width"]}
            _write(folder / Path(name).with_suffix(".json"), json.dumps(content | size, indent=1, allow_nan=False))


def _write_cvat(data: LabeledData, out: Path) -> None:
    names = names_by_id(data)
    root = _node("annotations", {"version": "1.1"})
    listed = ElementTree.Element("labels")
    scored = any("score" in item for labels in data.splits.values() for item in labels.document["annotations"])
    for name in names.values():
        label = _node("label", {"name": name, "type": "rectangle"})
        if scored:
            ElementTree.SubElement(label, "attributes").append(_node("attribute", SCORE))
        listed.append(label)
    for child in ("task", "meta"):  # meta/task/labels
        listed, inner = ElementTree.Element(child), listed
        listed.append(inner)
    root.append(listed)
    for split, labels in data.splits.items():
        for place, (image, found) in enumerate(_by_image(labels)):
            facts = {"id": str(place), "name": image["file_name"]}
            facts |= {"subset": SUBSETS[split]} if split in SUBSETS else {}
            node = ElementTree.SubElement(root, "image", facts, width=str(image["width"]), height=str(image["height"]))
            for annotation in found:
                x, y, wide, high = annotation["bbox"]
                corners = {"xtl": x, "ytl": y, "xbr": x + wide, "ybr": y + high}
                source = "auto" if "score" in annotation else "manual"
                words = {"label": names[annotation["category_id"]], "source": source, "occluded": "0", "z_order": "0"}
                words |= {key: _number(value) for key, value in corners.items()}
                box = ElementTree.SubElement(node, "box", words)
                if "score" in annotation:
                    ElementTree.SubElement(box, "attribute", name="score").text = _number(annotation["score"])
    _write_xml(out / "annotations.xml", root)


WRITERS: Final[Mapping[str, Callable[[LabeledData, Path], None]]] = {
    "coco": _write_coco,
    "yolo": _write_yolo,
    "voc": _write_voc,
    "labelme": _write_labelme,
    "cvat": _write_cvat,
}


def _by_image(labels: Labels) -> Iterator[tuple[Item, list[Item]]]:
    """Yield each image with its annotations, crowd regions left out."""
    found: dict[Any, list[Item]] = {image["id"]: [] for image in labels.document["images"]}
    for annotation in labels.document["annotations"]:
        if not annotation.get("iscrowd"):
            found[annotation["image_id"]].append(annotation)
    for image in labels.document["images"]:
        yield image, found[image["id"]]


def _flat(name: str) -> str:
    """Return a file name without folders, since VOC has one folder."""
    return name.replace("/", "_")


def _number(value: float) -> str:
    """Return a number with all its digits, without an exponent."""
    text = repr(float(value))
    return f"{value:.20f}".rstrip("0").rstrip(".") if "e" in text else text.removesuffix(".0")


def _bring(folder: Path, name: str, target: Path) -> None:
    """Link or copy an image file."""
    try:
        source = locate(folder, name)
    except ItemError as error:
        raise InputError(f"the image {short_repr(name)} {error}") from None
    if target.exists():
        raise InputError(f"two images would both be called {target.name}; rename one of them")
    make_folder(target.parent)
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from None


def _node(tag: str, children: Mapping[str, object]) -> ElementTree.Element:
    node = ElementTree.Element(tag)
    for name, value in children.items():
        ElementTree.SubElement(node, name).text = str(value)
    return node


def _write_xml(path: Path, root: ElementTree.Element) -> None:
    ElementTree.indent(root)
    _write(path, ElementTree.tostring(root, encoding="unicode") + "\n")


def _write(path: Path, text: str) -> None:
    if path.exists():
        raise InputError(f"two images would share the label file {path.name}; rename one of them")
    make_folder(path.parent)
    write_text(path, text)
