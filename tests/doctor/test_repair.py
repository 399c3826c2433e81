"""Fixing: the copy has no error, training reads it, and no valid item changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data import read_annotations
from anchorloc.doctor import Rule, Severity, diagnose, read_document, repair, write_json_rows
from anchorloc.doctor.conversions import xyxy_to_xywh
from anchorloc.errors import InputError
from tests.data.coco_cases import JSON_VALUES, PLACES
from tests.data.data_sets import write_document
from tests.doctor.doctor_cases import Changes, clean, mutated


def fix(path: Path, content: Any) -> tuple[dict[str, Any], dict[tuple[str, str], int]]:
    """Write and fix a file, and return the content of the fixed copy and the number of each fix."""
    diagnosis = diagnose([read_document(write_document(path, content), whole=True)])
    fixed, counts = repair(diagnosis, 8, False, drop_missing=True, drop_boxes=True)
    write_json_rows(path.with_suffix(".fixed"), fixed.documents[0].content)
    return json.loads(path.with_suffix(".fixed").read_text(encoding="utf-8")), dict(counts)


NEAR_MISSES = st.sampled_from(
    [0, 1, 2, 3, 7, 11, "1", "2", "7", 1.0, 2.0, 7.0, True, "a.png", "b.png", [-5, -5, 20, 20], [1, 1, 0, 0]]
)  # fmt: skip


@given(
    changes=st.lists(st.tuples(st.sampled_from(PLACES), JSON_VALUES | NEAR_MISSES), min_size=1, max_size=5),
    repeated=st.sampled_from(["", "images", "annotations", "categories"]),
)
def test_what_is_fixed_is_read_by_training(
    changes: Changes, repeated: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, content = tmp_path_factory.getbasetemp() / "fix.json", mutated(changes)
    if isinstance(content.get(repeated), list):
        content[repeated] = content[repeated] * 2
    try:
        fix(path, content)
    except InputError as error:
        reasons = (
            "no list 'images'",
            "no image would be left",
            "file without images",
            "file without categories",
            "twice",
            "is infinite",
            "whose width or height is missing or invalid",
        )
        assert any(reason in str(error) for reason in reasons)  # noqa: PT017
        return
    read_annotations(path.with_suffix(".fixed"))
    again = diagnose([read_document(path.with_suffix(".fixed"), whole=True)])
    assert not again.findings.by_severity(Severity.ERROR)
    assert not repair(again, 8, False)[1]


def test_nothing_is_changed_in_a_clean_file(tmp_path: Path) -> None:
    content = clean()
    content["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5, 6.5]], area=12)
    content["licenses"] = [{"id": 1, "name": "CC0 \ud800 é"}]
    fixed, counts = fix(tmp_path / "a.json", content)
    assert counts == {}
    assert fixed == content


def test_what_a_fixed_file_holds(tmp_path: Path) -> None:
    content = clean()
    first, second, third, fourth, fifth, sixth = content["annotations"]
    first.update(bbox=[-10, 20, 100, 50], area=5000)  # clipped, and its area follows
    second.update(
        bbox=[600, 400, 80, 100], area=77, segmentation=[[1, 2, 3, 4, 5, 6]]
    )  # clipped; the mask's area stays
    third.update(image_id="1", iscrowd=None, area=None)  # means image 1
    fourth.update(category_id=4)
    fifth.update(bbox=[9, 9, 0, 5])
    sixth.update(ignore=1, id=0)
    fixed, counts = fix(tmp_path / "a.json", content)
    assert fixed["annotations"] == [
        {**first, "id": 1, "bbox": [0, 20, 90, 50], "area": 4500},
        {**second, "id": 2, "bbox": [600, 400, 40, 80]},
        {**third, "id": 3, "image_id": 1, "iscrowd": 0, "area": 140 * 80},
        {**sixth, "id": 4, "iscrowd": 1},
    ]
    assert {key: fixed[key] for key in ("info", "images", "categories")} == {
        key: content[key] for key in ("info", "images", "categories")
    }
    assert counts == {
        (Rule.UNKNOWN_IMAGE.title, "image_id converted to the type of the id"): 1,
        (Rule.UNKNOWN_CATEGORY.title, "removed"): 1,
        (Rule.EMPTY_BOX.title, "removed"): 1,
        (Rule.PARTLY_OUTSIDE.title, "clipped"): 2,
        (Rule.NO_AREA.title, "area set to width x height"): 1,
        (Rule.NO_CROWD.title, "iscrowd set to 0"): 1,
        (Rule.IGNORE_FLAG.title, "iscrowd set to 1"): 1,
        ("annotation", "renumbered from 1"): 4,
    }


def test_images_of_one_id_are_merged_only_if_they_are_one_file(tmp_path: Path) -> None:
    content = clean()
    content["images"].append(content["images"][0])
    fixed, _ = fix(tmp_path / "same.json", content)
    assert [image["id"] for image in fixed["images"]] == [1, 2]
    assert len(fixed["annotations"]) == 6
    content["images"][2] = {**content["images"][0], "file_name": "other.png"}
    fixed, counts = fix(tmp_path / "other.json", content)
    assert [image["id"] for image in fixed["images"]] == [2]
    assert {item["image_id"] for item in fixed["annotations"]} == {2}
    assert counts["annotation of a removed image", "removed"] == 3


def test_ids_of_pandas_and_mixed_ids_are_followed(tmp_path: Path) -> None:
    content = clean()
    for item in content["images"] + content["categories"]:
        item["id"] = float(item["id"])
    for item in content["annotations"]:
        item.update(image_id=float(item["image_id"]), category_id=float(item["category_id"]))
    fixed, _ = fix(tmp_path / "float.json", content)
    assert fixed == clean()

    content = clean()
    content["images"][0]["id"] = "one"
    for item in content["annotations"][:3]:
        item["image_id"] = "one"
    fixed, _ = fix(tmp_path / "mixed.json", content)
    assert [(image["id"], image["file_name"]) for image in fixed["images"]] == [(1, "1.png"), (2, "2.png")]
    assert [item["image_id"] for item in fixed["annotations"]] == [1, 1, 1, 2, 2, 2]


def test_xyxy_is_converted_and_refused_where_it_is_invalid(tmp_path: Path) -> None:
    content = clean()
    for item in content["annotations"]:
        x, y, width, height = item["bbox"]
        item["bbox"] = [x, y, x + width, y + height]
    path = write_document(tmp_path / "a.json", content)
    document = read_document(path, whole=True)
    converted, count = xyxy_to_xywh(document, diagnose([document]).tables[0])
    assert count == 6
    assert converted.content == clean()
    with pytest.raises(InputError, match="4 of 6 boxes have x2 < x1 or y2 < y1"):
        xyxy_to_xywh(converted, diagnose([converted]).tables[0])


def test_what_cannot_be_fixed_is_refused_in_one_sentence(tmp_path: Path) -> None:
    said = r"a\.json cannot be fixed: file without categories \(categories: \[\]\); list the classes"
    with pytest.raises(InputError, match=said):
        fix(tmp_path / "a.json", clean() | {"categories": [{"name": "dog"}]})
    text = json.dumps(clean()).replace("2026", "1e999")
    with pytest.raises(InputError, match=r"b\.fixed cannot be written: info\.year is NaN or infinite; correct it"):
        fix(tmp_path / "b.json", text)
    assert not (tmp_path / "b.fixed").exists()
