"""`anchorloc predict --annotations`: ids of images by file name, ids of classes by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anchorloc.cli import run_command
from anchorloc.data.coco_export import write_coco
from anchorloc.data.label_data import read_image_list
from anchorloc.data.shapes import ShapesData
from anchorloc.errors import InputError
from anchorloc.predict import __main__ as predict
from anchorloc.predict.image_ids import class_ids, pick_listed
from anchorloc.structures import categories_of
from tests.data.data_sets import write_document
from tests.detector.random_models import CLASSES, save_random

MODEL = categories_of(CLASSES)


def listing(names: list[str], **lists: Any) -> dict[str, Any]:
    images = [{"id": 70 + row, "file_name": name, "width": 96, "height": 96} for row, name in enumerate(names)]
    return {"info": {}, "images": images, **lists}


def picked(tmp_path: Path, files: list[str], names: list[str], explicit: bool = False) -> tuple[list[Any], list[str]]:
    """Return the (name, id) of each file that annotations list, and what is said."""
    listed = read_image_list(write_document(tmp_path / "listing.json", listing(names)))
    paths = [(tmp_path / name, name) for name in files]
    chosen, said = pick_listed(paths, {path for path, _ in paths} if explicit else (), listed)
    return [(one.name, one.image_id) for one in chosen], said


def test_the_listed_images_are_used_and_the_rest_is_counted(tmp_path: Path) -> None:
    chosen, said = picked(tmp_path, ["b.png", "c.png", "d.png"], ["a.png", "b.png"])
    assert chosen == [("b.png", 71)]
    assert said == [
        "files left out, because the annotations do not list them: 2 (first: c.png)",
        "images of the annotations that are not among the files: 1 (first: a.png)",
    ]
    assert picked(tmp_path, ["b.png", "a.png"], ["a.png", "b.png"]) == ([("b.png", 71), ("a.png", 70)], [])
    with pytest.raises(InputError, match=r"^c\.png is not among the images of the annotations; give the folder"):
        picked(tmp_path, ["b.png", "c.png"], ["a.png", "b.png"], explicit=True)
    with pytest.raises(InputError, match=r"no file, such as 'c\.png', is among the images of .*, such as 'a\.png'"):
        picked(tmp_path, ["c.png"], ["a.png", "b.png"])


def test_folders_in_names_do_not_matter_where_no_name_is_equal(tmp_path: Path) -> None:
    assert picked(tmp_path, ["b.png", "a.png"], ["val/a.png", "val\\b.png"])[0] == [("b.png", 71), ("a.png", 70)]
    assert picked(tmp_path, ["b.png", "a.png"], ["val/a.png", "b.png"])[0] == [("b.png", 71)]  # one name is equal
    with pytest.raises(
        InputError, match=r"^a\.png is the name of 1 file and of 2 images of .*, so its id is not known"
    ):
        picked(tmp_path, ["a.png"], ["val/a.png", "test/a.png"])
    with pytest.raises(InputError, match=r"^a\.png is the name of 2 files and of 1 image of "):
        picked(tmp_path, ["a.png", "x/a.png"], ["val/a.png"])


def test_classes_get_the_ids_of_their_names() -> None:
    others = categories_of([(9, "cross"), (8, "dog"), (7, "triangle"), (6, "rectangle"), (5, "ellipse")])
    changed, said = class_ids(MODEL, others)
    assert [(one.id, one.name) for one in changed] == [(5, "ellipse"), (6, "rectangle"), (7, "triangle"), (9, "cross")]
    assert said == [
        "the results have the class ids of the annotations, which differ from the model; names match the classes"
    ]
    assert class_ids(MODEL, MODEL) == (MODEL, [])
    assert class_ids(MODEL, ()) == (MODEL, [])
    lacking = r"of the model and the annotations differ, only in the model: 'cross' \(id 4\); give annotations with all"
    with pytest.raises(InputError, match=lacking):
        class_ids(MODEL, others[1:])


def test_boxes_of_annotations_are_neither_read_nor_needed(tmp_path: Path) -> None:
    boxes = [{"image_id": "?", "bbox": [float("nan")], "category_id": None}, 5]
    categories = [{"id": 3, "name": "cat"}]
    wanted = (["a.png"], [(3, "cat")])
    for lists in ({"annotations": boxes}, {}, {"annotations": None}):
        path = write_document(tmp_path / "listing.json", listing(["a.png"], categories=categories, **lists))
        found = read_image_list(path)
        assert (found.images.names.tolist(), [(one.id, one.name) for one in found.categories]) == wanted
    assert read_image_list(write_document(path, listing(["a.png"]))).categories == ()
    for content, said in (
        ([], "has no lists images and categories"),
        ({"images": {}}, "has no lists images and categories"),
        (listing([]), "no images"),
    ):
        with pytest.raises(InputError, match=said):
            read_image_list(write_document(path, content))


def test_results_have_the_ids_of_a_list_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ShapesData(train_images=1, val_images=2, size=96)
    write_coco({"val": data.open("val")}, tmp_path / "data")
    images = tmp_path / "data/images"
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(images / "stray.png")
    names = sorted(path.name for path in images.iterdir() if path.name != "stray.png")
    shuffled = [{"id": 10 * id, "name": name} for id, name in reversed(CLASSES)]
    listed = write_document(tmp_path / "image_info_val.json", listing(names, categories=shuffled))
    words = [str(save_random(tmp_path / "best.pt")), str(images), "--no-pictures", "decode.max_detections=5"]
    assert run_command(predict.main, [*words, f"--annotations={listed}", f"--out={tmp_path / 'a'}"]) == 0
    printed = capsys.readouterr().out
    assert "note: files left out, because the annotations do not list them: 1 (first: stray.png)" in printed
    assert "note: the results have the class ids of the annotations" in printed
    (images / "stray.png").unlink()
    assert run_command(predict.main, [*words, f"--out={tmp_path / 'b'}"]) == 0
    assert "annotations" not in capsys.readouterr().out
    own, theirs = (json.loads((tmp_path / out / "results.json").read_text()) for out in "ba")
    assert [one["category_id"] * 10 for one in own] == [one["category_id"] for one in theirs]
    assert {one["image_id"] for one in theirs} == {70, 71}
    assert json.loads((tmp_path / "a/images.json").read_text())["categories"] == [
        {"id": 10 * id, "name": name} for id, name in CLASSES
    ]


def test_a_mistake_in_annotations_is_reported_before_torch_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchorloc.predict.localizer.import_torch", lambda: pytest.fail("loaded torch"))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "best.pt").touch()
    listed = write_document(tmp_path / "listing.json", listing(["b.png"]))
    words = [str(tmp_path / "best.pt"), str(tmp_path), f"--annotations={listed}", f"--out={tmp_path / 'out'}"]
    assert run_command(predict.main, words) == 2
    assert "no file, such as 'a.png', is among the images of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
