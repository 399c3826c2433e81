"""YOLO's anchors, the peer of the fit: clusters of box sizes, distributed over the levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Levels = tuple[tuple[tuple[float, float], ...], ...]

MOST_STEPS = 200


def kmeans_levels(sizes: Floats, levels: int, shapes: int, seed: int, restarts: int = 5) -> Levels:
    """Return `shapes` (width, height) clusters per level, the smallest for the finest level, as in YOLOv5.

    Clusters by 1 - IoU of boxes on one center (Redmon and Farhadi, YOLO9000, 2017), the best of `restarts` by the mean
    IoU of a box with its cluster.
    """
    runs = [cluster(sizes, levels * shapes, np.random.default_rng((seed, run))) for run in range(restarts)]
    best = max(runs, key=lambda centers: float(centered_iou(sizes, centers).max(axis=1).mean()))
    best = best[np.argsort(best.prod(axis=1))]
    return tuple(tuple((w, h) for w, h in part.tolist()) for part in best.reshape(levels, shapes, 2))


def cluster(sizes: Floats, count: int, random: np.random.Generator) -> Floats:
    """Lloyd's algorithm from `count` distinct boxes drawn at random, with the mean as the center of a cluster."""
    distinct = np.unique(sizes, axis=0)
    centers = distinct[random.choice(len(distinct), count, replace=len(distinct) < count)]
    owner = np.full(len(sizes), -1)
    for _ in range(MOST_STEPS):
        before, owner = owner, centered_iou(sizes, centers).argmax(axis=1)
        if (owner == before).all():
            break
        for place in np.unique(owner):
            centers[place] = sizes[owner == place].mean(axis=0)
    return centers


def centered_iou(sizes: Floats, centers: Floats) -> Floats:
    """Return the (N, C) IoU of boxes (N, 2) and clusters (C, 2) on one center."""
    inter = np.minimum(sizes[:, None], centers[None]).prod(axis=2)
    return np.asarray(inter / (sizes.prod(axis=1)[:, None] + centers.prod(axis=1)[None] - inter))
