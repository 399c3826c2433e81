"""Score a perfect network on a split (oracle AP), and find out why the score is not higher.

The anchors' regression targets replace the output of the network. Everything after the network runs as in evaluation:
score threshold, top-k, coder, non-maximum suppression, limits, category map, COCO's scoring. The result is an upper
bound for every trained network. It is not a forecast: a trained network can be far below it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from anchorloc.boxes import paired_box_iou
from anchorloc.config import Config
from anchorloc.detector import Candidates
from anchorloc.lab.miss_causes import DecodedImage, MissCause, assigned_boxes, miss_causes
from anchorloc.lab.network_views import NetworkView, NetworkViews
from anchorloc.metrics import Evaluation, evaluate
from anchorloc.structures import Assignment, Detections, IntArray, Sample, Target


@dataclass(frozen=True, eq=False)
class Ceiling:
    """Oracle AP of one split: the upper bound that anchors, assigner, coder and decoder set."""

    perfect: Evaluation  # perfect classes and box offsets
    anchors_only: Evaluation  # perfect classes, but the anchors stay where they are
    images: IntArray  # (N,) image of each missed box: one that is not found at every IoU from 0.50 to 0.95
    rows: IntArray  # (N,) row of each missed box in its file
    causes: IntArray  # (N,) a MissCause

    @property
    def found(self) -> int:
        """Return the number of boxes that are found at every IoU."""
        return self.perfect.boxes - len(self.causes)

    def count(self, cause: MissCause) -> int:
        """Return the number of boxes missed for this cause."""
        return int((self.causes == cause).sum())


@dataclass(frozen=True, eq=False)
class _ScoredImage:
    """One image with the detections of a perfect network."""

    truth: Target  # the M annotated boxes
    perfect: Detections
    anchors_only: Detections
    causes: IntArray  # (M,) the MissCause that applies if the box is missed
    boxes: IntArray  # (D,) row in `truth` of the box that each of `perfect` was made for


def ceiling(views: NetworkViews) -> Ceiling:
    """Measure the oracle AP of `views`: the score of a perfect network.

    Raises:
        ValueError: the views are augmented.
    """
    if views.epochs:
        raise ValueError("the ceiling needs images as in evaluation: give views without epochs")
    config, categories = views.config, views.source.categories
    images = [_perfect_image(views, view) for view in views]
    truths = [image.truth for image in images]
    perfect = evaluate(truths, [image.perfect for image in images], categories, config.scored_detections)
    anchors_only = evaluate(
        truths, [image.anchors_only for image in images], categories, config.scored_detections, by_size=False
    )
    missed = _missed(images, perfect)
    boxes = [len(truth) for truth in truths]
    return Ceiling(
        perfect,
        anchors_only,
        np.repeat(np.asarray(views.indices, np.int64), boxes)[missed],
        _joined([truth.rows for truth in truths])[missed],
        _joined([image.causes for image in images])[missed],
    )


def _perfect_image(views: NetworkViews, view: NetworkView) -> _ScoredImage:
    config, source = views.config, views.source
    assignment = config.method.untrained_assigner(view.grid, view.target.boxes, view.target.crowd)
    candidates, deltas = perfect_output(config, view, assignment)
    no_pixels = np.empty((0, 0, 3), np.uint8)
    sample = Sample(
        no_pixels, view.target, source.image_id(view.index), view.scale, source.size(view.index), view.extent
    )
    decode = config.decode
    found, unmoved = (
        decode.decode(candidates, offsets[None], view.grid, [sample], config.coder)[0]
        for offsets in (deltas, _zeros(len(view.grid)))
    )
    survivors = replace(decode, max_detections=max(1, len(found))).nms(found)
    kept = survivors[: decode.max_detections]
    decoded = DecodedImage(view, assignment, found, survivors, kept)
    truth, perfect = source.target(view.index), found.take(kept)
    return _ScoredImage(
        truth=truth,
        perfect=perfect,
        anchors_only=decode.select_best(unmoved),
        causes=miss_causes(config, decoded, truth, sample.size),
        boxes=assigned_boxes(decoded, truth, perfect.anchors),
    )


def perfect_output(config: Config, view: NetworkView, assignment: Assignment) -> tuple[Candidates, Tensor]:
    """Return what a perfect network predicts: the positive anchors with scores, and offsets (A, 4) that hit the boxes.

    A score rises with the anchor's IoU, from halfway between the decoder's threshold and 1: so the threshold cuts
    none, and the best anchor of a box comes first, as if the network knew how good its boxes are.
    """
    anchors = view.grid.boxes[assignment.anchors]
    boxes = view.target.boxes[assignment.rows].astype(np.float32)
    threshold = config.decode.score_threshold
    scores = 1 - (1 - threshold) * (1 - paired_box_iou(anchors, boxes)) / 2
    deltas = _zeros(len(view.grid))
    index = torch.from_numpy(assignment.anchors)
    deltas[index] = config.coder.encode(torch.from_numpy(boxes), torch.from_numpy(anchors))
    labels = torch.from_numpy(view.target.labels[assignment.rows])
    return Candidates(torch.zeros_like(index), index, labels, torch.from_numpy(scores)), deltas


def _zeros(count: int) -> Tensor:
    """Return offsets (count, 4) of 0; np.zeros does not touch the memory, torch.zeros does."""
    return torch.from_numpy(np.zeros((count, 4), np.float32))


def _missed(images: list[_ScoredImage], judged: Evaluation) -> IntArray:
    """Return the boxes that are not found at the strictest IoU, as indices into all G annotated boxes.

    The evaluator may match a detection to a twin of its box, so that the box itself has no match. Then the box that
    lacks a detection is the twin, or the twin whose detection that twin got, and so on: that one is missed.
    """
    matches = judged.scores.matches[-1]  # (D,) box of each detection at IoU 0.95, else -1
    crowd = np.concatenate([np.zeros(0, np.bool_), *(image.truth.crowd for image in images)])
    starts = np.cumsum([0, *(len(image.truth) for image in images)])
    made_for = _joined([start + image.boxes for start, image in zip(starts, images, strict=False)])
    found = np.zeros(len(crowd), np.bool_)
    found[matches[matches >= 0]] = True
    strayed = (matches >= 0) & (matches != made_for) & ~crowd[matches]
    taken_by = dict(zip(made_for[strayed].tolist(), matches[strayed].tolist(), strict=True))
    missed = []
    for box in np.flatnonzero(~found & ~crowd).tolist():
        while box in taken_by:
            box = taken_by[box]
        missed.append(box)
    return np.array(missed, np.int64)


def _joined(arrays: list[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, np.int64), *arrays])
