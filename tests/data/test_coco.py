"""COCO annotation files: what is read, what is counted, what is refused."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data import CocoData, check_same_categories, read_annotations
from anchorloc.data.packed import PackedStrings
from anchorloc.errors import InputError
from anchorloc.structures import Category
from tests.data.data_sets import document, write_data_set, write_document

Change = Callable[[dict[str, Any]], object]


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
        "4 annotations have no iscrowd: taken as 0",
        "2 annotations have no area: taken as width x height of the box",
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


def in_annotation(**changes: Any) -> Change:
    return lambda content: content["annotations"][2].update(changes)


def in_image(**changes: Any) -> Change:
    return lambda content: content["images"][1].update(changes)


def in_category(**changes: Any) -> Change:
    return lambda content: content["categories"][0].update(changes)


def without(*keys: Any) -> Change:
    def remove(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return remove


BAD: dict[str, tuple[Change, list[str]]] = {
    "no images key": (without("images"), ["images"]),
    "no annotations key": (without("annotations"), ["annotations"]),
    "no categories key": (without("categories"), ["categories"]),
    "images is an object": (lambda c: c.update(images={}), ["images"]),
    "an image is a number": (lambda c: c.update(images=[5]), ["item 0", "images", "5"]),
    "no images": (lambda c: c.update(images=[], annotations=[]), ["no images"]),
    "no categories": (lambda c: c.update(categories=[], annotations=[]), ["no categories"]),
    "image without id": (without("images", 1, "id"), ["image", "item 1", "None"]),
    "image without name": (without("images", 1, "file_name"), ["image 2", "file_name None"]),
    "image without width": (without("images", 1, "width"), ["image 2", "width None"]),
    "height 0": (in_image(height=0), ["image 2", "height 0"]),
    "half a pixel": (in_image(height=24.5), ["image 2", "height 24.5"]),
    "width is text": (in_image(width="32"), ["image 2", "width '32'"]),
    "width is true": (in_image(width=True), ["image 2", "width True"]),
    "endless width": (in_image(width=1e300), ["image 2", "width 1e+300"]),
    "image id twice": (in_image(id=1), ["image id 1", "twice"]),
    "mixed image ids": (in_image(id="2"), ["mix", "1", "'2'"]),
    "image id is a float": (in_image(id=2.0), ["item 1", "2.0"]),
    "image id is null": (in_image(id=None), ["item 1", "None"]),
    "image id beyond 64 bits": (in_image(id=2**63), ["item 1", "64 bits"]),
    "name is a number": (in_image(file_name=5), ["image 2", "file_name 5"]),
    "name is empty": (in_image(file_name=""), ["image 2", "file_name ''"]),
    "absolute name": (in_image(file_name="/etc/hostname"), ["image 2", "/etc/hostname"]),
    "climbing name": (in_image(file_name="a/../../b.png"), ["image 2", "a/../../b.png"]),
    "climbing Windows name": (in_image(file_name="a\\..\\..\\b.png"), ["image 2", "b.png"]),
    "name with a drive": (in_image(file_name="C:\\b.png"), ["image 2", "b.png"]),
    "name with a null byte": (in_image(file_name="b\0.png"), ["image 2", "null byte"]),
    "name that is no text": (in_image(file_name="b\ud800.png"), ["image 2", "not valid text"]),
    "category id twice": (in_category(id=3), ["category id 3", "twice"]),
    "mixed category ids": (in_category(id="7"), ["mix", "3", "'7'"]),
    "category without id": (without("categories", 0, "id"), ["category", "None"]),
    "category without name": (without("categories", 0, "name"), ["category 7", "name None"]),
    "category name is a number": (in_category(name=5), ["category 7", "name 5"]),
    "no box": (without("annotations", 2, "bbox"), ["annotation 13", "bbox None"]),
    "box of three": (in_annotation(bbox=[1, 2, 3]), ["annotation 13", "[1, 2, 3]"]),
    "box of text": (in_annotation(bbox=[1, 2, 3, "4"]), ["annotation 13", "[1, 2, 3, '4']"]),
    "box with true": (in_annotation(bbox=[1, 2, 3, True]), ["annotation 13", "True"]),
    "box with null": (in_annotation(bbox=[1, 2, None, 4]), ["annotation 13", "None"]),
    "nested box": (in_annotation(bbox=[[1, 2, 3, 4]]), ["annotation 13", "[[1, 2, 3, 4]]"]),
    "negative width": (in_annotation(bbox=[1, 2, -3, 4]), ["annotation 13", "-3", "negative"]),
    "negative height": (in_annotation(bbox=[1, 2, 3, -0.5]), ["annotation 13", "-0.5", "negative"]),
    "box too far": (in_annotation(bbox=[1.1e7, 2, 3, 4]), ["annotation 13", "11000000.0", "10,000,000"]),
    "box too far left": (in_annotation(bbox=[-1.1e7, 2, 3, 4]), ["annotation 13", "-11000000.0"]),
    "huge integer": (in_annotation(bbox=[1, 2, 10**250, 4]), ["annotation 13"]),
    "unknown category": (in_annotation(category_id=4), ["annotation 13", "category_id 4"]),
    "category of another type": (in_annotation(category_id="7"), ["annotation 13", "category_id '7'", "is a text"]),
    "category is true": (in_annotation(category_id=True), ["annotation 13", "category_id True"]),
    "no category": (without("annotations", 2, "category_id"), ["annotation 13", "category_id None"]),
    "unknown image": (in_annotation(image_id=4), ["annotation 13", "image_id 4"]),
    "image is a list": (in_annotation(image_id=[1]), ["annotation 13", "image_id [1]"]),
    "annotation id twice": (in_annotation(id=11), ["annotation id 11", "twice"]),
    "mixed annotation ids": (in_annotation(id="13"), ["mix", "11", "'13'"]),
    "annotation id is a float": (in_annotation(id=1.5), ["item 2", "1.5"]),
    "iscrowd 2": (in_annotation(iscrowd=2), ["annotation 13", "iscrowd 2"]),
    "iscrowd is text": (in_annotation(iscrowd="0"), ["annotation 13", "iscrowd '0'"]),
    "ignored, not crowd": (in_annotation(iscrowd=0, ignore=1), ["annotation 13", "ignore 1"]),
    "negative area": (in_annotation(area=-1), ["annotation 13", "area -1"]),
    "area is text": (in_annotation(area="400"), ["annotation 13", "area '400'"]),
    "endless area": (in_annotation(area=1e300), ["annotation 13", "area 1e+300"]),
}


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


PLACES: list[tuple[Any, ...]] = [
    ("images",), ("images", 0), ("annotations",), ("annotations", 1), ("categories",), ("categories", 0),
    *[("images", 0, key) for key in document()["images"][0]],
    *[("annotations", 1, key) for key in document()["annotations"][1]],
    *[("annotations", 1, "bbox", place) for place in range(4)],
    *[("categories", 0, key) for key in ("id", "name")],
]  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


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
    with pytest.raises(InputError, match=r"instances_val\.json does not exist"):
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
    check_same_categories(train, train)
    with pytest.raises(InputError, match=r"7 \('dog'\) that val lacks.* 7 \('wolf'\) that train lacks"):
        check_same_categories(train, data.open("val"))


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
        if name != "coco128":  # of which most images are not there
            assert source.check_images() == ()
    assert tuple(counts) == COUNTS[name]
    check_same_categories(data.open("train"), data.open("val"))
