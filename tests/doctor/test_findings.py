"""The doctor's findings: what training refuses is an error, what it accepts is none, and each rule is checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.boxes import box_iou
from anchorloc.data import read_annotations
from anchorloc.doctor import Rule, Severity, diagnose, read_document
from anchorloc.doctor.box_format import xyxy_evidence
from anchorloc.doctor.overlaps import MIN_IOU, earliest_duplicates
from anchorloc.errors import InputError
from tests.data.coco_cases import BAD, JSON_VALUES, PLACES
from tests.data.data_sets import document, write_document
from tests.doctor.doctor_cases import (
    FOUND,
    Changes,
    clean,
    examine,
    keys,
    mutated,
)


def refused(path: Path) -> bool:
    try:
        read_annotations(path)
    except InputError:
        return True
    return False


def has_errors(path: Path) -> bool:
    try:
        return bool(diagnose([read_document(path)]).findings.by_severity(Severity.ERROR))
    except InputError:
        return True


@pytest.mark.parametrize("case", BAD)
def test_what_training_refuses_is_an_error_or_unusable(case: str, tmp_path: Path) -> None:
    content = document()
    BAD[case][0](content)
    assert has_errors(write_document(tmp_path / "a.json", content))


@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), JSON_VALUES), min_size=1, max_size=3), twice=st.booleans())
def test_an_error_is_what_training_refuses(
    changes: Changes, twice: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = mutated(changes)
    if twice and isinstance(content["annotations"], list):
        content["annotations"] = content["annotations"] * 2
    path = write_document(tmp_path_factory.getbasetemp() / "doctor.json", content)
    assert has_errors(path) == refused(path)


def test_a_clean_file_is_clean(tmp_path: Path) -> None:
    diagnosis = examine(tmp_path / "a.json", clean())
    assert keys(diagnosis) == set()
    assert diagnosis.findings.clean


@pytest.mark.parametrize("key", FOUND)
def test_each_broken_rule_is_found_where_it_is(key: str, tmp_path: Path) -> None:
    change, item, value = FOUND[key]
    content = clean()
    change(content)
    diagnosis = examine(tmp_path / "a.json", content)
    rule = next(rule for rule in Rule if rule.key == key)
    case = diagnosis.findings.cases[rule][0]
    assert case.document.describe(case.list_name, case.row) == item
    assert value in case.value
    assert diagnosis.findings.clean == (rule.severity is Severity.INFORMATION)


def test_what_is_only_odd_is_not_found(tmp_path: Path) -> None:
    """Half a pixel out, an area by counted pixels, a mask smaller than its box, a crowd over boxes, string ids."""
    content = clean()
    content["annotations"][2].update(bbox=[500, 400, 140.5, 80])
    content["annotations"][0].update(area=101 * 51)
    content["annotations"][1].update(area=100, segmentation=[[300, 200, 380, 200, 340, 290]])
    content["annotations"].append({**content["annotations"][1], "iscrowd": 1, "id": 30})
    assert keys(examine(tmp_path / "a.json", content)) == set()
    content["annotations"][1].update(area=9000)  # more than the whole box
    assert keys(examine(tmp_path / "a.json", content)) == {"area-differs"}


def test_rare_classes_are_counted(tmp_path: Path) -> None:
    content = clean()
    content["annotations"] = [{**content["annotations"][0], "id": row, "bbox": [row, row, 50, 2 * row + 90]}
                              for row in range(1, 60, 3)]  # fmt: skip
    content["annotations"].append({**content["annotations"][0], "id": 99, "category_id": 3, "bbox": [300, 9, 50, 90]})
    content["categories"].append({"id": 5, "name": "owl"})
    content["annotations"] += [{**content["annotations"][0], "id": 100 + row, "category_id": 5,
                                "bbox": [300, 99 * row, 50, 90]} for row in range(2)]  # fmt: skip
    found = examine(tmp_path / "a.json", content).findings
    assert [case.value for rule, cases in found.ordered() if rule.key == "rare-class" for case in cases] == [
        "'cat': 1 box, 20 of 'dog'"
    ]


@given(
    st.lists(
        st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 60)] * 2, st.integers(0, 1), st.integers(0, 2)),
        max_size=30,
    )
)
def test_duplicates_are_those_of_the_whole_matrix(numbers: list[tuple[int, ...]]) -> None:
    values = np.array(numbers, np.float64).reshape(-1, 6)
    boxes = np.concatenate([values[:, :2], values[:, :2] + values[:, 2:4]], axis=1)
    images, labels = values[:, 4].astype(np.int64), values[:, 5].astype(np.int64)
    near = (box_iou(boxes, boxes) >= MIN_IOU) & (images[:, None] == images)
    none = len(boxes)
    for twins, wanted in zip(earliest_duplicates(boxes, images, labels), (True, False), strict=True):
        for row in range(none):
            rows = [other for other in range(row) if near[row, other] and (labels[row] == labels[other]) == wanted]
            assert twins[row] == (rows[0] if rows else none)


def test_duplicates_may_begin_some_pixels_apart() -> None:
    boxes = np.array([[0, 0, 100, 100], [4, 0, 103, 100], [6, 0, 101, 100], [0.5, 0, 100, 100]], np.float64)
    same, other = earliest_duplicates(boxes, np.zeros(4, np.int64), np.array([0, 0, 0, 1]))
    assert same.tolist() == [4, 4, 1, 4]  # IoU .93 of the first and second, .96 of the second and third
    assert other.tolist() == [4, 4, 4, 0]


def xyxy(content: dict[str, Any]) -> dict[str, Any]:
    boxes = [(item, item["bbox"]) for item in content["annotations"]]
    return {**content, "annotations": [{**item, "bbox": [x, y, x + w, y + h]} for item, (x, y, w, h) in boxes]}


def boxes_as(change: Callable[..., list[float]], content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "annotations": [{**item, "bbox": change(*item["bbox"])} for item in content["annotations"]]}


@pytest.mark.parametrize("name", ["bccd", "fruits", "coco128", "kangaroo", "street"])
def test_centers_and_exchanged_axes_are_suspected_where_they_are_and_nowhere_else(
    name: str, real_data: Path, tmp_path: Path
) -> None:
    """Most of their boxes stay inside their images, and --fix must not cut the rest."""
    document = read_document(real_data / name / "annotations" / "instances_val.json")
    assert not {"like-centers", "swapped-sizes", "other-scale"} & keys(diagnose([document]))
    content = dict(document.content)
    centers = boxes_as(lambda x, y, width, height: [x + width / 2, y + height / 2, width, height], content)
    assert "like-centers" in keys(examine(tmp_path / "centers.json", centers))
    exchanged = boxes_as(lambda x, y, width, height: [y, x, height, width], content)
    assert "swapped-sizes" in keys(examine(tmp_path / "exchanged.json", exchanged))


@pytest.mark.parametrize("name", ["bccd", "fruits", "airplanes", "coco128"])
def test_xyxy_is_suspected_where_it_is_and_nowhere_else(name: str, real_data: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        document = read_document(real_data / name / "annotations" / f"instances_{split}.json")
        diagnosis = diagnose([document])
        assert "like-xyxy" not in keys(diagnosis)
        assert xyxy_evidence(diagnosis.tables[0]).outside_as_xywh == 0
        assert "like-xyxy" in keys(examine(tmp_path / "a.json", xyxy(dict(document.content))))


def test_careless_boxes_are_not_suspected(tmp_path: Path) -> None:
    mixed = clean()  # two files in one, in two formats: boxes of COCO's format are invalid as x1, y1, x2, y2
    mixed["annotations"] += [{**xyxy(clean())["annotations"][0], "id": row, "bbox": [400, 300, 500 + row, 400]}
                             for row in range(50, 58)]  # fmt: skip
    assert "like-xyxy" not in keys(examine(tmp_path / "mixed.json", mixed))
    careless = clean()
    careless["annotations"] = [{**careless["annotations"][0], "id": row, "bbox": [5 + row, 9, 640, 475]}
                               for row in range(1, 9)]  # fmt: skip
    assert "like-xyxy" not in keys(examine(tmp_path / "careless.json", careless))


def test_shares_of_the_image_are_suspected(tmp_path: Path) -> None:
    content = clean()
    for item in content["annotations"]:
        x, y, width, height = item["bbox"]
        item["bbox"] = [x / 640, y / 480, width / 640, height / 480]
    assert "like-normalized" in keys(examine(tmp_path / "a.json", content))


def test_classes_are_counted_in_train_alone(tmp_path: Path) -> None:
    content = clean()
    content["categories"].append({"id": 9, "name": "bird"})
    documents = [read_document(write_document(tmp_path / name, content)) for name in ("a.json", "b.json")]
    found = diagnose(documents).findings
    cases = [case for rule, cases in found.ordered() if rule.key == "no-box" for case in cases]
    assert [case.document for case in cases] == documents[:1]
