"""Labels that were copied between images, classes that a split distorts, and checks that crash."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from anchorloc.cli import run_command
from anchorloc.doctor import CocoDocument, Diagnosis, Rule, diagnose
from anchorloc.doctor.__main__ import main
from anchorloc.doctor.class_shares import chance_of_split
from tests.data.data_sets import write_document
from tests.doctor.doctor_cases import clean, examine, keys


def labeled(boxes: list[list[tuple[int, list[float]]]], size: tuple[int, int] = (640, 480)) -> dict[str, Any]:
    """Return a file with the given (class, bbox) in each image."""
    images = [{"id": row, "file_name": f"{row}.png", "width": size[0], "height": size[1]} for row in range(len(boxes))]
    annotations = [
        {"image_id": row, "category_id": label, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0}
        for row, some in enumerate(boxes)
        for label, bbox in some
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "categories": categories, "annotations": annotations}


def values(diagnosis: Diagnosis, rule: Rule) -> list[str]:
    return [case.value for case in diagnosis.findings.cases.get(rule, [])]


def test_a_box_in_four_images_or_over_the_whole_image_is_no_copy(tmp_path: Path) -> None:
    boxes: list[list[tuple[int, list[float]]]] = [[(1, [9, 9, 60, 50]), (1, [row, 99, 60, 50])] for row in range(4)]
    boxes += [[(1, [row, 99, 60, 50])] for row in range(4, 9)]
    assert not values(examine(tmp_path / "a.json", labeled(boxes)), Rule.COPIED_BOX)
    boxes[8].append((1, [9, 9, 60, 50]))
    found = examine(tmp_path / "b.json", labeled(boxes))
    assert values(found, Rule.COPIED_BOX) == ["bbox [9, 9, 60, 50] in 5 of 9 images"]
    whole = labeled([[(1, [0, 0, 640, 480])] for _ in range(9)])
    assert keys(examine(tmp_path / "c.json", whole)) == {"whole-image", "no-box"}


def test_labels_are_compared_as_fractions_and_with_their_classes_across_splits(tmp_path: Path) -> None:
    """What a label file of YOLO holds: the same text in images of two sizes, and in train and val."""
    text = [(0.512345, 0.4, 0.123457, 0.3), (0.25, 0.75, 0.1, 0.2)]

    def pixels(width: int, height: int) -> list[list[float]]:
        return [[(x - w / 2) * width, (y - h / 2) * height, w * width, h * height] for x, y, w, h in text]

    here = [[(label, bbox) for label, bbox in zip((1, 2), pixels(640, 480), strict=True)]]
    train = labeled([*here, [(1, [5, 5, 50, 50])]])
    val = labeled([[(label, bbox) for label, bbox in zip((1, 2), pixels(333, 777), strict=True)]], (333, 777))
    val["images"][0]["file_name"] = "v.png"
    documents = [
        CocoDocument(tmp_path / name, content, split=name) for name, content in (("train", train), ("val", val))
    ]
    assert values(diagnose(documents), Rule.COPIED_LABELS) == ["same as train image 0 (0.png)"]
    for annotation in val["annotations"]:
        annotation["category_id"] = 3 - annotation["category_id"]
    assert not values(diagnose(documents), Rule.COPIED_LABELS)


def test_crowded_images_are_counted_against_the_median(tmp_path: Path) -> None:
    boxes: list[list[tuple[int, list[float]]]] = [[(1, [row, 9, 60, 50 + row])] * 2 for row in range(5)]
    boxes.append([(1, [9 * place, 99, 60, 50]) for place in range(20)])
    assert not values(examine(tmp_path / "a.json", labeled(boxes)), Rule.CROWDED_IMAGE)
    boxes[-1].append((1, [300, 300, 60, 50]))
    assert values(examine(tmp_path / "b.json", labeled(boxes)), Rule.CROWDED_IMAGE) == ["21 boxes, median 2"]


def test_the_chance_of_a_split_is_that_of_all_splits() -> None:
    """Five of nine images have the class; how many of the splits that draw three of nine are as extreme?"""
    draws = [sum(image < 5 for image in draw) for draw in combinations(range(9), 3)]
    for count in range(4):
        tail = [drawn <= count if count < 5 / 3 else drawn >= count for drawn in draws]
        assert chance_of_split(count, 9, 5, 3) == pytest.approx(min(1, 2 * sum(tail) / len(draws)))


def test_a_class_that_a_split_distorts_is_found_and_one_of_chance_is_not(tmp_path: Path) -> None:
    def split(images: int, dogs: int, split: str) -> CocoDocument:
        boxes = [[(2 if row < dogs else 1, [row, row, 60.0, 50.0])] for row in range(images)]
        return CocoDocument(tmp_path / split, labeled(boxes), split=split)

    found = diagnose([split(100, 50, "train"), split(50, 2, "val")])
    assert values(found, Rule.CLASS_SHARE) == ["'dog': in 50.0% of the images of train, 4.0% of val"]
    assert not values(diagnose([split(100, 50, "train"), split(5, 1, "val")]), Rule.CLASS_SHARE)
    assert not values(diagnose([split(100, 50, "train"), split(50, 15, "val")]), Rule.CLASS_SHARE)


def test_a_check_that_crashes_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check_overlaps(*_: object) -> None:
        raise ZeroDivisionError("division by zero\nat all")

    monkeypatch.setattr("anchorloc.doctor.diagnosis.check_overlaps", check_overlaps)
    content = clean()
    content["annotations"][0].update(bbox=[5, 5, 4, 2], area=8)
    path = write_document(tmp_path / "a.json", content)
    assert run_command(main, [str(path), "--json", "-", "--only", "small-box"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert [finding["kind"] for finding in record["findings"]] == ["crashed-check", "small-box"]
    value = record["findings"][0]["cases"][0]["value"]
    assert value.startswith("overlaps: ZeroDivisionError: division by zero (test_copied_labels.py:")
    assert run_command(main, [str(path), "--fix", str(tmp_path / "b.json")]) == 2
    assert "a.json cannot be fixed: check that crashed" in capsys.readouterr().err
    assert not (tmp_path / "b.json").exists()


def test_the_other_file_is_checked_if_the_items_of_one_crash_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anchorloc.doctor.file_checks import check_items

    def crash_on_train(document: CocoDocument, findings: Any) -> Any:
        if document.split == "train":
            raise KeyError("x")
        return check_items(document, findings)

    monkeypatch.setattr("anchorloc.doctor.diagnosis.check_items", crash_on_train)
    found = diagnose([CocoDocument(tmp_path / name, clean(), split=name) for name in ("train", "val")])
    assert len(values(found, Rule.CRASHED_CHECK)) == 1
    assert [len(table.rows) for table in found.tables] == [0, 6]
