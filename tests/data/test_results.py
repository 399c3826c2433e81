"""COCO result files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anchorloc.data import CocoAnnotations, read_annotations, read_results
from anchorloc.errors import InputError
from tests.data.data_sets import document, write_document


@pytest.fixture
def truth(tmp_path: Path) -> CocoAnnotations:
    return read_annotations(write_document(tmp_path / "truth.json", document()))


def detection(**changes: Any) -> dict[str, Any]:
    return {"image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4.5], "score": 0.5} | changes


def test_detections_come_by_image_and_descending_score(truth: CocoAnnotations, tmp_path: Path) -> None:
    items = [
        detection(score=0.25, id=5),
        detection(score=1, category_id=7),
        detection(bbox=[0, 0, 0, 0]),
        detection(bbox=[1, 1, 1, 1]),
        detection(image_id=1, score=0),
    ]
    first, second = read_results(write_document(tmp_path / "found.json", items), truth)
    assert [first.image_id, second.image_id] == [1, 2]
    np.testing.assert_array_equal(first.boxes, [[1, 2, 4, 6.5]])
    np.testing.assert_array_equal(second.scores, [1, 0.5, 0.5, 0.25])
    np.testing.assert_array_equal(second.labels, [1, 0, 0, 0])
    np.testing.assert_array_equal(second.boxes[1:3], [[0, 0, 0, 0], [1, 1, 2, 2]])  # ties in the order of the file
    np.testing.assert_array_equal(second.anchors, [-1] * 4)


def test_nothing_found_is_a_result(truth: CocoAnnotations, tmp_path: Path) -> None:
    found = read_results(write_document(tmp_path / "found.json", []), truth)
    assert [len(detections) for detections in found] == [0, 0]
    assert found[0].boxes.shape == (0, 4)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown image": ({"image_id": 9}, "image_id 9 is none of the 2"),
    "image of another type": (
        {"image_id": "2"},
        "image_id '2' is a string, but the annotated ids are numbers; remove the quotes",
    ),
    "file name as id": (
        {"image_id": "2.jpg"},
        "annotated ids, such as 1; give the annotations that these detections belong to",
    ),
    "box of no number": ({"bbox": [1, float("nan"), 3, 4]}, "is not finite"),
    "unknown category": ({"category_id": 1}, "category_id 1 is none"),
    "no category": ({"category_id": None}, "category_id None"),
    "score above 1": ({"score": 1.01}, "score 1.01"),
    "score below 0": ({"score": -0.01}, "score -0.01"),
    "score is text": ({"score": "0.5"}, "score '0.5'"),
    "score is true": ({"score": True}, "score True"),
    "no score": ({"score": None}, "score None"),
    "negative box": ({"bbox": [1, 2, -3, 4]}, "negative"),
    "box of three": ({"bbox": [1, 2, 3]}, "four numbers"),
    "box too far": ({"bbox": [1e8, 2, 3, 4]}, "10,000,000"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_detection_is_refused(case: str, truth: CocoAnnotations, tmp_path: Path) -> None:
    changes, words = BAD[case]
    path = write_document(tmp_path / "found.json", [detection(), detection(**changes)])
    with pytest.raises(InputError) as caught:
        read_results(path, truth)
    assert str(caught.value).startswith(f"{path}: detection (item 1): ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "contains an object, not a list"),
        ("[5]", "item 0"),
        (json.dumps([detection()]).replace("0.5", "NaN"), "score nan"),
        (json.dumps([detection()]).replace("4.5", "1e999"), "not finite"),
        ("[", "not valid JSON"),
    ],
)
def test_what_is_no_result_file_is_refused(text: str, words: str, truth: CocoAnnotations, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_results(write_document(tmp_path / "found.json", text), truth)


def test_real_results_are_read_whole(real_data: Path) -> None:
    folder = real_data / "coco128"
    truth = read_annotations(folder / "annotations" / "instances_val.json")
    found = read_results(folder / "detections" / "yolox_nano_416.json", truth)
    assert sum(map(len, found)) == 6214
