"""COCO annotation files: what is read, what is counted, what is refused."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data import CocoData, match_categories, read_annotations
from anchorloc.data.coco_reader import PackedStrings
from anchorloc.errors import InputError
from anchorloc.structures import Category
from tests.data.coco_cases import BAD, JSON_VALUES, PLACES
from tests.data.data_sets import document, write_data_set, write_document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annotations.json"


def test_a_file_in_order_is_read_as_it_is(path: Path) -> None:
    data = read_annotations(write_document(path, document()))
    assert len(data) == 2
    assert data.categories == (Category(3, "cat"), Category(7, "dog"))  # by id, not as in the file
    assert data.warnings == ()
    assert [data.name(0), data.name(1)] == ["a.png", "b.png"]
    assert [data.size(0), data.size(1)] == [(30, 40), (24, 32)]
    assert [data.image_id(0), data.image_id(1)] == [1, 2]
    target = data.target(0)
    np.testing.assert_array_equal(target.boxes, [[5, 6, 12.5, 14], [10, 10, 30, 30], [30, 20, 50, 40]])
    assert target.boxes.dtype == np.float64
    np.testing.assert_array_equal(target.labels, [0, 1, 1])
    np.testing.assert_array_equal(target.crowd, [False, True, False])
    np.testing.assert_array_equal(target.area, [60, 400, 400])
    np.testing.assert_array_equal(target.rows, [1, 2, 3])  # places in the file
    np.testing.assert_array_equal(data.target(1).rows, [0])
    np.testing.assert_array_equal(data.target(1).area, [11.5])


def test_training_clips_boxes_and_leaves_out_what_nothing_can_learn(path: Path) -> None:
    content = document()
    content["annotations"] += [
        {"id": 17, "image_id": 2, "category_id": 3, "bbox": [4, 4, 0, 9], "area": 0, "iscrowd": 0},
        {"id": 18, "image_id": 2, "category_id": 3, "bbox": [4, 4, 0, 0], "area": 0, "iscrowd": 0},
        {"id": 19, "image_id": 2, "category_id": 3, "bbox": [32, 4, 9, 9], "area": 81, "iscrowd": 0},  # touches only
        {"id": 20, "image_id": 2, "category_id": 3, "bbox": [-9, -1, 10, 5], "area": 50, "iscrowd": 0},
    ]
    data = read_annotations(write_document(path, content))
    assert data.warnings == (
        "2 boxes have zero size (first: annotation 17 of image 2, b.png): kept in evaluation, not trained on",
        "1 box has no part inside their image (first: annotation 19 of image 2, b.png): "
        "kept in evaluation, not trained on",
    )
    np.testing.assert_array_equal(data.training_target(0).boxes[2], [30, 20, 40, 30])
    training = data.training_target(1)
    np.testing.assert_array_equal(training.boxes, [[1, 2, 4, 6], [0, 0, 1, 4]])
    np.testing.assert_array_equal(training.rows, [0, 7])
    np.testing.assert_array_equal(training.area, [11.5, 50])
    assert len(data.target(1)) == 5
    np.testing.assert_array_equal(data.target(1).boxes[-1], [-9, -1, 1, 4])


def test_optional_keys_have_counted_defaults(path: Path) -> None:
    content = document()
    for annotation in content["annotations"]:
        del annotation["id"], annotation["iscrowd"]
    del content["annotations"][1]["area"]
    content["annotations"][0]["area"] = None
    data = read_annotations(write_document(path, content))
    assert data.warnings == (
        "4 annotations have no iscrowd; 0 is assumed",
        "2 annotations have no area; width x height of the box is assumed",
    )
    assert not data.target(0).crowd.any()
    np.testing.assert_array_equal(data.target(0).area, [60, 400, 400])
    np.testing.assert_array_equal(data.target(1).area, [12])


def test_odd_files_that_are_fine(path: Path) -> None:
    """Byte order mark, string ids, id 0, float sizes, masks, foreign keys, an image without boxes, none at all."""
    content = document()
    content["annotations"][0] |= {"id": 0, "segmentation": [[1, 2, 3, 4, 5, 6]], "ignore": 0, "iscrowd": False}
    content["images"][0] |= {"width": 40.0, "license": 3}
    content["images"].append({"id": -5, "file_name": "sub/c.png", "height": 1, "width": 1})
    content["info"] = {"year": 2026}
    data = read_annotations(write_document(path, "\ufeff" + json.dumps(content)))
    assert [len(data.target(index)) for index in range(3)] == [3, 1, 0]
    assert data.size(0) == (30, 40)
    assert data.image_id(2) == -5
    assert len(read_annotations(write_document(path, document() | {"annotations": []})).target(0)) == 0

    content = document()
    for image in content["images"]:
        image["id"] = f"image {image['id']}"
    for category in content["categories"]:
        category["id"] = str(category["id"])
    for annotation in content["annotations"]:
        annotation["id"] = f"№ {annotation['id']}"
        annotation["image_id"] = f"image {annotation['image_id']}"
        annotation["category_id"] = str(annotation["category_id"])
    data = read_annotations(write_document(path, content))
    assert data.image_id(1) == "image 2"
    assert data.categories == (Category("3", "cat"), Category("7", "dog"))


@pytest.mark.parametrize("case", BAD)
def test_a_bad_item_is_refused_in_one_sentence(case: str, path: Path) -> None:
    change, fragments = BAD[case]
    content = document()
    change(content)
    with pytest.raises(InputError) as caught:
        read_annotations(write_document(path, content))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message.removeprefix(str(path))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "5", '"images"', "{", '{"images": NaN}', '{"images": [1], "images": []}']
)
def test_what_is_no_annotation_file_is_refused(text: str, path: Path) -> None:
    with pytest.raises(InputError, match=r"annotations\.json"):
        read_annotations(write_document(path, text))


def test_infinity_in_disguise_is_refused(path: Path) -> None:
    """JSON's grammar allows 1e999, which Python reads as infinity."""
    text = json.dumps(document()).replace("7.5", "1e999")
    with pytest.raises(InputError, match=r"annotation 12 .*inf.*not finite"):
        read_annotations(write_document(path, text))


def test_all_duplicates_are_named_up_to_five(path: Path) -> None:
    content = document()
    content["annotations"] = [copy.deepcopy(content["annotations"][0]) | {"id": row // 2} for row in range(14)]
    with pytest.raises(InputError, match=r"annotation id 0, 1, 2, 3, 4 and 2 more"):
        read_annotations(write_document(path, content))


def test_a_key_given_twice_among_many_is_found_at_once(path: Path) -> None:
    keys = [f'"k{number}": 0' for number in range(200_000)]
    with pytest.raises(InputError, match="the key 'k199999' twice"):
        read_annotations(write_document(path, f"{{{', '.join([*keys, keys[-1]])}}}"))


@given(place=st.sampled_from(PLACES), value=JSON_VALUES)
def test_any_value_anywhere_is_read_or_refused(
    place: tuple[Any, ...], value: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = parent = document()
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    path = write_document(tmp_path_factory.getbasetemp() / "fuzz.json", content)
    try:
        data = read_annotations(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    for index in range(len(data)):
        training = data.training_target(index)
        height, width = data.size(index)
        assert ((training.boxes >= 0) & (training.boxes <= [width, height, width, height])).all()
        assert len(training) <= len(data.target(index))


def test_an_empty_training_set_is_refused(tmp_path: Path) -> None:
    for count in (0, 1):
        root = tmp_path / str(count)
        content = document() | {"annotations": document()["annotations"][2 : 2 + count]}  # none, or a crowd alone
        data = CocoData(write_data_set(root, content, content))
        with pytest.raises(InputError, match=r"instances_train\.json has no box to train on"):
            data.open("train")
        assert len(data.open("val")) == 2


def test_paths_of_a_data_set_are_settings(tmp_path: Path) -> None:
    root = write_data_set(tmp_path)
    (root / "annotations" / "instances_val.json").rename(root / "other.json")
    (root / "images").rename(root / "val2017")
    advice = "check data.root=.* and data.val=annotations/instances_val.json, or give data=PATH"
    with pytest.raises(InputError, match=rf"instances_val\.json does not exist; {advice}"):
        CocoData(root).open("val")
    data = CocoData(root, val="other.json", images="train2017", val_images="val2017")
    assert data.open("val").check_images() == ()
    with pytest.raises(InputError, match="train2017 does not exist"):
        data.open("train").check_images()


def test_train_and_val_must_know_the_same_classes(tmp_path: Path) -> None:
    val = document()
    val["categories"][0]["name"] = "wolf"
    data = CocoData(write_data_set(tmp_path, val=val))
    train = data.open("train")
    assert match_categories(train, train.categories) is train
    said = r"of train and val differ, only in train: 'dog' \(id 7\), only in val: 'wolf' \(id 7\); give both the same"
    with pytest.raises(InputError, match=said):
        match_categories(data.open("val"), train.categories)


def test_names_beyond_ascii_are_read_in_any_locale(tmp_path: Path) -> None:
    """A C locale opens files as ASCII, and has no name for images that are called otherwise."""
    content = document()
    content["categories"][0]["name"] = "собака"
    content["images"][1]["file_name"] = "é.png"
    root = write_data_set(tmp_path, content, content)
    (root / "images" / "b.png").rename(root / "images" / "é.png")
    code = (
        "import sys; from anchorloc.data import CocoData\n"
        "from anchorloc.cli import run_command\n"
        "source = CocoData(sys.argv[1]).open('train')\n"
        "sys.exit(run_command(lambda _: print(ascii(source.categories[1].name), source.check_images()) or 0))"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for environment, status, words in ((ascii_only, 2, "set LC_ALL=C.UTF-8"), ({"LC_ALL": "C.UTF-8"}, 0, "()")):
        done = subprocess.run(
            [sys.executable, "-c", code, str(root)],
            env=os.environ | environment, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert words in done.stdout + done.stderr


@given(st.lists(st.text()))
def test_packed_strings_are_a_list_of_strings(strings: list[str]) -> None:
    packed = PackedStrings.pack(strings)
    assert len(packed) == len(strings)
    assert packed.tolist() == strings
    assert [packed[place] for place in range(-len(strings), 0)] == strings
    with pytest.raises(IndexError):
        packed[len(strings)]


def test_a_source_reaches_a_spawned_worker_whole(tmp_path: Path) -> None:
    source = CocoData(write_data_set(tmp_path)).open("train")
    copied = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copied.target(0).boxes, source.target(0).boxes)
    assert copied.name(1) == source.name(1)
    np.testing.assert_array_equal(copied.image(1), source.image(1))


COUNTS = {
    "bccd": (292, 3941, 72, 945),
    "fruits": (240, 465, 60, 117),
    "airplanes": (634, 634, 165, 165),
    "coco128": (128, 935, 128, 903),
}


@pytest.mark.parametrize("name", COUNTS)
def test_real_sets_are_read_whole(name: str, real_data: Path) -> None:
    data = CocoData(real_data / name)
    counts = []
    for split in ("train", "val"):
        source = data.open(split)
        counts += [len(source), sum(len(source.target(index)) for index in range(len(source)))]
        if name != "coco128":  # most of its images are absent
            assert source.check_images() == ()
    assert tuple(counts) == COUNTS[name]
    assert data.open("train").categories == data.open("val").categories


def test_a_data_set_reads_what_tools_write_otherwise(tmp_path: Path) -> None:
    """Names that are numbers, ids as texts and polygons without a box are read as `read` does, and said."""
    content = document()
    category, first = content["categories"][0], content["annotations"][0]
    x, y, width, height = first.pop("bbox")
    first["segmentation"] = [[x, y, x + width, y, x + width, y + height]]
    first["image_id"], category["name"] = str(first["image_id"]), 5
    root = write_data_set(tmp_path, train=content)
    source = CocoData(root).open("train")
    said = " ".join(source.warnings)
    assert "class names that are numbers: 1; they are read as their text (first: 5)" in said
    assert "ids written as texts: 1; they are read as numbers" in said
    assert "polygons without a box: 1; the box around their points is used" in said
    assert "5" in [category.name for category in source.categories]
    plain = CocoData(write_data_set(tmp_path / "plain", train=document())).open("train")
    for index in range(len(plain)):
        assert source.target(index).boxes.tolist() == plain.target(index).boxes.tolist()
        assert source.target(index).labels.tolist() == plain.target(index).labels.tolist()
