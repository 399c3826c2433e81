"""Labels of other tools: golden folders, what is said of them, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from anchorloc.data import LabelData, LabeledData, LabelSource, match_categories, read, read_truth
from anchorloc.data.coco_fields import IGNORED_AREA
from anchorloc.data.formats import READERS, find_kind, reading_progress
from anchorloc.data.formats.yolo import label_path, read_yolo
from anchorloc.data.label_data import open_all
from anchorloc.errors import InputError
from anchorloc.metrics import evaluate
from anchorloc.structures import Detections
from benchmarks.fuzz_files import mutate_bytes
from tests.data.formats.golden import BLUE, FOLDERS, RED, A, B, boxes_by_name, photo, text, ultralytics, voc


@pytest.mark.parametrize("name", FOLDERS)
def test_a_golden_folder_is_read(tmp_path: Path, name: str) -> None:
    make, said = FOLDERS[name]
    source = make(tmp_path / "labels")
    data = read(source)
    assert data.describe() == said
    found = boxes_by_name(data)
    assert dict(found["a.jpg"]).keys() == {"red", "blue"}
    for category, box in (("red", RED), ("blue", BLUE)):
        np.testing.assert_allclose(dict(found["a.jpg"])[category], box, atol=1e-9)
    assert not found.get("b.jpg")
    for labels in data.splits.values():
        for image in labels.document["images"]:
            assert (labels.folder / image["file_name"]).is_file()
            size = {"a.jpg": A, "b.jpg": B}[image["file_name"].rpartition("/")[2]]
            assert (image["width"], image["height"]) == size
    assert find_kind(source) == next(kind for kind, reader in READERS.items() if data.format in _formats(reader))


WINDOWS = ["darknet", "voc", "labelme", "cvat", "retinanet-csv", "tensorflow-csv", "label-studio-coco", "via-csv"]


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("folder", ["work\\", "C:\\Users\\me\\work\\"])
def test_paths_of_windows_in_label_files_are_found(tmp_path: Path, name: str, folder: str) -> None:
    make, said = FOLDERS[name]
    source = make(tmp_path / "labels")
    for path in [*(tmp_path / "labels").rglob("*.*")]:
        if path.suffix != ".jpg":
            slash = "\\\\" if path.suffix == ".json" else "\\"

            def on_windows(found: re.Match[str], slash: str = slash) -> str:
                return slash.join(re.split(r"[/\\]", folder + found[0]))

            content = re.sub(r"[\w./]*\b[ab]\.jpg", on_windows, path.read_text(encoding="utf-8"))
            path.write_text(content.replace("\n", "\r\n"), encoding="utf-8", newline="")
    data = read(source)
    assert data.describe() == said
    assert dict(boxes_by_name(data)["a.jpg"])["red"] == pytest.approx(RED)


def _formats(reader: Callable[..., object]) -> set[str]:
    return {sys.modules[reader.__module__].FORMAT}


def test_a_data_set_of_another_tool_trains_and_is_scored(tmp_path: Path) -> None:
    data = LabelData(ultralytics(tmp_path))
    train, val = data.open("train"), data.open("val")
    assert train.categories == val.categories
    assert [category.name for category in train.categories] == ["blue", "red"]
    assert train.image(0).shape == (80, 100, 3)
    assert isinstance(train, LabelSource)
    said = "Ultralytics YOLO: 2 classes, 1 train, 1 val images; images are read from "
    assert train.description == f"{said}{tmp_path / 'images'}"
    assert any("polygons without a box: 1" in warning for warning in train.warnings)
    assert train.fingerprint != val.fingerprint
    with pytest.raises(InputError, match=r"no test split, but train, val; make one by `anchorloc doctor .* --split"):
        LabelData(tmp_path, val="test").open("val")


def test_train_and_val_come_from_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def read_and_count(source: Path, images: Path | None = None) -> LabeledData:
        calls.append(source)
        return read_yolo(source, images)

    monkeypatch.setitem(READERS, "yolo", read_and_count)
    data = LabelData(ultralytics(tmp_path))
    train, val, _ = open_all(data)
    assert calls == [tmp_path]
    assert [train.fingerprint, val.fingerprint] == [data.open("train").fingerprint, data.open("val").fingerprint]
    both = open_all(LabelData(tmp_path, train="train", val="train"))
    assert len(calls) == 4
    assert both[0] is both[1]
    assert both[0].fingerprint == train.fingerprint


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_far_a_long_reading_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[float, str] = {}
    path = tmp_path / "[all].json"
    path.write_text("[]")
    for patience in (0.0, 60.0):
        monkeypatch.setattr(reading_progress, "PATIENCE", patience)
        monkeypatch.setattr(reading_progress, "LARGE", patience)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        assert list(reading_progress.tracked(range(4), 4, "reading lines")) == [0, 1, 2, 3]
        with reading_progress.parsing(path):
            pass
        shown[patience] = terminal.getvalue()
    assert "reading lines" in shown[0]
    assert "reading [all].json (0 MiB)" in shown[0]
    assert shown[60] == ""
    for stderr, rank in ((io.StringIO(), "0"), (Terminal(), "1")):
        monkeypatch.setattr(reading_progress, "PATIENCE", 0.0)
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setenv("RANK", rank)
        assert list(reading_progress.tracked([5], 1, "reading lines")) == [5]
        assert stderr.getvalue() == ""


@pytest.mark.parametrize(
    ("corners", "expected", "said"),
    [
        ([(1, 1, 50, 20), (11, 21, 40, 60)], [[0, 0, 50, 20], [10, 20, 30, 40]], None),
        ([(0, 0, 49, 19), (10, 20, 39, 59)], [[0, 0, 50, 20], [10, 20, 30, 40]], "pixels counted from 0"),
        ([(0, 0, 50, 20), (10, 20, A[0], 60)], [[0, 0, 50, 20], [10, 20, A[0] - 10, 40]], "edges, from 0 to the size"),
        ([(0, 1, 50, 20), (11, 21, 40, 60)], [[-1, 0, 51, 20], [10, 20, 30, 40]], "are read 1 px outside"),
    ],
)
def test_corners_of_voc_that_count_from_0_are_recognized(
    corners: list[tuple[int, ...]], expected: list[list[int]], said: str | None, tmp_path: Path
) -> None:
    path = voc(tmp_path) / "Annotations/a.xml"
    keys = ("xmin", "ymin", "xmax", "ymax")
    boxes = ("".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, box, strict=True)) for box in corners)
    objects = "".join(f"<object><name>red</name><bndbox>{box}</bndbox></object>" for box in boxes)
    before, _, rest = path.read_text().partition("<object>")
    path.write_text(before + objects + rest.rpartition("</object>")[2])
    data = read(tmp_path)
    annotations = data.splits["train"].document["annotations"]
    assert [annotation["bbox"] for annotation in annotations] == expected
    assert [annotation["area"] for annotation in annotations] == [box[2] * box[3] for box in expected]
    assert [note for note in data.notes if "where VOC counts from 1" in note and str(said) in note] == list(data.notes)
    assert bool(data.notes) == bool(said)


def test_rectangles_of_via_read_at_once_are_those_read_one_by_one(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", A)
    chance = Random(0)
    rectangles: list[dict[str, Any]] = [
        {
            "shape_attributes": {"name": "rect"}
            | {key: chance.uniform(0, 40) for key in ("x", "y", "width", "height")},
            "region_attributes": {"class": chance.choice(["red", " blue ", 3])},
        }
        for _ in range(20)
    ]
    point = {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}, "region_attributes": {"class": "red"}}
    found = []
    for regions in (rectangles, [point, *rectangles]):
        content = {"a.jpg9": {"filename": "a.jpg", "size": 9, "regions": regions, "file_attributes": {}}}
        text(tmp_path / "via.json", json.dumps(content))
        found.append(read(tmp_path).splits["all"].document)
    assert found[0] == found[1]
    assert len(found[0]["annotations"]) == 20
    rectangles[7]["shape_attributes"]["width"] = "wide"
    text(tmp_path / "via.json", json.dumps(content))
    with pytest.raises(InputError, match=r"a\.jpg, region 8 has width 'wide', which is not a number"):
        read(tmp_path)


def test_difficult_objects_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    """As VOC's devkit scores: a detection of one is no false positive, and missing it lowers no recall."""
    voc(tmp_path)
    truth = read_truth(tmp_path / "Annotations/a.xml")
    target = truth.target(0)
    assert not target.crowd.any()
    assert sorted(target.area.tolist()) == [30 * 40, IGNORED_AREA]
    assert any("1 object is marked as difficult" in warning for warning in truth.warnings)
    labels = {category.name: label for label, category in enumerate(truth.categories)}
    red = Detections(np.array([RED]), np.array([0.5]), np.array([labels["red"]]), np.array([0]), truth.image_id(0))
    both = Detections(
        np.array([BLUE, RED]), np.array([0.9, 0.5]), np.array([labels["blue"], labels["red"]]), np.zeros(2, int), 1
    )
    for found in (red, both):
        assert evaluate([target], [found], truth.categories).summary.ap == pytest.approx(1.0)


def test_a_label_file_lies_in_labels_where_its_image_lies_in_images() -> None:
    assert label_path(Path("/d/images/x/images/a.b.jpg")) == Path("/d/images/x/labels/a.b.txt")
    assert label_path(Path("/d/photos/a.JPG")) == Path("/d/photos/a.txt")


def test_what_was_not_read_as_written_is_counted(tmp_path: Path) -> None:
    notes = {name: " ".join(read(make(tmp_path / name)).notes) for name, (make, _) in FOLDERS.items()}
    assert "polygons without a box: 1; the box around their points is used (first: a.txt)" in notes["ultralytics"]
    assert "images without a label file: 1; they are background (first: b.txt)" in notes["ultralytics"]
    assert "paths that begin with ../ and do not exist: 2; they were read without it" in notes["roboflow-yolo"]
    assert read(tmp_path / "roboflow-yolo").place() == f"images are read from {tmp_path / 'roboflow-yolo'}"
    assert "points and lines, which have no box: 1" in notes["labelme"]
    assert "images without file_name: 2; the end of their URL is used (first: val2017/a.jpg)" in notes["lvis"]
    assert "ids written as texts: 2" in notes["via-coco"]
    assert "file names that are written otherwise" in notes["label-studio-coco"]


def test_rotated_rectangles_are_counted(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", A)
    box = '<box label="red" xtl="30" ytl="30" xbr="50" ybr="40" rotation="90.0"/>'
    head = '<annotations><image id="0" name="a.jpg" width="100" height="80">'
    text(tmp_path / "annotations.xml", f"{head}{box}</image></annotations>")
    data = read(tmp_path)
    assert "rotated rectangles: 1; the upright box around each is loose" in data.notes[0]
    np.testing.assert_allclose(boxes_by_name(data)["a.jpg"][0][1], [35, 25, 45, 45], atol=1e-9)


WRONG: dict[str, tuple[str, str, str]] = {  # name: (file, content, what the error says)
    "pixels": ("labels/train/a.txt", "0 25 40 30 40", r"a\.txt, line 1, has 25, which is not a fraction of the image"),
    "class": (
        "labels/train/a.txt",
        "0 .5 .5 .1 .1\n2 .5 .5 .1 .1",
        r"line 2, has the class 2, which is none of the 2",
    ),
    "word": ("labels/train/a.txt", "0 .5 .5 x .1", r"line 1, has the value 'x', which is not a number"),
    "short": ("labels/train/a.txt", "0 .5 .5 .1", r"line 1, has 4 values; a box has 5, a polygon 7 or more"),
    "names": ("data.yaml", "train: images/train\nnames: {1: a}", r"the keys of names are 1, not 0, 1, 2"),
    "no-images": ("data.yaml", "train: nowhere\nnames: [a]", r"names 'nowhere', which does not exist below"),
    "not-yaml": ("data.yaml", "names: [a\ntrain: b: c", r"looked for data\.yaml, obj\.data|is not YAML"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    file, content, said = WRONG[name]
    ultralytics(tmp_path)
    text(tmp_path / file, content)
    with pytest.raises(InputError, match=said):
        read(tmp_path, "yolo")


def test_a_folder_without_labels_or_boxes_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", A)
    with pytest.raises(InputError, match=r"has no labels that are read, and 1 image; looked for COCO's JSON"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"does not exist; check the path"):
        read(tmp_path / "none")
    with pytest.raises(InputError, match=r"the format 'yol' is unknown; did you mean 'yolo'"):
        read(tmp_path, "yol")
    text(tmp_path / "classes.txt", "red\n")
    with pytest.raises(InputError, match=r"was read as Ultralytics YOLO and has 1 image and 0 boxes"):
        read(tmp_path)


def test_a_path_in_a_label_file_cannot_leave_the_folder(tmp_path: Path) -> None:
    photo(tmp_path / "secret.jpg", A)
    photo(tmp_path / "set/b.jpg", B)
    text(tmp_path / "set/labels.csv", "../secret.jpg,1,2,3,4,red\n")
    with pytest.raises(InputError, match=r"line 1, names the image '\.\./secret\.jpg', which is not below"):
        read(tmp_path / "set")
    shapes = [{"label": "red", "points": [[1, 2], [3, 4]], "shape_type": "rectangle"}]
    content = {"shapes": shapes, "imagePath": "..\\..\\secret.jpg", "imageHeight": 80, "imageWidth": 100}
    (tmp_path / "set/labels.csv").unlink()
    text(tmp_path / "set/x.json", json.dumps(content))
    with pytest.raises(InputError, match="which is not below"):
        read(tmp_path / "set")


def test_classes_of_one_name_are_matched_where_ids_differ(tmp_path: Path) -> None:
    source = FOLDERS["roboflow-coco"][0](tmp_path)
    path = source / "valid/_annotations.coco.json"
    document = json.loads(path.read_text())
    document["categories"] = [{"id": 7, "name": "red"}, {"id": 9, "name": "blue"}]
    document["annotations"] = [
        {"id": 1, "image_id": 2, "category_id": 9, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
    ]
    path.write_text(json.dumps(document))
    data = LabelData(source)
    train, val = data.open("train"), data.open("val")
    mapped = match_categories(val, train.categories)
    assert mapped.categories == train.categories
    assert [mapped.categories[label].name for label in mapped.target(0).labels] == ["blue"]
    assert mapped.warnings[-1] == "val has the classes under other ids than train; they are matched by name"


def via_file(root: Path, *regions: tuple[dict[str, Any], dict[str, Any]]) -> Path:
    """Write the annotations of one image; return their folder."""
    photo(root / "a.jpg", A)
    made = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes in regions]
    image = {"filename": "https://example.org/a.jpg?size=1", "size": -1, "regions": made, "file_attributes": {}}
    text(root / "via_region_data.json", json.dumps({"a": image | {"filename": "http://example.org/x/A.jpg"}}))
    return root


RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}


def test_the_class_of_a_via_region_is_an_attribute(tmp_path: Path) -> None:
    shapes: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (RECT, {"Label": {"red": True, "blue": False}, "score": 5}),
        ({"name": "circle", "cx": 50, "cy": 40, "r": 10.5}, {"Label": "blue", "score": ""}),
        ({"name": "ellipse", "cx": 50, "cy": 40, "rx": 20, "ry": 10, "theta": math.pi / 2}, {"Label": 7, "score": ""}),
    ]
    found = boxes_by_name(read(via_file(tmp_path / "a", *shapes)))["a.jpg"]
    assert [category for category, _ in found] == ["red", "blue", "7"]
    boxes = np.array([[10, 20, 40, 60], [39.5, 29.5, 60.5, 50.5], [40, 20, 60, 60]])
    np.testing.assert_allclose(np.array([box for _, box in found]), boxes, atol=1e-9)
    one = boxes_by_name(read(via_file(tmp_path / "b", (RECT, {"what": "red", "note": ""}))))
    assert one["a.jpg"] == [("red", [10, 20, 40, 60])]


NO_VIA: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {  # name: (shape, attributes, what the error says)
    "two attributes": (
        RECT,
        {"color": "red", "size": "large"},
        "has regions with the attributes color, size, and none is called class, label, name",
    ),
    "no attribute": (RECT, {}, "has no attribute with the class of a region; add one named class in VIA"),
    "several classes": (
        RECT,
        {"type": {"red": True, "blue": True}},
        r"via_region_data\.json: a\.jpg, region 0 has several classes: red, blue",
    ),
    "shape": ({"name": "cloud"}, {"type": "red"}, r"a\.jpg, region 0 has the shape 'cloud', which is not known"),
    "corner": (RECT | {"x": "left"}, {"type": "red"}, "region 0 has x 'left', which is not a number"),
    "polygon": (
        {"name": "polygon", "all_points_x": [1], "all_points_y": []},
        {"type": "red"},
        "region 0 is a polygon whose all_points_x and all_points_y are not lists of one length",
    ),
}


@pytest.mark.parametrize("name", NO_VIA)
def test_a_wrong_via_region_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    shape, attributes, said = NO_VIA[name]
    with pytest.raises(InputError, match=said):
        read(via_file(tmp_path, (shape, attributes)))


def test_a_project_of_via_3_is_named(tmp_path: Path) -> None:
    parts = ("project", "config", "attribute", "file", "metadata", "view")
    text(tmp_path / "via.json", json.dumps({part: {} for part in parts}))
    with pytest.raises(InputError, match=r"via\.json is a project of VIA 3, which is not read; export it as COCO"):
        read(tmp_path / "via.json", "via")


def test_vott_reads_tags_and_says_which_images_nobody_has_seen(tmp_path: Path) -> None:
    source = FOLDERS["vott-export"][0](tmp_path)
    path = source / "vott-json-export/photos-export.json"
    content = json.loads(path.read_text())
    content["assets"]["01"]["asset"]["state"] = 0
    content["assets"]["00"]["regions"][0]["tags"] = ["red", "blue"]
    content["assets"]["00"]["asset"]["size"] = None
    path.write_text(json.dumps(content))
    data = read(source)
    assert [category["name"] for category in data.splits["all"].document["categories"]] == ["red", "blue"]
    found = boxes_by_name(data)
    assert [category for category, _ in found["a.jpg"]] == ["red", "blue", "blue"]
    assert found["a.jpg"][0][1] == found["a.jpg"][1][1] == list(RED)
    notes = " ".join(data.notes)
    assert "images that nobody has opened in VoTT: 1; they are background (first: vott-json-export/b.jpg)" in notes
    assert "regions with several tags: 1; each tag has a box" in notes
    content["assets"]["00"]["regions"][0]["tags"] = []
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"export\.json: asset '00', region 0 has the tags \[\], which name no class"):
        read(source)


def test_azure_reads_crowds_and_polygons_and_refuses_a_wrong_line(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", A)
    polygon = {"label": "blue", "polygon": [["0.5", "0.1", "0.9", "0.1", "0.9", "0.4"]]}
    crowd = {"label": "red", "topX": 0.1, "topY": 0.25, "bottomX": 0.4, "bottomY": 0.75, "isCrowd": "true"}
    line = json.dumps({"image_url": "azureml://subscriptions/1/paths/photos/a.jpg", "label": [polygon, crowd]})
    text(tmp_path / "labels.jsonl", f"{line}\n\n")
    data = read(tmp_path)
    found = dict(boxes_by_name(data)["a.jpg"])
    np.testing.assert_allclose([found["red"], found["blue"]], [RED, BLUE], atol=1e-9)
    assert [item["iscrowd"] for item in data.splits["all"].document["annotations"]] == [0, 1]
    for wrong, said in (
        ("{", r"line 1, is not JSON: Expecting"),
        ('{"image_url": "a.jpg", "label": "red"}', "line 1, has no list label of boxes"),
        ('{"image_url": "a.jpg", "label": [{"label": "red", "topX": 0}]}', "line 1, label 0 has topY None"),
        ('{"image_url": "c.jpg", "label": []}', "line 1, names the image 'c.jpg', which is not below"),
    ):
        text(tmp_path / "labels.jsonl", wrong)
        with pytest.raises(InputError, match=said):
            read(tmp_path)


def test_a_data_yaml_without_names_is_the_cause(tmp_path: Path) -> None:
    source = ultralytics(tmp_path / "set")
    source = source if source.is_dir() else source.parent
    [path] = source.glob("*.yaml")
    path.unlink()
    text(source / "data.yaml", "train: images/train\n")
    with pytest.raises(InputError, match=r"data\.yaml has no names; list the classes"):
        read(source)


def test_labels_whose_image_is_missing_are_counted(tmp_path: Path) -> None:
    source = ultralytics(tmp_path / "set")
    text(tmp_path / "set/labels/train/gone.txt", "0 .5 .5 .1 .1\n")
    text(tmp_path / "set/labels/train/notes.txt", "drawn by hand\n")
    assert "label files without an image: 1; they are left out (first: gone.txt)" in read(source).notes


def test_csv_may_have_other_separators_and_no_unknown_header(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg", A)
    for separator in (";", "\t"):
        text(tmp_path / "labels.csv", "filename,x1,y1,x2,y2,class\na.jpg,1,2,3,4,red\n".replace(",", separator))
        [annotation] = read(tmp_path).splits["all"].document["annotations"]
        assert annotation["bbox"] == [1, 2, 2, 2]
    for header in ("filename,x,y,w,h,class", "file,w,h,label,x,y,x2,y2", "filename,box,class"):
        text(tmp_path / "labels.csv", f"{header}\na.jpg,1,2,3,4,red\n")
        with pytest.raises(InputError, match=r"line 1, .*is no header with path, left, top.*[a-z]$") as caught:
            read(tmp_path)
        assert "remove the line" not in str(caught.value)  # its numbers would be taken for corners


def test_a_file_that_is_no_label_file_is_named(tmp_path: Path) -> None:
    names = {  # name and content: what is said
        ("labels.zip", b"PK\x03\x04"): "is a ZIP archive; unpack it",
        ("labels.json", gzip.compress(b"{}")): "is compressed by gzip; unpack it",
        ("labels.xml", "<annotations/>".encode("utf-32-le")): "is not XML",
        ("labels.xml", b"%PDF-1.5"): "is a PDF document; give the file of the labels",
        ("labels.csv", "a.jpg,1,2,3,4,red".encode("utf-16")): "is UTF-16 text; save it as UTF-8",
        ("labels.tfrecord", b"\x10\x00\x00\x00\x00\x00"): "is none of the label files that are read: COCO's JSON",
        ("results.json", b'[{"image_id": 1}]'): "holds a list, as files of detections do; give the annotations",
    }
    for (name, content), said in names.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=re.escape(f"{name} ") + said):
            read(tmp_path / name)
    ultralytics(tmp_path / "yolo")
    (tmp_path / "yolo/labels/train/a.txt").write_bytes("0 .5 .5 .1 .1".encode("utf-16"))
    with pytest.raises(InputError, match=r"a\.txt is UTF-16 text; save it as UTF-8"):
        read(tmp_path / "yolo")


@pytest.mark.parametrize("name", FOLDERS)
def test_mutated_files_raise_nothing_but_the_projects_error(tmp_path: Path, name: str) -> None:
    make, _ = FOLDERS[name]
    source = make(tmp_path / "set")
    files = [path for path in sorted((tmp_path / "set").rglob("*")) if path.is_file() and path.suffix != ".jpg"]
    contents = {path: path.read_bytes() for path in files}
    chance, refused = Random(name), 0
    for _ in range(60):
        path = chance.choice(files)
        path.write_bytes(mutate_bytes(contents[path], chance))
        try:
            read(source)
        except InputError:
            refused += 1
        path.write_bytes(contents[path])
    assert 0 < refused < 60


def test_a_wrong_number_of_classes_and_scores_in_yolo_are_said(tmp_path: Path) -> None:
    root = ultralytics(tmp_path / "set")
    description, label = root / "data.yaml", root / "labels/train/a.txt"
    description.write_text(f"nc: 7\n{description.read_text()}")
    before = read(root)
    label.write_text(label.read_text().replace("\n", " 0.75\n", 1))
    after = read(root)
    assert "data.yaml whose nc differs from its number of names: 1; the names count (first: nc 7," in str(after.notes)
    said = f"lines with a sixth value, as predictions have their score: 1; it is left out (first: {label.name})"
    assert said not in before.notes
    assert said in after.notes
    for split, labels in before.splits.items():
        assert labels.document == after.splits[split].document
