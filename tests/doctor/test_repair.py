"""Mending: what is written has no error, training reads it, and nothing is touched that was in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data import read_annotations
from anchorloc.doctor import Severity, diagnose, read_document, repair, swap_xyxy, write_json_rows
from anchorloc.errors import InputError
from tests.data.coco_cases import JSON_VALUES, PLACES
from tests.data.data_sets import write_document
from tests.doctor.doctor_cases import Changes, clean, mutated


def mend(path: Path, content: Any) -> tuple[dict[str, Any], dict[tuple[str, str], int]]:
    """Write and mend a file, and return what is in the mended one and what was changed."""
    diagnosis = diagnose([read_document(write_document(path, content), whole=True)])
    mended, changes = repair(diagnosis, 8, False)
    write_json_rows(path.with_suffix(".fixed"), mended.documents[0].content)
    return json.loads(path.with_suffix(".fixed").read_text(encoding="utf-8")), dict(changes)


NEAR_MISSES = st.sampled_from(
    [0, 1, 2, 3, 7, 11, "1", "2", "7", 1.0, 2.0, 7.0, True, "a.png", "b.png", [-5, -5, 20, 20], [1, 1, 0, 0]]
)  # fmt: skip


@given(
    changes=st.lists(st.tuples(st.sampled_from(PLACES), JSON_VALUES | NEAR_MISSES), min_size=1, max_size=5),
    repeated=st.sampled_from(["", "images", "annotations", "categories"]),
)
def test_what_is_mended_is_read_by_training(
    changes: Changes, repeated: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, content = tmp_path_factory.getbasetemp() / "mend.json", mutated(changes)
    if isinstance(content.get(repeated), list):
        content[repeated] = content[repeated] * 2
    try:
        mend(path, content)
    except InputError as error:
        reasons = ("no list 'images'", "file without any image", "file without any category", "twice", "is infinite")
        assert any(reason in str(error) for reason in reasons)  # noqa: PT017
        return
    read_annotations(path.with_suffix(".fixed"))
    again = diagnose([read_document(path.with_suffix(".fixed"), whole=True)])
    assert not again.findings.of(Severity.ERROR)
    assert not repair(again, 8, False)[1]


def test_nothing_is_changed_in_a_clean_file(tmp_path: Path) -> None:
    content = clean()
    content["annotations"][0].update(segmentation=[[1, 2, 3, 4, 5, 6.5]], area=12)
    content["licenses"] = [{"id": 1, "name": "CC0 \ud800 é"}]
    fixed, changes = mend(tmp_path / "a.json", content)
    assert changes == {}
    assert fixed == content


def test_what_a_mended_file_holds(tmp_path: Path) -> None:
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
    fixed, changes = mend(tmp_path / "a.json", content)
    assert fixed["annotations"] == [
        {**first, "id": 1, "bbox": [0, 20, 90, 50], "area": 4500},
        {**second, "id": 2, "bbox": [600, 400, 40, 80]},
        {**third, "id": 3, "image_id": 1, "iscrowd": 0, "area": 140 * 80},
        {**sixth, "id": 4, "iscrowd": 1},
    ]
    assert {key: fixed[key] for key in ("info", "images", "categories")} == {
        key: content[key] for key in ("info", "images", "categories")
    }
    assert changes == {
        ("annotation of an image not listed", "image_id written as the id is"): 1,
        ("annotation of a category not listed", "removed"): 1,
        ("box of zero width or height", "removed"): 1,
        ("box partly outside the image", "clipped"): 2,
        ("annotation without area", "area is width x height now"): 1,
        ("annotation without iscrowd", "iscrowd is 0 now"): 1,
        ("annotation with ignore set, but not iscrowd", "iscrowd is 1 now"): 1,
        ("annotation", "numbered anew, from 1"): 4,
    }


def test_images_of_one_id_are_merged_only_if_they_are_one_file(tmp_path: Path) -> None:
    content = clean()
    content["images"].append(content["images"][0])
    fixed, _ = mend(tmp_path / "same.json", content)
    assert [image["id"] for image in fixed["images"]] == [1, 2]
    assert len(fixed["annotations"]) == 6
    content["images"][2] = {**content["images"][0], "file_name": "other.png"}
    fixed, changes = mend(tmp_path / "other.json", content)
    assert [image["id"] for image in fixed["images"]] == [2]
    assert {item["image_id"] for item in fixed["annotations"]} == {2}
    assert changes["annotation of one of the removed images", "removed"] == 3


def test_ids_of_pandas_and_mixed_ids_are_followed(tmp_path: Path) -> None:
    content = clean()
    for item in content["images"] + content["categories"]:
        item["id"] = float(item["id"])
    for item in content["annotations"]:
        item.update(image_id=float(item["image_id"]), category_id=float(item["category_id"]))
    fixed, _ = mend(tmp_path / "float.json", content)
    assert fixed == clean()

    content = clean()
    content["images"][0]["id"] = "one"
    for item in content["annotations"][:3]:
        item["image_id"] = "one"
    fixed, _ = mend(tmp_path / "mixed.json", content)
    assert [(image["id"], image["file_name"]) for image in fixed["images"]] == [(1, "1.png"), (2, "2.png")]
    assert [item["image_id"] for item in fixed["annotations"]] == [1, 1, 1, 2, 2, 2]


def test_xyxy_is_swapped_back_and_refused_where_it_cannot_be(tmp_path: Path) -> None:
    content = clean()
    for item in content["annotations"]:
        x, y, width, height = item["bbox"]
        item["bbox"] = [x, y, x + width, y + height]
    path = write_document(tmp_path / "a.json", content)
    swapped, count = swap_xyxy(diagnose([read_document(path, whole=True)]))
    assert count == 6
    assert swapped.content == clean()
    with pytest.raises(InputError, match="4 of 6 boxes have x2 < x1 or y2 < y1"):
        swap_xyxy(diagnose([swapped]))


def test_what_cannot_be_mended_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.json cannot be mended: file without any category; list the classes"):
        mend(tmp_path / "a.json", clean() | {"categories": [{"name": "dog"}]})
    text = json.dumps(clean()).replace("2026", "1e999")
    with pytest.raises(InputError, match=r"b\.fixed cannot be written: .* infinite"):
        mend(tmp_path / "b.json", text)
    assert not (tmp_path / "b.fixed").exists()
