"""A mend never destroys what may be sound: each case has one reading that keeps the labels, or says what was lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anchorloc.cli import run_command
from anchorloc.data import CocoData
from anchorloc.doctor import CocoDocument, Rule, diagnose, repair
from anchorloc.doctor.__main__ import main
from anchorloc.doctor.explanations import FACTORS
from anchorloc.errors import InputError
from tests.doctor.doctor_cases import keys

WIDTH, HEIGHT = 96, 64
BOXES = [[66, 8, 24, 30], [4, 30, 24, 30], [40, 5, 50, 20], [70, 40, 20, 20]]


def content(boxes: Sequence[Sequence[float]], size: tuple[int, int] = (WIDTH, HEIGHT), **image: Any) -> dict[str, Any]:
    annotations = [
        {"id": row, "image_id": 1, "category_id": 1, "bbox": list(box), "area": box[2] * box[3], "iscrowd": 0}
        for row, box in enumerate(boxes, start=1)
    ]
    images = [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1], **image}]
    return {"images": images, "categories": [{"id": 1, "name": "cell"}], "annotations": annotations}


def written(folder: Path, document: dict[str, Any], *options: str) -> tuple[int, dict[str, Any] | None]:
    """Run --fix; return the exit status and the copy."""
    path, out = folder / "in.json", folder / "out.json"
    path.write_text(json.dumps(document))
    out.unlink(missing_ok=True)
    status = run_command(main, [str(path), "--fix", str(out), *options])
    return status, json.loads(out.read_text()) if out.exists() else None


def boxes(document: dict[str, Any] | None) -> list[list[float]]:
    assert document is not None
    return [annotation["bbox"] for annotation in document["annotations"]]


def test_scaling_keeps_polygons_and_counts_the_masks_it_loses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = content([[20, 10, 40, 20], [4, 2, 40, 20]])
    first, second = document["annotations"]
    first |= {"segmentation": [[20, 10, 60, 10, 60, 30]], "area": 400}
    second["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}
    _, fixed = written(tmp_path, document, "--fix-scale", "2")
    assert boxes(fixed) == [[10, 5, 20, 10], [2, 1, 20, 10]]
    assert fixed is not None
    assert fixed["annotations"][0]["segmentation"] == [[10, 5, 30, 5, 30, 15]]
    assert [item["area"] for item in fixed["annotations"]] == [100, 200]
    assert "1  mask: removed, since only polygons can be scaled" in capsys.readouterr().out


def test_a_scale_refers_to_the_size_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    document = content([[2 * value for value in box] for box in BOXES], (HEIGHT, WIDTH))
    options = (f"--images={tmp_path}", "--fix-scale=2")
    status, fixed = written(tmp_path, document, *options)
    assert "4 divided by 2" in capsys.readouterr().out  # by the declared size, 3
    assert (status, boxes(fixed)) == (0, BOXES)


def test_texts_of_numbers_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = content([*BOXES, BOXES[0]])
    first, second, third, *_, last = document["annotations"]
    first["bbox"] = [str(value) for value in first["bbox"]]
    second["iscrowd"], third["iscrowd"] = "1", "no"
    last["category_id"] = None
    _, fixed = written(tmp_path, document)
    assert boxes(fixed) == BOXES
    assert fixed is not None
    assert [item["iscrowd"] for item in fixed["annotations"]] == [0, 1, 0, 0]
    assert "1 box is gone; what it shows is background from now on" in capsys.readouterr().out


def test_references_by_name_and_boxes_from_another_corner_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = content(BOXES)
    first, second, third, fourth = document["annotations"]
    first.update(image_id="a.png", category_id="cell")
    second["image_id"], third["image_id"] = "a", "b.png"
    fourth["bbox"] = [90, 60, -20, -20]
    _, fixed = written(tmp_path, document)
    assert boxes(fixed) == [*BOXES[:2], BOXES[3]]
    assert fixed is not None
    assert [(item["image_id"], item["category_id"]) for item in fixed["annotations"]] == [(1, 1)] * 3
    printed = capsys.readouterr().out
    for said in ("image_id is a name; its id written; first annotation 1", "height: taken from the other corner\n"):
        assert said in printed
    assert "1  annotation whose image_id is not listed: removed\n" in printed


def test_boxes_given_as_objects_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = content(BOXES)
    first = document["annotations"][0]
    first["bbox"] = dict(zip(("x", "y", "width", "height"), first["bbox"], strict=True))
    _, fixed = written(tmp_path, document)
    assert boxes(fixed) == BOXES
    assert "object written as a list" in capsys.readouterr().out
    for bbox in ("[66, 8, 24, 30]", {"x1": 66, "y1": 8, "x2": 90, "y2": 38}, [[[66, 8, 24, 30]]]):
        document["annotations"][0]["bbox"] = bbox
        assert boxes(written(tmp_path, document)[1]) == BOXES
    document["annotations"][0]["bbox"] = {"cx": 78, "cy": 23, "w": 24, "h": 30}
    assert written(tmp_path, document) == (2, None)


def test_exchanged_sizes_cut_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = content(BOXES, (HEIGHT, WIDTH))
    status, fixed = written(tmp_path, document)
    assert (status, boxes(fixed)) == (1, BOXES)
    printed = capsys.readouterr().out
    assert "inside: 1 of 4 as written, 4 with width and height exchanged" in printed
    assert "1  file whose boxes fit if width and height are exchanged" in printed.split("wrote")[1]
    status, fixed = written(tmp_path, document, "--fix-swapped")
    assert (status, boxes(fixed)) == (0, BOXES)
    assert fixed is not None
    assert (fixed["images"][0]["width"], fixed["images"][0]["height"]) == (WIDTH, HEIGHT)


def test_no_box_is_judged_by_a_size_that_the_same_pass_changes(tmp_path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    status, fixed = written(tmp_path, content(BOXES, (HEIGHT, WIDTH)), "--images", str(tmp_path), "--stride", "1")
    assert (status, boxes(fixed)) == (0, BOXES)


def test_one_scale_is_named_and_not_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubled = [[2 * value for value in box] for box in BOXES]
    status, fixed = written(tmp_path, content(doubled))
    assert (status, boxes(fixed)) == (1, doubled)
    said = capsys.readouterr().out
    assert "inside: 0 of 4 as written, 4 divided by 2" in said
    assert "--fix clips the box" not in said
    assert "one reading of the file explains it; --fix leaves such boxes" in said
    status, fixed = written(tmp_path, content(doubled), "--fix-scale", "2", "--stride", "1")
    assert (status, boxes(fixed)) == (0, BOXES)


def test_corners_are_named_from_one_box_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, fixed = written(tmp_path, content([[50, 40, 90, 60]]))
    assert (status, boxes(fixed)) == (1, [[50, 40, 90, 60]])
    assert "1 as x1, y1, x2, y2" in capsys.readouterr().out
    status, fixed = written(tmp_path, content([[50, 40, 90, 60]]), "--fix-xyxy")
    assert (status, boxes(fixed)) == (0, [[50, 40, 40, 20]])


@pytest.mark.parametrize("options", [["--fix-xyxy"], ["--fix-scale", "2"], ["--fix-shares"]])
def test_boxes_are_converted_whatever_ids_are_mended(tmp_path: Path, options: list[str]) -> None:
    """Only the boxes of valid ids were converted; the others were mended, and stayed in the other format."""
    corners = [[x, y, x + width, y + height] for x, y, width, height in BOXES]
    factors = (2, 2) if "2" in options else (1 / WIDTH, 1 / HEIGHT)
    scaled = [(np.array(box) * np.tile(factors, 2)).tolist() for box in BOXES]
    given = corners if options == ["--fix-xyxy"] else scaled
    document = content(given)
    document["images"][0]["id"] = 1.0
    document["annotations"][0] |= {"image_id": "1", "id": 3}
    document["annotations"][1] |= {"image_id": "a.png", "category_id": "cell"}
    document["annotations"][2] |= {"bbox": [[str(value) for value in given[2]]]}
    x, y, right, bottom = corners[3]
    if options == ["--fix-xyxy"]:  # the keys say that they are corners: it is read so once
        document["annotations"][3]["bbox"] = {"x1": x, "y1": y, "x2": right, "y2": bottom}
    _, fixed = written(tmp_path, document, *options, "--stride", "1")
    np.testing.assert_allclose(boxes(fixed), BOXES)
    assert fixed is not None
    assert [item["image_id"] for item in fixed["annotations"]] == [1] * 4
    assert [item["id"] for item in fixed["annotations"]] == [1, 2, 3, 4]
    assert [item["category_id"] for item in fixed["annotations"]] == [1] * 4


def test_shares_are_refused_by_training_and_converted_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = content([[0.25, 0.5, 0.5, 0.25]])
    assert written(tmp_path, document) == (2, None)
    said = "cannot be fixed: file whose boxes look normalized to 0..1 (1 box lies within 0 to 1, all but 2% at most);"
    assert said in capsys.readouterr().err
    data = CocoData(tmp_path, train="in.json", val="in.json")
    with pytest.raises(InputError, match=r"lie within 0 to 1, as shares of the image.*--fix-shares"):
        data.open("train")
    status, fixed = written(tmp_path, document, "--fix-shares")
    assert (status, boxes(fixed)) == (0, [[24, 32, 48, 16]])


def test_a_single_box_that_leaves_its_image_is_still_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, fixed = written(tmp_path, content([*BOXES, [-5, 5, 20, 20], [200, 5, 20, 20]]))
    assert (status, boxes(fixed)) == (0, [*BOXES, [0, 5, 15, 20]])
    assert "1 box is gone; what it shows is background from now on" in capsys.readouterr().out


def test_names_that_are_numbers_become_their_text_and_no_name_is_doubled(tmp_path: Path) -> None:
    document = content(BOXES)
    names: list[Any] = [1, 10, None, "2", None]
    document["categories"] = [
        {"id": number, "name": name} for number, name in zip((10, 1, 2, 3, 7), names, strict=True)
    ]
    _, fixed = written(tmp_path, document)
    assert fixed is not None
    assert {one["id"]: one["name"] for one in fixed["categories"]} == {10: "1", 1: "10", 2: "2 (id 2)", 3: "2", 7: "7"}


def test_a_root_category_is_removed_on_request_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = content(BOXES)
    cell = {"id": 1, "name": "cell", "supercategory": "cells"}
    document["categories"] = [{"id": 0, "name": "cells", "supercategory": "none"}, cell]
    status, fixed = written(tmp_path, document)
    assert status == 0
    assert fixed is not None
    assert fixed["categories"] == document["categories"]
    status, fixed = written(tmp_path, document, "--drop-root")
    assert status == 0
    assert fixed is not None
    assert fixed["categories"] == [cell]
    assert boxes(fixed) == BOXES
    assert "1  root category of a Roboflow export, which is no class: removed" in capsys.readouterr().out
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    words = [str(tmp_path / "in.json"), "--convert", "yolo", str(tmp_path / "yolo")]
    assert run_command(main, [*words, "--drop-root"]) == 0
    assert "names:\n  0: cell\n" in (tmp_path / "yolo/data.yaml").read_text()
    assert run_command(main, [str(tmp_path / "in.json"), "--drop-root"]) == 2
    assert "--drop-root needs --fix OUT" in capsys.readouterr().err


def test_an_empty_name_becomes_the_id(tmp_path: Path) -> None:
    document = content(BOXES)
    for name in (" ", float("nan")):
        document["categories"] = [{"id": 1, "name": name}, {"id": 2, "name": "cell"}]
        status, fixed = written(tmp_path, document)
        assert status == 0
        assert fixed is not None
        assert [one["name"] for one in fixed["categories"]] == ["1", "cell"]


@pytest.mark.parametrize("stated", ["Images\\A.PNG", "a%2Epng", " a.png ", "export/A.png"])
def test_a_file_of_a_near_name_is_found_and_said(
    tmp_path: Path, stated: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photos" / "a.png")
    document = content(BOXES, file_name=stated)
    _, fixed = written(tmp_path, document, "--images", str(tmp_path / "photos"))
    assert fixed is not None
    assert fixed["images"][0]["file_name"] == "a.png"
    assert "renamed" in capsys.readouterr().out


def test_a_missing_file_is_not_mended_by_removal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    options = ("--images", str(tmp_path / "photos"))
    assert written(tmp_path, content(BOXES), *options) == (2, None)
    said = "cannot be fixed: 1 image without a file in the images folder (image 1 (a.png): does not exist); add the"
    assert said in capsys.readouterr().err
    document = content(BOXES)
    document["images"].append({"id": 2, "file_name": "b.png", "width": WIDTH, "height": HEIGHT})
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photos" / "b.png")
    status, fixed = written(tmp_path, document, *options, "--drop-missing")
    assert (status, boxes(fixed)) == (1, [])
    printed = capsys.readouterr().out
    assert "4 boxes are gone" in printed or "annotations of a removed image: removed" in printed
    assert "1  file without a box to train on" in printed.split("wrote")[1]


def test_names_come_from_coco_url_and_a_refusal_names_what_emptied_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = content(BOXES)
    del document["images"][0]["file_name"]
    assert written(tmp_path, document) == (2, None)
    said = "cannot be fixed: 1 image whose file_name is missing or leaves the images folder (image 1: file_name None"
    assert said in capsys.readouterr().err
    document["images"][0]["coco_url"] = "http://images.cocodataset.org/val2017/a.jpg"
    status, fixed = written(tmp_path, document)
    assert status == 0
    assert fixed is not None
    assert fixed["images"][0]["file_name"] == "val2017/a.jpg"


ANY_BOX = st.tuples(st.integers(-30, 150), st.integers(-30, 150), st.integers(0, 120), st.integers(0, 120))
INSIDE = st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(1, 36), st.integers(1, 24))


@given(st.lists(st.one_of(INSIDE, INSIDE, ANY_BOX), min_size=1, max_size=12), st.sampled_from([1, 2]))
def test_no_sound_box_is_absent_or_changed_unless_it_is_counted(
    drawn: list[tuple[int, int, int, int]], scale: int
) -> None:
    document = content([[scale * value for value in box] for box in drawn])
    diagnosis = diagnose([CocoDocument(Path("a.json"), document)])
    before = {row: list(item["bbox"]) for row, item in enumerate(document["annotations"])}
    sound = [
        box
        for x, y, width, height in before.values()
        for box in [[x, y, width, height]]
        if x >= 0 and y >= 0 and x + width <= WIDTH and y + height <= HEIGHT and width and height
    ]
    try:
        fixed, counts = repair(diagnosis, 8, False)
    except InputError:
        return  # nothing is written
    after = [item["bbox"] for item in fixed.documents[0].items("annotations")]
    for box in sound:
        assert box in after
    changed = sum(number for (_, action), number in counts.items() if action in ("removed", "clipped"))
    assert sum(box not in after for box in before.values()) <= changed
    if {"other-scale", "swapped-sizes", "like-xyxy"} & keys(diagnosis):
        assert all(box in after for box in before.values() if box[2] and box[3])


def test_no_label_is_removed_for_a_size_that_nobody_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = content(BOXES, width=None)
    assert written(tmp_path, document) == (2, None)
    assert "width or height is missing or invalid (image 1 (a.png): width None" in capsys.readouterr().err
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    options = ("--images", str(tmp_path), "--stride", "1")
    status, fixed = written(tmp_path, document, *options)
    assert (status, boxes(fixed)) == (0, BOXES)
    printed = capsys.readouterr().out
    assert "1  image without width and height\n         image 1 (a.png): the file has 96 x 64 px" in printed
    assert "1  image without width and height: size taken from the file" in printed


def test_labels_of_resized_images_are_scaled_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (WIDTH // 2, HEIGHT // 2)).save(tmp_path / "a.png")
    options = ("--images", str(tmp_path), "--stride", "1")
    assert written(tmp_path, content(BOXES), *options) == (2, None)
    assert "takes the file's size if boxes fit; --fix-resized scales them" in capsys.readouterr().err
    status, fixed = written(tmp_path, content(BOXES), *options, "--fix-resized")
    assert (status, boxes(fixed)) == (0, [[value / 2 for value in box] for box in BOXES])
    assert "1  image: declared and its boxes scaled to the size of its file" in capsys.readouterr().out
    assert written(tmp_path, content(BOXES), "--fix-resized") == (2, None)
    assert "--fix-resized needs --images DIR" in capsys.readouterr().err


SIDES = st.tuples(st.integers(40, 200), st.integers(40, 200))


@given(declared=SIDES, of_file=SIDES, drawn=st.lists(INSIDE, min_size=1, max_size=4))
def test_a_size_is_only_replaced_where_no_box_moves_or_leaves(
    declared: tuple[int, int], of_file: tuple[int, int], drawn: list[tuple[int, int, int, int]]
) -> None:
    """Either nothing is written, or every box that was inside by the size of the file is as it was."""
    document = content([list(box) for box in drawn], declared)
    with TemporaryDirectory() as folder:
        Image.new("RGB", of_file).save(Path(folder, "a.png"))
        try:
            fixed, counts = repair(diagnose([CocoDocument(Path("a.json"), document, Path(folder))]), 8, False)
        except InputError:
            return
    after = [item["bbox"] for item in fixed.documents[0].items("annotations")]
    inside = [list(box) for box in drawn if box[0] + box[2] <= of_file[0] and box[1] + box[3] <= of_file[1]]
    assert all(box in after for box in inside)
    changed = sum(number for (_, action), number in counts.items() if action in ("removed", "clipped"))
    assert sum(list(box) not in after for box in drawn) <= changed


def test_annotations_without_a_bbox_get_the_box_of_their_polygon(tmp_path: Path) -> None:
    document = content(BOXES)
    del document["annotations"][1]["bbox"]
    document["annotations"][1].update(segmentation=[[4, 30, 28, 30, 28, 60]], area=360)
    document["annotations"][2].update(bbox=[], segmentation=None)
    status, fixed = written(tmp_path, document)
    assert (status, boxes(fixed)) == (0, [BOXES[0], [4, 30, 24, 30], BOXES[3]])


def test_a_size_of_the_other_exif_reading_is_taken_only_where_more_boxes_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stored 96 x 64 px, shown 64 x 96."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.jpg", exif=exif)
    options = ("--images", str(tmp_path), "--stride", "1", "data.orientation=ignore")
    document = content([[4, 30, 24, 30]], (HEIGHT, WIDTH), file_name="a.jpg")
    assert written(tmp_path, document, *options) == (2, None)
    said = "96 x 64 px (data.orientation=ignore), declared 64 x 96); --fix takes the size as read if more boxes fit"
    assert said in capsys.readouterr().err
    document = content(BOXES, (HEIGHT, WIDTH), file_name="a.jpg")
    status, fixed = written(tmp_path, document, *options)
    assert fixed is not None
    assert (status, boxes(fixed)) == (1, BOXES)
    assert (fixed["images"][0]["width"], fixed["images"][0]["height"]) == (WIDTH, HEIGHT)
    said = "\n         size taken from the file (data.orientation=ignore); image 1 (a.jpg)\n"
    assert said in capsys.readouterr().out


def test_nan_is_removed_with_its_box_and_is_null_where_nothing_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = content(BOXES)
    document["info"] = {"version": float("inf")}
    document["annotations"][0]["attributes"] = {"speed": [1, float("nan")]}
    document["annotations"][1]["bbox"][2] = float("nan")
    status, fixed = written(tmp_path, document, "--stride", "1")
    printed = capsys.readouterr().out
    assert "3 times Infinity and NaN, first at annotations[0].attributes.speed[1]" in printed
    assert fixed is not None
    assert (status, boxes(fixed), fixed["info"]) == (0, [BOXES[0], *BOXES[2:]], {"version": None})
    assert fixed["annotations"][0]["attributes"] == {"speed": [1, None]}
    said = "annotation: NaN or Infinity written as null\n         annotations[0].attributes.speed[1]\n"
    assert said in printed
    document = content(BOXES)
    document["annotations"][3]["segmentation"] = [[1, 2, 3, float("nan"), 5, 6]]
    assert written(tmp_path, document) == (2, None)
    assert "(1 time NaN, first at annotations[3].segmentation[0][3]); --fix removes such" in capsys.readouterr().err
    document["annotations"][0]["bbox"] = [float("nan")] * 4
    assert written(tmp_path, document) == (2, None)
    said = "out.json cannot be written: annotations[2].segmentation[0][3] is NaN or infinite; correct it"
    assert said in capsys.readouterr().err


def test_nested_boxes_are_unwrapped_and_other_numbers_are_removed_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = content(BOXES)
    document["annotations"][0]["bbox"] = [BOXES[0]]
    options = ("--stride", "1")
    assert written(tmp_path, document, *options) == (0, content(BOXES))
    assert "1  box of other numbers than x, y, width, height: nested list unwrapped\n" in capsys.readouterr().out
    document["annotations"][1]["bbox"] = [*BOXES[1], 0.9]
    document["annotations"][2]["bbox"] = [[40, 5], [90, 25]]
    assert written(tmp_path, document, *options) == (2, None)
    where = "(first: annotation 2 (a.png): bbox [4, 30, 24, 30, 0.9] is not a list"
    assert f"2 boxes of other numbers than x, y, width, height {where}" in capsys.readouterr().err
    status, fixed = written(tmp_path, document, *options, "--drop-boxes")
    assert (status, boxes(fixed)) == (0, [BOXES[0], BOXES[3]])
    printed = capsys.readouterr().out
    assert "than x, y, width, height: removed\n         first annotation 2 (a.png)\n" in printed
    assert "2 boxes are gone; what they show is background from now on" in printed


def test_a_file_that_cannot_be_opened_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither as a missing nor as a damaged one, not even with --drop-missing."""
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(photo)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("PIL.Image.open", refuse)
    options = ("--images", str(photo.parent), "--drop-missing")
    assert written(tmp_path, content(BOXES), *options) == (2, None)
    printed = capsys.readouterr()
    assert "image whose file may be there but cannot be opened" in printed.err
    assert "image 1 (a.png): cannot be read: Permission denied" in printed.out


@given(
    factor=st.sampled_from(FACTORS),
    drawn=st.lists(st.tuples(st.floats(0, 0.8), st.floats(0, 0.8)), min_size=20, max_size=40),
)
def test_the_scale_is_that_of_the_images_and_no_smaller_one(factor: float, drawn: list[tuple[float, float]]) -> None:
    """Boxes up to the edges of the annotated images, five by five; one box is drawn wrong."""
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    shares = np.array([[x, y, 0.2, 0.2] for x, y in drawn] + [[0.8, 0.8, 0.2, 0.2]] * 5)
    written_boxes = [[round(value, 6) for value in box] for box in (shares * size * factor).tolist()]
    document = content([*written_boxes, [20 * WIDTH, 0, 9, 9]])
    found = diagnose([CocoDocument(Path("a.json"), document)]).findings
    inside = sum(x * factor + 0.2 * factor <= 1.02 and y * factor + 0.2 * factor <= 1.02 for x, y, *_ in shares)
    if inside < 0.6 * len(document["annotations"]):
        assert f"divided by {factor:g}" in found.cases[Rule.OTHER_SCALE][0].value
    else:
        assert Rule.OTHER_SCALE not in found.cases


def test_a_missing_file_does_not_cost_the_images_that_are_only_misnamed(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "a.png")
    document = content(BOXES[1:2], file_name="up\\a.png")
    document["images"].append({**document["images"][0], "id": 2, "file_name": "up\\gone.png"})
    document["annotations"].append({**document["annotations"][0], "id": 2, "image_id": 2})
    assert written(tmp_path, document, "--images", str(folder)) == (2, None)
    _, fixed = written(tmp_path, document, "--images", str(folder), "--drop-missing")
    assert fixed is not None
    assert [image["file_name"] for image in fixed["images"]] == ["a.png"]
    assert boxes(fixed) == BOXES[1:2]
