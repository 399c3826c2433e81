"""A data set and what was found in it to the analysis of a report, without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from anchorloc.data import Annotations
from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import Analysis, AnalysisOptions, analyze
from anchorloc.structures import Detections

RESAMPLES = 1000
THREADS = min(2, os.cpu_count() or 1)


def analyze_split(
    truth: Annotations, detections: Sequence[Detections], evaluation: Evaluation, options: AnalysisOptions
) -> Analysis:
    """Look into the detections of all images of `truth`, which `evaluation` has scored."""
    sizes = np.array([truth.size(index) for index in range(len(truth))], np.int64).reshape(-1, 2)
    targets = [truth.target(index) for index in range(len(truth))]
    limits = evaluation.summary.max_detections
    return analyze(targets, detections, truth.categories, limits, replace(options, sizes=sizes))
