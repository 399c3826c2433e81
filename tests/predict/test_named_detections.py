"""The detections of an image: printed, filtered, converted and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anchorloc.boxes import box_convert, normalize_boxes
from anchorloc.data import ImageSettings
from anchorloc.errors import InputError
from anchorloc.predict.named_detections import Detection, NamedDetections
from anchorloc.structures import categories_of
from tests.python_processes import without_torch

CLASSES = categories_of([(7, "cat"), (9, "dog"), (11, "dog")])
FOUND = NamedDetections(
    boxes=np.array([[10.0, 20.0, 30.5, 60.25], [0.0, 0.0, 5.0, 5.0], [100.0, 8.0, 120.0, 9.0]]),
    scores=np.array([0.9, 0.5, 0.25]),
    labels=np.array([1, 0, 2]),
    anchors=np.array([4, -1, 7]),
    image_id="",
    categories=CLASSES,
    size=(64, 128),
)


def test_it_prints_one_line_per_object() -> None:
    assert str(FOUND) == repr(FOUND)
    assert str(FOUND).splitlines() == [
        "dog (id 9)  0.900    10.0    20.0    30.5    60.2",
        "cat         0.500     0.0     0.0     5.0     5.0",
        "dog (id 11) 0.250   100.0     8.0   120.0     9.0",
    ]
    assert str(FOUND.where(score=1)) == "no objects"


def test_it_iterates_over_objects() -> None:
    first, *_ = objects = list(FOUND)
    assert first == Detection((10.0, 20.0, 30.5, 60.25), 0.9, 1, "dog (id 9)")
    assert [one.name for one in objects] == FOUND.names
    assert [(name, label) for _, _, label, name in FOUND] == [("dog (id 9)", 1), ("cat", 0), ("dog (id 11)", 2)]


def test_it_has_places() -> None:
    assert FOUND[0] == next(iter(FOUND))
    assert FOUND[-1].name == "dog (id 11)"
    assert FOUND[:2].names == FOUND.names[:2]
    with pytest.raises(IndexError):
        FOUND[3]


@pytest.mark.parametrize("score", [-0.1, 1.5, 50, float("nan"), "0.5"])
def test_a_score_out_of_range_is_refused(score: Any) -> None:
    with pytest.raises(InputError, match=f"score must be a number from 0 to 1, got {score!r}"):
        FOUND.where(score=score)


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ({}, [0, 1, 2]),
        ({"score": 0.5}, [0, 1]),
        ({"score": np.float32(0.5)}, [0, 1]),
        ({"label": "cat"}, [1]),
        ({"label": "dog"}, [0, 2]),
        ({"label": "dog (id 9)"}, [0]),
        ({"label": 0}, [1]),
        ({"label": np.int64(2), "score": 0.2}, [2]),
        ({"label": ["cat", 2]}, [1, 2]),
        ({"label": np.array([1, 2]), "score": 0.5}, [0]),
        ({"label": []}, []),
    ],
)
def test_it_filters(words: dict[str, Any], rows: list[int]) -> None:
    kept = FOUND.where(**words)
    np.testing.assert_array_equal(kept.boxes, FOUND.boxes[rows])
    np.testing.assert_array_equal(kept.anchors, FOUND.anchors[rows])
    assert kept.names == [FOUND.names[row] for row in rows]


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(InputError, match="has no class 'cats'; did you mean 'cat'"):
        FOUND.where(label="cats")
    with pytest.raises(InputError, match="has no label 3; give one from 0 to 2, or a class name"):
        FOUND.where(label=3)
    with pytest.raises(InputError, match=r"has no label 1\.5; give one from 0 to 2, or a class name"):
        FOUND.where(label=1.5)  # type: ignore[arg-type]


def test_boxes_become_fractions_of_the_image() -> None:
    kept = FOUND.where(label="cat")
    assert kept.size == (64, 128)
    fractions = box_convert(normalize_boxes(kept.boxes, kept.size), "xyxy", "xywh")
    np.testing.assert_array_equal(fractions, [[0, 0, 5 / 128, 5 / 64]])


def test_it_converts() -> None:
    assert json.loads(json.dumps(FOUND.to_dict())) == {
        "boxes": [[10.0, 20.0, 30.5, 60.25], [0.0, 0.0, 5.0, 5.0], [100.0, 8.0, 120.0, 9.0]],
        "scores": [0.9, 0.5, 0.25],
        "labels": [1, 0, 2],
        "names": ["dog (id 9)", "cat", "dog (id 11)"],
    }
    assert json.dumps(FOUND.to_coco(np.int64(5))) == json.dumps(FOUND.to_coco(5))  # type: ignore[arg-type]
    assert FOUND.to_coco(5)[:2] == [
        {"image_id": 5, "category_id": 9, "bbox": [10.0, 20.0, 20.5, 40.25], "score": 0.9},
        {"image_id": 5, "category_id": 7, "bbox": [0.0, 0.0, 5.0, 5.0], "score": 0.5},
    ]
    tensors = FOUND.to_torchvision()
    assert {name: (one.dtype, tuple(one.shape)) for name, one in tensors.items()} == {
        "boxes": (torch.float32, (3, 4)),
        "scores": (torch.float32, (3,)),
        "labels": (torch.int64, (3,)),
    }
    assert tensors["labels"].tolist() == [1, 0, 2]
    for found in (FOUND, FOUND.where(score=1)):
        words = found.to_supervision()
        assert words["xyxy"].shape == (len(found), 4)
        assert len(words["confidence"]) == len(words["class_id"]) == len(found)
        assert words["data"]["class_name"].tolist() == found.names


def test_it_draws_on_the_image_as_the_model_reads_it(tmp_path: Path) -> None:
    """Of a 16-bit image, only the window of the settings shows anything."""
    deep = np.full((64, 128), 1500, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    settings = ImageSettings(window=(1000, 2000))
    found = NamedDetections(**{**vars(FOUND), "image_settings": settings}).where(label="cat")
    drawn = np.asarray(found.draw(tmp_path / "deep.png"))
    assert drawn.shape == (64, 128, 3)
    assert (drawn[40, 100] == 128).all()
    assert (drawn[2, 0] != 128).any()  # the left edge of the box


def test_it_draws_on_no_image_of_another_size() -> None:
    with pytest.raises(InputError, match="found in an image of 128 x 64 px, but this one has 64 x 128 px"):
        FOUND.draw(np.zeros((128, 64, 3), np.uint8))


def test_it_needs_no_torch() -> None:
    done = without_torch().run("import sys, anchorloc.predict.named_detections; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr
