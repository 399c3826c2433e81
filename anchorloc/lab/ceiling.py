"""What the pipeline would score with a perfect network, and why it is not more.

The targets of the anchors are put in the place of the network's output, and all that follows the network runs as it
does in evaluation: threshold, top-k, coder, suppression, limits, category map, pycocotools. What comes out is a limit
that no training can pass. It is no forecast: a network need not come near it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from anchorloc.boxes import paired_box_iou
from anchorloc.config import Config
from anchorloc.detector import Candidates
from anchorloc.lab.miss_causes import Cause, Passage, owner_of, suspect
from anchorloc.lab.network_views import View, Views
from anchorloc.metrics import Evaluation, evaluate
from anchorloc.structures import Assignment, BoolArray, Detections, IntArray, Sample, Target


@dataclass(frozen=True, eq=False)
class Ceiling:
    """The limit that anchors, assigner, coder and decoder set on one split."""

    perfect: Evaluation  # perfect classes and offsets
    unmoved: Evaluation  # perfect classes, no offsets: what the anchors give on their own
    images: IntArray  # (N,) of the boxes that are not found at every IoU from 0.50 to 0.95
    rows: IntArray  # (N,) of those boxes in their file
    causes: IntArray  # (N,) a Cause

    @property
    def found(self) -> int:
        """Boxes found at every IoU."""
        return self.perfect.boxes - len(self.causes)

    def count(self, cause: Cause) -> int:
        """How many boxes are lost so."""
        return int((self.causes == cause).sum())


@dataclass(frozen=True, eq=False)
class PerfectOutput:
    """What a perfect network says of one image: scores at the positive anchors, nothing elsewhere."""

    candidates: Candidates  # of the P positives
    deltas: Tensor  # (A, 4)


def ceiling(views: Views) -> Ceiling:
    """Score a perfect network over `views`.

    Raises:
        ValueError: the views are augmented; evaluation is not.
    """
    if views.epochs:
        raise ValueError("the ceiling is that of evaluation: give views without epochs")
    config, source = views.config, views.source
    targets: list[Target] = []
    perfect, unmoved, suspects, owners = [], [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    first = 0  # of the boxes of the image, among all
    for view in views:
        assignment = config.assign(view.grid, view.target.boxes, view.target.crowd)
        output, sample = perfect_output(config, view, assignment), _sample(views, view)
        found, passage = _decode(config, view, sample, assignment, output)
        perfect.append(found)
        truth = source.target(view.index)
        suspects.append(suspect(config, passage, truth, sample.size))
        owners.append(first + owner_of(passage, truth, found.anchors))
        targets.append(truth)
        first += len(truth)
        still = _zeros(len(view.grid))
        unmoved.append(config.decode.finish(output.candidates, still, view.grid, sample, config.coder))
    judged = evaluate(targets, perfect, source.categories, config.scored_detections)
    judged_unmoved = evaluate(targets, unmoved, source.categories, config.scored_detections, by_size=False)
    table = _truth(views, targets)
    lost = _lost(table, judged, np.concatenate(owners))
    return Ceiling(judged, judged_unmoved, table.images[lost], table.rows[lost], np.concatenate(suspects)[lost])


def perfect_output(config: Config, view: View, assignment: Assignment) -> PerfectOutput:
    """Return what the network should say: offsets that hit the box, and a score that rises with the anchor's IoU.

    The scores lie in the upper half between the decoder's threshold and 1, so that none is cut and, as from a network
    that knows how good its boxes are, the best anchor of a box comes first.
    """
    anchors = view.grid.boxes[assignment.anchors]
    boxes = view.target.boxes[assignment.rows].astype(np.float32)
    threshold = config.decode.score_threshold
    scores = 1 - (1 - threshold) * (1 - paired_box_iou(anchors, boxes)) / 2
    deltas = _zeros(len(view.grid))
    index = torch.from_numpy(assignment.anchors)
    deltas[index] = config.coder.encode(torch.from_numpy(boxes), torch.from_numpy(anchors))
    labels = torch.from_numpy(view.target.labels[assignment.rows])
    return PerfectOutput(Candidates(index, labels, torch.from_numpy(scores)), deltas)


def _zeros(count: int) -> Tensor:
    """Return no offsets for so many anchors; unlike torch's, NumPy's zeros are not written before they are used."""
    return torch.from_numpy(np.zeros((count, 4), np.float32))


def _sample(views: Views, view: View) -> Sample:
    """What the decoder asks of an image, without pixels."""
    no_pixels = np.empty((0, 0, 3), np.uint8)
    source, index = views.source, view.index
    return Sample(no_pixels, view.target, source.image_id(index), view.scale, source.size(index))


def _decode(
    config: Config, view: View, sample: Sample, assignment: Assignment, output: PerfectOutput
) -> tuple[Detections, Passage]:
    decoded = config.decode.decode(output.candidates, output.deltas, view.grid, sample, config.coder)
    survivors = replace(config.decode, max_detections=max(1, len(decoded))).suppress(decoded)
    kept = survivors[: config.decode.max_detections]
    return decoded.take(kept), Passage(view, assignment, decoded, survivors, kept)


@dataclass(frozen=True, eq=False)
class _Truth:
    """All G annotated boxes, image after image, as the evaluation has them."""

    images: IntArray  # (G,)
    rows: IntArray  # (G,) in the file
    crowd: BoolArray  # (G,)


def _truth(views: Views, targets: list[Target]) -> _Truth:
    return _Truth(
        np.repeat(np.asarray(views.indices, np.int64), [len(target) for target in targets]),
        np.concatenate([np.zeros(0, np.int64), *(target.rows for target in targets)]),
        np.concatenate([np.zeros(0, np.bool_), *(target.crowd for target in targets)]),
    )


def _lost(truth: _Truth, judged: Evaluation, owners: IntArray) -> IntArray:
    """Return the boxes that are not found at the strictest IoU; `owners` (D,) are the boxes that detections stand for.

    The evaluator may match a detection to a twin of its box and leave the box itself empty-handed. Then it is the twin
    that has no detection of its own, or the twin whose detection the twin got, and so on: that one is lost.
    """
    matches = judged.scores.matches[-1]
    found = np.zeros(len(truth.rows), np.bool_)
    found[matches[matches >= 0]] = True
    strayed = (matches >= 0) & (matches != owners) & ~truth.crowd[matches]
    taken_by = dict(zip(owners[strayed].tolist(), matches[strayed].tolist(), strict=True))
    lost = []
    for box in np.flatnonzero(~found & ~truth.crowd).tolist():
        while box in taken_by:
            box = taken_by[box]
        lost.append(box)
    return np.array(lost, np.int64)
