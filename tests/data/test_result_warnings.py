"""Result files that are not what they seem are named, and detections as they should be are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anchorloc.data import CocoAnnotations, read_annotations, read_results
from anchorloc.data.result_warnings import result_warnings
from anchorloc.errors import InputError
from tests.data.data_sets import write_document

IMAGES, WIDTH, HEIGHT = 8, 200, 100
IDS = (1, 2, 3, 7)


def boxes() -> list[tuple[int, int, list[float]]]:
    """Return image id, class id and box of 3 x 8 separate objects; the last class has none."""
    return [
        (image, IDS[(image + place) % 3], [10.0 + 60 * place, 20.0 + image, 30.0 + 2 * image, 40.0])
        for image in range(1, IMAGES + 1)
        for place in range(3)
    ]


@pytest.fixture
def truth(tmp_path: Path) -> CocoAnnotations:
    content = {
        "images": [
            {"id": image, "file_name": f"day/{image:04}_x.jpg", "width": WIDTH, "height": HEIGHT}
            for image in range(1, IMAGES + 1)
        ],
        "categories": [{"id": one, "name": f"class {one}"} for one in IDS],
        "annotations": [
            {"id": row, "image_id": image, "category_id": one, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for row, (image, one, box) in enumerate(boxes())
        ],
    }
    return read_annotations(write_document(tmp_path / "truth.json", content))


def found(box: Any = lambda box: box, label: Any = lambda label: label) -> list[dict[str, Any]]:
    """Return the annotated boxes as detections, changed by `box` and `label`, with scores from 0.01."""
    return [
        {"image_id": image, "category_id": label(one), "bbox": box(xywh), "score": round(0.01 + row / 30, 3)}
        for row, (image, one, xywh) in enumerate(boxes())
    ]


def warned(tmp_path: Path, truth: CocoAnnotations, items: list[dict[str, Any]]) -> list[str]:
    return result_warnings(read_results(write_document(tmp_path / "found.json", items), truth), truth)


def test_sound_detections_and_none_at_all_are_no_warning(tmp_path: Path, truth: CocoAnnotations) -> None:
    assert warned(tmp_path, truth, found()) == []
    assert warned(tmp_path, truth, []) == []


def corners(box: list[float]) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def centers(box: list[float]) -> list[float]:
    return [box[0] + box[2] / 2, box[1] + box[3] / 2, box[2], box[3]]


def shares(box: list[float]) -> list[float]:
    return [value / side for value, side in zip(box, (WIDTH, HEIGHT, WIDTH, HEIGHT), strict=True)]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (corners, "the corners x1, y1, x2, y2"),
        (centers, "center x, center y, width, height"),
        (shares, "x, y, width, height as shares of the image"),
        (lambda box: shares(corners(box)), "the corners x1, y1, x2, y2 as shares of the image"),
        (lambda box: shares(centers(box)), "center x, center y, width, height as shares of the image"),
    ],
)
def test_boxes_of_another_form_are_named(tmp_path: Path, truth: CocoAnnotations, form: Any, name: str) -> None:
    (said,) = warned(tmp_path, truth, found(form))
    assert said.startswith(f"bbox seems to hold {name}, not x, y, width, height in pixels: ")
    assert "overlap 24 of 24 annotated boxes by IoU 0.5" in said


def test_shifted_classes_that_all_exist_are_named(tmp_path: Path, truth: CocoAnnotations) -> None:
    items = [item for item in found(label=lambda label: label + 1) if item["category_id"] != 4]
    (said,) = warned(tmp_path, truth, items)
    assert said.startswith(
        "category_id seems shifted: with -1, 16 of 16 detections have the class of the annotated box that they overlap "
        "by IoU 0.5, as written 0; "
    )


def test_an_ap_of_0_is_explained(tmp_path: Path, truth: CocoAnnotations) -> None:
    (said,) = warned(tmp_path, truth, found(lambda box: [box[0], 0, 5, 5]))
    assert said.startswith("no detection overlaps an annotated box of its class by IoU 0.5; ")


def test_one_class_copies_and_equal_scores(tmp_path: Path, truth: CocoAnnotations) -> None:
    of_one = [item for item in found() if item["category_id"] == 1]
    said = warned(tmp_path, truth, [*of_one, of_one[0], of_one[0]])
    assert [sentence.split(";")[0] for sentence in said] == [
        "all 10 detections are of the class 'class 1', but 3 classes have boxes",
        "2 detections repeat image, class, box and score of another one and may count as false",
    ]
    (same,) = warned(tmp_path, truth, [item | {"score": 0.5} for item in found()])
    assert same.startswith("all scores are 0.5, so the order of the file decides AP; ")


def test_cut_scores_and_counts_make_ap_a_lower_bound(tmp_path: Path, truth: CocoAnnotations) -> None:
    items = [item | {"score": 0.25 + item["score"] / 2} for item in found()]
    (said,) = warned(tmp_path, truth, items)
    assert said.startswith("no score is below 0.255: ")
    more = [
        item | {"bbox": [item["bbox"][0] + shift, *item["bbox"][1:]], "score": item["score"] / (1 + shift)}
        for item in found()
        for shift in range(5)
    ]
    (said,) = warned(tmp_path, truth, more)
    assert said.startswith("8 images have 15 detections and none has more: ")
    assert "AP is a lower bound" in said


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (found(label=lambda label: label - 1), "adding 1 to every category_id would fit; correct the ids"),
        (
            [*found(label=lambda label: label - 1), found(label=lambda label: 3)[0]],
            "the ids seem to count the 4 annotated classes from 0; write their ids",
        ),
        (
            [found()[0] | {"category_id": 4}, found()[0] | {"category_id": 1}],
            "the ids seem to count the 4 annotated classes from 1; write their ids",
        ),
        (
            [found()[0] | {"image_id": "0003_x"}],
            "it names the file of the image with the id 3; write the id of the image, not its file",
        ),
        ([found()[0] | {"image_id": 3.0}], "image_id 3.0 is a decimal number, but the annotated ids are integers; wr"),
        ([found()[0] | {"score": 87.5}], "divide percentages by 100, or apply the sigmoid to logits"),
        ([found()[0] | {"score": float("nan")}], "remove the detection, or check the model for NaN"),
    ],
)
def test_a_refusal_gives_the_mapping_that_would_fit(
    tmp_path: Path, truth: CocoAnnotations, items: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        warned(tmp_path, truth, items)
    assert words in str(caught.value)
