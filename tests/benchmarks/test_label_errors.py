"""benchmarks.label_errors: the damage is what it says, and a ranking is scored exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anchorloc.boxes import box_convert, paired_box_iou
from anchorloc.cli import run_command
from benchmarks import label_errors
from benchmarks.label_damage import (
    KINDS,
    Damage,
    RankedItem,
    average_precision,
    damage,
    hits,
    recall_within,
)


def labels() -> dict[str, Any]:
    """Return 200 boxes of three classes in 20 images, each in a place of its own, and a crowd box."""
    random = np.random.default_rng(0)
    places = [[20 * (number // 20 % 5) + 2, 50 * (number // 100 % 2) + 5] for number in range(201)]
    annotations = [
        {
            "id": number,
            "image_id": 1 + number % 20,
            "category_id": 1 + number % 3,
            "bbox": [*places[number], *random.uniform(12, 16, 2).tolist()],
            "iscrowd": int(number == 200),
        }
        for number in range(201)
    ]
    return {
        "images": [{"id": 1 + i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in range(20)],
        "categories": [{"id": 1 + i, "name": name} for i, name in enumerate("abc")],
        "annotations": annotations,
    }


def test_each_way_damages_its_share_of_other_boxes() -> None:
    before = {item["id"]: item for item in labels()["annotations"]}
    done = damage(labels(), seed=3)
    after = {item["id"]: item for item in done.document["annotations"]}
    assert [done.count(kind) for kind in KINDS] == [10, 10, 10, 10]
    swapped, loose, doubled = (done.ids[kind] for kind in ("wrong-class", "loose-box", "doubled-box"))
    removed = {item["id"] for item in done.removed}
    assert before.keys() - after.keys() == removed
    assert after.keys() - before.keys() == doubled
    changed = {number for number in before.keys() & after.keys() if before[number]["bbox"] != after[number]["bbox"]}
    assert changed == loose
    assert {n for n in before.keys() & after.keys() if before[n]["category_id"] != after[n]["category_id"]} == swapped
    assert not {200} & (swapped | loose | removed)
    pairs = [(before[number]["bbox"], after[number]["bbox"], 0.5, 0.7) for number in loose]
    for number in doubled:
        ious = [
            (float(paired_box_iou(*(box_convert(np.array([box]), "xywh", "xyxy") for box in pair))[0]), pair)
            for pair in ((item["bbox"], after[number]["bbox"]) for item in before.values())
        ]
        pairs.append((*max(ious, key=lambda one: one[0])[1], 0.75, 0.95))
    for first, second, low, high in pairs:
        one, two = (box_convert(np.array([box], np.float64), "xywh", "xyxy") for box in (first, second))
        assert low - 0.01 <= paired_box_iou(one, two)[0] <= high + 0.01
        assert ((two >= 0) & (two <= 100)).all()
    assert damage(labels(), seed=3).document == done.document
    assert damage(labels(), seed=4).document != done.document


def test_a_ranking_counts_each_damaged_box_once() -> None:
    removed = [{"image_id": 1, "bbox": [0, 0, 10, 10]}, {"image_id": 2, "bbox": [0, 0, 10, 10]}]
    done = Damage({}, {"wrong-class": {5, 6}, "loose-box": set(), "doubled-box": set()}, removed)
    ranking = [RankedItem(1, (5,)), RankedItem(1, (7,)), RankedItem(1, (5,)), RankedItem(1, (6, 7))]
    found = hits(ranking, done, "wrong-class")
    assert found == [True, False, False, True]
    assert average_precision(found, 2) == pytest.approx((1 + 2 / 4) / 2)
    assert [recall_within(found, 2, count) for count in (0, 1, 3, 4)] == [0, 0.5, 0.5, 1]
    boxes = [(1, (0, 0, 10, 10)), (1, (0, 0, 10, 9)), (3, (0, 0, 10, 10)), (2, (0, 0, 10, 4))]
    assert hits([RankedItem(image, (), box) for image, box in boxes], done, "missing-box") == [True, *[False] * 3]


def test_the_table_has_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = labels()
    folder = tmp_path / "coco128"
    (folder / "annotations").mkdir(parents=True)
    (folder / "detections").mkdir()
    (folder / "annotations/instances_val.json").write_text(json.dumps(document), encoding="utf-8")
    found = [
        {**{key: item[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.6 + item["id"] / 1000}
        for item in document["annotations"]
    ]
    (folder / "detections/model.json").write_text(json.dumps(found), encoding="utf-8")
    assert run_command(label_errors.main, [str(tmp_path), "--sets", "coco128", "--seeds", "1"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "| anchorloc |" in line]
    assert [row[2] for row in rows] == list(KINDS)
    assert all(float(row[6]) > 0.8 for row in rows), rows
