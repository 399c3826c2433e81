"""What `write` writes, `read` reads again: every class and box, to 1e-6 of the image side."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorloc.data import LabeledData, Labels, read, write
from anchorloc.data.formats import WRITERS
from anchorloc.errors import InputError
from tests.data.formats.golden import boxes_by_name, photo, ultralytics

WIDTH, HEIGHT = 97, 53
corners = st.tuples(*[st.floats(0, 1)] * 4).filter(lambda c: abs(c[0] - c[2]) > 1e-3 and abs(c[1] - c[3]) > 1e-3)
objects = st.lists(st.tuples(st.sampled_from(["a cell", "<b> & 'c'", "ü"]), corners), min_size=1, max_size=4)
splits = st.one_of(st.fixed_dictionaries({"all": objects}), st.fixed_dictionaries({"train": objects, "val": objects}))


def labeled(folder: Path, drawn: dict[str, Any]) -> LabeledData:
    """Return labels of one photograph for each split."""
    names = sorted({category for some in drawn.values() for category, _ in some})
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(names)]
    found = {}
    for split, some in drawn.items():
        photo(folder / f"{split} 1.png", (WIDTH, HEIGHT))
        annotations = []
        for number, (category, (x1, y1, x2, y2)) in enumerate(some, 1):
            left, right = sorted((x1 * WIDTH, x2 * WIDTH))
            top, bottom = sorted((y1 * HEIGHT, y2 * HEIGHT))
            box = [left, top, right - left, bottom - top]
            ids = {"id": number, "image_id": 1, "category_id": names.index(category) + 1}
            annotations.append(ids | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        images = [{"id": 1, "file_name": f"{split} 1.png", "width": WIDTH, "height": HEIGHT}]
        found[split] = Labels(folder, {"images": images, "categories": categories, "annotations": annotations}, folder)
    return LabeledData("COCO", found)


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=15)
@given(splits)
def test_writing_and_reading_gives_the_same_boxes(kind: str, drawn: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        data = labeled(Path(temporary, "photos"), drawn)
        write(data, kind, f"{temporary}/out")
        if kind in ("coco", "cvat"):  # they hold no images
            (Path(temporary, "photos")).rename(Path(temporary, "out", "images"))
        again = read(Path(temporary, "out"))
        assert len(again.splits) == len(drawn)
        before, after = boxes_by_name(data), boxes_by_name(again)
        assert before.keys() == after.keys()
        for name in before:
            assert [category for category, _ in before[name]] == [category for category, _ in after[name]]
            for (_, box), (_, found) in zip(before[name], after[name], strict=True):
                np.testing.assert_allclose(found, box, rtol=0, atol=1e-6 * min(WIDTH, HEIGHT))


def test_a_filled_folder_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    data = read(ultralytics(tmp_path / "set"))
    with pytest.raises(InputError, match="exists and is not an empty folder; give another folder for --convert"):
        write(data, "coco", tmp_path / "set")
    with pytest.raises(InputError, match="'tfrecord' cannot be written; choose one of coco, yolo"):
        write(data, "tfrecord", tmp_path / "out")


def test_splits_with_other_ids_are_written_by_name(tmp_path: Path) -> None:
    drawn = {"train": [("a", (0.1, 0.1, 0.5, 0.5)), ("b", (0.2, 0.2, 0.9, 0.9))], "val": [("b", (0.1, 0.3, 0.4, 0.7))]}
    data = labeled(tmp_path / "photos", drawn)
    val = data.splits["val"].document
    val["categories"] = [{"id": 1, "name": "b"}, {"id": 2, "name": "a"}]
    write(data, "yolo", tmp_path / "out")
    assert (tmp_path / "out/labels/val/val 1.txt").read_text().startswith("0 ")  # id 2 is a in val, b in train
    val["categories"].pop()
    said = r"categories of train and val differ, only in train: 'a' \(id 1\); give all splits the same classes"
    with pytest.raises(InputError, match=said):
        write(data, "voc", tmp_path / "other")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_name_of_two_classes_is_written_where_ids_decide(tmp_path: Path, kind: str) -> None:
    data = labeled(tmp_path / "photos", {"all": [("a", (0.1, 0.1, 0.5, 0.5)), ("b", (0.2, 0.2, 0.9, 0.9))]})
    for category in data.splits["all"].document["categories"]:
        category["name"] = "a"
    if kind in ("coco", "yolo"):
        write(data, kind, tmp_path / "out")
        document = read(tmp_path / "out").splits["all" if kind == "coco" else "train"].document
        assert [one["name"] for one in document["categories"]] == ["a", "a"]
        assert [one["category_id"] for one in document["annotations"]] == [1, 2]
    else:
        with pytest.raises(InputError, match=r"has several categories named 'a', with the ids 1, 2, and this format"):
            write(data, kind, tmp_path / "out")


def test_labels_that_no_reader_would_take_are_refused(tmp_path: Path) -> None:
    for number, (changes, kinds, said) in enumerate(
        [
            ({"bbox": [10, 10, -5, 5]}, ("yolo", "voc", "labelme", "cvat"), "annotation 1 .*negative"),
            ({"bbox": None}, ("yolo", "cvat"), "annotation 1 .*bbox None"),
            ({"category_id": 7}, ("voc", "labelme"), "annotation 1 .*category_id 7"),
            ({"image_id": 7}, ("yolo", "cvat"), "annotation 1 .*image_id 7"),
            ({"bbox": [90, 40, 20, 20]}, ("yolo",), "lies outside it, for which YOLO has no numbers"),
        ]
    ):
        data = labeled(tmp_path / f"photos{number}", {"all": [("a", (0.1, 0.1, 0.5, 0.5))]})
        data.splits["all"].document["annotations"][0] |= changes
        for kind in kinds:
            with pytest.raises(InputError, match=said):
                write(data, kind, tmp_path / f"{kind}{number}")
    for kind in ("voc", "labelme", "cvat"):  # the last box is one that they hold
        write(data, kind, tmp_path / kind)


def test_yolo_refers_to_the_size_of_the_file(tmp_path: Path) -> None:
    data = labeled(tmp_path / "photos", {"all": [("a", (0.1, 0.1, 0.5, 0.5))]})
    data.splits["all"].document["images"][0] |= {"width": HEIGHT, "height": WIDTH}
    with pytest.raises(InputError, match=f"is {WIDTH} x {HEIGHT} px as viewers show it"):
        write(data, "yolo", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]  # nothing is left of a refused conversion


@pytest.mark.parametrize("kind", ["yolo", "voc", "labelme"])
def test_names_that_differ_in_case_alone(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files on most file systems; refused where they are one."""
    data = labeled(tmp_path / "photos", {"all": [("a", (0.1, 0.1, 0.5, 0.5))]})
    is_blind = (tmp_path / "PHOTOS").exists()
    photo(tmp_path / "photos" / "ALL 1.png", (WIDTH, HEIGHT))
    images = data.splits["all"].document["images"]
    images.append({**images[0], "id": 2, "file_name": "ALL 1.png"})
    if not is_blind:
        write(data, kind, tmp_path / "out")
        assert sorted(boxes_by_name(read(tmp_path / "out"))) == ["ALL 1.png", "all 1.png"]

    def exists(path: Path) -> bool:
        return path.parent.is_dir() and any(one.name.lower() == path.name.lower() for one in path.parent.iterdir())

    if not is_blind:
        monkeypatch.setattr(Path, "exists", exists)
    with pytest.raises(InputError, match=r"two images would both be called ALL 1\.png; rename one of them"):
        write(data, kind, tmp_path / "blind")
    assert not (tmp_path / "blind").exists()


def test_images_are_copied_where_they_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    data = labeled(tmp_path / "photos", {"all": [("a", (0.1, 0.1, 0.5, 0.5))]})
    write(data, "voc", tmp_path / "out")
    source, copy = tmp_path / "photos" / "all 1.png", tmp_path / "out" / "JPEGImages" / "all 1.png"
    assert copy.read_bytes() == source.read_bytes()
    assert not copy.samefile(source)
