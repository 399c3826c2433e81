"""Turn predictions into detections in original pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anchorloc.detector.coder_settings import DeltaCoder
from anchorloc.detector.decoder_settings import Decoder
from anchorloc.detector.original_pixels import to_detections
from anchorloc.structures import AnchorGrid, Detections, Sample


class Candidates(NamedTuple):
    """The N pairs of anchor and class of an image that may become detections, by ascending anchor."""

    anchors: Tensor  # (N,)
    labels: Tensor  # (N,)
    scores: Tensor  # (N,)


def above_threshold(scores: Tensor, threshold: float) -> Candidates:
    """Return the pairs above the threshold among the scores (A, C) of an image."""
    flat, classes = scores.flatten(), scores.shape[1]
    pairs = torch.nonzero(flat > threshold).squeeze(1)
    return Candidates(pairs // classes, pairs % classes, flat[pairs])


def decode_candidates(
    settings: Decoder, candidates: Candidates, deltas: Tensor, grid: AnchorGrid, sample: Sample, coder: DeltaCoder
) -> Detections:
    """Return the best candidates of each group as boxes, in any order and before suppression; `deltas` are (A, 4).

    Candidates take no part if their anchor's cell center is outside the image, or their box, clipped to the image, has
    no area.

    Raises:
        InputError: a box is NaN or infinite.
    """
    grid = grid.within(sample.extent)
    if grid.whole is not None:
        inside = torch.from_numpy(grid.taking_part).to(candidates.anchors.device)[candidates.anchors]
        candidates = Candidates(*(values[inside] for values in candidates))
    count = settings.topk_candidates
    per_class = settings.topk_per == "class"
    best = _best_per_class(candidates, count) if per_class else _best_per_level(candidates, grid, count)
    anchors = torch.from_numpy(grid.boxes).to(deltas.device)[best.anchors]
    boxes = coder.decode(deltas[best.anchors], anchors).cpu().numpy()
    index, labels, scores = (values.cpu().numpy() for values in best)
    return to_detections(boxes, scores, labels, index, sample)


def _best_per_level(candidates: Candidates, grid: AnchorGrid, count: int) -> Candidates:
    """Return at most `count` of each level, by greatest score."""
    ends = torch.tensor([len(level) for level in grid.levels], device=candidates.anchors.device).cumsum(0)
    chosen, start = [], 0
    for end in torch.searchsorted(candidates.anchors, ends).tolist():
        best = candidates.scores[start:end]
        rows = best.topk(count).indices if len(best) > count else torch.arange(len(best))
        chosen.append(start + rows.to(best.device))
        start = end
    rows = torch.cat(chosen)
    return Candidates(*(values[rows] for values in candidates))


def _best_per_class(candidates: Candidates, count: int) -> Candidates:
    """Return at most `count` of each class, by greatest score."""
    order = candidates.scores.argsort(descending=True, stable=True)
    order = order[candidates.labels[order].argsort(stable=True)]  # by class, by descending score in each
    labels = candidates.labels[order]
    first = torch.searchsorted(labels, labels)  # where the class begins
    rows = order[torch.arange(len(order), device=order.device) - first < count]
    return Candidates(*(values[rows] for values in candidates))
