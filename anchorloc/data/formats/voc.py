"""Read Pascal VOC's XML files, one for each image.

Corners count pixels from 1 and include the last one (VOC2012 development kit, section 6), so a box begins at
xmin - 1 and ends at xmax. http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf
Tools that count from 0 are recognized by the range of their corners.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from anchorloc.data.formats.image_finder import ImageFolder, shown_size
from anchorloc.data.formats.label_collector import LabelCollector
from anchorloc.data.formats.labels import (
    POLYGONS,
    ROTATED,
    SPLITS,
    Box,
    Builder,
    LabeledData,
    Notes,
    around,
    number,
    rotated,
    split_of_folders,
    whole_size,
)
from anchorloc.data.formats.reading_progress import parsing, tracked
from anchorloc.errors import InputError, ItemError
from anchorloc.files import foreign_content, read_bytes
from anchorloc.structures import Size

FORMAT = "Pascal VOC"
MAX_XML_BYTES = 1 << 26
FROM_ZERO: Final = (
    "left and top edges at 0, where VOC counts from 1: {}, and no edge at the width or height; all corners are read as "
    "pixels counted from 0"
)
AS_EDGES: Final = (
    "left and top edges at 0, where VOC counts from 1: {}, and others at the width or height; all corners are read as "
    "edges, from 0 to the size"
)
SOME_ZERO: Final = (
    "left and top edges at 0, where VOC counts from 1: {}, and no fewer at 1; these boxes are read 1 px outside"
)
Node = ElementTree.Element


@dataclass(eq=False)
class _Counting:
    """The boxes of all files, read as counted from 1, and how many of their edges show where their tool counts from."""

    boxes: list[dict[str, Any]] = field(default_factory=list)  # annotations
    zeros: int = 0  # left and top edges of 0
    ones: int = 0
    ends: int = 0  # right and bottom edges at the size of the image
    first: str = ""  # file with an edge of 0

    def add(self, annotation: dict[str, Any], size: Size, file: str) -> None:
        left, top, width, height = annotation["bbox"]
        zeros = (0 <= left + 1 < 1) + (0 <= top + 1 < 1)
        self.boxes.append(annotation)
        self.zeros += zeros
        self.ones += (0 <= left < 1) + (0 <= top < 1)
        self.ends += (left + width >= size[1]) + (top + height >= size[0])
        self.first = self.first or (file if zeros else "")

    def settle(self, notes: Notes) -> None:
        """Move the boxes if their tool counts from 0, and say so."""
        if not self.zeros:
            return
        from_zero = self.zeros > self.ones
        notes.add((AS_EDGES if self.ends else FROM_ZERO) if from_zero else SOME_ZERO, self.first, self.zeros)
        for annotation in self.boxes if from_zero else ():
            left, top, width, height = annotation["bbox"]
            if self.ends:
                width, height = max(width - 1, 0), max(height - 1, 0)
            annotation.update(bbox=[left + 1, top + 1, width, height], area=width * height)


def read_voc(source: Path, images: Path | None = None) -> LabeledData:
    """Read an XML file, or all of a folder; ImageSets/Main, or folders train, valid and test, make the splits.

    Raises:
        InputError: a file is missing or damaged, or an object has no box.
    """
    above = source.is_file() and source.parent.name == "Annotations"
    collected, counting = LabelCollector(source, images, source.parent.parent if above else None), _Counting()
    for split, paths in _files(source, collected.root).items():
        builder = collected.split(split)
        for path in tracked(paths, len(paths), "reading Pascal VOC"):
            _read_file(path, collected.images, builder, collected.notes, counting)
    counting.settle(collected.notes)
    return collected.labeled(FORMAT)


def xml_files(folder: Path) -> list[Path]:
    """Return the XML files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*.xml") if not path.name.startswith("."))


def parse_xml(path: Path, limit: int = MAX_XML_BYTES) -> Node:
    """Parse an XML file.

    Raises:
        InputError: it is too large or not XML.
    """
    data = read_bytes(path, limit)
    foreign = foreign_content(data)
    if foreign and "UTF" not in foreign:  # XML names its encoding
        raise InputError(f"{path} is {foreign}")
    try:
        with parsing(path):
            return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path} is not XML: {error}; correct it or export it again") from None


def root_tag(path: Path) -> str:
    """Return the tag of the first element of an XML file; "" if it is not XML."""
    try:
        with path.open("rb") as file:
            return str(next(ElementTree.iterparse(file, events=("start",)))[1].tag)
    except (ElementTree.ParseError, ValueError, LookupError, OSError, StopIteration):
        return ""


def text_of(node: Node, name: str) -> str:
    """Return the text of a child; "" if there is none."""
    return (node.findtext(name) or "").strip()


def _files(source: Path, root: Path) -> dict[str, list[Path]]:
    """Return the XML files of each split."""
    if source.is_file():
        return {"all": [source]}
    files = xml_files(root)
    if not files:
        raise InputError(f"{source} has no XML file; looked for Pascal VOC's annotations below it")
    lists = root / "ImageSets" / "Main"
    by_stem = {path.stem: path for path in files}
    listed: dict[str, list[Path]] = {}
    for split in SPLITS:
        path = lists / f"{split}.txt"
        if path.is_file():
            listed[split] = [_listed(name, by_stem, path) for name in _names(path)]
    if any(listed.values()):
        return {split: paths for split, paths in listed.items() if paths}
    by_split: dict[str | None, list[Path]] = {}
    for file in files:
        by_split.setdefault(split_of_folders(file, root), []).append(file)
    if None in by_split:
        return {"all": files}
    return {split: by_split[split] for split in SPLITS if split in by_split}


def _names(path: Path) -> Iterator[str]:
    """Yield the lines of a list."""
    for line in read_bytes(path, MAX_XML_BYTES).decode("utf-8", "replace").splitlines():
        if name := line.strip():
            yield name


def _listed(name: str, by_stem: dict[str, Path], path: Path) -> Path:
    if name not in by_stem:
        name = name.split()[0]  # a second word is 1, 0 or -1 in the lists of one class
    if name not in by_stem:
        raise InputError(f"{path} lists {name!r}, for which there is no {name}.xml; remove the line or add the file")
    return by_stem[name]


def _read_file(path: Path, images: ImageFolder, builder: Builder, notes: Notes, counting: _Counting) -> None:
    root = parse_xml(path)
    if root.tag != "annotation":
        raise InputError(f"{path} is not of Pascal VOC: its first element is {root.tag[:40]!r}, not 'annotation'")
    try:
        name = images.find_for(path, text_of(root, "filename") or path.stem)
        size = _size(root, images.names[name])
        image = builder.add_image(name, size)
    except ItemError as error:
        raise InputError(f"{path} {error}; put the image there, or remove the file") from None
    for row, node in enumerate(root.findall("object")):
        try:
            difficult = text_of(node, "difficult") in ("1", "true", "True")
            corners = _corners(node)
            box = corners or _other_box(node, path, notes)
            builder.add_box(image, text_of(node, "name"), box, difficult=difficult)
            if corners:
                counting.add(builder.annotations[-1], size, path.name)
        except ItemError as error:
            raise InputError(f"{path}: object {row} {error}; correct or remove it") from None


def _size(root: Node, path: Path) -> Size:
    """Return the declared (height, width), or the file's where none is declared."""
    node = root.find("size")
    words = [text_of(node, name) for name in ("height", "width")] if node is not None else []
    if not words or any(word in ("", "0") for word in words):
        return shown_size(path)
    return whole_size(*words)


def _corners(node: Node) -> Box | None:
    """Return the box of an object with corners, counted from 1, in continuous pixels; None if it has none."""
    found = node.find("bndbox")
    if found is None or found.find("xmin") is None:
        return None
    left, top, right, bottom = (number(text_of(found, name), name) for name in ("xmin", "ymin", "xmax", "ymax"))
    return left - 1, top - 1, right, bottom


def _other_box(node: Node, path: Path, notes: Notes) -> Box:
    """Return the box around a rotated rectangle or a polygon."""
    turned = node.find("robndbox")  # roLabelImg
    if turned is not None:
        notes.add(ROTATED, path.name)
        x, y, width, height, angle = (number(text_of(turned, name), name) for name in ("cx", "cy", "w", "h", "angle"))
        return around(rotated((x, y), (width, height), angle * 57.29577951308232))
    if points := _polygon(node.find("polygon")):
        notes.add(POLYGONS, path.name)
        return around(points)
    raise ItemError("has no bndbox with xmin, ymin, xmax and ymax, and no polygon")


def _polygon(node: Node | None) -> Sequence[tuple[float, float]]:
    """Return the points of a polygon: <pt><x/><y/></pt> as LabelMe's, or <x1/><y1/><x2/> as Roboflow's."""
    if node is None:
        return []
    points = [(number(text_of(pt, "x"), "x"), number(text_of(pt, "y"), "y")) for pt in node.findall("pt")]
    place = 1
    while not node.findall("pt") and node.find(f"x{place}") is not None:
        points.append((number(text_of(node, f"x{place}"), "x"), number(text_of(node, f"y{place}"), "y")))
        place += 1
    return points
