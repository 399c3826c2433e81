"""Classes by name: between splits, and in result files that name their classes."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data import CocoData, ShapesData, match_categories, read_annotations, read_results
from anchorloc.data.class_names import match_all_names, match_names, root_row
from anchorloc.data.tiles import Tiles
from anchorloc.errors import InputError
from anchorloc.structures import Category, categories_of
from tests.data.data_sets import document, write_data_set, write_document

SIDES = ("train", "val")


def named(*names: str) -> tuple[Category, ...]:
    return categories_of(enumerate(names, 1))


@given(st.permutations(["cat", "dog", "owl", "fox"]), st.permutations(["cat", "dog", "owl", "fox"]))
def test_every_class_finds_the_one_of_its_name(given_names: list[str], known_names: list[str]) -> None:
    places = match_all_names(named(*given_names), named(*known_names), SIDES, "")
    assert [known_names[place] for place in places] == given_names


def test_only_the_difference_is_shown() -> None:
    known = named(*(f"class {number}" for number in range(1000)))
    given_classes = (*known[:-1], Category("x", "other"))
    said = (
        "categories of train and val differ, only in train: 'other' (id 'x'), only in val: 'class 999' (id 1000); fix"
    )
    with pytest.raises(InputError, match=f"^the {re.escape(said)}$"):
        match_all_names(given_classes, known, SIDES, "fix")
    said = "the categories of train and val differ, only in val: 'class 999' (id 1000); fix"
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        match_all_names(known[:-1], known, SIDES, "fix")
    assert match_all_names(known[:-1], known, SIDES, "fix", more=True) == list(range(999))
    many = (
        "only in train: " + ", ".join(f"'class {number}' (id {number + 1})" for number in range(5)) + " and 995 more;"
    )
    with pytest.raises(InputError, match=re.escape(many)):
        match_all_names(known, (), SIDES, "fix")


def test_names_that_differ_in_blanks_or_case_alone_are_said(tmp_path: Path) -> None:
    said = "only in train: 'Car ' (id 1), only in val: 'car' (id 1), where 'Car ' and 'car' differ in blanks or letter"
    with pytest.raises(InputError, match=re.escape(said)):
        match_all_names(named("Car ", "bus"), named("car", "bus"), SIDES, "fix")
    content = document()
    content["categories"] = [{**content["categories"][0], "name": "Big cat"}, *content["categories"][1:]]
    content["categories"].append({"id": 99, "name": "bigcat"})
    warnings = read_annotations(write_document(tmp_path / "a.json", content)).warnings
    assert [text for text in warnings if "different classes" in text] == [
        "'Big cat' and 'bigcat' are different classes, though they differ in blanks or letter case alone"
    ]


def test_a_name_of_several_classes_decides_nothing() -> None:
    doubled, single = named("car", "bus", "car"), named("car", "bus")
    assert match_names(doubled, doubled, SIDES) == [0, 1, 2]  # nothing to decide
    assert match_names(doubled, named("bus", "van"), SIDES) == [None, 0, None]
    said = r"several categories of {} are named 'car', with the ids 1, 3, so the categories of train and val cannot be"
    with pytest.raises(InputError, match=said.format("train")):
        match_names(doubled, single, SIDES)
    with pytest.raises(InputError, match=said.format("val")):
        match_names(single, doubled, SIDES)
    assert [one.shown_name for one in doubled] == ["car (id 1)", "bus", "car (id 3)"]
    assert [one.shown_name for one in single] == ["car", "bus"]


def other_ids() -> dict[str, Any]:
    """Return the usual document with the ids of its two classes exchanged."""
    content = document()
    content["categories"] = [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}]
    for item in content["annotations"]:
        item["category_id"] = 10 - item["category_id"]
    return content


@pytest.mark.parametrize("tiles", [None, Tiles(16, 16)])
def test_a_split_gets_the_classes_of_another(tmp_path: Path, tiles: Tiles | None) -> None:
    root = write_data_set(tmp_path, train=other_ids())
    data = CocoData(root, tiles=tiles)
    train, val = data.open("train"), data.open("val")
    assert [category.name for category in train.categories] == ["dog", "cat"]
    mapped = match_categories(train, val.categories, ("val", "train"))
    assert [category.name for category in mapped.categories] == ["cat", "dog"]
    for index in range(len(train)):
        before, after = train.target(index), mapped.target(index)
        np.testing.assert_array_equal(before.boxes, after.boxes)
        assert [train.categories[label].name for label in before.labels] == [
            mapped.categories[label].name for label in after.labels
        ]
    assert mapped.warnings[: len(train.warnings)] == train.warnings
    assert "train has the classes under other ids than val; they are matched by name" in str(mapped.warnings)


def test_a_built_in_source_cannot_change_its_classes() -> None:
    source = ShapesData(train_images=1, val_images=1).open("val")
    with pytest.raises(InputError, match="which needs label files; give both the same"):
        match_categories(source, tuple(reversed(source.categories)))


ROBOFLOW = [
    {"id": 0, "name": "cells", "supercategory": "none"},
    {"id": 3, "name": "cat", "supercategory": "cells"},
    {"id": 7, "name": "dog", "supercategory": "cells"},
]


def test_the_root_category_is_named_and_dropped_on_request(tmp_path: Path) -> None:
    content = document() | {"categories": copy.deepcopy(ROBOFLOW)}
    root = write_data_set(tmp_path, content, content)
    whole = CocoData(root).open("train")
    assert [category.name for category in whole.categories] == ["cells", "cat", "dog"]
    assert whole.warnings[0].startswith(
        "category 0 'cells' is the root category of a Roboflow export, which is no class"
    )
    dropped = CocoData(root, drop_root=True).open("train")
    assert dropped.categories == (Category(3, "cat"), Category(7, "dog"))
    assert not any("root" in warning for warning in dropped.warnings)
    np.testing.assert_array_equal(dropped.target(0).labels + 1, whole.target(0).labels)


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({}, 0),
        ({"supercategory": None}, 0),
        ({"id": 7}, None),  # it has boxes
        ({"name": "other"}, None),
        ({"supercategory": "things"}, None),
    ],
)
def test_only_a_category_without_boxes_above_all_others_is_a_root(change: dict[str, Any], row: int | None) -> None:
    categories = [{**ROBOFLOW[0], **change}, *ROBOFLOW[1:]]
    assert root_row(categories, document()["annotations"]) == row
    assert root_row([5, *categories], [None, *document()["annotations"]]) == (None if row is None else 1)


def test_a_class_without_a_name_is_refused(tmp_path: Path) -> None:
    content = document()
    for name in ("", " \t"):
        content["categories"][0]["name"] = name
        with pytest.raises(InputError, match=r"category 7 \(item 0\): name '.*' is empty; name the class"):
            read_annotations(write_document(tmp_path / "a.json", content))


def test_classes_of_one_name_are_a_warning(tmp_path: Path) -> None:
    content = document()
    content["categories"][0]["name"] = "cat"
    source = read_annotations(write_document(tmp_path / "a.json", content))
    assert source.warnings[0] == "several categories have one name and count as different classes: 'cat' (ids 3, 7)"
    assert [category.shown_name for category in source.categories] == ["cat (id 3)", "cat (id 7)"]


def detection(**changes: Any) -> dict[str, Any]:
    return {"image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4.5], "score": 0.5} | changes


def labels(tmp_path: Path, content: Any, truth: Any = None) -> tuple[list[int], list[str]]:
    notes: list[str] = []
    source = read_annotations(write_document(tmp_path / "truth.json", truth or document()))
    found = read_results(write_document(tmp_path / "found.json", content), source, notes)
    return found[1].labels.tolist(), notes


def test_a_detection_that_names_its_class_is_read_by_name(tmp_path: Path) -> None:
    items = [detection(category_id=1, category_name="dog"), detection(category_name="cat"), detection(category_id=7)]
    said = "1 detection has another category_id than the class of that name in the annotations; names decide"
    assert labels(tmp_path, items) == ([1, 0, 1], [said])
    assert labels(tmp_path, [detection(category_id=None, category_name="dog")]) == ([1], [])
    with pytest.raises(
        InputError, match=r"detection \(item 0\): category_name 'Dog' is none of the 2 .*, such as 'cat'"
    ):
        labels(tmp_path, [detection(category_name="Dog")])


def test_a_doubled_name_needs_the_id_of_its_class(tmp_path: Path) -> None:
    truth = document()
    truth["categories"].append({"id": 9, "name": "dog"})
    assert labels(tmp_path, [detection(category_id=9, category_name="dog")], truth) == ([2], [])
    with pytest.raises(InputError, match="category_name 'dog' names several classes; rename all but one"):
        labels(tmp_path, [detection(category_id=3, category_name="dog")], truth)


def test_a_document_of_detections_is_read_by_its_categories(tmp_path: Path) -> None:
    categories = [{"id": 0, "name": "dog"}, {"id": 1, "name": "cat"}, {"id": 2, "name": "unused"}]
    content = {"categories": categories, "annotations": [detection(category_id=0), detection(category_id=1)]}
    found, notes = labels(tmp_path, content)
    assert found == [1, 0]
    assert notes == [
        "2 detections have another category_id than the class of that name in the annotations; names decide"
    ]
    content["annotations"].append(detection(category_id=2))
    said = "categories of the detections and the annotations differ, only in the detections: 'unused' (id 2); give the"
    with pytest.raises(InputError, match=re.escape(said)):
        labels(tmp_path, content)
    content["categories"] = [{"id": 0, "name": "owl"}]
    with pytest.raises(InputError, match=re.escape("only in the detections: 'owl' (id 0)")):
        labels(tmp_path, content)
    with pytest.raises(InputError, match="contains an object, not a list of detections"):
        labels(tmp_path, document())
