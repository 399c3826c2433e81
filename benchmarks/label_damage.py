"""Damage labels in the ways in which annotators err, and score a ranking of suspects by what was damaged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anchorloc.boxes import box_iou, paired_box_iou
from anchorloc.structures import Float64Array

KINDS = ("wrong-class", "missing-box", "loose-box", "doubled-box")
SHARE = 0.05  # each kind damages this share of the boxes
LOOSE_IOU = 0.5, 0.7  # a loosened box and the original
DOUBLE_IOU = 0.75, 0.95
FOUND_IOU = 0.5  # a suggested box and a removed one
Item = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Damage:
    """Damaged labels, and what was done to them."""

    document: Item  # COCO
    ids: dict[str, set[int]]  # by kind: the annotations with another class or a loose box, and those added
    removed: list[Item]  # annotations

    def count(self, kind: str) -> int:
        """Return how many boxes were damaged in a way."""
        return len(self.removed) if kind == "missing-box" else len(self.ids[kind])


def damage(document: Item, seed: int, share: float = SHARE) -> Damage:
    """Damage `share` of the boxes of a COCO document in each way, other boxes in each; crowd boxes stay."""
    random = np.random.default_rng(seed)
    damaged = copy.deepcopy({key: document[key] for key in ("images", "categories", "annotations")})
    items = damaged["annotations"]
    sizes = {image["id"]: (image["width"], image["height"]) for image in damaged["images"]}
    whole = [row for row, item in enumerate(items) if not item.get("iscrowd") and min(item["bbox"][2:]) > 0]
    order = random.permutation(whole).tolist()
    number = round(share * len(whole))
    swapped, gone, loosened, doubled = (order[i * number : (i + 1) * number] for i in range(len(KINDS)))
    used = sorted({item["category_id"] for item in items})
    for row in swapped:
        items[row]["category_id"] = int(random.choice([one for one in used if one != items[row]["category_id"]]))
    ids: dict[str, set[int]] = {"wrong-class": {items[row]["id"] for row in swapped}, "loose-box": set()}
    for row in loosened:
        if moved := _moved(items[row]["bbox"], sizes[items[row]["image_id"]], LOOSE_IOU, random):
            items[row] |= {"bbox": moved, "area": moved[2] * moved[3]}
            items[row].pop("segmentation", None)
            ids["loose-box"].add(items[row]["id"])
    free, added = max(item["id"] for item in items) + 1, list[Item]()
    for row in doubled:
        if moved := _moved(items[row]["bbox"], sizes[items[row]["image_id"]], DOUBLE_IOU, random):
            copied = {key: value for key, value in items[row].items() if key != "segmentation"}
            added.append({**copied, "id": free + len(added), "bbox": moved, "area": moved[2] * moved[3]})
    ids["doubled-box"] = {item["id"] for item in added}
    removed = [items[row] for row in gone]
    absent = set(gone)
    damaged["annotations"] = [item for row, item in enumerate(items) if row not in absent] + added
    random.shuffle(damaged["annotations"])  # the added ones do not stand last
    return Damage(damaged, ids, removed)


def _moved(
    bbox: Sequence[float], size: tuple[int, int], between: tuple[float, float], random: np.random.Generator
) -> list[float]:
    """Return a shifted and scaled box inside the image, of an IoU with the first one; empty if none was found."""
    x, y, width, height = bbox
    spread = 1 - between[0]
    for _ in range(1000):
        center = np.array([x + width / 2, y + height / 2]) + random.uniform(-spread, spread, 2) * [width, height]
        sides = np.array([width, height]) * np.exp(random.uniform(-spread, spread, 2))
        corners = np.clip([*(center - sides / 2), *(center + sides / 2)], 0, [*size, *size])
        iou = float(paired_box_iou(_corners([bbox]), corners[None])[0])
        if between[0] <= iou <= between[1]:
            return [round(float(one), 2) for one in (*corners[:2], *(corners[2:] - corners[:2]))]
    return []


def _corners(boxes: Sequence[Sequence[float]]) -> Float64Array:
    table = np.array(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:]], axis=1)


@dataclass(frozen=True)
class RankedItem:
    """An item of a ranking: annotations, or a box of an image that has no label."""

    image_id: int
    annotation_ids: tuple[int, ...] = ()
    box: tuple[float, ...] = ()  # xyxy


def hits(ranking: Sequence[RankedItem], damaged: Damage, kind: str) -> list[bool]:
    """Return for each item whether it names a box damaged in this way that no earlier item has named."""
    find: Callable[[RankedItem], set[Any]]
    if kind == "missing-box":
        by_image: dict[int, list[int]] = {}
        for row, gone in enumerate(damaged.removed):
            by_image.setdefault(gone["image_id"], []).append(row)

        def find(item: RankedItem) -> set[Any]:
            rows = by_image.get(item.image_id, [])
            boxes = _corners([damaged.removed[row]["bbox"] for row in rows])
            ious = box_iou(np.array([item.box], np.float64), boxes)[0]
            return {row for row, iou in zip(rows, ious.tolist(), strict=True) if iou >= FOUND_IOU}
    else:

        def find(item: RankedItem) -> set[Any]:
            return damaged.ids[kind].intersection(item.annotation_ids)

    seen, found = set[Any](), []
    for item in ranking:
        new = find(item) - seen
        seen |= new
        found.append(bool(new))
    return found


def average_precision(found: Sequence[bool], total: int) -> float:
    """Return the mean over all `total` damaged boxes of the precision where each is found, 0 for the others."""
    right = np.array(found, np.bool_)
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precision[right].sum() / total) if total else float("nan")


def recall_within(found: Sequence[bool], total: int, reported: int) -> float:
    """Return the share of the damaged boxes among the first `reported` items."""
    return sum(found[:reported]) / total if total else float("nan")
