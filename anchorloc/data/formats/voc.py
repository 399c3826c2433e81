"""Read Pascal VOC's XML files, one for each image.

Corners count pixels from 1 and include the last one (VOC2012 development kit, section 6), so a box begins at
xmin - 1 and ends at xmax. http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from anchorloc.data.formats.image_finder import ImageFolder, shown_size
from anchorloc.data.formats.labels import (
    POLYGONS,
    ROTATED,
    SPLITS,
    Box,
    Builder,
    LabeledData,
    Notes,
    around,
    labeled_data,
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
FROM_ZERO = (
    "boxes that begin at 0: {}; VOC counts from 1, so their tool may have counted from 0 and all boxes lie 1 px off"
)
Node = ElementTree.Element


def read_voc(source: Path, images: Path | None = None) -> LabeledData:
    """Read an XML file, or all of a folder; ImageSets/Main, or folders train, valid and test, make the splits.

    Raises:
        InputError: a file is missing or damaged, or an object has no box.
    """
    notes, categories = Notes(), dict[str, int]()
    root = source if source.is_dir() else source.parent
    if source.is_file() and root.name == "Annotations":
        root = root.parent
    known = ImageFolder(images or root, notes)
    builders = {}
    for split, paths in _files(source, root).items():
        builders[split] = builder = Builder(categories)
        for path in tracked(paths, len(paths), "reading Pascal VOC"):
            _read_file(path, known, builder, notes)
    return labeled_data(FORMAT, source, known.folder, builders, notes)


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


def _read_file(path: Path, images: ImageFolder, builder: Builder, notes: Notes) -> None:
    root = parse_xml(path)
    if root.tag != "annotation":
        raise InputError(f"{path} is not of Pascal VOC: its first element is {root.tag[:40]!r}, not 'annotation'")
    try:
        name = images.find_for(path, text_of(root, "filename") or path.stem)
        image = builder.add_image(name, _size(root, images.names[name]))
    except ItemError as error:
        raise InputError(f"{path} {error}; put the image there, or remove the file") from None
    for row, node in enumerate(root.findall("object")):
        try:
            difficult = text_of(node, "difficult") in ("1", "true", "True")
            builder.add_box(image, text_of(node, "name"), _box(node, path, notes), difficult=difficult)
        except ItemError as error:
            raise InputError(f"{path}: object {row} {error}; correct or remove it") from None


def _size(root: Node, path: Path) -> Size:
    """Return the declared (height, width), or the file's where none is declared."""
    node = root.find("size")
    words = [text_of(node, name) for name in ("height", "width")] if node is not None else []
    if not words or any(word in ("", "0") for word in words):
        return shown_size(path)
    return whole_size(*words)


def _box(node: Node, path: Path, notes: Notes) -> Box:
    """Return the box of an object in continuous pixels."""
    found = node.find("bndbox")
    if found is not None and found.find("xmin") is not None:
        left, top, right, bottom = (number(text_of(found, name), name) for name in ("xmin", "ymin", "xmax", "ymax"))
        if min(left, top) < 1:
            notes.add(FROM_ZERO, path.name)
        return left - 1, top - 1, right, bottom
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
