"""Turn predictions into detections in original pixels.

The candidates of a whole batch are chosen on the device of the network. How often the host waits for a GPU does not
depend on the images of the batch: for the candidates, for those in the padding, for the ends of levels, and for the
result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from anchorloc.detector.coder_settings import DeltaCoder
from anchorloc.detector.decoder_settings import Decoder
from anchorloc.detector.device_copy import copied_to
from anchorloc.detector.original_pixels import to_detections
from anchorloc.detector.ranking import rank_in_group
from anchorloc.structures import AnchorGrid, Detections, Sample


class Candidates(NamedTuple):
    """The N pairs of anchor and class of a batch that may become detections, by ascending image and anchor."""

    images: Tensor  # (N,) place of the image in the batch
    anchors: Tensor  # (N,)
    labels: Tensor  # (N,)
    scores: Tensor  # (N,)

    def take(self, rows: Tensor) -> Candidates:
        """Return the given rows, in that order."""
        return Candidates(*(values[rows] for values in self))


def above_threshold(scores: Tensor, threshold: float) -> Candidates:
    """Return the pairs above the threshold among the scores (B, A, C)."""
    flat, (_, anchors, classes) = scores.flatten(), scores.shape
    pairs = torch.nonzero(flat > threshold).squeeze(1)
    rows = pairs // classes
    return Candidates(rows // anchors, rows % anchors, pairs % classes, flat[pairs])


def decode_candidates(
    settings: Decoder,
    candidates: Candidates,
    deltas: Tensor,
    grid: AnchorGrid,
    samples: Sequence[Sample],
    coder: DeltaCoder,
) -> list[Detections]:
    """Return the best candidates of each group as boxes, for each image, in any order and before suppression.

    Candidates take no part if their anchor's cell center is outside the image, or their box, clipped to the image, has
    no area.

    Args:
        deltas: (B, A, 4) offsets.

    Raises:
        InputError: a box is NaN or infinite.
    """
    candidates = _inside(candidates, grid, samples)
    count = settings.topk_candidates
    per_class = settings.topk_per == "class"
    best = _best_per_class(candidates, count) if per_class else _best_per_level(candidates, grid, len(samples), count)
    chosen = deltas[best.images, best.anchors].cpu()  # (N, 4)
    images, anchors, labels = torch.stack([best.images, best.anchors, best.labels]).cpu().numpy()
    scores = best.scores.cpu().numpy()
    boxes = coder.decode(chosen, torch.from_numpy(grid.boxes[anchors])).numpy()
    ends = np.searchsorted(images, np.arange(1, len(samples) + 1))
    columns = (np.split(values, ends[:-1]) for values in (boxes, scores, labels, anchors))
    return [to_detections(*one) for one in zip(*columns, samples, strict=True)]


def _inside(candidates: Candidates, grid: AnchorGrid, samples: Sequence[Sample]) -> Candidates:
    """Leave out the candidates whose anchor's cell center is outside their image."""
    grids = [grid.within(sample.extent) for sample in samples]
    if all(one.whole is None for one in grids):
        return candidates
    inside = copied_to(candidates.anchors.device, torch.from_numpy(np.stack([one.taking_part for one in grids])))
    return candidates.take(torch.nonzero(inside[candidates.images, candidates.anchors]).squeeze(1))


def _best_per_level(candidates: Candidates, grid: AnchorGrid, images: int, count: int) -> Candidates:
    """Return at most `count` of each level of each image, by greatest score."""
    device = candidates.anchors.device
    levels = torch.tensor([len(level) for level in grid.levels]).cumsum(0)  # (L,)
    ends = (torch.arange(images)[:, None] * len(grid) + levels).flatten()  # (B * L,)
    places = candidates.images * len(grid) + candidates.anchors
    chosen, start = [], 0
    for end in torch.searchsorted(places, copied_to(device, ends)).tolist():
        best = candidates.scores[start:end]
        rows = best.topk(count).indices if len(best) > count else torch.arange(len(best), device=device)
        chosen.append(start + rows)
        start = end
    return candidates.take(torch.cat(chosen))


def _best_per_class(candidates: Candidates, count: int) -> Candidates:
    """Return at most `count` of each class of each image, by greatest score."""
    groups = (candidates.images << 32) + candidates.labels  # one number for each class of each image
    return candidates.take(torch.nonzero(rank_in_group(candidates.scores, groups) < count).squeeze(1))
