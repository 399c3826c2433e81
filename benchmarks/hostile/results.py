"""Cases with bad and odd COCO result files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from benchmarks.hostile.base import document, score
from benchmarks.hostile.item import Item

DETECTION = {"image_id": 1, "category_id": 1, "bbox": [5, 6, 20, 21], "score": 0.9}


def changed(**values: object) -> list[dict[str, Any]]:
    """Return two detections, the second with changed values."""
    return [DETECTION, {**DETECTION, **values}]


def without(key: str) -> list[dict[str, Any]]:
    """Return two detections, the second without a key."""
    return [DETECTION, {name: value for name, value in DETECTION.items() if name != key}]


NAN = float("nan")
BAD: dict[str, object] = {
    "score NaN": changed(score=NAN),
    "score infinite": changed(score=float("inf")),
    "score 1.5": changed(score=1.5),
    "score negative": changed(score=-0.1),
    "score a string": changed(score="0.9"),
    "score null": changed(score=None),
    "score true": changed(score=True),
    "score missing": without("score"),
    "box NaN": changed(bbox=[NAN, NAN, NAN, NAN]),
    "box negative": changed(bbox=[5, 6, -20, 21]),
    "box 1e308": changed(bbox=[5, 6, 1e308, 21]),
    "box of three": changed(bbox=[5, 6, 20]),
    "box missing": without("bbox"),
    "image unknown": changed(image_id=99),
    "image of another type": changed(image_id="1"),
    "image a list": changed(image_id=[1]),
    "image missing": without("image_id"),
    "class unknown": changed(category_id=99),
    "class missing": without("category_id"),
    "an object": {"detections": [DETECTION]},
    "a detection a list": [DETECTION, [1, 1, 5, 6, 20, 21, 0.9]],
    "a detection null": [DETECTION, None],
    "truncated": json.dumps([DETECTION])[:-5],
    "annotations instead": document(),
    "one a line": json.dumps(DETECTION) + "\n" + json.dumps(DETECTION),
    "a pipe": None,
    "empty file": "",
}
GOOD: dict[str, object] = {
    "in order": [DETECTION],
    "empty": [],
    "scores 0 and 1": [*changed(score=0), *changed(score=1)],
    "ties": [DETECTION] * 5,
    "300 of an image": [{**DETECTION, "score": n / 300} for n in range(300)],
    "box of zero size": changed(bbox=[5, 6, 0, 0]),
    "box outside": changed(bbox=[500, 600, 20, 21]),
    "box negative position": changed(bbox=[-5, -6, 20, 21]),
    "other keys": changed(segmentation={"counts": "a"}, id=3, area=420),
    "with a byte order mark": "\ufeff" + json.dumps([DETECTION]),
}


def items() -> Iterator[Item]:
    """Yield every case, scored against valid annotations."""
    for good, contents in ((False, BAD), (True, GOOD)):
        for name, content in contents.items():
            yield Item(
                f"results: {name}",
                good,
                "evaluate",
                lambda folder, c=content: score(folder, document(), c),  # type: ignore[misc]
            )
